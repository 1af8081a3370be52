//! From a new order to its invoice, and what the user sees when billing is away.

use crate::browser::Browser;
use crate::services::{Services, fill_line};

#[tokio::test]
async fn a_new_order_is_confirmed_and_its_invoice_approved() {
    let services = Services::start().await;
    let browser = Browser::open().await;
    services.begin_order(&browser).await;
    browser.fill("reference", "PO-77").await;
    browser.press("Add line").await;
    fill_line(&browser, 1, ["ROPE-12", "Mooring rope, 50 m", "2", "89.50", "21"]).await;
    assert_eq!(browser.text("output[data-total=total]").await, "233.53 EUR", "while typing");
    browser.press("Save order").await;

    let number = services.see_order(&browser).await;
    assert_eq!(browser.text("main .page-head .badge").await, "Draft");
    browser.press("Confirm").await;

    services.see_invoice(&browser, number).await;
    assert_eq!(browser.text(".document > header .badge").await, "Awaiting approval");
    assert_eq!(browser.text("tfoot .total td").await, "233.53 EUR");
    browser.press("Approve").await;

    assert_eq!(browser.text(".document .badge.approved").await, "Approved");
    let heading = browser.text("h1").await;
    assert!(heading.starts_with("Invoice 20") && heading.ends_with("-000001"), "{heading}");
    assert!(browser.shows("[data-print]").await, "the button to print it");
    browser.close().await;
}

#[tokio::test]
async fn confirming_while_billing_is_away_leads_to_the_invoice_once_it_is_back() {
    let mut services = Services::start().await;
    let browser = Browser::open().await;
    let number = services.new_draft(&browser).await;
    services.pair.billing.kill();
    browser.press("Confirm").await;

    browser.see_heading("is confirmed").await;
    let page = browser.text("main").await;
    assert!(page.contains("Billing is not available"), "{page}");
    assert!(browser.url().await.starts_with(&services.ordering("/")), "ordering's own page");

    services.pair.billing.start_again().await;
    services.see_invoice(&browser, number).await; // nobody has pressed anything
    browser.close().await;
}
