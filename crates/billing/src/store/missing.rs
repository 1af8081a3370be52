//! Orders that are missing at the source: marking them, and what a person decides about them.
//!
//! A marked order keeps the epoch and the version of what is stored, because they speak for its
//! content. So whatever the epoch that has lost it brings under this number, an order that is made
//! anew with version 1 too, is greater and clears the mark. Nothing is ever deleted.

use contract::feed::FeedIdentity;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Result, query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{StoredOrder, drafts, orders, pull_state};

/// What a person decides about an order that ordering has lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The order counts here although ordering has lost it: its open invoice can be approved.
    Keep,
    /// Its open invoice is withdrawn.
    Withdraw,
}

impl Decision {
    /// All decisions.
    pub const ALL: [Self; 2] = [Self::Keep, Self::Withdraw];

    /// The word for it in documents and forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Withdraw => "withdraw",
        }
    }

    /// The decision that `word` names; `None` when there is no such decision.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == word)
    }
}

/// What became of a decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decided {
    /// It holds, since now or before; the order as it is now.
    Done(Box<StoredOrder>),
    /// There is no such order here.
    NotFound,
    /// Ordering knows the order, by now or all along: there is nothing to decide.
    NotMissing,
    /// No invoice of the order awaits approval: there is nothing to decide.
    NothingOpen,
}

/// Marks orders that `identity` does not know; how many.
///
/// The adopted history alone can say so, and the position is held to the end of the transaction: a
/// 404 of the past is none. The statement itself looks at each row's epoch once it is locked, so
/// that an order which was seen while the 404 was on its way stays as it is.
pub(super) async fn mark<B: Backend>(
    conn: &mut B::Connection,
    identity: &FeedIdentity,
    numbers: &[i64],
    at: Timestamp,
) -> Result<i64> {
    if !pull_state::is_adopted::<B>(conn, identity).await? {
        return Ok(0);
    }
    let batch = Batch::new().int("of_order", numbers.iter().copied());
    let sql = format!(
        "update orders set missing_at_source = true, missing_since = $1
         from {} where number = of_order and epoch < $2 and not missing_at_source",
        batch.table::<B>(3)
    );
    let marked = query::<B>(AssertSqlSafe(sql))
        .bind(at.micros())
        .bind(identity.epoch.0)
        .bind_batch(batch)
        .execute(conn)
        .await?;
    Ok(i64::try_from(marked).unwrap_or(i64::MAX))
}

/// Settles what becomes of an order, which is held from here on: it cannot come back in between.
/// The same decision again changes nothing.
pub(super) async fn decide<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
    decision: Decision,
    at: Timestamp,
) -> Result<Decided> {
    let Some(order) = lock::<B>(conn, number).await? else { return Ok(Decided::NotFound) };
    if !order.missing_at_source {
        return Ok(Decided::NotMissing);
    }
    let holds = match decision {
        Decision::Keep => order.kept_at.is_some() || keep::<B>(conn, number, at).await?,
        Decision::Withdraw => {
            withdraw::<B>(conn, number, at).await? || is_withdrawn::<B>(conn, number).await?
        }
    };
    if !holds {
        return Ok(Decided::NothingOpen);
    }
    let order = orders::get::<B>(conn, number).await?;
    Ok(order.map_or(Decided::NotFound, |order| Decided::Done(Box::new(order))))
}

async fn lock<B: Backend>(conn: &mut B::Connection, number: i64) -> Result<Option<StoredOrder>> {
    let sql = format!("select {} from orders where number = $1{}", orders::COLUMNS, B::FOR_UPDATE);
    let row = query::<B>(AssertSqlSafe(sql)).bind(number).fetch_optional(conn).await?;
    row.as_ref().map(orders::read).transpose()
}

/// Whether there is an invoice to keep it for.
async fn keep<B: Backend>(conn: &mut B::Connection, number: i64, at: Timestamp) -> Result<bool> {
    let kept =
        query::<B>("update orders set kept_at = $1 where number = $2 and invoice_id is not null")
            .bind(at.micros())
            .bind(number)
            .execute(conn)
            .await?;
    Ok(kept == 1)
}

/// Whether there was an invoice to withdraw.
async fn withdraw<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
    at: Timestamp,
) -> Result<bool> {
    if !drafts::withdraw_lost::<B>(conn, number, at).await? {
        return Ok(false);
    }
    query::<B>("update orders set kept_at = null where number = $1")
        .bind(number)
        .execute_exactly(1, conn)
        .await?;
    Ok(true)
}

/// Whether the order's newest invoice was withdrawn by this very decision.
async fn is_withdrawn<B: Backend>(conn: &mut B::Connection, number: i64) -> Result<bool> {
    let newest = query::<B>(
        "select order_was_lost from invoices where order_number = $1 order by id desc limit 1",
    )
    .bind(number)
    .fetch_optional(conn)
    .await?;
    newest.map_or(Ok(false), |newest| newest.get("order_was_lost"))
}
