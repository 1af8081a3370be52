//! The two services with their orders.

use e2e::billing::Billing;
use e2e::equal::until_equal;
use e2e::ordering::{Ordering, content};
use e2e::pair::{Database, Engine, Pair};

use crate::SOON;

/// Both services, each on a PostgreSQL database of its own, stamping and pulling every 200 ms, and
/// orders that both have.
pub(super) struct Stage {
    pub(super) ordering: Ordering,
    pub(super) billing: Billing,
    pub(super) ordering_database: Database,
    pub(super) billing_database: Database,
    pub(super) customer: String,
    /// The number of the order that never rests.
    pub(super) hot: i64,
    /// Those that are changed by transactions that stay open.
    pub(super) held: [i64; 2],
    /// Those that are changed now and then.
    pub(super) rare: Vec<i64>,
    _pair: Pair,
}

impl Stage {
    pub(super) async fn set() -> Self {
        let (ordering_database, billing_database) =
            (Database::new(Engine::Postgres).await, Database::new(Engine::Postgres).await);
        let pair = Pair::start(ordering_database.url(), billing_database.url()).await;
        let (ordering, billing) = pair.clients();
        let customer = ordering.customer("Ada Yards").await.unwrap();
        let mut numbers = Vec::new();
        for quantity in 1..=23 {
            let content = content(&customer, "new", quantity);
            numbers.push(ordering.create_confirmed(&content).await.unwrap().number);
        }
        until_equal(&ordering, &billing, SOON).await;
        let (hot, held, rare) = (numbers[0], [numbers[1], numbers[2]], numbers[3..].to_vec());
        Self {
            ordering,
            billing,
            ordering_database,
            billing_database,
            customer,
            hot,
            held,
            rare,
            _pair: pair,
        }
    }
}
