//! Invoices follow their orders, where storing an order is not all there is to it.
//!
//! The upsert of the orders has made the drafts of new ones and computed the others anew. What is left
//! is orders that were known and have no draft: their invoice is approved, or has come to an end.

use std::collections::HashMap;

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Result, query};
use kit::random::Random;

use super::orders::{INSERTED, Stored};
use super::{Fit, Received, crediting, drafts, invoices};
use crate::invoice::{Effect, Invoice, effect};

/// Makes the invoices of orders follow them that were stored just now; `stored` has them by number.
///
/// Takes the same number of statements for one order as for thousands.
pub(super) async fn follow<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    stored: &HashMap<i64, Stored>,
    random: &Random,
    at: Timestamp,
) -> Result<()> {
    // An invoice is made only of an order that is stored, and no order is ever removed: one that was
    // not known before has no other invoice.
    let is_open = |stored: &Stored| stored.revision != INSERTED && !stored.has_draft;
    let open =
        received.orders.iter().filter(|order| stored.get(&order.number).is_some_and(is_open));
    let open: Vec<_> = open.collect();
    if open.is_empty() {
        return Ok(());
    }
    let last = lock_last::<B>(conn, &open).await?;
    let mut made = Vec::new();
    let mut credited = Vec::new();
    for order in &open {
        let mut make = |replaces| {
            let order_number = order.number;
            made.push(drafts::New { id: random.uuid(at), order_number, replaces });
        };
        match effect(&order.order()?, last.get(&order.number)) {
            Effect::None => {}
            Effect::Create => make(None),
            Effect::Credit(invoice) => credited.push(&*invoice.id),
            Effect::CreditAndReplace(invoice) => {
                credited.push(&*invoice.id);
                make(Some(invoice.id.clone()));
            }
        }
    }
    crediting::credit::<B>(conn, &credited, at).await?;
    drafts::make::<B>(conn, &made, at).await
}

/// Locks what [`effect`] has to know: of each of `orders`, whose rows the transaction holds and which
/// have no draft, the approved invoice, else the expired one that was the last to be computed. By the
/// order's number.
///
/// Which was the last is told by the answer it was computed from, which only ever rises: times and
/// ids come from the clocks of several processes.
async fn lock_last<B: Backend>(
    conn: &mut B::Connection,
    orders: &[&Fit],
) -> Result<HashMap<i64, Invoice>> {
    let mut last = lock::<B>(conn, orders, "state = 'approved'").await?;
    let others: Vec<_> =
        orders.iter().filter(|order| !last.contains_key(&order.number)).copied().collect();
    let expired = "state = 'expired' and not exists (
                       select 1 from invoices as later
                       where later.order_number = of_order
                         and (later.order_epoch, later.order_version)
                             > (invoices.order_epoch, invoices.order_version))";
    last.extend(lock::<B>(conn, &others, expired).await?);
    Ok(last)
}

/// Locks the invoices of `orders` that meet `condition`. Each condition has a statement of its own, for
/// the sake of its plan: that an order has at most one approved invoice, PostgreSQL knows by the index
/// alone; of any other it would suppose, until the table was first analysed, that an order has
/// hundreds, and read them all.
async fn lock<B: Backend>(
    conn: &mut B::Connection,
    orders: &[&Fit],
    condition: &str,
) -> Result<HashMap<i64, Invoice>> {
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let batch = Batch::new().int("of_order", orders.iter().map(|order| order.number));
    // SQLite reads a cross join from left to right: it would otherwise go through all approved
    // invoices by their state. For PostgreSQL it is a join like any other.
    let sql = format!(
        "select {} from {} cross join invoices where order_number = of_order and {condition}{}",
        invoices::FROZEN,
        batch.table::<B>(1),
        B::FOR_UPDATE
    );
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    let invoices = rows.iter().map(invoices::read).collect::<Result<Vec<_>>>()?;
    Ok(invoices.into_iter().map(|invoice| (invoice.order_number, invoice)).collect())
}
