//! The feed: who provides it, its pages, and how it is doing.

use std::time::Duration;

use contract::feed::{
    ContinuationToken, Epoch, FeedId, FeedIdentity, FeedPage, FeedStatus, SequenceNr,
};
use contract::order::{Line, Order};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Error, Result, Row, query};

use super::{FeedAnswer, orders};
use crate::feed::{Verdict, judge};

/// How many orders are read with one statement: a page of 1,000, the one behind it that tells whether
/// there is more, and not a page of 5,000 before its size is looked at.
const ROWS_AT_ONCE: usize = 1_001;
/// How many lines are read with one statement: few pages need a second one, and a page of orders
/// with 2,000 lines each is not read into memory whole before its size is looked at.
const LINES_AT_ONCE: i64 = 20_000;

/// The one row of `feed_state`.
pub(super) struct FeedState {
    /// Which provider this is, and its current history.
    pub(super) identity: FeedIdentity,
    /// The newest number given.
    pub(super) last: SequenceNr,
    /// When the sequencer last looked; `None` when it never has.
    pub(super) last_tick_at: Option<Timestamp>,
}

/// Gives a new database its identity; one that has its own keeps it.
pub(super) async fn mint<B: Backend>(
    conn: &mut B::Connection,
    identity: &FeedIdentity,
) -> Result<()> {
    let insert = query::<B>(
        "insert into feed_state (id, feed_id, epoch, last_sequence_nr) values (1, $1, $2, 0) \
         on conflict (id) do nothing",
    );
    let insert = insert.bind(identity.feed_id.to_string()).bind(identity.epoch.0);
    insert.execute(conn).await?;
    Ok(())
}

/// The state as this statement or snapshot sees it.
pub(super) async fn state<B: Backend>(conn: &mut B::Connection) -> Result<FeedState> {
    select_state::<B>(conn, "").await
}

/// The state, locked until the transaction ends: nobody else numbers orders or begins an epoch.
pub(super) async fn lock_state<B: Backend>(conn: &mut B::Connection) -> Result<FeedState> {
    select_state::<B>(conn, B::FOR_UPDATE).await
}

async fn select_state<B: Backend>(conn: &mut B::Connection, lock: &str) -> Result<FeedState> {
    let sql = format!("select * from feed_state where id = 1{lock}");
    let row = query::<B>(AssertSqlSafe(sql)).fetch_one(conn).await?;
    let feed_id: String = row.get("feed_id")?;
    let damaged = |_| Error::Damaged(format!("{feed_id:?} is no feed id"));
    Ok(FeedState {
        identity: FeedIdentity {
            feed_id: feed_id.parse::<FeedId>().map_err(damaged)?,
            epoch: Epoch(row.get("epoch")?),
        },
        last: SequenceNr(row.get("last_sequence_nr")?),
        last_tick_at: row.get::<Option<i64>>("last_tick_at")?.map(Timestamp::from_micros),
    })
}

/// Begins the epoch after `replaced`; changes nothing when that is not the current one any more.
pub(super) async fn begin_epoch<B: Backend>(
    conn: &mut B::Connection,
    replaced: Epoch,
    at: Timestamp,
) -> Result<FeedIdentity> {
    let mut identity = lock_state::<B>(conn).await?.identity;
    if identity.epoch == replaced {
        identity.epoch = replaced.next(at);
        query::<B>("update feed_state set epoch = $1 where id = 1")
            .bind(identity.epoch.0)
            .execute_exactly(1, conn)
            .await?;
    }
    Ok(identity)
}

/// How the feed is doing; `conn` reads one snapshot.
pub(super) async fn status<B: Backend>(
    conn: &mut B::Connection,
    now: Timestamp,
) -> Result<FeedStatus> {
    let state = state::<B>(conn).await?;
    let waiting = query::<B>(
        "select count(*) as unstamped, min(unstamped_since) as oldest from orders \
         where unstamped_since is not null",
    );
    let row = waiting.fetch_one(conn).await?;
    let oldest = row.get::<Option<i64>>("oldest")?.map(Timestamp::from_micros);
    Ok(FeedStatus {
        feed_id: state.identity.feed_id,
        epoch: state.identity.epoch,
        last_sequence_nr: state.last,
        unstamped: row.get("unstamped")?,
        oldest_unstamped_seconds: oldest
            .map(|oldest| now.since(oldest))
            .as_ref()
            .map(Duration::as_secs_f64),
        last_tick_at: state.last_tick_at,
    })
}

/// The page after `token`. `conn` must read one snapshot: rows and lines of different moments
/// would be an order that never was, and the counter of a later moment than the rows would skip
/// those stamped in between.
pub(super) async fn page<B: Backend>(
    conn: &mut B::Connection,
    token: Option<&ContinuationToken>,
    limit: i64,
    max_bytes: usize,
) -> Result<FeedAnswer> {
    let FeedState { identity, last, .. } = state::<B>(conn).await?;
    let after = match judge(token, &identity, last) {
        Verdict::Continue(after) => after,
        verdict => return Ok(FeedAnswer::Refused { identity, verdict }),
    };
    let (orders, has_more) = orders_after::<B>(conn, after, limit, max_bytes).await?;
    let sequence_nr = orders.last().map_or(after, |order| order.confirmed_sequence_nr);
    Ok(FeedAnswer::Page(FeedPage {
        continuation_token: ContinuationToken {
            feed_id: identity.feed_id.clone(),
            epoch: identity.epoch,
            sequence_nr,
        },
        feed_id: identity.feed_id,
        epoch: identity.epoch,
        orders,
        has_more,
        last_sequence_nr: last,
    }))
}

/// The orders behind `after`, as many as `limit` and `max_bytes` allow, but at least one, and whether
/// there are more behind them.
async fn orders_after<B: Backend>(
    conn: &mut B::Connection,
    mut after: SequenceNr,
    limit: i64,
    max_bytes: usize,
) -> Result<(Vec<Order>, bool)> {
    let limit = usize::try_from(limit).unwrap_or(0);
    let mut page = Page { orders: Vec::new(), bytes: 0, max_bytes };
    loop {
        let room = limit - page.orders.len();
        // One more than there is room for tells whether there is more.
        let asked = ROWS_AT_ONCE.min(room + 1);
        let rows = rows_after::<B>(conn, after, asked).await?;
        let fitting = &rows[..room.min(rows.len())];
        if !page.add::<B>(conn, fitting).await? || fitting.len() < rows.len() {
            return Ok((page.orders, true));
        }
        match page.orders.last() {
            Some(last) if rows.len() == asked => after = last.confirmed_sequence_nr,
            _ => return Ok((page.orders, false)),
        }
    }
}

/// The first `count` orders behind `after`, without their lines.
async fn rows_after<B: Backend>(
    conn: &mut B::Connection,
    after: SequenceNr,
    count: usize,
) -> Result<Vec<Row<B>>> {
    // The second condition is the index's own: without it the planner does not know that the index
    // holds all that is asked for.
    let sql = format!(
        "{} where o.confirmed_sequence_nr > $1 and o.confirmed_sequence_nr > 0 \
         order by o.confirmed_sequence_nr limit $2",
        orders::SELECT
    );
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    query::<B>(AssertSqlSafe(sql)).bind(after.0).bind(count).fetch_all(conn).await
}

/// A page while it is filled.
struct Page {
    orders: Vec<Order>,
    bytes: usize,
    max_bytes: usize,
}

impl Page {
    /// Adds the orders in these rows with their lines; `false` when not all of them fit.
    async fn add<B: Backend>(
        &mut self,
        conn: &mut B::Connection,
        mut rows: &[Row<B>],
    ) -> Result<bool> {
        while !rows.is_empty() {
            let (chunk, rest) = rows.split_at(chunk_len(rows)?);
            rows = rest;
            let mut orders = chunk.iter().map(orders::read).collect::<Result<Vec<_>>>()?;
            orders::add_lines::<B>(conn, &mut orders).await?;
            for order in orders {
                self.bytes += estimated_bytes(&order);
                if self.bytes > self.max_bytes && !self.orders.is_empty() {
                    return Ok(false);
                }
                self.orders.push(order);
            }
        }
        Ok(true)
    }
}

/// How many of the rows, at least one, have no more than [`LINES_AT_ONCE`] lines together.
fn chunk_len<B: Backend>(rows: &[Row<B>]) -> Result<usize> {
    let mut lines = 0;
    for (place, row) in rows.iter().enumerate() {
        lines += row.get::<i64>("line_count")?;
        if lines > LINES_AT_ONCE {
            return Ok(place.max(1));
        }
    }
    Ok(rows.len())
}

/// About how many bytes the order's document takes: its texts, and what JSON puts around them.
fn estimated_bytes(order: &Order) -> usize {
    const ORDER: usize = 440;
    const LINE: usize = 96;
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let line = |line: &Line| LINE + line.sku.len() + optional(&line.description);
    let customer = &order.customer;
    let address = customer.address.as_ref().map_or(0, |address| {
        let parts = [&address.line1, &address.line2, &address.postal_code, &address.city];
        parts.into_iter().map(optional).sum()
    });
    ORDER
        + customer.name.len()
        + customer.email.len()
        + address
        + optional(&order.reference)
        + optional(&order.note)
        + order.lines.iter().map(line).sum::<usize>()
}
