//! Two ordering processes on one database stamp for one feed.

use std::collections::BTreeMap;

use contract::feed::SequenceNr;
use e2e::ordering::{Ordering, content};
use e2e::pair::{Database, Engine, Node, ordering_program};
use futures_util::future::join_all;
use testkit::net::free_port;

/// Enough writers that changes of both processes are open at the same time all along.
const WRITERS: usize = 12;
const ORDERS_EACH: usize = 8;
const CHANGES_EACH: i64 = 4;

/// Reads on from where it stands, page by page, turn about from either process.
#[derive(Default)]
struct Consumer {
    token: Option<String>,
    last: Option<SequenceNr>,
    versions: BTreeMap<i64, i64>,
}

impl Consumer {
    /// Takes one page; whether there was anything on it.
    async fn read(&mut self, ordering: &Ordering) -> bool {
        let page = ordering.feed(self.token.as_deref(), 7).await.unwrap();
        for order in &page.orders {
            let number = order.confirmed_sequence_nr;
            assert!(Some(number) > self.last, "{number} was handed out after {:?}", self.last);
            self.last = Some(number);
            self.versions.insert(order.number, order.version);
        }
        self.token = Some(page.continuation_token.to_string());
        !page.orders.is_empty()
    }
}

async fn write(ordering: Ordering, customer: String) {
    for _ in 0..ORDERS_EACH {
        let mut order =
            ordering.create_confirmed(&content(&customer, "confirmed", 1)).await.unwrap();
        for quantity in 1..=CHANGES_EACH {
            let content = content(&customer, "changed", quantity);
            order = ordering.replace(order.number, order.version, &content).await.unwrap();
        }
    }
}

#[tokio::test]
async fn two_sequencers_never_give_a_number_twice_or_out_of_order() {
    let database = Database::new(Engine::Postgres).await;
    let first = Node::start(ordering_program(database.url(), 0, free_port())).await;
    let second = Node::start(ordering_program(database.url(), 0, free_port())).await;
    let both = [Ordering(first.api()), Ordering(second.api())];
    let customer = both[0].customer("Ada Yards").await.unwrap();

    let writers = (0..WRITERS).map(|n| write(both[n % 2].clone(), customer.clone()));
    let writing = tokio::spawn(join_all(writers));
    let mut consumer = Consumer::default();
    let mut turn = both.iter().cycle();
    while !writing.is_finished() {
        consumer.read(turn.next().unwrap()).await;
    }
    writing.await.expect("every write is accepted");
    testkit::wait::until("everything is stamped", crate::SOON, async || {
        both[0].status().await.unwrap().unstamped == 0
    })
    .await;
    while consumer.read(turn.next().unwrap()).await {}

    let orders = both[1].all_orders().await.unwrap();
    assert_eq!(orders.len(), WRITERS * ORDERS_EACH);
    let current: BTreeMap<_, _> =
        orders.iter().map(|order| (order.number, order.version)).collect();
    assert_eq!(consumer.versions, current, "the consumer has the last version of every order");
    let feed = both[0].whole_feed(5000).await.unwrap();
    assert!(feed.is_sorted_by(|a, b| a.confirmed_sequence_nr < b.confirmed_sequence_nr));
    assert_eq!(feed.len(), orders.len());
}
