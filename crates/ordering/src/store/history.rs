//! What happened to orders.

use contract::order::OrderState;
use contract::time::Timestamp;
use kit::db::{Backend, Error, Result, query};

use super::HistoryEntry;
use crate::scope::Action;

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
            action: parse_action(&row.get::<String>("action")?)?,
            at: Timestamp::from_micros(row.get("at")?),
        })
    };
    rows.iter().map(entry).collect()
}

fn parse_action(word: &str) -> Result<Action> {
    Action::parse(word).ok_or_else(|| Error::Damaged(format!("an order was {word:?}")))
}

/// The state that a stored word names.
pub(super) fn parse_state(word: &str) -> Result<OrderState> {
    OrderState::parse(word).ok_or_else(|| Error::Damaged(format!("an order is in state {word:?}")))
}
