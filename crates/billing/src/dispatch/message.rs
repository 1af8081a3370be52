//! What the customer's system is sent, as Standard Webhooks has it
//! (<https://www.standardwebhooks.com>, specification version 1.0.0).

use contract::time::Timestamp;
use serde::Serialize;

use crate::invoice::Invoice;

/// What happened, as the body tells it.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// When it happened; when it is sent stands in a header.
    timestamp: Timestamp,
    data: &'a Invoice,
}

/// The body that says that `invoice` was approved `at` this time.
pub fn body(invoice: &Invoice, at: Timestamp) -> String {
    let message = Message { kind: "invoice.approved", timestamp: at, data: invoice };
    // Only maps with keys that are no text, and types that refuse it, cannot be written: an invoice
    // is neither.
    serde_json::to_string(&message).expect("an invoice can be written as JSON")
}

/// The `webhook-id` of an invoice's approval, by which the receiver recognises what it has already.
/// There is one message of this kind an invoice, so the invoice's id tells it from all others.
pub fn webhook_id(invoice_id: &str) -> String {
    format!("approved-{invoice_id}")
}
