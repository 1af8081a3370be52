//! The same request sent twice.

use std::sync::Arc;

use contract::order::Order;
use ordering::order::OrderInput;
use ordering::store::Change;
use ordering::store::{IdempotencyKey, OrderFilter, Store};

use crate::fixture::{ALL, Fixture, at, bolts, on_both_databases};

on_both_databases! {
    a_repeated_request_gets_the_same_answer,
    a_key_is_for_one_request,
    a_refused_request_does_not_use_up_its_key,
    of_two_at_once_both_get_the_same_order,
}

fn key(key: &str, fingerprint: &str) -> IdempotencyKey {
    IdempotencyKey { key: key.into(), fingerprint: fingerprint.into() }
}

async fn create(store: &Arc<dyn Store>, key: &IdempotencyKey) -> Change<Order> {
    store.create_order(&bolts(), Some(key), at(1)).await.unwrap()
}

async fn orders(fixture: &Fixture) -> usize {
    fixture.store.orders(&OrderFilter::default(), ALL).await.unwrap().len()
}

async fn a_repeated_request_gets_the_same_answer(fixture: Fixture) {
    fixture.customer().await;
    let first = create(&fixture.store, &key("k", "f")).await;
    let Change::Done(order) = &first else { panic!("{first:?}") };
    assert_eq!(fixture.store.order(order.number).await.unwrap().as_ref(), Some(order));
    // The answer of then, although the order has changed since.
    fixture.replace(order.number, &OrderInput { note: Some("n".into()), ..bolts() }, at(2)).await;
    assert_eq!(create(&fixture.store, &key("k", "f")).await, first);
    assert_ne!(create(&fixture.store, &key("k2", "f")).await, first);
    assert_eq!(orders(&fixture).await, 2);
}

async fn a_key_is_for_one_request(fixture: Fixture) {
    fixture.customer().await;
    assert!(matches!(create(&fixture.store, &key("k", "f")).await, Change::Done(_)));
    assert_eq!(create(&fixture.store, &key("k", "g")).await, Change::KeyReused);
    assert_eq!(orders(&fixture).await, 1);
}

async fn a_refused_request_does_not_use_up_its_key(fixture: Fixture) {
    let key = key("k", "f");
    assert!(matches!(create(&fixture.store, &key).await, Change::Invalid(_)));
    fixture.customer().await;
    assert!(matches!(create(&fixture.store, &key).await, Change::Done(_)));
}

async fn of_two_at_once_both_get_the_same_order(fixture: Fixture) {
    fixture.customer().await;
    let other = fixture.another().await;
    for n in 1..=10 {
        let key = key(&format!("k{n}"), "f");
        let (one, two) = tokio::join!(create(&fixture.store, &key), create(&other, &key));
        assert!(matches!(one, Change::Done(_)), "{one:?}");
        assert_eq!(one, two);
        assert_eq!(orders(&fixture).await, n);
    }
}
