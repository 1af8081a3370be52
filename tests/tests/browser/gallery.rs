//! Every page once, in each state that looks different. Each is pictured, fits its window, and says
//! nothing in the browser's console.

use std::time::Duration;

use serde_json::json;
use testkit::wait;

use crate::browser::Browser;
use crate::sample;
use crate::screens::{picture, print};
use crate::services::{Services, fill_line};

const ARRIVAL: Duration = Duration::from_secs(20);

#[tokio::test]
async fn pages_of_ordering() {
    let services = Services::start().await;
    let browser = Browser::open().await;
    let show = async |name: &str, path: &str| {
        browser.goto(&services.ordering(path)).await;
        picture(&browser, name).await;
    };
    show("orders-empty", "/orders").await;
    show("customers-empty", "/customers").await;
    show("feed-empty", "/status").await;
    show("customer-new", "/customers/new").await;
    browser.fill("name", "Ada Yards").await;
    browser.fill("email", "ada@").await;
    browser.fill("city", "Delft").await;
    browser.press("Save customer").await;
    browser.see_count("[data-error-summary]", 1).await;
    picture(&browser, "customer-mistakes").await;

    let (ordering, _) = services.pair.clients();
    let sample = sample::write(&ordering).await;
    show("orders", "/orders").await;
    show("orders-found", "/orders?q=yards&state=confirmed").await;
    show("orders-not-found", "/orders?q=nothing+like+it").await;
    show("orders-of-customer", &format!("/orders?customerId={}", sample.customer)).await;
    show("customers", "/customers").await;
    show("customer-edit", &format!("/customers/{}/edit", sample.customer)).await;
    show("order-draft", &format!("/orders/{}", sample.draft)).await;
    show("order-confirmed", &format!("/orders/{}", sample.confirmed)).await;
    show("order-deleted", &format!("/orders/{}", sample.deleted)).await;
    show("order-delete", &format!("/orders/{}/delete", sample.confirmed)).await;
    show("feed", "/status").await;
    show("ordering-not-found", "/orders/999999").await;
    show("ordering-problem", "/problems/version-conflict").await;

    show("order-new", "/orders/new").await;
    fill_line(&browser, 0, ["", "", "-3", "abc", "x"]).await;
    browser.press("Save order").await;
    browser.see_count("[data-error-summary]", 1).await;
    picture(&browser, "order-mistakes").await;

    show("order-edit", &format!("/orders/{}/edit", sample.spare)).await;
    ordering.delete(sample.spare, None).await.expect("an order can be deleted");
    browser.press("Save order").await;
    browser.see_count("main .notice", 1).await;
    picture(&browser, "order-edit-too-late").await;

    browser.goto(&services.ordering("/docs")).await;
    browser.see_count(".swagger-ui .info", 1).await;
    browser.close().await;
}

#[tokio::test]
async fn pages_of_billing() {
    let services = Services::start().await;
    let browser = Browser::open().await;
    let show = async |name: &str, path: &str| {
        browser.goto(&services.billing(path)).await;
        picture(&browser, name).await;
    };
    show("billing-empty", "/").await;
    show("invoices-empty", "/invoices").await;
    show("sync-empty", "/sync").await;

    let (ordering, billing) = services.pair.clients();
    let sample = sample::write(&ordering).await;
    wait::until("all orders arrive", ARRIVAL, async || {
        ordering.status().await.is_ok_and(|status| status.unstamped == 0)
            && billing.pull().await.is_ok()
            && billing.order(sample.deleted).await.is_some_and(|order| order.deleted)
    })
    .await;

    show("billing", "/").await;
    show("invoices", "/invoices").await;
    show("invoices-awaiting", "/invoices?state=awaiting_approval").await;
    show("invoices-none", "/invoices?state=expired").await;
    show("invoices-mistake", "/invoices?orderNumber=first").await;
    show("sync", "/sync").await;
    show("order-removed", &format!("/link/new_order?order={}", sample.deleted)).await;
    show("link-not-found", "/link/new_order?order=999999").await;
    show("link-not-a-number", "/link/new_order?order=first").await;
    show("link-several-mistakes", "/link/new_order?order=first&order=2nd").await;
    let several: Vec<_> = (sample.spare..=sample.draft).map(|n| format!("order={n}")).collect();
    show("link-several", &format!("/link/new_order?{}", several.join("&"))).await;
    show("link-several-unknown", "/link/new_order?order=999998&order=999999").await;
    show("billing-not-found", "/nowhere").await;
    show("billing-problem", "/problems/upstream-timeout").await;

    show("invoice", &format!("/link/new_order?order={}", sample.confirmed)).await;
    browser.press("Approve").await;
    browser.see_count(".badge.approved", 1).await;
    picture(&browser, "invoice-approved").await;
    print(&browser, "invoice-approved").await;

    // A change after approval credits the invoice and asks for a new one.
    let order = ordering.order(sample.confirmed).await.expect("the order is there");
    let content = json!({
        "customerId": sample.customer, "currency": "EUR", "reference": "PO-77",
        "lines": [{ "sku": "BOLT-8", "description": "Bolt M8", "quantity": 41,
                    "unitPriceMinor": 35, "taxBasisPoints": 2100 }],
    });
    let changed = ordering.replace(order.number, order.version, &content).await;
    changed.expect("a confirmed order can be changed");
    show("invoice-replacing", &format!("/link/new_order?order={}", sample.confirmed)).await;
    browser.press("2026-000001").await;
    browser.see_count(".document .badge.credited", 1).await;
    picture(&browser, "invoice-credited").await;

    browser.goto(&services.billing("/sync")).await;
    browser.press("Pull now").await;
    browser.see_count(".notice.good", 1).await;
    picture(&browser, "sync-pulled").await;

    browser.goto(&services.billing("/verify")).await;
    browser.press("Compare now").await;
    browser.see_count(".figures", 1).await;
    picture(&browser, "verify").await;

    browser.goto(&services.billing("/docs")).await;
    browser.see_count(".swagger-ui .info", 1).await;
    browser.close().await;
}

#[tokio::test]
async fn pages_while_the_other_service_is_away() {
    let mut services = Services::start().await;
    let browser = Browser::open().await;
    let number = services.new_draft(&browser).await;
    browser.press("Confirm").await;
    services.see_invoice(&browser, number).await;
    let (_, billing) = services.pair.clients();

    services.pair.ordering.kill();
    wait::until("the pull fails", ARRIVAL, async || {
        billing.pull_status().await.is_ok_and(|status| status.consecutive_failures > 1)
    })
    .await;
    let show = async |name: &str, path: &str| {
        browser.goto(&services.billing(path)).await;
        picture(&browser, name).await;
    };
    show("billing-failing", "/").await;
    show("sync-failing", "/sync").await;
    show("invoice-out-of-date", &format!("/link/new_order?order={number}")).await;
    show("link-several-out-of-date", &format!("/link/new_order?order={number}&order=999999")).await;
    show("link-several-waiting", "/link/new_order?order=999998&order=999999").await;
    show("link-waiting", "/link/new_order?order=999999").await;

    services.pair.ordering.start_again().await;
    browser.see_heading("There is no order 999999").await; // the waiting page has asked again
    services.pair.billing.kill();
    services.new_draft(&browser).await;
    browser.press("Confirm").await;
    browser.see_heading("is confirmed").await;
    picture(&browser, "billing-away").await;
    browser.close().await;
}
