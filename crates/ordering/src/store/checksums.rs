//! Checksums of what the feed publishes, by ranges of order numbers.
//!
//! One scan over the orders, a chunk at a time: how many there are decides how long it takes, not
//! how much memory.

use contract::checksum::{ChecksumPage, RangeChecksum, Summer, first_of};
use kit::db::{AssertSqlSafe, Backend, Result, Row, query};

use super::{ChecksumQuery, epochs, orders};

/// An answer ends at the border of a range after so many orders: then it takes about a second.
const MAX_ORDERS: i64 = 20_000;
/// … or after so many ranges.
const MAX_RANGES: usize = 5_000;
/// How many orders are read with one statement.
const ROWS_AT_ONCE: usize = 1_000;

/// The checksums of the ranges that `query` asks for, from its beginning on. `conn` reads one
/// snapshot.
pub(super) async fn page<B: Backend>(
    conn: &mut B::Connection,
    query: &ChecksumQuery,
) -> Result<ChecksumPage> {
    let identity = epochs::state::<B>(conn).await?.identity;
    let (ranges, next) = ranges::<B>(conn, query).await?;
    Ok(ChecksumPage { feed_id: identity.feed_id, epoch: identity.epoch, ranges, next })
}

async fn ranges<B: Backend>(
    conn: &mut B::Connection,
    query: &ChecksumQuery,
) -> Result<(Vec<RangeChecksum>, Option<i64>)> {
    let mut summer = Summer::new(query.width);
    let mut ranges = Vec::new();
    let mut orders = 0;
    let mut from = query.from;
    loop {
        let rows = exposed::<B>(conn, from, query.through).await?;
        let mut rest = &rows[..];
        while !rest.is_empty() {
            for order in orders::take_chunk(conn, &mut rest).await? {
                from = order.number.saturating_add(1);
                let complete = summer.add(&order);
                orders += complete.as_ref().map_or(0, |range| range.orders);
                ranges.extend(complete);
                if orders >= MAX_ORDERS || ranges.len() >= MAX_RANGES {
                    return Ok((ranges, Some(first_of(order.number, query.width))));
                }
            }
        }
        if rows.len() < ROWS_AT_ONCE {
            ranges.extend(summer.finish());
            return Ok((ranges, None));
        }
    }
}

/// The next exposed orders by rising number, without their lines.
async fn exposed<B: Backend>(
    conn: &mut B::Connection,
    from: i64,
    through: i64,
) -> Result<Vec<Row<B>>> {
    let sql = format!(
        "{} where o.number >= $1 and o.number <= $2 and o.confirmed_at is not null \
         order by o.number limit {ROWS_AT_ONCE}",
        orders::SELECT
    );
    query::<B>(AssertSqlSafe(sql)).bind(from).bind(through).fetch_all(conn).await
}
