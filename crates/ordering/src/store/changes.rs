//! Writing orders: every change is made here, and each leaves its mark for the sequencer.

use contract::feed::SequenceNr;
use contract::order::{Customer, Line, Order, OrderState};
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Error, Result, query};
use kit::http::etag::IfMatch;

use super::{Change, Created, IdempotencyKey, customers, history, idempotency, orders};
use crate::order::OrderInput;

/// Keeps a new draft.
pub(super) async fn create<B: Backend>(
    conn: &mut B::Connection,
    input: &OrderInput,
    key: Option<&IdempotencyKey>,
    at: Timestamp,
) -> Result<Created> {
    if let Some(key) = key
        && let Some(answered) = idempotency::claim::<B>(conn, key, at).await?
    {
        return Ok(answered);
    }
    let Some(customer) = customer::<B>(conn, &input.customer_id).await? else {
        return Ok(Created::UnknownCustomer);
    };
    let mut order = Order {
        number: 0,
        state: OrderState::Draft,
        version: 1,
        confirmed_sequence_nr: SequenceNr::UNSTAMPED,
        customer,
        currency: String::new(),
        reference: None,
        note: None,
        lines: Vec::new(),
        net_minor: 0,
        tax_minor: 0,
        total_minor: 0,
        confirmed_at: None,
        changed_at: at,
        deleted_at: None,
    };
    set_content(&mut order, input)?;
    let insert = query::<B>(
        "insert into orders (state, version, customer_id, currency, reference, note, net_minor, \
           tax_minor, total_minor, line_count, created_at, changed_at) \
         values ('draft', 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $9) returning number",
    );
    let row = insert
        .bind(order.customer.id.clone())
        .bind(order.currency.clone())
        .bind(order.reference.clone())
        .bind(order.note.clone())
        .bind(order.net_minor)
        .bind(order.tax_minor)
        .bind(order.total_minor)
        .bind(line_count(&order.lines))
        .bind(at.micros())
        .fetch_one(conn)
        .await?;
    order.number = row.get("number")?;
    insert_lines::<B>(conn, &of_order(&order)).await?;
    history::record::<B>(conn, &order, "created").await?;
    if let Some(key) = key {
        idempotency::answer::<B>(conn, key, &order).await?;
    }
    Ok(Created::Order(Box::new(order)))
}

/// Replaces the whole content of a draft or confirmed order.
pub(super) async fn replace<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
    expected: &IfMatch,
    input: &OrderInput,
    at: Timestamp,
) -> Result<Change<Order>> {
    let Some(mut order) = find_locked::<B>(conn, number).await? else {
        return Ok(Change::NotFound);
    };
    if order.is_deleted() {
        return Ok(Change::Deleted);
    }
    if !expected.allows(order.version) {
        return Ok(Change::VersionConflict(order.version));
    }
    let Some(customer) = customer::<B>(conn, &input.customer_id).await? else {
        return Ok(Change::UnknownCustomer);
    };
    order.customer = customer;
    set_content(&mut order, input)?;
    query::<B>("delete from order_lines where order_number = $1")
        .bind(number)
        .execute(conn)
        .await?;
    insert_lines::<B>(conn, &of_order(&order)).await?;
    save::<B>(conn, &mut order, "changed", at).await?;
    Ok(Change::Done(order))
}

/// Draft to confirmed.
pub(super) async fn confirm<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
    expected: Option<&IfMatch>,
    at: Timestamp,
) -> Result<Change<Order>> {
    let Some(mut order) = find_locked::<B>(conn, number).await? else {
        return Ok(Change::NotFound);
    };
    match order.state {
        // Whoever repeats a request whose answer was lost still sends the version of before.
        OrderState::Confirmed => return Ok(Change::Done(order)),
        OrderState::Deleted => return Ok(Change::Deleted),
        OrderState::Draft => {}
    }
    if expected.is_some_and(|expected| !expected.allows(order.version)) {
        return Ok(Change::VersionConflict(order.version));
    }
    // The draft was read with its customer as it is now; saved as confirmed, that is its copy.
    order.state = OrderState::Confirmed;
    order.confirmed_at = Some(at);
    save::<B>(conn, &mut order, "confirmed", at).await?;
    Ok(Change::Done(order))
}

/// Marks the order as deleted.
pub(super) async fn delete<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
    expected: Option<&IfMatch>,
    at: Timestamp,
) -> Result<Change<Order>> {
    let Some(mut order) = find_locked::<B>(conn, number).await? else {
        return Ok(Change::NotFound);
    };
    if order.is_deleted() {
        return Ok(Change::Done(order));
    }
    if expected.is_some_and(|expected| !expected.allows(order.version)) {
        return Ok(Change::VersionConflict(order.version));
    }
    order.state = OrderState::Deleted;
    order.deleted_at = Some(at);
    save::<B>(conn, &mut order, "deleted", at).await?;
    Ok(Change::Done(order))
}

/// The order, locked until the transaction ends: no other change of it comes in between.
async fn find_locked<B: Backend>(conn: &mut B::Connection, number: i64) -> Result<Option<Order>> {
    let sql = format!("select number from orders where number = $1{}", B::FOR_UPDATE);
    let lock = query::<B>(AssertSqlSafe(sql)).bind(number);
    if lock.fetch_optional(conn).await?.is_none() {
        return Ok(None);
    }
    // A statement of its own, so that it sees what was committed while the lock was waited for.
    orders::find::<B>(conn, number).await
}

/// Writes all of a locked order but its lines, as its next version.
///
/// The only statement that changes an order, and so the only place where a change could fail to
/// be told: whatever it writes, it raises the version and puts the order before the sequencer
/// again. An order that waits already keeps its place among those waiting.
async fn save<B: Backend>(
    conn: &mut B::Connection,
    order: &mut Order,
    action: &str,
    at: Timestamp,
) -> Result<()> {
    let is_exposed = order.confirmed_at.is_some();
    // A draft shows its customer as it is now, so it keeps no copy.
    let copy = Some(&order.customer).filter(|_| order.state != OrderState::Draft).cloned();
    let address = copy.as_ref().and_then(|copy| copy.address.clone()).unwrap_or_default();
    let update = query::<B>(
        "update orders set version = version + 1, confirmed_sequence_nr = -1, \
           unstamped_since = coalesce(unstamped_since, $3), changed_at = $4, \
           state = $5, confirmed_at = $6, deleted_at = $7, \
           currency = $8, reference = $9, note = $10, \
           net_minor = $11, tax_minor = $12, total_minor = $13, line_count = $14, \
           customer_id = $15, customer_name = $16, customer_email = $17, \
           customer_address_line1 = $18, customer_address_line2 = $19, \
           customer_postal_code = $20, customer_city = $21, customer_country = $22 \
         where number = $1 and version = $2",
    );
    update
        .bind(order.number)
        .bind(order.version)
        .bind(is_exposed.then_some(at.micros()))
        .bind(at.micros())
        .bind(order.state.as_str().to_owned())
        .bind(order.confirmed_at.map(Timestamp::micros))
        .bind(order.deleted_at.map(Timestamp::micros))
        .bind(order.currency.clone())
        .bind(order.reference.clone())
        .bind(order.note.clone())
        .bind(order.net_minor)
        .bind(order.tax_minor)
        .bind(order.total_minor)
        .bind(line_count(&order.lines))
        .bind(order.customer.id.clone())
        .bind(copy.as_ref().map(|copy| copy.name.clone()))
        .bind(copy.as_ref().map(|copy| copy.email.clone()))
        .bind(address.line1)
        .bind(address.line2)
        .bind(address.postal_code)
        .bind(address.city)
        .bind(address.country)
        .execute_exactly(1, conn)
        .await?;
    order.version += 1;
    order.confirmed_sequence_nr = SequenceNr::UNSTAMPED;
    order.changed_at = at;
    history::record::<B>(conn, order, action).await
}

/// The order's lines, each with its number.
fn of_order(order: &Order) -> Vec<(i64, &Line)> {
    order.lines.iter().map(|line| (order.number, line)).collect()
}

/// Keeps lines, each with the number of its order, with one statement.
pub(super) async fn insert_lines<B: Backend>(
    conn: &mut B::Connection,
    lines: &[(i64, &Line)],
) -> Result<()> {
    let number = |of: fn(&Line) -> i64| lines.iter().map(move |(_, line)| of(line));
    let batch = Batch::new()
        .int("order_number", lines.iter().map(|(order, _)| *order))
        .int("line_no", number(|line| line.line_no))
        .text("sku", lines.iter().map(|(_, line)| line.sku.clone()))
        .text("description", lines.iter().map(|(_, line)| line.description.clone()))
        .int("quantity", number(|line| line.quantity))
        .int("unit_price_minor", number(|line| line.unit_price_minor))
        .int("tax_basis_points", number(|line| line.tax_basis_points));
    let columns =
        "order_number, line_no, sku, description, quantity, unit_price_minor, tax_basis_points";
    let table = batch.table::<B>(1);
    let sql = format!("insert into order_lines ({columns}) select {columns} from {table}");
    query::<B>(AssertSqlSafe(sql)).bind_batch(batch).execute(conn).await?;
    Ok(())
}

fn set_content(order: &mut Order, input: &OrderInput) -> Result<()> {
    let too_large = || Error::Damaged("an order's totals do not fit".into());
    let totals = input.totals().ok_or_else(too_large)?;
    order.currency.clone_from(&input.currency);
    order.reference.clone_from(&input.reference);
    order.note.clone_from(&input.note);
    order.lines = input.numbered_lines();
    order.net_minor = totals.net_minor;
    order.tax_minor = totals.tax_minor;
    order.total_minor = totals.total_minor;
    Ok(())
}

/// The customer as an order shows it.
async fn customer<B: Backend>(conn: &mut B::Connection, id: &str) -> Result<Option<Customer>> {
    let found = customers::find::<B>(conn, id).await?;
    Ok(found.map(|found| Customer {
        id: found.id,
        name: found.input.name,
        email: found.input.email,
        address: found.input.address,
    }))
}

/// What is kept as `line_count`.
pub(super) fn line_count(lines: &[Line]) -> i64 {
    i64::try_from(lines.len()).unwrap_or(i64::MAX)
}
