//! Invoices: lists, lookups and approving.

use std::collections::HashMap;

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Error, Result, Row, query};
use kit::http::etag::IfMatch;

use super::sql::storable;
use super::{Approval, InvoiceFilter, json, numbers};
use crate::invoice::{Invoice, InvoiceState, Series};

/// What [`read`] needs.
pub(super) const COLUMNS: &str = "id, version, number, order_number, order_version, state, customer, currency, \
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
    let meant = allows(invoice.version) || (approved && allows(invoice.version - 1));
    if !meant {
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

/// The invoice of a row with [`COLUMNS`].
pub(super) fn read<B: Backend>(row: &Row<B>) -> Result<Invoice> {
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
