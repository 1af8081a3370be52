//! How the pull stands: the adopted history, the token, successes and failures, counts.

use std::time::Duration;

use contract::feed::{ContinuationToken, Epoch, FeedId, FeedIdentity, SequenceNr};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Error, Query, Result, Row, query};

use super::sql::storable;
use super::{Advance, Applied, PullState, Received};
use crate::pull::Counts;

/// How long pulls are kept for the chart.
const KEEP_PULLS: Duration = Duration::from_hours(30 * 24);

/// What is adopted, and how far it was read.
#[derive(PartialEq, Eq)]
struct Position {
    /// `None` before the first answer.
    identity: Option<FeedIdentity>,
    /// `None`: from the beginning.
    token: Option<ContinuationToken>,
}

/// Whether an answer may be taken in.
enum Verdict {
    /// It may, and this is the position afterwards.
    Accepted(Position),
    /// A page that was asked with another token than the stored one.
    Superseded,
    /// Of another feed, or of an older epoch.
    WrongHistory,
}

/// What is here of a page's orders before they are stored.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// Any order whose number lies between theirs: when there is none, all of them are new.
    pub(super) any_order: bool,
    /// Any order may be in quarantine.
    pub(super) any_aside: bool,
}

impl Position {
    fn judge(&self, received: &Received) -> Verdict {
        let begins_epoch = match &self.identity {
            None => false,
            Some(adopted) if !is_same_or_later(&received.identity, adopted) => {
                return Verdict::WrongHistory;
            }
            Some(adopted) => received.identity.epoch > adopted.epoch,
        };
        // A new epoch is read from the beginning.
        let token = if begins_epoch { None } else { self.token.clone() };
        let token = match &received.advance {
            None => token,
            Some(page) if page.from == token => Some(page.to.clone()),
            // Its orders are of the new epoch, but what lies before them was not read.
            Some(_) if begins_epoch => None,
            Some(_) => return Verdict::Superseded,
        };
        Verdict::Accepted(Self { identity: Some(received.identity.clone()), token })
    }
}

fn is_same_or_later(identity: &FeedIdentity, adopted: &FeedIdentity) -> bool {
    identity.feed_id == adopted.feed_id && identity.epoch >= adopted.epoch
}

/// Judges an answer and moves the position accordingly. What was seen of its orders by the statement that
/// moved it, `None` when that took others; or why it may not be taken in.
///
/// A page holds the row from here to the end of its transaction: that makes comparing and setting
/// the token one step. A pulled order locks it only when it has something to adopt. Otherwise a
/// greater epoch may be adopted right after it looked, which is harmless: its row is stored under
/// the epoch that it came with, and the re-read of the greater one replaces it.
pub(super) async fn admit<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    at: Timestamp,
) -> Result<std::result::Result<Option<Seen>, Applied>> {
    if received.advance.is_none() {
        let position = position::<B>(conn, "").await?;
        match position.judge(received) {
            Verdict::Accepted(same) if same == position => return Ok(Ok(None)),
            Verdict::WrongHistory => return Ok(Err(Applied::WrongHistory)),
            Verdict::Accepted(_) | Verdict::Superseded => {}
        }
    }
    if let Some(seen) = go_on::<B>(conn, received).await? {
        return Ok(Ok(Some(seen)));
    }
    Ok(match position::<B>(conn, B::FOR_UPDATE).await?.judge(received) {
        Verdict::Accepted(position) => {
            let last_sequence_nr = received.advance.as_ref().map(|page| page.last_sequence_nr);
            move_to::<B>(conn, &position, last_sequence_nr, at).await?;
            Ok(None)
        }
        Verdict::Superseded => Err(Applied::Superseded),
        Verdict::WrongHistory => Err(Applied::WrongHistory),
    })
}

/// Moves the token, and locks the position, when a page goes on from it in the adopted history, as
/// nearly all do: one statement instead of two, which also sees what is here of the page's orders, as of
/// before it waited for the position. `None`, and nothing is changed, when there is more to find out.
async fn go_on<B: Backend>(conn: &mut B::Connection, received: &Received) -> Result<Option<Seen>> {
    let Some(step) = Step::of(received) else { return Ok(None) };
    let numbers = received.orders.iter().map(|order| order.number);
    let sql = format!(
        "{} returning exists (select 1 from orders where number between $2 and $3) as any_order, \
           exists (select 1 from quarantine) as any_aside",
        Step::sql(4)
    );
    let statement = query::<B>(AssertSqlSafe(sql)).bind(received.identity.epoch.0);
    let statement = statement.bind(numbers.clone().min()).bind(numbers.max());
    let row = step.bind(statement).fetch_optional(conn).await?;
    row.map(|row| Ok(Seen { any_order: row.get("any_order")?, any_aside: row.get("any_aside")? }))
        .transpose()
}

/// How a page that goes on from a token moves it.
pub(super) struct Step<'r> {
    feed_id: &'r FeedId,
    from: &'r ContinuationToken,
    to: &'r ContinuationToken,
    last_sequence_nr: SequenceNr,
}

impl<'r> Step<'r> {
    /// `None` for what is no page, and for the first page.
    pub(super) fn of(received: &'r Received) -> Option<Self> {
        let Advance { from, to, last_sequence_nr, .. } = received.advance.as_ref()?;
        let feed_id = &received.identity.feed_id;
        Some(Self { feed_id, from: from.as_ref()?, to, last_sequence_nr: *last_sequence_nr })
    }

    /// The statement that moves the token, if the history of this feed and of the epoch $1 is adopted,
    /// and was read as far as the page was asked from. More conditions may follow. The parameters of
    /// [`Self::bind`] begin with `$first`.
    pub(super) fn sql(first: usize) -> String {
        format!(
            "update pull_state set continuation_token = ${to}, last_sequence_nr = ${last} \
             where id = 1 and epoch = $1 and feed_id = ${feed_id} and continuation_token = ${from}",
            to = first,
            last = first + 1,
            feed_id = first + 2,
            from = first + 3,
        )
    }

    /// Binds four parameters.
    pub(super) fn bind<B: Backend>(self, query: Query<B>) -> Query<B> {
        let query = query.bind(self.to.to_string()).bind(self.last_sequence_nr.0);
        query.bind(self.feed_id.to_string()).bind(self.from.to_string())
    }
}

async fn position<B: Backend>(conn: &mut B::Connection, lock: &str) -> Result<Position> {
    let sql =
        format!("select feed_id, epoch, continuation_token from pull_state where id = 1{lock}");
    let row = query::<B>(AssertSqlSafe(sql)).fetch_one(conn).await?;
    read_position(&row)
}

fn read_position<B: Backend>(row: &Row<B>) -> Result<Position> {
    let damaged = |what: &str| Error::Damaged(format!("the {what} of the pull's state"));
    let feed_id: Option<String> = row.get("feed_id")?;
    let epoch: Option<i64> = row.get("epoch")?;
    let identity = match feed_id.zip(epoch) {
        None => None,
        Some((feed_id, epoch)) => {
            let feed_id: FeedId = feed_id.parse().map_err(|_| damaged("feed id"))?;
            Some(FeedIdentity { feed_id, epoch: Epoch(epoch) })
        }
    };
    let token: Option<String> = row.get("continuation_token")?;
    let token = token.map(|text| text.parse()).transpose().map_err(|_| damaged("token"))?;
    Ok(Position { identity, token })
}

async fn move_to<B: Backend>(
    conn: &mut B::Connection,
    position: &Position,
    last_sequence_nr: Option<SequenceNr>,
    at: Timestamp,
) -> Result<()> {
    let identity = position.identity.as_ref();
    query::<B>(
        "update pull_state
         set feed_id = $1, epoch = $2, continuation_token = $3, last_sequence_nr = $4,
             adopted_at = case when feed_id = $1 and epoch = $2 then adopted_at else $5 end
         where id = 1",
    )
    .bind(identity.map(|identity| identity.feed_id.to_string()))
    .bind(identity.map(|identity| identity.epoch.0))
    .bind(position.token.as_ref().map(ToString::to_string))
    .bind(last_sequence_nr.map(|nr| nr.0))
    .bind(at.micros())
    .execute_exactly(1, conn)
    .await
}

/// Whether `identity` is what is adopted. Locks the position: it stays so to the end of the
/// transaction.
pub(super) async fn is_adopted<B: Backend>(
    conn: &mut B::Connection,
    identity: &FeedIdentity,
) -> Result<bool> {
    Ok(position::<B>(conn, B::FOR_UPDATE).await?.identity.as_ref() == Some(identity))
}

/// Adopts `identity` when it is of a greater epoch, or when a token of an older epoch is left; the
/// token then goes back to the beginning. Whether there was anything to do.
pub(super) async fn adopt_epoch<B: Backend>(
    conn: &mut B::Connection,
    identity: &FeedIdentity,
    at: Timestamp,
) -> Result<bool> {
    let position = position::<B>(conn, B::FOR_UPDATE).await?;
    let adopted = position.identity.as_ref();
    if adopted.is_some_and(|adopted| !is_same_or_later(identity, adopted)) {
        return Ok(false);
    }
    let token_is_current = position
        .token
        .as_ref()
        .is_none_or(|token| token.feed_id == identity.feed_id && token.epoch >= identity.epoch);
    if adopted == Some(identity) && token_is_current {
        return Ok(false);
    }
    let beginning = Position { identity: Some(identity.clone()), token: None };
    move_to::<B>(conn, &beginning, None, at).await?;
    Ok(true)
}

/// Goes on from `token`, from the beginning when `None`. Locks the position.
pub(super) async fn reset_token<B: Backend>(
    conn: &mut B::Connection,
    token: Option<&ContinuationToken>,
) -> Result<()> {
    query::<B>("update pull_state set continuation_token = $1 where id = 1")
        .bind(token.map(ToString::to_string))
        .execute_exactly(1, conn)
        .await
}

/// Lets any feed and epoch be adopted next.
pub(super) async fn forget_feed<B: Backend>(conn: &mut B::Connection) -> Result<()> {
    query::<B>(
        "update pull_state
         set feed_id = null, epoch = null, last_sequence_nr = null, adopted_at = null
         where id = 1",
    )
    .execute_exactly(1, conn)
    .await
}

/// Notes that a pull reached the end of the feed; forgets those of which the chart is over.
pub(super) async fn succeeded<B: Backend>(
    conn: &mut B::Connection,
    began: Timestamp,
    at: Timestamp,
) -> Result<()> {
    query::<B>(
        "update pull_state
         set last_pull_at = $1, last_success_at = $2, last_error = null, consecutive_failures = 0
         where id = 1",
    )
    .bind(began.micros())
    .bind(at.micros())
    .execute_exactly(1, &mut *conn)
    .await?;
    let kept_from = at - KEEP_PULLS;
    query::<B>("delete from pulls where at < $1").bind(kept_from.micros()).execute(conn).await?;
    Ok(())
}

/// Notes that a pull failed; how many have in a row.
pub(super) async fn failed<B: Backend>(
    conn: &mut B::Connection,
    began: Timestamp,
    error: &str,
) -> Result<i64> {
    let row = query::<B>(
        "update pull_state
         set last_pull_at = $1, last_error = $2, consecutive_failures = consecutive_failures + 1
         where id = 1 returning consecutive_failures",
    )
    .bind(began.micros())
    .bind(storable(error))
    .fetch_one(conn)
    .await?;
    row.get("consecutive_failures")
}

/// How the pull stands.
pub(super) async fn get<B: Backend>(conn: &mut B::Connection) -> Result<PullState> {
    let row = query::<B>(
        "select feed_id, epoch, continuation_token, last_sequence_nr, last_pull_at,
                last_success_at, last_error, consecutive_failures, pages, new_orders,
                changed_orders, removed_orders, unchanged_orders, quarantined_orders
         from pull_state join pull_totals on pull_totals.id = pull_state.id",
    )
    .fetch_one(conn)
    .await?;
    let Position { identity, token } = read_position(&row)?;
    let time = |name| Ok::<_, Error>(row.get::<Option<i64>>(name)?.map(Timestamp::from_micros));
    Ok(PullState {
        identity,
        continuation_token: token,
        last_sequence_nr: row.get::<Option<i64>>("last_sequence_nr")?.map(SequenceNr),
        last_pull_at: time("last_pull_at")?,
        last_success_at: time("last_success_at")?,
        last_error: row.get("last_error")?,
        consecutive_failures: row.get("consecutive_failures")?,
        totals: read_counts(&row)?,
    })
}

/// The pulls that changed something since `since`, oldest first.
pub(super) async fn pulls_since<B: Backend>(
    conn: &mut B::Connection,
    since: Timestamp,
) -> Result<Vec<(Timestamp, Counts)>> {
    let rows = query::<B>(
        "select at, pages, new_orders, changed_orders, removed_orders, unchanged_orders,
                quarantined_orders
         from pulls where at >= $1 order by at",
    )
    .bind(since.micros())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((Timestamp::from_micros(row.get("at")?), read_counts(row)?))).collect()
}

/// Adds what an answer did to the totals, and keeps it for the chart when it changed something, in the
/// transaction that did it. Locks the totals: last.
pub(super) async fn count<B: Backend>(
    conn: &mut B::Connection,
    counts: &Counts,
    at: Timestamp,
) -> Result<()> {
    let with = "with counts as (
        select $1 as pages, $2 as new_orders, $3 as changed_orders, $4 as removed_orders,
               $5 as unchanged_orders, $6 as quarantined_orders, $7 as at)";
    let bound = |sql: String| {
        query::<B>(AssertSqlSafe(sql))
            .bind(counts.pages)
            .bind(counts.new)
            .bind(counts.changed)
            .bind(counts.removed)
            .bind(counts.unchanged)
            .bind(counts.quarantined)
            .bind(at.micros())
    };
    // One round trip where the database can do both at once.
    if B::WRITES_IN_WITH {
        let both = format!("{with}, chart as ({CHART}) {TOTALS}");
        return bound(both).execute_exactly(1, conn).await;
    }
    bound(format!("{with} {CHART}")).execute(conn).await?;
    bound(format!("{with} {TOTALS}")).execute_exactly(1, conn).await
}

/// Keeps the row of a table `counts` for the chart, when it changed something, as
/// [`Counts::changed_something`] says it. Two answers may be taken in within the same microsecond.
pub(super) const CHART: &str =
    "insert into pulls (pages, new_orders, changed_orders, removed_orders, unchanged_orders,
                        quarantined_orders, at)
     select pages, new_orders, changed_orders, removed_orders, unchanged_orders,
            quarantined_orders, at
     from counts where new_orders + changed_orders + removed_orders + quarantined_orders > 0
     on conflict (at) do update set
         pages = pulls.pages + excluded.pages,
         new_orders = pulls.new_orders + excluded.new_orders,
         changed_orders = pulls.changed_orders + excluded.changed_orders,
         removed_orders = pulls.removed_orders + excluded.removed_orders,
         unchanged_orders = pulls.unchanged_orders + excluded.unchanged_orders,
         quarantined_orders = pulls.quarantined_orders + excluded.quarantined_orders";

/// Adds the row of a table `counts` to the totals.
pub(super) const TOTALS: &str = "update pull_totals set
         pages = pull_totals.pages + counts.pages,
         new_orders = pull_totals.new_orders + counts.new_orders,
         changed_orders = pull_totals.changed_orders + counts.changed_orders,
         removed_orders = pull_totals.removed_orders + counts.removed_orders,
         unchanged_orders = pull_totals.unchanged_orders + counts.unchanged_orders,
         quarantined_orders = pull_totals.quarantined_orders + counts.quarantined_orders
     from counts where id = 1";

fn read_counts<B: Backend>(row: &Row<B>) -> Result<Counts> {
    Ok(Counts {
        pages: row.get("pages")?,
        new: row.get("new_orders")?,
        changed: row.get("changed_orders")?,
        removed: row.get("removed_orders")?,
        unchanged: row.get("unchanged_orders")?,
        quarantined: row.get("quarantined_orders")?,
    })
}
