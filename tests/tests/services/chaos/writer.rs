//! A client that writes what comes to its mind, to whichever process answers, and keeps book.

use std::sync::Arc;
use std::time::Duration;

use contract::order::{Order, OrderState};
use contract::problem::ProblemCode;
use e2e::api::Failure;
use e2e::billing::Billing;
use e2e::ordering::{Ordering, content};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::ledger::{Action, Ledger};

/// Between two steps: the processes are to be killed while they work, not while they drown.
const BREATH: Duration = Duration::from_millis(5);
/// So many of the newest orders are written more often than others, by all writers at once.
const HOT: usize = 10;

pub(super) struct Writer {
    id: u64,
    orderings: Vec<Ordering>,
    billings: Vec<Billing>,
    customer: String,
    ledger: Arc<Ledger>,
    random: StdRng,
    written: u64,
}

impl Writer {
    pub(super) fn new(
        id: u64,
        orderings: Vec<Ordering>,
        billings: Vec<Billing>,
        customer: &str,
        ledger: Arc<Ledger>,
        random: StdRng,
    ) -> Self {
        Self { id, orderings, billings, customer: customer.to_owned(), ledger, random, written: 0 }
    }

    /// Writes until `end`; every creation that was begun is brought to its end.
    pub(super) async fn run_until(mut self, end: Instant) {
        while Instant::now() < end {
            match self.random.random_range(0..10) {
                0..=1 => self.create().await,
                2 => self.approve().await,
                3 => self.follow_link().await,
                _ => self.change().await,
            }
            sleep(BREATH).await;
        }
    }

    /// One of the ordering processes; it may just be away.
    fn ordering(&mut self) -> Ordering {
        self.orderings[self.random.random_range(0..self.orderings.len())].clone()
    }

    fn billing(&mut self) -> Billing {
        self.billings[self.random.random_range(0..self.billings.len())].clone()
    }

    /// A content that nobody else writes, and the note that tells it from every other. The note
    /// ends with the quantity of the first line.
    fn content(&mut self) -> (Value, String) {
        self.written += 1;
        let quantity = self.random.random_range(1..1000);
        let note = format!("{}.{}x{quantity}", self.id, self.written);
        (content(&self.customer, &note, quantity), note)
    }

    /// Creates a draft, repeating the request under the same key until it is answered, and
    /// sometimes once more.
    async fn create(&mut self) {
        let (content, note) = self.content();
        let mut repetitions = self.random.random_range(0..2);
        loop {
            match self.ordering().create(&content, Some(&note)).await {
                Ok(order) => {
                    assert_eq!((order.version, order.note.as_deref()), (1, Some(note.as_str())));
                    self.ledger.created(&order, &note);
                    if repetitions == 0 {
                        return;
                    }
                    repetitions -= 1;
                }
                Err(failure) => assert_passing(&failure),
            }
            sleep(BREATH).await;
        }
    }

    /// Changes some order as it is now, if nobody else is quicker.
    async fn change(&mut self) {
        let Some(number) = self.some_number() else { return };
        let Ok(order) = self.ordering().order(number).await else { return };
        let (content, note) = self.content();
        let ordering = self.ordering();
        let (action, answer) = match (order.state, self.random.random_range(0..10)) {
            (OrderState::Draft, 0..=5) => {
                (Action::Confirm, ordering.confirm(number, Some(order.version)).await)
            }
            (OrderState::Deleted, _) => return self.change_deleted(&order, &content).await,
            (_, 9) => (Action::Delete, ordering.delete(number, Some(order.version)).await),
            _ => (Action::Edit(note), ordering.replace(number, order.version, &content).await),
        };
        match answer {
            Ok(now) if now.version == order.version + 1 => {
                self.ledger.accepted_write(number, order.version, action);
            }
            // Done already, by somebody who was quicker: then nothing changes.
            Ok(now) => assert!(
                now.version > order.version && !matches!(action, Action::Edit(_)),
                "{action:?} of {order:?}: {now:?}"
            ),
            Err(Failure::NoAnswer(_)) => self.ledger.unknown_write(number, order.version, action),
            Err(failure) => assert_lost_or_passing(&failure),
        }
    }

    /// A deleted order stays as it is.
    async fn change_deleted(&mut self, order: &Order, content: &Value) {
        match self.ordering().replace(order.number, order.version, content).await {
            Ok(now) => panic!("a deleted order was changed: {now:?}"),
            Err(failure) if failure.code() == Some(ProblemCode::Conflict) => {}
            Err(failure) => assert_passing(&failure),
        }
    }

    /// Half of the time one of the newest.
    fn some_number(&mut self) -> Option<i64> {
        let numbers = self.ledger.numbers();
        let newest = numbers.len().saturating_sub(HOT);
        let from = if self.random.random_bool(0.5) { newest } else { 0 };
        (!numbers.is_empty()).then(|| numbers[self.random.random_range(from..numbers.len())])
    }

    async fn approve(&mut self) {
        let Some(number) = self.some_number() else { return };
        let billing = self.billing();
        let filter = format!("orderNumber={number}&state=awaiting_approval");
        let Ok(invoices) = billing.invoices(&filter).await else { return };
        for invoice in &invoices {
            match billing.approve(invoice).await {
                Ok(approved) => self.ledger.approved(&approved),
                Err(Failure::NoAnswer(_)) => {}
                Err(failure) => assert_lost_or_passing(&failure),
            }
        }
    }

    /// Pulls an order by its number, as somebody in a browser does.
    async fn follow_link(&mut self) {
        let Some(number) = self.some_number() else { return };
        let Ok(answer) = self.billing().follow_link(number).await else { return };
        let status = answer.status().as_u16();
        // The invoice; a draft, which billing does not know; ordering being away.
        assert!([303, 404, 503].contains(&status), "the deep link answered {status}");
    }
}

/// Somebody else was quicker, or the service cannot right now: nothing was changed.
fn assert_lost_or_passing(failure: &Failure) {
    let lost = [Some(ProblemCode::VersionConflict), Some(ProblemCode::Conflict)];
    if !lost.contains(&failure.code()) {
        assert_passing(failure);
    }
}

/// Nobody answered, or the service cannot right now.
fn assert_passing(failure: &Failure) {
    let passing = [None, Some(ProblemCode::Unavailable)];
    assert!(passing.contains(&failure.code()), "{failure:?}");
}
