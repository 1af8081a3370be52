//! A client of ordering's API and feed.

use std::ops::Deref;

use contract::feed::{FeedPage, FeedStatus};
use contract::order::Order;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Api, Result, change, next_page};

/// Ordering, as another program sees it.
#[derive(Clone, Debug)]
pub struct Ordering(pub Api);

impl Deref for Ordering {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.0
    }
}

/// An order as a request gives it: two lines whose amounts depend on `quantity`, and `note` to
/// tell this very content from every other.
pub fn content(customer_id: &str, note: &str, quantity: i64) -> Value {
    json!({
        "customerId": customer_id, "currency": "EUR", "reference": null, "note": note,
        "lines": [
            { "sku": "BOLT-8", "description": "Bolt M8", "quantity": quantity,
              "unitPriceMinor": 35, "taxBasisPoints": 2100 },
            { "sku": "NUT-8", "description": null, "quantity": 3,
              "unitPriceMinor": quantity, "taxBasisPoints": 900 },
        ],
    })
}

impl Ordering {
    /// A new customer's id.
    pub async fn customer(&self, name: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Created {
            id: String,
        }
        let email = "buyer@example.com";
        let request = self.request(Method::POST, "/api/v1/customers");
        let created: Created =
            change(request.json(&json!({ "name": name, "email": email })), None).await?;
        Ok(created.id)
    }

    /// A new draft. The same key with the same content is the same order.
    pub async fn create(&self, content: &Value, key: Option<&str>) -> Result<Order> {
        let mut request = self.request(Method::POST, "/api/v1/orders").json(content);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        change(request, None).await
    }

    /// A new order, confirmed at once.
    pub async fn create_confirmed(&self, content: &Value) -> Result<Order> {
        let draft = self.create(content, None).await?;
        self.confirm(draft.number, None).await
    }

    /// The order, in any state.
    pub async fn order(&self, number: i64) -> Result<Order> {
        self.get(&format!("/api/v1/orders/{number}")).await
    }

    /// Replaces the whole content of `version`.
    pub async fn replace(&self, number: i64, version: i64, content: &Value) -> Result<Order> {
        let request = self.request(Method::PUT, &format!("/api/v1/orders/{number}"));
        change(request.json(content), Some(version)).await
    }

    /// Draft to confirmed.
    pub async fn confirm(&self, number: i64, version: Option<i64>) -> Result<Order> {
        let path = format!("/api/v1/orders/{number}/confirm");
        change(self.request(Method::POST, &path), version).await
    }

    /// Marks it as deleted.
    pub async fn delete(&self, number: i64, version: Option<i64>) -> Result<Order> {
        let path = format!("/api/v1/orders/{number}");
        change(self.request(Method::DELETE, &path), version).await
    }

    /// Writes a customer with an order under a key; the transaction's id.
    pub async fn nested(&self, document: &Value, key: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Written {
            id: String,
        }
        let request = self.request(Method::PUT, "/api/v1/nested/orders").json(document);
        let written: Written = change(request.header("Idempotency-Key", key), None).await?;
        Ok(written.id)
    }

    /// All orders in any state, by rising number.
    pub async fn all_orders(&self) -> Result<Vec<Order>> {
        #[derive(Deserialize)]
        struct List {
            orders: Vec<Order>,
            next: Value,
        }
        let mut all = Vec::new();
        let mut path = "/api/v1/orders?limit=1000".to_owned();
        loop {
            let list: List = self.get(&path).await?;
            all.extend(list.orders);
            let Some(after) = next_page(&list.next) else { break };
            path = format!("/api/v1/orders?limit=1000&after={after}");
        }
        all.reverse();
        Ok(all)
    }

    /// One page of the feed.
    pub async fn feed(&self, after: Option<&str>, limit: i64) -> Result<FeedPage> {
        let after = after.map(|token| format!("&after={token}")).unwrap_or_default();
        self.get(&format!("/feed/v1/orders?limit={limit}{after}")).await
    }

    /// The whole feed from the beginning, in pages of `limit`.
    pub async fn whole_feed(&self, limit: i64) -> Result<Vec<Order>> {
        let mut orders = Vec::new();
        let mut token = None;
        loop {
            let page = self.feed(token.as_deref(), limit).await?;
            orders.extend(page.orders);
            if !page.has_more {
                return Ok(orders);
            }
            token = Some(page.continuation_token.to_string());
        }
    }

    /// How the feed is doing.
    pub async fn status(&self) -> Result<FeedStatus> {
        self.get("/feed/v1/status").await
    }

    /// Whether it is ready; else why not.
    pub async fn readiness(&self) -> Result<()> {
        self.get::<Value>("/health/ready").await.map(drop)
    }
}
