//! Requests that were answered before.

use contract::time::Timestamp;
use kit::db::{Backend, Error, Result, query};

use super::IdempotencyKey;
use crate::scope::{Committed, Outcome};

/// Claims the key for this transaction. `None`: it is free, and whoever else comes with it waits
/// for this transaction to end. Otherwise the answer that was given to it before.
pub(super) async fn claim<B: Backend>(
    conn: &mut B::Connection,
    key: &IdempotencyKey,
    at: Timestamp,
) -> Result<Option<Outcome>> {
    let claim = query::<B>(
        "insert into idempotency_keys (key, fingerprint, created_at) values ($1, $2, $3) \
         on conflict (key) do nothing",
    );
    let claim = claim.bind(key.key.clone()).bind(key.fingerprint.clone()).bind(at.micros());
    if claim.execute(conn).await? == 1 {
        return Ok(None);
    }
    // A statement of its own, so that it sees what the winner of a race has committed.
    let row = query::<B>("select fingerprint, response from idempotency_keys where key = $1")
        .bind(key.key.clone())
        .fetch_one(conn)
        .await?;
    if row.get::<String>("fingerprint")? != key.fingerprint {
        return Ok(Some(Outcome::KeyReused));
    }
    let damaged = |error| Error::Damaged(format!("the answer kept for a key: {error}"));
    let committed = serde_json::from_str(&row.get::<String>("response")?).map_err(damaged)?;
    Ok(Some(Outcome::Repeated(committed)))
}

/// Keeps the answer, to be given again.
pub(super) async fn answer<B: Backend>(
    conn: &mut B::Connection,
    key: &IdempotencyKey,
    committed: &Committed,
) -> Result<()> {
    let damaged = |error| Error::Damaged(format!("an answer that is no JSON: {error}"));
    let response = serde_json::to_string(committed).map_err(damaged)?;
    query::<B>("update idempotency_keys set response = $2 where key = $1")
        .bind(key.key.clone())
        .bind(response)
        .execute_exactly(1, conn)
        .await
}
