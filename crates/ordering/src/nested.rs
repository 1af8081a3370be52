//! A customer, an order and its lines as one document: read into one scope, so that all of it is
//! written or nothing.
//!
//! What has a key is updated and must name its current version, what has none is created; a
//! customer may be named by its id alone.

use contract::problem::{Problem, ProblemCode, Violation};
use kit::http::etag::IfMatch;
use kit::http::read::{ObjectReader, Violations};
use serde::Serialize;
use serde_json::Value;

use crate::document::{customer_content, order_content};
use crate::error::{self, ORDER_NOT_ACCEPTED};
use crate::order::{CustomerInput, OrderInput};
use crate::scope::{Fault, Kind, Reason, Refused, Scope};

/// A customer, an order and its lines, as a document gives them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Nested {
    /// `None` when it could not be read.
    customer: Option<Customer>,
    /// `None` when it could not be read.
    order: Option<Order>,
    confirm: bool,
}

impl Nested {
    /// Reads a document, and what is wrong with it; then it is only good for finding out what else
    /// is wrong.
    pub fn read(document: &Value) -> (Self, Violations) {
        let mut violations = Violations::new();
        let mut reader = ObjectReader::new(document, String::new(), &mut violations);
        let nested = Self {
            customer: reader.object("customer", customer),
            order: reader.object("order", order),
            confirm: reader.optional_bool("confirm").unwrap_or_default(),
        };
        reader.finish();
        (nested, violations)
    }

    /// What is to be written. A new customer gets `new_customer_id`.
    pub fn scope(&self, new_customer_id: String) -> Scope {
        let mut scope = Scope::new();
        let customer_id = match self.customer.clone() {
            Some(Customer::Named(id)) => id,
            Some(Customer::Changed(id, version, input)) => {
                scope.update_customer(id.clone(), exactly(version), input);
                id
            }
            Some(Customer::New(input)) => {
                scope.create_customer(new_customer_id.clone(), input);
                new_customer_id
            }
            None => String::new(),
        };
        if let Some(Order { key, input }) = self.order.clone() {
            let input = OrderInput { customer_id, ..input };
            match key {
                Some((number, version)) => {
                    scope.replace_order(number, exactly(version), input, self.confirm);
                }
                None => scope.create_order(input, self.confirm),
            }
        }
        scope
    }
}

/// The problem of a document whose scope was refused.
pub fn problem(refused: &Refused) -> Problem {
    let mut violations = Violations::new();
    violations.extend(refused.faults.iter().filter_map(violation));
    let violations = violations.into_vec();
    let is = |what: fn(&Reason) -> bool| refused.faults.iter().any(|fault| what(&fault.reason));
    if is(|reason| matches!(reason, Reason::Invalid(_) | Reason::Missing)) {
        let code = ProblemCode::ValidationFailed;
        return Problem::with_violations(code, ORDER_NOT_ACCEPTED, violations);
    }
    if is(|reason| matches!(reason, Reason::Deleted)) {
        return error::deleted();
    }
    let stale = refused.faults.iter().find_map(|fault| match fault.reason {
        Reason::Stale(current) => Some(current),
        _ => None,
    });
    // Nothing else is left that could have been in the way.
    Problem { errors: violations, ..error::version_conflict(stale.unwrap_or_default()) }
}

/// What is wrong, with its place in the document; `None` for what is no fault of the document.
pub fn violation(fault: &Fault) -> Option<Violation> {
    let (object, key, what) = match fault.kind {
        Kind::Customer => ("/customer", "id", "the id of a customer"),
        Kind::Order => ("/order", "number", "the number of an order"),
    };
    Some(match &fault.reason {
        Reason::Missing => {
            Violation::new(format!("{object}/{key}"), "unknown", format!("must be {what}"))
        }
        Reason::Stale(current) => Violation::new(
            format!("{object}/version"),
            ProblemCode::VersionConflict.as_str(),
            format!("is not the current version, which is {current}"),
        ),
        Reason::Invalid(violation) => {
            let pointer = match (fault.kind, violation.pointer.as_str()) {
                (Kind::Order, "/customerId") => "/customer/id".to_owned(),
                (_, pointer) => format!("{object}{pointer}"),
            };
            Violation { pointer, ..violation.clone() }
        }
        Reason::Deleted => return None,
    })
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
enum Customer {
    /// By its id alone.
    Named(String),
    /// Id, version, and the whole new content.
    Changed(String, i64, CustomerInput),
    New(CustomerInput),
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Order {
    /// Number and version; `None` for a new one.
    key: Option<(i64, i64)>,
    input: OrderInput,
}

fn customer(reader: &mut ObjectReader<'_>) -> Customer {
    if !reader.has("id") {
        refuse_version(reader, "is for a customer who exists: there is no id");
        return Customer::New(customer_content(reader));
    }
    let id = reader.text("id");
    if !["version", "name", "email", "address"].into_iter().any(|name| reader.has(name)) {
        return Customer::Named(id);
    }
    Customer::Changed(id, reader.int("version"), customer_content(reader))
}

fn order(reader: &mut ObjectReader<'_>) -> Order {
    let key = if reader.has("number") {
        Some((reader.int("number"), reader.int("version")))
    } else {
        refuse_version(reader, "is for an order that exists: there is no number");
        None
    };
    Order { key, input: order_content(reader) }
}

fn refuse_version(reader: &mut ObjectReader<'_>, detail: &str) {
    if reader.has("version") {
        reader.refuse("version", "not-allowed", detail);
    }
}

fn exactly(version: i64) -> IfMatch {
    IfMatch::Versions(vec![version])
}
