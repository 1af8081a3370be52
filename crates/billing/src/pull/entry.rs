//! One order of an answer: taken as it is, or unfit to be taken in.
//!
//! To be put aside, an order needs a name: its number. Whatever else is wrong with it is its own
//! matter alone.

use contract::feed::SequenceNr;
use contract::order::Order;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::invoice;
use crate::store::{Fit, Unfit};
use crate::upstream::one_line;

/// An order of a page.
pub(super) type Entry = Result<Fit, Unfit>;

/// An order that is read, and at once becomes what its copy keeps: never are all orders of a page in
/// memory as such, which take more. Reading one that cannot be taken in fails.
#[derive(Deserialize)]
#[serde(try_from = "Order")]
pub(super) struct Readable(pub(super) Fit);

impl TryFrom<Order> for Readable {
    type Error = &'static str;

    fn try_from(order: Order) -> Result<Self, Self::Error> {
        match fault(&order) {
            None if order.number > 0 => Ok(Self(order.into())),
            fault => Err(fault.unwrap_or("its number is not positive")),
        }
    }
}

/// Reads an order; `None` when it has no number that an order can have, or several.
pub(super) fn read(document: &str) -> Option<Result<Order, Unfit>> {
    let reason = match parse(document) {
        Ok(order) if order.number <= 0 => return None,
        Ok(order) => match fault(&order) {
            None => return Some(Ok(order)),
            Some(fault) => fault.to_owned(),
        },
        Err(reason) => reason,
    };
    let Number { number } = part(document).filter(|it: &Number| it.number > 0)?;
    let version = part(document).map(|it: Version| it.version).filter(|version| *version > 0);
    let stamp = part(document).map(|it: Stamp| it.confirmed_sequence_nr);
    let sequence_nr = stamp.unwrap_or(SequenceNr::UNSTAMPED);
    Some(Err(Unfit { number, version, sequence_nr, reason, document: document.to_owned() }))
}

/// Which order it is.
pub(super) fn number(entry: &Entry) -> i64 {
    entry.as_ref().map_or_else(|unfit| unfit.number, |order| order.number)
}

/// Its place in the feed; −1 when it says none.
pub(super) fn sequence_nr(entry: &Entry) -> SequenceNr {
    entry.as_ref().map_or_else(|unfit| unfit.sequence_nr, |order| order.confirmed_sequence_nr)
}

/// Why an order that can be read cannot be taken in; `None` when it can.
fn fault(order: &Order) -> Option<&'static str> {
    if order.version > 0 { invoice::fault(order) } else { Some("its version is not positive") }
}

/// # Errors
/// Where the document is not that of an order, and in what.
fn parse(document: &str) -> Result<Order, String> {
    // Keeping track of the place takes time, so only what is wrong is read that way.
    serde_json::from_str(document).map_err(|_| place_and_fault(document))
}

fn place_and_fault(document: &str) -> String {
    let mut reader = serde_json::Deserializer::from_str(document);
    let order: Result<Order, _> = serde_path_to_error::deserialize(&mut reader);
    let Err(error) = order else { return "it is of another shape".to_owned() };
    let (place, fault) = (error.path().to_string(), error.inner().to_string());
    // A document is one line, as a rule: the path says better where than a column does.
    let fault = fault.split(" at line ").next().unwrap_or_default();
    one_line(&if place == "." { fault.to_owned() } else { format!("{place}: {fault}") })
}

#[derive(Deserialize)]
struct Number {
    number: i64,
}

#[derive(Deserialize)]
struct Version {
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stamp {
    confirmed_sequence_nr: SequenceNr,
}

/// The part of the document that `T` names, whatever is wrong with the others; `None` when it is not
/// there, of another shape, or there twice.
fn part<T: DeserializeOwned>(document: &str) -> Option<T> {
    serde_json::from_str(document).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"number":7,"state":"confirmed","version":3,"confirmedSequenceNr":42,
        "customer":{"id":"0197","name":"Ada","email":"a@example.com","address":null},
        "currency":"EUR","reference":null,"note":null,"lines":[{"lineNo":1,"sku":"BOLT",
        "description":null,"quantity":2,"unitPriceMinor":50,"taxBasisPoints":0}],"netMinor":100,
        "taxMinor":0,"totalMinor":100,"confirmedAt":null,"changedAt":"2026-05-01T10:00:00Z",
        "deletedAt":null}"#;

    /// The good order with one part of its text replaced.
    fn with(part: &str, other: &str) -> String {
        assert_eq!(GOOD.matches(part).count(), 1, "{part}");
        GOOD.replace(part, other)
    }

    #[test]
    fn an_order_that_is_wrong_is_put_aside_with_its_place_and_the_reason() {
        assert_eq!(read(GOOD).unwrap().unwrap().version, 3);
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for (document, reason) in [
            (
                with(r#""totalMinor":100"#, r#""totalMinor":101"#),
                "its totals are not those of its lines",
            ),
            (
                with(r#""quantity":2"#, r#""quantity":9223372036854775807"#),
                "the sum of its lines is too large",
            ),
            (with("confirmed\"", "draft\""), "it is a draft"),
            (with("EUR", "EUX"), "its currency is unknown"),
            (with("EUR", "EU\\u0000"), "its currency is unknown"),
            (
                with(r#""quantity":2"#, r#""quantity":9223372036854775808"#),
                "lines[0].quantity: invalid",
            ),
            (with(r#""quantity":2"#, r#""quantity":2.5"#), "lines[0].quantity: invalid"),
            (
                with(r#""quantity":2"#, r#""quantity":1e400"#),
                "lines[0].quantity: number out of range",
            ),
            (with(r#""quantity":2"#, r#""quantity":"2""#), "lines[0].quantity: invalid"),
            (with(r#""sku":"BOLT""#, r#""sku":"\ud800""#), "lines[0].sku: "),
            (with(r#""sku":"BOLT""#, r#""sku":"a","sku":"b""#), "lines[0]: duplicate field `sku`"),
            (with(r#""note":null"#, &format!(r#""note":{deep}"#)), "note: "),
            (with(r#""state":"confirmed","#, ""), "missing field `state`"),
            (with("confirmed\"", "lost\""), "state: unknown variant `lost`"),
            (with("2026-05-01T10:00:00Z", "yesterday"), "changedAt: must be an RFC 3339 time"),
            (
                with("BOLT", &"x".repeat(20)).replace("\"quantity\":2", "\"quantity\":[\n\n]"),
                "lines[0].quantity: ",
            ),
        ] {
            let Some(Err(unfit)) = read(&document) else { panic!("{document:.300}") };
            assert!(unfit.reason.starts_with(reason), "{} instead of {reason}", unfit.reason);
            assert!(!unfit.reason.contains(char::is_control), "{:?}", unfit.reason);
            assert_eq!((unfit.number, unfit.version, unfit.sequence_nr.0), (7, Some(3), 42));
            assert_eq!(unfit.document, document);
        }
    }

    #[test]
    fn a_version_that_cannot_be_read_is_not_known() {
        for version in ["0", "-3", "null", "\"3\"", "3.0", "1e400", "3,\"version\":3"] {
            let document = with(r#""version":3"#, &format!(r#""version":{version}"#));
            let Some(Err(unfit)) = read(&document) else { panic!("{document}") };
            assert_eq!((unfit.number, unfit.version), (7, None), "{version}");
        }
    }

    #[test]
    fn an_order_without_a_usable_number_has_no_name() {
        for number in ["0", "-7", "null", "\"7\"", "7.0", "9223372036854775808", "7,\"number\":7"] {
            let document = with(r#""number":7"#, &format!(r#""number":{number}"#));
            assert_eq!(read(&document), None, "{number}");
        }
        for document in ["null", "7", "[]", "{}", "\"x\""] {
            assert_eq!(read(document), None, "{document}");
        }
    }

    #[test]
    fn what_is_not_known_here_is_ignored_however_deep() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let document = with(r#""note":null"#, &format!(r#""note":"a\u0000b","later":{deep}"#));
        let order = read(&document).unwrap().unwrap();
        assert_eq!(order.note.as_deref(), Some("a\0b"));
    }
}
