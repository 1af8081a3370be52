//! The local copy of ordering's orders.

use std::collections::HashMap;

use contract::feed::{Epoch, SequenceNr};
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Error, Result, Row, query};
use kit::random::Random;

use super::{Fit, StoredOrder, json};

/// What [`read`] needs.
pub(super) const COLUMNS: &str = "confirmed_sequence_nr, document, missing_at_source, missing_since, \
    kept_at, epoch, revision, received_at";

/// The revision of an order that was inserted just now.
pub(super) const INSERTED: i64 = 1;

/// What was stored.
#[derive(Default)]
pub(super) struct Upserted {
    /// The orders that were newer than what was stored, by number; none when all of them were inserted,
    /// because nothing has to follow them.
    pub(super) stored: HashMap<i64, Stored>,
    /// Whether any order may be in quarantine.
    pub(super) any_aside: bool,
}

/// An order that was stored just now.
pub(super) struct Stored {
    /// [`INSERTED`], or more.
    pub(super) revision: i64,
    /// Whether an invoice of it awaits approval: made or computed anew by the very statement that has
    /// stored it.
    pub(super) has_draft: bool,
}

/// From so many orders on, those that are all new are inserted. With fewer, a page is short: see
/// [`super::at_once`].
pub(super) const MANY: usize = 100;

/// Stores those orders that are newer by `(epoch, version)` than what is stored, and locks the
/// rows of all.
///
/// A new order gets its draft, unless it is deleted. A changed order that has one computes it anew;
/// what comes again as it was, because a new epoch reads everything again, leaves it untouched. An
/// order that had none gets none here: that is for [`super::follow`] to say.
///
/// A tombstone is not stored over a draft, which would be lost: see [`super::apply`].
pub(super) async fn upsert<B: Backend>(
    conn: &mut B::Connection,
    epoch: Epoch,
    orders: &[&Fit],
    random: &Random,
    at: Timestamp,
) -> Result<Upserted> {
    if orders.is_empty() {
        return Ok(Upserted { any_aside: true, ..Upserted::default() });
    }
    let batch = batch(orders, random, at);
    let sql = format!(
        "{} returning number, revision, invoice_id is not null as has_draft, \
           exists (select 1 from quarantine) as any_aside",
        upsertion(&batch.stream::<B>(3), "true")
    );
    let upsert = query::<B>(AssertSqlSafe(sql)).bind(epoch.0).bind(at.micros());
    let rows = upsert.bind_batch(batch).fetch_all(conn).await?;
    let mut upserted = Upserted { any_aside: rows.is_empty(), ..Upserted::default() };
    upserted.stored.reserve(rows.len());
    for row in &rows {
        let mut columns = row.columns();
        let (number, revision) = (columns.take()?, columns.take()?);
        let stored = Stored { revision, has_draft: columns.take()? };
        upserted.stored.insert(number, stored);
        upserted.any_aside = columns.take()?;
    }
    Ok(upserted)
}

/// Stores orders that are all new, with their drafts, without looking for each whether it is here, and
/// without an answer for each, which takes three quarters of the time that [`upsert`] takes. `false`:
/// another transaction has stored one of them meanwhile. This one is then of no more use; the next one
/// finds it.
pub(super) async fn insert<B: Backend>(
    conn: &mut B::Connection,
    epoch: Epoch,
    orders: &[&Fit],
    random: &Random,
    at: Timestamp,
) -> Result<bool> {
    let batch = batch(orders, random, at);
    let sql = insertion(&batch.stream::<B>(3), "true");
    let insert = query::<B>(AssertSqlSafe(sql)).bind(epoch.0).bind(at.micros());
    match insert.bind_batch(batch).execute_exactly(orders.len() as u64, conn).await {
        Ok(()) => Ok(true),
        Err(Error::Duplicate(error)) => {
            tracing::debug!(error = kit::telemetry::chain(&error), "an order was stored meanwhile");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The rows to be written, but for what is the same in all of them.
///
/// By rising number, so that two transactions lock shared rows in the same order: a batch is read as it
/// stands. Sorting in the statement, documents and all, took a fifth of its time.
pub(super) fn batch<'v>(orders: &[&'v Fit], random: &Random, at: Timestamp) -> Batch<'v> {
    let mut orders: Vec<_> = orders.iter().copied().zip(new_ids(orders, random, at)).collect();
    orders.sort_unstable_by_key(|(order, _)| order.number);
    let (orders, ids): (Vec<_>, Vec<_>) = orders.into_iter().unzip();
    // Twice in one, an order would be a duplicate of itself, however often it is tried.
    debug_assert!(orders.is_sorted_by(|one, next| one.number < next.number), "an order twice");
    Batch::new()
        .int("number", orders.iter().map(|order| order.number))
        .int("version", orders.iter().map(|order| order.version))
        .text("state", orders.iter().map(|order| order.state.as_str()))
        .int("sequence_nr", orders.iter().map(|order| order.confirmed_sequence_nr.0))
        .text("document", orders.iter().map(|order| &*order.document))
        .text("invoice_id", ids)
}

/// The statement that writes the rows of `table`, a batch, as new ones, if `condition` holds, of the epoch
/// $1, received at $2. A deleted order comes without an id of an invoice.
fn insertion(table: &str, condition: &str) -> String {
    format!(
        "insert into orders (number, epoch, version, state, confirmed_sequence_nr, document,
                             revision, missing_at_source, received_at, invoice_id, invoice_version,
                             invoice_created_at, invoice_computed_at)
         select number, $1, version, state, sequence_nr, document, {INSERTED}, false, $2, invoice_id,
                case when invoice_id is not null then 1 end,
                case when invoice_id is not null then $2 end,
                case when invoice_id is not null then $2 end
         from {table} where {condition}"
    )
}

/// The same, but for orders that are here already: those that are newer replace what is stored.
pub(super) fn upsertion(table: &str, condition: &str) -> String {
    format!("{} {ON_CONFLICT}", insertion(table, condition))
}

/// What becomes of an order that is here already. Everything that its invoice says, and its own version,
/// is in the document; another history may give the same version to another content.
const ON_CONFLICT: &str = "on conflict (number) do update set
        epoch = excluded.epoch,
        version = excluded.version,
        state = excluded.state,
        confirmed_sequence_nr = excluded.confirmed_sequence_nr,
        document = excluded.document,
        revision = orders.revision + 1,
        missing_at_source = false,
        missing_since = null,
        kept_at = null,
        received_at = excluded.received_at,
        invoice_version = case
            when excluded.document = orders.document then orders.invoice_version
            else orders.invoice_version + 1 end,
        invoice_computed_at = case
            when orders.invoice_id is null then null
            when excluded.document = orders.document then orders.invoice_computed_at
            else excluded.invoice_computed_at end
    where (excluded.epoch, excluded.version) > (orders.epoch, orders.version)
      and (excluded.invoice_id is not null or orders.invoice_id is null)";

/// An id for the invoice of each order received, should it need one: UUIDs version 7. Lists show the
/// newest first, by id: of one answer, those are the last in the feed. `None` for deleted orders.
fn new_ids(orders: &[&Fit], random: &Random, at: Timestamp) -> Vec<Option<String>> {
    let live = orders.iter().filter(|order| !order.is_deleted());
    let mut ids: Vec<_> = live.map(|_| random.uuid(at)).collect();
    ids.sort_unstable();
    let mut ids = ids.into_iter();
    orders.iter().map(|order| if order.is_deleted() { None } else { ids.next() }).collect()
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
    let order = read_document(row)?;
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

/// The order of a row with `document` and `confirmed_sequence_nr`: the document is without its place.
pub(super) fn read_document<B: Backend>(row: &Row<B>) -> Result<Order> {
    let order: Order = json::read(&row.get::<String>("document")?)?;
    let place = SequenceNr(row.get("confirmed_sequence_nr")?);
    Ok(Order { confirmed_sequence_nr: place, ..order })
}
