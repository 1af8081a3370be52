//! A row of the file, read as a line of an order.

use contract::order::Address;
use contract::problem::Violation;
use contract::time::Timestamp;
use csv::ByteRecord;

use super::country;
use crate::order::{CustomerInput, LineInput, MAX_QUANTITY, OrderInput};
use crate::store::ImportedOrder;

/// What the first line of the file must be.
pub(super) const COLUMNS: [&str; 8] = [
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
    invoice_date: Timestamp,
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
        let fields: Vec<_> =
            record.iter().map(str::from_utf8).collect::<Result<_, _>>().map_err(|_| "not UTF-8")?;
        let &[invoice_no, stock_code, description, quantity, date, price, customer_id, country] =
            fields.as_slice()
        else {
            return Err(format!("not {} columns", COLUMNS.len()));
        };
        let invoice_no = invoice_no.trim();
        if invoice_no.is_empty() {
            return Err("InvoiceNo is missing".to_owned());
        }
        if invoice_no.starts_with('C') {
            return Err("InvoiceNo begins with C: a cancellation".to_owned());
        }
        let sku = stock_code.trim();
        if sku.is_empty() {
            return Err("StockCode is missing".to_owned());
        }
        let description = description.trim();
        let line = LineInput {
            sku: sku.to_owned(),
            description: (!description.is_empty()).then(|| description.to_owned()),
            quantity: quantity
                .trim()
                .parse()
                .ok()
                .filter(|quantity| (1..=MAX_QUANTITY).contains(quantity))
                .ok_or_else(|| format!("Quantity is not a whole number of 1 to {MAX_QUANTITY}"))?,
            unit_price_minor: pence(price.trim())
                .ok_or("UnitPrice is negative or not in whole pence")?,
            tax_basis_points: 0,
        };
        let row = Self {
            invoice_no: invoice_no.to_owned(),
            line,
            invoice_date: date.trim().parse().map_err(|_| "InvoiceDate is not a time")?,
            customer_id: customer_id.trim().to_owned(),
            country: country::code(country),
        };
        // What else would be wrong with an order of this row alone.
        order(vec![row.clone()], String::new())?;
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
        let email = format!("{id}@{MAIL_DOMAIN}");
        (id, CustomerInput { name, email, address })
    }
}

/// The order of these rows. Customer and date are those of the first.
///
/// # Errors
/// Why there is no such order.
pub(super) fn order(rows: Vec<Row>, new_customer_id: String) -> Result<ImportedOrder, String> {
    let first = rows.first().ok_or("no rows")?;
    let (external_customer_id, customer) = first.customer();
    let confirmed_at = first.invoice_date;
    let input = OrderInput {
        customer_id: external_customer_id.clone(),
        currency: "GBP".to_owned(),
        reference: Some(first.invoice_no.clone()),
        note: None,
        lines: rows.into_iter().map(|row| row.line).collect(),
    };
    if let Some(violation) = customer.violations().first() {
        return Err(format!("CustomerID cannot be used: {}", violation.detail));
    }
    if let Some(violation) = input.violations().first() {
        return Err(reason(violation));
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
        let order = order(vec![with("Country", "EIRE").unwrap()], "new".to_owned()).unwrap();
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
        let order = order(vec![row], "new".to_owned()).unwrap();
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
            ("Description", "a\0b", "Description must be one line without control characters"),
            ("Quantity", "0", "Quantity is not a whole number of 1 to 1000000"),
            ("Quantity", "-1", "Quantity is not a whole number of 1 to 1000000"),
            ("Quantity", "1000001", "Quantity is not a whole number of 1 to 1000000"),
            ("Quantity", "six", "Quantity is not a whole number of 1 to 1000000"),
            ("Quantity", &many, "Quantity is not a whole number of 1 to 1000000"),
            ("UnitPrice", "-0.01", "UnitPrice is negative or not in whole pence"),
            ("UnitPrice", "2.555", "UnitPrice is negative or not in whole pence"),
            ("UnitPrice", "10000000000.01", "UnitPrice must be 0 to 1000000000000"),
            ("InvoiceDate", "12/1/2010 8:26", "InvoiceDate is not a time"),
        ] {
            assert_eq!(with(column, value), Err(reason.to_owned()), "{column} {value:?}");
        }
        assert!(with("CustomerID", "17 850").unwrap_err().starts_with("CustomerID cannot be used"));
        assert_eq!(Row::read(&ByteRecord::from(vec!["1"])), Err("not 8 columns".to_owned()));
        assert_eq!(Row::read(&ByteRecord::from(vec![b"\xa3"])), Err("not UTF-8".to_owned()));
    }

    #[test]
    fn an_order_of_too_many_lines_is_none() {
        let row = with("UnitPrice", "0").unwrap();
        assert!(order(vec![row.clone(); 2_000], String::new()).is_ok());
        let reason = order(vec![row; 2_001], String::new()).unwrap_err();
        assert_eq!(reason, "the order's lines must be 1 to 2000 lines");
    }
}
