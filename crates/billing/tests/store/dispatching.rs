//! Dispatches: each task once at a time, and only the last attempt counts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use billing::dispatch::{
    Attempt, Backlog, DispatchDetail, DispatchFault, DispatchState, Ending, body,
};
use billing::invoice::{Invoice, InvoiceState};
use billing::store::AfterApproval::Dispatch;
use billing::store::{Approval, InvoiceDetail, Redispatch};
use contract::problem::ProblemCode;
use contract::time::Timestamp;
use kit::http::etag::IfMatch;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::fixture::{AT, Fixture, deleted, later, on_both_databases, order, page, pulled};

on_both_databases!(
    an_approval_writes_the_task,
    without_dispatch_there_is_no_task,
    a_task_that_cannot_be_written_undoes_the_approval,
    an_approval_is_recognised_whatever_became_of_the_dispatch,
    an_attempt_has_its_invoice_to_itself_until_its_lease_runs_out,
    the_one_that_is_due_longest_comes_first,
    what_is_delivered_is_done_with,
    a_failed_attempt_is_followed_by_another_when_it_is_due,
    an_attempt_that_was_overtaken_changes_nothing,
    an_ending_is_recorded_once,
    what_has_failed_begins_anew_when_somebody_asks,
    only_what_has_failed_is_tried_again,
    a_credited_invoice_is_dispatched_as_it_was_approved,
    of_many_claimers_each_gets_another_task,
    two_endings_of_one_attempt,
    the_backlog_is_what_is_pending_or_has_failed,
);

const LEASE: Duration = Duration::from_mins(1);

impl Fixture {
    /// Invoices of this many orders, approved to be dispatched, by order number.
    async fn approve_to_dispatch(&self, count: i64) -> Vec<Invoice> {
        self.take_in(&page(0, count, (1..=count).map(|n| order(n, 1, 1)).collect())).await;
        let mut approved = Vec::new();
        for number in 1..=count {
            let awaiting = self.in_state(number, InvoiceState::AwaitingApproval).await;
            let at = later(u64::try_from(number).unwrap());
            match self.store.approve(&awaiting[0].id, None, Dispatch, at).await.unwrap() {
                Approval::Approved(invoice) => approved.push(*invoice),
                other => panic!("was to be approved: {other:?}"),
            }
        }
        approved
    }

    async fn claim(&self, now: Timestamp) -> Option<Attempt> {
        self.store.claim_dispatch(now, LEASE).await.unwrap()
    }

    async fn record(&self, attempt: &Attempt, ending: &Ending, at: Timestamp) -> bool {
        self.store.record_dispatch(attempt, ending, at).await.unwrap()
    }

    async fn detail(&self, id: &str) -> InvoiceDetail {
        self.store.invoice_detail(id).await.unwrap().expect("the invoice is stored")
    }

    async fn redispatch(&self, id: &str, at: Timestamp) -> Redispatch {
        self.store.redispatch(id, None, at).await.unwrap()
    }
}

fn fault(at: Timestamp) -> DispatchFault {
    DispatchFault {
        code: ProblemCode::UpstreamUnavailable,
        message: "The customer's system answered 503: closed for stocktaking".into(),
        status: Some(503),
        original_code: Some("STOCK-1".into()),
        request_id: None,
        at,
    }
}

fn failed(at: Timestamp) -> Ending {
    Ending::Failed { fault: fault(at) }
}

fn try_again(at: Timestamp, next_attempt_at: Timestamp) -> Ending {
    Ending::TryAgain { fault: fault(at), next_attempt_at }
}

async fn an_approval_writes_the_task(fixture: Fixture) {
    let approved = fixture.approve_to_dispatch(1).await.remove(0);
    assert_eq!((approved.version, approved.dispatch), (2, Some(DispatchState::Pending)));
    let detail = fixture.detail(&approved.id).await;
    assert_eq!(detail.invoice, approved);
    let expected = DispatchDetail {
        failures: 0,
        next_attempt_at: approved.approved_at,
        fault: None,
        delivered_at: None,
    };
    assert_eq!(detail.dispatch_detail, Some(expected));
    let attempt = fixture.claim(later(1)).await.expect("it is due at once");
    let payload = body(&approved, later(1));
    let leased_until = later(1) + LEASE;
    let expected =
        Attempt { invoice_id: approved.id, number: 1, failures: 0, payload, leased_until };
    assert_eq!(attempt, expected);
}

async fn without_dispatch_there_is_no_task(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 1, 1))).await;
    let approved = fixture.approve(&fixture.only_invoice().await.id).await;
    assert_eq!(approved.dispatch, None);
    assert_eq!(fixture.detail(&approved.id).await.dispatch_detail, None);
    assert_eq!(fixture.claim(later(1_000)).await, None);
    // Switching dispatch on later changes nothing for what is approved already.
    let again = fixture.store.approve(&approved.id, None, Dispatch, AT).await.unwrap();
    assert_eq!(again, Approval::Approved(Box::new(approved)));
    assert_eq!(fixture.claim(later(1_000)).await, None);
}

async fn a_task_that_cannot_be_written_undoes_the_approval(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 1, 1))).await;
    let awaiting = fixture.only_invoice().await;
    fixture.execute("alter table dispatches rename to lost_dispatches").await;
    fixture.store.approve(&awaiting.id, None, Dispatch, AT).await.unwrap_err();
    fixture.execute("alter table lost_dispatches rename to dispatches").await;
    assert_eq!(fixture.only_invoice().await, awaiting);
    assert_eq!(fixture.claim(later(1)).await, None);
}

async fn an_approval_is_recognised_whatever_became_of_the_dispatch(fixture: Fixture) {
    fixture.take_in(&pulled(order(1, 1, 1))).await;
    fixture.take_in(&pulled(order(1, 2, 2))).await;
    let id = fixture.only_invoice().await.id;
    let seen = |version| Some(IfMatch::Versions(vec![version]));
    let approve = async |version| {
        fixture.store.approve(&id, seen(version).as_ref(), Dispatch, AT).await.unwrap()
    };
    assert!(matches!(approve(2).await, Approval::Approved(_)));
    let attempt = fixture.claim(AT).await.unwrap();
    assert!(fixture.record(&attempt, &try_again(AT, AT), AT).await);
    let attempt = fixture.claim(AT).await.unwrap();
    assert!(fixture.record(&attempt, &Ending::Delivered, AT).await);

    // The answer to the approval was lost, and the same request is repeated.
    let now = fixture.only_invoice().await;
    assert_eq!((now.version, now.dispatch), (5, Some(DispatchState::Delivered)));
    for version in 2..=5 {
        assert_eq!(approve(version).await, Approval::Approved(Box::new(now.clone())));
    }
    // Whoever saw another content must not believe that it was approved.
    for version in [1, 6] {
        assert_eq!(approve(version).await, Approval::VersionConflict(Box::new(now.clone())));
    }
}

async fn an_attempt_has_its_invoice_to_itself_until_its_lease_runs_out(fixture: Fixture) {
    fixture.approve_to_dispatch(1).await;
    let first = fixture.claim(later(10)).await.unwrap();
    assert_eq!(fixture.claim(later(10)).await, None);
    assert_eq!(fixture.claim(later(69)).await, None);
    // The process was killed: nothing is recorded, and nothing is lost.
    let second = fixture.claim(later(70)).await.expect("the lease has run out");
    assert_eq!(second, Attempt { number: 2, leased_until: later(130), ..first });
}

async fn the_one_that_is_due_longest_comes_first(fixture: Fixture) {
    let approved = fixture.approve_to_dispatch(3).await;
    assert_eq!(fixture.claim(AT).await, None, "none is due yet");
    for invoice in &approved {
        assert_eq!(fixture.claim(later(9)).await.unwrap().invoice_id, invoice.id);
    }
    assert_eq!(fixture.claim(later(9)).await, None);
}

async fn what_is_delivered_is_done_with(fixture: Fixture) {
    let approved = fixture.approve_to_dispatch(2).await;
    let attempt = fixture.claim(later(9)).await.unwrap();
    assert!(fixture.record(&attempt, &try_again(later(10), later(20)), later(10)).await);
    let attempt = fixture.claim(later(20)).await.unwrap();
    assert_eq!(attempt.invoice_id, approved[1].id);
    assert!(fixture.record(&attempt, &Ending::Delivered, later(21)).await);

    let delivered = fixture.detail(&approved[1].id).await;
    assert_eq!(delivered.invoice.dispatch, Some(DispatchState::Delivered));
    assert_eq!(delivered.invoice.version, 3);
    let expected = DispatchDetail {
        failures: 0,
        next_attempt_at: None,
        fault: None,
        delivered_at: Some(later(21)),
    };
    assert_eq!(delivered.dispatch_detail, Some(expected));
    let other = fixture.claim(later(1_000_000)).await.unwrap();
    assert_eq!((other.invoice_id, other.number), (approved[0].id.clone(), 2));
    assert_eq!(fixture.claim(later(1_000_000)).await, None);
}

async fn a_failed_attempt_is_followed_by_another_when_it_is_due(fixture: Fixture) {
    let approved = fixture.approve_to_dispatch(1).await.remove(0);
    let first = fixture.claim(later(1)).await.unwrap();
    assert!(fixture.record(&first, &try_again(later(2), later(30)), later(2)).await);

    let pending = fixture.detail(&approved.id).await;
    assert_eq!(pending.invoice.version, 3, "what went wrong shows");
    assert_eq!(pending.invoice.dispatch, Some(DispatchState::Pending));
    let expected = DispatchDetail {
        failures: 1,
        next_attempt_at: Some(later(30)),
        fault: Some(fault(later(2))),
        delivered_at: None,
    };
    assert_eq!(pending.dispatch_detail, Some(expected));
    assert_eq!(fixture.claim(later(29)).await, None);
    let second = fixture.claim(later(30)).await.unwrap();
    assert_eq!(second, Attempt { number: 2, failures: 1, leased_until: later(90), ..first });

    assert!(fixture.record(&second, &Ending::Delivered, later(31)).await);
    let delivered = fixture.detail(&approved.id).await.dispatch_detail.unwrap();
    assert_eq!((delivered.failures, delivered.fault), (1, None));
}

async fn an_attempt_that_was_overtaken_changes_nothing(fixture: Fixture) {
    let approved = fixture.approve_to_dispatch(1).await.remove(0);
    let late = fixture.claim(later(1)).await.unwrap();
    let current = fixture.claim(later(61)).await.unwrap();
    let before = fixture.detail(&approved.id).await;
    for ending in [Ending::Delivered, failed(later(62)), try_again(later(62), later(62))] {
        assert!(!fixture.record(&late, &ending, later(62)).await);
    }
    assert_eq!(fixture.detail(&approved.id).await, before);
    assert_eq!(fixture.claim(later(62)).await, None, "the current attempt keeps its lease");
    assert!(fixture.record(&current, &Ending::Delivered, later(63)).await);
}

async fn an_ending_is_recorded_once(fixture: Fixture) {
    let approved = fixture.approve_to_dispatch(1).await.remove(0);
    let attempt = fixture.claim(later(1)).await.unwrap();
    // Longer than its lease, but nobody began another one: what it says is true all the same.
    assert!(fixture.record(&attempt, &failed(later(99)), later(99)).await);
    let before = fixture.detail(&approved.id).await;
    assert!(!fixture.record(&attempt, &Ending::Delivered, later(100)).await);
    assert_eq!(fixture.detail(&approved.id).await, before);
    let nobodys = Attempt { invoice_id: "\0".into(), ..attempt };
    assert!(!fixture.record(&nobodys, &Ending::Delivered, later(100)).await);
}

async fn what_has_failed_begins_anew_when_somebody_asks(fixture: Fixture) {
    let approved = fixture.approve_to_dispatch(1).await.remove(0);
    let first = fixture.claim(later(1)).await.unwrap();
    assert!(fixture.record(&first, &failed(later(2)), later(2)).await);
    assert_eq!(fixture.claim(later(1_000_000)).await, None);

    let stale = IfMatch::Versions(vec![2]);
    let conflict = fixture.store.redispatch(&approved.id, Some(&stale), AT).await.unwrap();
    assert_eq!(conflict, Redispatch::VersionConflict(3));
    let Redispatch::Pending(pending) = fixture.redispatch(&approved.id, later(50)).await else {
        panic!("was to be tried again");
    };
    assert_eq!(*pending, fixture.detail(&approved.id).await);
    assert_eq!(pending.invoice.dispatch, Some(DispatchState::Pending));
    assert_eq!(pending.invoice.version, 4);
    let expected = DispatchDetail {
        failures: 0,
        next_attempt_at: Some(later(50)),
        fault: Some(fault(later(2))),
        delivered_at: None,
    };
    assert_eq!(pending.dispatch_detail, Some(expected), "the fault shows until it is overcome");
    let second = fixture.claim(later(50)).await.unwrap();
    assert_eq!(second, Attempt { number: 2, leased_until: later(110), ..first });
}

async fn only_what_has_failed_is_tried_again(fixture: Fixture) {
    let approved = fixture.approve_to_dispatch(1).await.remove(0);
    let wrong = |state| Redispatch::WrongState(state);
    let id = &approved.id;
    assert_eq!(fixture.redispatch(id, AT).await, wrong(Some(DispatchState::Pending)));
    let attempt = fixture.claim(later(1)).await.unwrap();
    assert!(fixture.record(&attempt, &Ending::Delivered, later(2)).await);
    assert_eq!(fixture.redispatch(id, AT).await, wrong(Some(DispatchState::Delivered)));
    assert_eq!(fixture.redispatch("\0", AT).await, Redispatch::NotFound);

    fixture.take_in(&pulled(order(2, 1, 1))).await;
    let awaiting = fixture.in_state(2, InvoiceState::AwaitingApproval).await.remove(0);
    assert_eq!(fixture.redispatch(&awaiting.id, AT).await, wrong(None));
}

async fn a_credited_invoice_is_dispatched_as_it_was_approved(fixture: Fixture) {
    let approved = fixture.approve_to_dispatch(2).await;
    let (credited, both) = (&approved[0], fixture.claim(later(1)).await.unwrap());
    // One is under way while its order is deleted, the other has not begun.
    fixture.take_in(&page(2, 4, vec![deleted(1, 2), deleted(2, 2)])).await;
    assert!(fixture.record(&both, &Ending::Delivered, later(2)).await);
    let now = fixture.detail(&credited.id).await.invoice;
    assert_eq!((now.state, now.version), (InvoiceState::Credited, 4));
    assert_eq!(now.dispatch, Some(DispatchState::Delivered));

    let other = fixture.claim(later(9)).await.expect("it was approved, so it is handed over");
    assert_eq!(other.payload, body(&approved[1], later(2)));
}

async fn of_many_claimers_each_gets_another_task(fixture: Fixture) {
    const TASKS: i64 = 30;
    const CLAIMERS: usize = 10;
    fixture.approve_to_dispatch(TASKS).await;
    let stores = [fixture.store.clone(), fixture.another().await];
    let start = Arc::new(Barrier::new(CLAIMERS));
    let mut claimers = JoinSet::new();
    for place in 0..CLAIMERS {
        let (store, start) = (stores[place % 2].clone(), start.clone());
        claimers.spawn(async move {
            start.wait().await;
            let mut claimed = Vec::new();
            // One that all others pass over for a moment may find none: that is no end.
            while store.dispatch_backlog().await.unwrap().pending > 0 {
                if let Some(attempt) = store.claim_dispatch(later(99), LEASE).await.unwrap() {
                    assert_eq!(attempt.number, 1, "nobody else has begun it");
                    assert!(store.record_dispatch(&attempt, &Ending::Delivered, AT).await.unwrap());
                    claimed.push(attempt.invoice_id);
                }
            }
            claimed
        });
    }
    let claimed: Vec<_> = claimers.join_all().await.into_iter().flatten().collect();
    let distinct: BTreeSet<_> = claimed.iter().collect();
    assert_eq!((claimed.len(), distinct.len()), (30, 30));
    assert_eq!(fixture.store.dispatch_backlog().await.unwrap(), Backlog::default());
}

async fn two_endings_of_one_attempt(fixture: Fixture) {
    let approved = fixture.approve_to_dispatch(20).await;
    let other = fixture.another().await;
    for _ in &approved {
        let attempt = fixture.claim(later(99)).await.unwrap();
        let failed = failed(AT);
        let (one, another) = tokio::join!(
            fixture.store.record_dispatch(&attempt, &Ending::Delivered, AT),
            other.record_dispatch(&attempt, &failed, AT),
        );
        let (delivered, failed) = (one.unwrap(), another.unwrap());
        assert!(delivered != failed, "exactly one is recorded");
        let state = if delivered { DispatchState::Delivered } else { DispatchState::Failed };
        let now = fixture.detail(&attempt.invoice_id).await;
        assert_eq!((now.invoice.dispatch, now.invoice.version), (Some(state), 3));
    }
}

async fn the_backlog_is_what_is_pending_or_has_failed(fixture: Fixture) {
    fixture.take_in(&page(0, 9, vec![order(9, 1, 1)])).await;
    assert_eq!(fixture.store.dispatch_backlog().await.unwrap(), Backlog::default());
    fixture.store.reset_token(None, false).await.unwrap();
    fixture.approve_to_dispatch(4).await;
    for ending in [Ending::Delivered, failed(AT)] {
        let attempt = fixture.claim(later(99)).await.unwrap();
        assert!(fixture.record(&attempt, &ending, later(99)).await);
    }
    let backlog = Backlog { pending: 2, oldest: Some(later(3)), failed: 1 };
    assert_eq!(fixture.store.dispatch_backlog().await.unwrap(), backlog);
}
