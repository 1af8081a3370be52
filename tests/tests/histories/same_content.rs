//! A new epoch in which nothing was lost: everything is read again, and nothing happens to any
//! invoice.

use std::collections::BTreeSet;

use e2e::pair::{Database, Engine};
use serde_json::Value;
use testkit::wait;

use crate::SOON;
use crate::scene::{Scene, live_invoice};

#[tokio::test]
async fn reading_the_same_again_touches_no_invoice_on_postgres() {
    reading_the_same_again_touches_no_invoice(Engine::Postgres).await;
}

#[tokio::test]
async fn reading_the_same_again_touches_no_invoice_on_sqlite() {
    reading_the_same_again_touches_no_invoice(Engine::Sqlite).await;
}

async fn reading_the_same_again_touches_no_invoice(engine: Engine) {
    let database = Database::new(engine).await;
    let mut scene = Scene::start(database.url(), engine).await;
    have_every_state(&mut scene).await;
    let invoices = every_field(&scene).await;
    let states: BTreeSet<_> =
        invoices.iter().map(|invoice| invoice["state"].as_str().unwrap()).collect();
    let all = ["approved", "awaiting_approval", "credited", "expired", "withdrawn"];
    assert_eq!(states, BTreeSet::from(all));
    let (orders, _) = scene.holdings().await;

    scene.announce_new_epoch(database.url()).await;
    let epoch = scene.epoch().await;
    assert!(orders.iter().all(|copy| copy.epoch < epoch));
    wait::until("everything is read again", SOON, async || {
        scene.holdings().await.0.iter().all(|copy| copy.epoch == epoch)
    })
    .await;
    assert_eq!(every_field(&scene).await, invoices);
    let (mut again, _) = scene.holdings().await;
    for (copy, before) in again.iter_mut().zip(&orders) {
        copy.epoch = before.epoch;
    }
    assert_eq!(again, orders);
}

/// Brings invoices into every state there is.
async fn have_every_state(scene: &mut Scene) {
    // Whatever awaits approval expires now; only what changes later awaits it anew.
    scene.billing_restarts(&["--approval-expiry", "1s"]).await;
    wait::until("what nobody approved has expired", SOON, async || {
        let expired = scene.billing.invoices("state=expired").await.unwrap();
        expired.iter().any(|invoice| invoice.order_number == scene.shared.untouched)
    })
    .await;
    scene.billing_restarts(&[]).await;

    let [withdrawn, replaced, credited] = {
        let (one, two) = (scene.create("withdrawn", 1).await, scene.create("replaced", 2).await);
        [one, two, scene.create("credited", 3).await].map(|order| order.number)
    };
    wait::until("the new orders have arrived", SOON, async || {
        let copies = scene.billing.all_orders().await.unwrap();
        copies.iter().any(|copy| copy.order.number == credited)
    })
    .await;
    for order in [replaced, credited] {
        let invoice = live_invoice(&scene.billing, order).await;
        scene.billing.approve(&invoice).await.unwrap();
    }
    scene.change(scene.shared.changed, "awaits again", 4).await;
    scene.change(replaced, "replaced", 5).await;
    for order in [withdrawn, credited] {
        scene.ordering.delete(order, None).await.unwrap();
    }
    wait::until("every change has arrived", SOON, async || {
        let invoices = scene.billing.invoices("").await.unwrap();
        let has = |order, state| {
            invoices.iter().any(|invoice| invoice.order_number == order && invoice.state == state)
        };
        has(scene.shared.changed, "awaiting_approval")
            && has(withdrawn, "withdrawn")
            && has(replaced, "awaiting_approval")
            && has(credited, "credited")
    })
    .await;
}

/// All invoices with every field that billing tells, times too.
async fn every_field(scene: &Scene) -> Vec<Value> {
    let list: Value = scene.billing.get("/api/v1/invoices?limit=1000").await.unwrap();
    assert_eq!(list["next"], Value::Null);
    list["invoices"].as_array().unwrap().clone()
}
