//! Somebody else saved first: both versions stand side by side, and one goes on from either.

use serde_json::json;

use crate::browser::Browser;
use crate::screens::picture;
use crate::services::Services;

#[tokio::test]
async fn a_late_edit_shows_both_versions_and_goes_on_from_either() {
    let services = Services::start().await;
    let browser = Browser::open().await;
    let number = services.new_draft(&browser).await;
    let (ordering, _) = services.pair.clients();
    let edit = services.ordering(&format!("/orders/{number}/edit"));
    let saved_meanwhile = async |reference: &str| {
        let order = ordering.order(number).await.expect("the order is there");
        let content = json!({
            "customerId": order.customer.id, "currency": "EUR", "reference": reference,
            "lines": [{ "sku": "BOLT-8", "description": "Bolt M8", "quantity": 400,
                        "unitPriceMinor": 35, "taxBasisPoints": 2100 }],
        });
        ordering.replace(number, order.version, &content).await.expect("it can be changed");
    };

    browser.goto(&edit).await;
    browser.fill("reference", "PO-mine").await;
    browser.fill("note", "Deliver to the east gate").await;
    saved_meanwhile("PO-theirs").await;
    browser.press("Save order").await;
    browser.see_count(".compare", 1).await;
    picture(&browser, "order-edit-conflict").await;
    let differing = browser.text(".compare tbody .differs:nth-of-type(3)").await;
    assert!(differing.contains("PO-mine") && differing.contains("PO-theirs"), "{differing}");
    assert_eq!(browser.count(".compare .differs").await, 4, "reference, note, line, total");
    assert_eq!(browser.value("reference").await, "PO-mine");

    // Going on from one's own: the form is still there and now meant for the version that is.
    browser.press("Go on from yours").await;
    browser.press("Save order").await;
    assert_eq!(services.see_order(&browser).await, number);
    let order = ordering.order(number).await.expect("the order is there");
    assert_eq!((order.reference.as_deref(), order.version), (Some("PO-mine"), 3));

    // Going on from what is there now.
    browser.goto(&edit).await;
    browser.fill("reference", "PO-late").await;
    saved_meanwhile("PO-now").await;
    browser.press("Save order").await;
    browser.press("Go on from what is there now").await;
    browser.see_heading("Edit order").await;
    assert_eq!(browser.value("reference").await, "PO-now");
    assert_eq!(browser.value("lines-0-quantity").await, "400");
    browser.close().await;
}

#[tokio::test]
async fn a_late_edit_of_a_customer_shows_both_versions() {
    let services = Services::start().await;
    let (first, second) = (Browser::open().await, Browser::open().await);
    services.new_customer(&first).await;
    let customer = first.value("customerId").await;
    let edit = services.ordering(&format!("/customers/{customer}/edit"));
    for browser in [&first, &second] {
        browser.goto(&edit).await;
    }
    first.fill("city", "Leiden").await;
    first.press("Save customer").await;
    first.see_heading("Customers").await;
    second.fill("name", "Ada Yards & Sons").await;
    second.press("Save customer").await;
    second.see_count(".compare .differs", 2).await;
    picture(&second, "customer-edit-conflict").await;
    assert_eq!(second.value("name").await, "Ada Yards & Sons");
    second.press("Save customer").await;
    second.see_heading("Customers").await;
    first.close().await;
    second.close().await;
}
