//! The feed: its pages, and how it is doing.

use std::time::Duration;

use contract::feed::{ContinuationToken, FeedIdentity, FeedPage, FeedStatus, SequenceNr};
use contract::order::{Line, Order};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Result, Row, query};

use super::epochs::{self, FeedState};
use super::{FeedAnswer, orders};
use crate::feed::{Role, Verdict, judge};

/// How many orders are read with one statement: a page of 1,000, the one behind it that tells whether
/// there is more, and not a page of 5,000 before its size is looked at.
const ROWS_AT_ONCE: usize = 1_001;

/// How the feed is doing; `conn` reads one snapshot.
pub(super) async fn status<B: Backend>(
    conn: &mut B::Connection,
    now: Timestamp,
) -> Result<FeedStatus> {
    let state = epochs::state::<B>(conn).await?;
    let oldest = unstamped_since::<B>(conn).await?;
    let waiting = "select count(*) as unstamped from orders where unstamped_since is not null";
    let row = query::<B>(waiting).fetch_one(conn).await?;
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

/// Since when the change waits that has waited longest; `None` when none waits.
pub(super) async fn unstamped_since<B: Backend>(
    conn: &mut B::Connection,
) -> Result<Option<Timestamp>> {
    let oldest =
        "select min(unstamped_since) as oldest from orders where unstamped_since is not null";
    let row = query::<B>(oldest).fetch_one(conn).await?;
    Ok(row.get::<Option<i64>>("oldest")?.map(Timestamp::from_micros))
}

/// The page after `token`, of a provider in this `role`. `conn` must read one snapshot: rows and lines
/// of different moments would be an order that never was, and the counter of a later moment than the
/// rows would skip those stamped in between.
pub(super) async fn page<B: Backend>(
    conn: &mut B::Connection,
    role: Role,
    token: Option<&ContinuationToken>,
    limit: i64,
    max_bytes: usize,
) -> Result<FeedAnswer> {
    let FeedState { identity, last, .. } = epochs::state::<B>(conn).await?;
    let after = match judge(token, &identity, last, role) {
        Verdict::Continue(after) => after,
        Verdict::Lagging(token) => {
            return Ok(FeedAnswer::Page(page_of(identity, token, Vec::new(), false, last)));
        }
        verdict => return Ok(FeedAnswer::Refused { identity, verdict }),
    };
    let (orders, has_more) = orders_after::<B>(conn, after, limit, max_bytes).await?;
    let token = ContinuationToken {
        feed_id: identity.feed_id.clone(),
        epoch: identity.epoch,
        sequence_nr: orders.last().map_or(after, |order| order.confirmed_sequence_nr),
    };
    Ok(FeedAnswer::Page(page_of(identity, token, orders, has_more, last)))
}

fn page_of(
    identity: FeedIdentity,
    continuation_token: ContinuationToken,
    orders: Vec<Order>,
    has_more: bool,
    last_sequence_nr: SequenceNr,
) -> FeedPage {
    let FeedIdentity { feed_id, epoch } = identity;
    FeedPage { feed_id, epoch, orders, continuation_token, has_more, last_sequence_nr }
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
    let sql = format!(
        "{} where o.feed_sequence_nr > $1 order by o.feed_sequence_nr limit $2",
        // A change that waits for its number is read under the one before.
        orders::select_with("o.feed_sequence_nr")
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
            for order in orders::take_chunk(conn, &mut rows).await? {
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
