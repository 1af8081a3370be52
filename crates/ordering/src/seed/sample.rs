//! A few orders as a shipyard supplier might have them, for the demo's first start.

use std::time::Duration;

use contract::order::Address;
use contract::time::Timestamp;
use kit::clock::Clock;
use kit::db;
use kit::random::Random;

use crate::order::{CustomerInput, LineInput, OrderInput};
use crate::scope::{Outcome, Scope};
use crate::store::Change;
use crate::store::{OrderFilter, Store};

/// Name, e-mail, street, postal code, city, country.
const CUSTOMERS: [[&str; 6]; 8] = [
    ["Ada Yards", "ada@adayards.example", "1 Quay Street", "2611 GW", "Delft", "NL"],
    [
        "Kranenburg & Zonen",
        "inkoop@kranenburg.example",
        "Maasboulevard 12",
        "3011 TX",
        "Rotterdam",
        "NL",
    ],
    [
        "Northwind Chandlers",
        "orders@northwind.example",
        "7 Harbour Road",
        "NE30 1JB",
        "North Shields",
        "GB",
    ],
    ["Tanaka Works", "zaimu@tanaka.example", "2-4-1 Minatomachi", "650-0042", "Kobe", "JP"],
    ["Blue Anchor Marine", "ap@blueanchor.example", "88 Atlantic Avenue", "02110", "Boston", "US"],
    [
        "Werft Lübeck GmbH",
        "einkauf@werft-luebeck.example",
        "An der Trave 5",
        "23552",
        "Lübeck",
        "DE",
    ],
    ["Chantier Moreau", "achats@moreau.example", "14 quai de la Fosse", "44000", "Nantes", "FR"],
    ["Sofia Lindgren", "sofia@lindgren.example", "Sjögatan 3", "392 32", "Kalmar", "SE"],
];

/// SKU, description, unit price in minor units of the euro, the pound or the dollar.
const GOODS: [(&str, &str, i64); 7] = [
    ("BOLT-8", "Bolt M8, stainless", 35),
    ("ROPE-12", "Mooring rope, 12 mm, 50 m coil", 8_950),
    ("FEND-3", "Fender, inflatable, 3 ft", 12_070),
    ("SHAC-10", "Bow shackle, 10 mm, galvanised", 420),
    ("PAINT-R", "Antifouling paint, red, 5 l", 14_995),
    ("LAMP-N", "Navigation light, LED, 12 V", 6_400),
    ("ANCH-15", "Plough anchor, 15 kg", 21_900),
];

/// What becomes of a sample order after it was written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Draft,
    Confirmed,
    /// Confirmed, then deleted.
    Deleted,
}

use Fate::{Confirmed, Deleted, Draft};

/// Customer, currency, reference, tax in basis points, what becomes of it, and the lines: which
/// goods, how many.
type Sample = (usize, &'static str, &'static str, i64, Fate, &'static [(usize, i64)]);

/// Oldest first.
const ORDERS: [Sample; 12] = [
    (0, "EUR", "PO-76", 2100, Confirmed, &[(0, 400), (3, 24)]),
    (2, "GBP", "NW/9", 2000, Confirmed, &[(1, 2), (2, 4), (5, 1)]),
    (3, "JPY", "", 0, Confirmed, &[(6, 1)]),
    (1, "EUR", "KZ-2026-0418", 2100, Confirmed, &[(4, 12), (0, 2_000), (1, 6), (2, 8)]),
    (4, "USD", "84-1177", 0, Confirmed, &[(5, 4), (6, 2)]),
    (2, "GBP", "NW/10", 2000, Deleted, &[(3, 10)]),
    (5, "EUR", "B-20931", 1900, Confirmed, &[(2, 6), (1, 3)]),
    (6, "EUR", "CM 5521", 2000, Confirmed, &[(4, 3)]),
    (0, "EUR", "PO-77", 2100, Confirmed, &[(0, 40), (1, 2), (2, 10)]),
    (7, "EUR", "", 2500, Draft, &[(5, 1), (3, 6)]),
    (4, "USD", "84-1180", 0, Confirmed, &[(1, 10), (3, 100)]),
    (1, "EUR", "KZ-2026-0433", 2100, Draft, &[(6, 2), (4, 6), (0, 500)]),
];

/// Between two sample orders: so that their dates differ.
const APART: Duration = Duration::from_hours(19);

/// How long ago the first of them was written; longer than all of them take.
const SPAN: Duration = Duration::from_hours(240);

/// Keeps the sample customers and orders, unless there is an order already; whether it did.
///
/// # Errors
/// When the database fails; what was written before stays, and is taken for enough next time.
pub async fn sample(store: &dyn Store, clock: &dyn Clock, random: &Random) -> db::Result<bool> {
    if !store.orders(&OrderFilter::default(), 1).await?.is_empty() {
        return Ok(false);
    }
    let begin = before(clock.now(), SPAN);
    let mut scope = Scope::new();
    let mut customers = Vec::with_capacity(CUSTOMERS.len());
    for customer in &CUSTOMERS {
        let id = random.uuid(begin);
        scope.create_customer(id.clone(), customer_input(customer));
        customers.push(id);
    }
    let Outcome::Done(_) = store.commit(&scope, None, begin).await? else {
        // They keep to the limits, and there is no key.
        return Ok(false);
    };
    for (place, sample) in (0_u32..).zip(&ORDERS) {
        let at = begin + APART * place;
        let Change::Done(order) =
            store.create_order(&order_input(sample, &customers), None, at).await?
        else {
            // Its customer was just made, and there is no key.
            continue;
        };
        let (number, fate) = (order.number, sample.4);
        if fate != Draft {
            let _ = store.confirm_order(number, None, at + Duration::from_mins(40)).await?;
        }
        if fate == Deleted {
            let _ = store.delete_order(number, None, at + Duration::from_hours(3)).await?;
        }
    }
    Ok(true)
}

fn before(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_micros(now.micros() - i64::try_from(by.as_micros()).unwrap_or(0))
}

fn customer_input(&[name, email, line1, postal_code, city, country]: &[&str; 6]) -> CustomerInput {
    let part = |text: &str| Some(text.to_owned());
    CustomerInput {
        name: name.to_owned(),
        email: email.to_owned(),
        address: Some(Address {
            line1: part(line1),
            line2: None,
            postal_code: part(postal_code),
            city: part(city),
            country: part(country),
        }),
    }
}

fn order_input(sample: &Sample, customers: &[String]) -> OrderInput {
    let &(customer, currency, reference, tax_basis_points, _, lines) = sample;
    let line = |&(goods, quantity): &(usize, i64)| {
        let (sku, description, price) = GOODS[goods];
        LineInput {
            sku: sku.to_owned(),
            description: Some(description.to_owned()),
            quantity,
            unit_price_minor: price,
            tax_basis_points,
        }
    };
    OrderInput {
        customer_id: customers[customer].clone(),
        currency: currency.to_owned(),
        reference: (!reference.is_empty()).then(|| reference.to_owned()),
        note: None,
        lines: lines.iter().map(line).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_to_the_limits() {
        let ids: Vec<_> = (0..CUSTOMERS.len()).map(|n| n.to_string()).collect();
        for sample in &ORDERS {
            assert_eq!(order_input(sample, &ids).violations(), vec![]);
        }
        for customer in &CUSTOMERS {
            assert_eq!(customer_input(customer).violations(), vec![]);
        }
    }
}
