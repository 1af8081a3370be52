//! Orders in bulk: a handful of statements for a whole chunk, however many orders it has.

use std::collections::{HashMap, HashSet};

use contract::money::Totals;
use contract::order::{Address, Line};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Error, Result, query};

use super::{ImportedOrder, changes};

/// What is written of an imported order.
struct Prepared<'a> {
    order: &'a ImportedOrder,
    reference: &'a str,
    lines: Vec<Line>,
    totals: Totals,
}

/// Keeps orders as confirmed; how many were new.
pub(super) async fn import<B: Backend>(
    conn: &mut B::Connection,
    orders: &[ImportedOrder],
    at: Timestamp,
) -> Result<u64> {
    let prepared = prepare(orders)?;
    if prepared.is_empty() {
        return Ok(0);
    }
    // Of two imports at once, the second looks for known references when the first has committed.
    let lock = format!("select name from locks where name = 'import'{}", B::FOR_UPDATE);
    query::<B>(AssertSqlSafe(lock)).fetch_one(conn).await?;
    insert_customers::<B>(conn, &prepared, at).await?;
    let numbers = insert_orders::<B>(conn, &prepared, at).await?;
    let new = prepared.iter().filter_map(|new| Some((*numbers.get(new.reference)?, new)));
    let lines: Vec<_> =
        new.flat_map(|(number, new)| new.lines.iter().map(move |line| (number, line))).collect();
    changes::insert_lines::<B>(conn, &lines).await?;
    record_all::<B>(conn, &numbers, at).await?;
    Ok(numbers.len() as u64)
}

/// The orders in their order, the first of those with the same reference.
fn prepare(orders: &[ImportedOrder]) -> Result<Vec<Prepared<'_>>> {
    let mut prepared: Vec<Prepared<'_>> = Vec::with_capacity(orders.len());
    let mut seen = HashSet::with_capacity(orders.len());
    let refused = |what: &str| Error::Damaged(format!("an order to import {what}"));
    for order in orders {
        let reference = order.input.reference.as_deref();
        let reference = reference.ok_or_else(|| refused("has no reference"))?;
        if !seen.insert(reference) {
            continue;
        }
        let lines = order.input.numbered_lines();
        let totals = Totals::of(&lines).ok_or_else(|| refused("has totals that do not fit"))?;
        prepared.push(Prepared { order, reference, lines, totals });
    }
    Ok(prepared)
}

/// Keeps the customers that are not known yet, each as its first order shows it.
async fn insert_customers<B: Backend>(
    conn: &mut B::Connection,
    prepared: &[Prepared<'_>],
    at: Timestamp,
) -> Result<()> {
    let mut batch = customer_columns(Batch::new(), prepared);
    batch = batch
        .text("id", prepared.iter().map(|new| new.order.new_customer_id.clone()))
        .text("external_id", prepared.iter().map(|new| new.order.external_customer_id.clone()))
        .int("place", (0..).take(prepared.len()));
    let columns = "id, external_id, name, email, \
                   address_line1, address_line2, postal_code, city, country";
    let sql = format!(
        "insert into customers (version, created_at, changed_at, {columns}) \
         select 1, $1, $1, {columns} from {} where true order by place \
         on conflict (external_id) do nothing",
        batch.table::<B>(2)
    );
    query::<B>(AssertSqlSafe(sql)).bind(at.micros()).bind_batch(batch).execute(conn).await?;
    Ok(())
}

/// Keeps the orders whose reference no order has yet; their numbers by reference.
async fn insert_orders<B: Backend>(
    conn: &mut B::Connection,
    prepared: &[Prepared<'_>],
    at: Timestamp,
) -> Result<HashMap<String, i64>> {
    let total = |of: fn(&Totals) -> i64| prepared.iter().map(move |new| of(&new.totals));
    let batch = customer_columns(Batch::new(), prepared)
        .int("place", (0..).take(prepared.len()))
        .text("external_id", prepared.iter().map(|new| new.order.external_customer_id.clone()))
        .text("reference", prepared.iter().map(|new| new.reference.to_owned()))
        .text("currency", prepared.iter().map(|new| new.order.input.currency.clone()))
        .text("note", prepared.iter().map(|new| new.order.input.note.clone()))
        .int("net_minor", total(|totals| totals.net_minor))
        .int("tax_minor", total(|totals| totals.tax_minor))
        .int("total_minor", total(|totals| totals.total_minor))
        .int("line_count", prepared.iter().map(|new| changes::line_count(&new.lines)))
        .int("confirmed_at", prepared.iter().map(|new| new.order.confirmed_at.micros()));
    let sql = format!(
        "insert into orders (state, version, unstamped_since, created_at, changed_at, \
           confirmed_at, customer_id, customer_name, customer_email, \
           customer_address_line1, customer_address_line2, customer_postal_code, customer_city, \
           customer_country, currency, reference, note, net_minor, tax_minor, total_minor, \
           line_count) \
         select 'confirmed', 1, $1, $1, $1, batch.confirmed_at, c.id, batch.name, batch.email, \
           batch.address_line1, batch.address_line2, batch.postal_code, batch.city, \
           batch.country, batch.currency, batch.reference, batch.note, batch.net_minor, \
           batch.tax_minor, batch.total_minor, batch.line_count \
         from {} join customers c on c.external_id = batch.external_id \
         where not exists (select 1 from orders o where o.reference = batch.reference) \
         order by batch.place returning number, reference",
        batch.table::<B>(2)
    );
    let insert = query::<B>(AssertSqlSafe(sql)).bind(at.micros()).bind_batch(batch);
    let rows = insert.fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.get("reference")?, row.get("number")?))).collect()
}

/// Notes in the history of each of these orders that it was imported.
async fn record_all<B: Backend>(
    conn: &mut B::Connection,
    numbers: &HashMap<String, i64>,
    at: Timestamp,
) -> Result<()> {
    let batch = Batch::new().int("number", numbers.values().copied());
    let sql = format!(
        "insert into order_versions (order_number, version, state, action, at) \
         select number, 1, 'confirmed', 'imported', $1 from {}",
        batch.table::<B>(2)
    );
    query::<B>(AssertSqlSafe(sql)).bind(at.micros()).bind_batch(batch).execute(conn).await?;
    Ok(())
}

/// Adds the columns of the orders' customers.
fn customer_columns(batch: Batch, prepared: &[Prepared<'_>]) -> Batch {
    let customers = prepared.iter().map(|new| &new.order.customer);
    let part = |of: fn(&Address) -> &Option<String>| {
        customers.clone().map(move |customer| customer.address.as_ref().and_then(|a| of(a).clone()))
    };
    batch
        .text("name", customers.clone().map(|customer| customer.name.clone()))
        .text("email", customers.clone().map(|customer| customer.email.clone()))
        .text("address_line1", part(|address| &address.line1))
        .text("address_line2", part(|address| &address.line2))
        .text("postal_code", part(|address| &address.postal_code))
        .text("city", part(|address| &address.city))
        .text("country", part(|address| &address.country))
}
