//! What happened to orders.

use contract::order::{Order, OrderState};
use contract::time::Timestamp;
use kit::db::{Backend, Error, Result, query};

use super::HistoryEntry;

/// Notes that `action` made this version of the order.
pub(super) async fn record<B: Backend>(
    conn: &mut B::Connection,
    order: &Order,
    action: &str,
) -> Result<()> {
    let insert = query::<B>(
        "insert into order_versions (order_number, version, state, action, at) \
         values ($1, $2, $3, $4, $5)",
    );
    insert
        .bind(order.number)
        .bind(order.version)
        .bind(order.state.as_str().to_owned())
        .bind(action.to_owned())
        .bind(order.changed_at.micros())
        .execute_exactly(1, conn)
        .await
}

/// What happened to an order, oldest first.
pub(super) async fn of<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
) -> Result<Vec<HistoryEntry>> {
    let select = query::<B>(
        "select version, state, action, at from order_versions \
         where order_number = $1 order by version",
    );
    let rows = select.bind(number).fetch_all(conn).await?;
    let entry = |row: &kit::db::Row<B>| {
        Ok(HistoryEntry {
            version: row.get("version")?,
            state: parse_state(&row.get::<String>("state")?)?,
            action: row.get("action")?,
            at: Timestamp::from_micros(row.get("at")?),
        })
    };
    rows.iter().map(entry).collect()
}

/// The state that a stored word names.
pub(super) fn parse_state(word: &str) -> Result<OrderState> {
    OrderState::parse(word).ok_or_else(|| Error::Damaged(format!("an order is in state {word:?}")))
}
