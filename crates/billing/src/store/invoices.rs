//! Invoices: lists, lookups and approving.

use std::collections::HashMap;

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Error, Result, Row, query};
use kit::http::etag::IfMatch;

use super::sql::storable;
use super::{AfterApproval, Approval, InvoiceFilter, dispatches, json, numbers, quarantine};
use crate::dispatch::DispatchState;
use crate::invoice::{Invoice, InvoiceState, Series};

/// What [`read`] needs.
pub(super) const COLUMNS: &str = "id, version, number, order_number, order_version, state, customer, currency, \
    net_minor, tax_minor, total_minor, lines, created_at, approved_at, closed_at, \
    replaces, credit_note_number, dispatch, order_was_lost";

/// The invoice with this id.
pub(super) async fn get<B: Backend>(conn: &mut B::Connection, id: &str) -> Result<Option<Invoice>> {
    find::<B>(conn, id, "").await
}

/// The invoice with this id; `lock` ends the statement.
pub(super) async fn find<B: Backend>(
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
    if filter.dispatch.is_some() {
        sql += " and dispatch = $3";
    }
    if filter.after.is_some() {
        sql += " and id < $4";
    }
    sql += " order by id desc limit $5";
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
    // SQLite reads a cross join from left to right; for PostgreSQL it is a join like any other.
    let sql = format!(
        "select {COLUMNS} from {} cross join invoices
         where order_number = of_order order by id desc",
        batch.table::<B>(1)
    );
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
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
    then: AfterApproval,
    at: Timestamp,
) -> Result<Approval> {
    let sql = format!(
        "select {COLUMNS}, approved_version,
                (select missing_at_source and kept_at is null from orders
                 where orders.number = order_number) as is_undecided,
                exists (select 1 from quarantine
                        where quarantine.number = order_number and {}) as quarantined
         from invoices where id = $1{}",
        quarantine::in_force(),
        B::FOR_UPDATE
    );
    let row = query::<B>(AssertSqlSafe(sql)).bind(storable(id)).fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(Approval::NotFound) };
    let invoice = read(&row)?;
    // What cannot succeed in any version comes before the version (RFC 9110, section 13.2.1).
    let seen = match invoice.state {
        InvoiceState::AwaitingApproval if row.get("is_undecided")? => {
            return Ok(Approval::MissingAtSource(Box::new(invoice)));
        }
        InvoiceState::AwaitingApproval if row.get("quarantined")? => {
            return Ok(Approval::Quarantined(Box::new(invoice)));
        }
        InvoiceState::AwaitingApproval => invoice.version,
        // An approved invoice changes only with its dispatch: a repeated approval names any version
        // from the one that it approved on. That is not known of an invoice that a process of an
        // earlier version approved, and nothing has changed since.
        InvoiceState::Approved => {
            row.get::<Option<i64>>("approved_version")?.unwrap_or(invoice.version) - 1
        }
        InvoiceState::Withdrawn | InvoiceState::Credited | InvoiceState::Expired => {
            let replacement = replacement::<B>(conn, &invoice).await?.map(Box::new);
            return Ok(Approval::Closed { invoice: Box::new(invoice), replacement });
        }
    };
    let mut versions = seen..=invoice.version;
    if expected.is_some_and(|expected| !versions.any(|version| expected.allows(version))) {
        return Ok(Approval::VersionConflict(Box::new(invoice)));
    }
    if invoice.state == InvoiceState::Approved {
        return Ok(Approval::Approved(Box::new(invoice)));
    }
    let number = numbers::take::<B>(conn, Series::Invoice, at.year(), 1).await?.next();
    let approved = Invoice {
        version: invoice.version + 1,
        state: InvoiceState::Approved,
        number,
        approved_at: Some(at),
        dispatch: (then == AfterApproval::Dispatch).then_some(DispatchState::Pending),
        ..invoice
    };
    query::<B>(
        "update invoices set version = $1, state = $2, number = $3, approved_at = $4,
                             approved_version = $1, dispatch = $5
         where id = $6",
    )
    .bind(approved.version)
    .bind(approved.state.as_str().to_owned())
    .bind(approved.number.clone())
    .bind(at.micros())
    .bind(approved.dispatch.map(|state| state.as_str().to_owned()))
    .bind(approved.id.clone())
    .execute_exactly(1, conn)
    .await?;
    if then == AfterApproval::Dispatch {
        dispatches::insert::<B>(conn, &approved, at).await?;
    }
    Ok(Approval::Approved(Box::new(approved)))
}

/// The invoice that replaces `credited`.
async fn replacement<B: Backend>(
    conn: &mut B::Connection,
    credited: &Invoice,
) -> Result<Option<Invoice>> {
    let sql = format!("select {COLUMNS} from invoices where order_number = $1 and replaces = $2");
    let row = query::<B>(AssertSqlSafe(sql))
        .bind(credited.order_number)
        .bind(credited.id.clone())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read).transpose()
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
