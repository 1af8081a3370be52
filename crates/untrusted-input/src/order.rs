//! Orders: the document of the feed, and the body of a request.

use billing::invoice;
use contract::money::Totals;
use contract::order::Order;
use contract::problem::Violation;
use kit::http::read::Violations;
use ordering::document;
use ordering::nested::Nested;
use ordering::order::OrderInput;
use serde_json::Value;

/// What can be read is the same when it is written and read again; what cannot be read has a
/// violation with a place in the document.
pub fn check(data: &[u8]) -> bool {
    let is_document = serde_json::from_slice(data).is_ok_and(|order| {
        hold(&order);
        true
    });
    let is_request = serde_json::from_slice(data).is_ok_and(|body| is_request(&body));
    is_document || is_request
}

fn hold(order: &Order) {
    let written = serde_json::to_vec(order).unwrap();
    assert_eq!(serde_json::from_slice::<Order>(&written).unwrap(), *order);
    // An invoice is made only of sums that add up.
    let totals = Totals::of(&order.lines);
    assert!(invoice::fault(order).is_some() || totals == Some(order.totals()));
}

/// Whether `body` is an order that can be taken in, by itself or with its customer.
fn is_request(body: &Value) -> bool {
    let (nested, unread) = Nested::read(body);
    let _ = nested.scope(String::new());
    assert_places(&unread.into_vec(), body);
    let Ok(input) = read(body) else { return false };
    let written = serde_json::to_value(&input).unwrap();
    assert_eq!(read(&written).as_ref(), Ok(&input));
    let violations = input.violations();
    assert_places(&violations, body);
    assert!(!violations.is_empty() || input.totals().is_some());
    violations.is_empty()
}

fn read(body: &Value) -> Result<OrderInput, Vec<Violation>> {
    let mut violations = Violations::new();
    let input = document::order(body, &mut violations);
    if violations.is_empty() {
        return Ok(input);
    }
    let violations = violations.into_vec();
    assert_places(&violations, body);
    Err(violations)
}

/// A violation's place is in the document, or the member is missing there.
fn assert_places(violations: &[Violation], body: &Value) {
    for Violation { pointer, code, detail } in violations {
        let around = pointer.rsplit_once('/').map_or("", |(around, _)| around);
        assert!(body.pointer(around).is_some(), "{pointer:?} is not in {body}");
        assert!(!code.is_empty() && !detail.is_empty());
    }
}
