//! The documents of the feed: each exposed order as the feed shows it, written with every version.
//!
//! An order is written once and read by every consumer, often more than once. So its JSON is made
//! when it is written, in the same transaction, and a page copies it: no lines are looked up and no
//! columns are put together again. Only its place in the feed is not in it, because the sequencer
//! gives that later; a page puts it in.
//!
//! Each writing of an order, whoever does it, appends a change to the feed (a trigger sees to it), and a
//! document says of which change it is. One that is of an earlier change than the order's last, because
//! somebody else has written the order, counts no more: a page then puts the order together by itself.

use contract::feed::SequenceNr;
use contract::order::Order;
use kit::db::{AssertSqlSafe, Backend, Batch, Error, Result, query};

use super::orders;
use crate::scope::PlannedOrder;

/// In a document, where its place in the feed belongs. What stands before it is numbers and fixed
/// words, so the first one is it, whatever a customer writes into an order.
const UNSTAMPED: &str = r#""confirmedSequenceNr":-1,"#;

/// Keeps the documents of all orders that were written and are exposed.
pub(super) async fn write<B: Backend>(
    conn: &mut B::Connection,
    orders: &[PlannedOrder],
) -> Result<()> {
    let written = orders.iter().filter(|planned| planned.action.is_some());
    let exposed: Vec<_> = written
        .map(|planned| &planned.order)
        .filter(|order| order.confirmed_at.is_some())
        .collect();
    if exposed.is_empty() {
        return Ok(());
    }
    let batch = Batch::new()
        .int("number", exposed.iter().map(|order| order.number))
        .text("document", exposed.iter().map(|order| unstamped(order)));
    let sql = format!(
        "insert into feed_documents (number, change_id, document) \
         select number, \
           (select max(change_id) from feed_changes where feed_changes.number = batch.number), \
           document \
         from {} where true \
         on conflict (number) do update \
           set change_id = excluded.change_id, document = excluded.document",
        batch.table::<B>(1)
    );
    let upsert = query::<B>(AssertSqlSafe(sql)).bind_batch(batch);
    upsert.execute_exactly(exposed.len() as u64, conn).await
}

/// The document of an order of which none is kept that counts.
pub(super) async fn assemble<B: Backend>(conn: &mut B::Connection, number: i64) -> Result<String> {
    let gone = || Error::Damaged(format!("order {number} is in the feed, and not there"));
    let order = orders::find::<B>(conn, number).await?.ok_or_else(gone)?;
    Ok(unstamped(&Order { confirmed_sequence_nr: SequenceNr::UNSTAMPED, ..order }))
}

/// The document of an order that has no place yet.
fn unstamped(order: &Order) -> String {
    // Only maps with keys that are no text, and types that refuse it, cannot be written.
    serde_json::to_string(order).expect("orders can be written as JSON")
}

/// A document in its two parts: `confirmedSequenceNr` with its value belongs between them.
pub(super) fn around_place(document: &str) -> Result<(&str, &str)> {
    let placeless = || Error::Damaged(format!("no place in the document {document:.100}"));
    document.split_once(UNSTAMPED).ok_or_else(placeless)
}

#[cfg(test)]
mod tests {
    use contract::order::{Customer, OrderState};
    use contract::time::Timestamp;

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);

    #[test]
    fn what_a_customer_writes_is_never_taken_for_the_place() {
        let order = Order {
            number: 7,
            state: OrderState::Confirmed,
            version: 2,
            confirmed_sequence_nr: SequenceNr::UNSTAMPED,
            customer: Customer { name: UNSTAMPED.to_owned(), ..Customer::default() },
            currency: "EUR".into(),
            reference: Some(UNSTAMPED.to_owned()),
            note: Some(UNSTAMPED.to_owned()),
            lines: Vec::new(),
            net_minor: 0,
            tax_minor: 0,
            total_minor: 0,
            confirmed_at: Some(AT),
            changed_at: AT,
            deleted_at: None,
        };
        let document = unstamped(&order);
        let (before, after) = around_place(&document).unwrap();
        let whole = format!("{before}\"confirmedSequenceNr\":42,{after}");
        let read: Order = serde_json::from_str(&whole).unwrap();
        assert_eq!(read, Order { confirmed_sequence_nr: SequenceNr(42), ..order });
        assert!(around_place("{}").is_err());
    }
}
