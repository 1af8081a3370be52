//! Approving invoices.

use std::ops::RangeInclusive;

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Result, query};
use kit::http::etag::IfMatch;

use super::drafts::{self, Draft};
use super::sql::storable;
use super::{AfterApproval, Approval, dispatches, invoices, numbers, quarantine};
use crate::dispatch::DispatchState;
use crate::invoice::{Invoice, InvoiceState, Series};

/// Approves an invoice that awaits approval: its draft is frozen.
///
/// The number is taken while the order is locked and nothing can go wrong any more but the database
/// itself; a rollback gives it back.
pub(super) async fn approve<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
    expected: Option<&IfMatch>,
    then: AfterApproval,
    at: Timestamp,
) -> Result<Approval> {
    let sql = format!(
        "select {}, missing_at_source and kept_at is null as is_undecided,
                exists (select 1 from quarantine
                        where quarantine.number = orders.number and {}) as quarantined
         from orders where invoice_id = $1{}",
        drafts::COLUMNS,
        quarantine::in_force(),
        B::FOR_UPDATE
    );
    let row = query::<B>(AssertSqlSafe(sql)).bind(storable(id)).fetch_optional(&mut *conn).await?;
    // Frozen, or not there. What is frozen never becomes a draft again.
    let Some(row) = row else { return approve_again::<B>(conn, id, expected).await };
    let draft = drafts::read(&row)?;
    // What cannot succeed in any version comes before the version (RFC 9110, section 13.2.1).
    if row.get("is_undecided")? {
        return Ok(Approval::MissingAtSource(Box::new(draft.invoice)));
    }
    if row.get("quarantined")? {
        return Ok(Approval::Quarantined(Box::new(draft.invoice)));
    }
    let version = draft.invoice.version;
    if is_unexpected(expected, version..=version) {
        return Ok(Approval::VersionConflict(Box::new(draft.invoice)));
    }
    let number = numbers::take::<B>(conn, Series::Invoice, at.year(), 1).await?.next();
    let approved = Invoice {
        version: version + 1,
        state: InvoiceState::Approved,
        number,
        approved_at: Some(at),
        dispatch: (then == AfterApproval::Dispatch).then_some(DispatchState::Pending),
        ..draft.invoice
    };
    drafts::freeze::<B>(conn, &[Draft { invoice: approved.clone(), ..draft }]).await?;
    if then == AfterApproval::Dispatch {
        dispatches::insert::<B>(conn, &approved, at).await?;
    }
    Ok(Approval::Approved(Box::new(approved)))
}

/// Says how it stands with an invoice that is no draft: approving it once more changes nothing.
async fn approve_again<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
    expected: Option<&IfMatch>,
) -> Result<Approval> {
    let sql = format!(
        "select {}, approved_version from invoices where id = $1{}",
        invoices::FROZEN,
        B::FOR_UPDATE
    );
    let row = query::<B>(AssertSqlSafe(sql)).bind(storable(id)).fetch_optional(&mut *conn).await?;
    let Some(row) = row else { return Ok(Approval::NotFound) };
    let invoice = invoices::read(&row)?;
    if invoice.state != InvoiceState::Approved {
        let replacement = replacement::<B>(conn, &invoice).await?.map(Box::new);
        return Ok(Approval::Closed { invoice: Box::new(invoice), replacement });
    }
    // An approved invoice changes only with its dispatch: a repeated approval names any version from
    // the one that it approved on. That is not known of an invoice that a process of an earlier version
    // approved, and nothing has changed since.
    let approved = row.get::<Option<i64>>("approved_version")?.unwrap_or(invoice.version);
    if is_unexpected(expected, approved - 1..=invoice.version) {
        return Ok(Approval::VersionConflict(Box::new(invoice)));
    }
    Ok(Approval::Approved(Box::new(invoice)))
}

/// Whether something else is expected than any of these versions.
fn is_unexpected(expected: Option<&IfMatch>, mut versions: RangeInclusive<i64>) -> bool {
    expected.is_some_and(|expected| !versions.any(|version| expected.allows(version)))
}

/// The invoice that replaces `credited`.
async fn replacement<B: Backend>(
    conn: &mut B::Connection,
    credited: &Invoice,
) -> Result<Option<Invoice>> {
    let sql = format!(
        "select {} from all_invoices where order_number = $1 and replaces = $2",
        invoices::COLUMNS
    );
    let row = query::<B>(AssertSqlSafe(sql))
        .bind(credited.order_number)
        .bind(credited.id.clone())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(invoices::read).transpose()
}
