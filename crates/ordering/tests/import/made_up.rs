//! Made-up orders: many, and the samples of the demo.

use contract::order::OrderState;
use ordering::seed;

use crate::world::{World, on_both_databases};

on_both_databases!(every_run_adds_orders, samples_are_made_once);

async fn every_run_adds_orders(world: World) {
    for run in 1..=2 {
        let report = seed::run(&*world.store, &*world.clock, &world.random, 1_001).await.unwrap();
        assert_eq!(report.orders, 1_001);
        let orders = world.orders().await;
        assert_eq!(orders.len(), run * 1_001);
        for order in orders.values() {
            assert_eq!((order.state, order.lines.len()), (OrderState::Confirmed, 3));
        }
        let customers = world.store.customers(None, 1_000).await.unwrap().len();
        assert!((250..=300).contains(&customers), "{customers}: the same ones each time");
    }
}

async fn samples_are_made_once(world: World) {
    assert!(seed::sample(&*world.store, &*world.clock, &world.random).await.unwrap());
    let orders = world.store.orders(&ordering::store::OrderFilter::default(), 100).await.unwrap();
    let in_state = |state| orders.iter().filter(|order| order.state == state).count();
    assert_eq!(OrderState::ALL.map(in_state), [2, 9, 1]);
    assert_eq!(world.store.customers(None, 100).await.unwrap().len(), 8);
    assert!(orders.iter().all(|order| order.changed_at < crate::world::AT));

    assert!(!seed::sample(&*world.store, &*world.clock, &world.random).await.unwrap());
    let again = world.store.orders(&ordering::store::OrderFilter::default(), 100).await.unwrap();
    assert_eq!(again, orders);
}
