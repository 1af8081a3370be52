//! A client of billing's API and deep link.

use std::ops::Deref;

use contract::feed::Epoch;
use contract::order::{Customer, Line, Order};
use reqwest::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Api, Result, change, next_page};

/// Billing, as another program sees it.
#[derive(Clone, Debug)]
pub struct Billing(pub Api);

impl Deref for Billing {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.0
    }
}

/// Billing's copy of an order.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredOrder {
    /// The order document.
    #[serde(flatten)]
    pub order: Order,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Whether ordering does not know it any more.
    pub missing_at_source: bool,
    /// The epoch of the answer that brought it.
    pub epoch: Epoch,
}

/// An invoice.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // the fields are explained in the contract
pub struct Invoice {
    pub id: String,
    pub version: i64,
    pub number: Option<String>,
    pub order_number: i64,
    pub order_version: i64,
    pub state: String,
    pub customer: Customer,
    pub currency: String,
    pub net_minor: i64,
    pub tax_minor: i64,
    pub total_minor: i64,
    pub lines: Vec<Line>,
    pub replaces: Option<String>,
    pub credit_note_number: Option<String>,
    pub dispatch: Option<String>,
}

impl Invoice {
    /// Whether it is the one that counts for its order.
    pub fn is_live(&self) -> bool {
        self.state == "awaiting_approval" || self.state == "approved"
    }
}

/// What a pull did, in orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[allow(missing_docs)] // the fields are explained in the contract
pub struct Counts {
    pub pages: i64,
    pub new: i64,
    pub changed: i64,
    pub removed: i64,
    pub unchanged: i64,
    pub quarantined: i64,
}

/// How the pull stands.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // the fields are explained in the contract
pub struct PullStatus {
    pub continuation_token: Option<String>,
    pub last_error: Option<String>,
    pub consecutive_failures: i64,
    pub behind: Option<i64>,
    pub totals: Counts,
}

impl Billing {
    /// Billing's copy of an order; `None` when it has none.
    pub async fn order(&self, number: i64) -> Option<StoredOrder> {
        self.get(&format!("/api/v1/orders/{number}")).await.ok()
    }

    /// All copies, by rising number.
    pub async fn all_orders(&self) -> Result<Vec<StoredOrder>> {
        #[derive(Deserialize)]
        struct List {
            orders: Vec<StoredOrder>,
            next: Value,
        }
        let mut all = Vec::new();
        let mut path = "/api/v1/orders?limit=1000".to_owned();
        loop {
            let list: List = self.get(&path).await?;
            all.extend(list.orders);
            let Some(after) = next_page(&list.next) else { return Ok(all) };
            path = format!("/api/v1/orders?limit=1000&after={after}");
        }
    }

    /// All invoices that `filter` (`state=approved`, `orderNumber=7`, or nothing) leaves.
    pub async fn invoices(&self, filter: &str) -> Result<Vec<Invoice>> {
        #[derive(Deserialize)]
        struct List {
            invoices: Vec<Invoice>,
            next: Value,
        }
        let first = format!("/api/v1/invoices?limit=1000&{filter}");
        let mut all = Vec::new();
        let mut path = first.clone();
        loop {
            let list: List = self.get(&path).await?;
            all.extend(list.invoices);
            let Some(after) = next_page(&list.next) else { return Ok(all) };
            path = format!("{first}&after={after}");
        }
    }

    /// Approves an invoice.
    pub async fn approve(&self, invoice: &Invoice) -> Result<Invoice> {
        let path = format!("/api/v1/invoices/{}/approve", invoice.id);
        change(self.request(Method::POST, &path), Some(invoice.version)).await
    }

    /// Pulls now, to the end of the feed.
    pub async fn pull(&self) -> Result<Counts> {
        change(self.request(Method::POST, "/api/v1/pull"), None).await
    }

    /// How the pull stands.
    pub async fn pull_status(&self) -> Result<PullStatus> {
        self.get("/api/v1/pull").await
    }

    /// Reads again from `token`, from the beginning when `None`.
    pub async fn reset_token(&self, token: Option<&str>) -> Result<Value> {
        let request = self.request(Method::PUT, "/api/v1/pull/token");
        change(request.json(&json!({ "continuationToken": token })), None).await
    }

    /// Follows the deep link as a browser does, but for the redirect, which is answered as it is.
    pub async fn follow_link(&self, number: i64) -> Result<Response> {
        let path = format!("/link/new_order?order={number}");
        let request = self.request(Method::GET, &path).header("Accept", "text/html");
        Ok(request.send().await?)
    }

    /// Whether it is ready; else why not.
    pub async fn readiness(&self) -> Result<()> {
        self.get::<Value>("/health/ready").await.map(drop)
    }
}
