//! Committing a scope: one transaction that loads what it names, resolves it, and writes the plan.

use std::collections::HashMap;

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Result, query};

use super::{IdempotencyKey, customers, idempotency, orders, write};
use crate::scope::{ImportedOrder, Outcome, Refused, Scope, Stored};

/// Writes all of `scope`, or nothing. Anything but `Done` must be rolled back: a refused request
/// takes its key back with it, so that it may be corrected and sent again.
pub(super) async fn commit<B: Backend>(
    conn: &mut B::Connection,
    scope: &Scope,
    key: Option<&IdempotencyKey>,
    transaction: String,
    at: Timestamp,
) -> Result<Outcome> {
    if let Some(key) = key
        && let Some(answered) = idempotency::claim::<B>(conn, key, at).await?
    {
        return Ok(answered);
    }
    lock::<B>(conn, scope).await?;
    let stored = load::<B>(conn, scope).await?;
    let plan = match scope.resolve(&stored, at) {
        Ok(plan) => plan,
        Err(refused) => return Ok(Outcome::Refused(refused)),
    };
    let committed = write::plan::<B>(conn, plan, transaction, at).await?;
    if let Some(key) = key {
        idempotency::answer::<B>(conn, key, &committed).await?;
    }
    Ok(Outcome::Done(committed))
}

/// Everything that is in the way of writing `scope`; locks nothing.
pub(super) async fn check<B: Backend>(
    conn: &mut B::Connection,
    scope: &Scope,
    at: Timestamp,
) -> Result<Option<Refused>> {
    let stored = load::<B>(conn, scope).await?;
    Ok(scope.resolve(&stored, at).err())
}

/// Locks everything that the scope changes until the transaction ends: no other change of it comes
/// in between. A statement that reads it afterwards sees what was committed while the lock was
/// waited for.
///
/// Always in the same order: imports, orders by number, customers by id. So no two transactions
/// ever wait for each other.
async fn lock<B: Backend>(conn: &mut B::Connection, scope: &Scope) -> Result<()> {
    // A write transaction that locks no rows is alone anyway.
    if B::FOR_UPDATE.is_empty() {
        return Ok(());
    }
    if !scope.imports().is_empty() {
        // Of two imports at once, the second looks for known references when the first has
        // committed.
        let sql = format!("select name from locks where name = 'import'{}", B::FOR_UPDATE);
        query::<B>(AssertSqlSafe(sql)).fetch_one(conn).await?;
    }
    let numbers = scope.changed_orders();
    if !numbers.is_empty() {
        orders::lock::<B>(conn, &numbers).await?;
    }
    let ids = scope.changed_customers();
    if !ids.is_empty() {
        customers::lock::<B>(conn, &ids).await?;
    }
    Ok(())
}

/// Reads everything that the scope names.
async fn load<B: Backend>(conn: &mut B::Connection, scope: &Scope) -> Result<Stored> {
    let mut stored = Stored::default();
    if !scope.imports().is_empty() {
        load_imports::<B>(conn, scope.imports(), &mut stored).await?;
    }
    let numbers = scope.changed_orders();
    if !numbers.is_empty() {
        stored.orders = orders::load::<B>(conn, &numbers).await?;
    }
    let mut ids = scope.named_customers();
    ids.extend(scope.changed_customers());
    if !ids.is_empty() {
        stored.customers = customers::load::<B>(conn, &ids).await?;
    }
    Ok(stored)
}

async fn load_imports<B: Backend>(
    conn: &mut B::Connection,
    imports: &[ImportedOrder],
    stored: &mut Stored,
) -> Result<()> {
    let batch = Batch::new()
        .text("reference", imports.iter().map(|import| import.input.reference.as_deref()))
        .text("external_id", imports.iter().map(|import| &*import.external_customer_id));
    let sql = format!(
        "select distinct o.reference from {} join orders o on o.reference = batch.reference",
        batch.table::<B>(1)
    );
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch.clone()).fetch_all(conn).await?;
    stored.known_references = rows.iter().map(|row| row.get("reference")).collect::<Result<_>>()?;
    let sql = format!(
        "select distinct c.external_id, c.id \
         from {} join customers c on c.external_id = batch.external_id",
        batch.table::<B>(1)
    );
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    let known = rows.iter().map(|row| Ok((row.get("external_id")?, row.get("id")?)));
    stored.external_customers = known.collect::<Result<HashMap<_, _>>>()?;
    Ok(())
}
