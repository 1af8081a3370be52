//! Whole pages: all or nothing, and set-based.

use billing::invoice::InvoiceState::AwaitingApproval;
use billing::store::{Applied, Received};
use contract::feed::SequenceNr;
use testkit::statements;

use crate::fixture::{
    AT, Fixture, deleted, on_both_databases, order, page, page_in, pulled, token, unfit,
};

on_both_databases!(
    a_page_that_fails_at_its_last_step_leaves_nothing_behind,
    a_thousand_orders_are_taken_in,
    pages_that_follow_each_other_are_taken_in_like_one,
    many_new_orders_with_a_tombstone_and_one_that_was_put_aside,
);

async fn a_page_that_fails_at_its_last_step_leaves_nothing_behind(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    fixture.approve(&fixture.in_state(1, AwaitingApproval).await[0].id).await;
    let before = fixture.everything().await;
    let changes = page(2, 5, vec![order(1, 2, 2), deleted(2, 2), order(3, 1, 1)]);
    let changes = Received { unfit: vec![unfit(4, 1)], ..changes };

    fixture.execute("alter table pull_totals rename to hidden").await;
    fixture.store.apply(&changes, &fixture.random, AT).await.unwrap_err();
    fixture.execute("alter table hidden rename to pull_totals").await;
    assert_eq!(fixture.everything().await, before);

    // The same page again goes through, and the numbers are those that were given back.
    fixture.take_in(&changes).await;
    let credited = fixture.in_state(1, billing::invoice::InvoiceState::Credited).await.remove(0);
    assert_eq!(credited.credit_note_number.as_deref(), Some("C-2026-000001"));
}

async fn a_thousand_orders_are_taken_in(fixture: Fixture) {
    let orders = |first, version| {
        (first..first + 1_000).map(|number| order(number, version, version)).collect()
    };
    // The first page of all adopts the feed; the second one finds all of its orders to be new.
    assert_eq!(fixture.take_in(&page(0, 1_000, orders(1, 1))).await.new, 1_000);
    assert_eq!(fixture.take_in(&page(1_000, 2_000, orders(1_001, 1))).await.new, 1_000);
    assert_eq!(fixture.take_in(&page(2_000, 3_000, orders(1, 2))).await.changed, 1_000);
    assert_eq!(fixture.take_in(&page(3_000, 4_000, orders(1_001, 2))).await.changed, 1_000);
    let invoices = fixture.invoices().await;
    assert_eq!(invoices.len(), 2_000);
    assert!(invoices.iter().all(|invoice| invoice.version == 2 && invoice.lines[0].quantity == 2));
}

async fn pages_that_follow_each_other_are_taken_in_like_one(fixture: Fixture) {
    let first = page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)]);
    // What is put aside on one page may be as it should on the next, and the other way round.
    let second = Received { unfit: vec![unfit(4, 1)], ..page(2, 5, vec![order(3, 1, 1)]) };
    let third = page(5, 8, vec![order(1, 2, 2), order(4, 2, 1), deleted(2, 2)]);
    let fourth = Received { unfit: vec![unfit(3, 2)], ..page(8, 9, vec![]) };

    let mut all = first.clone();
    for page in [&second, &third, &fourth] {
        assert!(all.append(page.clone()));
    }
    let counts = fixture.take_in(&all).await;
    assert_eq!((counts.pages, counts.new, counts.removed, counts.quarantined), (4, 2, 1, 1));
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!((state.continuation_token, state.totals), (Some(token(1_000, 9)), counts));
    assert_eq!(fixture.in_state(1, AwaitingApproval).await[0].lines[0].quantity, 2);
    assert!(fixture.order(2).await.deleted);
    assert_eq!(fixture.store.quarantine_count().await.unwrap(), 1);

    // The token has moved behind all of them, and each was asked for with an older one.
    for page in [first, second, third, fourth, all] {
        let applied = fixture.store.apply(&page, &fixture.random, AT).await.unwrap();
        assert_eq!(applied, Applied::Superseded);
    }
}

/// What lies between would be skipped.
#[test]
fn only_the_very_next_page_can_be_appended() {
    let first = page(0, 2, vec![order(1, 1, 1)]);
    let mut all = first.clone();
    let of_a_later_epoch = page_in(2_000, 2, 3, vec![order(2, 1, 1)]);
    for other in [page(0, 2, vec![]), page(3, 4, vec![]), pulled(order(2, 1, 1)), of_a_later_epoch]
    {
        assert!(!all.append(other));
    }
    assert_eq!(all, first);
    assert!(!pulled(order(1, 1, 1)).append(first));
}

async fn many_new_orders_with_a_tombstone_and_one_that_was_put_aside(fixture: Fixture) {
    fixture.take_in(&Received { unfit: vec![unfit(5, 1)], ..page(0, 1, vec![]) }).await;
    assert_eq!(fixture.store.quarantine_count().await.unwrap(), 1);
    let content = |n| if n == 7 { deleted(n, 2) } else { order(n, 2, 1) };
    let first = page(1, 2, (1..=150).rev().map(content).collect());
    let second = page(2, 3, (151..=300).map(content).collect());
    let counts = fixture.take_in(&first).await;
    assert_eq!((counts.new, counts.removed, counts.unchanged), (149, 1, 0));
    assert_eq!(fixture.store.quarantine_count().await.unwrap(), 0);
    assert!(fixture.order(7).await.deleted);
    assert_eq!(fixture.order(5).await.order, content(5));
    assert_eq!(fixture.invoices().await.len(), 149);
    // Orders with higher numbers are no reason to ask for each.
    let third = page(3, 4, vec![order(9_999, 1, 1)]);
    for (page, new) in [(second, 150), (third, 1)] {
        assert_eq!(fixture.take_in(&page).await.new, new);
    }
    let between = page(4, 5, (301..=400).map(content).collect());
    let counts = fixture.take_in(&between).await;
    assert_eq!((counts.new, counts.changed), (100, 0));
    assert_eq!(fixture.invoices().await.len(), 400);
}

/// Also when more follows.
#[tokio::test]
async fn short_pages_that_follow_each_other_take_one_statement() {
    let fixture = Fixture::postgres().await;
    let more = |mut page: Received| {
        page.advance.as_mut().unwrap().last_sequence_nr = SequenceNr(99);
        page
    };
    fixture.take_in(&page(0, 1, vec![order(1, 1, 1)])).await; // Adopts the feed.
    fixture.take_in(&more(page(1, 2, vec![order(2, 1, 1)]))).await;
    let mut both = more(page(2, 3, vec![order(3, 1, 1), order(1, 2, 2)]));
    assert!(both.append(more(page(3, 4, vec![order(3, 2, 2)]))));

    let before = statements::counted();
    let counts = fixture.take_in(&both).await;
    assert_eq!(statements::counted() - before, 1);
    assert_eq!((counts.pages, counts.new, counts.changed), (2, 1, 1));
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!((state.continuation_token, state.totals.pages), (Some(token(1_000, 4)), 4));
    assert_eq!(fixture.in_state(3, AwaitingApproval).await[0].order_version, 2);
}

/// On one thread: statements are counted by thread, and other tests run on others.
#[tokio::test]
async fn a_large_page_takes_as_many_statements_as_a_small_one() {
    let fixture = Fixture::postgres().await;
    let small = statements_of_a_page(&fixture, 0, 1).await;
    let large = statements_of_a_page(&fixture, 1_000, 100).await;
    assert_eq!(small, large);
    assert!((5..=16).contains(&small), "{small} statements");
}

/// How many statements a page takes that brings each kind of change `count` times, for orders
/// numbered from behind `base`.
async fn statements_of_a_page(fixture: &Fixture, base: i64, count: i64) -> usize {
    let numbers = |kind: i64| (1..=count).map(move |i| base + kind * count + i);
    let known = (0..4).flat_map(|kind| numbers(kind).map(|number| order(number, 1, 1))).collect();
    // One is in quarantine both times: only then is it looked for what may leave it.
    let aside = vec![unfit(base + 6 * count + 1, 1)];
    fixture.take_in(&Received { unfit: aside, ..page(base, base + 1, known) }).await;
    for number in numbers(2).chain(numbers(3)) {
        fixture.approve(&fixture.in_state(number, AwaitingApproval).await[0].id).await;
    }
    let changes = (numbers(0).map(|number| order(number, 2, 2)))
        .chain(numbers(1).map(|number| deleted(number, 2)))
        .chain(numbers(2).map(|number| order(number, 2, 2)))
        .chain(numbers(3).map(|number| deleted(number, 2)))
        .chain(numbers(4).map(|number| order(number, 1, 1)))
        .collect();
    let unfit = numbers(5).map(|number| unfit(number, 1)).collect();
    let changes = Received { unfit, ..page(base + 1, base + 1_000, changes) };

    let before = statements::counted();
    let counts = fixture.take_in(&changes).await;
    let statements = statements::counted() - before;
    assert_eq!((counts.new, counts.changed, counts.removed), (count, 2 * count, 2 * count));
    assert_eq!(counts.quarantined, count);
    statements
}
