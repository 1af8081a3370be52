//! What a page and a look of the sequencer's cost, in counts that do not depend on the machine. The
//! limits leave room: they are for what makes a page many times as dear.

use std::sync::Arc;

use contract::feed::{FeedPage, MAX_PAGE_BYTES};
use contract::time::Timestamp;
use kit::clock::ManualClock;
use kit::random::Random;
use ordering::seed;
use ordering::store::{FeedAnswer, Page, Store, open};
use testkit::statements;
use tokio::runtime::Runtime;

const AT: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);

/// A store on PostgreSQL, and the thread on which all of it runs: counts are kept by thread.
struct World {
    runtime: Runtime,
    store: Arc<dyn Store>,
    random: Random,
    // Removed when the test is over.
    _database: testkit::postgres::TestDatabase,
}

impl World {
    /// With so many orders in the feed, of three lines each.
    fn new(orders: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let random = Random::seeded(1);
        let (store, database) = runtime.block_on(async {
            let database = testkit::postgres::database().await;
            (open(&database.url().parse().unwrap(), &random, AT).await.unwrap(), database)
        });
        let world = Self { runtime, store, random, _database: database };
        world.make(orders);
        world.tick();
        world
    }

    /// Makes so many orders, which wait to be stamped.
    fn make(&self, orders: u32) {
        let clock = ManualClock::at(AT);
        self.runtime.block_on(seed::run(&*self.store, &*clock, &self.random, orders)).unwrap();
    }

    /// Lets the sequencer look; how many orders it stamped.
    fn tick(&self) -> i64 {
        self.runtime.block_on(self.store.stamp(1_000, AT)).unwrap().count
    }

    fn page(&self, limit: i64) -> Page {
        let page = self.store.feed_page(None, limit, MAX_PAGE_BYTES);
        match self.runtime.block_on(page).unwrap() {
            FeedAnswer::Page(page) => page,
            FeedAnswer::Refused { verdict, .. } => panic!("refused: {verdict:?}"),
        }
    }
}

#[test]
fn pages_and_looks_take_few_statements_however_many_orders_there_are() {
    let world = World::new(500);
    let page = |limit| least(|| statements::count(|| assert_page(&world, limit)).1);
    let (large, small) = (page(500), page(5));
    assert_eq!(small, large);
    assert_eq!(small, 1, "statements a page");

    let idle = least(|| statements::count(|| assert_eq!(world.tick(), 0)).1);
    assert_eq!(idle, 1, "statements of a look that finds nothing");
    let stamp = |orders| {
        world.make(orders);
        statements::count(|| assert_eq!(world.tick(), i64::from(orders))).1
    };
    let (many, one) = (least(|| stamp(300)), least(|| stamp(1)));
    assert_eq!(one, many);
    assert_eq!(one, 1, "statements of a stamp: no look, and all of it at once");
}

/// How many statements something takes that is done a few times: a connection that is opened because the
/// one before is still being given back takes one more.
fn least(count: impl FnMut() -> usize) -> usize {
    std::iter::repeat_with(count).take(5).min().unwrap_or_default()
}

fn assert_page(world: &World, orders: usize) {
    assert_eq!(world.page(i64::try_from(orders).unwrap()).orders, orders);
}

#[test]
fn an_order_of_a_page_takes_few_bytes_and_allocations() {
    const ORDERS: usize = 500;
    let world = World::new(500);
    assert_page(&world, ORDERS); // Prepares the statements.
    let mut page = None;
    let allocated = allocation_counter::measure(|| page = Some(world.page(500)));
    let page = page.unwrap();
    let allocations = allocated.count_total / ORDERS as u64;
    assert!((1..=3).contains(&allocations), "{allocations} allocations an order");
    let bytes = page.document.len() / ORDERS;
    assert!((500..=1_300).contains(&bytes), "{bytes} bytes an order");
    let held = allocated.bytes_max / page.document.len() as u64;
    assert!(held <= 3, "while it is read, a page takes {held} times its size");
    let read: FeedPage = serde_json::from_slice(&page.document).unwrap();
    assert!(read.orders.iter().all(|order| order.lines.len() == 3));
}
