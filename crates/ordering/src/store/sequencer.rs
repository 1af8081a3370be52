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

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use contract::feed::SequenceNr;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Db, Result, query};

use super::{CHANNEL, Stamped, epochs};

/// An order that a writer holds is passed over and comes next time, unless it has waited for two
/// seconds: one that is held whenever the sequencer looks would be passed over for ever.
const OVERDUE_MICROS: i64 = 2_000_000;

/// For how many overdue orders one call waits: each takes a transaction of its own, which holds the
/// counter meanwhile.
const PATIENCE: i64 = 2;

/// What this process remembers from one call to the next.
#[derive(Debug)]
pub(super) struct Memory {
    /// Which overdue order was waited for last. The next call goes on behind it, by number and round
    /// again: a few orders that one long transaction holds must not keep the others from being waited
    /// for.
    turn: AtomicI64,
    /// When it looked last, in microseconds: not worth a write each time.
    looked: AtomicI64,
    /// Since when anything waits, as far as the last look could tell. Until PostgreSQL has cleaned up, the
    /// index leads to all that were stamped before, and between two looks nobody walks over them again.
    floor: AtomicI64,
    /// Whether this process has committed a change, or the last batch was full, so that more may wait.
    more: AtomicBool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            turn: AtomicI64::new(0),
            looked: AtomicI64::new(NEVER),
            floor: AtomicI64::new(NEVER),
            more: AtomicBool::new(false),
        }
    }
}

/// Before any look.
const NEVER: i64 = i64::MIN;

impl Memory {
    /// When this process looked last; `None` when it never has.
    pub(super) fn looked(&self) -> Option<Timestamp> {
        Some(self.looked.load(Ordering::Relaxed))
            .filter(|micros| *micros != NEVER)
            .map(Timestamp::from_micros)
    }

    /// Something waits: the next call need not look first.
    pub(super) fn expect_more(&self) {
        self.more.store(true, Ordering::Release);
    }

    /// Whether something is known to wait, so that no look is needed. One is needed now and then all the
    /// same, at least as often as orders become overdue: only a look finds these, and those that wait
    /// since before the floor, because they were committed long after they were changed.
    fn expects(&self, at: Timestamp) -> bool {
        let [earliest, latest] = in_time(at);
        self.more.swap(false, Ordering::Acquire)
            && (earliest..=latest).contains(&self.looked.load(Ordering::Relaxed))
    }

    /// Remembers a look at `at`, when the change that had waited longest was `oldest`. What is about to be
    /// committed may be a little older.
    fn note(&self, oldest: Option<i64>, at: Timestamp) {
        let [earliest, _] = in_time(at);
        self.floor.store(oldest.unwrap_or(earliest).min(earliest), Ordering::Relaxed);
        self.looked.store(at.micros(), Ordering::Relaxed);
    }
}

/// Gives up to `limit` waiting orders their numbers, those waiting longest first; then, when
/// nothing else is left, waits shortly for a few that are overdue. Nothing is written when nothing
/// waits, nor locked unless something was known to wait.
pub(super) async fn stamp<B: Backend>(
    db: &Db<B>,
    memory: &Memory,
    limit: i64,
    at: Timestamp,
) -> Result<Stamped> {
    if memory.expects(at) {
        let stamped = stamp_free(db, memory, limit, at).await?;
        if stamped.count > 0 || stamped.begun.is_some() {
            return Ok(stamped);
        }
    }
    let look = look::<B>(&mut *db.reader().await?, at).await?;
    memory.note(look.oldest, at);
    if look.oldest.is_none() && look.is_of_its_history {
        return Ok(Stamped { count: 0, last: look.last, begun: None });
    }
    let mut stamped = stamp_free(db, memory, limit, at).await?;
    if stamped.count >= limit || !look.is_any_overdue {
        return Ok(stamped);
    }
    for number in overdue(db, memory, at).await? {
        memory.turn.store(number, Ordering::Relaxed);
        let late = stamp_held(db, number, at).await?;
        stamped = Stamped {
            count: stamped.count + late.count,
            last: late.last,
            begun: stamped.begun.or(late.begun),
        };
    }
    Ok(stamped)
}

/// What one statement sees, without a lock.
struct Look {
    /// Since when the change waits that has waited longest; `None` when none waits.
    oldest: Option<i64>,
    /// Some order has waited for too long.
    is_any_overdue: bool,
    /// The history is the one that the epoch names.
    is_of_its_history: bool,
    /// The newest number given.
    last: SequenceNr,
}

/// Whether there is anything to do. What is committed a moment later comes with the next look.
///
/// The newest is looked for only when there is any: until PostgreSQL has cleaned up, the index still
/// leads to all that were stamped since the last time.
async fn look<B: Backend>(conn: &mut B::Connection, at: Timestamp) -> Result<Look> {
    let first = "select unstamped_since from feed_positions where unstamped_since is not null \
        order by unstamped_since";
    let sql = format!(
        "select state.*, waiting.unstamped_since as oldest, \
           case when waiting.unstamped_since is not null then ({first} desc limit 1) end as newest \
         from (select last_sequence_nr, coalesce(history = {}, false) as is_of_its_history \
             from feed_state where id = 1) as state \
           left join ({first} limit 1) as waiting on true",
        B::HISTORY
    );
    let row = query::<B>(AssertSqlSafe(sql)).fetch_one(conn).await?;
    let (oldest, newest) = (row.get::<Option<i64>>("oldest")?, row.get::<Option<i64>>("newest")?);
    let [earliest, latest] = in_time(at);
    Ok(Look {
        oldest,
        is_any_overdue: oldest.is_some_and(|oldest| oldest < earliest)
            || newest.is_some_and(|newest| newest > latest),
        is_of_its_history: row.get("is_of_its_history")?,
        last: SequenceNr(row.get("last_sequence_nr")?),
    })
}

/// Who waits since a moment outside of these is overdue at `at`. Whoever waits since a moment that is yet
/// to come was written before the clock was put back, and has waited nobody knows how long.
fn in_time(at: Timestamp) -> [i64; 2] {
    [at.micros() - OVERDUE_MICROS, at.micros() + OVERDUE_MICROS]
}

/// Stamps orders that no writer holds.
async fn stamp_free<B: Backend>(
    db: &Db<B>,
    memory: &Memory,
    limit: i64,
    at: Timestamp,
) -> Result<Stamped> {
    let parameters = [memory.floor.load(Ordering::Relaxed), limit];
    let stamped = if let Some(stamped) = stamp_at_once(db, parameters, at).await? {
        stamped
    } else {
        let mut tx = db.begin_by_index().await?;
        let (state, begun) = epochs::lock_current::<B>(&mut tx, at).await?;
        let last = number_picked::<B>(&mut tx, &free::<B>(), parameters, state.last, at).await?;
        tx.commit().await?;
        Stamped { count: last.0 - state.last.0, last, begun }
    };
    if stamped.count >= limit {
        memory.expect_more();
    }
    Ok(stamped)
}

/// Which places nobody holds, those waiting longest first: since $2, at most $3.
fn free<B: Backend>() -> String {
    format!("unstamped_since >= $2 order by unstamped_since, number limit $3{}", B::SKIP_LOCKED)
}

/// All of a transaction in one statement, and so in one round trip, where the database can do that; `None`
/// where it cannot, and when the history is not the one that the epoch names.
///
/// It may see an older state of the places than there is once the counter is locked. That is safe: what is
/// read of a locked row, of the counter as of a place, is the row as it is then, and one that was stamped
/// meanwhile is not picked any more.
async fn stamp_at_once<B: Backend>(
    db: &Db<B>,
    [since, limit]: [i64; 2],
    at: Timestamp,
) -> Result<Option<Stamped>> {
    if !B::WRITES_IN_WITH {
        return Ok(None);
    }
    let sql = format!(
        "with state as materialized ( \
           select last_sequence_nr, history = {} as is_of_its_history from feed_state where id = 1{}), \
         numbered as ( \
           select number, (select last_sequence_nr from state) + place as sequence_nr \
           from unnest(array( \
             select number from feed_positions \
             where (select is_of_its_history from state) and {} \
           )) with ordinality as picked (number, place)), \
         stamped as ({STAMP} returning feed_sequence_nr), \
         saved as ( \
           update feed_state set last_sequence_nr = given.newest, last_tick_at = $1 \
           from (select max(feed_sequence_nr) as newest from stamped) as given \
           where id = 1 and given.newest is not null{}, last_sequence_nr) \
         select state.last_sequence_nr as before, coalesce(is_of_its_history, false) as is_of_its_history, \
           coalesce(saved.last_sequence_nr, state.last_sequence_nr) as newest \
         from state left join saved on true",
        B::HISTORY,
        B::FOR_UPDATE,
        free::<B>(),
        B::telling(CHANNEL, "last_sequence_nr"),
    );
    let mut writer = db.writer_by_index().await?;
    let statement = query::<B>(AssertSqlSafe(sql)).bind(at.micros()).bind(since).bind(limit);
    let row = statement.fetch_one(&mut *writer).await?;
    let (before, newest): (i64, i64) = (row.get("before")?, row.get("newest")?);
    let stamped = Stamped { count: newest - before, last: SequenceNr(newest), begun: None };
    Ok(row.get::<bool>("is_of_its_history")?.then_some(stamped))
}

/// Whose turn it is of the orders that are overdue.
async fn overdue<B: Backend>(db: &Db<B>, memory: &Memory, at: Timestamp) -> Result<Vec<i64>> {
    let mut snapshot = db.snapshot_by_index().await?;
    let left = query::<B>(
        "select number from feed_positions where unstamped_since < $1 or unstamped_since > $2 \
         order by case when number > $3 then 0 else 1 end, number limit $4",
    );
    let [earliest, latest] = in_time(at);
    let left = left.bind(earliest).bind(latest);
    let left = left.bind(memory.turn.load(Ordering::Relaxed)).bind(PATIENCE);
    let rows = left.fetch_all(&mut snapshot).await?;
    rows.iter().map(|row| row.get("number")).collect()
}

/// Waits shortly for the writer that holds this order's place, then stamps what it has committed.
///
/// This cannot deadlock: while it waits it holds the counter and nothing else, and no writer of an
/// order ever waits for the counter. Nor does it keep a second sequencer for long: the database
/// ends the wait.
async fn stamp_held<B: Backend>(db: &Db<B>, number: i64, at: Timestamp) -> Result<Stamped> {
    let mut tx = db.begin_by_index().await?;
    let (state, begun) = epochs::lock_current::<B>(&mut tx, at).await?;
    query::<B>(B::LIMIT_LOCK_WAITS).execute(&mut tx).await?;
    let pick = format!("unstamped_since >= $2 and number = $3{}", B::FOR_UPDATE);
    match number_picked::<B>(&mut tx, &pick, [NEVER, number], state.last, at).await {
        Ok(last) => {
            tx.commit().await?;
            Ok(Stamped { count: last.0 - state.last.0, last, begun })
        }
        Err(error) if error.is_lock_timeout() => {
            tx.rollback().await?;
            Ok(Stamped { count: 0, last: state.last, begun: None })
        }
        Err(error) => Err(error),
    }
}

/// Writes the numbers of `numbered`.
///
/// The places are found again by their number, not by where the row is: that of a row which was changed
/// between the statement's snapshot and the lock is not in the snapshot, and would be given no number.
const STAMP: &str = "update feed_positions set feed_sequence_nr = numbered.sequence_nr, \
    unstamped_since = null from numbered where feed_positions.number = numbered.number";

/// Gives the orders whose places `pick` selects, and locks, the numbers after `last`; writes the counter,
/// and tells of it once it is committed; the newest number now. `pick` takes `parameters` as $2 and $3.
/// Nothing is written when it selects none.
///
/// They get their numbers as they come, those waiting longest first, but for one that was written again
/// just then: nobody relies on the order within a batch, and sorting it once more took a sixth of the time.
async fn number_picked<B: Backend>(
    conn: &mut B::Connection,
    pick: &str,
    parameters: [i64; 2],
    last: SequenceNr,
    at: Timestamp,
) -> Result<SequenceNr> {
    let sql = format!(
        "with picked as (select number from feed_positions where {pick}), \
         numbered as (select number, $1 + row_number() over () as sequence_nr from picked) {STAMP}"
    );
    let stamp = query::<B>(AssertSqlSafe(sql)).bind(last.0);
    let count = stamp.bind(parameters[0]).bind(parameters[1]).execute(conn).await?;
    if count == 0 {
        return Ok(last);
    }
    let newest = SequenceNr(last.0 + i64::try_from(count).unwrap_or(i64::MAX));
    let save = format!(
        "update feed_state set last_sequence_nr = $1, last_tick_at = $2 where id = 1{}",
        B::telling(CHANNEL, "last_sequence_nr")
    );
    let save = query::<B>(AssertSqlSafe(save)).bind(newest.0).bind(at.micros());
    save.execute_exactly(1, conn).await?;
    Ok(newest)
}
