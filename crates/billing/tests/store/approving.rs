//! Approving an invoice gives it its number.

use billing::invoice::InvoiceState::{Approved, AwaitingApproval, Credited, Withdrawn};
use billing::store::AfterApproval::Nothing;
use billing::store::Approval;
use contract::time::Timestamp;
use kit::http::etag::IfMatch;

use crate::fixture::{AT, Fixture, deleted, later, on_both_databases, order, page, pulled};

on_both_databases!(
    the_number_is_the_next_of_the_year,
    approving_again_changes_nothing,
    only_the_version_that_was_seen_is_approved,
    what_is_closed_cannot_be_approved,
    what_ordering_no_longer_knows_cannot_be_approved,
    an_approval_by_an_earlier_version_of_billing_is_recognised,
    an_unknown_invoice_is_not_found,
    a_number_that_was_rolled_back_is_given_again,
);

async fn the_number_is_the_next_of_the_year(fixture: Fixture) {
    let orders = (1..=4).map(|number| order(number, 1, 1)).collect();
    fixture.take_in(&page(0, 4, orders)).await;
    let ids: Vec<_> = fixture.invoices().await.into_iter().map(|invoice| invoice.id).collect();
    let new_year: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let old_year = Timestamp::from_micros(new_year.micros() - 1);

    let mut numbers = Vec::new();
    for (id, at) in ids.iter().zip([AT, old_year, new_year, new_year]) {
        match fixture.store.approve(id, None, Nothing, at).await.unwrap() {
            Approval::Approved(invoice) => {
                assert_eq!((invoice.state, invoice.version), (Approved, 2));
                assert_eq!(invoice.approved_at, Some(at));
                assert_eq!(fixture.store.invoice(id).await.unwrap(), Some(*invoice.clone()));
                numbers.push(invoice.number.unwrap());
            }
            other => panic!("was to be approved: {other:?}"),
        }
    }
    assert_eq!(numbers, ["2026-000001", "2026-000002", "2027-000001", "2027-000002"]);
}

async fn approving_again_changes_nothing(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 1, 1))).await;
    let id = fixture.only_invoice().await.id;
    let seen = IfMatch::Versions(vec![1]);
    let first = fixture.store.approve(&id, Some(&seen), Nothing, AT).await.unwrap();
    // The answer was lost, and the caller repeats the very same request.
    assert_eq!(fixture.store.approve(&id, Some(&seen), Nothing, AT).await.unwrap(), first);
    assert_eq!(fixture.store.approve(&id, None, Nothing, AT).await.unwrap(), first);
    assert_eq!(fixture.only_invoice().await.number.as_deref(), Some("2026-000001"));
}

async fn only_the_version_that_was_seen_is_approved(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 1, 1))).await;
    fixture.take_in(&pulled(order(1, 2, 2))).await;
    let recomputed = fixture.only_invoice().await;

    let seen = IfMatch::Versions(vec![1]);
    let conflict = Approval::VersionConflict(Box::new(recomputed.clone()));
    assert_eq!(
        fixture.store.approve(&recomputed.id, Some(&seen), Nothing, AT).await.unwrap(),
        conflict
    );
    assert_eq!(fixture.only_invoice().await, recomputed);

    let seen = IfMatch::Versions(vec![2]);
    let approval = fixture.store.approve(&recomputed.id, Some(&seen), Nothing, AT).await.unwrap();
    let Approval::Approved(approved) = approval else { panic!("{approval:?}") };

    // Whoever saw version 1 must not believe that it was approved.
    let seen = IfMatch::Versions(vec![1]);
    let approval = fixture.store.approve(&recomputed.id, Some(&seen), Nothing, AT).await.unwrap();
    assert_eq!(approval, Approval::VersionConflict(approved.clone()));
    // Whoever does not care which, does not care.
    let approval =
        fixture.store.approve(&recomputed.id, Some(&IfMatch::Any), Nothing, AT).await.unwrap();
    assert_eq!(approval, Approval::Approved(approved));
}

async fn what_is_closed_cannot_be_approved(fixture: Fixture) {
    fixture.take_in(&page(0, 3, (1..=3).map(|n| order(n, 1, 1)).collect())).await;
    let withdrawn = fixture.in_state(1, AwaitingApproval).await.remove(0).id;
    let credited = fixture.in_state(2, AwaitingApproval).await.remove(0).id;
    let replaced = fixture.in_state(3, AwaitingApproval).await.remove(0).id;
    fixture.approve(&credited).await;
    fixture.approve(&replaced).await;
    let second = vec![deleted(1, 2), deleted(2, 2), order(3, 2, 2)];
    fixture.take_in_at(&page(3, 6, second), later(5)).await;
    let replacement = fixture.in_state(3, AwaitingApproval).await.remove(0);

    let before = fixture.everything().await;
    for (id, state, replaced_by) in [
        (withdrawn, Withdrawn, None),
        (credited, Credited, None),
        (replaced, Credited, Some(Box::new(replacement))),
    ] {
        // Whatever version was meant: none of them can be approved.
        for expected in [None, Some(IfMatch::Any), Some(IfMatch::Versions(vec![1]))] {
            let approval =
                fixture.store.approve(&id, expected.as_ref(), Nothing, AT).await.unwrap();
            let Approval::Closed { invoice, replacement } = approval else {
                panic!("{approval:?}")
            };
            assert_eq!((invoice.state, invoice.closed_at), (state, Some(later(5))));
            assert_eq!((&invoice.id, &replacement), (&id, &replaced_by));
        }
    }
    assert_eq!(fixture.everything().await, before);
}

async fn what_ordering_no_longer_knows_cannot_be_approved(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    let awaiting = fixture.in_state(1, AwaitingApproval).await.remove(0);
    let approved = fixture.in_state(2, AwaitingApproval).await.remove(0);
    let approved = fixture.approve(&approved.id).await;
    fixture.execute("update orders set missing_at_source = true").await;

    let missing = Approval::MissingAtSource(Box::new(awaiting.clone()));
    // Whatever version was meant: none of them can be approved.
    for expected in [None, Some(IfMatch::Any), Some(IfMatch::Versions(vec![7]))] {
        let approval = fixture.store.approve(&awaiting.id, expected.as_ref(), Nothing, AT).await;
        assert_eq!(approval.unwrap(), missing);
    }
    assert_eq!(fixture.in_state(1, AwaitingApproval).await, std::slice::from_ref(&awaiting));
    assert_eq!(fixture.approve(&approved.id).await, approved, "it was approved in time");

    fixture.take_in(&page(2, 3, vec![order(1, 2, 1)])).await;
    assert_eq!(fixture.approve(&awaiting.id).await.order_version, 2, "ordering knows it again");
}

async fn an_approval_by_an_earlier_version_of_billing_is_recognised(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 1, 1))).await;
    let approved = fixture.approve(&fixture.only_invoice().await.id).await;
    fixture.execute("update invoices set approved_version = null").await;
    let approval = Approval::Approved(Box::new(approved.clone()));
    for expected in [None, Some(IfMatch::Versions(vec![1])), Some(IfMatch::Versions(vec![2]))] {
        let again = fixture.store.approve(&approved.id, expected.as_ref(), Nothing, AT).await;
        assert_eq!(again.unwrap(), approval);
    }
}

async fn an_unknown_invoice_is_not_found(fixture: Fixture) {
    for id in ["", "0197", "\0", "' or true --"] {
        assert_eq!(fixture.store.invoice(id).await.unwrap(), None);
        assert_eq!(fixture.store.approve(id, None, Nothing, AT).await.unwrap(), Approval::NotFound);
    }
}

async fn a_number_that_was_rolled_back_is_given_again(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    let [id, other] = [1, 2].map(|number| fixture.in_state(number, AwaitingApproval));
    let (id, other) = (id.await.remove(0).id, other.await.remove(0).id);
    assert_eq!(fixture.approve(&other).await.number.as_deref(), Some("2026-000001"));

    // The number is taken, and then the invoice cannot be written.
    fixture.execute("update invoices set number = '2026-000002'").await;
    fixture.store.approve(&id, None, Nothing, AT).await.unwrap_err();
    fixture.execute("update invoices set number = '2026-000001'").await;

    assert_eq!(fixture.approve(&id).await.number.as_deref(), Some("2026-000002"));
}
