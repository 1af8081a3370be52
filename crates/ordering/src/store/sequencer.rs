//! The sequencer's transactions.
//!
//! A number must be given only to a change that is committed, numbers must become visible in
//! their order, and none may be given twice. So each transaction first locks the counter row and
//! reads the counter under that lock; then it stamps what it sees committed; and it holds the lock
//! until it commits. A second sequencer waits there, and reads the counter that the first has left.
//!
//! A writer appends its change to `feed_changes` and to `feed_queue`, and nobody ever changes these rows:
//! what is committed can be stamped at once, whoever holds the order meanwhile. A stamp takes changes from
//! the queue, oldest first, takes out of the feed the changes that these replace, and notes in `feed_runs`
//! which run of changes has which run of numbers: one row, as a rule, however many they are.
//!
//! Before it stamps it sees whether the database still is in the history that the epoch names. If
//! not, the new epoch begins in the same transaction: no number of the new history is ever visible
//! under the old epoch.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use contract::feed::{ContinuationToken, FeedIdentity, SequenceNr};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Db, Error, Result, Row, query};
use kit::telemetry;

use super::page::PageWriter;
use super::{CHANNEL, Page, Stamped, epochs};

/// For how long a process that knows of changes of its own goes on without a look for those of others.
const LOOK_INTERVAL_MICROS: i64 = 2_000_000;

/// What this process remembers from one call to the next.
#[derive(Debug)]
pub(super) struct Memory {
    /// When it looked last, in microseconds: not worth a write each time.
    looked: AtomicI64,
    /// The first change that waited at the last look, or the last one that was there when none waited. Until
    /// PostgreSQL has cleaned up, the index leads to all that were stamped before, and between two looks
    /// nobody walks over them again to find the few that this process has committed. 0 while many wait.
    floor: AtomicI64,
    /// Whether this process has committed a change, or the last batch was full, so that more may wait.
    more: AtomicBool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            looked: AtomicI64::new(NEVER),
            floor: AtomicI64::new(0),
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
    /// same: only a look finds a change before the floor, one that was written earlier and committed later.
    fn expects(&self, at: Timestamp) -> bool {
        let recently =
            at.micros() - LOOK_INTERVAL_MICROS..=at.micros().saturating_add(LOOK_INTERVAL_MICROS);
        self.more.swap(false, Ordering::Acquire)
            && recently.contains(&self.looked.load(Ordering::Relaxed))
    }

    fn note(&self, look: &Look, at: Timestamp) {
        self.floor.store(look.floor, Ordering::Relaxed);
        self.looked.store(at.micros(), Ordering::Relaxed);
    }
}

/// Gives up to `limit` waiting changes their numbers, the oldest first. Nothing is written when nothing
/// waits, nor locked unless something was known to wait.
pub(super) async fn stamp<B: Backend>(
    db: &Db<B>,
    memory: &Memory,
    limit: i64,
    at: Timestamp,
) -> Result<Stamped> {
    if memory.expects(at) {
        let floor = memory.floor.load(Ordering::Relaxed);
        let stamped = stamp_waiting(db, memory, floor, limit, at).await?;
        if stamped.count > 0 || stamped.begun.is_some() {
            return Ok(stamped);
        }
    }
    let look = look::<B>(&mut *db.reader_by_index().await?).await?;
    memory.note(&look, at);
    if !look.is_any_waiting && look.is_of_its_history {
        return Ok(Stamped { count: 0, is_full: false, last: look.last, begun: None, page: None });
    }
    stamp_waiting(db, memory, 0, limit, at).await
}

/// What one statement sees, without a lock.
struct Look {
    is_any_waiting: bool,
    /// See [`Memory`].
    floor: i64,
    /// The history is the one that the epoch names.
    is_of_its_history: bool,
    /// The newest number given.
    last: SequenceNr,
}

/// Whether there is anything to do. What is committed a moment later comes with the next look.
async fn look<B: Backend>(conn: &mut B::Connection) -> Result<Look> {
    let sql = format!(
        "select state.*, oldest, \
           case when oldest is null then (select max(change_id) from feed_changes) end as newest \
         from (select last_sequence_nr, coalesce(history = {}, false) as is_of_its_history \
             from feed_state where id = 1) as state \
           cross join (select min(change_id) as oldest from feed_queue) as waiting",
        B::HISTORY
    );
    let row = query::<B>(AssertSqlSafe(sql)).fetch_one(conn).await?;
    let (oldest, newest) = (row.get::<Option<i64>>("oldest")?, row.get::<Option<i64>>("newest")?);
    Ok(Look {
        is_any_waiting: oldest.is_some(),
        floor: oldest.or(newest).unwrap_or(0),
        is_of_its_history: row.get("is_of_its_history")?,
        last: SequenceNr(row.get("last_sequence_nr")?),
    })
}

/// Stamps what waits from `floor` on.
async fn stamp_waiting<B: Backend>(
    db: &Db<B>,
    memory: &Memory,
    floor: i64,
    limit: i64,
    at: Timestamp,
) -> Result<Stamped> {
    let batch = Batch { floor, limit, at };
    let at_once = batch.stamp_at_once::<B>(&mut *db.writer_by_index().await?).await?;
    let stamped = if let Some(stamped) = at_once {
        stamped
    } else {
        let mut tx = db.begin_by_index().await?;
        let (state, begun) = epochs::lock_current::<B>(&mut tx, at).await?;
        let stamped = match batch.stamp_at_once::<B>(&mut tx).await? {
            Some(stamped) => stamped,
            None => batch.stamp_alone::<B>(&mut tx, state.last).await?,
        };
        tx.commit().await?;
        // Who waits in an epoch that is over has to learn of the new one.
        let page = stamped.page.filter(|_| begun.is_none());
        Stamped { begun, page, ..stamped }
    };
    if stamped.is_full {
        memory.floor.store(0, Ordering::Relaxed);
        memory.expect_more();
    }
    Ok(stamped)
}

/// What one transaction stamps: at most `limit` changes from `floor` on.
#[derive(Clone, Copy)]
struct Batch {
    floor: i64,
    limit: i64,
    at: Timestamp,
}

/// The changes that a batch takes, from $2 on and at most $3. None when one of those that wait follows one
/// before the floor, which was committed late: a look finds them all. Without the first, nobody would know
/// what the others replace, and their order would stand in the feed twice.
const WAITING: &str = "from feed_queue where change_id >= $2 \
      and not exists (select 1 from feed_queue as waiting \
          join feed_queue as late on late.change_id = waiting.previous_change_id \
        where $2 > 0 and waiting.change_id >= $2 and late.change_id < $2) \
    order by change_id limit $3";

/// So many orders are few: they are told with the stamp, if each is small, so that nobody reads them. What
/// more of them take to be fetched would keep the sequencer from its work.
const FEW: i64 = 16;
/// The document of a small order takes at most so many bytes: a page of few stays one that is kept.
const SMALL: usize = 7 * 1024;

/// The runs of a table `picked` of waiting changes: each with its first change, the place of that one among
/// all that get a number, from 1, and how many they are. Of changes of one order only the last one gets a
/// number: the others have left the feed by then.
///
/// The ids and the places of a run rise together, so their difference is the same in all of it.
const RUNS: &str = "placed as ( \
      select change_id, number, row_number() over (order by change_id) as place from picked \
      where change_id not in ( \
        select previous_change_id from picked where previous_change_id is not null)), \
    runs as ( \
      select min(change_id) as first_change_id, min(place) as first_place, count(*) as length \
      from placed group by change_id - place)";

/// The newest run is continued by a run that begins behind it, in changes as in numbers.
const CONTINUES: &str = "feed_runs.first_sequence_nr = (select max(first_sequence_nr) from feed_runs) \
    and feed_runs.first_sequence_nr + feed_runs.length";

impl Batch {
    /// All of the transaction in one statement, and so in one round trip, where the database can do that;
    /// `None`, and nothing is changed, where it cannot, and when the history is not the one that the epoch
    /// names.
    ///
    /// It may see an older queue, and older runs, than there are once the counter is locked. That is safe: the
    /// counter is read as it is then. A change that was stamped meanwhile is not in the queue to be deleted any
    /// more, nor can another row have come to lie where it lay: that one would be too new to be seen. And a run
    /// as it was before does not end at the counter, so a new one begins.
    async fn stamp_at_once<B: Backend>(self, conn: &mut B::Connection) -> Result<Option<Stamped>> {
        if !B::WRITES_IN_WITH {
            return Ok(None);
        }
        let sql = format!(
            "with state as materialized ( \
               select *, history = {} as is_of_its_history \
               from feed_state where id = 1{}), \
             picked as ( \
               delete from feed_queue where ctid = any(array( \
                 select ctid {WAITING})) \
                 and (select is_of_its_history from state) \
               returning change_id, number, previous_change_id), \
             replaced as ( \
               delete from feed_changes using picked \
               where feed_changes.change_id = previous_change_id), \
             {RUNS}, \
             continued as ( \
               update feed_runs set length = feed_runs.length + runs.length from runs, state \
               where {CONTINUES} = last_sequence_nr + first_place and first_place = 1 \
                 and feed_runs.first_change_id + feed_runs.length = runs.first_change_id \
               returning first_place), \
             begun as ( \
               insert into feed_runs (first_sequence_nr, first_change_id, length) \
               select last_sequence_nr + first_place, first_change_id, length from runs, state \
               where first_place not in (select first_place from continued)), \
             given as (select count(*) as count, (select count(*) from picked) as taken from placed), \
             saved as ( \
               update feed_state set last_sequence_nr = last_sequence_nr + count, last_tick_at = $1 \
               from given where id = 1 and count > 0{}) \
             select feed_id, epoch, last_sequence_nr, last_tick_at, \
               coalesce(is_of_its_history, false) as is_of_its_history, count, taken, \
               last_sequence_nr + place as place, document \
             from state cross join given left join lateral ( \
               select place, document from placed join feed_documents using (number, change_id) \
               where count <= {FEW} and octet_length(document) <= {SMALL} limit {FEW}) as few on true",
            B::HISTORY,
            B::FOR_UPDATE,
            B::telling(CHANNEL, "last_sequence_nr"),
        );
        let statement = query::<B>(AssertSqlSafe(sql)).bind(self.at.micros());
        let rows = statement.bind(self.floor).bind(self.limit).fetch_all(conn).await?;
        let first =
            rows.first().ok_or_else(|| Error::Damaged("no state of the feed".to_owned()))?;
        let (before, count) = (epochs::read_state(first)?, first.get::<i64>("count")?);
        let last = SequenceNr(before.last.0 + count);
        let is_full = first.get::<i64>("taken")? >= self.limit;
        // What was stamped stays so, and whoever reads the page meets what is wrong with it.
        let page = page_of(&rows, before.identity, last, count).unwrap_or_else(|error| {
            let error = telemetry::chain(&error);
            tracing::warn!(error, "what was stamped cannot be told");
            None
        });
        let stamped = Stamped { count, is_full, last, begun: None, page };
        Ok(first.get::<bool>("is_of_its_history")?.then_some(stamped))
    }

    /// The same in steps, behind `last`, of a transaction that is the only one to write.
    async fn stamp_alone<B: Backend>(
        self,
        conn: &mut B::Connection,
        last: SequenceNr,
    ) -> Result<Stamped> {
        let picked = format!("select change_id, number, previous_change_id {WAITING}");
        let bound = |sql: String| {
            let query = query::<B>(AssertSqlSafe(sql)).bind(self.at.micros());
            query.bind(self.floor).bind(self.limit)
        };
        let runs =
            format!("with picked as ({picked}), {RUNS} select * from runs order by first_place");
        let mut count = 0;
        for run in bound(runs).fetch_all(conn).await? {
            let (first, length) = (last.0 + count + 1, run.get("length")?);
            note_run::<B>(conn, first, run.get("first_change_id")?, length).await?;
            count += length;
        }
        let replaced = format!(
            "delete from feed_changes where change_id in (select previous_change_id from ({picked}))"
        );
        bound(replaced).execute(conn).await?;
        let take =
            format!("delete from feed_queue where change_id in (select change_id from ({picked}))");
        let taken = bound(take).execute(conn).await?;
        let last = SequenceNr(last.0 + count);
        if count > 0 {
            let save =
                "update feed_state set last_sequence_nr = $1, last_tick_at = $2 where id = 1";
            let save = query::<B>(save).bind(last.0).bind(self.at.micros());
            save.execute_exactly(1, conn).await?;
        }
        let is_full = taken >= self.limit.unsigned_abs();
        Ok(Stamped { count, is_full, last, begun: None, page: None })
    }
}

/// The page of what was stamped, up to number `last`; `None` when not all of the `count` orders came with
/// their documents.
fn page_of<B: Backend>(
    rows: &[Row<B>],
    identity: FeedIdentity,
    last: SequenceNr,
    count: i64,
) -> Result<Option<Page>> {
    let mut orders = Vec::new();
    for row in rows {
        if let Some(place) = row.get::<Option<i64>>("place")? {
            orders.push((SequenceNr(place), row.get::<String>("document")?));
        }
    }
    if orders.is_empty() || i64::try_from(orders.len()) != Ok(count) {
        return Ok(None);
    }
    orders.sort_unstable();
    let mut page = PageWriter::new(identity.clone(), last, usize::MAX);
    for (place, document) in &orders {
        page.add(*place, document)?;
    }
    let token =
        ContinuationToken { feed_id: identity.feed_id, epoch: identity.epoch, sequence_nr: last };
    page.finish(token, false).map(Some)
}

/// Notes that changes from `first_change_id` on have the numbers from `first` on.
async fn note_run<B: Backend>(
    conn: &mut B::Connection,
    first: i64,
    first_change_id: i64,
    length: i64,
) -> Result<()> {
    let sql = format!(
        "update feed_runs set length = length + $3 where {CONTINUES} = $1 and first_change_id + length = $2"
    );
    let continued = query::<B>(AssertSqlSafe(sql)).bind(first).bind(first_change_id).bind(length);
    if continued.execute(conn).await? == 0 {
        let begin = "insert into feed_runs (first_sequence_nr, first_change_id, length) values ($1, $2, $3)";
        let begin = query::<B>(begin).bind(first).bind(first_change_id).bind(length);
        begin.execute_exactly(1, conn).await?;
    }
    Ok(())
}

/// Forgets runs of which no change is in the feed any more, as all were replaced: else there would be more
/// of them with each year, for the pages to step over. The newest run stays, which may be continued.
///
/// No lock is needed: no change ever comes into a run but with a stamp that begins or continues it.
pub(super) async fn forget_empty_runs<B: Backend>(conn: &mut B::Connection) -> Result<u64> {
    let delete = "delete from feed_runs \
        where first_sequence_nr < (select max(first_sequence_nr) from feed_runs) \
          and not exists (select 1 from feed_changes \
            where change_id >= first_change_id and change_id < first_change_id + length)";
    query::<B>(delete).execute(conn).await
}
