//! Invoices follow their orders, in bulk.

use std::collections::HashMap;

use contract::feed::Epoch;
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Result, query};
use kit::random::Random;

use super::invoices::{COLUMNS, read};
use super::{json, numbers};
use crate::invoice::{Effect, Invoice, InvoiceState, Series, effect};

/// Makes the invoices of `applied` follow them: orders that were stored just now, under `epoch`.
///
/// Takes the same number of statements for one order as for thousands.
pub(super) async fn follow<B: Backend>(
    conn: &mut B::Connection,
    applied: &[&Order],
    epoch: Epoch,
    random: &Random,
    at: Timestamp,
) -> Result<()> {
    let live = lock_live::<B>(conn, applied).await?;
    let mut created = Vec::new();
    let mut recomputed = Vec::new();
    let mut closed = Vec::new();
    // Lists show the newest first, by id: of one answer, those are the last in the feed.
    let mut ids: Vec<String> = applied.iter().map(|_| random.uuid(at)).collect();
    ids.sort_unstable();
    for (&order, id) in applied.iter().zip(ids) {
        tracing::trace!(order.number, order.version, %order.state, "order taken in");
        let create = |replaces: Option<&str>| {
            created.push(New { id, order, replaces: replaces.map(str::to_owned) });
        };
        match effect(order, live.get(&order.number)) {
            Effect::None => {}
            Effect::Create => create(None),
            Effect::Recompute(invoice) => recomputed.push((invoice, order)),
            Effect::Withdraw(invoice) => closed.push((invoice, InvoiceState::Withdrawn)),
            Effect::Credit(invoice) => closed.push((invoice, InvoiceState::Credited)),
            Effect::CreditAndReplace(invoice) => {
                closed.push((invoice, InvoiceState::Credited));
                create(Some(&invoice.id));
            }
        }
    }
    recompute::<B>(conn, &recomputed, epoch).await?;
    // Before the replacements: an order has at most one live invoice.
    close::<B>(conn, &closed, at).await?;
    insert::<B>(conn, &created, epoch, at).await
}

/// Locks the live invoices of `orders`, whose rows the transaction holds; each by its order's
/// number.
async fn lock_live<B: Backend>(
    conn: &mut B::Connection,
    orders: &[&Order],
) -> Result<HashMap<i64, Invoice>> {
    let batch = Batch::new().int("of_order", orders.iter().map(|order| order.number));
    // SQLite reads a cross join from left to right: it would otherwise go through all live
    // invoices by their state. For PostgreSQL it is a join like any other.
    let sql = format!(
        "select {COLUMNS} from {} cross join invoices
         where order_number = of_order and state in ('awaiting_approval', 'approved'){}",
        batch.table::<B>(1),
        B::FOR_UPDATE
    );
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let invoice = read(row)?;
            Ok((invoice.order_number, invoice))
        })
        .collect()
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
                               created_at, replaces)
         select id, 1, order_number, $1, order_version, 'awaiting_approval',
                customer, currency, net_minor, tax_minor, total_minor, lines, $2, replaces
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
             lines = batch.lines
         from {} where invoices.id = batch.id",
        batch.table::<B>(2)
    );
    query::<B>(AssertSqlSafe(sql))
        .bind(epoch.0)
        .bind_batch(batch)
        .execute_exactly(invoices.len() as u64, conn)
        .await
}

/// Ends locked invoices: withdraws them, or credits them under the next numbers of the year.
async fn close<B: Backend>(
    conn: &mut B::Connection,
    invoices: &[(&Invoice, InvoiceState)],
    at: Timestamp,
) -> Result<()> {
    if invoices.is_empty() {
        return Ok(());
    }
    let is_credited = |state| state == InvoiceState::Credited;
    let credited = invoices.iter().map(|(_, state)| i64::from(is_credited(*state))).sum();
    let mut numbers = numbers::take::<B>(conn, Series::CreditNote, at.year(), credited).await?;
    let mut credit_note = |state| if is_credited(state) { numbers.next() } else { None };
    let batch = Batch::new()
        .text("id", invoices.iter().map(|(invoice, _)| invoice.id.clone()))
        .text("state", invoices.iter().map(|(_, state)| state.as_str().to_owned()))
        .text("credit_note_number", invoices.iter().map(|(_, state)| credit_note(*state)));
    let sql = format!(
        "update invoices set
             version = invoices.version + 1,
             state = batch.state,
             closed_at = $1,
             credit_note_number = batch.credit_note_number
         from {} where invoices.id = batch.id",
        batch.table::<B>(2)
    );
    query::<B>(AssertSqlSafe(sql))
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
        .text("customer", orders.clone().map(|order| json::write(&order.customer)))
        .text("currency", orders.clone().map(|order| order.currency.clone()))
        .int("net_minor", orders.clone().map(|order| order.net_minor))
        .int("tax_minor", orders.clone().map(|order| order.tax_minor))
        .int("total_minor", orders.clone().map(|order| order.total_minor))
        .text("lines", orders.map(|order| json::write(&order.lines)))
}
