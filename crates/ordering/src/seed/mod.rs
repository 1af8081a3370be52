//! Made-up orders: many, to measure with; a few realistic ones, to try things out.

mod sample;

use std::fmt;
use std::time::Duration;

use contract::order::Address;
use contract::time::Timestamp;
use kit::clock::Clock;
use kit::db;
use kit::random::Random;
use kit::show;

use crate::import::progress_bar;
use crate::order::{CustomerInput, LineInput, OrderInput};
use crate::scope::ImportedOrder;
use crate::store::Store;

pub use sample::sample;

/// How many orders one transaction keeps.
const CHUNK: u32 = 1_000;
/// How many customers share the orders; the same ones each time.
const CUSTOMERS: u64 = 300;
/// Lines of an order.
const LINES: usize = 3;

/// What was made up, and how fast.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Orders that are kept now.
    pub orders: u64,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let orders = i64::try_from(self.orders).unwrap_or(i64::MAX);
        let micros = self.took.as_micros().max(1);
        let rate = i64::try_from(u128::from(self.orders) * 1_000_000 / micros).unwrap_or(i64::MAX);
        let seconds = self.took.as_secs_f64();
        let (orders, rate) = (show::count(orders), show::count(rate));
        write!(f, "{orders} orders in {seconds:.1} s, {rate} orders/s")
    }
}

/// Makes up confirmed orders. Their content is the same each time; their references are not, so
/// that every run adds orders.
///
/// # Errors
/// When the database fails; the chunks committed before stay.
pub async fn run(
    store: &dyn Store,
    clock: &dyn Clock,
    random: &Random,
    orders: u32,
) -> db::Result<Report> {
    let started = clock.now();
    let bar = progress_bar(u64::from(orders));
    let content = Random::seeded(0);
    // The upper half of the bits: 8 hexadecimal digits.
    let series = format!("S-{:08x}", random.bits() >> 32);
    let mut kept = 0;
    for first in (1..=orders).step_by(CHUNK as usize) {
        let last = orders.min(first.saturating_add(CHUNK - 1));
        let now = clock.now();
        let chunk: Vec<_> = (first..=last)
            .map(|n| made_up(format!("{series}-{n:06}"), &content, random.uuid(now), now))
            .collect();
        let orders = chunk.len() as u64;
        kept += store.import_orders(chunk, now).await?;
        bar.inc(orders);
    }
    bar.finish_and_clear();
    Ok(Report { orders: kept, took: clock.now().since(started) })
}

/// An order whose content is drawn from `content`.
fn made_up(
    reference: String,
    content: &Random,
    new_customer_id: String,
    now: Timestamp,
) -> ImportedOrder {
    const CURRENCIES: [&str; 4] = ["EUR", "GBP", "USD", "JPY"];
    const GOODS: [&str; 8] =
        ["Bolt", "Nut", "Washer", "Hinge", "Bracket", "Rope", "Shackle", "Cleat"];
    const TAX_RATES: [i64; 4] = [0, 700, 1900, 2100];
    // Shifted, so that the number fits an i64.
    let below = |n: u64| i64::try_from((content.bits() >> 1) % n).unwrap_or(0);
    let customer = below(CUSTOMERS);
    let line = || {
        let size = below(40) + 1;
        let goods = pick(&GOODS, content);
        LineInput {
            sku: format!("{}-{size}", goods.to_uppercase()),
            description: Some(format!("{goods}, size {size}")),
            quantity: below(100) + 1,
            unit_price_minor: below(50_000),
            tax_basis_points: pick(&TAX_RATES, content),
        }
    };
    ImportedOrder {
        external_customer_id: format!("seed-{customer}"),
        new_customer_id,
        customer: made_up_customer(customer),
        input: OrderInput {
            customer_id: String::new(),
            currency: pick(&CURRENCIES, content).to_owned(),
            reference: Some(reference),
            note: None,
            lines: (0..LINES).map(|_| line()).collect(),
        },
        confirmed_at: now,
    }
}

/// A customer, always the same for the same number.
fn made_up_customer(number: i64) -> CustomerInput {
    const PLACES: [(&str, &str); 6] = [
        ("Delft", "NL"),
        ("Leeds", "GB"),
        ("Lübeck", "DE"),
        ("Boston", "US"),
        ("Kobe", "JP"),
        ("Nantes", "FR"),
    ];
    let (city, country) = PLACES[usize::try_from(number).unwrap_or(0) % PLACES.len()];
    CustomerInput {
        name: format!("Made-up Works {number}"),
        email: format!("works-{number}@example.com"),
        address: Some(Address {
            line1: Some(format!("{} Quay Street", number + 1)),
            line2: None,
            postal_code: Some(format!("{:05}", 10_000 + number)),
            city: Some(city.to_owned()),
            country: Some(country.to_owned()),
        }),
    }
}

fn pick<T: Copy, const N: usize>(from: &[T; N], random: &Random) -> T {
    from[usize::try_from(random.bits() % N as u64).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_orders_keep_to_the_limits_and_are_the_same_each_time() {
        let now = Timestamp::from_micros(0);
        let series = || {
            let content = Random::seeded(0);
            let order = |n| made_up(format!("S-{n}"), &content, "id".into(), now);
            (0..500).map(order).collect::<Vec<_>>()
        };
        let orders = series();
        assert_eq!(orders, series());
        for order in orders {
            let input = OrderInput { customer_id: "0197".into(), ..order.input };
            assert_eq!((input.violations(), input.lines.len()), (vec![], LINES));
            assert_eq!(order.customer.violations(), vec![]);
        }
    }

    #[test]
    fn the_rate_is_told() {
        let report = Report { orders: 100_000, took: Duration::from_millis(2_500) };
        assert_eq!(report.to_string(), "100,000 orders in 2.5 s, 40,000 orders/s");
    }
}
