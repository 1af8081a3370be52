//! Invoices: lists and lookups, whether they are drafts or rows of their own.

use std::collections::HashMap;

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Error, Result, Row, query};

use super::sql::storable;
use super::{InvoiceFilter, drafts, json};
use crate::dispatch::DispatchState;
use crate::invoice::{Invoice, InvoiceState};

/// What [`read`] needs, with the column that tells what a draft says.
macro_rules! columns {
    ($document:literal) => {
        concat!(
            "id, version, number, order_number, order_version, state, customer, currency, net_minor, \
             tax_minor, total_minor, lines, created_at, approved_at, closed_at, replaces, \
             credit_note_number, dispatch, order_was_lost, ",
            $document
        )
    };
}

/// What [`read`] needs, of `all_invoices`.
pub(super) const COLUMNS: &str = columns!("document");

/// What [`read`] needs, of `invoices`, where there are no drafts.
pub(super) const FROZEN: &str = columns!("null as document");

/// What [`read`] needs, of the draft in a row of `orders`.
const DRAFT: &str = "invoice_id as id, invoice_version as version, null as number, \
    orders.number as order_number, orders.version as order_version, 'awaiting_approval' as state, \
    null as customer, null as currency, cast(null as bigint) as net_minor, \
    cast(null as bigint) as tax_minor, cast(null as bigint) as total_minor, null as lines, \
    invoice_created_at as created_at, cast(null as bigint) as approved_at, \
    cast(null as bigint) as closed_at, invoice_replaces as replaces, null as credit_note_number, \
    null as dispatch, false as order_was_lost, document";

/// The invoice with this id.
pub(super) async fn get<B: Backend>(conn: &mut B::Connection, id: &str) -> Result<Option<Invoice>> {
    let sql = format!("select {COLUMNS} from all_invoices where id = $1");
    let row = query::<B>(AssertSqlSafe(sql)).bind(storable(id)).fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// The invoice with this id, unless it is a draft; locked until the transaction ends.
pub(super) async fn lock<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
) -> Result<Option<Invoice>> {
    let sql = format!("select {FROZEN} from invoices where id = $1{}", B::FOR_UPDATE);
    let row = query::<B>(AssertSqlSafe(sql)).bind(storable(id)).fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// Invoices by falling id from behind `filter.after`.
///
/// Drafts and the others are two lists, each limited by itself: PostgreSQL would read all drafts there
/// are to merge them in `all_invoices`.
pub(super) async fn list<B: Backend>(
    conn: &mut B::Connection,
    filter: &InvoiceFilter,
    limit: i64,
) -> Result<Vec<Invoice>> {
    let mut lists = Vec::new();
    // Only the conditions that are asked for, so that each list has the index that fits it.
    if filter.state != Some(InvoiceState::AwaitingApproval) {
        let mut frozen = format!("select {FROZEN} from invoices where true");
        if filter.state.is_some() {
            frozen += " and state = $1";
        }
        if filter.order_number.is_some() {
            frozen += " and order_number = $2";
        }
        if filter.dispatch.is_some() {
            frozen += " and dispatch = $3";
        }
        if filter.after.is_some() {
            frozen += " and id < $4";
        }
        lists.push(format!("select * from ({frozen} order by id desc limit $5) as frozen"));
    }
    let may_be_drafts = matches!(filter.state, None | Some(InvoiceState::AwaitingApproval));
    if may_be_drafts && filter.dispatch.is_none() {
        let mut drafts = format!("select {DRAFT} from orders where invoice_id is not null");
        if filter.order_number.is_some() {
            drafts += " and orders.number = $2";
        }
        if filter.after.is_some() {
            drafts += " and invoice_id < $4";
        }
        lists.push(format!("select * from ({drafts} order by invoice_id desc limit $5) as drafts"));
    }
    if lists.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("{} order by id desc limit $5", lists.join(" union all "));
    let rows = query::<B>(AssertSqlSafe(sql))
        .bind(filter.state.map(|state| state.as_str().to_owned()))
        .bind(filter.order_number)
        .bind(filter.dispatch.map(|dispatch| dispatch.as_str().to_owned()))
        .bind(filter.after.as_deref().map(storable))
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

/// All invoices of these orders, newest first.
pub(super) async fn of_orders<B: Backend>(
    conn: &mut B::Connection,
    orders: &[i64],
) -> Result<Vec<Invoice>> {
    let batch = Batch::new().int("of_order", orders.iter().copied());
    let batched = batch.table::<B>(1);
    // SQLite reads a cross join from left to right; for PostgreSQL it is a join like any other.
    let sql = format!(
        "select {FROZEN} from {batched} cross join invoices where order_number = of_order
         union all
         select {DRAFT} from {batched} cross join orders
         where orders.number = of_order and invoice_id is not null
         order by id desc"
    );
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    rows.iter().map(read).collect()
}

/// How many invoices are in each state, those without any included.
pub(super) async fn count_by_state<B: Backend>(
    conn: &mut B::Connection,
) -> Result<Vec<(InvoiceState, i64)>> {
    let rows = query::<B>(
        "select state, count(*) as invoices from invoices group by state
         union all
         select 'awaiting_approval', count(*) from orders where invoice_id is not null",
    )
    .fetch_all(conn)
    .await?;
    let mut counts = HashMap::new();
    for row in &rows {
        counts.insert(state(row)?, row.get("invoices")?);
    }
    let count = |state| (state, counts.get(&state).copied().unwrap_or(0));
    Ok(InvoiceState::ALL.map(count).to_vec())
}

/// The invoice of a row with [`COLUMNS`] or [`FROZEN`].
pub(super) fn read<B: Backend>(row: &Row<B>) -> Result<Invoice> {
    if let Some(document) = row.get::<Option<String>>("document")? {
        let (id, version) = (row.get("id")?, row.get("version")?);
        let (created_at, replaces) = (row.get("created_at")?, row.get("replaces")?);
        return Ok(drafts::invoice(json::read(&document)?, id, version, created_at, replaces));
    }
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
        closed_at: row.get::<Option<i64>>("closed_at")?.map(Timestamp::from_micros),
        replaces: row.get("replaces")?,
        credit_note_number: row.get("credit_note_number")?,
        dispatch: dispatch(row)?,
        order_was_lost: row.get("order_was_lost")?,
    })
}

fn state<B: Backend>(row: &Row<B>) -> Result<InvoiceState> {
    let word: String = row.get("state")?;
    InvoiceState::parse(&word)
        .ok_or_else(|| Error::Damaged(format!("{word:?} is no state of an invoice")))
}

fn dispatch<B: Backend>(row: &Row<B>) -> Result<Option<DispatchState>> {
    let word: Option<String> = row.get("dispatch")?;
    let unknown = |word| Error::Damaged(format!("{word:?} is no state of a dispatch"));
    word.map(|word| DispatchState::parse(&word).ok_or_else(|| unknown(word))).transpose()
}
