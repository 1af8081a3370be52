//! What is typed into the form of an order, read as an order.
//!
//! The form keeps every field as the text that was typed, so that nothing is lost when some of it
//! is wrong.

use std::collections::BTreeMap;

use contract::money::{Totals, line_net};
use contract::order::Order;
use contract::problem::Violation;
use kit::show;

use super::field_errors::FieldErrors;
use super::fields;
use super::line_fields::{LineFields, line_field, text};
use crate::order::OrderInput;

/// The form of an order, as it was typed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct OrderForm {
    /// The version that is edited; empty for a new order.
    pub(super) version: String,
    /// The idempotency key of a new order; empty for one that exists.
    pub(super) key: String,
    pub(super) customer_id: String,
    pub(super) currency: String,
    pub(super) reference: String,
    pub(super) note: String,
    /// At least one, so that there is a row to type into.
    pub(super) lines: Vec<LineFields>,
    button: String,
}

impl OrderForm {
    /// The form of a new order.
    pub(super) fn new(key: String, customer_id: String) -> Self {
        let lines = vec![LineFields::default()];
        Self { key, customer_id, currency: "EUR".to_owned(), lines, ..Self::default() }
    }

    /// The form of an order that exists.
    pub(super) fn of(order: &Order) -> Self {
        let lines = order.lines.iter().map(|line| LineFields::of(line, &order.currency));
        Self {
            version: order.version.to_string(),
            customer_id: order.customer.id.clone(),
            currency: order.currency.clone(),
            reference: order.reference.clone().unwrap_or_default(),
            note: order.note.clone().unwrap_or_default(),
            lines: lines.collect(),
            ..Self::default()
        }
    }

    /// The form as it was posted.
    pub(super) fn posted(body: &[u8]) -> Self {
        let mut form = Self::default();
        let mut lines = BTreeMap::<usize, LineFields>::new();
        for (name, value) in fields(body) {
            match name.as_str() {
                "version" => form.version = value,
                "key" => form.key = value,
                "customerId" => form.customer_id = value,
                "currency" => form.currency = value,
                "reference" => form.reference = value,
                // Browsers send line breaks as CR LF (HTML, section 4.10.21.4).
                "note" => form.note = value.replace("\r\n", "\n"),
                "action" => form.button = value,
                name => {
                    let place = name.strip_prefix("lines.").and_then(|rest| rest.split_once('.'));
                    let Some((place, field)) = place else { continue };
                    let Ok(place) = place.parse() else { continue };
                    if let Some(field) = lines.entry(place).or_default().field(field) {
                        *field = value;
                    }
                }
            }
        }
        form.lines = lines.into_values().collect();
        form.keep_a_row();
        form
    }

    /// Whether a button was pressed that adds or removes a line; then it is done.
    pub(super) fn change_lines(&mut self) -> bool {
        if self.button == "add-line" {
            // Most lines of an order have the same tax rate.
            let tax = self.lines.last().map(|line| line.tax.clone()).unwrap_or_default();
            self.lines.push(LineFields { tax, ..LineFields::default() });
            return true;
        }
        let removed = self.button.strip_prefix("remove-line-").map(str::parse::<usize>);
        if let Some(Ok(place)) = removed
            && place < self.lines.len()
        {
            self.lines.remove(place);
            self.keep_a_row();
        }
        removed.is_some()
    }

    fn keep_a_row(&mut self) {
        if self.lines.is_empty() {
            self.lines.push(LineFields::default());
        }
    }

    /// The order that was typed, and everything that is wrong with it. Rows in which nothing was
    /// typed are not part of the order.
    pub(super) fn read(&self) -> (OrderInput, FieldErrors) {
        let mut errors = FieldErrors::default();
        let mut lines = Vec::new();
        for (row, line) in self.begun_rows() {
            let read = line.read(&self.currency, |field, detail| {
                let (id, label) = line_field(row, field);
                errors.add(&id, &label, detail);
            });
            lines.push(read);
        }
        let input = OrderInput {
            customer_id: self.customer_id.trim().to_owned(),
            currency: self.currency.trim().to_owned(),
            reference: text(&self.reference),
            note: text(&self.note),
            lines,
        };
        self.mark(&mut errors, input.violations());
        (input, errors)
    }

    /// Adds what is wrong with the order that was read, each at the field it was typed into.
    pub(super) fn mark(&self, errors: &mut FieldErrors, violations: Vec<Violation>) {
        let rows: Vec<_> = self.begun_rows().map(|(row, _)| row).collect();
        for violation in violations {
            let (id, label) = field_of(&violation.pointer, &rows);
            let detail = match violation.code.as_str() {
                "unknown" => "is not known any more; choose another one",
                _ => &violation.detail,
            };
            errors.add(&id, &label, detail);
        }
        errors.sort(self.field_ids());
    }

    /// The rows in which something was typed, with their places.
    fn begun_rows(&self) -> impl Iterator<Item = (usize, &LineFields)> {
        self.lines.iter().enumerate().filter(|(_, line)| !line.is_blank())
    }

    /// The ids of all fields, in the order in which the page shows them.
    fn field_ids(&self) -> impl Iterator<Item = String> {
        let head = ["customerId", "currency", "reference", "note"].map(str::to_owned);
        let rows = self.lines.iter().enumerate();
        head.into_iter().chain(rows.flat_map(|(place, line)| line.cells(place).map(|cell| cell.id)))
    }

    /// What a row comes to, for people; a dash while it does not come to anything.
    pub(super) fn shown_net(&self, line: &LineFields) -> String {
        let line = line.amounts(&self.currency);
        let net = line.and_then(|line| line_net(line.quantity, line.unit_price_minor));
        net.map_or_else(dash, |net| show::amount(net, &self.currency))
    }

    /// Net, tax and total for people; dashes while something in them is wrong.
    pub(super) fn shown_totals(&self) -> (String, String, String) {
        let begun = self.lines.iter().filter(|line| !line.lacks_amount());
        let lines: Option<Vec<_>> = begun.map(|line| line.amounts(&self.currency)).collect();
        let totals = lines.and_then(|lines| Totals::of(&lines));
        let shown = |minor: fn(Totals) -> i64| {
            totals.map_or_else(dash, |totals| show::money(minor(totals), &self.currency))
        };
        (shown(|t| t.net_minor), shown(|t| t.tax_minor), shown(|t| t.total_minor))
    }
}

fn dash() -> String {
    "–".to_owned()
}

/// The id and the label of a field, by its pointer in the order; `rows` says in which row of the
/// form each line stands.
fn field_of(pointer: &str, rows: &[usize]) -> (String, String) {
    let parts: Vec<_> = pointer.split('/').skip(1).collect();
    let row = |line: &str| line.parse().ok().and_then(|line: usize| rows.get(line)).copied();
    match parts.as_slice() {
        ["lines", line, field] => line_field(row(line).unwrap_or_default(), field),
        ["lines"] => ("lines-0-sku".to_owned(), "Lines".to_owned()),
        ["customerId"] => ("customerId".to_owned(), "Customer".to_owned()),
        ["currency"] => ("currency".to_owned(), "Currency".to_owned()),
        ["note"] => ("note".to_owned(), "Note".to_owned()),
        _ => ("reference".to_owned(), "Reference".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::LineInput;

    fn posted(fields: &[(&str, &str)]) -> OrderForm {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        OrderForm::posted(body.as_bytes())
    }

    const BOLTS: [(&str, &str); 7] = [
        ("customerId", "0197"),
        ("currency", "EUR"),
        ("lines.0.sku", " BOLT-8 "),
        ("lines.0.description", ""),
        ("lines.0.quantity", "1,000"),
        ("lines.0.unitPrice", "0.35"),
        ("lines.0.tax", "5.5"),
    ];

    #[test]
    fn amounts_are_typed_in_major_units_and_percent() {
        let form = posted(&BOLTS);
        let (input, errors) = form.read();
        assert!(errors.is_empty(), "{}", errors.count());
        let line = LineInput {
            sku: "BOLT-8".into(),
            description: None,
            quantity: 1000,
            unit_price_minor: 35,
            tax_basis_points: 550,
        };
        assert_eq!(input.lines, [line]);
        assert_eq!(form.shown_net(&form.lines[0]), "350.00");
        let shown = ["350.00 EUR", "19.25 EUR", "369.25 EUR"].map(str::to_owned);
        assert_eq!(form.shown_totals(), shown.into());
    }

    #[test]
    fn each_mistake_stands_at_the_row_it_was_typed_into_in_the_page_s_order() {
        // Row 2 is blank but for the tax, which an added row takes over: it is no line.
        let mut fields = BOLTS.to_vec();
        fields.extend([
            ("lines.1.tax", "5.5"),
            ("lines.2.quantity", "0"),
            ("lines.2.unitPrice", "89,5o"),
            ("note", "\0"),
        ]);
        let (_, errors) = posted(&fields).read();
        let found: Vec<_> = errors.all().iter().map(|error| (&*error.id, &*error.label)).collect();
        let expected = [
            ("note", "Note"),
            ("lines-2-sku", "Line 3, SKU"),
            ("lines-2-quantity", "Line 3, quantity"),
            ("lines-2-unitPrice", "Line 3, unit price"),
            ("lines-2-tax", "Line 3, tax"),
        ];
        assert_eq!(found, expected);
        assert_eq!(errors.at("lines-2-quantity"), Some("must be 1 to 1,000,000"));
    }

    #[test]
    fn an_empty_form_lacks_customer_and_lines() {
        let (_, errors) = posted(&[("currency", "EUR")]).read();
        let found: Vec<_> = errors.all().iter().map(|error| &*error.id).collect();
        assert_eq!(found, ["customerId", "lines-0-sku"]);
    }

    #[test]
    fn lines_come_and_go_and_keep_what_was_typed() {
        let mut form = posted(&[BOLTS.as_slice(), &[("action", "add-line")]].concat());
        assert!(form.change_lines());
        assert_eq!(form.lines.len(), 2);
        assert_eq!((&*form.lines[0].quantity, &*form.lines[1].tax), ("1,000", "5.5"));

        let mut form = posted(&[BOLTS.as_slice(), &[("action", "remove-line-0")]].concat());
        assert!(form.change_lines());
        assert_eq!(form.lines, [LineFields::default()], "a row to type into stays");

        for other in ["save", "", "remove"] {
            let mut form = posted(&[BOLTS.as_slice(), &[("action", other)]].concat());
            assert!(!form.change_lines(), "{other:?}");
        }
    }

    #[test]
    fn an_order_s_form_reads_as_that_order() {
        let form = posted(&BOLTS);
        let (input, _) = form.read();
        let order = Order {
            number: 1,
            state: contract::order::OrderState::Draft,
            version: 3,
            confirmed_sequence_nr: contract::feed::SequenceNr::UNSTAMPED,
            customer: contract::order::Customer { id: "0197".into(), ..Default::default() },
            currency: input.currency.clone(),
            reference: Some("PO-77".into()),
            note: Some("two\nlines".into()),
            lines: input.numbered_lines(),
            net_minor: 0,
            tax_minor: 0,
            total_minor: 0,
            confirmed_at: None,
            changed_at: contract::time::Timestamp::from_micros(0),
            deleted_at: None,
        };
        let form = OrderForm::of(&order);
        assert_eq!(form.version, "3");
        let (reference, note) = (order.reference.clone(), order.note.clone());
        assert_eq!(form.read().0, OrderInput { reference, note, ..input });
    }
}
