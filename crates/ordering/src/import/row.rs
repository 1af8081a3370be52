//! A row of the file, read as a line of an order.

use contract::order::Address;
use contract::problem::Violation;
use contract::time::Timestamp;
use csv::ByteRecord;

use super::{country, date};
use crate::order::{CustomerInput, LineInput, MAX_DESCRIPTION, MAX_QUANTITY, OrderInput};
use crate::scope::ImportedOrder;

/// What the first line of the file must be.
pub const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];

/// Customers of the other system have no address for mail that is known; this domain has none
/// (RFC 2606, section 2).
const MAIL_DOMAIN: &str = "customers.invalid";

/// A row that can be part of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    invoice_no: String,
    line: LineInput,
    /// `None` when the row names none that can be read.
    invoice_date: Option<Timestamp>,
    /// Empty when the row has none.
    customer_id: String,
    /// ISO code; `None` when the row names no country.
    country: Option<&'static str>,
}

impl Row {
    /// Reads a row of the file.
    ///
    /// # Errors
    /// Why it cannot be part of an order.
    pub(super) fn read(record: &ByteRecord) -> Result<Self, String> {
        let fields: Vec<_> = record.iter().map(text).collect();
        let Ok([invoice_no, sku, description, quantity, date, price, customer_id, country]) =
            <[String; COLUMNS.len()]>::try_from(fields)
        else {
            return Err(format!("not {} columns", COLUMNS.len()));
        };
        if invoice_no.is_empty() {
            return Err("InvoiceNo is missing".to_owned());
        }
        if invoice_no.starts_with('C') {
            return Err("InvoiceNo begins with C: a cancellation".to_owned());
        }
        if sku.is_empty() {
            return Err("StockCode is missing".to_owned());
        }
        let line = LineInput {
            sku,
            description: Some(shortened(&description)).filter(|text| !text.is_empty()),
            quantity: quantity
                .parse()
                .ok()
                .filter(|quantity| (1..=MAX_QUANTITY).contains(quantity))
                .ok_or_else(|| format!("Quantity is not a whole number of 1 to {MAX_QUANTITY}"))?,
            unit_price_minor: pence(&price).ok_or("UnitPrice is negative or not in whole pence")?,
            tax_basis_points: 0,
        };
        let row = Self {
            invoice_no,
            line,
            invoice_date: date::parse(&date),
            customer_id,
            country: country::code(&country),
        };
        // What else would be wrong with an order of this row alone.
        order(vec![row.clone()], String::new(), Timestamp::from_micros(0))?;
        Ok(row)
    }

    /// The customer whom the row names, and the id of that customer in the other system.
    fn customer(&self) -> (String, CustomerInput) {
        let address = self
            .country
            .map(|country| Address { country: Some(country.to_owned()), ..Address::default() });
        let (id, name) = match self.customer_id.as_str() {
            "" => ("unknown".to_owned(), "Unknown".to_owned()),
            id => (id.to_owned(), format!("Customer {id}")),
        };
        // An id may hold what an e-mail address must not.
        let mailbox = id.replace(|c: char| c.is_whitespace() || c == '@', "-");
        let email = format!("{mailbox}@{MAIL_DOMAIN}");
        (id, CustomerInput { name, email, address })
    }
}

/// The order of these rows. Its customer is that of the first, its date the first that there is, or
/// else `now`.
///
/// # Errors
/// Why there is no such order.
pub(super) fn order(
    rows: Vec<Row>,
    new_customer_id: String,
    now: Timestamp,
) -> Result<ImportedOrder, String> {
    let first = rows.first().ok_or("no rows")?;
    let (external_customer_id, customer) = first.customer();
    let confirmed_at = rows.iter().find_map(|row| row.invoice_date).unwrap_or(now);
    let input = OrderInput {
        customer_id: external_customer_id.clone(),
        currency: "GBP".to_owned(),
        reference: Some(first.invoice_no.clone()),
        note: None,
        lines: rows.into_iter().map(|row| row.line).collect(),
    };
    if let Some(violation) = input.violations().first() {
        return Err(reason(violation));
    }
    if let Some(violation) = customer.violations().first() {
        return Err(format!("CustomerID cannot be used: {}", violation.detail));
    }
    Ok(ImportedOrder { external_customer_id, new_customer_id, customer, input, confirmed_at })
}

/// A violation of the order, in the words of the file.
fn reason(violation: &Violation) -> String {
    let place = violation.pointer.rsplit('/').next().unwrap_or_default();
    let column = match place {
        "reference" => "InvoiceNo",
        "customerId" => "CustomerID",
        "sku" => "StockCode",
        "description" => "Description",
        "quantity" => "Quantity",
        "unitPriceMinor" => "UnitPrice",
        "lines" => "the order's lines",
        other => other,
    };
    format!("{column} {}", violation.detail)
}

/// A field as one line of text, without the blanks around it. What is not UTF-8 is Latin-1, as in
/// the published file: there each byte is the character of that number.
pub(super) fn text(field: &[u8]) -> String {
    let text = str::from_utf8(field)
        .map_or_else(|_| field.iter().copied().map(char::from).collect(), str::to_owned);
    text.replace(char::is_control, " ").trim().to_owned()
}

/// As much of a description as a line may have.
fn shortened(description: &str) -> String {
    let end = description.char_indices().nth(MAX_DESCRIPTION).map_or(description.len(), |it| it.0);
    description[..end].trim_end().to_owned()
}

/// A decimal number of pounds in pence, exactly; `None` when it is negative, has parts of a penny
/// or is no number.
fn pence(pounds: &str) -> Option<i64> {
    let (whole, fraction) = pounds.split_once('.').unwrap_or((pounds, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts_of_a_penny = fraction.get(2..).unwrap_or_default();
    if !all_digits(whole) || !all_digits(fraction) || parts_of_a_penny.contains(|c| c != '0') {
        return None;
    }
    format!("{whole}{:0<2}", fraction.get(..2).unwrap_or(fraction)).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [&str; 8] =
        ["536365", "85123A ", " HOLDER ", "6", "2010-12-01T08:26:00Z", "2.55", "17850", "EIRE"];

    const NOW: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);

    fn with(column: &str, value: &str) -> Result<Row, String> {
        let place = COLUMNS.iter().position(|name| *name == column).unwrap();
        let mut fields = GOOD;
        fields[place] = value;
        Row::read(&ByteRecord::from(fields.to_vec()))
    }

    #[test]
    fn prices_are_exact() {
        assert_eq!(pence("2.55"), Some(255));
        assert_eq!(pence("0.07"), Some(7));
        assert_eq!((pence("295"), pence("0"), pence("1.5")), (Some(29_500), Some(0), Some(150)));
        assert_eq!(pence("2.550"), Some(255), "still whole pence");
        for wrong in
            ["2.555", "-1", "", ".", "5.", ".5", "1e2", "1,000", "x", "99999999999999999999"]
        {
            assert_eq!(pence(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_row_is_a_line_with_its_customer() {
        let order = order(vec![with("Country", "EIRE").unwrap()], "new".to_owned(), NOW).unwrap();
        assert_eq!(order.input.reference.as_deref(), Some("536365"));
        assert_eq!(order.customer.name, "Customer 17850");
        assert_eq!(order.customer.email, "17850@customers.invalid");
        assert_eq!(order.customer.address.unwrap().country.as_deref(), Some("IE"));
        assert_eq!(order.confirmed_at.to_string(), "2010-12-01T08:26:00.000000Z");
        let line = LineInput {
            sku: "85123A".into(),
            description: Some("HOLDER".into()),
            quantity: 6,
            unit_price_minor: 255,
            tax_basis_points: 0,
        };
        assert_eq!(order.input.lines, [line]);
    }

    #[test]
    fn a_row_without_customer_or_country_belongs_to_unknown() {
        let row = Row { country: None, ..with("CustomerID", " ").unwrap() };
        let order = order(vec![row], "new".to_owned(), NOW).unwrap();
        assert_eq!((&*order.customer.name, &order.customer.address), ("Unknown", &None));
        assert_eq!(order.external_customer_id, "unknown");
    }

    #[test]
    fn every_kind_of_dirt_has_its_reason() {
        let many = "9".repeat(30);
        let long = "x".repeat(101);
        for (column, value, reason) in [
            ("InvoiceNo", " ", "InvoiceNo is missing"),
            ("InvoiceNo", "C536379", "InvoiceNo begins with C: a cancellation"),
            ("InvoiceNo", &long, "InvoiceNo must not be longer than 100 characters"),
            ("StockCode", "", "StockCode is missing"),
            ("StockCode", &long, "StockCode must not be longer than 64 characters"),
            ("Quantity", "0", "Quantity is not a whole number of 1 to 1000000"),
            ("Quantity", "-1", "Quantity is not a whole number of 1 to 1000000"),
            ("Quantity", "1000001", "Quantity is not a whole number of 1 to 1000000"),
            ("Quantity", "six", "Quantity is not a whole number of 1 to 1000000"),
            ("Quantity", &many, "Quantity is not a whole number of 1 to 1000000"),
            ("UnitPrice", "-0.01", "UnitPrice is negative or not in whole pence"),
            ("UnitPrice", "2.555", "UnitPrice is negative or not in whole pence"),
            ("UnitPrice", "10000000000.01", "UnitPrice must be 0 to 1000000000000"),
            ("CustomerID", &long, "CustomerID must not be longer than 64 characters"),
        ] {
            assert_eq!(with(column, value), Err(reason.to_owned()), "{column} {value:?}");
        }
        assert_eq!(Row::read(&ByteRecord::from(vec!["1"])), Err("not 8 columns".to_owned()));
    }

    #[test]
    fn dirt_that_can_be_cleaned_is_no_reason() {
        let line = |column, value: &str| with(column, value).unwrap().line;
        assert_eq!(line("StockCode", "85\t123\0A").sku, "85 123 A");
        assert_eq!(line("Description", "RED\r\nHOLDER\0").description.unwrap(), "RED  HOLDER");
        assert_eq!(line("Description", &"é".repeat(501)).description.unwrap(), "é".repeat(500));
        for id in ["17 850", "17\t850", "ada@example.com", "@", &"9".repeat(64)] {
            let order = order(vec![with("CustomerID", id).unwrap()], String::new(), NOW).unwrap();
            assert_eq!(order.external_customer_id, id.replace('\t', " "));
            assert_eq!(order.customer.violations(), []);
        }
    }

    #[test]
    fn text_that_is_not_utf_8_is_latin_1() {
        let mut fields = GOOD.map(str::as_bytes);
        fields[2] = b"\xa35 VOUCHER";
        let row = Row::read(&ByteRecord::from(fields.to_vec())).unwrap();
        assert_eq!(row.line.description.as_deref(), Some("£5 VOUCHER"));
    }

    #[test]
    fn an_order_without_a_date_is_of_now() {
        let dated = with("InvoiceDate", "12/1/2010 8:26").unwrap();
        for date in ["", "yesterday"] {
            let row = with("InvoiceDate", date).unwrap();
            let confirmed_at = |rows| order(rows, String::new(), NOW).unwrap().confirmed_at;
            assert_eq!(confirmed_at(vec![row.clone()]), NOW);
            assert_eq!(Some(confirmed_at(vec![row, dated.clone()])), dated.invoice_date);
        }
    }

    #[test]
    fn an_order_of_too_many_lines_is_none() {
        let row = with("UnitPrice", "0").unwrap();
        assert!(order(vec![row.clone(); 2_000], String::new(), NOW).is_ok());
        let reason = order(vec![row; 2_001], String::new(), NOW).unwrap_err();
        assert_eq!(reason, "the order's lines must be 1 to 2000 lines");
    }
}
