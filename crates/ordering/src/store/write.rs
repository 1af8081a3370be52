//! Writing a plan: the same few statements for one order as for thousands.

use contract::order::{Address, Customer, Line, Order, OrderState};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Error, Result, query};

use super::{customers, documents, transactions};
use crate::scope::{Action, Committed, Plan, PlannedOrder};

/// Writes everything that is planned. What it changes is locked by this transaction.
pub(super) async fn plan<B: Backend>(
    conn: &mut B::Connection,
    plan: Plan,
    transaction: String,
    at: Timestamp,
) -> Result<Committed> {
    let Plan { customers, mut orders } = plan;
    customers::write::<B>(conn, &customers).await?;
    let mut inserted: Vec<_> = orders.iter_mut().filter(|order| is_new(order)).collect();
    insert::<B>(conn, &mut inserted).await?;
    let updated: Vec<_> = orders.iter().filter(|order| is_changed(order)).collect();
    update::<B>(conn, &updated).await?;
    replace_lines::<B>(conn, &orders).await?;
    documents::write::<B>(conn, &orders).await?;
    record::<B>(conn, &orders).await?;
    transactions::record::<B>(conn, &transaction, at, &customers, &orders).await?;
    Ok(Committed {
        transaction,
        customers: customers.into_iter().map(|planned| planned.customer).collect(),
        orders: orders.into_iter().map(|planned| planned.order).collect(),
    })
}

fn is_new(planned: &PlannedOrder) -> bool {
    planned.action.is_some_and(Action::is_new)
}

fn is_changed(planned: &PlannedOrder) -> bool {
    planned.action.is_some_and(|action| !action.is_new())
}

/// What [`with_content`] adds to a batch.
const CONTENT: [&str; 17] = [
    "state",
    "currency",
    "reference",
    "note",
    "net_minor",
    "tax_minor",
    "total_minor",
    "line_count",
    "customer_id",
    "customer_name",
    "customer_email",
    "customer_address_line1",
    "customer_address_line2",
    "customer_postal_code",
    "customer_city",
    "customer_country",
    "changed_at",
];

/// Keeps new orders and gives them their numbers.
async fn insert<B: Backend>(
    conn: &mut B::Connection,
    orders: &mut [&mut PlannedOrder],
) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let batch = with_content(orders.iter().map(|planned| &planned.order));
    let batch = batch.int("place", (0..).take(orders.len()));
    let content = CONTENT.join(", ");
    let sql = format!(
        "insert into orders (version, {content}, created_at, confirmed_at) \
         select 1, {content}, changed_at, confirmed_at from {} where true \
         order by place returning number, total_minor",
        batch.table::<B>(1)
    );
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    let mut given = Vec::with_capacity(rows.len());
    for row in &rows {
        given.push((row.get::<i64>("number")?, row.get::<i64>("total_minor")?));
    }
    // Rows are numbered in the order in which they are inserted, but may be returned in any.
    given.sort_unstable();
    let expected = orders.len() as u64;
    if rows.len() != orders.len() {
        return Err(Error::WrongCount { expected, touched: rows.len() as u64 });
    }
    for (planned, (number, total_minor)) in orders.iter_mut().zip(given) {
        if planned.order.total_minor != total_minor {
            return Err(Error::Damaged("new orders are not numbered in their order".into()));
        }
        planned.order.number = number;
    }
    Ok(())
}

/// Writes all of locked orders but their lines, each as its next version.
///
/// The only statement that changes an order. A trigger of the database makes each exposed one wait for
/// its next number.
async fn update<B: Backend>(conn: &mut B::Connection, orders: &[&PlannedOrder]) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let batch = with_content(orders.iter().map(|planned| &planned.order))
        .int("number", orders.iter().map(|planned| planned.order.number))
        .int("version", orders.iter().map(|planned| planned.order.version))
        .int("deleted_at", orders.iter().map(|planned| micros(planned.order.deleted_at)));
    let content = CONTENT.map(|column| format!("{column} = batch.{column}")).join(", ");
    let sql = format!(
        "update orders set version = orders.version + 1, confirmed_at = batch.confirmed_at, deleted_at = batch.deleted_at, {content} \
         from {} where orders.number = batch.number and orders.version = batch.version - 1",
        batch.table::<B>(1)
    );
    let update = query::<B>(AssertSqlSafe(sql)).bind_batch(batch);
    update.execute_exactly(orders.len() as u64, conn).await
}

/// The columns of [`CONTENT`], and with them `confirmed_at`.
fn with_content<'a>(orders: impl Iterator<Item = &'a Order> + Clone) -> Batch<'a> {
    // A draft shows its customer as it is now, so it keeps no copy.
    let customers = orders
        .clone()
        .map(|order| Some(&order.customer).filter(|_| order.state != OrderState::Draft));
    let of_customer =
        |of: fn(&Customer) -> &str| customers.clone().map(move |customer| customer.map(of));
    let of_address = |of: fn(&Address) -> &Option<String>| {
        let address = customers.clone().map(|customer| customer.and_then(|it| it.address.as_ref()));
        address.map(move |address| address.and_then(|address| of(address).as_deref()))
    };
    Batch::new()
        .text("state", orders.clone().map(|order| order.state.as_str()))
        .text("currency", orders.clone().map(|order| &*order.currency))
        .text("reference", orders.clone().map(|order| order.reference.as_deref()))
        .text("note", orders.clone().map(|order| order.note.as_deref()))
        .int("net_minor", orders.clone().map(|order| order.net_minor))
        .int("tax_minor", orders.clone().map(|order| order.tax_minor))
        .int("total_minor", orders.clone().map(|order| order.total_minor))
        .int("line_count", orders.clone().map(|order| line_count(&order.lines)))
        .text("customer_id", orders.clone().map(|order| &*order.customer.id))
        .text("customer_name", of_customer(|customer| &customer.name))
        .text("customer_email", of_customer(|customer| &customer.email))
        .text("customer_address_line1", of_address(|address| &address.line1))
        .text("customer_address_line2", of_address(|address| &address.line2))
        .text("customer_postal_code", of_address(|address| &address.postal_code))
        .text("customer_city", of_address(|address| &address.city))
        .text("customer_country", of_address(|address| &address.country))
        .int("changed_at", orders.clone().map(|order| order.changed_at.micros()))
        .int("confirmed_at", orders.map(|order| micros(order.confirmed_at)))
}

/// Keeps the lines of orders that have other ones than before, each with the number of its order.
async fn replace_lines<B: Backend>(
    conn: &mut B::Connection,
    orders: &[PlannedOrder],
) -> Result<()> {
    let replaced: Vec<_> = orders.iter().filter(|planned| planned.replaces_lines).collect();
    let had_lines: Vec<_> = replaced.iter().filter(|planned| is_changed(planned)).collect();
    if !had_lines.is_empty() {
        let batch =
            Batch::new().int("number", had_lines.iter().map(|planned| planned.order.number));
        let sql = format!(
            "delete from order_lines where order_number in (select number from {})",
            batch.table::<B>(1)
        );
        query::<B>(AssertSqlSafe(sql)).bind_batch(batch).execute(conn).await?;
    }
    let lines: Vec<_> = replaced
        .iter()
        .flat_map(|planned| planned.order.lines.iter().map(|line| (planned.order.number, line)))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let number = |of: fn(&Line) -> i64| lines.iter().map(move |(_, line)| of(line));
    let batch = Batch::new()
        .int("order_number", lines.iter().map(|(order, _)| *order))
        .int("line_no", number(|line| line.line_no))
        .text("sku", lines.iter().map(|(_, line)| &*line.sku))
        .text("description", lines.iter().map(|(_, line)| line.description.as_deref()))
        .int("quantity", number(|line| line.quantity))
        .int("unit_price_minor", number(|line| line.unit_price_minor))
        .int("tax_basis_points", number(|line| line.tax_basis_points));
    let columns =
        "order_number, line_no, sku, description, quantity, unit_price_minor, tax_basis_points";
    let table = batch.table::<B>(1);
    let sql = format!("insert into order_lines ({columns}) select {columns} from {table}");
    let insert = query::<B>(AssertSqlSafe(sql)).bind_batch(batch);
    insert.execute_exactly(lines.len() as u64, conn).await
}

/// Notes in the history of each order what made this version of it.
async fn record<B: Backend>(conn: &mut B::Connection, orders: &[PlannedOrder]) -> Result<()> {
    let written = || orders.iter().filter_map(|planned| Some((planned.action?, &planned.order)));
    let count = written().count();
    if count == 0 {
        return Ok(());
    }
    let batch = Batch::new()
        .int("order_number", written().map(|(_, order)| order.number))
        .int("version", written().map(|(_, order)| order.version))
        .text("state", written().map(|(_, order)| order.state.as_str()))
        .text("action", written().map(|(action, _)| action.as_str().to_owned()))
        .int("at", written().map(|(_, order)| order.changed_at.micros()));
    let columns = "order_number, version, state, action, at";
    let table = batch.table::<B>(1);
    let sql = format!("insert into order_versions ({columns}) select {columns} from {table}");
    let insert = query::<B>(AssertSqlSafe(sql)).bind_batch(batch);
    insert.execute_exactly(count as u64, conn).await
}

fn line_count(lines: &[Line]) -> i64 {
    i64::try_from(lines.len()).unwrap_or(i64::MAX)
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::micros)
}
