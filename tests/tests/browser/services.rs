//! Both services with empty databases, and the steps that most tests begin with.

use e2e::pair::{Database, Engine, Pair};

use crate::browser::Browser;

/// Ordering and billing, on SQLite.
pub(crate) struct Services {
    pub(crate) pair: Pair,
    ordering: String,
    billing: String,
    _databases: [Database; 2],
}

impl Services {
    /// Starts both.
    pub(crate) async fn start() -> Self {
        let databases = [Database::new(Engine::Sqlite).await, Database::new(Engine::Sqlite).await];
        let mut pair = Pair::start(databases[0].url(), databases[1].url()).await;
        let (ordering, billing) = (pair.ordering.service().url(), pair.billing.service().url());
        Self { pair, ordering, billing, _databases: databases }
    }

    /// The address of one of ordering's pages.
    pub(crate) fn ordering(&self, path: &str) -> String {
        format!("{}{path}", self.ordering)
    }

    /// The address of one of billing's pages.
    pub(crate) fn billing(&self, path: &str) -> String {
        format!("{}{path}", self.billing)
    }

    /// Makes a customer, which leads to the form of a new order for it.
    pub(crate) async fn new_customer(&self, browser: &Browser) {
        browser.goto(&self.ordering("/customers/new")).await;
        browser.fill("name", "Ada Yards").await;
        browser.fill("email", "office@example.com").await;
        browser.fill("line1", "1 Quay St").await;
        browser.fill("postalCode", "1011").await;
        browser.fill("city", "Delft").await;
        browser.choose("country", "Netherlands").await;
        browser.press("Save customer").await;
        browser.see_heading("New order").await;
        assert_eq!(browser.text("#customerId option:checked").await, "Ada Yards");
        browser.choose("currency", "EUR").await;
    }

    /// Makes a customer, and fills in the first line of a new order for it.
    pub(crate) async fn begin_order(&self, browser: &Browser) {
        self.new_customer(browser).await;
        fill_line(browser, 0, ["BOLT-8", "Bolt M8", "40", "0.35", "21"]).await;
    }

    /// Makes a customer and a draft, which the browser then shows; answers its number.
    pub(crate) async fn new_draft(&self, browser: &Browser) -> i64 {
        self.begin_order(browser).await;
        browser.press("Save order").await;
        self.see_order(browser).await
    }

    /// Waits until the browser shows one of ordering's orders; answers its number.
    pub(crate) async fn see_order(&self, browser: &Browser) -> i64 {
        browser.see_heading("Order ").await;
        let url = browser.url().await;
        let number = url.strip_prefix(&self.ordering("/orders/")).and_then(|n| n.parse().ok());
        number.unwrap_or_else(|| panic!("{url} is not the address of an order"))
    }

    /// Waits until the browser shows billing's invoice for this order.
    pub(crate) async fn see_invoice(&self, browser: &Browser, order: i64) {
        browser.see_heading("Invoice ").await;
        assert_eq!(browser.url().await, self.billing(&format!("/orders/{order}/invoice")));
    }
}

/// Fills in one line of the order form: SKU, description, quantity, unit price, tax.
pub(crate) async fn fill_line(browser: &Browser, index: usize, values: [&str; 5]) {
    let names = ["sku", "description", "quantity", "unitPrice", "tax"];
    for (name, value) in names.into_iter().zip(values) {
        browser.fill(&format!("lines-{index}-{name}"), value).await;
    }
}
