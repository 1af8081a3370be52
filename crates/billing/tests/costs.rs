//! What a page costs billing, in counts that do not depend on the machine. The limits leave room: they
//! are for what makes a page many times as dear.

use std::sync::Arc;

use billing::pull::{Page, answer};
use billing::store::{Applied, Received, Store, open};
use billing::upstream::Answer;
use contract::feed::{ContinuationToken, Epoch, FeedPage, SequenceNr};
use contract::money::Totals;
use contract::order::{Address, Customer, Line, Order, OrderState};
use contract::time::Timestamp;
use kit::random::Random;
use reqwest::header::HeaderMap;
use testkit::statements;
use tokio::runtime::Runtime;

const AT: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);
const ORDERS: i64 = 500;

/// A store on PostgreSQL, and the thread on which all of it runs: counts are kept by thread.
struct World {
    runtime: Runtime,
    store: Arc<dyn Store>,
    random: Random,
    // Removed when the test is over.
    _database: testkit::postgres::TestDatabase,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (store, database) = runtime.block_on(async {
            let database = testkit::postgres::database().await;
            (open(&database.url().parse().unwrap()).await.unwrap(), database)
        });
        Self { runtime, store, random: Random::seeded(1), _database: database }
    }

    fn take_in(&self, received: &Received) {
        let applied = self.store.apply(received, &self.random, AT);
        assert!(matches!(self.runtime.block_on(applied).unwrap(), Applied::Done(_)));
    }
}

fn token(number: i64) -> ContinuationToken {
    format!("k3v9x2ab-1000-{number}").parse().unwrap()
}

/// The body of a page that brings so many orders of three lines in this version.
fn body(version: i64, orders: i64) -> Vec<u8> {
    body_from(0, version, orders)
}

/// The same with orders numbered from behind `known`.
fn body_from(known: i64, version: i64, orders: i64) -> Vec<u8> {
    let base = (version - 1) * orders;
    let page = FeedPage {
        feed_id: "k3v9x2ab".parse().unwrap(),
        epoch: Epoch(1_000),
        orders: (1..=orders).map(|n| order(known + n, version, base + n)).collect(),
        continuation_token: token(base + orders),
        has_more: true,
        last_sequence_nr: SequenceNr(base + orders),
    };
    serde_json::to_vec(&page).unwrap()
}

fn order(number: i64, version: i64, sequence_nr: i64) -> Order {
    let line = |line_no| Line {
        line_no,
        sku: format!("SHACKLE-{line_no}"),
        description: Some(format!("Shackle, size {line_no}")),
        quantity: version,
        unit_price_minor: 12_345,
        tax_basis_points: 2100,
    };
    let lines: Vec<_> = (1..=3).map(line).collect();
    let totals = Totals::of(&lines).unwrap();
    let address = Address {
        line1: Some("7 Quay Street".into()),
        city: Some("Delft".into()),
        country: Some("NL".into()),
        ..Address::default()
    };
    Order {
        number,
        state: OrderState::Confirmed,
        version,
        confirmed_sequence_nr: SequenceNr(sequence_nr),
        customer: Customer {
            id: "01a2205f-67a8-7878-8736-ad5a331403ab".into(),
            name: "Made-up Works".into(),
            email: "works@example.com".into(),
            address: Some(address),
        },
        currency: "EUR".into(),
        reference: Some(format!("S-{number:08}")),
        note: None,
        lines,
        net_minor: totals.net_minor,
        tax_minor: totals.tax_minor,
        total_minor: totals.total_minor,
        confirmed_at: Some(AT),
        changed_at: AT,
        deleted_at: None,
    }
}

fn read(body: Vec<u8>, sent: Option<&ContinuationToken>) -> Page {
    answer::page(&Answer::new("Ordering", 200, HeaderMap::new(), body, AT), sent).unwrap()
}

/// What is to be taken in of the page that brings all orders in this version.
fn received(version: i64) -> Received {
    received_from(0, version)
}

/// The same with orders numbered from behind `known`.
fn received_from(known: i64, version: i64) -> Received {
    let from = (version > 1).then(|| token((version - 1) * ORDERS));
    read(body_from(known, version, ORDERS), from.as_ref()).received(from)
}

#[test]
fn a_page_takes_few_statements() {
    let world = World::new();
    // The first page of all adopts the feed; the second one brings the same orders, the third new ones.
    for (known, version, limit) in [(0, 1, 6), (0, 2, 5), (ORDERS, 3, 5)] {
        let received = received_from(known, version);
        let ((), statements) = statements::count(|| world.take_in(&received));
        assert!((3..=limit).contains(&statements), "page {version}: {statements} statements");
    }
}

/// It is what an order waits for, once billing has caught up.
#[test]
fn a_short_page_takes_one_statement() {
    let world = World::new();
    let received = |version| {
        let from = (version > 1).then(|| token(version - 1));
        read(body(version, 1), from.as_ref()).received(from)
    };
    world.take_in(&received(1)); // Adopts the feed.
    world.take_in(&received(2)); // May have to open its connection first.
    let received = received(3);
    let ((), statements) = statements::count(|| world.take_in(&received));
    assert_eq!(statements, 1, "a transaction by itself");
}

#[test]
fn reading_an_order_takes_few_allocations_and_bytes() {
    let body = body(1, ORDERS);
    let mut page = None;
    let allocated = allocation_counter::measure(|| page = Some(read(body, None)));
    assert_eq!(page.unwrap().orders.len(), 500);
    let allocations = allocated.count_total / 500;
    assert!((5..=45).contains(&allocations), "{allocations} allocations an order");
    let bytes = allocated.bytes_max / 500;
    assert!(bytes <= 850, "{bytes} bytes an order at a time: what its copy keeps, and no more");
}

#[test]
fn taking_an_order_in_takes_few_allocations_and_bytes() {
    let world = World::new();
    world.take_in(&received(1)); // Prepares the statements.
    let received = received(2);
    let allocated = allocation_counter::measure(|| world.take_in(&received));
    let allocations = allocated.count_total / 500;
    assert!((1..=10).contains(&allocations), "{allocations} allocations an order");
    let bytes = allocated.bytes_max / 500;
    assert!(bytes <= 3_000, "{bytes} bytes an order at a time");
}
