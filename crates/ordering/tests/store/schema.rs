//! The schema: the same on both databases, and opening a database again changes nothing.

use std::str::FromStr as _;

use contract::feed::FeedIdentity;
use contract::order::Order;
use kit::random::Random;
use ordering::store::open;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use crate::fixture::{ALL, ANY_SIZE, Fixture, at, imported, on_both_databases, page_of};

on_both_databases! {
    opening_again_changes_nothing,
}

async fn opening_again_changes_nothing(fixture: Fixture) {
    fixture.customer().await;
    let draft = fixture.draft().await;
    let before = fixture.schema().await;
    let again = fixture.another().await;
    assert_eq!(fixture.schema().await, before);
    assert_eq!(again.order(draft.number).await.unwrap(), Some(draft));
}

#[tokio::test]
async fn both_databases_have_the_same_logical_schema() {
    let sqlite = Fixture::sqlite().await.schema().await;
    let postgres = Fixture::postgres().await.schema().await;
    assert!(sqlite.iter().any(|line| line.starts_with("column orders.number bigint")));
    let index = "index orders orders_state state,number partial";
    assert!(sqlite.iter().any(|line| line == index));
    assert_eq!(sqlite, postgres);
}

/// Orders of before 0006, 0007 and 0008: two stamped, the second of which was changed since; one that waits for its first
/// number; a draft.
const NUMBERS_IN_ORDERS: &str = "
    insert into customers (id, version, name, email, created_at, changed_at)
    values ('ada', 1, 'Ada', 'ada@example.com', 0, 0);
    insert into orders (state, version, confirmed_sequence_nr, feed_sequence_nr, unstamped_since,
                        customer_id, customer_name, customer_email, currency, reference,
                        net_minor, tax_minor, total_minor, line_count,
                        created_at, changed_at, confirmed_at)
    values ('confirmed', 2, 8, 8, null, 'ada', 'Ada', 'ada@', 'EUR', 'stamped', 1, 0, 1, 1, 0, 3, 1),
           ('confirmed', 3, -1, 7, 5, 'ada', 'Ada', 'ada@', 'EUR', 'changed', 1, 0, 1, 1, 0, 5, 2),
           ('confirmed', 2, -1, null, 4, 'ada', 'Ada', 'ada@', 'EUR', 'waits', 1, 0, 1, 1, 0, 4, 4),
           ('draft', 1, -1, null, null, 'ada', null, null, 'EUR', 'draft', 1, 0, 1, 1, 0, 0, null);
    insert into order_lines (order_number, line_no, sku, quantity, unit_price_minor, tax_basis_points)
    select number, 1, reference, 1, 1, 0 from orders;
    insert into order_lines values (1001, 2, 'a\tb', 'Bolt \"M8\" \\ ø', 2, 0, 2100);
    update orders set note = 'It''s \"fine\"', customer_city = 'Delft', line_count = 2
    where number = 1001;
    update orders set state = 'deleted', deleted_at = 1777629600000007 where reference = 'changed';
    insert into order_versions (order_number, version, state, action, at)
    select number, version, state, 'created', 0 from orders;
    insert into feed_state (id, feed_id, epoch, last_sequence_nr) values (1, 'abc', 9, 8)";

/// Opens a database with [`NUMBERS_IN_ORDERS`].
async fn orders_keep_their_places_after_the_upgrade(url: &str) {
    let store = open(&url.parse().unwrap(), &Random::seeded(1), at(0)).await.unwrap();
    let FeedIdentity { feed_id, epoch } = store.identity().await.unwrap();
    assert_eq!((feed_id.to_string().as_str(), epoch.0), ("abc", 9));
    let mut told = Vec::new();
    for number in 1001..=1004 {
        let order = store.order(number).await.unwrap().unwrap();
        assert_eq!(order.reference.as_deref(), Some(order.lines[0].sku.as_str()));
        assert_eq!(store.history(number).await.unwrap().len(), 1);
        told.push((order.reference.unwrap(), order.version, order.confirmed_sequence_nr.0));
    }
    let expected = [("stamped", 2, 8), ("changed", 3, -1), ("waits", 2, -1), ("draft", 1, -1)];
    assert_eq!(told, expected.map(|(text, version, nr)| (text.to_owned(), version, nr)));
    let feed = async || {
        let page = page_of(store.feed_page(None, ALL, ANY_SIZE).await.unwrap());
        let orders = page.orders.into_iter();
        orders.map(|order| (order.number, order.confirmed_sequence_nr.0)).collect::<Vec<_>>()
    };
    assert_eq!(feed().await, [(1002, 7), (1001, 8)]);
    for told in page_of(store.feed_page(None, ALL, ANY_SIZE).await.unwrap()).orders {
        let stored = store.order(told.number).await.unwrap().unwrap();
        assert_eq!(told, Order { confirmed_sequence_nr: told.confirmed_sequence_nr, ..stored });
    }
    let status = store.feed_status(at(0)).await.unwrap();
    assert_eq!((status.unstamped, status.last_sequence_nr.0), (2, 8));
    assert_eq!(store.unstamped_since().await.unwrap().unwrap().micros(), 4);
    assert_eq!(store.stamp(ALL, at(0)).await.unwrap().last.0, 10);
    assert_eq!(feed().await, [(1001, 8), (1003, 9), (1002, 10)]);
    // The next number is one that was never given.
    store.import_orders(vec![imported("new")], at(1)).await.unwrap();
    assert_eq!(store.stamp(ALL, at(2)).await.unwrap().count, 1);
    assert_eq!(feed().await[3], (1005, 11));
}

#[tokio::test]
async fn orders_keep_their_places_after_the_upgrade_on_sqlite() {
    let file = testkit::sqlite::file();
    let options = SqliteConnectOptions::from_str(&file.url()).unwrap().create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    sqlx::migrate!("../../migrations/ordering/sqlite").run_to(5, &mut conn).await.unwrap();
    sqlx::raw_sql(NUMBERS_IN_ORDERS).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    orders_keep_their_places_after_the_upgrade(&file.url()).await;
}

#[tokio::test]
async fn orders_keep_their_places_after_the_upgrade_on_postgres() {
    let database = testkit::postgres::database().await;
    let mut conn = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::migrate!("../../migrations/ordering/postgres").run_to(5, &mut conn).await.unwrap();
    sqlx::raw_sql(NUMBERS_IN_ORDERS).execute(&mut conn).await.unwrap();
    orders_keep_their_places_after_the_upgrade(&database.url()).await;
}

impl Fixture {
    /// The logical schema, one line for each column, key and index.
    async fn schema(&self) -> Vec<String> {
        let queries = if self.is_postgres() { POSTGRES } else { SQLITE };
        let mut outsider = self.outsider().await;
        let mut lines = Vec::new();
        for query in queries {
            lines.extend(outsider.texts(query).await);
        }
        lines.sort();
        lines
    }
}

/// Columns, primary keys, foreign keys, indexes.
const SQLITE: [&str; 4] = [
    "select 'column ' || t.name || '.' || c.name || ' ' \
       || replace(lower(c.type), 'integer', 'bigint') || iif(c.\"notnull\", ' not null', '') \
     from sqlite_schema t join pragma_table_info(t.name) c \
     where t.type = 'table' and t.name not like 'sqlite_%' and t.name <> '_sqlx_migrations'",
    "select 'primary key ' || t.name || ' ' || group_concat(c.name order by c.pk) \
     from sqlite_schema t join pragma_table_info(t.name) c \
     where t.type = 'table' and c.pk > 0 and t.name <> '_sqlx_migrations' group by t.name",
    "select 'foreign key ' || t.name || '.' || k.\"from\" || ' ' || k.\"table\" || '.' || k.\"to\" \
     from sqlite_schema t join pragma_foreign_key_list(t.name) k where t.type = 'table'",
    "select 'index ' || t.name || ' ' || i.name || iif(i.\"unique\", ' unique ', ' ') \
       || (select group_concat(c.name order by c.seqno) from pragma_index_info(i.name) c) \
       || iif(i.partial, ' partial', '') \
     from sqlite_schema t join pragma_index_list(t.name) i \
     where t.type = 'table' and i.origin = 'c'",
];

/// The same in the words of PostgreSQL.
const POSTGRES: [&str; 4] = [
    "select 'column ' || table_name || '.' || column_name || ' ' || data_type \
       || case is_nullable when 'NO' then ' not null' else '' end \
     from information_schema.columns join information_schema.tables using (table_schema, table_name) \
     where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> '_sqlx_migrations'",
    "select 'primary key ' || i.indrelid::regclass || ' ' || string_agg(a.attname, ',' order by k.place) \
     from pg_index i cross join unnest(i.indkey) with ordinality k(attnum, place) \
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
       join pg_class t on t.oid = i.indrelid and t.relnamespace = 'public'::regnamespace \
     where i.indisprimary and t.relname <> '_sqlx_migrations' group by i.indrelid",
    "select 'foreign key ' || c.conrelid::regclass || '.' || a.attname || ' ' \
       || c.confrelid::regclass || '.' || b.attname \
     from pg_constraint c \
       join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1] \
       join pg_attribute b on b.attrelid = c.confrelid and b.attnum = c.confkey[1] \
     where c.contype = 'f'",
    "select 'index ' || i.indrelid::regclass || ' ' || i.indexrelid::regclass \
       || case when i.indisunique then ' unique ' else ' ' end \
       || string_agg(a.attname, ',' order by k.place) \
       || case when i.indpred is null then '' else ' partial' end \
     from pg_index i cross join unnest(i.indkey) with ordinality k(attnum, place) \
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
       join pg_class t on t.oid = i.indrelid and t.relnamespace = 'public'::regnamespace \
     where not i.indisprimary \
     group by i.indrelid, i.indexrelid, i.indisunique, i.indpred is null",
];
