//! Crediting approved invoices.

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Result, query};

use super::numbers;
use crate::invoice::Series;

/// Credits locked invoices, each by its id, under the next numbers of the year.
pub(super) async fn credit<B: Backend>(
    conn: &mut B::Connection,
    invoices: &[&str],
    at: Timestamp,
) -> Result<()> {
    if invoices.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(invoices.len()).unwrap_or(i64::MAX);
    let mut numbers = numbers::take::<B>(conn, Series::CreditNote, at.year(), count).await?;
    let batch = Batch::new()
        .text("id", invoices.iter().copied())
        .text("credit_note_number", invoices.iter().map(|_| numbers.next()));
    let sql = format!(
        "update invoices set
             version = invoices.version + 1,
             state = 'credited',
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
