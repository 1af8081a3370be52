//! The feed: its pages, and how it is doing.

use std::time::Duration;

use contract::feed::{ContinuationToken, FeedStatus, SequenceNr};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Result, Row, query};

use super::document::{LINE_COLUMNS, LineDocument, ORDER_COLUMNS, PageWriter};
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
    let waiting =
        "select count(*) as unstamped from feed_positions where unstamped_since is not null";
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
    let oldest = "select unstamped_since from feed_positions where unstamped_since is not null \
        order by unstamped_since limit 1";
    let row = query::<B>(oldest).fetch_optional(conn).await?;
    row.map(|row| Ok(Timestamp::from_micros(row.get("unstamped_since")?))).transpose()
}

/// The page after `token`, of a provider in this `role`. `conn` must read one snapshot, by index:
/// rows and lines of different moments would be an order that never was, and the counter of a later
/// moment than the rows would skip those stamped in between.
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
            let page = PageWriter::new(identity, last, max_bytes).finish(token, false)?;
            return Ok(FeedAnswer::Page(page));
        }
        verdict => return Ok(FeedAnswer::Refused { identity, verdict }),
    };
    let mut page = PageWriter::new(identity.clone(), last, max_bytes);
    let has_more = fill::<B>(conn, &mut page, after, limit).await?;
    let token = ContinuationToken {
        feed_id: identity.feed_id,
        epoch: identity.epoch,
        sequence_nr: page.last().unwrap_or(after),
    };
    Ok(FeedAnswer::Page(page.finish(token, has_more)?))
}

/// Adds the orders behind `after`, as many as `limit` and the page allow, but at least one; whether
/// there are more behind them.
async fn fill<B: Backend>(
    conn: &mut B::Connection,
    page: &mut PageWriter,
    mut after: SequenceNr,
    limit: i64,
) -> Result<bool> {
    let limit = usize::try_from(limit).unwrap_or(0);
    loop {
        let room = limit - page.orders();
        // One more than there is room for tells whether there is more.
        let asked = ROWS_AT_ONCE.min(room + 1);
        let rows = rows_after::<B>(conn, after, asked).await?;
        let fitting = &rows[..room.min(rows.len())];
        if !add::<B>(conn, page, fitting).await? || fitting.len() < rows.len() {
            return Ok(true);
        }
        match page.last() {
            Some(last) if rows.len() == asked => after = last,
            _ => return Ok(false),
        }
    }
}

/// The first `count` orders behind `after`, without their lines. A change that waits for its number is
/// read under the one before.
///
/// There is an order to each place. The join is an outer one all the same, so that the planner cannot
/// begin with the orders: it reads the next places and looks up the order of each.
async fn rows_after<B: Backend>(
    conn: &mut B::Connection,
    after: SequenceNr,
    count: usize,
) -> Result<Vec<Row<B>>> {
    let sql = format!(
        "select {ORDER_COLUMNS} from feed_positions p left join orders o on o.number = p.number \
         where p.feed_sequence_nr > $1 order by p.feed_sequence_nr limit $2"
    );
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    query::<B>(AssertSqlSafe(sql)).bind(after.0).bind(count).fetch_all(conn).await
}

/// Adds the orders in these rows with their lines; `false` when not all of them fit.
async fn add<B: Backend>(
    conn: &mut B::Connection,
    page: &mut PageWriter,
    mut rows: &[Row<B>],
) -> Result<bool> {
    while !rows.is_empty() {
        let (chunk, numbers) = orders::next_chunk(&mut rows, number_and_line_count)?;
        let lines = orders::lines::<B>(conn, LINE_COLUMNS, numbers).await?;
        let lines = LineDocument::read_all(&lines)?;
        for row in chunk {
            if !page.add(row, &lines)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Of a row of [`ORDER_COLUMNS`].
fn number_and_line_count<B: Backend>(row: &Row<B>) -> Result<(i64, i64)> {
    let mut columns = row.columns();
    Ok((columns.take()?, columns.take()?))
}
