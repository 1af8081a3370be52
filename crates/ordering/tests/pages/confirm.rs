//! Confirming an order, with and without a billing to go on to.

use axum::http::header::{CONTENT_SECURITY_POLICY, RETRY_AFTER};
use contract::order::OrderState;

use crate::world::{BILLING, World};

#[tokio::test]
async fn confirming_leads_to_the_invoice() {
    let world = World::new().await;
    let _billing = world.billing_comes().await;
    let number = world.draft(&world.customer("Ada Yards").await, "PO-77").await.number;
    let page = world.get(&format!("/orders/{number}")).await;
    // Browsers hold the redirect after a form against the policy of the page with the form.
    let policy = page.header(CONTENT_SECURITY_POLICY);
    assert!(policy.contains("form-action 'self' https://shop.example;"), "{policy}");
    let confirm = format!("/orders/{number}/confirm");
    let version = page.field("version").to_owned();
    let answer = world.post(&confirm, &[("version", &version)]).await;
    assert_eq!(answer.leads_to(), format!("{BILLING}/link/new_order?order={number}"));
    assert_eq!(world.orders().await[0].state, OrderState::Confirmed);
}

#[tokio::test]
async fn without_billing_the_order_is_confirmed_and_the_page_waits() {
    let world = World::new().await;
    let number = world.draft(&world.customer("Ada Yards").await, "PO-77").await.number;
    let invoice = format!("{BILLING}/link/new_order?order={number}");
    let away = format!("/orders/{number}/billing-away");
    let confirm = format!("/orders/{number}/confirm");
    assert_eq!(world.get(&away).await.leads_to(), format!("/orders/{number}"), "a draft");

    assert_eq!(world.post(&confirm, &[("version", "1")]).await.leads_to(), away);
    assert_eq!(world.orders().await[0].state, OrderState::Confirmed);
    let page = world.get(&away).await;
    let title = format!("Order {number} is confirmed. Billing is not available right now.");
    let refresh = "<meta http-equiv=\"refresh\" content=\"5\">";
    page.says(503, &[&title, refresh, &format!("href=\"{invoice}\"")]);
    assert_eq!(page.header(RETRY_AFTER), "5");

    let _billing = world.billing_comes().await;
    assert_eq!(world.get(&away).await.leads_to(), invoice);
}

#[tokio::test]
async fn an_order_that_changed_meanwhile_is_shown_instead_of_confirmed() {
    let world = World::new().await;
    let number = world.draft(&world.customer("Ada Yards").await, "PO-77").await.number;
    let confirm = format!("/orders/{number}/confirm");
    let answer = world.post(&confirm, &[("version", "0")]).await;
    answer.says(412, &["The order has changed meanwhile", "Draft"]);
    answer.says(412, &["You saw version 0.", "This is version 1,"]);
    assert_eq!(world.orders().await[0].state, OrderState::Draft);

    world.delete(number).await;
    let answer = world.post(&confirm, &[("version", "1")]).await;
    answer.says(409, &["The order is deleted", "It cannot be confirmed any more."]);
    world
        .post("/orders/999/confirm", &[])
        .await
        .says(404, &["There is no order with this number."]);
}
