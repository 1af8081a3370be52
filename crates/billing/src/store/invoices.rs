//! Invoices: reading, approving, and following their orders in bulk.

use std::collections::HashMap;

use contract::feed::Epoch;
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Error, Result, Row, query};
use kit::http::etag::IfMatch;

use super::sql::storable;
use super::{Approval, InvoiceFilter, json, numbers};
use crate::invoice::{Invoice, InvoiceState, Series};

const COLUMNS: &str = "id, version, number, order_number, order_version, state, customer, currency, \
    net_minor, tax_minor, total_minor, lines, created_at, approved_at, replaces, \
    credit_note_number, dispatch";

/// The invoice with this id.
pub(super) async fn get<B: Backend>(conn: &mut B::Connection, id: &str) -> Result<Option<Invoice>> {
    find::<B>(conn, id, "").await
}

async fn find<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
    lock: &str,
) -> Result<Option<Invoice>> {
    let sql = format!("select {COLUMNS} from invoices where id = $1{lock}");
    let row = query::<B>(AssertSqlSafe(sql)).bind(storable(id)).fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// Invoices by falling id from behind `filter.after`.
pub(super) async fn list<B: Backend>(
    conn: &mut B::Connection,
    filter: &InvoiceFilter,
    limit: i64,
) -> Result<Vec<Invoice>> {
    // Only the conditions that are asked for, so that each list has the index that fits it.
    let mut sql = format!("select {COLUMNS} from invoices where true");
    if filter.state.is_some() {
        sql += " and state = $1";
    }
    if filter.order_number.is_some() {
        sql += " and order_number = $2";
    }
    if filter.after.is_some() {
        sql += " and id < $3";
    }
    sql += " order by id desc limit $4";
    let rows = query::<B>(AssertSqlSafe(sql))
        .bind(filter.state.map(|state| state.as_str().to_owned()))
        .bind(filter.order_number)
        .bind(filter.after.as_deref().map(storable))
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

/// How many invoices are in each state, those without any included.
pub(super) async fn count_by_state<B: Backend>(
    conn: &mut B::Connection,
) -> Result<Vec<(InvoiceState, i64)>> {
    let rows = query::<B>("select state, count(*) as invoices from invoices group by state")
        .fetch_all(conn)
        .await?;
    let mut counts = HashMap::new();
    for row in &rows {
        counts.insert(state(row)?, row.get("invoices")?);
    }
    let count = |state| (state, counts.get(&state).copied().unwrap_or(0));
    Ok(InvoiceState::ALL.map(count).to_vec())
}

/// Approves an invoice that awaits approval.
///
/// The number is taken while the invoice is locked and nothing can go wrong any more but the
/// database itself; a rollback gives it back.
pub(super) async fn approve<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
    expected: Option<&IfMatch>,
    at: Timestamp,
) -> Result<Approval> {
    let Some(invoice) = find::<B>(conn, id, B::FOR_UPDATE).await? else {
        return Ok(Approval::NotFound);
    };
    let allows = |version| expected.is_none_or(|expected| expected.allows(version));
    // A repeated approval names the version that it approved, which was the one before.
    let approved = invoice.state == InvoiceState::Approved;
    if !allows(invoice.version) && !(approved && allows(invoice.version - 1)) {
        return Ok(Approval::VersionConflict(invoice.version));
    }
    match invoice.state {
        InvoiceState::Approved => return Ok(Approval::Approved(Box::new(invoice))),
        InvoiceState::AwaitingApproval => {}
        state => return Ok(Approval::WrongState(state)),
    }
    let number = numbers::take::<B>(conn, Series::Invoice, at.year(), 1).await?.next();
    let approved = Invoice {
        version: invoice.version + 1,
        state: InvoiceState::Approved,
        number,
        approved_at: Some(at),
        ..invoice
    };
    query::<B>(
        "update invoices set version = $1, state = $2, number = $3, approved_at = $4
         where id = $5",
    )
    .bind(approved.version)
    .bind(approved.state.as_str().to_owned())
    .bind(approved.number.clone())
    .bind(at.micros())
    .bind(approved.id.clone())
    .execute_exactly(1, conn)
    .await?;
    Ok(Approval::Approved(Box::new(approved)))
}

/// Locks the live invoices of `orders`, whose rows the transaction holds; each by its order's
/// number.
pub(super) async fn lock_live<B: Backend>(
    conn: &mut B::Connection,
    orders: &[&Order],
) -> Result<HashMap<i64, Invoice>> {
    let batch = Batch::new().int("number", orders.iter().map(|order| order.number));
    let sql = format!(
        "select {COLUMNS} from invoices
         where order_number in (select number from {})
           and state in ('awaiting_approval', 'approved'){}",
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
pub(super) struct New<'a> {
    /// UUID version 7.
    pub(super) id: String,
    /// What it is computed from.
    pub(super) order: &'a Order,
    /// The id of the credited invoice that it replaces.
    pub(super) replaces: Option<String>,
}

/// Keeps new invoices, which await approval.
pub(super) async fn insert<B: Backend>(
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
pub(super) async fn recompute<B: Backend>(
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
pub(super) async fn close<B: Backend>(
    conn: &mut B::Connection,
    invoices: &[(&Invoice, InvoiceState)],
    at: Timestamp,
) -> Result<()> {
    if invoices.is_empty() {
        return Ok(());
    }
    let is_credited = |state| state == InvoiceState::Credited;
    let credited = invoices.iter().filter(|(_, state)| is_credited(*state)).count();
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

fn read<B: Backend>(row: &Row<B>) -> Result<Invoice> {
    Ok(Invoice {
        id: row.get("id")?,
        version: row.get("version")?,
        number: row.get("number")?,
        order_number: row.get("order_number")?,
        order_version: row.get("order_version")?,
        state: state(row)?,
        customer: json::read(&row.get::<String>("customer")?)?,
        currency: row.get("currency")?,
        net_minor: row.get("net_minor")?,
        tax_minor: row.get("tax_minor")?,
        total_minor: row.get("total_minor")?,
        lines: json::read(&row.get::<String>("lines")?)?,
        created_at: Timestamp::from_micros(row.get("created_at")?),
        approved_at: row.get::<Option<i64>>("approved_at")?.map(Timestamp::from_micros),
        replaces: row.get("replaces")?,
        credit_note_number: row.get("credit_note_number")?,
        dispatch: row.get("dispatch")?,
    })
}

fn state<B: Backend>(row: &Row<B>) -> Result<InvoiceState> {
    let word: String = row.get("state")?;
    InvoiceState::parse(&word)
        .ok_or_else(|| Error::Damaged(format!("{word:?} is no state of an invoice")))
}
