//! The local copy of ordering's orders.

use std::collections::HashMap;

use contract::feed::Epoch;
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Result, Row, query};

use super::{Received, StoredOrder, json};

/// What [`read`] needs.
pub(super) const COLUMNS: &str =
    "document, missing_at_source, missing_since, kept_at, epoch, revision, received_at";

/// The revision of an order that was inserted just now.
pub(super) const INSERTED: i64 = 1;

/// Stores those orders that are newer by `(epoch, version)` than what is stored, and locks the
/// rows of all. The revision of each one stored, by number.
pub(super) async fn upsert<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    at: Timestamp,
) -> Result<HashMap<i64, i64>> {
    if received.orders.is_empty() {
        return Ok(HashMap::new());
    }
    // By rising number, so that two transactions lock shared rows in the same order: a batch is read as
    // it stands. Sorting in the statement, documents and all, took a fifth of its time.
    let mut orders: Vec<_> = received.orders.iter().collect();
    orders.sort_unstable_by_key(|order| order.number);
    let batch = Batch::new()
        .int("number", orders.iter().map(|order| order.number))
        .int("version", orders.iter().map(|order| order.version))
        .text("state", orders.iter().map(|order| order.state.as_str().to_owned()))
        .int("sequence_nr", orders.iter().map(|order| order.confirmed_sequence_nr.0))
        .text("document", orders.iter().map(|order| json::order(order)));
    let sql = format!(
        "insert into orders (number, epoch, version, state, confirmed_sequence_nr, document,
                             revision, missing_at_source, received_at)
         select number, $1, version, state, sequence_nr, document, {INSERTED}, false, $2
         from {} where true
         on conflict (number) do update set
             epoch = excluded.epoch,
             version = excluded.version,
             state = excluded.state,
             confirmed_sequence_nr = excluded.confirmed_sequence_nr,
             document = excluded.document,
             revision = orders.revision + 1,
             missing_at_source = false,
             missing_since = null,
             kept_at = null,
             received_at = excluded.received_at
         where (excluded.epoch, excluded.version) > (orders.epoch, orders.version)
         returning number, revision",
        batch.table::<B>(3)
    );
    let rows = query::<B>(AssertSqlSafe(sql))
        .bind(received.identity.epoch.0)
        .bind(at.micros())
        .bind_batch(batch)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((row.get("number")?, row.get("revision")?))).collect()
}

/// Locks every order there is, by rising number.
pub(super) async fn lock_all<B: Backend>(conn: &mut B::Connection) -> Result<()> {
    let sql = format!(
        "select count(*) from (select number from orders order by number{}) as locked",
        B::FOR_UPDATE
    );
    query::<B>(AssertSqlSafe(sql)).fetch_one(conn).await?;
    Ok(())
}

/// Lets the orders of any other feed replace what is stored: epochs of two feeds cannot be
/// compared, and every one is greater than −1.
pub(super) async fn forget_epochs<B: Backend>(conn: &mut B::Connection) -> Result<()> {
    query::<B>("update orders set epoch = -1").execute(conn).await?;
    Ok(())
}

/// The order with this number.
pub(super) async fn get<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
) -> Result<Option<StoredOrder>> {
    let sql = format!("select {COLUMNS} from orders where number = $1");
    let row = query::<B>(AssertSqlSafe(sql)).bind(number).fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// Orders by rising number from behind `after`; only those that are missing at the source or only
/// the others, when `is_missing` says which.
pub(super) async fn list<B: Backend>(
    conn: &mut B::Connection,
    is_missing: Option<bool>,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<StoredOrder>> {
    // Written out, so that those that are missing are found by their own index.
    let condition = match is_missing {
        None => "",
        Some(true) => " and missing_at_source",
        Some(false) => " and not missing_at_source",
    };
    let sql = format!(
        "select {COLUMNS} from orders where number > $1{condition} order by number limit $2"
    );
    let rows = query::<B>(AssertSqlSafe(sql))
        .bind(after.unwrap_or(i64::MIN))
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

/// The order of a row with [`COLUMNS`].
pub(super) fn read<B: Backend>(row: &Row<B>) -> Result<StoredOrder> {
    let order: Order = json::read(&row.get::<String>("document")?)?;
    Ok(StoredOrder {
        deleted: order.is_deleted(),
        order,
        missing_at_source: row.get("missing_at_source")?,
        missing_since: row.get::<Option<i64>>("missing_since")?.map(Timestamp::from_micros),
        kept_at: row.get::<Option<i64>>("kept_at")?.map(Timestamp::from_micros),
        epoch: Epoch(row.get("epoch")?),
        revision: row.get("revision")?,
        received_at: Timestamp::from_micros(row.get("received_at")?),
    })
}
