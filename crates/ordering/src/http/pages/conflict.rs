//! Somebody else saved first: what was typed beside what is there now.

use contract::order::{Line, Order};
use kit::compare::Compared;
use kit::show;

use crate::order::{Customer, CustomerInput, OrderInput};

/// Two versions of the same thing, side by side.
pub(super) struct Conflict {
    /// The version that is there now.
    pub(super) current: i64,
    /// Every field, in the order of the form.
    pub(super) rows: Vec<Compared>,
    /// Where one goes on from what is there now.
    pub(super) edit: String,
}

impl Conflict {
    /// An order as it was typed, for the customer of this name, beside the one that is stored.
    pub(super) fn of_orders(yours: &OrderInput, customer: &str, now: &Order) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut rows = vec![
            Compared::new("Customer", customer, &now.customer.name),
            Compared::new("Currency", &yours.currency, &now.currency),
            Compared::new("Reference", &text(&yours.reference), &text(&now.reference)),
            Compared::new("Note", &text(&yours.note), &text(&now.note)),
        ];
        let lines = yours.numbered_lines();
        let shown = |line: Option<&Line>, currency: &str| {
            line.map(|line| show::line(line, currency)).unwrap_or_default()
        };
        for place in 0..lines.len().max(now.lines.len()) {
            let typed = shown(lines.get(place), &yours.currency);
            let stored = shown(now.lines.get(place), &now.currency);
            rows.push(Compared::new(&format!("Line {}", place + 1), &typed, &stored));
        }
        let total = yours.totals().map(|totals| show::money(totals.total_minor, &yours.currency));
        let stored = show::money(now.total_minor, &now.currency);
        rows.push(Compared::new("Total", &total.unwrap_or_default(), &stored));
        Self { current: now.version, rows, edit: format!("/orders/{}/edit", now.number) }
    }

    /// A customer as it was typed, beside the one that is stored.
    pub(super) fn of_customers(yours: &CustomerInput, now: &Customer) -> Self {
        let fields = |input: &CustomerInput| {
            let address = input.address.clone().unwrap_or_default();
            [
                ("Name", Some(input.name.clone())),
                ("Email", Some(input.email.clone())),
                ("Street and number", address.line1),
                ("Second line", address.line2),
                ("Postal code", address.postal_code),
                ("City", address.city),
                ("Country", address.country.as_deref().map(show::country)),
            ]
        };
        let both = fields(yours).into_iter().zip(fields(&now.input));
        let rows = both.map(|((label, yours), (_, now))| {
            Compared::new(label, &yours.unwrap_or_default(), &now.unwrap_or_default())
        });
        let edit = format!("/customers/{}/edit", now.id);
        Self { current: now.version, rows: rows.collect(), edit }
    }
}
