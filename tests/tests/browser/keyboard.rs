//! The pages without a mouse.

use fantoccini::key::Key;

use crate::browser::Browser;
use crate::services::Services;

#[tokio::test]
async fn the_first_stop_skips_to_the_content() {
    let services = Services::start().await;
    let browser = Browser::open().await;
    for page in [services.ordering("/orders"), services.billing("/invoices")] {
        browser.goto(&page).await;
        browser.key(Key::Tab).await;
        assert_eq!(browser.focused().await, "Skip to content", "{page}");
        browser.key(Key::Enter).await;
        assert_eq!(browser.focused().await, "main", "{page}");
    }
    browser.close().await;
}

#[tokio::test]
async fn enter_in_a_field_of_a_line_saves_the_order() {
    let services = Services::start().await;
    let browser = Browser::open().await;
    services.begin_order(&browser).await;
    browser.focus("lines-0-quantity").await;
    browser.key(Key::Enter).await;
    services.see_order(&browser).await;
    assert!(browser.text("main").await.contains("Bolt M8"), "the line is still there");
    browser.close().await;
}
