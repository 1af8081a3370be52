//! What is noted about pulls.

use std::time::Duration;

use billing::pull::Counts;

use crate::fixture::{AT, Fixture, later, on_both_databases, order, page, pulled};

on_both_databases!(
    successes_and_failures_are_noted,
    totals_count_what_was_taken_in,
    pulls_that_changed_something_are_kept_for_the_chart,
    pulls_of_the_same_moment_are_added_up,
    old_pulls_are_removed,
);

const ONE_CHANGED: Counts =
    Counts { pages: 0, new: 0, changed: 1, removed: 0, unchanged: 0, quarantined: 0 };

async fn successes_and_failures_are_noted(fixture: Fixture) {
    let store = &fixture.store;
    store.ping().await.unwrap();
    assert_eq!(store.pull_failed(AT, "cut off \0 in the middle").await.unwrap(), 1);
    assert_eq!(store.pull_failed(AT, "no connection").await.unwrap(), 2);
    let state = store.pull_state().await.unwrap();
    assert_eq!((state.last_pull_at, state.last_success_at), (Some(AT), None));
    assert_eq!(state.last_error.as_deref(), Some("no connection"));
    assert_eq!(state.consecutive_failures, 2);

    store.pull_succeeded(later(1), later(2)).await.unwrap();
    let state = store.pull_state().await.unwrap();
    assert_eq!((state.last_pull_at, state.last_success_at), (Some(later(1)), Some(later(2))));
    assert_eq!((state.last_error, state.consecutive_failures), (None, 0));
    assert_eq!(store.pull_failed(later(3), "again").await.unwrap(), 1);
}

async fn totals_count_what_was_taken_in(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    fixture.take_in(&pulled(order(1, 2, 2))).await;
    fixture.take_in(&pulled(order(1, 2, 2))).await;
    fixture.take_in(&page(2, 2, vec![])).await;
    let expected =
        Counts { pages: 2, new: 2, changed: 1, removed: 0, unchanged: 1, quarantined: 0 };
    assert_eq!(fixture.store.pull_state().await.unwrap().totals, expected);
}

async fn pulls_that_changed_something_are_kept_for_the_chart(fixture: Fixture) {
    fixture.take_in_at(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)]), later(1)).await;
    fixture.take_in_at(&page(2, 2, vec![]), later(2)).await;
    fixture.take_in_at(&pulled(order(1, 2, 2)), later(3)).await;
    let store = &fixture.store;
    let pulls = store.pulls_since(AT).await.unwrap();
    let first = Counts { pages: 1, new: 2, ..Counts::default() };
    assert_eq!(pulls, [(later(1), first), (later(3), ONE_CHANGED)]);
    assert_eq!(store.pulls_since(later(3)).await.unwrap().len(), 1);
    assert_eq!(store.pulls_since(later(4)).await.unwrap(), []);
}

async fn pulls_of_the_same_moment_are_added_up(fixture: Fixture) {
    fixture.take_in(&page(0, 1, vec![order(1, 1, 1)])).await;
    for version in [2, 3] {
        fixture.take_in_at(&pulled(order(1, version, 1)), later(1)).await;
    }
    let mut both = ONE_CHANGED;
    both += ONE_CHANGED;
    assert_eq!(fixture.store.pulls_since(later(1)).await.unwrap(), [(later(1), both)]);
}

async fn old_pulls_are_removed(fixture: Fixture) {
    let day = |days: u64| AT + Duration::from_hours(24 * days);
    for (version, at) in [(1, day(0)), (2, day(1)), (3, day(31))] {
        fixture.take_in_at(&pulled(order(1, version, 1)), at).await;
    }
    fixture.store.pull_succeeded(day(31), day(31)).await.unwrap();
    let kept: Vec<_> =
        fixture.store.pulls_since(AT).await.unwrap().into_iter().map(|(at, _)| at).collect();
    assert_eq!(kept, [day(1), day(31)]);
}
