//! A client that writes what comes to its mind, or follows links and approves, and keeps book.

use std::sync::atomic::{AtomicBool, Ordering as Atomic};
use std::time::Duration;

use contract::order::{Order, OrderState};
use contract::problem::ProblemCode;
use e2e::api::{Failure, Result};
use e2e::billing::Billing;
use e2e::ordering::{Ordering, content};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::ledger::{Action, Ledger};

/// Between two steps: the processes are to meet faults while they work, not while they drown.
const BREATH: Duration = Duration::from_millis(5);
/// So many of the newest orders are written more often than others, by all writers at once.
const HOT: usize = 10;

pub(crate) struct Client<'a> {
    id: u64,
    ordering: Ordering,
    billing: Billing,
    customer: String,
    ledger: &'a Ledger,
    random: StdRng,
    written: u64,
}

impl<'a> Client<'a> {
    pub(crate) fn new(
        id: u64,
        ordering: Ordering,
        billing: Billing,
        customer: &str,
        ledger: &'a Ledger,
        random: StdRng,
    ) -> Self {
        Self { id, ordering, billing, customer: customer.to_owned(), ledger, random, written: 0 }
    }

    /// Writes until `stop`; every creation that was begun is brought to its end.
    pub(crate) async fn write(mut self, stop: &AtomicBool) {
        while !stop.load(Atomic::Relaxed) {
            match self.random.random_range(0..10) {
                0..=1 => self.create().await,
                2 => self.create_nested().await,
                3 => self.change_nested().await,
                _ => self.change().await,
            }
            sleep(BREATH).await;
        }
    }

    /// Follows links and approves until `stop`, as people do in a browser.
    pub(crate) async fn visit(mut self, stop: &AtomicBool) {
        while !stop.load(Atomic::Relaxed) {
            match self.random.random_range(0..3) {
                0 => self.approve().await,
                _ => self.follow_link().await,
            }
            sleep(BREATH).await;
        }
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
        for _ in 0..=self.random.random_range(0..2) {
            let order =
                in_the_end(async || self.ordering.create(&content, Some(&note)).await).await;
            assert_eq!((order.version, order.note.as_deref()), (1, Some(note.as_str())));
            self.ledger.created(order.number, OrderState::Draft, &note);
        }
    }

    /// Creates a customer and an order of theirs, confirmed or not, in one request, which is
    /// repeated like the others.
    async fn create_nested(&mut self) {
        let (content, note) = self.content();
        let confirm = self.random.random_bool(0.7);
        let state = if confirm { OrderState::Confirmed } else { OrderState::Draft };
        let customer = json!({ "name": "Bo Nested", "email": "bo@example.com" });
        let document = nested(&customer, content, confirm);
        for _ in 0..=self.random.random_range(0..2) {
            let (number, version) = self.write_nested(&document, &note).await.expect("it is new");
            assert_eq!(version, 1, "order {number}");
            self.ledger.created(number, state, &note);
        }
    }

    /// Changes some order that is not deleted, in one request under a key: repeated until it is
    /// known what became of it.
    async fn change_nested(&mut self) {
        let Some(number) = self.some_number() else { return };
        let Ok(order) = self.ordering.order(number).await else { return };
        let (mut content, note) = self.content();
        content["number"] = number.into();
        content["version"] = order.version.into();
        let document = nested(&json!({ "id": self.customer }), content, false);
        if let Some(written) = self.write_nested(&document, &note).await {
            assert_eq!(written, (number, order.version + 1));
            self.ledger.accepted_write(number, order.version, Action::Edit(note));
        }
    }

    /// Number and version of the order that was written; `None` when somebody else was quicker.
    async fn write_nested(&self, document: &Value, key: &str) -> Option<(i64, i64)> {
        let written = in_the_end(async || match self.ordering.nested(document, key).await {
            Ok(transaction) => Ok(Some(transaction)),
            Err(failure) if is_lost(&failure) => Ok(None),
            Err(failure) => Err(failure),
        });
        let transaction = written.await?;
        let path = format!("/api/v1/transactions/{transaction}");
        let told: Value = in_the_end(async || self.ordering.get(&path).await).await;
        let entities = told["entities"].as_array().expect("a transaction has entities");
        let order = entities.iter().find(|entity| entity["kind"] == "order").expect("one order");
        let number = order["key"].as_str().and_then(|key| key.parse().ok());
        Some((number.expect("its key is its number"), order["version"].as_i64()?))
    }

    /// Changes some order as it is now, if nobody else is quicker.
    async fn change(&mut self) {
        let Some(number) = self.some_number() else { return };
        let Ok(order) = self.ordering.order(number).await else { return };
        let (content, note) = self.content();
        let ordering = &self.ordering;
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
            Err(failure) if is_lost(&failure) => {}
            // The connection to the database may have broken off with the answer to a commit.
            Err(failure) => {
                assert_passing(&failure);
                self.ledger.unknown_write(number, order.version, action);
            }
        }
    }

    /// A deleted order stays as it is.
    async fn change_deleted(&mut self, order: &Order, content: &Value) {
        match self.ordering.replace(order.number, order.version, content).await {
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
        let filter = format!("orderNumber={number}&state=awaiting_approval");
        let Ok(invoices) = self.billing.invoices(&filter).await else { return };
        for invoice in &invoices {
            match self.billing.approve(invoice).await {
                Ok(approved) => self.ledger.approved(&approved),
                Err(failure) if is_lost(&failure) => {}
                Err(failure) => assert_passing(&failure),
            }
        }
    }

    /// Pulls an order by its number, as somebody in a browser does.
    async fn follow_link(&mut self) {
        let Some(number) = self.some_number() else { return };
        let Ok(answer) = self.billing.follow_link(number).await else { return };
        let status = answer.status().as_u16();
        // The invoice; a draft, which billing does not know; ordering being away.
        assert!([303, 404, 503].contains(&status), "the deep link answered {status}");
    }
}

/// A customer with the order that `content` describes.
fn nested(customer: &Value, mut content: Value, confirm: bool) -> Value {
    content.as_object_mut().expect("an order is an object").remove("customerId");
    json!({ "customer": customer, "order": content, "confirm": confirm })
}

/// Asks until there is an answer, which is what a client does who repeats under a key.
async fn in_the_end<T>(ask: impl AsyncFn() -> Result<T>) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(failure) => assert_passing(&failure),
        }
        sleep(BREATH).await;
    }
}

/// Somebody else was quicker: nothing was changed.
fn is_lost(failure: &Failure) -> bool {
    matches!(failure.code(), Some(ProblemCode::VersionConflict | ProblemCode::Conflict))
}

/// Nobody answered, or the service cannot right now.
fn assert_passing(failure: &Failure) {
    let passing = [None, Some(ProblemCode::Unavailable)];
    assert!(passing.contains(&failure.code()), "{failure:?}");
}
