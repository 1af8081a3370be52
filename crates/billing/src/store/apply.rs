//! Taking in what ordering answered: orders, their invoices and the token, in one transaction and
//! with the same number of statements for one order as for thousands. For a short page one statement is
//! tried before: [`super::at_once`].
//!
//! It has to be right while another process takes in the same page, a deep link pulls one of its
//! orders, and somebody approves an invoice. PostgreSQL runs all of it at READ COMMITTED, where
//! every statement sees what was committed before it began, and a statement that waited for a
//! row's lock sees that row as it is now. On SQLite write transactions are alone anyway.
//!
//! 1. `pull_state` is locked by a page, so pages of two processes queue here, and the second finds
//!    the token moved. An order pulled by number only looks, so that it waits for no page.
//! 2. The upsert locks the orders' rows by rising number, the same order everywhere. Its guard
//!    compares with the row as it is once it is locked, and waits for an approval under way, which holds
//!    it. A draft is part of the row, and follows with it. From here on nobody else changes the
//!    invoices of these orders. It stores no tombstone over a draft: only when the row is held, a
//!    statement sees for sure whether there is one, and what it says. It is withdrawn then, and the
//!    tombstone stored after it.
//!    Orders that are all new, as far as could be seen before the page waited for the position, have no
//!    rows to compare with: when another transaction inserts one of them first, the insert fails, and
//!    the next transaction sees it. An entry of the quarantine that came meanwhile is as one that was
//!    committed right after it.
//! 3. Orders that cannot be taken in are put aside, and those that fit by now let out; see
//!    [`super::quarantine`] for why nothing has to be locked for it.
//! 4. Invoices that are no drafts are read and locked in a later statement, which sees every invoice
//!    that an earlier holder of the order's row left behind.

use contract::time::Timestamp;
use kit::db::{Backend, Result};
use kit::random::Random;

use super::orders::Upserted;
use super::pull_state::{self, Seen};
use super::{Applied, Received, RowVersion, checksums, drafts, follow, orders, quarantine};
use crate::pull::Counts;

/// Takes in an answer. The transaction may be committed only when it is [`Applied::Done`].
pub(super) async fn apply<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    random: &Random,
    at: Timestamp,
) -> Result<Applied> {
    let seen = match pull_state::admit::<B>(conn, received, at).await? {
        Ok(seen) => seen,
        Err(refused) => return Ok(refused),
    };
    let Some(stored) = store::<B>(conn, received, seen, random, at).await? else {
        return Ok(Applied::Superseded);
    };
    complete::<B>(conn, received, stored, random, at).await
}

/// Takes in orders that are not newer than their copies, if the row of each is still as it was
/// `seen`. The transaction may be committed only when it is [`Applied::Done`].
pub(super) async fn replace<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    seen: RowVersion,
    random: &Random,
    at: Timestamp,
) -> Result<Applied> {
    // The position comes before the orders, as everywhere.
    if let Err(refused) = pull_state::admit::<B>(conn, received, at).await? {
        return Ok(refused);
    }
    for order in &received.orders {
        if !checksums::give_up::<B>(conn, order.number, seen).await? {
            return Ok(Applied::Superseded);
        }
    }
    let stored = upsert::<B>(conn, received, random, at).await?;
    complete::<B>(conn, received, stored, random, at).await
}

/// Stores the orders of an answer, of which `seen` was here; `None` when another transaction was faster
/// with one of them.
async fn store<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    seen: Option<Seen>,
    random: &Random,
    at: Timestamp,
) -> Result<Option<(Counts, Upserted)>> {
    match seen {
        Some(Seen { any_order: false, any_aside }) if received.orders.len() >= orders::MANY => {
            insert::<B>(conn, received, any_aside, random, at).await
        }
        _ => upsert::<B>(conn, received, random, at).await.map(Some),
    }
}

/// Stores orders that are all new. They have no other invoices than the drafts that are made with them, so
/// none of them is to be followed.
async fn insert<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    any_aside: bool,
    random: &Random,
    at: Timestamp,
) -> Result<Option<(Counts, Upserted)>> {
    let orders: Vec<_> = received.orders.iter().collect();
    if !orders::insert::<B>(conn, received.identity.epoch, &orders, random, at).await? {
        return Ok(None);
    }
    let mut counts = Counts::default();
    for order in orders {
        if order.is_deleted() {
            counts.removed += 1;
        } else {
            counts.new += 1;
        }
    }
    Ok(Some((counts, Upserted { any_aside, ..Upserted::default() })))
}

/// Stores the orders that are newer than what is here, whatever that is.
async fn upsert<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    random: &Random,
    at: Timestamp,
) -> Result<(Counts, Upserted)> {
    let epoch = received.identity.epoch;
    let orders: Vec<_> = received.orders.iter().collect();
    let mut upserted = orders::upsert::<B>(conn, epoch, &orders, random, at).await?;
    let stored = &mut upserted.stored;
    let refused: Vec<_> = (orders.into_iter())
        .filter(|order| order.is_deleted() && !stored.contains_key(&order.number))
        .collect();
    if drafts::withdraw_deleted::<B>(conn, epoch, &refused, at).await? > 0 {
        stored.extend(orders::upsert::<B>(conn, epoch, &refused, random, at).await?.stored);
    }
    let mut counts = Counts::default();
    for order in &received.orders {
        match stored.get(&order.number) {
            None => counts.unchanged += 1,
            Some(_) if order.is_deleted() => counts.removed += 1,
            Some(stored) if stored.revision == orders::INSERTED => counts.new += 1,
            Some(_) => counts.changed += 1,
        }
    }
    Ok((counts, upserted))
}

/// Does what is left to do for an answer whose orders are stored, and counts what it did.
async fn complete<B: Backend>(
    conn: &mut B::Connection,
    received: &Received,
    (mut counts, Upserted { stored, any_aside }): (Counts, Upserted),
    random: &Random,
    at: Timestamp,
) -> Result<Applied> {
    counts.pages = received.pages();
    if any_aside {
        quarantine::release::<B>(conn, received).await?;
    }
    counts.quarantined = quarantine::put_aside::<B>(conn, received, at).await?;
    // Of the others, something newer is here already.
    let unfit = i64::try_from(received.unfit.len()).unwrap_or(i64::MAX);
    counts.unchanged += unfit - counts.quarantined;
    follow::follow::<B>(conn, received, &stored, random, at).await?;
    pull_state::count::<B>(conn, &counts, at).await?;
    Ok(Applied::Done(counts))
}
