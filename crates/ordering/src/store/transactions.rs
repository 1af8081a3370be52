//! What was written together.

use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Error, Result, query};

use super::{Entity, Transaction};
use crate::scope::{Action, Kind, PlannedCustomer, PlannedOrder};

/// Notes what a transaction wrote; one that wrote nothing leaves no trace.
pub(super) async fn record<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
    at: Timestamp,
    customers: &[PlannedCustomer],
    orders: &[PlannedOrder],
) -> Result<()> {
    let customers = customers.iter().map(|planned| Entity {
        kind: Kind::Customer,
        key: planned.customer.id.clone(),
        action: planned.action,
        version: planned.customer.version,
    });
    let orders = orders.iter().filter_map(|planned| {
        let (kind, key) = (Kind::Order, planned.order.number.to_string());
        Some(Entity { kind, key, action: planned.action?, version: planned.order.version })
    });
    let entities: Vec<_> = customers.chain(orders).collect();
    if entities.is_empty() {
        return Ok(());
    }
    query::<B>("insert into transactions (id, at) values ($1, $2)")
        .bind(id.to_owned())
        .bind(at.micros())
        .execute_exactly(1, conn)
        .await?;
    let batch = Batch::new()
        .int("place", (1..).take(entities.len()))
        .text("kind", entities.iter().map(|entity| entity.kind.as_str()))
        .text("key", entities.iter().map(|entity| &*entity.key))
        .text("action", entities.iter().map(|entity| entity.action.as_str()))
        .int("version", entities.iter().map(|entity| entity.version));
    let sql = format!(
        "insert into transaction_entities (transaction_id, place, kind, key, action, version) \
         select $1, place, kind, key, action, version from {}",
        batch.table::<B>(2)
    );
    let insert = query::<B>(AssertSqlSafe(sql)).bind(id.to_owned()).bind_batch(batch);
    insert.execute_exactly(entities.len() as u64, conn).await
}

/// The transaction with this id.
pub(super) async fn find<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
) -> Result<Option<Transaction>> {
    let select = query::<B>("select at from transactions where id = $1").bind(id.to_owned());
    let Some(row) = select.fetch_optional(conn).await? else { return Ok(None) };
    let select = query::<B>(
        "select kind, key, action, version from transaction_entities \
         where transaction_id = $1 order by place",
    );
    let rows = select.bind(id.to_owned()).fetch_all(conn).await?;
    let entity = |row: &kit::db::Row<B>| {
        let (kind, action): (String, String) = (row.get("kind")?, row.get("action")?);
        Ok(Entity {
            kind: Kind::parse(&kind).ok_or_else(|| unknown(&kind))?,
            key: row.get("key")?,
            action: Action::parse(&action).ok_or_else(|| unknown(&action))?,
            version: row.get("version")?,
        })
    };
    Ok(Some(Transaction {
        id: id.to_owned(),
        at: Timestamp::from_micros(row.get("at")?),
        entities: rows.iter().map(entity).collect::<Result<_>>()?,
    }))
}

fn unknown(word: &str) -> Error {
    Error::Damaged(format!("a transaction speaks of {word:?}"))
}
