//! Parts of documents as JSON text in a column.
//!
//! Orders, and what an invoice takes from its order, are written without the names of their members,
//! as arrays in the order in which the types of [`contract::order`] declare them: half the bytes to
//! write, to log and to keep. They are read by those types, which take arrays as well as objects, so
//! that what earlier versions wrote is read too. A member that is added to one of them has to come
//! last, with a default.

use contract::feed::SequenceNr;
use contract::order::{Address, Customer, Line, Order};
use kit::db::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `value` as JSON. Control characters are escaped, so the text holds no NUL, which PostgreSQL
/// could not store.
pub(super) fn write(value: &impl Serialize) -> String {
    // Only maps with keys that are no text, and types that refuse it, cannot be written: orders,
    // customers and lines are neither.
    serde_json::to_string(value).expect("documents can be written as JSON")
}

/// The value that `text` was written from.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Damaged(error.to_string()))
}

/// The order without names, and without its place in the feed, 0 instead: that is kept in a column, and
/// what is read again in a new epoch has another one with the same content.
pub(super) fn order(order: &Order) -> String {
    let lines: Vec<_> = order.lines.iter().map(unnamed_line).collect();
    write(&(
        order.number,
        order.state,
        order.version,
        SequenceNr::BEGINNING,
        unnamed_customer(&order.customer),
        &order.currency,
        &order.reference,
        &order.note,
        lines,
        order.net_minor,
        order.tax_minor,
        order.total_minor,
        order.confirmed_at,
        order.changed_at,
        order.deleted_at,
    ))
}

/// The customer without names.
pub(super) fn customer(customer: &Customer) -> String {
    write(&unnamed_customer(customer))
}

/// The lines without names.
pub(super) fn lines(lines: &[Line]) -> String {
    write(&lines.iter().map(unnamed_line).collect::<Vec<_>>())
}

fn unnamed_customer(customer: &Customer) -> impl Serialize {
    let Customer { id, name, email, address } = customer;
    let address = address.as_ref().map(|address| {
        let Address { line1, line2, postal_code, city, country } = address;
        (line1, line2, postal_code, city, country)
    });
    (id, name, email, address)
}

fn unnamed_line(line: &Line) -> impl Serialize {
    let Line { line_no, sku, description, quantity, unit_price_minor, tax_basis_points } = line;
    (line_no, sku, description, quantity, unit_price_minor, tax_basis_points)
}

#[cfg(test)]
mod tests {
    use contract::order::OrderState;
    use contract::time::Timestamp;

    use super::*;

    fn example() -> Order {
        let line = Line {
            line_no: 1,
            sku: "BOLT-8".into(),
            description: None,
            quantity: 2,
            unit_price_minor: 35,
            tax_basis_points: 2100,
        };
        Order {
            number: 1001,
            state: OrderState::Confirmed,
            version: 3,
            confirmed_sequence_nr: SequenceNr(42),
            customer: Customer {
                id: "0197".into(),
                name: "Ada".into(),
                email: "a@example.com".into(),
                address: Some(Address { city: Some("Delft".into()), ..Address::default() }),
            },
            currency: "EUR".into(),
            reference: Some("R-1".into()),
            note: None,
            lines: vec![line.clone(), Line { line_no: 2, description: Some("Nut".into()), ..line }],
            net_minor: 140,
            tax_minor: 30,
            total_minor: 170,
            confirmed_at: Some(Timestamp::from_micros(1)),
            changed_at: Timestamp::from_micros(2),
            deleted_at: None,
        }
    }

    /// What is kept must be read for ever: a member may only be added at the end.
    #[test]
    fn places_stay_as_they_are() {
        let text = r#"[1001,"confirmed",3,0,["0197","Ada","a@example.com",[null,null,null,"Delft",null]],"EUR","R-1",null,[[1,"BOLT-8",null,2,35,2100],[2,"BOLT-8","Nut",2,35,2100]],140,30,170,"1970-01-01T00:00:00.000001Z","1970-01-01T00:00:00.000002Z",null]"#;
        assert_eq!(order(&example()), text);
        let placeless = Order { confirmed_sequence_nr: SequenceNr::BEGINNING, ..example() };
        assert_eq!(read::<Order>(text).unwrap(), placeless);
    }

    #[test]
    fn parts_of_invoices_are_read_as_they_were_written() {
        let Order { customer: who, lines: what, .. } = example();
        assert_eq!(read::<Customer>(&customer(&who)).unwrap(), who);
        let nobody = Customer { address: None, ..who };
        assert_eq!(read::<Customer>(&customer(&nobody)).unwrap(), nobody);
        assert_eq!(read::<Vec<Line>>(&lines(&what)).unwrap(), what);
    }

    #[test]
    fn what_earlier_versions_wrote_is_read() {
        assert_eq!(read::<Order>(&write(&example())).unwrap(), example());
    }
}
