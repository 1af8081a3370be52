//! Customers.

use std::collections::{BTreeSet, HashMap};

use contract::order::Address;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Result, Row, query};

use crate::order::{Customer, CustomerInput};
use crate::scope::PlannedCustomer;

/// Keeps customers as planned; those that are changed are locked by this transaction.
pub(super) async fn write<B: Backend>(
    conn: &mut B::Connection,
    customers: &[PlannedCustomer],
) -> Result<()> {
    let (new, changed): (Vec<_>, Vec<_>) =
        customers.iter().partition(|planned| planned.action.is_new());
    if !new.is_empty() {
        let batch = with_content(&new)
            .text("external_id", new.iter().map(|planned| planned.external_id.as_deref()))
            .int("created_at", new.iter().map(|planned| planned.customer.created_at.micros()));
        let content = CONTENT.join(", ");
        let sql = format!(
            "insert into customers (id, version, external_id, created_at, {content}) \
             select id, version, external_id, created_at, {content} from {}",
            batch.table::<B>(1)
        );
        let insert = query::<B>(AssertSqlSafe(sql)).bind_batch(batch);
        insert.execute_exactly(new.len() as u64, conn).await?;
    }
    if !changed.is_empty() {
        let batch = with_content(&changed);
        let content = CONTENT.map(|column| format!("{column} = batch.{column}")).join(", ");
        let sql = format!(
            "update customers set version = batch.version, {content} from {} \
             where customers.id = batch.id and customers.version = batch.version - 1",
            batch.table::<B>(1)
        );
        let update = query::<B>(AssertSqlSafe(sql)).bind_batch(batch);
        update.execute_exactly(changed.len() as u64, conn).await?;
    }
    Ok(())
}

/// Locks the customers with these ids.
pub(super) async fn lock<B: Backend>(conn: &mut B::Connection, ids: &BTreeSet<&str>) -> Result<()> {
    let batch = batch_of(ids);
    let sql = format!(
        "select c.id from {} join customers c on c.id = batch.id order by c.id{}",
        batch.table::<B>(1),
        B::FOR_UPDATE
    );
    query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    Ok(())
}

/// The customers with these ids, by id.
pub(super) async fn load<B: Backend>(
    conn: &mut B::Connection,
    ids: &BTreeSet<&str>,
) -> Result<HashMap<String, Customer>> {
    let batch = batch_of(ids);
    let table = batch.table::<B>(1);
    let sql = format!("select c.* from {table} join customers c on c.id = batch.id");
    let rows = query::<B>(AssertSqlSafe(sql)).bind_batch(batch).fetch_all(conn).await?;
    let by_id = |row| {
        let customer: Customer = read(row)?;
        Ok((customer.id.clone(), customer))
    };
    rows.iter().map(by_id).collect()
}

/// No id holds NUL, which PostgreSQL would refuse.
fn batch_of<'v>(ids: &BTreeSet<&'v str>) -> Batch<'v> {
    let ids = ids.iter().filter(|id| !id.contains('\0'));
    Batch::new().text("id", ids.copied())
}

/// The customer with this id.
pub(super) async fn find<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
) -> Result<Option<Customer>> {
    // No id holds NUL, which PostgreSQL would refuse.
    if id.contains('\0') {
        return Ok(None);
    }
    let select = query::<B>("select * from customers where id = $1").bind(id.to_owned());
    let row = select.fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// Customers by rising id.
pub(super) async fn list<B: Backend>(
    conn: &mut B::Connection,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Customer>> {
    // Every id is greater than the empty text. No id holds NUL, which PostgreSQL would refuse.
    let after = after.unwrap_or_default().replace('\0', "");
    let select = query::<B>("select * from customers where id > $1 order by id limit $2");
    let rows = select.bind(after).bind(limit).fetch_all(conn).await?;
    rows.iter().map(read).collect()
}

/// What [`with_content`] adds to a batch, besides id and version.
const CONTENT: [&str; 8] = [
    "name",
    "email",
    "address_line1",
    "address_line2",
    "postal_code",
    "city",
    "country",
    "changed_at",
];

fn with_content<'v>(customers: &[&'v PlannedCustomer]) -> Batch<'v> {
    let customers = customers.iter().map(|planned| &planned.customer);
    let address = |of: fn(&Address) -> &Option<String>| {
        let addresses = customers.clone().map(|customer| customer.input.address.as_ref());
        addresses.map(move |address| address.and_then(|address| of(address).as_deref()))
    };
    Batch::new()
        .text("id", customers.clone().map(|customer| &*customer.id))
        .int("version", customers.clone().map(|customer| customer.version))
        .text("name", customers.clone().map(|customer| &*customer.input.name))
        .text("email", customers.clone().map(|customer| &*customer.input.email))
        .text("address_line1", address(|address| &address.line1))
        .text("address_line2", address(|address| &address.line2))
        .text("postal_code", address(|address| &address.postal_code))
        .text("city", address(|address| &address.city))
        .text("country", address(|address| &address.country))
        .int("changed_at", customers.map(|customer| customer.changed_at.micros()))
}

fn read<B: Backend>(row: &Row<B>) -> Result<Customer> {
    Ok(Customer {
        id: row.get("id")?,
        version: row.get("version")?,
        input: CustomerInput {
            name: row.get("name")?,
            email: row.get("email")?,
            address: read_address(row)?,
        },
        created_at: Timestamp::from_micros(row.get("created_at")?),
        changed_at: Timestamp::from_micros(row.get("changed_at")?),
    })
}

/// The address in a row; `None` when no part of it is known.
pub(super) fn read_address<B: Backend>(row: &Row<B>) -> Result<Option<Address>> {
    let address = Address {
        line1: row.get("address_line1")?,
        line2: row.get("address_line2")?,
        postal_code: row.get("postal_code")?,
        city: row.get("city")?,
        country: row.get("country")?,
    };
    Ok(Some(address).filter(|address| *address != Address::default()))
}
