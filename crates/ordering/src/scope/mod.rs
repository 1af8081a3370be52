//! The unit of work behind every write.
//!
//! A [`Scope`] collects what is to be created, changed or deleted. [`Scope::resolve`] then looks at
//! all of it together, beside what is stored: either all of it may be written, and the [`Plan`]
//! holds everything that follows from it (totals, versions, the customer's copy); or nothing may,
//! and [`Refused`] holds everything that is in the way. Resolving changes neither the scope nor
//! the store, so what was derived for a write that is refused is gone with the plan that never
//! came about, and what was asked for is still there to be mended.
//!
//! The store does the rest in one transaction: it locks and loads what the scope names, resolves,
//! and writes the plan.

mod resolve;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use contract::order::Order;
use contract::problem::Violation;
use contract::time::Timestamp;
use kit::http::etag::IfMatch;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::order::{Customer, CustomerInput, OrderInput};

/// What is to be written, all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    customers: Vec<CustomerChange>,
    orders: Vec<OrderChange>,
    imports: Vec<ImportedOrder>,
}

/// A customer as it is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
struct CustomerChange {
    id: String,
    /// Which version is replaced; `None` for a new customer.
    replaces: Option<IfMatch>,
    input: CustomerInput,
}

/// What is to become of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
struct OrderChange {
    /// `None` for a new order, which gets its number when it is written.
    number: Option<i64>,
    /// The version that the change is meant for; `None`: any.
    expected: Option<IfMatch>,
    to_do: ToDo,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum ToDo {
    /// Its whole content; also confirmed then, or as it was.
    Write {
        input: OrderInput,
        confirm: bool,
    },
    Confirm,
    Delete,
}

/// An order from another system, or a made-up one, to be kept as confirmed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportedOrder {
    /// Names the customer in the other system: the same id is the same customer.
    pub external_customer_id: String,
    /// An id for the customer when it is new.
    pub new_customer_id: String,
    /// The customer as it stands in this order; also the customer's own content when it is new.
    pub customer: CustomerInput,
    /// The order; its `customer_id` is not read, its `reference` is set.
    pub input: OrderInput,
    /// When it was confirmed in the other system.
    pub confirmed_at: Timestamp,
}

impl Scope {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a new customer.
    pub fn create_customer(&mut self, id: String, input: CustomerInput) {
        self.add_customer(CustomerChange { id, replaces: None, input });
    }

    /// Adds a customer who exists, with other content.
    pub fn update_customer(&mut self, id: String, expected: IfMatch, input: CustomerInput) {
        self.add_customer(CustomerChange { id, replaces: Some(expected), input });
    }

    /// Adds a new order. Its customer may be one of this scope.
    pub fn create_order(&mut self, input: OrderInput, confirm: bool) {
        let to_do = ToDo::Write { input, confirm };
        self.orders.push(OrderChange { number: None, expected: None, to_do });
    }

    /// Adds an order that exists, with other content.
    pub fn replace_order(
        &mut self,
        number: i64,
        expected: IfMatch,
        input: OrderInput,
        confirm: bool,
    ) {
        self.add_order(number, Some(expected), ToDo::Write { input, confirm });
    }

    /// Adds the confirmation of an order; one that is confirmed stays as it is.
    pub fn confirm_order(&mut self, number: i64, expected: Option<IfMatch>) {
        self.add_order(number, expected, ToDo::Confirm);
    }

    /// Adds the deletion of an order; one that is deleted stays as it is.
    pub fn delete_order(&mut self, number: i64, expected: Option<IfMatch>) {
        self.add_order(number, expected, ToDo::Delete);
    }

    /// Adds an order of another system. One whose reference an order has already is left out; its
    /// customer is found, or made, by the external id.
    pub fn import_order(&mut self, order: ImportedOrder) {
        self.imports.push(order);
    }

    /// Of a customer that is added twice only the last version counts. A new one stays new, and one
    /// who exists stays one who exists.
    fn add_customer(&mut self, change: CustomerChange) {
        match self.customers.iter_mut().find(|earlier| earlier.id == change.id) {
            Some(earlier) => {
                let before = earlier.replaces.take();
                let replaces = before.map(|before| change.replaces.unwrap_or(before));
                *earlier = CustomerChange { replaces, ..change };
            }
            None => self.customers.push(change),
        }
    }

    /// Of an order that is added twice only the last version counts; to be confirmed is no
    /// version, but something that happens to whichever it is.
    fn add_order(&mut self, number: i64, expected: Option<IfMatch>, to_do: ToDo) {
        let earlier = self.orders.iter_mut().find(|earlier| earlier.number == Some(number));
        let Some(earlier) = earlier else {
            self.orders.push(OrderChange { number: Some(number), expected, to_do });
            return;
        };
        if expected.is_some() {
            earlier.expected = expected;
        }
        match (&mut earlier.to_do, to_do) {
            (ToDo::Write { confirm, .. }, ToDo::Confirm) => *confirm = true,
            (ToDo::Write { confirm: true, .. } | ToDo::Confirm, ToDo::Write { input, .. }) => {
                earlier.to_do = ToDo::Write { input, confirm: true };
            }
            (_, last) => earlier.to_do = last,
        }
    }

    /// The customers whose content this changes: they are to be locked.
    pub(crate) fn changed_customers(&self) -> BTreeSet<&str> {
        let changed = self.customers.iter().filter(|change| change.replaces.is_some());
        changed.map(|change| change.id.as_str()).collect()
    }

    /// The other customers whom this names.
    pub(crate) fn named_customers(&self) -> BTreeSet<&str> {
        let named = self.orders.iter().filter_map(|change| match &change.to_do {
            ToDo::Write { input, .. } => Some(input.customer_id.as_str()),
            ToDo::Confirm | ToDo::Delete => None,
        });
        named.filter(|id| self.customers.iter().all(|change| change.id != *id)).collect()
    }

    /// The orders that this changes: they are to be locked.
    pub(crate) fn changed_orders(&self) -> BTreeSet<i64> {
        self.orders.iter().filter_map(|change| change.number).collect()
    }

    /// The orders that this imports.
    pub(crate) fn imports(&self) -> &[ImportedOrder] {
        &self.imports
    }
}

/// What is stored of all that a [`Scope`] names.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// By id.
    pub customers: HashMap<String, Customer>,
    /// By number.
    pub orders: HashMap<i64, Order>,
    /// Ids of the customers of another system, by what they are called there.
    pub external_customers: HashMap<String, String>,
    /// References of the scope's imports that an order has already.
    pub known_references: HashSet<String>,
}

/// Everything that a scope comes to: what is written if it is written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Customers in the scope's order, then those that imports make.
    pub customers: Vec<PlannedCustomer>,
    /// Orders in the scope's order, then the imported ones.
    pub orders: Vec<PlannedOrder>,
}

/// A customer to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedCustomer {
    /// `Created`, `Changed` or `Imported`.
    pub action: Action,
    /// As it is to be stored.
    pub customer: Customer,
    /// What it is called in the system it was imported from.
    pub external_id: Option<String>,
}

/// An order to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedOrder {
    /// `None` when nothing is to be done with it.
    pub action: Option<Action>,
    /// As it is to be stored; the number of a new one is 0 until the database gives it one.
    pub order: Order,
    /// Whether its lines are other ones than those that are stored.
    pub replaces_lines: bool,
}

/// How a write changes an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Created,
    /// It has other content.
    Changed,
    /// It was a draft.
    Confirmed,
    /// It is a tombstone now.
    Deleted,
    /// It is new here, and comes from another system.
    Imported,
}

impl Action {
    const ALL: [Self; 5] =
        [Self::Created, Self::Changed, Self::Confirmed, Self::Deleted, Self::Imported];

    /// The word for it in documents and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Confirmed => "confirmed",
            Self::Deleted => "deleted",
            Self::Imported => "imported",
        }
    }

    /// The action that `word` names; `None` when there is no such action.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }

    /// Whether the object was not there before.
    pub const fn is_new(self) -> bool {
        matches!(self, Self::Created | Self::Imported)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why nothing of a scope may be written: everything that is in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// At least one.
    pub faults: Vec<Fault>,
}

/// Something that is in the way of a write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What kind of object is at fault.
    pub kind: Kind,
    /// What is the matter with it.
    pub reason: Reason,
}

/// Kinds of objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A customer; its key is its id.
    Customer,
    /// An order with its lines; its key is its number.
    Order,
}

impl Kind {
    /// The word for it in documents and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Order => "order",
        }
    }

    /// The kind that `word` names; `None` when there is no such kind.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Customer, Self::Order].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Why an object may not be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// There is none with this key.
    Missing,
    /// The order is deleted and stays as it is.
    Deleted,
    /// A rule; the pointer is relative to the object.
    Invalid(Violation),
    /// The change was meant for another version than this current one.
    Stale(i64),
}

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Committed {
    /// Names the transaction; kept only when something was written.
    pub transaction: String,
    /// As they are stored now, in the plan's order.
    pub customers: Vec<Customer>,
    /// As they are stored now, in the plan's order; those with which nothing was to be done too.
    pub orders: Vec<Order>,
}

/// What became of a scope.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a scope may be refused"]
pub enum Outcome {
    /// It is written.
    Done(Committed),
    /// It was written when it was sent first with the same idempotency key: the answer of then.
    Repeated(Committed),
    /// Nothing is written.
    Refused(Refused),
    /// Nothing is written: its idempotency key was used before, with another request.
    KeyReused,
}
