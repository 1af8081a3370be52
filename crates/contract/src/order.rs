//! The order document, as the feed carries it and as both services show it.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::feed::SequenceNr;
use crate::money::Totals;
use crate::time::Timestamp;

/// An order as other programs see it.
///
/// Unknown fields are ignored when it is read, so that ordering may add some before
/// billing knows them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Assigned by ordering's database; unique, not necessarily gapless.
    pub number: i64,
    /// Where the order is in its life.
    pub state: OrderState,
    /// Rises by one with every committed change.
    pub version: i64,
    /// The place in the feed; −1 until the sequencer has stamped the latest change.
    pub confirmed_sequence_nr: SequenceNr,
    /// Who ordered. A draft shows its customer as it is now; a confirmed order keeps a copy.
    pub customer: Customer,
    /// ISO 4217 code of all amounts.
    pub currency: String,
    /// The customer's own reference, for instance a purchase order number.
    pub reference: Option<String>,
    /// Free text.
    pub note: Option<String>,
    /// What was ordered, by rising `line_no` from 1.
    pub lines: Vec<Line>,
    /// Sum of quantity × unit price, in minor units.
    pub net_minor: i64,
    /// Sum of the tax, rounded per line, in minor units.
    pub tax_minor: i64,
    /// `net_minor + tax_minor`.
    pub total_minor: i64,
    /// When the order was first confirmed; `None` for a draft and a deleted draft.
    pub confirmed_at: Option<Timestamp>,
    /// When the order was last written.
    pub changed_at: Timestamp,
    /// When the order was deleted; `None` while it is not.
    pub deleted_at: Option<Timestamp>,
}

impl Order {
    /// Whether the order is a tombstone: deleted, but kept so that the deletion can be told.
    pub fn is_deleted(&self) -> bool {
        self.state == OrderState::Deleted
    }

    /// The three totals together.
    pub fn totals(&self) -> Totals {
        Totals {
            net_minor: self.net_minor,
            tax_minor: self.tax_minor,
            total_minor: self.total_minor,
        }
    }
}

/// Where an order is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderState {
    /// Being written; other services do not see it.
    Draft,
    /// Binding; published on the feed.
    Confirmed,
    /// A tombstone. Published on the feed when the order was ever confirmed.
    Deleted,
}

impl OrderState {
    /// All states, in the order of an order's life.
    pub const ALL: [Self; 3] = [Self::Draft, Self::Confirmed, Self::Deleted];

    /// The word for it in documents, addresses and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Confirmed => "confirmed",
            Self::Deleted => "deleted",
        }
    }

    /// The state that `word` names; `None` when there is no such state.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The customer of an order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    /// UUID of the customer in ordering.
    pub id: String,
    /// Name of the person or company.
    pub name: String,
    /// Where to write to.
    pub email: String,
    /// Postal address; `None` when it is not known.
    pub address: Option<Address>,
}

/// A postal address, of which any part may be unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// Street and house number.
    pub line1: Option<String>,
    /// A further line.
    pub line2: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// City.
    pub city: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    pub country: Option<String>,
}

/// A line of an order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Place in the order, from 1.
    pub line_no: i64,
    /// Stock keeping unit: what is ordered.
    pub sku: String,
    /// The same in words.
    pub description: Option<String>,
    /// How many, 1 to 1,000,000.
    pub quantity: i64,
    /// Price of one, in minor units of the order's currency.
    pub unit_price_minor: i64,
    /// Tax rate in hundredths of a percent: 2100 is 21 %.
    pub tax_basis_points: i64,
}

/// Whether `code` is an ISO 3166-1 alpha-2 country code in upper case.
pub fn is_country_code(code: &str) -> bool {
    rust_iso3166::ALL_ALPHA2.contains(&code)
}

/// The everyday English name of the country with this ISO 3166-1 alpha-2 code; `None` when there
/// is none.
pub fn country_name(code: &str) -> Option<&'static str> {
    rust_iso3166::from_alpha2(code).map(|country| everyday_name(country.alpha2, country.name))
}

/// All countries: ISO 3166-1 alpha-2 code and everyday English name.
pub fn countries() -> impl Iterator<Item = (&'static str, &'static str)> {
    rust_iso3166::ALL
        .iter()
        .map(|country| (country.alpha2, everyday_name(country.alpha2, country.name)))
}

/// The standard's names without what they add in brackets, such as the form of the state.
fn everyday_name(code: &str, name: &'static str) -> &'static str {
    match code {
        "CD" => "Democratic Republic of the Congo",
        "GB" => "United Kingdom",
        "KP" => "North Korea",
        "KR" => "South Korea",
        "RU" => "Russia",
        "US" => "United States",
        "VG" => "British Virgin Islands",
        "VI" => "United States Virgin Islands",
        "VN" => "Vietnam",
        _ if name.ends_with(')') => name.split(" (").next().unwrap_or(name),
        _ => name,
    }
}

/// Whether `code` is an ISO 4217 currency code in upper case.
pub fn is_currency_code(code: &str) -> bool {
    iso_currency::Currency::from_code(code).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_one_word_each() {
        for state in OrderState::ALL {
            assert_eq!(OrderState::parse(state.as_str()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert_eq!(OrderState::parse("Draft"), None);
    }

    #[test]
    fn every_country_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = countries().map(|(_, name)| name).collect();
        assert_eq!(names.len(), countries().count());
        assert_eq!(country_name("NL"), Some("Netherlands"));
        assert_eq!(country_name("CC"), Some("Cocos (Keeling) Islands"));
        assert_eq!(country_name("XX"), None);
    }

    #[test]
    fn codes_are_checked_against_the_standards() {
        assert!(is_country_code("NL") && !is_country_code("nl") && !is_country_code("XX"));
        assert!(is_currency_code("EUR") && !is_currency_code("eur") && !is_currency_code("EURO"));
    }
}
