//! The form of an order keeps what was typed, with and without scripts.

use crate::browser::Browser;
use crate::services::{Services, fill_line};

#[tokio::test]
async fn mistakes_keep_what_was_typed() {
    let browser = Browser::open().await;
    mistakes(&browser, true).await;
    browser.close().await;
}

#[tokio::test]
async fn mistakes_keep_what_was_typed_without_scripts() {
    let browser = Browser::open().await;
    browser.switch_scripts_off().await;
    mistakes(&browser, false).await;
    browser.close().await;
}

async fn mistakes(browser: &Browser, scripts: bool) {
    let services = Services::start().await;
    services.new_customer(browser).await;
    browser.fill("reference", "PO-77").await;
    browser.fill("note", "Deliver to the <east> gate").await;
    fill_line(browser, 0, ["BOLT-8", "Bolt M8", "-3", "abc", "21"]).await;

    // Lines come and go, here in the page itself or by a trip to the server.
    browser.evaluate("window.sameDocument = true").await;
    browser.press("Add line").await;
    browser.see_count("[data-line]", 2).await;
    assert_eq!(browser.evaluate("return window.sameDocument === true").await, scripts);
    fill_line(browser, 1, ["GONE", "Removed again", "1", "1.00", "9"]).await;
    browser.press("Add line").await;
    browser.see_count("[data-line]", 3).await;
    fill_line(browser, 2, ["", "Without an SKU", "2", "89.50", "5.5"]).await;
    browser.press_at("button[value=remove-line-1]").await;
    browser.see_count("[data-line]", 2).await;

    browser.press("Save order").await;
    assert!(browser.text("[data-error-summary] h2").await.ends_with("3 problems"));
    for id in ["lines-0-quantity", "lines-0-unitPrice", "lines-1-sku"] {
        assert_eq!(browser.count(&format!("#{id}[aria-invalid=true]")).await, 1, "{id} is marked");
        assert_ne!(browser.text(&format!("#{id}-error")).await, "", "{id} says what is wrong");
    }
    assert_eq!(browser.count("main .field > .error, main td > .error").await, 3, "and no other");
    let typed = [
        ("reference", "PO-77"),
        ("note", "Deliver to the <east> gate"),
        ("lines-0-sku", "BOLT-8"),
        ("lines-0-description", "Bolt M8"),
        ("lines-0-quantity", "-3"),
        ("lines-0-unitPrice", "abc"),
        ("lines-0-tax", "21"),
        ("lines-1-sku", ""),
        ("lines-1-description", "Without an SKU"),
        ("lines-1-quantity", "2"),
        ("lines-1-unitPrice", "89.50"),
        ("lines-1-tax", "5.5"),
    ];
    for (id, text) in typed {
        assert_eq!(browser.value(id).await, text, "{id}");
    }
    let customer = browser.text("#customerId option:checked").await;
    assert_eq!(customer, "Ada Yards");

    browser.fill("lines-0-quantity", "3").await;
    browser.fill("lines-0-unitPrice", "1,000.5").await;
    browser.fill("lines-1-sku", "ROPE-12").await;
    browser.press("Save order").await;
    services.see_order(browser).await;
    // 3 × 1,000.50 and 2 × 89.50, with 21 % and 5.5 % of tax
    assert_eq!(browser.text("tfoot .total td").await, "3,820.67 EUR");
}
