//! An invoice on its way to the customer's system.

use std::sync::Arc;
use std::time::Duration;

use billing::dispatch::Dispatcher;
use serde_json::json;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::world::{EPOCH, Page, World, order, says, with_order};

const REFRESH: &str = r#"<meta http-equiv="refresh""#;

/// An invoice that was approved by its page, and the customer's system.
struct Approved {
    world: World,
    dispatcher: Arc<Dispatcher>,
    customer: MockServer,
    invoice: String,
}

impl Approved {
    async fn new() -> Self {
        let customer = MockServer::start().await;
        let mut world = World::new().await;
        let dispatcher = world.dispatch_to(&customer.uri());
        world.holds(order(1001)).await;
        let invoice = format!("/invoices/{}", world.invoice(1001).await.id);
        world.post(&format!("{invoice}/approve"), "version=1").await.leads_to();
        Self { world, dispatcher, customer, invoice }
    }

    /// Carries out one attempt, which the customer's system answers like this.
    async fn attempt(&self, answer: ResponseTemplate) {
        self.customer.reset().await;
        Mock::given(method("POST")).respond_with(answer).mount(&self.customer).await;
        let attempt = self.dispatcher.claim().await.unwrap().expect("one is due");
        self.dispatcher.carry_out(&attempt).await.unwrap().expect("nobody else began one");
    }

    async fn page(&self) -> Page {
        self.world.get(&self.invoice).await
    }

    /// Presses Retry on a page that shows this version.
    async fn press_retry(&self, version: i64) -> Page {
        let address = format!("{}/dispatch/retry", self.invoice);
        self.world.post(&address, &format!("version={version}")).await
    }
}

fn refused() -> ResponseTemplate {
    let problem = json!({
        "type": "/problems/closed", "title": "Closed", "status": 409, "code": "closed",
        "detail": "The period <2026-05> is closed",
    });
    ResponseTemplate::new(409)
        .insert_header("x-request-id", "their-7")
        .set_body_raw(problem.to_string(), "application/problem+json")
}

#[track_caller]
fn says_nothing_of(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(!text.contains(part), "{part:?} is in {text}");
    }
}

#[tokio::test]
async fn the_page_refreshes_until_it_is_delivered() {
    let approved = Approved::new().await;
    let pending = approved.page().await;
    let refresh = format!(r#"{REFRESH} content="3; url={}">"#, approved.invoice);
    says(pending.text(200), &[&refresh, "On its way", "refreshes itself"]);
    says_nothing_of(&pending.body, &["Retry", "Delivered"]);
    says(approved.world.get("/orders/1001/invoice").await.text(200), &[&refresh]);
    // What is shown as possibly out of date stays marked.
    let doubted = approved.world.get("/orders/1001/invoice?stale=1").await;
    says(doubted.text(200), &[r#"content="3; url=/orders/1001/invoice?stale=1">"#]);

    approved.attempt(ResponseTemplate::new(200)).await;
    let delivered = approved.page().await;
    says(delivered.text(200), &["<dt>Delivered</dt><dd><time datetime=\"2026-05-01T10:00:00"]);
    says_nothing_of(&delivered.body, &[REFRESH, "On its way", "Retry"]);
}

#[tokio::test]
async fn the_page_says_what_goes_wrong_and_when_it_is_tried_again() {
    let approved = Approved::new().await;
    approved.attempt(ResponseTemplate::new(503).insert_header("retry-after", "600")).await;
    let page = approved.page().await;
    says(page.text(200), &["Not handed over yet", "1 attempt has failed", "begins in 10 min"]);
    says(&page.body, &["1 May 2026, 10:00 UTC", "The customer&#39;s system answered 503", REFRESH]);
    approved.world.clock.advance(Duration::from_mins(10));
    says(approved.page().await.text(200), &["the next begins now"]);
    approved.attempt(ResponseTemplate::new(503)).await;
    says(approved.page().await.text(200), &["2 attempts have failed", "begins in 4 s"]);
}

#[tokio::test]
async fn what_was_given_up_is_tried_again_by_a_button() {
    let approved = Approved::new().await;
    approved.attempt(refused()).await;
    let failed = approved.page().await;
    let form = format!(r#"<form method="post" action="{}/dispatch/retry">"#, approved.invoice);
    let version = r#"<input type="hidden" name="version" value="3">"#;
    let parts = ["has not accepted", "not tried again by itself", &form, version, "Retry"];
    says(failed.text(200), &parts);
    says(&failed.body, &["answered 409", "The period &#60;2026-05&#62; is closed", "their-7"]);
    says_nothing_of(&failed.body, &[REFRESH]);

    assert_eq!(approved.press_retry(3).await.leads_to(), approved.invoice);
    let again = approved.page().await;
    says(again.text(200), &[REFRESH, "On its way", "answered 409"]);
    says_nothing_of(&again.body, &["/dispatch/retry"]);
    // Pressed twice, or on a page that somebody else was faster with: nothing more happens.
    let twice = approved.press_retry(3).await;
    says(twice.text(409), &["Not tried again.", "dispatch is pending", "On its way"]);
    approved.attempt(ResponseTemplate::new(204)).await;
    let late = approved.press_retry(3).await;
    says(late.text(409), &["Not tried again.", "dispatch is delivered", "<dt>Delivered</dt>"]);
    says_nothing_of(approved.page().await.text(200), &["answered 409", "/dispatch/retry"]);
    assert_eq!(approved.dispatcher.claim().await.unwrap(), None);
}

#[tokio::test]
async fn a_retry_on_a_page_that_is_out_of_date_shows_how_it_is_now() {
    let approved = Approved::new().await;
    approved.attempt(refused()).await;
    // Somebody else pressed Retry on the same page, and it failed again.
    approved.press_retry(3).await.leads_to();
    approved.attempt(ResponseTemplate::new(404)).await;

    let stale = approved.press_retry(3).await;
    says(stale.text(412), &["Not tried again: the invoice has changed since you opened it."]);
    says(&stale.body, &["answered 404", r#"name="version" value="5""#, "Retry"]);
    assert_eq!(approved.dispatcher.claim().await.unwrap(), None);
    assert_eq!(approved.press_retry(5).await.leads_to(), approved.invoice);
    assert!(approved.dispatcher.claim().await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_not_delivered_is_found() {
    let approved = Approved::new().await;
    let world = &approved.world;
    world.holds(order(1002)).await;
    let shows = async |address: &str| {
        let page = world.get(address).await;
        [1001, 1002].map(|number| {
            page.text(200).contains(&format!("<td data-label=\"Order\">{number}</td>"))
        })
    };
    let pending = r#"<a href="/invoices?dispatch=pending"><span class="label">Delivery pending</span> <span class="value">1</span>"#;
    let overview = world.get("/").await;
    says(overview.text(200), &[pending]);
    says_nothing_of(&overview.body, &["Not delivered"]);
    assert_eq!(shows("/invoices?dispatch=pending").await, [true, false]);
    assert_eq!(shows("/invoices?dispatch=failed").await, [false, false]);

    approved.attempt(refused()).await;
    let failed = r#"<a href="/invoices?dispatch=failed"><span class="label">Not delivered</span> <span class="value">1</span>"#;
    let overview = world.get("/").await;
    says(overview.text(200), &[failed]);
    says_nothing_of(&overview.body, &["Delivery pending"]);
    let tab =
        r#"<a href="/invoices?dispatch=failed">Not delivered <span class="count">1</span></a>"#;
    let badge = r#"<span class="badge failed">Not delivered</span>"#;
    says(world.get("/invoices").await.text(200), &[tab, badge]);
    assert_eq!(shows("/invoices?dispatch=failed").await, [true, false]);
    let searched = world.get("/invoices?dispatch=failed&orderNumber=1002").await;
    let field = r#"<input type="hidden" name="dispatch" value="failed">"#;
    says(searched.text(200), &["No invoices", field, "dispatch=failed&#38;orderNumber=1002"]);
    world.get("/invoices?dispatch=lost").await.text(400);

    world.ordering_has(&order(1001)).await;
    world.ordering_also_answers(1002, with_order(EPOCH, &order(1002))).await;
    let several = world.get("/link/new_order?order=1001&order=1002").await;
    assert_eq!(several.text(200).matches(badge).count(), 1, "{}", several.body);
}

#[tokio::test]
async fn while_dispatch_is_off_the_page_says_so() {
    let mut approved = Approved::new().await;
    approved.world.switch_dispatch(None);
    let pending = approved.page().await;
    says(pending.text(200), &["dispatch is switched off", "as soon as it is switched on again"]);
    says_nothing_of(&pending.body, &[REFRESH, "refreshes itself"]);

    approved.attempt(refused()).await;
    let failed = approved.page().await;
    says(failed.text(200), &["has not accepted", "Dispatch is switched off"]);
    says_nothing_of(&failed.body, &["/dispatch/retry"]);
    says(approved.press_retry(3).await.text(409), &["switched off"]);
}

#[tokio::test]
async fn a_retry_of_nothing_is_refused() {
    let approved = Approved::new().await;
    for id in ["x", "%00", "0197b2c4-7d1e-7c3a-9b1f-2a54c8d0e911"] {
        let address = format!("/invoices/{id}/dispatch/retry");
        approved.world.post(&address, "version=3").await.text(404);
    }
    let address = format!("{}/dispatch/retry", approved.invoice);
    approved.world.post_from("cross-site", &address, "version=3").await.text(403);
    for form in ["", "version=x"] {
        approved.world.post(&address, form).await.text(400);
    }
}

#[tokio::test]
async fn an_invoice_that_is_not_dispatched_says_nothing_of_it() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let invoice = format!("/invoices/{}", world.invoice(1001).await.id);
    world.post(&format!("{invoice}/approve"), "version=1").await.leads_to();
    let page = world.get(&invoice).await;
    says_nothing_of(page.text(200), &[REFRESH, "customer&#39;s system", "ispatch", "Delivered"]);
}
