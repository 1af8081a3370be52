//! Two processes on one database, each with writers and a sequencer, and a consumer that follows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contract::feed::{ContinuationToken, FeedPage};
use kit::http::etag::IfMatch;
use ordering::order::OrderInput;
use ordering::store::{FeedAnswer, OrderFilter, Store};

use crate::fixture::{ANY_SIZE, Fixture, at, bolts, done, on_both_databases, page_of};

on_both_databases! {
    no_number_is_given_twice_and_no_change_is_lost,
}

/// Orders that are changed again and again.
const ORDERS: usize = 12;
/// How often each writer changes each of them.
const ROUNDS: usize = 8;
/// Smaller than what waits, so that batches of both processes alternate.
const BATCH: i64 = 3;

async fn no_number_is_given_twice_and_no_change_is_lost(fixture: Fixture) {
    fixture.customer().await;
    let mut numbers = Vec::new();
    for _ in 0..ORDERS {
        numbers.push(fixture.confirmed().await.number);
    }
    let stores = [fixture.store.clone(), fixture.another().await];
    let writing = Arc::new(AtomicBool::new(true));

    let sequencers = stores.clone().map(|store| tokio::spawn(stamp(store, writing.clone())));
    let consumer = tokio::spawn(follow(fixture.store.clone(), writing.clone()));
    let writers = stores.map(|store| tokio::spawn(write(store, numbers.clone())));
    for writer in writers {
        writer.await.unwrap();
    }
    writing.store(false, Ordering::SeqCst);

    let (mut given, mut told) = (0, Vec::new());
    for sequencer in sequencers {
        let (count, pages) = sequencer.await.unwrap();
        given += count;
        told.extend(pages);
    }
    assert_eq!(told.is_empty(), !fixture.is_postgres());
    follow_told(told);
    let (mut consumer, token) = consumer.await.unwrap();
    read_to_end(&fixture.store, token, &mut consumer).await;

    let status = fixture.store.feed_status(at(10)).await.unwrap();
    assert_eq!((status.unstamped, status.last_sequence_nr.0), (0, given), "each number once");
    let orders = fixture.store.orders(&OrderFilter::default(), 1_000).await.unwrap();
    assert_eq!(orders.len(), ORDERS);
    for order in orders {
        let changes = i64::try_from(2 + 2 * ROUNDS).unwrap();
        assert_eq!(order.version, changes, "order {}", order.number);
        assert_eq!(consumer[&order.number], changes, "order {} at the consumer", order.number);
    }
}

/// Changes every order again and again.
async fn write(store: Arc<dyn Store>, numbers: Vec<i64>) {
    for round in 0..ROUNDS {
        for &number in &numbers {
            let input = OrderInput { note: Some(format!("round {round}")), ..bolts() };
            done(store.replace_order(number, &IfMatch::Any, &input, at(3)).await.unwrap());
        }
    }
}

/// Stamps while there is writing, then what is left; how many numbers it gave, and the pages that it told.
async fn stamp(store: Arc<dyn Store>, writing: Arc<AtomicBool>) -> (i64, Vec<FeedPage>) {
    let (mut given, mut told) = (0, Vec::new());
    loop {
        let last_round = !writing.load(Ordering::SeqCst);
        let stamped = store.stamp(BATCH, at(4)).await.unwrap();
        given += stamped.count;
        told.extend(stamped.page.map(|page| page_of(FeedAnswer::Page(page))));
        if last_round && stamped.count == 0 {
            return (given, told);
        }
    }
}

/// Checks that no page that a stamp told holds a number of another one, and that what an order says only
/// becomes newer.
fn follow_told(mut pages: Vec<FeedPage>) {
    pages.sort_unstable_by_key(|page| page.last_sequence_nr);
    let (mut last, mut versions) = (0, HashMap::new());
    for page in pages {
        assert_eq!(page.continuation_token.sequence_nr, page.last_sequence_nr);
        for order in page.orders {
            assert!(order.confirmed_sequence_nr.0 > last, "{} after {last}", order.number);
            last = order.confirmed_sequence_nr.0;
            let before = versions.insert(order.number, order.version);
            assert!(before.is_none_or(|before| before < order.version), "order {}", order.number);
        }
        assert_eq!(page.last_sequence_nr.0, last);
    }
}

/// Reads the feed while there is writing; the newest version of each order, and where it stopped.
async fn follow(
    store: Arc<dyn Store>,
    writing: Arc<AtomicBool>,
) -> (HashMap<i64, i64>, Option<ContinuationToken>) {
    let mut versions = HashMap::new();
    let mut token = None;
    while writing.load(Ordering::SeqCst) {
        token = read_to_end(&store, token, &mut versions).await;
    }
    (versions, token)
}

/// Follows the pages until there are no more, checking that numbers only rise.
async fn read_to_end(
    store: &Arc<dyn Store>,
    mut token: Option<ContinuationToken>,
    versions: &mut HashMap<i64, i64>,
) -> Option<ContinuationToken> {
    loop {
        let page = page_of(store.feed_page(token.as_ref(), 5, ANY_SIZE).await.unwrap());
        let mut last = token.as_ref().map_or(0, |token| token.sequence_nr.0);
        for order in &page.orders {
            assert!(order.confirmed_sequence_nr.0 > last, "{} after {last}", order.number);
            last = order.confirmed_sequence_nr.0;
            let before = versions.insert(order.number, order.version);
            // The same one again, when it was read while it waited for its number.
            assert!(before.is_none_or(|before| before <= order.version), "order {}", order.number);
        }
        token = Some(page.continuation_token);
        if !page.has_more {
            return token;
        }
    }
}
