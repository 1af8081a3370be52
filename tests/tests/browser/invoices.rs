//! Invoices that change while somebody looks at them, and several at once.

use std::time::Duration;

use e2e::billing::Billing;
use e2e::pair::{Database, Engine, Node, billing_program};
use serde_json::json;
use testkit::net::free_port;
use testkit::wait;

use crate::browser::Browser;
use crate::screens::picture;
use crate::services::Services;

const ARRIVAL: Duration = Duration::from_secs(20);

/// Changes the quantity of an order of one line, and lets billing know.
async fn change(services: &Services, number: i64, quantity: i64) {
    let (ordering, billing) = services.pair.clients();
    let order = ordering.order(number).await.expect("the order is there");
    let content = json!({
        "customerId": order.customer.id, "currency": "EUR",
        "lines": [{ "sku": "BOLT-8", "description": "Bolt M8", "quantity": quantity,
                    "unitPriceMinor": 35, "taxBasisPoints": 2100 }],
    });
    ordering.replace(number, order.version, &content).await.expect("it can be changed");
    // By number: the change need not be stamped yet.
    billing.follow_link(number).await.expect("billing answers");
}

#[tokio::test]
async fn a_stale_approval_shows_both_versions_and_goes_on_from_either() {
    let services = Services::start().await;
    let browser = Browser::open().await;
    let number = services.new_draft(&browser).await;
    browser.press("Confirm").await;
    services.see_invoice(&browser, number).await;

    change(&services, number, 41).await;
    browser.press("Approve").await;
    browser.see_heading("Not approved: the invoice has changed").await;
    picture(&browser, "invoice-changed").await;
    assert_eq!(browser.count(".compare .differs").await, 5, "line, sums, version of the order");
    let line = browser.text(".compare tbody tr:nth-child(3)").await;
    assert!(line.contains("40 × BOLT-8") && line.contains("41 × BOLT-8"), "{line}");

    browser.press("Leave it as it is").await;
    browser.see_count(".document .badge.awaiting_approval", 1).await;
    change(&services, number, 42).await;
    browser.press("Approve").await;
    browser.press("Approve as it is now").await;
    browser.see_count(".document .badge.approved", 1).await;
    assert_eq!(browser.text("tfoot .total td").await, "17.79 EUR");
    browser.close().await;
}

#[tokio::test]
async fn several_orders_are_shown_together() {
    let services = Services::start().await;
    let browser = Browser::open().await;
    let first = services.new_draft(&browser).await;
    browser.press("Confirm").await;
    services.see_invoice(&browser, first).await;
    browser.press("Approve").await;
    browser.see_count(".document .badge.approved", 1).await;
    let second = services.new_draft(&browser).await;
    browser.press("Confirm").await;
    services.see_invoice(&browser, second).await;

    let link = format!("/link/new_order?order={first}&order={second}&order=999999");
    browser.goto(&services.billing(&link)).await;
    browser.see_heading("3 orders and their invoices").await;
    let row = async |place: u8| browser.text(&format!("tbody tr:nth-child({place})")).await;
    assert!(row(1).await.contains("Approved"), "{}", row(1).await);
    assert!(row(2).await.contains("Awaiting approval"), "{}", row(2).await);
    assert!(row(3).await.contains("There is no order 999999."), "{}", row(3).await);
    browser.press("No number yet").await;
    browser.see_heading("Invoice ").await;
    assert_eq!(browser.text(".document > header .badge").await, "Awaiting approval");
    browser.close().await;
}

#[tokio::test]
async fn an_invoice_that_expired_is_not_approved() {
    let mut services = Services::start().await;
    let browser = Browser::open().await;
    let number = services.new_draft(&browser).await;
    browser.press("Confirm").await;
    services.see_invoice(&browser, number).await;

    // A billing of its own, so that it can be started again with less patience.
    let database = Database::new(Engine::Sqlite).await;
    let (_, ordering) = services.pair.ordering.service().address().rsplit_once(':').unwrap();
    let ordering = ordering.parse().expect("an address ends with its port");
    let port = free_port();
    let program = || billing_program(database.url(), port, ordering);
    let mut patient = Node::start(program()).await;
    let url = patient.service().url();
    browser.goto(&format!("{url}/link/new_order?order={number}")).await;
    browser.see_count(".document .badge.awaiting_approval", 1).await;
    patient.kill();
    let hasty = Node::start(program().args(["--approval-expiry", "1ms"])).await;
    let billing = Billing(hasty.api());
    wait::until("it expires", ARRIVAL, async || {
        billing.invoices("state=expired").await.is_ok_and(|expired| expired.len() == 1)
    })
    .await;

    browser.press("Approve").await;
    browser.see_count(".document .badge.expired", 1).await;
    let page = browser.text("main").await;
    assert!(page.contains("Not approved: something else happened first."), "{page}");
    assert!(page.contains("The invoice expired on "), "{page}");
    picture(&browser, "invoice-expired").await;
    browser.close().await;
}
