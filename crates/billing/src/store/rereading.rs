//! What is left of a re-read: the orders that the adopted epoch has not brought yet.
//!
//! It is derived from the data alone: an order is unseen while it is stored under an older epoch
//! than the adopted one and not marked as missing; one that is not stored, while an older epoch has
//! put it aside. So no crash can lose the duty, and an answer of an older epoch that is taken in late
//! is found like any other.

use contract::feed::Epoch;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Result, query};

use super::quarantine;

/// An order that must be seen again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unseen {
    /// The epoch under which it is stored.
    pub epoch: Epoch,
    /// Its number.
    pub number: i64,
}

/// How what is stored stands to what ordering has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AtSource {
    /// How many orders ordering has lost.
    pub missing: i64,
    /// How many of them have an invoice that waits for somebody to decide.
    pub undecided: i64,
    /// How far the re-read has come; `None` when every order was seen or is missing.
    pub reread: Option<Reread>,
}

/// How far a re-read has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reread {
    /// The epoch that is read.
    pub epoch: Epoch,
    /// Since when it is adopted; `None` when that is not known.
    pub since: Option<Timestamp>,
    /// How many orders it has brought so far.
    pub seen: i64,
    /// How many orders that older epochs left must still be seen.
    pub unseen: i64,
}

/// The condition for it; its first two parts are those of its index. What the adopted epoch has
/// brought and could not be taken in was seen: it is in quarantine.
const UNSEEN: &str = "not missing_at_source
     and orders.epoch < (select epoch from pull_state where id = 1)
     and not exists (
         select 1 from quarantine
         where quarantine.number = orders.number
           and quarantine.epoch >= (select epoch from pull_state where id = 1))";

/// The condition that a row of `quarantine` must be seen again and no copy of its order: an older
/// epoch put it aside, and there is no copy, or one that is marked as missing.
fn unseen_aside() -> String {
    format!(
        "quarantine.epoch < (select epoch from pull_state where id = 1)
         and {}
         and not exists (
             select 1 from orders
             where orders.number = quarantine.number and not missing_at_source)",
        quarantine::in_force()
    )
}

/// How many orders ordering has lost, and how far the re-read has come.
pub(super) async fn at_source<B: Backend>(conn: &mut B::Connection) -> Result<AtSource> {
    let sql = format!(
        "select epoch as adopted, adopted_at,
                (select count(*) from orders where missing_at_source) as missing,
                (select count(*) from orders
                 where missing_at_source and kept_at is null and invoice_id is not null)
                    as undecided,
                (select count(*) from orders where {UNSEEN})
                + (select count(*) from quarantine where {}) as unseen
         from pull_state where id = 1",
        unseen_aside()
    );
    let row = query::<B>(AssertSqlSafe(sql)).fetch_one(&mut *conn).await?;
    let (missing, undecided) = (row.get("missing")?, row.get("undecided")?);
    let unseen = row.get("unseen")?;
    let Some(epoch) = row.get::<Option<i64>>("adopted")?.filter(|_| unseen > 0) else {
        return Ok(AtSource { missing, undecided, reread: None });
    };
    // Only now, because it goes through all orders.
    let seen = query::<B>(
        "select count(*) as seen from orders where not missing_at_source and epoch >= $1",
    )
    .bind(epoch)
    .fetch_one(conn)
    .await?
    .get("seen")?;
    let since = row.get::<Option<i64>>("adopted_at")?.map(Timestamp::from_micros);
    let reread = Some(Reread { epoch: Epoch(epoch), since, seen, unseen });
    Ok(AtSource { missing, undecided, reread })
}

/// Orders that must be seen again, by rising `(epoch, number)` from behind `after`.
pub(super) async fn unseen<B: Backend>(
    conn: &mut B::Connection,
    after: Option<Unseen>,
    limit: i64,
) -> Result<Vec<Unseen>> {
    let sql = format!(
        "select epoch, number from orders
         where {UNSEEN} and (epoch, number) > ($1, $2)
         union all
         select epoch, number from quarantine
         where {} and (epoch, number) > ($1, $2)
         order by epoch, number limit $3",
        unseen_aside()
    );
    let rows = query::<B>(AssertSqlSafe(sql))
        .bind(after.map_or(i64::MIN, |last| last.epoch.0))
        .bind(after.map_or(i64::MIN, |last| last.number))
        .bind(limit)
        .fetch_all(conn)
        .await?;
    let read = |row: &kit::db::Row<B>| {
        Ok(Unseen { epoch: Epoch(row.get("epoch")?), number: row.get("number")? })
    };
    rows.iter().map(read).collect()
}
