//! Reading orders.

use std::collections::{BTreeSet, HashMap};

use contract::feed::SequenceNr;
use contract::order::{Customer, Line, Order, OrderState};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Query, Result, Row, query};

use super::OrderFilter;
use super::customers::read_address;
use super::history::parse_state;

/// A `select` of orders without their lines, to which conditions on `o` may be added.
///
/// The confirmed sequence number is −1 while an order waits for its number, and of those that were
/// never confirmed.
///
/// Only a draft has no copy of its customer, and only a draft is joined to it, so `coalesce` takes
/// whichever there is. For all others the `case` makes the key null, which costs no look into the
/// index.
pub(super) const SELECT: &str = "select o.number, o.state, o.version, \
      coalesce((select feed_sequence_nr from feed_places where feed_places.number = o.number \
        order by change_id desc limit 1), -1) as confirmed_sequence_nr, \
      o.customer_id, coalesce(o.customer_name, c.name) as name, \
      coalesce(o.customer_email, c.email) as email, \
      coalesce(o.customer_address_line1, c.address_line1) as address_line1, \
      coalesce(o.customer_address_line2, c.address_line2) as address_line2, \
      coalesce(o.customer_postal_code, c.postal_code) as postal_code, \
      coalesce(o.customer_city, c.city) as city, \
      coalesce(o.customer_country, c.country) as country, \
      o.currency, o.reference, o.note, o.net_minor, o.tax_minor, o.total_minor, \
      o.line_count, o.confirmed_at, o.changed_at, o.deleted_at \
    from orders o \
    left join customers c on c.id = case o.state when 'draft' then o.customer_id end";

/// The order with this number.
pub(super) async fn find<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
) -> Result<Option<Order>> {
    let select = query::<B>(AssertSqlSafe(format!("{SELECT} where o.number = $1")));
    let Some(row) = select.bind(number).fetch_optional(conn).await? else { return Ok(None) };
    let mut orders = [read(&row)?];
    add_lines::<B>(conn, &mut orders).await?;
    let [order] = orders;
    Ok(Some(order))
}

/// Locks the orders with these numbers.
pub(super) async fn lock<B: Backend>(
    conn: &mut B::Connection,
    numbers: &BTreeSet<i64>,
) -> Result<()> {
    let batch = Batch::new().int("number", numbers.iter().copied());
    let sql = format!(
        "select o.number from {} join orders o on o.number = batch.number order by o.number{}",
        batch.table::<B>(1),
        B::FOR_UPDATE
    );
    query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    Ok(())
}

/// The orders with these numbers, by number.
pub(super) async fn load<B: Backend>(
    conn: &mut B::Connection,
    numbers: &BTreeSet<i64>,
) -> Result<HashMap<i64, Order>> {
    let batch = Batch::new().int("number", numbers.iter().copied());
    let table = batch.table::<B>(1);
    let sql = format!("{SELECT} where o.number in (select number from {table})");
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    let mut orders = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    add_lines::<B>(conn, &mut orders).await?;
    Ok(orders.into_iter().map(|order| (order.number, order)).collect())
}

/// Orders by falling number.
pub(super) async fn list<B: Backend>(
    conn: &mut B::Connection,
    filter: &OrderFilter,
    limit: i64,
) -> Result<Vec<Order>> {
    // No stored text holds NUL, which PostgreSQL would refuse.
    let texts = [&filter.customer_id, &filter.search];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Ok(Vec::new());
    }
    let (conditions, texts) = conditions(filter);
    let sql = format!("{SELECT} where {conditions} order by o.number desc limit $1");
    let select = query::<B>(AssertSqlSafe(sql)).bind(limit);
    let select = texts.into_iter().fold(select, Query::bind);
    let rows = select.fetch_all(conn).await?;
    let mut orders = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    add_lines::<B>(conn, &mut orders).await?;
    Ok(orders)
}

/// The conditions of a list, only those that are asked for so that each can use its index, and
/// the texts they compare with, from parameter $2. Numbers and states stand in the statement itself.
fn conditions(filter: &OrderFilter) -> (String, Vec<String>) {
    let mut texts = Vec::new();
    let mut parameter = |text: String| {
        texts.push(text);
        format!("${}", texts.len() + 1)
    };
    let mut conditions = vec![format!("o.number < {}", filter.after.unwrap_or(i64::MAX))];
    if let Some(state) = filter.state {
        conditions.push(format!("o.state = '{state}'"));
        if state != OrderState::Confirmed {
            // SQLite uses the index of all but these only when it is told so in these very words.
            conditions.push("o.state <> 'confirmed'".to_owned());
        }
    }
    if let Some(id) = &filter.customer_id {
        conditions.push(format!("o.customer_id = {}", parameter(id.clone())));
    }
    if let Some(search) = &filter.search {
        let search = search.trim();
        let mut any = Vec::new();
        if let Ok(number) = search.parse::<i64>() {
            any.push(format!("o.number = {number}"));
        }
        // Both sides are lowered by the database: the two know different letters.
        let begins = parameter(format!("{}%", escape_like(search)));
        any.push(format!(r"lower(o.reference) like lower({begins}) escape '\'"));
        let contains = parameter(format!("%{}%", escape_like(search)));
        let name = "coalesce(o.customer_name, c.name)";
        any.push(format!(r"lower({name}) like lower({contains}) escape '\'"));
        conditions.push(format!("({})", any.join(" or ")));
    }
    (conditions.join(" and "), texts)
}

/// The text without the meaning that `%` and `_` have in a `like` pattern.
fn escape_like(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

/// How many lines are read with one statement: of orders with 2,000 lines each, thousands are not read
/// into memory at once.
const LINES_AT_ONCE: i64 = 5_000;

/// The first orders in `rows`, of [`SELECT`], with their lines: as many as have lines that are read at
/// once, but at least one; `rows` then holds the others. Empty when `rows` is.
pub(super) async fn take_chunk<B: Backend>(
    conn: &mut B::Connection,
    rows: &mut &[Row<B>],
) -> Result<Vec<Order>> {
    let (mut orders, mut lines) = (Vec::with_capacity(rows.len()), 0);
    for row in *rows {
        lines += row.get::<i64>("line_count")?;
        if lines > LINES_AT_ONCE && !orders.is_empty() {
            break;
        }
        orders.push(read(row)?);
    }
    *rows = &rows[orders.len()..];
    add_lines::<B>(conn, &mut orders).await?;
    Ok(orders)
}

/// Reads the lines of all these orders with one statement.
async fn add_lines<B: Backend>(conn: &mut B::Connection, orders: &mut [Order]) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let numbers = Batch::new().int("number", orders.iter().map(|order| order.number));
    let found = B::rows_by_key("order_lines", "order_number", "line_no");
    let sql = format!(
        "select order_number, line_no, sku, description, quantity, unit_price_minor, \
           tax_basis_points \
         from {found}"
    );
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(numbers).fetch_all(conn).await?;
    let mut lines: HashMap<i64, Vec<Line>> = HashMap::with_capacity(orders.len());
    for row in &rows {
        let mut columns = row.columns();
        let number = columns.take()?;
        let line = Line {
            line_no: columns.take()?,
            sku: columns.take()?,
            description: columns.take()?,
            quantity: columns.take()?,
            unit_price_minor: columns.take()?,
            tax_basis_points: columns.take()?,
        };
        lines.entry(number).or_default().push(line);
    }
    for order in orders {
        order.lines = lines.remove(&order.number).unwrap_or_default();
        order.lines.sort_unstable_by_key(|line| line.line_no);
    }
    Ok(())
}

/// The order in a row of [`SELECT`], without lines.
pub(super) fn read<B: Backend>(row: &Row<B>) -> Result<Order> {
    Ok(Order {
        number: row.get("number")?,
        state: parse_state(&row.get::<String>("state")?)?,
        version: row.get("version")?,
        confirmed_sequence_nr: SequenceNr(row.get("confirmed_sequence_nr")?),
        customer: Customer {
            id: row.get("customer_id")?,
            name: row.get("name")?,
            email: row.get("email")?,
            address: read_address(row)?,
        },
        currency: row.get("currency")?,
        reference: row.get("reference")?,
        note: row.get("note")?,
        lines: Vec::new(),
        net_minor: row.get("net_minor")?,
        tax_minor: row.get("tax_minor")?,
        total_minor: row.get("total_minor")?,
        confirmed_at: row.get::<Option<i64>>("confirmed_at")?.map(Timestamp::from_micros),
        changed_at: Timestamp::from_micros(row.get("changed_at")?),
        deleted_at: row.get::<Option<i64>>("deleted_at")?.map(Timestamp::from_micros),
    })
}
