//! Customers.

use contract::order::Address;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Query, Result, Row, query};
use kit::http::etag::IfMatch;

use super::Change;
use crate::order::{Customer, CustomerInput};

/// Keeps a new customer.
pub(super) async fn create<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
    input: &CustomerInput,
    at: Timestamp,
) -> Result<Customer> {
    let insert = query::<B>(
        "insert into customers (version, id, created_at, changed_at, name, email, \
           address_line1, address_line2, postal_code, city, country) \
         values (1, $1, $2, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    let insert = insert.bind(id.to_owned()).bind(at.micros());
    bind_content(insert, input).execute_exactly(1, conn).await?;
    let id = id.to_owned();
    Ok(Customer { id, version: 1, input: input.clone(), created_at: at, changed_at: at })
}

/// The customer with this id.
pub(super) async fn find<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
) -> Result<Option<Customer>> {
    select::<B>(conn, id, "").await
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

/// Replaces a customer's content.
pub(super) async fn update<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
    expected: &IfMatch,
    input: &CustomerInput,
    at: Timestamp,
) -> Result<Change<Customer>> {
    let Some(current) = select::<B>(conn, id, B::FOR_UPDATE).await? else {
        return Ok(Change::NotFound);
    };
    if !expected.allows(current.version) {
        return Ok(Change::VersionConflict(current.version));
    }
    let update = query::<B>(
        "update customers set version = version + 1, changed_at = $2, name = $3, email = $4, \
           address_line1 = $5, address_line2 = $6, postal_code = $7, city = $8, country = $9 \
         where id = $1",
    );
    let update = update.bind(id.to_owned()).bind(at.micros());
    bind_content(update, input).execute_exactly(1, conn).await?;
    let version = current.version + 1;
    Ok(Change::Done(Customer { version, input: input.clone(), changed_at: at, ..current }))
}

async fn select<B: Backend>(
    conn: &mut B::Connection,
    id: &str,
    lock: &str,
) -> Result<Option<Customer>> {
    // No id holds NUL, which PostgreSQL would refuse.
    if id.contains('\0') {
        return Ok(None);
    }
    let select = query::<B>(AssertSqlSafe(format!("select * from customers where id = $1{lock}")));
    let row = select.bind(id.to_owned()).fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// Name, email and the five parts of the address, as the next parameters.
fn bind_content<B: Backend>(query: Query<B>, input: &CustomerInput) -> Query<B> {
    let address = input.address.clone().unwrap_or_default();
    query
        .bind(input.name.clone())
        .bind(input.email.clone())
        .bind(address.line1)
        .bind(address.line2)
        .bind(address.postal_code)
        .bind(address.city)
        .bind(address.country)
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
