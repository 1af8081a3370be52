//! Invoices follow their orders.

use billing::invoice::Invoice;
use billing::invoice::InvoiceState::{Approved, AwaitingApproval, Credited, Withdrawn};
use billing::pull::Counts;
use contract::order::Order;

use crate::fixture::{
    AT, Fixture, deleted, later, on_both_databases, order, page, page_in, pulled, pulled_in,
};

on_both_databases!(
    a_new_order_gets_an_invoice,
    a_change_before_approval_recomputes_the_invoice_in_place,
    a_change_after_approval_credits_and_replaces,
    a_deletion_withdraws_or_credits,
    a_withdrawn_invoice_says_what_it_said_last,
    a_withdrawn_invoice_that_cannot_be_read_says_what_the_tombstone_does,
    a_deleted_order_that_was_never_seen_gets_no_invoice,
    an_older_version_never_undoes_a_newer_one,
    the_same_version_again_changes_nothing,
    a_smaller_version_of_a_later_epoch_replaces,
    an_order_comes_back_in_a_later_epoch,
    a_page_mixes_everything,
);

async fn a_new_order_gets_an_invoice(fixture: Fixture) {
    let confirmed = order(1001, 3, 40);
    let counts = fixture.take_in(&pulled(confirmed.clone())).await;
    assert_eq!(counts, Counts { new: 1, ..Counts::default() });

    let stored = fixture.order(1001).await;
    assert_eq!(stored.order, confirmed);
    assert_eq!((stored.deleted, stored.missing_at_source, stored.received_at), (false, false, AT));

    let invoice = fixture.only_invoice().await;
    assert_eq!((invoice.order_number, invoice.order_version), (1001, 3));
    assert_eq!((invoice.version, invoice.state), (1, AwaitingApproval));
    assert_eq!((invoice.net_minor, invoice.tax_minor, invoice.total_minor), (1400, 294, 1694));
    assert_eq!((invoice.customer, invoice.lines), (confirmed.customer, confirmed.lines));
    assert_eq!((invoice.number, invoice.approved_at, invoice.created_at), (None, None, AT));
}

async fn a_change_before_approval_recomputes_the_invoice_in_place(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 1, 40))).await;
    let first = fixture.only_invoice().await;

    let mut changed = order(1, 2, 50);
    changed.customer.name = "Ada B. Yards".into();
    let counts = fixture.take_in_at(&pulled(changed.clone()), later(5)).await;
    assert_eq!(counts, Counts { changed: 1, ..Counts::default() });

    let second = fixture.only_invoice().await;
    assert_eq!((&second.id, second.created_at), (&first.id, first.created_at));
    assert_eq!((second.version, second.state, second.order_version), (2, AwaitingApproval, 2));
    assert_eq!((second.customer, second.lines), (changed.customer, changed.lines));
    assert_eq!(second.total_minor, changed.total_minor);
    assert_eq!(fixture.order(1).await.received_at, later(5));
}

async fn a_change_after_approval_credits_and_replaces(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 1, 40))).await;
    let approved = fixture.approve(&fixture.only_invoice().await.id).await;

    fixture.take_in_at(&pulled(order(1, 2, 50)), later(5)).await;

    let credited = fixture.store.invoice(&approved.id).await.unwrap().unwrap();
    assert_eq!((credited.state, credited.version), (Credited, 3));
    assert_eq!(credited.credit_note_number.as_deref(), Some("C-2026-000001"));
    assert_eq!((&credited.number, &credited.lines), (&approved.number, &approved.lines));

    let replacement = fixture.in_state(1, AwaitingApproval).await.remove(0);
    assert_eq!(replacement.replaces.as_deref(), Some(&*approved.id));
    assert_eq!((replacement.version, replacement.order_version), (1, 2));
    assert_eq!((replacement.number, replacement.created_at), (None, later(5)));
    assert_eq!(fixture.invoices().await.len(), 2);
}

async fn a_deletion_withdraws_or_credits(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    fixture.approve(&fixture.in_state(2, AwaitingApproval).await[0].id).await;

    let counts = fixture.take_in(&page(2, 4, vec![deleted(1, 2), deleted(2, 2)])).await;
    assert_eq!(counts, Counts { pages: 1, removed: 2, ..Counts::default() });

    let withdrawn = fixture.in_state(1, Withdrawn).await.remove(0);
    assert_eq!(
        (withdrawn.version, withdrawn.number, withdrawn.credit_note_number),
        (2, None, None)
    );
    let credited = fixture.in_state(2, Credited).await.remove(0);
    assert_eq!(credited.credit_note_number.as_deref(), Some("C-2026-000001"));
    assert_eq!(fixture.invoices().await.len(), 2);
    assert!(fixture.order(1).await.deleted);
}

async fn a_withdrawn_invoice_says_what_it_said_last(fixture: Fixture) {
    fixture.take_in(&page(0, 1, vec![order(1, 2, 1)])).await;
    let before = fixture.in_state(1, AwaitingApproval).await.remove(0);
    // What was changed before the deletion was never seen.
    let counts = fixture.take_in_at(&page(1, 5, vec![deleted(1, 7)]), later(3)).await;
    assert_eq!(counts.removed, 1);
    let expected = Invoice { version: 2, state: Withdrawn, closed_at: Some(later(3)), ..before };
    assert_eq!(fixture.invoices().await, [expected]);
}

async fn a_withdrawn_invoice_that_cannot_be_read_says_what_the_tombstone_does(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 2), order(2, 1, 1)])).await;
    fixture.execute("update orders set document = '{' where number = 1").await;
    let tombstone = deleted(1, 7);
    let counts = fixture.take_in(&page(2, 9, vec![tombstone.clone(), deleted(2, 2)])).await;
    assert_eq!((counts.removed, counts.unchanged), (2, 0));
    let withdrawn = fixture.in_state(1, Withdrawn).await.remove(0);
    assert_eq!((withdrawn.version, withdrawn.order_version), (2, 1));
    assert_eq!(withdrawn.lines, tombstone.lines);
    assert!(fixture.order(1).await.deleted);
}

async fn a_deleted_order_that_was_never_seen_gets_no_invoice(fixture: Fixture) {
    let counts = fixture.take_in(&page(0, 1, vec![deleted(1, 2)])).await;
    assert_eq!(counts, Counts { pages: 1, removed: 1, ..Counts::default() });
    assert!(fixture.order(1).await.deleted);
    assert_eq!(fixture.invoices().await, []);
}

async fn an_older_version_never_undoes_a_newer_one(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 5, 50))).await;
    let (stored, invoice) = (fixture.order(1).await, fixture.only_invoice().await);

    // A page that was under way when the deep link pulled something newer.
    let counts = fixture.take_in_at(&page(0, 1, vec![order(1, 4, 40)]), later(1)).await;
    assert_eq!(counts, Counts { pages: 1, unchanged: 1, ..Counts::default() });
    let counts = fixture.take_in_at(&pulled(deleted(1, 3)), later(2)).await;
    assert_eq!(counts, Counts { unchanged: 1, ..Counts::default() });

    assert_eq!(fixture.order(1).await, stored);
    assert_eq!(fixture.only_invoice().await, invoice);
}

async fn the_same_version_again_changes_nothing(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 5, 50))).await;
    let approved = fixture.approve(&fixture.only_invoice().await.id).await;
    let stored = fixture.order(1).await;

    // The page brings the number that the pulled order did not have yet: still the same version.
    let counts = fixture.take_in_at(&page(0, 1, vec![order(1, 5, 50)]), later(1)).await;
    assert_eq!(counts, Counts { pages: 1, unchanged: 1, ..Counts::default() });
    assert_eq!(fixture.order(1).await, stored);
    assert_eq!(fixture.only_invoice().await, approved);
}

async fn a_smaller_version_of_a_later_epoch_replaces(fixture: Fixture) {
    fixture.take_in(&page_in(1, 0, 1, vec![order(1, 5, 50), order(2, 5, 50)])).await;
    let approved = fixture.approve(&fixture.in_state(1, AwaitingApproval).await[0].id).await;

    // The provider was restored: order 1 is back at version 4, order 2 is what it was.
    let counts = fixture.take_in(&page_in(2, 0, 2, vec![order(1, 4, 40), order(2, 5, 50)])).await;
    assert_eq!(counts, Counts { pages: 1, changed: 2, ..Counts::default() });

    let stored = fixture.order(1).await;
    assert_eq!((stored.epoch.0, stored.order), (2, order(1, 4, 40)));
    let replacement = fixture.in_state(1, AwaitingApproval).await.remove(0);
    assert_eq!(replacement.replaces, Some(approved.id));
    assert_eq!(replacement.order_version, 4);
    assert_eq!(fixture.order(2).await.epoch.0, 2);
    let untouched = fixture.in_state(2, AwaitingApproval).await.remove(0);
    assert_eq!(untouched.version, 1, "the invoice says already what the order says");
}

async fn an_order_comes_back_in_a_later_epoch(fixture: Fixture) {
    fixture.take_in(&pulled_in(1, order(1, 1, 1))).await;
    fixture.take_in(&pulled_in(1, deleted(1, 2))).await;
    assert_eq!(fixture.only_invoice().await.state, Withdrawn);

    // The deletion was lost with the old history.
    fixture.take_in(&pulled_in(2, order(1, 1, 1))).await;
    assert!(!fixture.order(1).await.deleted);
    let back = fixture.in_state(1, AwaitingApproval).await.remove(0);
    assert_eq!((back.version, back.replaces), (1, None));
    assert_eq!(fixture.invoices().await.len(), 2);
}

async fn a_page_mixes_everything(fixture: Fixture) {
    let first: Vec<Order> = (1..=6).map(|number| order(number, 1, number)).collect();
    fixture.take_in(&page(0, 6, first)).await;
    for number in [4, 5, 6] {
        fixture.approve(&fixture.in_state(number, AwaitingApproval).await[0].id).await;
    }

    let second = vec![
        order(6, 2, 60),
        deleted(5, 2),
        order(4, 2, 40),
        order(3, 1, 3),
        deleted(2, 2),
        order(1, 2, 10),
        order(7, 1, 7),
        deleted(8, 2),
    ];
    let counts = fixture.take_in(&page(6, 14, second)).await;
    let expected =
        Counts { pages: 1, new: 1, changed: 3, removed: 3, unchanged: 1, quarantined: 0 };
    assert_eq!(counts, expected);

    let mut credit_notes = Vec::new();
    let mut states = Vec::new();
    for number in 1..=8 {
        let filter =
            billing::store::InvoiceFilter { order_number: Some(number), ..Default::default() };
        let mut invoices = fixture.store.invoices(&filter, 10).await.unwrap();
        invoices.sort_by_key(|invoice| invoice.replaces.is_some());
        states.push(invoices.iter().map(|invoice| invoice.state).collect::<Vec<_>>());
        credit_notes.extend(invoices.into_iter().filter_map(|i| i.credit_note_number));
    }
    let expected = [
        vec![AwaitingApproval],
        vec![Withdrawn],
        vec![AwaitingApproval],
        vec![Credited, AwaitingApproval],
        vec![Credited],
        vec![Credited, AwaitingApproval],
        vec![AwaitingApproval],
        vec![],
    ];
    assert_eq!(states, expected);
    credit_notes.sort();
    assert_eq!(credit_notes, ["C-2026-000001", "C-2026-000002", "C-2026-000003"]);
    let counts = fixture.store.invoice_counts().await.unwrap();
    assert!(counts.contains(&(Credited, 3)) && counts.contains(&(Approved, 0)), "{counts:?}");

    let totals = fixture.store.pull_state().await.unwrap().totals;
    assert_eq!((totals.pages, totals.new, totals.removed, totals.changed), (2, 7, 3, 3));
}
