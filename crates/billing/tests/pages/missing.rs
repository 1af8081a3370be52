//! Orders that ordering has lost: what a person sees and decides.

use billing::invoice::InvoiceState;
use contract::problem::{Problem, ProblemCode};
use wiremock::ResponseTemplate;

use crate::world::{EPOCH, FEED, World, changed, identity, order, says};

#[tokio::test]
async fn the_sync_page_tells_of_a_reread_and_of_what_is_lost() {
    let world = World::new().await;
    for number in 1..=3 {
        world.holds(order(number)).await;
    }
    assert!(!world.get("/sync").await.text(200).contains("seen again"));
    // A pull by number brings the news of the next epoch.
    world.holds_in(EPOCH + 1, order(1)).await;
    let page = world.get("/sync").await;
    says(page.text(200), &["Reading again from the beginning", "<code>1001</code>"]);
    says(&page.body, &["It began here", "1 of 3 orders seen again, 0 lost."]);
    says(world.get("/").await.text(200), &["Reading again from the beginning"]);

    world.loses(EPOCH + 1, &[2]).await;
    let page = world.get("/sync").await;
    says(page.text(200), &["1 of 2 orders seen again, 1 lost.", "1 order is missing at source."]);
    world.loses(EPOCH + 1, &[3]).await;
    let page = world.get("/sync").await;
    says(page.text(200), &["2 orders are missing at source.", r#"href="/orders/missing""#]);
    assert!(!page.body.contains("seen again"), "{}", page.body);
}

#[tokio::test]
async fn a_provider_of_the_past_is_named_with_what_to_do() {
    let world = World::new().await;
    world.ordering_feeds(FEED, vec![order(1)]).await;
    world.post("/sync/pull", "").await.leads_to();
    world.store.adopt_epoch(&identity(EPOCH + 1), crate::world::AT).await.unwrap();
    world.post("/sync/pull", "").await.leads_to();
    let page = world.get("/sync").await;
    says(page.text(200), &["epoch 1000, but epoch 1001 was read before", "switch it off"]);
    says(&page.body, &["ordering new-epoch", "0 of 1 orders seen again"]);
}

#[tokio::test]
async fn lost_orders_are_listed_page_by_page_with_their_invoices() {
    let world = World::new().await;
    says(world.get("/orders/missing").await.text(200), &["Ordering knows every order"]);
    for number in 1..=60 {
        world.holds(order(number)).await;
    }
    let approved = world.invoice(2).await.id;
    world.post(&format!("/invoices/{approved}/approve"), "version=1").await.leads_to();
    world.loses(EPOCH + 1, &(1..=60).collect::<Vec<_>>()).await;

    let page = world.get("/orders/missing").await;
    says(page.text(200), &[r#"<a href="/orders/50/invoice">50</a>"#, "Needed", "None needed"]);
    says(&page.body, &["2026-000001", "1 May 2026, 10:00 UTC", "/orders/missing?after=50"]);
    assert!(!page.body.contains("/orders/51/invoice"), "{}", page.body);
    let page = world.get("/orders/missing?after=50").await;
    says(page.text(200), &["/orders/51/invoice", "/orders/60/invoice", "← First"]);
    assert!(!page.body.contains("rel=\"next\""), "{}", page.body);
    says(world.get("/orders/missing?after=60").await.text(200), &["There are no further ones."]);
    world.get("/orders/missing?after=x").await.text(400);
}

#[tokio::test]
async fn a_person_keeps_an_order_and_then_approves_its_invoice() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    world.loses(EPOCH + 1, &[1001]).await;
    let page = world.get("/orders/1001/invoice").await;
    let form = r#"<form method="post" action="/orders/1001/missing">"#;
    let keep = r#"<button class="button" name="decision" value="keep">Keep the order</button>"#;
    says(page.text(200), &["Ordering no longer knows this order.", form, keep]);
    says(&page.body, &["It was missing there on", "cannot be approved until somebody decides"]);
    assert!(!page.body.contains("/approve"), "{}", page.body);

    let kept = world.post("/orders/1001/missing", "decision=keep").await;
    let page = world.get(kept.leads_to()).await;
    says(page.text(200), &["The order is kept.", "Somebody decided on", "to keep it.", "/approve"]);
    assert!(!page.body.contains(keep), "{}", page.body);
    says(&page.body, &["Withdraw the invoice"]);
    says(world.get("/orders/missing").await.text(200), &["Kept"]);

    let approve = format!("/invoices/{}/approve", world.invoice(1001).await.id);
    let approved = world.post(&approve, "version=1").await;
    let page = world.get(approved.leads_to()).await;
    says(page.text(200), &["The invoice is approved.", "and stays as it is."]);
    assert!(!page.body.contains(form), "{}", page.body);
}

#[tokio::test]
async fn a_person_withdraws_the_invoice_of_a_lost_order() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    world.loses(EPOCH + 1, &[1001]).await;
    let withdrawn = world.post("/orders/1001/missing", "decision=withdraw").await;
    let page = world.get(withdrawn.leads_to()).await;
    says(page.text(200), &["The invoice is withdrawn.", "because ordering had lost its order."]);
    assert_eq!(world.invoice(1001).await.state, InvoiceState::Withdrawn);
    // The address alone says nothing.
    let page = world.get("/orders/1001/invoice?notice=keep").await;
    assert!(!page.text(200).contains("The order is kept."), "{}", page.body);
    let refused = world.post("/orders/1001/missing", "decision=keep").await;
    says(refused.text(409), &["Nothing was decided: no invoice of the order awaits approval."]);
}

#[tokio::test]
async fn an_order_that_came_back_is_not_decided_about() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    world.loses(EPOCH + 1, &[1001]).await;
    // The page is open while ordering brings the order again.
    world.holds_in(EPOCH + 1, changed(&order(1001))).await;
    for decision in ["keep", "withdraw"] {
        let form = format!("decision={decision}");
        let refused = world.post("/orders/1001/missing", &form).await;
        says(refused.text(409), &["Nothing was decided: ordering knows the order.", "423.50 EUR"]);
    }
    assert_eq!(world.invoice(1001).await.state, InvoiceState::AwaitingApproval);
}

#[tokio::test]
async fn a_decision_that_is_none_is_refused() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    world.loses(EPOCH + 1, &[1001]).await;
    for form in ["", "decision=", "decision=drop"] {
        world.post("/orders/1001/missing", form).await.text(400);
    }
    world.post("/orders/7/missing", "decision=keep").await.text(404);
    world.post("/orders/x/missing", "decision=keep").await.text(400);
    world.post_from("cross-site", "/orders/1001/missing", "decision=keep").await.text(403);
    assert!(world.store.order(1001).await.unwrap().unwrap().is_undecided());
}

#[tokio::test]
async fn the_link_to_a_lost_order_shows_what_is_here() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    world.loses(EPOCH + 1, &[1001]).await;
    let problem = Problem {
        feed: Some(identity(EPOCH + 1)),
        ..Problem::new(ProblemCode::NotFound, "There is no such order.")
    };
    let answer = ResponseTemplate::new(404).set_body_json(problem);
    world.ordering_answers(1001, answer).await;
    let link = world.get("/link/new_order?order=1001").await;
    let page = world.get(link.leads_to()).await;
    says(page.text(200), &["Ordering no longer knows this order.", "Keep the order"]);
}
