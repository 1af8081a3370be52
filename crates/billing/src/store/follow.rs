//! Invoices follow their orders, in bulk.

use std::collections::HashMap;

use contract::feed::Epoch;
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Result, query};
use kit::random::Random;

use super::invoices::{COLUMNS, read};
use super::orders::INSERTED;
use super::{Received, closing, json};
use crate::invoice::{Effect, Invoice, InvoiceState, effect};

/// Makes the invoices of orders follow them that were stored just now, under the epoch of the answer;
/// `stored` has the revision of each, by number.
///
/// Takes the same number of statements for one order as for thousands.
pub(super) async fn follow<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    stored: &HashMap<i64, i64>,
    random: &Random,
    at: Timestamp,
) -> Result<()> {
    let applied = || received.orders.iter().filter(|order| stored.contains_key(&order.number));
    // An invoice is made only of an order that is stored, and no order is ever removed: one that was
    // not known before has no invoice.
    let known: Vec<_> = applied().filter(|order| stored[&order.number] != INSERTED).collect();
    let last = lock_last::<B>(conn, &known).await?;
    let mut created = Vec::new();
    let mut recomputed = Vec::new();
    let mut closed = Vec::new();
    // Lists show the newest first, by id: of one answer, those are the last in the feed.
    let mut ids: Vec<String> = applied().map(|_| random.uuid(at)).collect();
    ids.sort_unstable();
    for (order, id) in applied().zip(ids) {
        tracing::trace!(order.number, order.version, %order.state, "order taken in");
        let create = |replaces: Option<&str>| {
            created.push(New { id, order, replaces: replaces.map(str::to_owned) });
        };
        match effect(order, last.get(&order.number)) {
            Effect::None => {}
            Effect::Create => create(None),
            Effect::Recompute(invoice) => recomputed.push((invoice, order)),
            Effect::Withdraw(invoice) => closed.push((&*invoice.id, InvoiceState::Withdrawn)),
            Effect::Credit(invoice) => closed.push((&*invoice.id, InvoiceState::Credited)),
            Effect::CreditAndReplace(invoice) => {
                closed.push((&*invoice.id, InvoiceState::Credited));
                create(Some(&invoice.id));
            }
        }
    }
    let epoch = received.identity.epoch;
    recompute::<B>(conn, &recomputed, epoch, at).await?;
    // Before the replacements: an order has at most one live invoice.
    closing::close::<B>(conn, &closed, at).await?;
    insert::<B>(conn, &created, epoch, at).await
}

/// Locks what [`effect`] has to know: of each of `orders`, whose rows the transaction holds, the
/// live invoice, else the expired one that was the last to be computed. By the order's number.
///
/// Which was the last is told by the answer it was computed from, which only ever rises: times and
/// ids come from the clocks of several processes.
async fn lock_last<B: Backend>(
    conn: &mut B::Connection,
    orders: &[&Order],
) -> Result<HashMap<i64, Invoice>> {
    let mut last = lock::<B>(conn, orders, "state in ('awaiting_approval', 'approved')").await?;
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
/// the sake of its plan: that an order has at most one live invoice, PostgreSQL knows by the index
/// alone; of any other it would suppose, until the table was first analysed, that an order has
/// hundreds, and read them all.
async fn lock<B: Backend>(
    conn: &mut B::Connection,
    orders: &[&Order],
    condition: &str,
) -> Result<HashMap<i64, Invoice>> {
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let batch = Batch::new().int("of_order", orders.iter().map(|order| order.number));
    // SQLite reads a cross join from left to right: it would otherwise go through all live
    // invoices by their state. For PostgreSQL it is a join like any other.
    let sql = format!(
        "select {COLUMNS} from {} cross join invoices where order_number = of_order and {condition}{}",
        batch.table::<B>(1),
        B::FOR_UPDATE
    );
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    let invoices = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(invoices.into_iter().map(|invoice| (invoice.order_number, invoice)).collect())
}

/// An invoice to be made.
struct New<'a> {
    /// UUID version 7.
    id: String,
    /// What it is computed from.
    order: &'a Order,
    /// The id of the credited invoice that it replaces.
    replaces: Option<String>,
}

/// Keeps new invoices, which await approval.
async fn insert<B: Backend>(
    conn: &mut B::Connection,
    invoices: &[New<'_>],
    epoch: Epoch,
    at: Timestamp,
) -> Result<()> {
    if invoices.is_empty() {
        return Ok(());
    }
    let batch = Batch::new()
        .text("id", invoices.iter().map(|new| new.id.clone()))
        .text("replaces", invoices.iter().map(|new| new.replaces.clone()))
        .int("order_number", invoices.iter().map(|new| new.order.number));
    let batch = with_content(batch, invoices.iter().map(|new| new.order));
    let sql = format!(
        "insert into invoices (id, version, order_number, order_epoch, order_version, state,
                               customer, currency, net_minor, tax_minor, total_minor, lines,
                               created_at, computed_at, replaces)
         select id, 1, order_number, $1, order_version, 'awaiting_approval',
                customer, currency, net_minor, tax_minor, total_minor, lines, $2, $2, replaces
         from {}",
        batch.table::<B>(3)
    );
    query::<B>(AssertSqlSafe(sql))
        .bind(epoch.0)
        .bind(at.micros())
        .bind_batch(batch)
        .execute_exactly(invoices.len() as u64, conn)
        .await
}

/// Computes locked invoices anew, each from its order.
async fn recompute<B: Backend>(
    conn: &mut B::Connection,
    invoices: &[(&Invoice, &Order)],
    epoch: Epoch,
    at: Timestamp,
) -> Result<()> {
    if invoices.is_empty() {
        return Ok(());
    }
    let batch = Batch::new().text("id", invoices.iter().map(|(invoice, _)| invoice.id.clone()));
    let batch = with_content(batch, invoices.iter().map(|(_, order)| *order));
    let sql = format!(
        "update invoices set
             version = invoices.version + 1,
             order_epoch = $1,
             order_version = batch.order_version,
             customer = batch.customer,
             currency = batch.currency,
             net_minor = batch.net_minor,
             tax_minor = batch.tax_minor,
             total_minor = batch.total_minor,
             lines = batch.lines,
             computed_at = $2
         from {} where invoices.id = batch.id",
        batch.table::<B>(3)
    );
    query::<B>(AssertSqlSafe(sql))
        .bind(epoch.0)
        .bind(at.micros())
        .bind_batch(batch)
        .execute_exactly(invoices.len() as u64, conn)
        .await
}

/// Adds what an invoice takes from its order. The totals are those of the lines:
/// [`crate::invoice::fault`] has seen to it.
fn with_content<'a>(batch: Batch, orders: impl Iterator<Item = &'a Order> + Clone) -> Batch {
    batch
        .int("order_version", orders.clone().map(|order| order.version))
        .text("customer", orders.clone().map(|order| json::customer(&order.customer)))
        .text("currency", orders.clone().map(|order| order.currency.clone()))
        .int("net_minor", orders.clone().map(|order| order.net_minor))
        .int("tax_minor", orders.clone().map(|order| order.tax_minor))
        .int("total_minor", orders.clone().map(|order| order.total_minor))
        .text("lines", orders.map(|order| json::lines(&order.lines)))
}
