//! Orders in quarantine: those that could not be taken in.
//!
//! Which of two answers about an order is newer is told by `(epoch, version)`, as everywhere. Where a
//! version cannot be read, the place in the feed has to do: it rises with every change, and what was
//! stamped always comes through the feed, so that the last word is a comparison of places.
//!
//! A page and a pulled order may bring the same order at the same moment, the one to put it aside and
//! the other to take it in, and neither sees what the other has not committed. So an entry counts only
//! while no copy is at least as new: every reader asks for that, and nothing has to be locked.

use contract::feed::Epoch;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Result, Row, query};

use super::{Quarantined, Received};

/// About how many characters of documents one list holds: an order may take as much as a page.
const MAX_LISTED: i64 = 8 * 1024 * 1024;

/// The condition that a row of `quarantine` counts.
pub(super) fn in_force() -> String {
    format!("not {}", has_copy("quarantine", "quarantine.epoch"))
}

/// The condition that the local copy is at least as new as a row of `table`, which is of `epoch`.
fn has_copy(table: &str, epoch: &str) -> String {
    format!(
        "exists (
             select 1 from orders
             where orders.number = {table}.number
               and (orders.epoch > {epoch}
                    or orders.epoch = {epoch} and case
                        when {table}.version is not null then orders.version >= {table}.version
                        else {table}.sequence_nr > 0
                             and orders.confirmed_sequence_nr >= {table}.sequence_nr end))"
    )
}

/// The condition that a row of `newer`, which is of `epoch`, is at least as new as the row of
/// `quarantine` of the same order.
fn replaces(newer: &str, epoch: &str) -> String {
    format!(
        "({epoch} > quarantine.epoch
          or {epoch} = quarantine.epoch and case
              when {newer}.version is not null and quarantine.version is not null
              then {newer}.version >= quarantine.version
              else {newer}.sequence_nr >= quarantine.sequence_nr end)"
    )
}

/// Puts the unfit orders of an answer aside, unless something newer is here. How many are aside now
/// as this answer has them; one that was so before keeps the time since when.
pub(super) async fn put_aside<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    at: Timestamp,
) -> Result<i64> {
    let unfit = &received.unfit;
    if unfit.is_empty() {
        return Ok(0);
    }
    let batch = Batch::new()
        .int("number", unfit.iter().map(|order| order.number))
        .int("version", unfit.iter().map(|order| order.version))
        .int("sequence_nr", unfit.iter().map(|order| order.sequence_nr.0))
        .text("reason", unfit.iter().map(|order| &*order.reason))
        .text("document", unfit.iter().map(|order| &*order.document));
    let sql = format!(
        "insert into quarantine (number, epoch, version, sequence_nr, reason, document, since)
         select number, $1, version, sequence_nr, reason, document, $2 from {}
         where not {} order by number
         on conflict (number) do update set
             epoch = excluded.epoch,
             version = excluded.version,
             sequence_nr = excluded.sequence_nr,
             reason = excluded.reason,
             document = excluded.document
         where {}
         returning number",
        batch.table::<B>(3),
        has_copy("batch", "$1"),
        replaces("excluded", "excluded.epoch"),
    );
    let rows = query::<B>(AssertSqlSafe(sql))
        .bind(received.identity.epoch.0)
        .bind(at.micros())
        .bind_batch(batch)
        .fetch_all(conn)
        .await?;
    Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX))
}

/// Lets those out that came again, as new or newer, and fit.
pub(super) async fn release<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
) -> Result<()> {
    let orders = &received.orders;
    if orders.is_empty() {
        return Ok(());
    }
    let batch = Batch::new()
        .int("number", orders.iter().map(|order| order.number))
        .int("version", orders.iter().map(|order| order.version))
        .int("sequence_nr", orders.iter().map(|order| order.confirmed_sequence_nr.0));
    // SQLite reads a cross join from left to right: the answer is read once, not once an entry.
    let sql = format!(
        "delete from quarantine where number in (
             select quarantine.number from {} cross join quarantine
             where quarantine.number = batch.number and {})",
        batch.table::<B>(2),
        replaces("batch", "$1"),
    );
    query::<B>(AssertSqlSafe(sql))
        .bind(received.identity.epoch.0)
        .bind_batch(batch)
        .execute(conn)
        .await?;
    Ok(())
}

/// Lets an order out that `epoch` does not know any more, when an older one put it aside.
pub(super) async fn release_gone<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
    epoch: Epoch,
) -> Result<bool> {
    let released = query::<B>("delete from quarantine where number = $1 and epoch < $2")
        .bind(number)
        .bind(epoch.0)
        .execute(conn)
        .await?;
    Ok(released > 0)
}

/// Lets any feed decide anew, as [`super::orders::forget_epochs`] does, before that does it: what
/// counts goes on to count beside the copies, whose epoch becomes −1, and no longer than until the
/// order arrives.
pub(super) async fn forget_epochs<B: Backend>(conn: &mut B::Connection) -> Result<()> {
    let outdated = format!("delete from quarantine where not {}", in_force());
    query::<B>(AssertSqlSafe(outdated)).execute(conn).await?;
    query::<B>("update quarantine set epoch = 0").execute(conn).await?;
    Ok(())
}

/// The order with this number, when it is in quarantine.
pub(super) async fn get<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
) -> Result<Option<Quarantined>> {
    let sql = format!(
        "select number, reason, document, since from quarantine where number = $1 and {}",
        in_force()
    );
    let row = query::<B>(AssertSqlSafe(sql)).bind(number).fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// How many orders are in quarantine.
pub(super) async fn count<B: Backend>(conn: &mut B::Connection) -> Result<i64> {
    let sql = format!("select count(*) as orders from quarantine where {}", in_force());
    query::<B>(AssertSqlSafe(sql)).fetch_one(conn).await?.get("orders")
}

/// Orders in quarantine by rising number from behind `after`, at most `limit`, and fewer when their
/// documents are large; whether there are more behind them.
pub(super) async fn list<B: Backend>(
    conn: &mut B::Connection,
    after: Option<i64>,
    limit: i64,
) -> Result<(Vec<Quarantined>, bool)> {
    let sql = format!(
        "select number, reason, document, since, found from (
             select number, reason, document, since, count(*) over () as found,
                    row_number() over (order by number) as place,
                    sum(length(document)) over (order by number) - length(document) as before
             from (select number, reason, document, since from quarantine
                   where number > $1 and {} order by number limit $2) as listed
         ) as listed
         where place < $2 and before < {MAX_LISTED} order by number",
        in_force()
    );
    let rows = query::<B>(AssertSqlSafe(sql))
        .bind(after.unwrap_or(0))
        .bind(limit.saturating_add(1))
        .fetch_all(conn)
        .await?;
    let found: i64 = rows.first().map_or(Ok(0), |row| row.get("found"))?;
    let listed = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    let more = usize::try_from(found).is_ok_and(|found| found > listed.len());
    Ok((listed, more))
}

fn read<B: Backend>(row: &Row<B>) -> Result<Quarantined> {
    Ok(Quarantined {
        number: row.get("number")?,
        reason: row.get("reason")?,
        document: row.get("document")?,
        since: Timestamp::from_micros(row.get("since")?),
    })
}
