//! What the writers did and were told, to be held against what is there in the end.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard};

use contract::order::{Order, OrderState};
use e2e::billing::Invoice;

/// What a write wants.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Action {
    /// A new content, with this note.
    Edit(String),
    /// Draft to confirmed.
    Confirm,
    /// To deleted.
    Delete,
}

/// A write of version `base`: if it is carried out, it makes version `base + 1`.
#[derive(Clone, Debug)]
struct Write {
    base: i64,
    action: Action,
    /// Whether it was answered with success; else it may be there all the same.
    accepted: bool,
}

#[derive(Debug)]
struct Entry {
    /// Draft, or confirmed at once.
    created_in: OrderState,
    /// The note that the order was created with.
    created_as: String,
    writes: Vec<Write>,
}

/// Everything that was accepted or may have been.
#[derive(Default, Debug)]
pub(crate) struct Ledger {
    orders: Mutex<BTreeMap<i64, Entry>>,
    /// Numbers of approved invoices by id.
    approvals: Mutex<BTreeMap<String, String>>,
}

impl Ledger {
    fn orders(&self) -> MutexGuard<'_, BTreeMap<i64, Entry>> {
        self.orders.lock().expect("no writer panics while it holds the ledger")
    }

    /// An order was created, with this note; a repetition of the request gave it again.
    pub(crate) fn created(&self, number: i64, state: OrderState, note: &str) {
        let mut orders = self.orders();
        let entry = orders.entry(number).or_insert_with(|| Entry {
            created_in: state,
            created_as: note.to_owned(),
            writes: Vec::new(),
        });
        assert_eq!(entry.created_as, note, "order {number} was given out twice");
    }

    /// A write was accepted.
    pub(crate) fn accepted_write(&self, number: i64, base: i64, action: Action) {
        self.write(number, Write { base, action, accepted: true });
    }

    /// Whether a write was carried out is not known.
    pub(crate) fn unknown_write(&self, number: i64, base: i64, action: Action) {
        self.write(number, Write { base, action, accepted: false });
    }

    fn write(&self, number: i64, write: Write) {
        let mut orders = self.orders();
        orders.get_mut(&number).expect("only known orders are written").writes.push(write);
    }

    /// An invoice was approved, and given this number.
    pub(crate) fn approved(&self, invoice: &Invoice) {
        let number = invoice.number.clone().expect("an approved invoice has a number");
        let mut approvals = self.approvals.lock().expect("no writer panics while it holds it");
        let known = approvals.entry(invoice.id.clone()).or_insert_with(|| number.clone());
        assert_eq!(*known, number, "the number of an invoice has changed");
    }

    /// The orders so far.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        self.orders().keys().copied().collect()
    }

    /// How many writes were accepted, creations included.
    pub(crate) fn accepted(&self) -> usize {
        let orders = self.orders();
        let writes = orders.values().flat_map(|entry| &entry.writes);
        orders.len() + writes.filter(|write| write.accepted).count()
    }

    /// How many writes may have been carried out or not.
    pub(crate) fn unknown(&self) -> usize {
        let orders = self.orders();
        orders.values().flat_map(|entry| &entry.writes).filter(|write| !write.accepted).count()
    }

    /// Where what is there contradicts what was accepted.
    pub(crate) fn contradictions(&self, orders: &[Order], invoices: &[Invoice]) -> Vec<String> {
        let entries = self.orders();
        let mut wrong = Vec::new();
        let there: Vec<_> = orders.iter().map(|order| order.number).collect();
        let known: Vec<_> = entries.keys().copied().collect();
        if there != known {
            wrong.push(format!(
                "these orders were created:\n{known:?}, these are there:\n{there:?}"
            ));
        }
        for order in orders {
            if let Some(entry) = entries.get(&order.number) {
                wrong.extend(entry.contradiction(order).map(|why| format!("{why}: {order:?}")));
            }
        }
        for (id, number) in self.approvals.lock().expect("all writers have ended").iter() {
            let invoice = invoices.iter().find(|invoice| invoice.id == *id);
            if invoice.and_then(|invoice| invoice.number.as_ref()) != Some(number) {
                wrong.push(format!("invoice {id} was approved as {number}: {invoice:?}"));
            }
        }
        wrong
    }
}

impl Entry {
    /// Each version was made by one write of the version before it: by the one that was accepted,
    /// else by one of those that may have been carried out. Together they made state and content.
    ///
    /// Several may be told that their confirmation, or deletion, is done: it is one and the same.
    fn contradiction(&self, order: &Order) -> Option<String> {
        let mut possible = HashSet::from([(self.created_in.as_str(), self.created_as.clone())]);
        for base in 1..order.version {
            let of_base = || self.writes.iter().filter(move |write| write.base == base);
            let accepted: HashSet<_> =
                of_base().filter(|write| write.accepted).map(|write| &write.action).collect();
            let makers = match accepted.len() {
                0 => of_base().map(|write| &write.action).collect(),
                _ => accepted.clone(),
            };
            if makers.is_empty() || accepted.len() > 1 {
                return Some(format!("version {} was made by {makers:?}", base + 1));
            }
            let made = |before: &(&'static str, String), action: &Action| match action {
                Action::Edit(note) => (before.0, note.clone()),
                Action::Confirm => (OrderState::Confirmed.as_str(), before.1.clone()),
                Action::Delete => (OrderState::Deleted.as_str(), before.1.clone()),
            };
            possible = possible
                .iter()
                .flat_map(|before| makers.iter().map(move |action| made(before, action)))
                .collect();
        }
        if let Some(lost) = self.writes.iter().find(|w| w.accepted && w.base >= order.version) {
            return Some(format!("{lost:?} was accepted and is not there"));
        }
        let note = order.note.clone().unwrap_or_default();
        // Header and lines are of one write.
        let whole = note.ends_with(&format!("x{}", order.lines[0].quantity));
        let explained = whole && possible.contains(&(order.state.as_str(), note));
        (!explained).then(|| format!("state and content should be {possible:?}"))
    }
}
