//! The feed: its pages, and how it is doing.

use std::collections::HashMap;
use std::time::Duration;

use contract::feed::{ContinuationToken, FeedStatus, SequenceNr};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Db, Error, Result, Row, query};

use super::epochs::{self, FeedState};
use super::page::PageWriter;
use super::{FeedAnswer, documents};
use crate::feed::{Role, Verdict, judge};

/// How the feed is doing; `conn` reads one snapshot.
pub(super) async fn status<B: Backend>(
    conn: &mut B::Connection,
    now: Timestamp,
) -> Result<FeedStatus> {
    let state = epochs::state::<B>(conn).await?;
    let oldest = unstamped_since::<B>(conn).await?;
    let waiting = "select count(distinct number) as unstamped from feed_queue";
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
    let oldest = "select waiting_since from feed_queue order by change_id limit 1";
    let row = query::<B>(oldest).fetch_optional(conn).await?;
    row.map(|row| Ok(Timestamp::from_micros(row.get("waiting_since")?))).transpose()
}

/// The page after `token`, of a provider in this `role`.
///
/// All of it is of one snapshot: orders of different moments would be a state that never was, and the
/// counter of a later moment than the orders would skip those stamped in between. As a rule it is one
/// statement, which is a snapshot by itself.
pub(super) async fn page<B: Backend>(
    db: &Db<B>,
    role: Role,
    token: Option<&ContinuationToken>,
    limit: i64,
    max_bytes: usize,
) -> Result<FeedAnswer> {
    let mut rows =
        rows_after::<B>(&mut *db.reader_by_index().await?, token, limit, max_bytes).await?;
    let mut assembled = HashMap::new();
    if rows.iter().any(|row| matches!(read(row), Ok(Some(Found { document: None, .. })))) {
        let mut snapshot = db.snapshot_by_index().await?;
        rows = rows_after::<B>(&mut snapshot, token, limit, max_bytes).await?;
        assembled = assemble::<B>(&mut snapshot, &rows, max_bytes).await?;
    }
    let first = rows.first().ok_or_else(|| Error::Damaged("no state of the feed".to_owned()))?;
    let FeedState { identity, last, .. } = epochs::read_state(first)?;
    let after = match judge(token, &identity, last, role) {
        Verdict::Continue(after) => after,
        Verdict::Lagging(token) => {
            let page = PageWriter::new(identity, last, max_bytes).finish(token, false)?;
            return Ok(FeedAnswer::Page(page));
        }
        verdict => return Ok(FeedAnswer::Refused { identity, verdict }),
    };
    let mut page = PageWriter::new(identity.clone(), last, max_bytes);
    let has_more = fill(&mut page, &rows, &assembled, limit)?;
    let token = ContinuationToken {
        feed_id: identity.feed_id,
        epoch: identity.epoch,
        sequence_nr: page.last().unwrap_or(after),
    };
    Ok(FeedAnswer::Page(page.finish(token, has_more)?))
}

/// The documents, by number, of the orders in these rows of which none is kept that counts; not all of
/// them when they take more than `max_bytes`.
async fn assemble<B: Backend>(
    conn: &mut B::Connection,
    rows: &[Row<B>],
    max_bytes: usize,
) -> Result<HashMap<i64, String>> {
    let (mut assembled, mut bytes) = (HashMap::new(), 0);
    for row in rows {
        if let Some(Found { number, document: None, .. }) = read(row)?
            && bytes <= max_bytes
        {
            let document = documents::assemble::<B>(conn, number).await?;
            bytes += document.len();
            assembled.insert(number, document);
        }
    }
    Ok(assembled)
}

/// Adds the orders in these rows, at most `limit`; whether there are more behind those that fit.
fn fill<B: Backend>(
    page: &mut PageWriter,
    rows: &[Row<B>],
    assembled: &HashMap<i64, String>,
    limit: i64,
) -> Result<bool> {
    let orders = rows.iter().filter_map(|row| read(row).transpose());
    let mut orders = orders.collect::<Result<Vec<_>>>()?;
    // They come like this, but nobody has promised it.
    orders.sort_unstable_by_key(|order| order.place);
    let room = orders.len().min(usize::try_from(limit).unwrap_or(0));
    page.reserve(
        room,
        orders[..room].iter().filter_map(|order| order.document).map(str::len).sum(),
    );
    for Found { place, number, document } in &orders[..room] {
        let document = document.or_else(|| assembled.get(number).map(String::as_str));
        // Those before it fill a page.
        let Some(document) = document else { return Ok(true) };
        if !page.add(*place, document)? {
            return Ok(true);
        }
    }
    Ok(room < orders.len())
}

/// The state of the feed, and beside it the orders behind `token`: `limit` and the one behind these, which
/// tells whether there is more, unless those before take more than `max_bytes` already, and it is known.
/// A page of 5,000 large orders would else bring gigabytes, and so would putting their documents aside to
/// add up what they take. A change that waits for its number is read under the one before.
///
/// The outer join lets the planner not begin with the documents: it reads the next places and looks up the
/// document of each.
async fn rows_after<B: Backend>(
    conn: &mut B::Connection,
    token: Option<&ContinuationToken>,
    limit: i64,
    max_bytes: usize,
) -> Result<Vec<Row<B>>> {
    let after = token.map_or(SequenceNr::BEGINNING, |token| token.sequence_nr);
    // A made-up one would be too large to be added to; it is refused, whatever is read.
    let after = after.0.min(i64::MAX / 2);
    let (carried, document) = if B::PASSES_TEXTS_BY_REFERENCE {
        ("document", "carried")
    } else {
        let again = "(select document from feed_documents \
            where feed_documents.number = sized.number and change_id = carried)";
        ("feed_documents.change_id", again)
    };
    let changes = B::join_in_order(
        "feed_changes",
        "change_id >= first_change_id \
           + case when first_sequence_nr > $1 then 0 else $1 + 1 - first_sequence_nr end \
         and change_id < first_change_id + length",
        "change_id",
        "$2",
    );
    let sql = format!(
        "select first_sequence_nr + offset_in_run as place, number, {document} as document, \
           feed_id, epoch, last_sequence_nr, last_tick_at \
         from feed_state left join ( \
           select *, sum(bytes) over (order by first_sequence_nr, offset_in_run \
               rows between unbounded preceding and 2 preceding) as bytes_before \
           from ( \
             select first_sequence_nr, offset_in_run, behind.number, {carried} as carried, \
               octet_length(document) as bytes \
             from ( \
               select first_sequence_nr, change_id - first_change_id as offset_in_run, number, change_id \
               from feed_runs {changes} \
               where first_sequence_nr >= ( \
                 select coalesce(max(first_sequence_nr), 0) from feed_runs \
                 where first_sequence_nr <= $1 + 1) \
               order by first_sequence_nr, change_id limit $2 \
             ) as behind left join feed_documents \
               on feed_documents.number = behind.number \
                 and (feed_documents.change_id = behind.change_id or feed_documents.change_id = ( \
                   select max(change_id) from feed_changes where feed_changes.number = behind.number)) \
           ) as found \
         ) as sized on coalesce(bytes_before, 0) <= $3 \
         where id = 1"
    );
    query::<B>(AssertSqlSafe(sql))
        .bind(after)
        .bind(limit.saturating_add(1))
        .bind(i64::try_from(max_bytes).unwrap_or(i64::MAX))
        .fetch_all(conn)
        .await
}

/// An order behind the token.
struct Found<'r> {
    place: SequenceNr,
    number: i64,
    /// `None` when none is kept that counts.
    document: Option<&'r str>,
}

/// The order in a row of [`rows_after`]; `None` when there is none behind the token: the state has a row
/// all the same.
fn read<B: Backend>(row: &Row<B>) -> Result<Option<Found<'_>>> {
    let mut columns = row.columns();
    let (place, number) = (columns.take::<Option<i64>>()?, columns.take::<Option<i64>>()?);
    let document = columns.text_or_null()?;
    let found = |(place, number)| Found { place: SequenceNr(place), number, document };
    Ok(place.zip(number).map(found))
}
