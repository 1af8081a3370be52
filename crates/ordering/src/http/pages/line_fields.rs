//! A row of the order's form, read as a line.

use contract::order::Line;
use kit::show;

use crate::order::{LineInput, MAX_QUANTITY, MAX_TAX_BASIS_POINTS, MAX_UNIT_PRICE_MINOR};

/// A row of the form, as it was typed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct LineFields {
    pub(super) sku: String,
    pub(super) description: String,
    pub(super) quantity: String,
    /// In major units of the order's currency.
    pub(super) unit_price: String,
    /// In percent.
    pub(super) tax: String,
}

impl LineFields {
    pub(super) fn of(line: &Line, currency: &str) -> Self {
        Self {
            sku: line.sku.clone(),
            description: line.description.clone().unwrap_or_default(),
            quantity: line.quantity.to_string(),
            unit_price: show::decimal(line.unit_price_minor, currency),
            tax: show::percent(line.tax_basis_points),
        }
    }

    /// The fields of the row at `place`, from 0.
    pub(super) fn cells(&self, place: usize) -> [Cell<'_>; 5] {
        let fields = [
            ("sku", "SKU", &self.sku, "text"),
            ("description", "Description", &self.description, "text"),
            ("quantity", "Quantity", &self.quantity, "numeric"),
            ("unitPrice", "Unit price", &self.unit_price, "decimal"),
            ("tax", "Tax %", &self.tax, "decimal"),
        ];
        fields.map(|(name, label, value, mode)| Cell {
            id: format!("lines-{place}-{name}"),
            name: format!("lines.{place}.{name}"),
            label,
            value,
            mode,
        })
    }

    pub(super) fn field(&mut self, name: &str) -> Option<&mut String> {
        match name {
            "sku" => Some(&mut self.sku),
            "description" => Some(&mut self.description),
            "quantity" => Some(&mut self.quantity),
            "unitPrice" => Some(&mut self.unit_price),
            "tax" => Some(&mut self.tax),
            _ => None,
        }
    }

    /// Whether nothing was typed; a tax rate alone is only what the row before had.
    pub(super) fn is_blank(&self) -> bool {
        let typed = [&self.sku, &self.description, &self.quantity, &self.unit_price];
        typed.iter().all(|field| field.trim().is_empty())
    }

    pub(super) fn lacks_amount(&self) -> bool {
        self.quantity.trim().is_empty() || self.unit_price.trim().is_empty()
    }

    /// The line; tells `wrong` each field that cannot be read, and what would be right.
    pub(super) fn read(&self, currency: &str, mut wrong: impl FnMut(&str, &str)) -> LineInput {
        let mut number = |field, read: Result<i64, String>| {
            read.unwrap_or_else(|detail| {
                wrong(field, &detail);
                0
            })
        };
        LineInput {
            sku: self.sku.trim().to_owned(),
            description: text(&self.description),
            quantity: number("quantity", self.quantity()),
            unit_price_minor: number("unitPrice", self.unit_price(currency)),
            tax_basis_points: number("tax", self.tax()),
        }
    }

    /// The line as far as amounts go; `None` when one of them is wrong.
    pub(super) fn amounts(&self, currency: &str) -> Option<Line> {
        Some(Line {
            quantity: self.quantity().ok()?,
            unit_price_minor: self.unit_price(currency).ok()?,
            tax_basis_points: self.tax().ok()?,
            ..Line::default()
        })
    }

    fn quantity(&self) -> Result<i64, String> {
        // A currency without minor unit: amounts in it are whole numbers.
        let number = show::parse_decimal(&self.quantity, "JPY")
            .map_err(|_| "must be a whole number".to_owned())?;
        within(number, 1, MAX_QUANTITY, show::count)
    }

    fn unit_price(&self, currency: &str) -> Result<i64, String> {
        let minor = show::parse_decimal(&self.unit_price, currency)?;
        within(minor, 0, MAX_UNIT_PRICE_MINOR, |minor| show::decimal(minor, currency))
    }

    fn tax(&self) -> Result<i64, String> {
        // Nothing typed is not no tax: that would be found out when the invoice is out.
        // A currency with hundredths: a basis point is a hundredth of a percent.
        let basis_points = show::parse_decimal(&self.tax, "EUR")
            .map_err(|_| "must be a percentage such as 21, 5.5 or 0".to_owned())?;
        within(basis_points, 0, MAX_TAX_BASIS_POINTS, show::percent)
    }
}

/// A field of a row, as the page shows it.
pub(super) struct Cell<'a> {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) label: &'static str,
    pub(super) value: &'a str,
    /// `numeric` or `decimal`, for the keyboard of a phone; `text` for words.
    pub(super) mode: &'static str,
}

impl Cell<'_> {
    pub(super) fn is_text(&self) -> bool {
        self.mode == "text"
    }
}

fn within(value: i64, min: i64, max: i64, show: impl Fn(i64) -> String) -> Result<i64, String> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(format!("must be {} to {}", show(min), show(max)))
    }
}

/// The id and the label of a field of the row at `row`, from 0, by its name in the form or in the order.
pub(super) fn line_field(row: usize, field: &str) -> (String, String) {
    let (name, label) = match field {
        "sku" => ("sku", "SKU"),
        "quantity" => ("quantity", "quantity"),
        "unitPrice" | "unitPriceMinor" => ("unitPrice", "unit price"),
        "tax" | "taxBasisPoints" => ("tax", "tax"),
        _ => ("description", "description"),
    };
    (format!("lines-{row}-{name}"), format!("Line {}, {label}", row + 1))
}

/// A text without the blanks around it; `None` when there is nothing else.
pub(super) fn text(typed: &str) -> Option<String> {
    let text = typed.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
