//! Ending invoices: withdrawn, credited, expired.

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Result, query};
use kit::random::Random;

use super::numbers;
use crate::invoice::{InvoiceState, Series};

/// Ends locked invoices, each by its id: withdraws or expires them, or credits them under the next
/// numbers of the year.
pub(super) async fn close<B: Backend>(
    conn: &mut B::Connection,
    invoices: &[(&str, InvoiceState)],
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
        .text("id", invoices.iter().map(|(id, _)| (*id).to_owned()))
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

/// Expires invoices that await approval and were computed before `before`; how many.
///
/// They are found by their ids, which tell when they were made: none was computed earlier.
///
/// It waits for nobody: an invoice that another transaction holds is about to be approved,
/// withdrawn, computed anew or expired, and is looked at again next time. So it can never be part
/// of a deadlock, in whatever order it takes its rows. PostgreSQL checks the conditions on each row
/// as it is once it is locked.
pub(super) async fn expire<B: Backend>(
    conn: &mut B::Connection,
    before: Timestamp,
    limit: i64,
    at: Timestamp,
) -> Result<i64> {
    let sql = format!(
        "select id from invoices
         where state = 'awaiting_approval' and id < $3 and computed_at < $1
         order by id limit $2{}",
        B::SKIP_LOCKED
    );
    let rows = query::<B>(AssertSqlSafe(sql))
        .bind(before.micros())
        .bind(limit)
        .bind(Random::uuid_behind(before))
        .fetch_all(conn)
        .await?;
    let ids: Vec<String> = rows.iter().map(|row| row.get("id")).collect::<Result<_>>()?;
    let expired: Vec<_> = ids.iter().map(|id| (id.as_str(), InvoiceState::Expired)).collect();
    close::<B>(conn, &expired, at).await?;
    Ok(i64::try_from(expired.len()).unwrap_or(i64::MAX))
}
