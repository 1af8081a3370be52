//! Orders in bulk.

use contract::feed::SequenceNr;
use contract::order::OrderState;
use ordering::order::{CustomerInput, OrderInput};
use ordering::scope::ImportedOrder;
use ordering::store::OrderFilter;

use crate::fixture::{ALL, Fixture, ada, at, bolts, imported, line, on_both_databases};

on_both_databases! {
    imported_orders_are_confirmed_orders,
    the_same_reference_again_changes_nothing,
    the_same_customer_is_made_once,
    a_known_customer_is_not_changed,
    two_imports_at_once_do_not_double,
}

fn chunk(references: std::ops::Range<i64>) -> Vec<ImportedOrder> {
    references.map(|n| imported(&format!("R-{n}"))).collect()
}

async fn references(fixture: &Fixture) -> Vec<String> {
    let orders = fixture.store.orders(&OrderFilter::default(), ALL).await.unwrap();
    orders.into_iter().rev().filter_map(|order| order.reference).collect()
}

async fn imported_orders_are_confirmed_orders(fixture: Fixture) {
    let mut orders = chunk(0..3);
    orders[1].input.lines = vec![line("NUT-8", 3, 0)];
    assert_eq!(fixture.store.import_orders(orders.clone(), at(1)).await.unwrap(), 3);
    assert_eq!(references(&fixture).await, ["R-0", "R-1", "R-2"], "numbered in their order");
    let kept = fixture.store.order(1002).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.version), (OrderState::Confirmed, 1));
    assert_eq!(kept.confirmed_sequence_nr, SequenceNr::UNSTAMPED);
    assert_eq!((kept.confirmed_at, kept.changed_at), (Some(at(-100)), at(1)));
    assert_eq!((&kept.customer.name, &kept.customer.address), (&ada().name, &ada().address));
    assert_eq!(kept.lines, orders[1].input.numbered_lines());
    assert_eq!(kept.totals(), orders[1].input.totals().unwrap());
    let history = fixture.store.history(1002).await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!((history[0].action.as_str(), history[0].at), ("imported", at(1)));
    assert_eq!(fixture.stamp_all().await, 3);
    assert_eq!(fixture.feed().await, [(1001, 1), (1002, 2), (1003, 3)]);
    // From now on it is an order like any other.
    let input = OrderInput { customer_id: kept.customer.id, ..bolts() };
    assert_eq!(fixture.replace(1002, &input, at(11)).await.version, 2);
    assert_eq!(fixture.stamp_all().await, 1);
}

async fn the_same_reference_again_changes_nothing(fixture: Fixture) {
    assert_eq!(fixture.store.import_orders(vec![], at(1)).await.unwrap(), 0);
    assert_eq!(fixture.store.import_orders(chunk(0..2), at(1)).await.unwrap(), 2);
    let before = fixture.store.order(1001).await.unwrap();
    assert_eq!(fixture.store.import_orders(chunk(0..2), at(2)).await.unwrap(), 0);
    assert_eq!(fixture.store.import_orders(chunk(1..4), at(3)).await.unwrap(), 2);
    let twice = vec![imported("R-9"), imported("R-9")];
    assert_eq!(fixture.store.import_orders(twice, at(4)).await.unwrap(), 1);
    assert_eq!(references(&fixture).await, ["R-0", "R-1", "R-2", "R-3", "R-9"]);
    assert_eq!(fixture.store.order(1001).await.unwrap(), before);
}

async fn the_same_customer_is_made_once(fixture: Fixture) {
    let mut orders = chunk(0..3);
    orders[2].external_customer_id = "C-2".into();
    fixture.store.import_orders(orders.clone(), at(1)).await.unwrap();
    let customers = fixture.store.customers(None, ALL).await.unwrap();
    let ids: Vec<_> = customers.iter().map(|customer| customer.id.as_str()).collect();
    assert_eq!(ids, ["new-R-0", "new-R-2"]);
    assert_eq!(customers[0].input, ada());
    let orders = fixture.store.orders(&OrderFilter::default(), ALL).await.unwrap();
    let owners: Vec<_> = orders.iter().rev().map(|order| order.customer.id.as_str()).collect();
    assert_eq!(owners, ["new-R-0", "new-R-0", "new-R-2"]);
}

async fn a_known_customer_is_not_changed(fixture: Fixture) {
    fixture.store.import_orders(chunk(0..1), at(1)).await.unwrap();
    let before = fixture.store.customers(None, ALL).await.unwrap();
    let mut moved = chunk(1..2);
    moved[0].customer = CustomerInput { address: None, ..ada() };
    fixture.store.import_orders(moved.clone(), at(2)).await.unwrap();
    assert_eq!(fixture.store.customers(None, ALL).await.unwrap(), before);
    // The order itself keeps its customer as the other system showed it.
    let order = fixture.store.order(1002).await.unwrap().unwrap();
    assert_eq!((order.customer.id.as_str(), order.customer.address), ("new-R-0", None));
}

async fn two_imports_at_once_do_not_double(fixture: Fixture) {
    let other = fixture.another().await;
    for n in 0..5 {
        let orders = chunk(n * 20..n * 20 + 20);
        let (one, two) = tokio::join!(
            fixture.store.import_orders(orders.clone(), at(1)),
            other.import_orders(orders.clone(), at(1)),
        );
        assert_eq!(one.unwrap() + two.unwrap(), 20);
    }
    assert_eq!(references(&fixture).await.len(), 100);
    assert_eq!(fixture.store.customers(None, ALL).await.unwrap().len(), 1);
}
