//! The first 10,000 lines of a real shop's sales, where they are at hand: every count and amount
//! is computed here a second time, straight from the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::world::{World, on_both_databases};

on_both_databases!(the_real_orders_are_all_there);

/// The directory that holds the file.
const VARIABLE: &str = "LOCKSTEP_REAL_DATA";

/// What an order must be.
#[derive(Default, PartialEq, Eq, Debug)]
struct Expected {
    customer: String,
    confirmed_at: String,
    /// SKU, quantity, price in pence.
    lines: Vec<(String, i64, i64)>,
    total: i64,
}

async fn the_real_orders_are_all_there(world: World) {
    let Some(directory) = std::env::var_os(VARIABLE) else {
        println!("{VARIABLE} is not set: the real orders are not tested");
        return;
    };
    let file = PathBuf::from(directory).join("online-retail-10k.csv");
    let rejected_file = world.path("rejected.csv");

    let mut expected = BTreeMap::<String, Expected>::new();
    let (mut cancelled, mut too_few, mut customers) = (0, 0, BTreeSet::new());
    for row in csv::Reader::from_path(&file).unwrap().records() {
        let row = row.unwrap();
        let quantity: i64 = row[3].parse().unwrap();
        if row[0].starts_with('C') {
            cancelled += 1;
            continue;
        }
        if quantity < 1 {
            too_few += 1;
            continue;
        }
        let order = expected.entry(row[0].to_owned()).or_insert_with(|| Expected {
            customer: if row[6].is_empty() {
                "Unknown".to_owned()
            } else {
                format!("Customer {}", &row[6])
            },
            confirmed_at: row[4].replace('Z', ".000000Z"),
            ..Expected::default()
        });
        customers.insert(order.customer.clone());
        // Whole pence are at most two decimals: a number of a hundred times as many.
        let (pounds, decimals) = row[5].split_once('.').unwrap_or((&row[5], ""));
        let price: i64 = format!("{pounds}{decimals:0<2}").parse().unwrap();
        order.lines.push((row[1].trim().to_owned(), quantity, price));
        order.total += quantity * price;
    }

    let report = world.import(&file, Some(&rejected_file)).await.unwrap();
    let lines: usize = expected.values().map(|order| order.lines.len()).sum();
    assert_eq!((report.new, report.known), (expected.len() as u64, 0));
    assert_eq!(report.lines, lines as u64);
    let rejected: Vec<_> = report.rejected.values().copied().collect();
    assert_eq!(rejected, [cancelled, too_few], "{:?}", report.rejected);
    let written = std::fs::read_to_string(&rejected_file).unwrap().lines().count() as u64;
    assert_eq!(written, 1 + cancelled + too_few);

    let orders = world.orders().await;
    assert_eq!(orders.len(), expected.len());
    for (reference, expected) in &expected {
        let order = &orders[reference];
        let lines = order.lines.iter();
        let actual = Expected {
            customer: order.customer.name.clone(),
            confirmed_at: order.confirmed_at.unwrap().to_string(),
            lines: lines.map(|l| (l.sku.clone(), l.quantity, l.unit_price_minor)).collect(),
            total: order.total_minor,
        };
        assert_eq!(actual, *expected, "{reference}");
        let address = order.customer.address.as_ref();
        assert!(address.is_some_and(|address| address.country.is_some()), "{reference}");
    }
    assert_eq!(world.store.customers(None, 10_000).await.unwrap().len(), customers.len());

    let again = world.import(&file, Some(&rejected_file)).await.unwrap();
    assert_eq!((again.new, again.known), (0, expected.len() as u64));
    assert_eq!(world.orders().await, orders);
}
