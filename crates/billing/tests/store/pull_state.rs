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

const SOME: Counts =
    Counts { pages: 2, new: 3, changed: 4, removed: 5, unchanged: 6, quarantined: 0 };

async fn successes_and_failures_are_noted(fixture: Fixture) {
    let store = &fixture.store;
    store.ping().await.unwrap();
    store.pull_began(AT).await.unwrap();
    assert_eq!(store.pull_failed("cut off \0 in the middle").await.unwrap(), 1);
    assert_eq!(store.pull_failed("no connection").await.unwrap(), 2);
    let state = store.pull_state().await.unwrap();
    assert_eq!((state.last_pull_at, state.last_success_at), (Some(AT), None));
    assert_eq!(state.last_error.as_deref(), Some("no connection"));
    assert_eq!(state.consecutive_failures, 2);

    store.pull_began(later(1)).await.unwrap();
    store.pull_succeeded(&Counts::default(), later(2)).await.unwrap();
    let state = store.pull_state().await.unwrap();
    assert_eq!((state.last_pull_at, state.last_success_at), (Some(later(1)), Some(later(2))));
    assert_eq!((state.last_error, state.consecutive_failures), (None, 0));
    assert_eq!(store.pull_failed("again").await.unwrap(), 1);
}

async fn totals_count_what_was_taken_in(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    fixture.take_in(&pulled(order(1, 2, 2))).await;
    fixture.take_in(&pulled(order(1, 2, 2))).await;
    fixture.take_in(&page(2, 2, vec![])).await;
    // A pull that was taken in already is not counted a second time.
    fixture.store.pull_succeeded(&SOME, AT).await.unwrap();
    let expected =
        Counts { pages: 2, new: 2, changed: 1, removed: 0, unchanged: 1, quarantined: 0 };
    assert_eq!(fixture.store.pull_state().await.unwrap().totals, expected);
}

async fn pulls_that_changed_something_are_kept_for_the_chart(fixture: Fixture) {
    let store = &fixture.store;
    let nothing = Counts { pages: 1, unchanged: 1, ..Counts::default() };
    store.pull_succeeded(&SOME, later(3)).await.unwrap();
    store.pull_succeeded(&nothing, later(2)).await.unwrap();
    store.pull_succeeded(&SOME, later(1)).await.unwrap();
    let pulls = store.pulls_since(AT).await.unwrap();
    assert_eq!(pulls, [(later(1), SOME), (later(3), SOME)]);
    assert_eq!(store.pulls_since(later(3)).await.unwrap().len(), 1);
    assert_eq!(store.pulls_since(later(4)).await.unwrap(), []);
}

async fn pulls_of_the_same_moment_are_added_up(fixture: Fixture) {
    fixture.store.pull_succeeded(&SOME, AT).await.unwrap();
    fixture.store.pull_succeeded(&SOME, AT).await.unwrap();
    let mut both = SOME;
    both += SOME;
    assert_eq!(fixture.store.pulls_since(AT).await.unwrap(), [(AT, both)]);
}

async fn old_pulls_are_removed(fixture: Fixture) {
    let day = |days: u64| AT + Duration::from_hours(24 * days);
    for at in [day(0), day(1), day(31)] {
        fixture.store.pull_succeeded(&SOME, at).await.unwrap();
    }
    let kept: Vec<_> =
        fixture.store.pulls_since(AT).await.unwrap().into_iter().map(|(at, _)| at).collect();
    assert_eq!(kept, [day(1), day(31)]);
}
