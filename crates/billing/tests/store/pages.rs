//! Whole pages: all or nothing, and set-based.

use billing::invoice::InvoiceState::AwaitingApproval;
use billing::store::Received;
use testkit::statements;

use crate::fixture::{AT, Fixture, deleted, on_both_databases, order, page, unfit};

on_both_databases!(
    a_page_that_fails_at_its_last_step_leaves_nothing_behind,
    a_thousand_orders_are_taken_in,
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
    let orders = |version| (1..=1_000).map(|number| order(number, version, version)).collect();
    assert_eq!(fixture.take_in(&page(0, 1_000, orders(1))).await.new, 1_000);
    assert_eq!(fixture.take_in(&page(1_000, 2_000, orders(2))).await.changed, 1_000);
    let invoices = fixture.invoices().await;
    assert_eq!(invoices.len(), 1_000);
    assert!(invoices.iter().all(|invoice| invoice.version == 2 && invoice.lines[0].quantity == 2));
}

/// On one thread: statements are counted by thread, and other tests run on others.
#[tokio::test]
async fn a_large_page_takes_no_more_statements_than_a_small_one() {
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
