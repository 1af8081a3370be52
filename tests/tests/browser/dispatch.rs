//! An invoice on its way to the customer's system, as the user watches it.

use std::time::Duration;

use e2e::receiver::{Receiver, SECRET};
use tokio::net::TcpListener;

use crate::browser::Browser;
use crate::screens::picture;
use crate::services::Services;

impl Services {
    /// Starts billing again, with a customer's system at `url`.
    async fn dispatch_to(&mut self, url: &str) {
        self.pair
            .billing
            .start_differently(|billing| {
                billing
                    .env("BILLING_DISPATCH_URL", url)
                    .env("BILLING_DISPATCH_SECRET", SECRET)
                    .env("BILLING_DISPATCH_TIMEOUT", "2s")
            })
            .await;
    }
}

#[tokio::test]
async fn the_page_follows_the_invoice_to_the_customers_system() {
    // Connections come about, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = Receiver::start(Duration::ZERO, false).await;
    let mut services = Services::start().await;
    services.dispatch_to(&format!("http://{}/", silent.local_addr().unwrap())).await;
    let browser = Browser::open().await;
    // All of it works without a script.
    browser.switch_scripts_off().await;
    let number = services.new_draft(&browser).await;
    browser.press("Confirm").await;
    services.see_invoice(&browser, number).await;
    let address = services.billing(&format!("/orders/{number}/invoice"));

    browser.press("Approve").await;
    browser.see_count("main .notice.warning", 1).await;
    browser.see_count(".notice.warning time", 1).await; // an attempt has failed: nobody pressed anything
    let notice = browser.text("main .notice.warning").await;
    assert!(notice.contains("The customer's system did not answer in time"), "{notice}");
    picture(&browser, "invoice-pending").await;

    // There is nothing at that address: our mistake.
    services.dispatch_to(&format!("{}/mistyped", receiver.url())).await;
    browser.goto(&address).await;
    browser.see_count("main .notice.error", 1).await;
    let notice = browser.text("main .notice.error").await;
    assert!(notice.contains("The customer's system answered 404"), "{notice}");
    picture(&browser, "invoice-failed").await;
    browser.goto(&services.billing("/")).await;
    picture(&browser, "billing-not-delivered").await;
    browser.press("Not delivered 1").await;
    browser.see_heading("Invoices").await;
    picture(&browser, "invoices-not-delivered").await;
    browser.goto(&services.billing(&format!("/link/new_order?order={number}&order=999999"))).await;
    picture(&browser, "link-several-not-delivered").await;

    services.dispatch_to(receiver.url()).await;
    browser.goto(&address).await;
    browser.press("Retry").await;
    browser.see_count("dl.facts dd time", 3).await; // created, approved, delivered
    browser.see_count("main .notice", 0).await;
    picture(&browser, "invoice-delivered").await;
    assert_eq!(receiver.seen().deliveries(), 1);
    browser.close().await;
}
