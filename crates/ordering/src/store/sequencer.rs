//! The sequencer's transactions.
//!
//! A number must be given only to a change that is committed, numbers must become visible in
//! their order, and none may be given twice. So each transaction first locks the counter row and
//! reads the counter under that lock; then it stamps what it sees committed; and it holds the lock
//! until it commits. A second sequencer waits there, and reads the counter that the first has left.
//!
//! Before it stamps it sees whether the database still is in the history that the epoch names. If
//! not, the new epoch begins in the same transaction: no number of the new history is ever visible
//! under the old epoch.

use std::sync::atomic::{AtomicI64, Ordering};

use contract::feed::SequenceNr;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Db, Result, query};

use super::{Stamped, epochs};

/// An order that a writer holds is passed over and comes next time, unless it has waited for two
/// seconds: one that is held whenever the sequencer looks would be passed over for ever.
const OVERDUE_MICROS: i64 = 2_000_000;

/// For how many overdue orders one call waits: each takes a transaction of its own, which holds the
/// counter meanwhile.
const PATIENCE: i64 = 2;

/// Which overdue order was waited for last. The next call goes on behind it, by number and round
/// again: a few orders that one long transaction holds must not keep the others from being waited
/// for.
#[derive(Debug, Default)]
pub(super) struct Turn(AtomicI64);

/// Gives up to `limit` waiting orders their numbers, those waiting longest first; then, when
/// nothing else is left, waits shortly for a few that are overdue.
pub(super) async fn stamp<B: Backend>(
    db: &Db<B>,
    turn: &Turn,
    limit: i64,
    at: Timestamp,
) -> Result<Stamped> {
    let (mut stamped, overdue) = stamp_free(db, turn, limit, at).await?;
    for number in overdue {
        turn.0.store(number, Ordering::Relaxed);
        let late = stamp_held(db, number, at).await?;
        stamped = Stamped {
            count: stamped.count + late.count,
            last: late.last,
            begun: stamped.begun.or(late.begun),
        };
    }
    Ok(stamped)
}

/// Stamps orders that no writer holds. Beside it: orders that are left although they are overdue.
async fn stamp_free<B: Backend>(
    db: &Db<B>,
    turn: &Turn,
    limit: i64,
    at: Timestamp,
) -> Result<(Stamped, Vec<i64>)> {
    let mut tx = db.begin().await?;
    let (state, begun) = epochs::lock_current::<B>(&mut tx, at).await?;
    let pick = "unstamped_since is not null order by unstamped_since, number limit $2";
    let pick = format!("{pick}{}", B::SKIP_LOCKED);
    let (count, last) = number_picked::<B>(&mut tx, &pick, limit, state.last).await?;
    save_counter::<B>(&mut tx, last, at).await?;
    let overdue = if count < limit {
        // Whoever waits since a moment that is yet to come was written before the clock was put
        // back, and has waited nobody knows how long.
        let left = query::<B>(
            "select number from orders where unstamped_since < $1 or unstamped_since > $2 \
             order by case when number > $3 then 0 else 1 end, number limit $4",
        );
        let left = left.bind(at.micros() - OVERDUE_MICROS).bind(at.micros() + OVERDUE_MICROS);
        let left = left.bind(turn.0.load(Ordering::Relaxed)).bind(PATIENCE);
        let rows = left.fetch_all(&mut tx).await?;
        rows.iter().map(|row| row.get("number")).collect::<Result<_>>()?
    } else {
        Vec::new()
    };
    tx.commit().await?;
    Ok((Stamped { count, last, begun }, overdue))
}

/// Waits shortly for the writer that holds this order, then stamps what it has committed.
///
/// This cannot deadlock: while it waits it holds the counter and nothing else, and no writer of an
/// order ever waits for the counter. Nor does it keep a second sequencer for long: the database
/// ends the wait.
async fn stamp_held<B: Backend>(db: &Db<B>, number: i64, at: Timestamp) -> Result<Stamped> {
    let mut tx = db.begin().await?;
    let (state, begun) = epochs::lock_current::<B>(&mut tx, at).await?;
    query::<B>(B::LIMIT_LOCK_WAITS).execute(&mut tx).await?;
    let pick = format!("unstamped_since is not null and number = $2{}", B::FOR_UPDATE);
    match number_picked::<B>(&mut tx, &pick, number, state.last).await {
        Ok((count, last)) => {
            save_counter::<B>(&mut tx, last, at).await?;
            tx.commit().await?;
            Ok(Stamped { count, last, begun })
        }
        Err(error) if error.is_lock_timeout() => {
            tx.rollback().await?;
            Ok(Stamped { count: 0, last: state.last, begun: None })
        }
        Err(error) => Err(error),
    }
}

/// Gives the orders that `pick` selects, and locks, the numbers after `last`, with one statement: how
/// many, and the newest number now. `pick` takes `parameter` as $2.
async fn number_picked<B: Backend>(
    conn: &mut B::Connection,
    pick: &str,
    parameter: i64,
    last: SequenceNr,
) -> Result<(i64, SequenceNr)> {
    let sql = format!(
        "with picked as (select number, unstamped_since from orders where {pick}), \
         numbered as (select number, \
           $1 + row_number() over (order by unstamped_since, number) as sequence_nr from picked) \
         update orders set confirmed_sequence_nr = numbered.sequence_nr, \
           feed_sequence_nr = numbered.sequence_nr, unstamped_since = null \
         from numbered where orders.number = numbered.number"
    );
    let update = query::<B>(AssertSqlSafe(sql)).bind(last.0).bind(parameter);
    let count = i64::try_from(update.execute(conn).await?).unwrap_or(i64::MAX);
    Ok((count, SequenceNr(last.0 + count)))
}

async fn save_counter<B: Backend>(
    conn: &mut B::Connection,
    last: SequenceNr,
    at: Timestamp,
) -> Result<()> {
    query::<B>("update feed_state set last_sequence_nr = $1, last_tick_at = $2 where id = 1")
        .bind(last.0)
        .bind(at.micros())
        .execute_exactly(1, conn)
        .await
}
