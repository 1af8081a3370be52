//! The local copies as a comparison with ordering reads them: by rising number and in chunks, or by
//! number. Each statement is a snapshot of its own, so nobody waits for a comparison.

use std::ops::RangeInclusive;

use contract::feed::Epoch;
use contract::order::{Order, OrderState};
use kit::db::{AssertSqlSafe, Backend, Batch, Result, Row, query};

use super::{OrderCopy, RowVersion, orders};

/// What [`read`] needs.
const COLUMNS: &str = "orders.number, epoch, version, revision, state, missing_at_source, document, \
    confirmed_sequence_nr";

/// Copies with these numbers, by rising number, at most `limit`.
pub(super) async fn within<B: Backend>(
    conn: &mut B::Connection,
    numbers: RangeInclusive<i64>,
    limit: i64,
) -> Result<Vec<OrderCopy>> {
    let sql = format!(
        "select {COLUMNS} from orders where number between $1 and $2 order by number limit $3"
    );
    let rows = query::<B>(AssertSqlSafe(sql))
        .bind(*numbers.start())
        .bind(*numbers.end())
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

/// Copies with these numbers, in any order.
pub(super) async fn of<B: Backend>(
    conn: &mut B::Connection,
    numbers: &[i64],
) -> Result<Vec<OrderCopy>> {
    let batch = Batch::new().int("wanted", numbers.iter().copied());
    // SQLite reads a cross join from left to right: the orders by their key.
    let sql = format!(
        "select {COLUMNS} from {} cross join orders where orders.number = wanted",
        batch.table::<B>(1)
    );
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    rows.iter().map(read).collect()
}

/// The highest number of any copy; `None` when there is none.
pub(super) async fn last_number<B: Backend>(conn: &mut B::Connection) -> Result<Option<i64>> {
    query::<B>("select max(number) as last from orders").fetch_one(conn).await?.get("last")
}

/// Lets any answer of the adopted history replace this row, if it is still exactly as it was seen;
/// whether it is. Locks it.
pub(super) async fn give_up<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
    seen: RowVersion,
) -> Result<bool> {
    // Every epoch is greater than −1.
    let given_up = query::<B>(
        "update orders set epoch = -1
         where number = $1 and epoch = $2 and version = $3 and revision = $4",
    )
    .bind(number)
    .bind(seen.epoch.0)
    .bind(seen.version)
    .bind(seen.revision)
    .execute(conn)
    .await?;
    Ok(given_up == 1)
}

fn read<B: Backend>(row: &Row<B>) -> Result<OrderCopy> {
    let number = row.get("number")?;
    let version = row.get("version")?;
    let state: String = row.get("state")?;
    let order = orders::read_document(row).ok();
    let is_tombstone = state == OrderState::Deleted.as_str();
    Ok(OrderCopy {
        number,
        row: RowVersion {
            epoch: Epoch(row.get("epoch")?),
            version,
            revision: row.get("revision")?,
        },
        missing_at_source: row.get("missing_at_source")?,
        deleted: is_tombstone && order.as_ref().is_some_and(Order::is_deleted),
        order: order.filter(|order| {
            order.number == number && order.version == version && order.state.as_str() == state
        }),
    })
}
