//! Who the provider is, and the epochs of its history.

use contract::feed::{Epoch, FeedId, FeedIdentity, SequenceNr};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Error, Result, Row, query};

use super::{Begun, BegunEpoch, CHANNEL, EpochReason};

/// The one row of `feed_state`.
pub(super) struct FeedState {
    /// Which provider this is, and its current history.
    pub(super) identity: FeedIdentity,
    /// The newest number given.
    pub(super) last: SequenceNr,
    /// When the sequencer last looked; `None` when it never has.
    pub(super) last_tick_at: Option<Timestamp>,
}

/// The state, locked, beside what tells whether it is still the history that its epoch names.
struct Locked {
    state: FeedState,
    /// The history when the epoch began; `None` when that was never noted.
    stored: Option<String>,
    /// The history now.
    current: String,
}

/// Gives a new database its identity; one that has its own keeps it.
pub(super) async fn mint<B: Backend>(
    conn: &mut B::Connection,
    identity: &FeedIdentity,
    at: Timestamp,
) -> Result<()> {
    let insert = query::<B>(
        "insert into feed_state (id, feed_id, epoch, last_sequence_nr) values (1, $1, $2, 0) \
         on conflict (id) do nothing",
    );
    let insert = insert.bind(identity.feed_id.to_string()).bind(identity.epoch.0);
    if insert.execute(conn).await? == 1 {
        note::<B>(conn, identity.epoch, SequenceNr::BEGINNING, EpochReason::Created, at).await?;
    }
    Ok(())
}

/// The state as this statement or snapshot sees it.
pub(super) async fn state<B: Backend>(conn: &mut B::Connection) -> Result<FeedState> {
    let row = query::<B>("select * from feed_state where id = 1").fetch_one(conn).await?;
    read_state(&row)
}

/// The state, locked until the transaction ends: nobody else numbers orders or begins an epoch. It
/// is of the history that the database is in now: when that is another one than the stored epoch
/// names, because a standby was promoted or a backup restored, a new epoch begins in this very
/// transaction.
pub(super) async fn lock_current<B: Backend>(
    conn: &mut B::Connection,
    at: Timestamp,
) -> Result<(FeedState, Option<Begun>)> {
    let Locked { mut state, stored, current } = lock::<B>(conn).await?;
    let begun = match stored {
        Some(stored) if stored == current => None,
        Some(stored) => {
            let reason = difference(&stored, &current);
            Some(replace::<B>(conn, &mut state, &current, reason, at).await?)
        }
        // Never looked at before: this is the history that the epoch names.
        None => {
            query::<B>("update feed_state set history = $1 where id = 1")
                .bind(current)
                .execute_exactly(1, conn)
                .await?;
            None
        }
    };
    Ok((state, begun))
}

/// Begins the epoch after `replaced`; changes nothing when that is not the current one any more.
pub(super) async fn begin<B: Backend>(
    conn: &mut B::Connection,
    replaced: Epoch,
    reason: EpochReason,
    at: Timestamp,
) -> Result<FeedIdentity> {
    let Locked { mut state, current, .. } = lock::<B>(conn).await?;
    if state.identity.epoch == replaced {
        replace::<B>(conn, &mut state, &current, reason, at).await?;
    }
    Ok(state.identity)
}

/// The last `limit` epochs, newest first.
pub(super) async fn list<B: Backend>(
    conn: &mut B::Connection,
    limit: i64,
) -> Result<Vec<BegunEpoch>> {
    let rows = query::<B>("select * from epochs order by epoch desc limit $1")
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            let reason: String = row.get("reason")?;
            let damaged = || Error::Damaged(format!("{reason:?} is no reason for an epoch"));
            Ok(BegunEpoch {
                epoch: Epoch(row.get("epoch")?),
                began_at: Timestamp::from_micros(row.get("began_at")?),
                last_sequence_nr: SequenceNr(row.get("last_sequence_nr")?),
                reason: EpochReason::parse(&reason).ok_or_else(damaged)?,
            })
        })
        .collect()
}

async fn lock<B: Backend>(conn: &mut B::Connection) -> Result<Locked> {
    let sql = format!(
        "select *, {} as current_history from feed_state where id = 1{}",
        B::HISTORY,
        B::FOR_UPDATE
    );
    let row = query::<B>(AssertSqlSafe(sql)).fetch_one(conn).await?;
    let (stored, current) = (row.get("history")?, row.get("current_history")?);
    Ok(Locked { state: read_state(&row)?, stored, current })
}

/// Begins the next epoch of the locked `state`.
async fn replace<B: Backend>(
    conn: &mut B::Connection,
    state: &mut FeedState,
    history: &str,
    reason: EpochReason,
    at: Timestamp,
) -> Result<Begun> {
    let replaced = state.identity.epoch;
    state.identity.epoch = replaced.next(at);
    let telling = B::telling(CHANNEL, "''");
    let sql = format!("update feed_state set epoch = $1, history = $2 where id = 1{telling}");
    query::<B>(AssertSqlSafe(sql))
        .bind(state.identity.epoch.0)
        .bind(history.to_owned())
        .execute_exactly(1, conn)
        .await?;
    note::<B>(conn, state.identity.epoch, state.last, reason, at).await?;
    Ok(Begun { replaced, epoch: state.identity.epoch, reason })
}

async fn note<B: Backend>(
    conn: &mut B::Connection,
    epoch: Epoch,
    last: SequenceNr,
    reason: EpochReason,
    at: Timestamp,
) -> Result<()> {
    let insert = query::<B>(
        "insert into epochs (epoch, began_at, last_sequence_nr, reason) values ($1, $2, $3, $4)",
    );
    let insert = insert.bind(epoch.0).bind(at.micros()).bind(last.0);
    insert.bind(reason.as_str().to_owned()).execute_exactly(1, conn).await
}

/// Which of the two it was, by [`Backend::HISTORY`]: its first part is the timeline.
fn difference(stored: &str, current: &str) -> EpochReason {
    let rest = |history: &str| history.split_once('/').map(|(_, rest)| rest.to_owned());
    if rest(stored) == rest(current) { EpochReason::Failover } else { EpochReason::Restored }
}

/// The state in a row of `feed_state`.
pub(super) fn read_state<B: Backend>(row: &Row<B>) -> Result<FeedState> {
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
