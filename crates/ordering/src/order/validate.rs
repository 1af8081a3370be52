//! The limits of an order and a customer: every violation at once, each with its place.
//!
//! Lengths are counted in characters. Texts hold no control characters: nobody sees them, and
//! PostgreSQL refuses NUL.

use contract::order::{Address, is_country_code, is_currency_code};
use contract::problem::Violation;

use super::{CustomerInput, LineInput, OrderInput};

/// The most lines an order may have.
pub const MAX_LINES: usize = 2_000;
/// The most characters of a line's description.
pub const MAX_DESCRIPTION: usize = 500;
/// The largest quantity of a line.
pub const MAX_QUANTITY: i64 = 1_000_000;
/// The largest unit price, in minor units.
pub const MAX_UNIT_PRICE_MINOR: i64 = 1_000_000_000_000;
/// The largest tax rate, in hundredths of a percent.
pub const MAX_TAX_BASIS_POINTS: i64 = 10_000;

const MAX_ID: usize = 64;
const MAX_SKU: usize = 64;
const MAX_REFERENCE: usize = 100;
const MAX_NAME: usize = 200;
const MAX_ADDRESS_PART: usize = 200;
/// RFC 5321, section 4.5.3.1.3: a path has at most 256 octets, two of them its angle brackets.
const MAX_EMAIL: usize = 254;
const MAX_NOTE: usize = 2_000;

impl OrderInput {
    /// Everything that is wrong with this order; empty when it may be kept. Whether its customer
    /// exists is for the store to say.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Found::default();
        found.required_text("/customerId", &self.customer_id, MAX_ID);
        if !is_currency_code(&self.currency) {
            found.add("/currency", "invalid", "must be an ISO 4217 code such as EUR");
        }
        found.optional_text("/reference", self.reference.as_deref(), MAX_REFERENCE);
        found.optional_lines_of_text("/note", self.note.as_deref(), MAX_NOTE);
        if (1..=MAX_LINES).contains(&self.lines.len()) {
            for (place, line) in self.lines.iter().enumerate() {
                found.line(&format!("/lines/{place}"), line);
            }
        } else {
            found.add("/lines", "out-of-range", format!("must be 1 to {MAX_LINES} lines"));
        }
        // Of values that are wrong in themselves there is no total to speak of.
        if found.0.is_empty() && self.totals().is_none() {
            found.add("/lines", "out-of-range", "come to a total that is too large");
        }
        found.0
    }
}

impl CustomerInput {
    /// Everything that is wrong with this customer; empty when it may be kept.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Found::default();
        found.required_text("/name", &self.name, MAX_NAME);
        if is_email(&self.email) {
            found.required_text("/email", &self.email, MAX_EMAIL);
        } else {
            found.add("/email", "invalid", "must be an e-mail address such as ada@example.com");
        }
        if let Some(address) = &self.address {
            found.address("/address", address);
        }
        found.0
    }
}

/// Violations as they are found.
#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, pointer: &str, code: &str, detail: impl Into<String>) {
        self.0.push(Violation::new(pointer, code, detail));
    }

    fn line(&mut self, pointer: &str, line: &LineInput) {
        self.required_text(&format!("{pointer}/sku"), &line.sku, MAX_SKU);
        let description = line.description.as_deref();
        self.optional_text(&format!("{pointer}/description"), description, MAX_DESCRIPTION);
        let numbers = [
            ("quantity", line.quantity, 1, MAX_QUANTITY),
            ("unitPriceMinor", line.unit_price_minor, 0, MAX_UNIT_PRICE_MINOR),
            ("taxBasisPoints", line.tax_basis_points, 0, MAX_TAX_BASIS_POINTS),
        ];
        for (name, value, min, max) in numbers {
            if !(min..=max).contains(&value) {
                let detail = format!("must be {min} to {max}");
                self.add(&format!("{pointer}/{name}"), "out-of-range", detail);
            }
        }
    }

    fn address(&mut self, pointer: &str, address: &Address) {
        let parts = [
            ("line1", &address.line1),
            ("line2", &address.line2),
            ("postalCode", &address.postal_code),
            ("city", &address.city),
        ];
        for (name, part) in parts {
            self.optional_text(&format!("{pointer}/{name}"), part.as_deref(), MAX_ADDRESS_PART);
        }
        if address.country.as_deref().is_some_and(|code| !is_country_code(code)) {
            let detail = "must be an ISO 3166-1 alpha-2 code such as NL";
            self.add(&format!("{pointer}/country"), "invalid", detail);
        }
    }

    fn required_text(&mut self, pointer: &str, text: &str, max: usize) {
        if text.trim().is_empty() {
            self.add(pointer, "required", "must not be empty");
        } else {
            self.optional_text(pointer, Some(text), max);
        }
    }

    fn optional_text(&mut self, pointer: &str, text: Option<&str>, max: usize) {
        if text.is_some_and(|text| text.contains(char::is_control)) {
            self.add(pointer, "invalid", "must be one line without control characters");
        } else {
            self.length(pointer, text, max);
        }
    }

    fn optional_lines_of_text(&mut self, pointer: &str, text: Option<&str>, max: usize) {
        let harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.is_some_and(|text| text.contains(harmful)) {
            self.add(pointer, "invalid", "must not hold control characters");
        } else {
            self.length(pointer, text, max);
        }
    }

    fn length(&mut self, pointer: &str, text: Option<&str>, max: usize) {
        if text.is_some_and(|text| text.chars().count() > max) {
            self.add(pointer, "too-long", format!("must not be longer than {max} characters"));
        }
    }
}

/// Something before and behind one `@`, without blanks. What else an address must be only the
/// mail that arrives can tell.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    !local.is_empty()
        && !domain.is_empty()
        && !domain.contains('@')
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn the_description_names_the_same_limits() {
        fn of<T: PartialSchema>(field: &str, limit: &str) -> i64 {
            let schema = serde_json::to_value(T::schema()).unwrap();
            schema["properties"][field][limit].as_i64().unwrap_or(-1)
        }
        for (described, limit) in [
            (of::<OrderInput>("customerId", "maxLength"), MAX_ID),
            (of::<OrderInput>("reference", "maxLength"), MAX_REFERENCE),
            (of::<OrderInput>("note", "maxLength"), MAX_NOTE),
            (of::<OrderInput>("lines", "maxItems"), MAX_LINES),
            (of::<LineInput>("sku", "maxLength"), MAX_SKU),
            (of::<LineInput>("description", "maxLength"), MAX_DESCRIPTION),
            (of::<CustomerInput>("name", "maxLength"), MAX_NAME),
            (of::<CustomerInput>("email", "maxLength"), MAX_EMAIL),
        ] {
            assert_eq!(usize::try_from(described), Ok(limit));
        }
        for (field, min, max) in [
            ("quantity", 1, MAX_QUANTITY),
            ("unitPriceMinor", 0, MAX_UNIT_PRICE_MINOR),
            ("taxBasisPoints", 0, MAX_TAX_BASIS_POINTS),
        ] {
            let described = (of::<LineInput>(field, "minimum"), of::<LineInput>(field, "maximum"));
            assert_eq!(described, (min, max), "{field}");
        }
        let unknown = serde_json::to_value(OrderInput::schema()).unwrap();
        assert_eq!(unknown["additionalProperties"], false);
    }

    fn line() -> LineInput {
        LineInput {
            sku: "BOLT-8".into(),
            description: Some("Bolt M8".into()),
            quantity: 40,
            unit_price_minor: 35,
            tax_basis_points: 2100,
        }
    }

    fn order(lines: Vec<LineInput>) -> OrderInput {
        OrderInput {
            customer_id: "0197".into(),
            currency: "EUR".into(),
            reference: Some("PO-77".into()),
            note: Some("two\nlines".into()),
            lines,
        }
    }

    fn pointers(violations: &[Violation]) -> Vec<&str> {
        violations.iter().map(|violation| violation.pointer.as_str()).collect()
    }

    #[test]
    fn the_limits_themselves_are_allowed() {
        let least = LineInput { quantity: 1, unit_price_minor: 0, tax_basis_points: 0, ..line() };
        assert_eq!(order(vec![least; MAX_LINES]).violations(), []);
        let most = LineInput {
            sku: "s".repeat(MAX_SKU),
            description: Some("é".repeat(MAX_DESCRIPTION)),
            quantity: MAX_QUANTITY,
            unit_price_minor: MAX_UNIT_PRICE_MINOR,
            tax_basis_points: MAX_TAX_BASIS_POINTS,
        };
        assert_eq!(order(vec![most]).violations(), []);
    }

    #[test]
    fn every_violation_is_found_at_once() {
        let bad = LineInput {
            sku: " ".into(),
            description: Some("a\0b".into()),
            quantity: 0,
            unit_price_minor: -1,
            tax_basis_points: MAX_TAX_BASIS_POINTS + 1,
        };
        let input = OrderInput {
            customer_id: String::new(),
            currency: "euro".into(),
            reference: Some("r".repeat(MAX_REFERENCE + 1)),
            note: Some("\u{7}".into()),
            lines: vec![line(), bad],
        };
        let expected = [
            "/customerId",
            "/currency",
            "/reference",
            "/note",
            "/lines/1/sku",
            "/lines/1/description",
            "/lines/1/quantity",
            "/lines/1/unitPriceMinor",
            "/lines/1/taxBasisPoints",
        ];
        assert_eq!(pointers(&input.violations()), expected);
    }

    #[test]
    fn an_order_has_lines_but_not_too_many() {
        assert_eq!(pointers(&order(vec![]).violations()), ["/lines"]);
        assert_eq!(pointers(&order(vec![line(); MAX_LINES + 1]).violations()), ["/lines"]);
    }

    #[test]
    fn totals_must_fit() {
        let dear = LineInput {
            quantity: MAX_QUANTITY,
            unit_price_minor: MAX_UNIT_PRICE_MINOR,
            tax_basis_points: 0,
            ..line()
        };
        assert_eq!(order(vec![dear.clone(); 9]).violations(), []);
        assert_eq!(pointers(&order(vec![dear; 10]).violations()), ["/lines"]);
    }

    #[test]
    fn a_customer_is_checked_in_every_part() {
        let good = CustomerInput {
            name: "Ada Yards".into(),
            email: "ada@example.com".into(),
            address: Some(Address { country: Some("NL".into()), ..Address::default() }),
        };
        assert_eq!(good.violations(), []);
        let bad = CustomerInput {
            name: "a\nb".into(),
            email: format!("{}@example.com", "a".repeat(MAX_EMAIL)),
            address: Some(Address {
                line1: Some("l".repeat(MAX_ADDRESS_PART + 1)),
                line2: Some("\t".into()),
                postal_code: None,
                city: Some(String::new()),
                country: Some("nl".into()),
            }),
        };
        let expected = ["/name", "/email", "/address/line1", "/address/line2", "/address/country"];
        assert_eq!(pointers(&bad.violations()), expected);
    }

    #[test]
    fn an_email_address_has_two_parts_and_no_blanks() {
        assert!(is_email("ada@example.com") && is_email("a@b"));
        for wrong in ["", "ada", "@example.com", "ada@", "a@b@c", "a b@c", "a@b\n"] {
            assert!(!is_email(wrong), "{wrong:?}");
        }
    }

    proptest! {
        /// What is accepted can be added up and stored, whatever it is.
        #[test]
        fn an_accepted_order_has_totals(
            lines in prop::collection::vec((any::<i64>(), any::<i64>(), any::<i64>()), 1..20),
            small in any::<bool>(),
        ) {
            let within = |value: i64, max| if small { value.rem_euclid(max) } else { value };
            let lines = lines.into_iter().map(|(quantity, price, tax)| LineInput {
                quantity: within(quantity, MAX_QUANTITY + 1),
                unit_price_minor: within(price, MAX_UNIT_PRICE_MINOR + 1),
                tax_basis_points: within(tax, MAX_TAX_BASIS_POINTS + 1),
                ..line()
            });
            let input = order(lines.collect());
            prop_assert!(!input.violations().is_empty() || input.totals().is_some());
        }
    }
}
