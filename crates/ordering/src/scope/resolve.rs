//! Resolving a scope: all rules over all that was collected, and everything that follows from it.
//!
//! Pure: it sees what is stored and says what is to be stored.

use std::collections::HashMap;

use contract::feed::SequenceNr;
use contract::order::{self, Order, OrderState};
use contract::problem::Violation;
use contract::time::Timestamp;
use kit::http::etag::IfMatch;

use super::{
    Action, CustomerChange, Fault, ImportedOrder, Kind, OrderChange, Plan, PlannedCustomer,
    PlannedOrder, Reason, Refused, Scope, Stored, ToDo,
};
use crate::order::{Customer, CustomerInput, OrderInput};

impl Scope {
    /// What is to be written at `at`, given what is stored.
    ///
    /// # Errors
    /// Everything that is in the way; then nothing may be written.
    pub fn resolve(&self, stored: &Stored, at: Timestamp) -> Result<Plan, Refused> {
        let mut resolving =
            Resolving { scope: self, stored, at, plan: Plan::default(), faults: Vec::new() };
        for change in &self.customers {
            resolving.customer(change);
        }
        for change in &self.orders {
            resolving.order(change);
        }
        resolving.imports();
        if resolving.faults.is_empty() {
            Ok(resolving.plan)
        } else {
            Err(Refused { faults: resolving.faults })
        }
    }
}

struct Resolving<'a> {
    scope: &'a Scope,
    stored: &'a Stored,
    at: Timestamp,
    /// Of use only when there are no faults in the end.
    plan: Plan,
    faults: Vec<Fault>,
}

impl Resolving<'_> {
    fn customer(&mut self, change: &CustomerChange) {
        self.violations(Kind::Customer, change.input.violations());
        let at = self.at;
        let before = self.stored.customers.get(&change.id);
        let (action, version, created_at) = match (&change.replaces, before) {
            (None, _) => (Action::Created, 1, at),
            (Some(_), None) => return self.fault(Kind::Customer, Reason::Missing),
            (Some(expected), Some(before)) => {
                self.version(Kind::Customer, Some(expected), before.version);
                (Action::Changed, before.version + 1, before.created_at)
            }
        };
        let (id, input) = (change.id.clone(), change.input.clone());
        let customer = Customer { id, version, input, created_at, changed_at: at };
        self.plan.customers.push(PlannedCustomer { action, customer, external_id: None });
    }

    fn order(&mut self, change: &OrderChange) {
        let planned = match change.number {
            None => self.new_order(change),
            Some(number) => match self.stored.orders.get(&number) {
                None => return self.fault(Kind::Order, Reason::Missing),
                Some(before) => self.changed_order(change, before),
            },
        };
        self.plan.orders.extend(planned);
    }

    fn new_order(&mut self, change: &OrderChange) -> Option<PlannedOrder> {
        // Only what has a number can be confirmed or deleted as it is.
        let ToDo::Write { input, confirm } = &change.to_do else { return None };
        let state = if *confirm { OrderState::Confirmed } else { OrderState::Draft };
        let confirmed_at = confirm.then_some(self.at);
        let mut order = Order { state, confirmed_at, ..empty_draft(self.at) };
        self.write(&mut order, input);
        Some(PlannedOrder { action: Some(Action::Created), order, replaces_lines: true })
    }

    fn changed_order(&mut self, change: &OrderChange, before: &Order) -> Option<PlannedOrder> {
        let untouched =
            || Some(PlannedOrder { action: None, order: before.clone(), replaces_lines: false });
        match (&change.to_do, before.state) {
            // Whoever repeats a request whose answer was lost still sends the version of before.
            (ToDo::Confirm, OrderState::Confirmed) | (ToDo::Delete, OrderState::Deleted) => {
                return untouched();
            }
            (_, OrderState::Deleted) => {
                self.fault(Kind::Order, Reason::Deleted);
                return None;
            }
            _ => {}
        }
        self.version(Kind::Order, change.expected.as_ref(), before.version);
        let mut order = Order {
            version: before.version + 1,
            confirmed_sequence_nr: SequenceNr::UNSTAMPED,
            changed_at: self.at,
            ..before.clone()
        };
        let mut replaces_lines = false;
        let action = match &change.to_do {
            ToDo::Write { input, confirm } => {
                replaces_lines = true;
                self.write(&mut order, input);
                if *confirm { self.confirm(&mut order) } else { Action::Changed }
            }
            ToDo::Confirm => self.confirm(&mut order),
            ToDo::Delete => {
                order.state = OrderState::Deleted;
                order.deleted_at = Some(self.at);
                Action::Deleted
            }
        };
        Some(PlannedOrder { action: Some(action), order, replaces_lines })
    }

    /// Draft to confirmed; a confirmed order stays confirmed.
    fn confirm(&self, order: &mut Order) -> Action {
        if order.state == OrderState::Confirmed {
            return Action::Changed;
        }
        order.state = OrderState::Confirmed;
        order.confirmed_at = Some(self.at);
        // The draft was read with its customer as it is stored; the scope may change it.
        if let Some(customer) = self.customer_of_scope(&order.customer.id) {
            order.customer = customer;
        }
        Action::Confirmed
    }

    /// Gives the order its whole content.
    fn write(&mut self, order: &mut Order, input: &OrderInput) {
        let violations = input.violations();
        match self.customer_of(&input.customer_id) {
            Some(customer) => order.customer = customer,
            // Of an id that is no id at all the rules say enough.
            None if violations.iter().any(|violation| violation.pointer == "/customerId") => {}
            None => self.fault(Kind::Order, Reason::Invalid(unknown_customer())),
        }
        self.violations(Kind::Order, violations);
        set_content(order, input);
    }

    fn imports(&mut self) {
        // What this very scope imports is known to those behind it.
        let mut known = self.stored.known_references.clone();
        let mut customers: HashMap<&str, String> = HashMap::new();
        let scope = self.scope;
        for import in &scope.imports {
            let reference = import.input.reference.clone();
            let Some(reference) = reference else {
                let violation = Violation::new("/reference", "required", "must not be empty");
                self.fault(Kind::Order, Reason::Invalid(violation));
                continue;
            };
            if !known.insert(reference) {
                continue;
            }
            let external = import.external_customer_id.as_str();
            let id = match (self.stored.external_customers.get(external), customers.get(external)) {
                (Some(id), _) | (None, Some(id)) => id.clone(),
                (None, None) => self.new_customer(import),
            };
            customers.insert(external, id.clone());
            self.import(import, id);
        }
    }

    /// Makes the customer of an imported order, as the order shows it; its id.
    fn new_customer(&mut self, import: &ImportedOrder) -> String {
        let id = import.new_customer_id.clone();
        let customer = Customer {
            id: id.clone(),
            version: 1,
            input: import.customer.clone(),
            created_at: self.at,
            changed_at: self.at,
        };
        let external_id = Some(import.external_customer_id.clone());
        let action = Action::Imported;
        self.plan.customers.push(PlannedCustomer { action, customer, external_id });
        id
    }

    fn import(&mut self, import: &ImportedOrder, customer_id: String) {
        let input = OrderInput { customer_id: customer_id.clone(), ..import.input.clone() };
        self.violations(Kind::Customer, import.customer.violations());
        self.violations(Kind::Order, input.violations());
        let mut order = Order {
            state: OrderState::Confirmed,
            confirmed_at: Some(import.confirmed_at),
            // As it stands in the order, which may differ from what is known of the customer.
            customer: copy(customer_id, &import.customer),
            ..empty_draft(self.at)
        };
        set_content(&mut order, &input);
        let action = Some(Action::Imported);
        self.plan.orders.push(PlannedOrder { action, order, replaces_lines: true });
    }

    /// The customer with this id as it is to be, or else as it is stored.
    fn customer_of(&self, id: &str) -> Option<order::Customer> {
        self.customer_of_scope(id).or_else(|| {
            let stored = self.stored.customers.get(id)?;
            Some(copy(stored.id.clone(), &stored.input))
        })
    }

    fn customer_of_scope(&self, id: &str) -> Option<order::Customer> {
        let change = self.scope.customers.iter().find(|change| change.id == id)?;
        Some(copy(change.id.clone(), &change.input))
    }

    fn version(&mut self, kind: Kind, expected: Option<&IfMatch>, current: i64) {
        if expected.is_some_and(|expected| !expected.allows(current)) {
            self.fault(kind, Reason::Stale(current));
        }
    }

    fn violations(&mut self, kind: Kind, violations: Vec<Violation>) {
        for violation in violations {
            self.fault(kind, Reason::Invalid(violation));
        }
    }

    fn fault(&mut self, kind: Kind, reason: Reason) {
        self.faults.push(Fault { kind, reason });
    }
}

/// An order's customer does not exist.
fn unknown_customer() -> Violation {
    Violation::new("/customerId", "unknown", "must be the id of a customer")
}

/// The customer as an order shows it.
fn copy(id: String, input: &CustomerInput) -> order::Customer {
    let CustomerInput { name, email, address } = input.clone();
    order::Customer { id, name, email, address }
}

/// The first version of an order, without content yet.
fn empty_draft(at: Timestamp) -> Order {
    Order {
        number: 0,
        state: OrderState::Draft,
        version: 1,
        confirmed_sequence_nr: SequenceNr::UNSTAMPED,
        customer: order::Customer::default(),
        currency: String::new(),
        reference: None,
        note: None,
        lines: Vec::new(),
        net_minor: 0,
        tax_minor: 0,
        total_minor: 0,
        confirmed_at: None,
        changed_at: at,
        deleted_at: None,
    }
}

fn set_content(order: &mut Order, input: &OrderInput) {
    // Totals that do not fit are a violation of their own: then the plan is not used.
    let totals = input.totals().unwrap_or_default();
    order.currency.clone_from(&input.currency);
    order.reference.clone_from(&input.reference);
    order.note.clone_from(&input.note);
    order.lines = input.numbered_lines();
    order.net_minor = totals.net_minor;
    order.tax_minor = totals.tax_minor;
    order.total_minor = totals.total_minor;
}
