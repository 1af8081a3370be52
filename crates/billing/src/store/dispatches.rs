//! Dispatches: the tasks that hand approved invoices over, and how their attempts end.
//!
//! Whatever changes how a dispatch stands locks the invoice first: `invoices.dispatch` and the
//! version change in one transaction with the task. No transaction is open while another system is
//! asked: an attempt is claimed in one and recorded in another, and what keeps others away in
//! between is its lease.

use std::time::Duration;

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Error, Result, Row, query};
use kit::http::etag::IfMatch;

use super::sql::storable;
use super::{InvoiceDetail, Redispatch, invoices, json};
use crate::dispatch::{Attempt, Backlog, DispatchDetail, DispatchState, Ending, body};
use crate::invoice::Invoice;

/// Writes the task of an invoice that is approved in this transaction.
pub(super) async fn insert<B: Backend>(
    conn: &mut B::Connection,
    invoice: &Invoice,
    at: Timestamp,
) -> Result<()> {
    query::<B>(
        "insert into dispatches (invoice_id, payload, attempts, failures, next_attempt_at)
         values ($1, $2, 0, 0, $3)",
    )
    .bind(invoice.id.clone())
    .bind(body(invoice, at))
    .bind(at.micros())
    .execute_exactly(1, conn)
    .await
}

/// Begins the attempt that is due longest, `None` when none is: nobody else begins another one of
/// its invoice for as long as `lease`.
pub(super) async fn claim<B: Backend>(
    conn: &mut B::Connection,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<Attempt>> {
    // Compared with `=`, so that PostgreSQL runs the inner query once: as `in (…)` it may be run
    // for every row, and lock another task each time.
    let sql = format!(
        "update dispatches set attempts = attempts + 1, leased_until = $2
         where invoice_id = (
             select invoice_id from dispatches
             where next_attempt_at <= $1 and (leased_until is null or leased_until <= $1)
             order by next_attempt_at, invoice_id limit 1{}
         )
         returning invoice_id, attempts, failures, payload, leased_until",
        B::SKIP_LOCKED
    );
    let row = query::<B>(AssertSqlSafe(sql))
        .bind(now.micros())
        .bind((now + lease).micros())
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Attempt {
        invoice_id: row.get("invoice_id")?,
        number: row.get("attempts")?,
        failures: row.get("failures")?,
        payload: row.get("payload")?,
        leased_until: Timestamp::from_micros(row.get("leased_until")?),
    }))
}

/// Keeps how an attempt ended; `false`, and nothing is changed, when it is not the last one, or has
/// ended already.
pub(super) async fn record<B: Backend>(
    conn: &mut B::Connection,
    attempt: &Attempt,
    ending: &Ending,
    at: Timestamp,
) -> Result<bool> {
    if invoices::lock::<B>(conn, &attempt.invoice_id).await?.is_none() {
        return Ok(false);
    }
    let (state, fault, next_attempt_at) = match ending {
        Ending::Delivered => (DispatchState::Delivered, None, None),
        Ending::TryAgain { fault, next_attempt_at } => {
            (DispatchState::Pending, Some(fault), Some(next_attempt_at.micros()))
        }
        Ending::Failed { fault } => (DispatchState::Failed, Some(fault), None),
    };
    let recorded = query::<B>(
        "update dispatches set
             failures = failures + $1,
             next_attempt_at = $2,
             leased_until = null,
             fault = $3,
             delivered_at = $4
         where invoice_id = $5 and attempts = $6 and leased_until is not null",
    )
    .bind(i64::from(fault.is_some()))
    .bind(next_attempt_at)
    .bind(fault.map(json::write))
    .bind((state == DispatchState::Delivered).then_some(at.micros()))
    .bind(attempt.invoice_id.clone())
    .bind(attempt.number)
    .execute(conn)
    .await?;
    if recorded == 0 {
        return Ok(false);
    }
    set_state::<B>(conn, &attempt.invoice_id, state).await?;
    Ok(true)
}

/// Lets a dispatch that has failed begin anew, now.
pub(super) async fn redispatch<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
    expected: Option<&IfMatch>,
    at: Timestamp,
) -> Result<Redispatch> {
    let Some(invoice) = invoices::lock::<B>(conn, id).await? else {
        // A draft has no dispatch.
        let draft = invoices::get::<B>(conn, id).await?;
        return Ok(
            draft.map_or(Redispatch::NotFound, |draft| Redispatch::WrongState(draft.dispatch))
        );
    };
    // Before the version, which counts only where the wish could be granted at all (RFC 9110,
    // section 13.2.1).
    if invoice.dispatch != Some(DispatchState::Failed) {
        return Ok(Redispatch::WrongState(invoice.dispatch));
    }
    if expected.is_some_and(|expected| !expected.allows(invoice.version)) {
        return Ok(Redispatch::VersionConflict(invoice.version));
    }
    query::<B>("update dispatches set failures = 0, next_attempt_at = $1 where invoice_id = $2")
        .bind(at.micros())
        .bind(invoice.id.clone())
        .execute_exactly(1, conn)
        .await?;
    set_state::<B>(conn, &invoice.id, DispatchState::Pending).await?;
    let detail = detail::<B>(conn, id).await?;
    let detail = detail.ok_or_else(|| Error::Damaged("the invoice is gone".to_owned()))?;
    Ok(Redispatch::Pending(Box::new(detail)))
}

async fn set_state<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
    state: DispatchState,
) -> Result<()> {
    query::<B>("update invoices set dispatch = $1, version = version + 1 where id = $2")
        .bind(state.as_str().to_owned())
        .bind(id.to_owned())
        .execute_exactly(1, conn)
        .await
}

/// The invoice with this id and how its dispatch went so far.
pub(super) async fn detail<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
) -> Result<Option<InvoiceDetail>> {
    // One statement, so that all of it is of one version.
    let sql = format!(
        "select {}, computed_at, failures, next_attempt_at, fault, delivered_at
         from all_invoices left join dispatches on invoice_id = id where id = $1",
        invoices::COLUMNS
    );
    let row = query::<B>(AssertSqlSafe(sql)).bind(storable(id)).fetch_optional(conn).await?;
    let Some(row) = row else { return Ok(None) };
    let invoice = invoices::read(&row)?;
    let dispatch_detail = read(&row)?;
    let computed_at = row.get::<Option<i64>>("computed_at")?.map(Timestamp::from_micros);
    Ok(Some(InvoiceDetail { invoice, dispatch_detail, computed_at }))
}

/// What is known of a dispatch; `None` when there is none.
fn read<B: Backend>(row: &Row<B>) -> Result<Option<DispatchDetail>> {
    let Some(failures) = row.get("failures")? else { return Ok(None) };
    let time = |name| Ok::<_, Error>(row.get::<Option<i64>>(name)?.map(Timestamp::from_micros));
    let fault: Option<String> = row.get("fault")?;
    Ok(Some(DispatchDetail {
        failures,
        next_attempt_at: time("next_attempt_at")?,
        fault: fault.as_deref().map(json::read).transpose()?,
        delivered_at: time("delivered_at")?,
    }))
}

/// What there is still to do.
pub(super) async fn backlog<B: Backend>(conn: &mut B::Connection) -> Result<Backlog> {
    let rows = query::<B>(
        "select dispatch, count(*) as invoices, min(approved_at) as oldest from invoices
         where dispatch in ('pending', 'failed') group by dispatch",
    )
    .fetch_all(conn)
    .await?;
    let mut backlog = Backlog::default();
    for row in &rows {
        match row.get::<String>("dispatch")?.as_str() {
            "pending" => {
                backlog.pending = row.get("invoices")?;
                backlog.oldest = row.get::<Option<i64>>("oldest")?.map(Timestamp::from_micros);
            }
            _ => backlog.failed = row.get("invoices")?,
        }
    }
    Ok(backlog)
}
