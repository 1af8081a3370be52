//! Invoices that nobody approves in time expire, and come back only with a change of their order.

use billing::invoice::InvoiceState::{Approved, AwaitingApproval, Expired, Withdrawn};
use billing::store::AfterApproval::Nothing;
use billing::store::Approval;

use crate::fixture::{
    AT, EPOCH, Fixture, deleted, later, on_both_databases, order, page, pulled, pulled_in,
};

on_both_databases!(
    only_what_has_awaited_approval_for_too_long_expires,
    a_change_of_the_order_gives_time_anew,
    those_that_waited_longest_expire_first,
    one_that_cannot_be_read_keeps_no_other_from_expiring,
    a_re_read_of_the_same_order_does_not_bring_it_back,
    a_change_of_the_order_brings_it_back,
    an_order_that_came_back_outlives_what_had_expired_before,
    a_re_read_after_the_feed_was_forgotten_follows_the_live_invoice,
);

async fn expire(fixture: &Fixture, before: u64, limit: i64) -> i64 {
    fixture.store.expire(later(before), limit, later(100)).await.unwrap()
}

/// Takes in order 1 and lets its invoice expire.
async fn with_an_expired_invoice(fixture: &Fixture) {
    fixture.take_in(&pulled(order(1, 3, 1))).await;
    assert_eq!(expire(fixture, 10, 10).await, 1);
}

async fn only_what_has_awaited_approval_for_too_long_expires(fixture: Fixture) {
    fixture.take_in(&page(0, 3, (1..=3).map(|n| order(n, 1, 1)).collect())).await;
    fixture.take_in_at(&pulled(order(4, 1, 1)), later(10)).await;
    fixture.approve(&fixture.in_state(2, AwaitingApproval).await[0].id).await;
    fixture.take_in(&pulled(deleted(3, 2))).await;

    assert_eq!(expire(&fixture, 0, 10).await, 0, "not longer than this");
    assert_eq!(expire(&fixture, 10, 10).await, 1);
    let expired = fixture.in_state(1, Expired).await.remove(0);
    assert_eq!((expired.version, expired.closed_at), (2, Some(later(100))));
    assert_eq!((expired.number, expired.credit_note_number), (None, None));
    assert_eq!(fixture.in_state(2, Approved).await.len(), 1);
    assert_eq!(fixture.in_state(3, Withdrawn).await.len(), 1);
    assert_eq!(fixture.in_state(4, AwaitingApproval).await.len(), 1);

    let approval = fixture.store.approve(&expired.id, None, Nothing, AT).await.unwrap();
    let closed = Approval::Closed {
        invoice: Box::new(fixture.in_state(1, Expired).await.remove(0)),
        replacement: None,
    };
    assert_eq!(approval, closed);
    assert_eq!(expire(&fixture, 10, 10).await, 0, "it has expired already");
}

async fn a_change_of_the_order_gives_time_anew(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 1, 1))).await;
    fixture.take_in_at(&pulled(order(1, 2, 2)), later(10)).await;
    // What arrives again without a change does not.
    fixture.take_in_at(&pulled_in(EPOCH + 1, order(1, 2, 2)), later(20)).await;
    assert_eq!(expire(&fixture, 10, 10).await, 0);
    assert_eq!(expire(&fixture, 11, 10).await, 1);
}

async fn those_that_waited_longest_expire_first(fixture: Fixture) {
    for (number, at) in [(1, 3), (2, 1), (3, 2)] {
        fixture.take_in_at(&pulled(order(number, 1, 1)), later(at)).await;
    }
    assert_eq!(expire(&fixture, 10, 2).await, 2);
    assert_eq!(fixture.in_state(1, AwaitingApproval).await.len(), 1);
    assert_eq!(expire(&fixture, 10, 2).await, 1);
    assert_eq!(expire(&fixture, 10, 2).await, 0);
}

async fn one_that_cannot_be_read_keeps_no_other_from_expiring(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    fixture.execute("update orders set document = '{' where number = 1").await;
    assert_eq!(expire(&fixture, 10, 10).await, 1);
    fixture.take_in(&pulled(order(1, 2, 1))).await;
    assert_eq!(fixture.in_state(1, AwaitingApproval).await.len(), 1);
    assert_eq!(fixture.in_state(2, Expired).await.len(), 1);
}

async fn a_re_read_of_the_same_order_does_not_bring_it_back(fixture: Fixture) {
    with_an_expired_invoice(&fixture).await;
    let expired = fixture.only_invoice().await;

    fixture.take_in(&pulled_in(EPOCH + 1, order(1, 3, 1))).await;
    assert_eq!(fixture.order(1).await.epoch.0, EPOCH + 1);
    assert_eq!(fixture.only_invoice().await, expired);

    fixture.take_in(&pulled_in(EPOCH + 1, deleted(1, 4))).await;
    assert_eq!(fixture.only_invoice().await, expired, "nothing is left to withdraw");
}

async fn a_change_of_the_order_brings_it_back(fixture: Fixture) {
    with_an_expired_invoice(&fixture).await;
    let expired = fixture.only_invoice().await;

    fixture.take_in_at(&pulled(order(1, 4, 2)), later(200)).await;
    let back = fixture.in_state(1, AwaitingApproval).await.remove(0);
    assert_eq!((back.order_version, back.version, &back.replaces), (4, 1, &None));
    assert_eq!(fixture.in_state(1, Expired).await, [expired]);
    assert_eq!(fixture.invoices().await.len(), 2);
    assert_eq!(expire(&fixture, 200, 10).await, 0, "it has its own time");

    // Expired once more, it is this one that a re-read is compared with.
    assert_eq!(expire(&fixture, 201, 10).await, 1);
    fixture.take_in(&pulled_in(EPOCH + 1, order(1, 4, 2))).await;
    assert_eq!(fixture.in_state(1, AwaitingApproval).await, []);
    // Back at what had expired first: a change like any other.
    fixture.take_in(&pulled_in(EPOCH + 2, order(1, 3, 1))).await;
    assert_eq!(fixture.in_state(1, AwaitingApproval).await.len(), 1);
}

async fn an_order_that_came_back_outlives_what_had_expired_before(fixture: Fixture) {
    with_an_expired_invoice(&fixture).await;
    fixture.take_in(&pulled(order(1, 4, 2))).await;
    fixture.take_in(&pulled(deleted(1, 5))).await;
    assert_eq!(fixture.in_state(1, Withdrawn).await.len(), 1);

    // The provider was restored to what it was when the first invoice expired.
    fixture.take_in(&pulled_in(EPOCH + 1, order(1, 3, 1))).await;
    assert_eq!(fixture.in_state(1, AwaitingApproval).await.len(), 1);
}

async fn a_re_read_after_the_feed_was_forgotten_follows_the_live_invoice(fixture: Fixture) {
    with_an_expired_invoice(&fixture).await;
    fixture.store.reset_token(None, true).await.unwrap();
    // The epoch of the feed that takes over is smaller than the one of the expired invoice.
    fixture.take_in(&pulled_in(1, order(1, 9, 2))).await;
    let live = fixture.in_state(1, AwaitingApproval).await.remove(0);
    fixture.take_in(&pulled_in(1, order(1, 10, 3))).await;
    let recomputed = fixture.in_state(1, AwaitingApproval).await.remove(0);
    assert_eq!((recomputed.id, recomputed.version), (live.id, 2));
}
