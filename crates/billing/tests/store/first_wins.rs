//! Approving, withdrawing, replacing and expiring race for one invoice: the first one wins, and
//! whoever comes too late is told what happened instead.

use std::collections::BTreeSet;
use std::sync::Arc;

use billing::invoice::Invoice;
use billing::invoice::InvoiceState::{Approved, AwaitingApproval, Credited, Expired, Withdrawn};
use billing::store::AfterApproval::Nothing;
use billing::store::{Applied, Approval, InvoiceFilter, Received, Store};
use kit::http::etag::IfMatch;
use kit::random::Random;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use crate::fixture::{Fixture, deleted, later, on_both_databases, order, pulled};

on_both_databases!(exactly_one_happens, two_that_expire_share_the_work);

/// How often all four race, each time for another invoice.
const RACES: i64 = 40;
/// When the race is: the invoice was made before, and its time is over.
const RACE: u64 = 10;

/// What can happen to an invoice that awaits approval.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    Approve,
    Change,
    Delete,
    Expire,
}

const EVENTS: [Event; 4] = [Event::Approve, Event::Change, Event::Delete, Event::Expire];

/// What whoever wanted it was told.
#[derive(Debug)]
enum Told {
    Approval(Approval),
    Expired(i64),
    TakenIn,
}

impl Event {
    async fn happen(self, store: &dyn Store, number: i64, invoice: &str) -> Told {
        let at = later(RACE);
        let take_in = async |received: Received| {
            let applied = store.apply(&received, &Random::from_os(), at).await.unwrap();
            assert!(matches!(applied, Applied::Done(_)), "{applied:?}");
            Told::TakenIn
        };
        match self {
            Self::Approve => {
                let seen = IfMatch::Versions(vec![1]);
                Told::Approval(store.approve(invoice, Some(&seen), Nothing, at).await.unwrap())
            }
            Self::Change => take_in(pulled(order(number, 2, 2))).await,
            Self::Delete => take_in(pulled(deleted(number, 3))).await,
            Self::Expire => Told::Expired(store.expire(at, 100, at).await.unwrap()),
        }
    }
}

async fn exactly_one_happens(fixture: Fixture) {
    let stores = [fixture.store.clone(), fixture.another().await];
    let mut winners = BTreeSet::new();
    // Once with each of them so early that it must win, then with nothing to tell them apart.
    let early = EVENTS.map(Some).into_iter().chain((0..RACES).map(|_| None));
    for (number, early) in (1..).zip(early) {
        fixture.take_in(&pulled(order(number, 1, 1))).await;
        let invoice = fixture.in_state(number, AwaitingApproval).await.remove(0).id;
        let told = race(&stores, number, &invoice, early).await;
        let winner = judge(&fixture, number, &invoice, told).await;
        assert!(early.is_none_or(|early| early == winner), "{winner:?} instead of {early:?}");
        winners.insert(winner);
    }
    assert_eq!(winners, BTreeSet::from(EVENTS));

    let invoices = fixture.invoices().await;
    let numbers = |of: fn(&Invoice) -> Option<&String>| {
        invoices.iter().filter_map(of).cloned().collect::<BTreeSet<_>>()
    };
    let given = numbers(|invoice| invoice.number.as_ref());
    let without_gaps = |prefix| (1..=given.len()).map(move |n| format!("{prefix}2026-{n:06}"));
    assert_eq!(given, without_gaps("").collect());
    // All were deleted in the end, so each that was approved is credited.
    assert_eq!(
        numbers(|invoice| invoice.credit_note_number.as_ref()),
        without_gaps("C-").collect()
    );
}

/// Lets all four happen at once, one of them before the others when it is named; what each was told.
async fn race(
    stores: &[Arc<dyn Store>; 2],
    number: i64,
    invoice: &str,
    early: Option<Event>,
) -> Vec<Told> {
    let mut told = Vec::new();
    if let Some(event) = early {
        told.push(event.happen(&*stores[0], number, invoice).await);
    }
    let rest: Vec<_> = EVENTS.into_iter().filter(|event| Some(*event) != early).collect();
    let start = Arc::new(Barrier::new(rest.len()));
    let mut running: Vec<JoinHandle<Told>> = Vec::new();
    for (place, event) in rest.into_iter().enumerate() {
        // Over the rounds each comes to be in the one process and in the other.
        let store = Arc::clone(&stores[(place + usize::try_from(number).unwrap()) % 2]);
        let (start, invoice) = (Arc::clone(&start), invoice.to_owned());
        running.push(tokio::spawn(async move {
            start.wait().await;
            event.happen(&*store, number, &invoice).await
        }));
    }
    for task in running {
        told.push(task.await.unwrap());
    }
    told
}

/// Which came first; checks that what is there now, and what everybody was told, agree with it.
async fn judge(fixture: &Fixture, number: i64, id: &str, told: Vec<Told>) -> Event {
    let filter = InvoiceFilter { order_number: Some(number), ..InvoiceFilter::default() };
    let invoices = fixture.store.invoices(&filter, 10).await.unwrap();
    let invoice = invoices.iter().find(|invoice| invoice.id == id).unwrap();
    let others: Vec<_> = invoices.iter().filter(|invoice| invoice.id != id).collect();
    assert!(!invoices.iter().any(|invoice| invoice.state.is_live()), "{invoices:?}");

    let (mut approval, mut expired) = (None, None);
    for told in told {
        match told {
            Told::Approval(told) => approval = Some(told),
            Told::Expired(count) => expired = Some(count),
            Told::TakenIn => {}
        }
    }
    assert_eq!(expired, Some(i64::from(invoice.state == Expired)), "{invoices:?}");
    let approval = approval.unwrap();
    match (invoice.state, invoice.order_version) {
        (Credited, 1) => {
            let Approval::Approved(approved) = approval else { panic!("{approval:?}") };
            assert_eq!((approved.state, approved.version), (Approved, 2));
            assert_eq!((&approved.number, invoice.version), (&invoice.number, 3));
            // Replaced when the change came before the deletion.
            assert!(others.len() <= 1, "{invoices:?}");
            for replacement in others {
                assert_eq!(replacement.replaces.as_deref(), Some(id));
                assert_eq!(replacement.state, Withdrawn);
            }
            Event::Approve
        }
        (Expired, 1) => {
            is_told(approval, invoice, "expired on 1 May 2026");
            // A new one was made when the change came before the deletion.
            assert!(
                others.iter().all(|other| other.state == Withdrawn && other.replaces.is_none())
            );
            Event::Expire
        }
        (Withdrawn, 1) => {
            is_told(approval, invoice, "withdrawn on 1 May 2026");
            assert_eq!(others, Vec::<&Invoice>::new());
            Event::Delete
        }
        // Changed in place, and deleted later on.
        (Withdrawn, 2) => {
            match approval {
                Approval::VersionConflict(now) => {
                    assert_eq!((now.state, now.version), (AwaitingApproval, 2));
                    assert_eq!(now.order_version, 2);
                }
                closed => is_told(closed, invoice, "withdrawn on 1 May 2026"),
            }
            assert_eq!(others, Vec::<&Invoice>::new());
            Event::Change
        }
        _ => panic!("{invoices:?}"),
    }
}

/// The approval came too late, and was told what really happened.
fn is_told(approval: Approval, invoice: &Invoice, words: &str) {
    let Approval::Closed { invoice: closed, replacement: None } = approval else {
        panic!("{approval:?}")
    };
    assert_eq!(*closed, *invoice);
    let ending = closed.ending(None).unwrap();
    assert!(ending.contains(words), "{ending}");
}

async fn two_that_expire_share_the_work(fixture: Fixture) {
    let other = fixture.another().await;
    for first in (1..=100).step_by(10) {
        let orders = (first..first + 10).map(|number| order(number, 1, 1).into()).collect();
        fixture.take_in(&Received { orders, ..pulled(order(1, 1, 1)) }).await;
        let step = |store: Arc<dyn Store>| async move {
            store.expire(later(RACE), 6, later(RACE)).await.unwrap()
        };
        let (one, another) = tokio::join!(
            tokio::spawn(step(Arc::clone(&fixture.store))),
            tokio::spawn(step(Arc::clone(&other))),
        );
        let shared = one.unwrap() + another.unwrap();
        // What the one holds, the other passes over; the next turn finds the rest.
        let rest = fixture.store.expire(later(RACE), 6, later(RACE)).await.unwrap();
        assert_eq!(shared + rest, 10);
    }
    let invoices = fixture.invoices().await;
    assert_eq!(invoices.len(), 100);
    for invoice in invoices {
        assert_eq!((invoice.state, invoice.version), (Expired, 2), "each exactly once");
    }
}
