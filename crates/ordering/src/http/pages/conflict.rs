//! Somebody else saved first: what was typed beside what is there now.

use contract::order::{Line, Order};
use kit::show;

use crate::order::{Customer, CustomerInput, OrderInput};

/// Two versions of the same thing, side by side.
pub(super) struct Conflict {
    /// The version that is there now.
    pub(super) current: i64,
    /// Every field, in the order of the form.
    pub(super) rows: Vec<Row>,
    /// Where one goes on from what is there now.
    pub(super) edit: String,
}

/// A field in both versions.
pub(super) struct Row {
    pub(super) label: String,
    pub(super) yours: String,
    pub(super) now: String,
}

impl Row {
    pub(super) fn differs(&self) -> bool {
        self.yours != self.now
    }
}

impl Conflict {
    /// An order as it was typed, for the customer of this name, beside the one that is stored.
    pub(super) fn of_orders(yours: &OrderInput, customer: String, now: &Order) -> Self {
        let currency = &yours.currency;
        let mut rows = vec![
            row("Customer", customer, now.customer.name.clone()),
            row("Currency", currency.clone(), now.currency.clone()),
            row(
                "Reference",
                optional(yours.reference.as_deref()),
                optional(now.reference.as_deref()),
            ),
            row("Note", optional(yours.note.as_deref()), optional(now.note.as_deref())),
        ];
        let lines = yours.numbered_lines();
        for place in 0..lines.len().max(now.lines.len()) {
            let shown = |line: Option<&Line>, currency: &str| {
                line.map(|line| show::line(line, currency)).unwrap_or_default()
            };
            rows.push(row(
                &format!("Line {}", place + 1),
                shown(lines.get(place), currency),
                shown(now.lines.get(place), &now.currency),
            ));
        }
        let total = yours.totals().map(|totals| show::money(totals.total_minor, currency));
        rows.push(row(
            "Total",
            total.unwrap_or_default(),
            show::money(now.total_minor, &now.currency),
        ));
        Self { current: now.version, rows, edit: format!("/orders/{}/edit", now.number) }
    }

    /// A customer as it was typed, beside the one that is stored.
    pub(super) fn of_customers(yours: &CustomerInput, now: &Customer) -> Self {
        let fields = |input: &CustomerInput| {
            let address = input.address.clone().unwrap_or_default();
            let country = address.country.as_deref().map(show::country).unwrap_or_default();
            [
                ("Name", input.name.clone()),
                ("Email", input.email.clone()),
                ("Street and number", optional(address.line1.as_deref())),
                ("Second line", optional(address.line2.as_deref())),
                ("Postal code", optional(address.postal_code.as_deref())),
                ("City", optional(address.city.as_deref())),
                ("Country", country),
            ]
        };
        let both = fields(yours).into_iter().zip(fields(&now.input));
        let rows = both.map(|((label, yours), (_, now))| row(label, yours, now)).collect();
        Self { current: now.version, rows, edit: format!("/customers/{}/edit", now.id) }
    }
}

fn row(label: &str, yours: String, now: String) -> Row {
    Row { label: label.to_owned(), yours, now }
}

fn optional(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}
