//! A short page in one statement: what billing takes in once it has caught up, page after page.
//!
//! Between an order's commit and its being here, each round trip to the database counts. A page that
//! brings nothing but live orders, which are new or have drafts, needs no more than the token, the upsert
//! and the counts, and this does all three: the same statements as those of [`super::apply`], which lock
//! the same rows in the same order, because each reads what the one before has returned.
//!
//! It is a transaction by itself, which spares the round trips that begin and commit one. Page and token
//! are stored together or not at all, like all that a statement writes.
//!
//! One statement sees what was committed before it began, even when it then waits for the position. So
//! what it has seen of an order may be old by the time it stores it. What it stores is all the same
//! right, as the upsert compares with the row as it then is; and should the order have an invoice by
//! then that is no draft, the statement gives itself up, and the next one finds it. An entry of the
//! quarantine that it has not seen is as one that was committed right after it: see [`super::quarantine`].

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Db, Error, Result, give_up_unless, query};
use kit::random::Random;

use super::orders::{self, INSERTED};
use super::pull_state::{self, Step};
use super::{Applied, Fit, Received};
use crate::pull::Counts;

/// Takes in a page, if no more is to be done for it; `None`, and nothing is changed, when there may be.
/// Nor is anything changed when it is something else than [`Applied::Done`].
pub(super) async fn apply<B: Backend>(
    db: &Db<B>,
    received: &Received,
    random: &Random,
    at: Timestamp,
) -> Result<Option<Applied>> {
    let Received { identity, orders, unfit, .. } = received;
    let is_short = (1..orders::MANY).contains(&orders.len());
    let is_plain = unfit.is_empty() && !orders.iter().any(Fit::is_deleted);
    let step = Step::of(received);
    let Some(step) = step.filter(|_| B::WRITES_IN_WITH && is_short && is_plain) else {
        return Ok(None);
    };
    let batch = orders::batch(&orders.iter().collect::<Vec<_>>(), random, at);
    let table = batch.table::<B>(8);
    let sql = format!(
        "with moved as ( \
           {step} \
             and not exists (select 1 from {table} \
               where exists (select 1 from quarantine \
                             where quarantine.number = batch.number) \
                 or (select orders.invoice_id is null from orders \
                     where orders.number = batch.number)) \
           returning id), \
         stored as ( \
           {upsertion} returning revision, orders.invoice_id is not null as has_draft), \
         counts as ( \
           select $7 as pages, \
             count(*) filter (where revision = {INSERTED}) as new_orders, \
             count(*) filter (where revision <> {INSERTED}) as changed_orders, \
             0 as removed_orders, \
             (select count(*) from {table}) - count(*) as unchanged_orders, \
             0 as quarantined_orders, \
             $2 as at, \
             coalesce(bool_and(has_draft), true) as all_have_drafts \
           from stored having exists (select 1 from moved)), \
         chart as ({chart}), \
         totals as ({totals}) \
         select new_orders, changed_orders, unchanged_orders, {all_have_drafts} from counts",
        step = Step::sql(3),
        upsertion = orders::upsertion(&table, "exists (select 1 from moved)"),
        chart = pull_state::CHART,
        totals = pull_state::TOTALS,
        all_have_drafts = give_up_unless("all_have_drafts"),
    );
    let statement = query::<B>(AssertSqlSafe(sql)).bind(identity.epoch.0).bind(at.micros());
    let statement = step.bind(statement).bind(received.pages());
    let mut conn = db.writer_by_index().await?;
    let row = match statement.bind_batch(batch).fetch_optional(&mut *conn).await {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(None),
        Err(Error::GivenUp(_)) => {
            tracing::debug!("the draft of an order has ended meanwhile");
            return Ok(Some(Applied::Superseded));
        }
        Err(error) => return Err(error),
    };
    Ok(Some(Applied::Done(Counts {
        pages: received.pages(),
        new: row.get("new_orders")?,
        changed: row.get("changed_orders")?,
        unchanged: row.get("unchanged_orders")?,
        ..Counts::default()
    })))
}
