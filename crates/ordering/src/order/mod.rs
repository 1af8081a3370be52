//! The pure model of orders and customers: what a request may contain, limits, totals.
//!
//! Nothing here knows HTTP or SQL. The API, the forms and the import all read their input into
//! [`OrderInput`] and [`CustomerInput`], so that the same rules hold everywhere. The limits are in
//! [`validate`]; `schema` attributes, which take no constants, repeat them for the description, and
//! a test holds the two together.

mod validate;

use contract::money::Totals;
use contract::order::{Address, Line};
use contract::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use validate::{
    MAX_DESCRIPTION, MAX_LINES, MAX_QUANTITY, MAX_TAX_BASIS_POINTS, MAX_UNIT_PRICE_MINOR,
};

/// The whole content of an order as a request gives it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderInput {
    /// Who orders.
    #[schema(min_length = 1, max_length = 64)]
    pub customer_id: String,
    /// ISO 4217 code of all amounts.
    #[schema(pattern = "^[A-Z]{3}$")]
    pub currency: String,
    /// The customer's own reference.
    #[schema(max_length = 100)]
    pub reference: Option<String>,
    /// Free text.
    #[schema(max_length = 2_000)]
    pub note: Option<String>,
    /// What is ordered; a line's place becomes its number, from 1.
    #[schema(min_items = 1, max_items = 2_000)]
    pub lines: Vec<LineInput>,
}

impl OrderInput {
    /// The lines as the order document shows them: numbered from 1.
    pub fn numbered_lines(&self) -> Vec<Line> {
        let numbered = (1..).zip(&self.lines).map(|(line_no, line)| Line {
            line_no,
            sku: line.sku.clone(),
            description: line.description.clone(),
            quantity: line.quantity,
            unit_price_minor: line.unit_price_minor,
            tax_basis_points: line.tax_basis_points,
        });
        numbered.collect()
    }

    /// Net, tax and total; `None` when one of them is too large, which no valid order's is.
    pub fn totals(&self) -> Option<Totals> {
        Totals::of(&self.numbered_lines())
    }
}

/// A line as a request gives it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LineInput {
    /// Stock keeping unit.
    #[schema(min_length = 1, max_length = 64)]
    pub sku: String,
    /// The same in words.
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// How many.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub quantity: i64,
    /// Price of one, in minor units.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64)]
    pub unit_price_minor: i64,
    /// Tax rate in hundredths of a percent.
    #[schema(minimum = 0, maximum = 10_000)]
    pub tax_basis_points: i64,
}

/// A customer as a request gives it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomerInput {
    /// Name of the person or company.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// Where to write to.
    #[schema(max_length = 254)]
    pub email: String,
    /// Postal address; `None` when it is not known.
    pub address: Option<Address>,
}

/// A customer as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = KeptCustomer)]
pub struct Customer {
    /// UUID version 7.
    pub id: String,
    /// Rises by one with every change.
    pub version: i64,
    /// What was given.
    #[serde(flatten)]
    pub input: CustomerInput,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}
