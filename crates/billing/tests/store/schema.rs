//! Both databases have the same tables, and migrating again changes nothing.

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::time::Duration;

use billing::invoice::InvoiceState::{Approved, AwaitingApproval, Credited, Withdrawn};
use billing::store::{AfterApproval, Approval, InvoiceFilter, open};
use contract::feed::SequenceNr;
use contract::order::Order;
use contract::time::Timestamp;
use kit::random::Random;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _, SqliteConnection,
};

use crate::fixture::{Fixture, later, on_both_databases, order, page, pulled_in};

on_both_databases!(migrating_again_changes_nothing);

async fn migrating_again_changes_nothing(fixture: Fixture) {
    fixture.take_in(&page(0, 1, vec![order(1, 1, 1)])).await;
    let before = fixture.everything().await;
    let (one, other) = tokio::join!(fixture.another(), fixture.another());
    one.ping().await.unwrap();
    other.ping().await.unwrap();
    assert_eq!(fixture.everything().await, before);
}

/// Three approved invoices of before 0004, one in each state of its dispatch.
const DISPATCHES_BEFORE: &str = "
    insert into orders values (1, 1, 1, 'confirmed', 1, '{}', 1, false, 0),
                              (2, 1, 1, 'confirmed', 2, '{}', 1, false, 0),
                              (3, 1, 1, 'confirmed', 3, '{}', 1, false, 0);
    insert into invoices (id, version, number, order_number, order_epoch, order_version, state,
                          customer, currency, net_minor, tax_minor, total_minor, lines, created_at,
                          approved_at, dispatch)
    values ('a', 3, '1', 1, 1, 1, 'approved', '{}', 'EUR', 0, 0, 0, '[]', 0, 0, 'delivered'),
           ('b', 3, '2', 2, 1, 1, 'approved', '{}', 'EUR', 0, 0, 0, '[]', 0, 0, 'failed'),
           ('c', 3, '3', 3, 1, 1, 'approved', '{}', 'EUR', 0, 0, 0, '[]', 0, 0, 'pending');
    insert into dispatches (invoice_id, payload, attempts, failures, next_attempt_at)
    values ('a', '{}', 1, 0, 0), ('b', '{}', 1, 1, 0), ('c', '{}', 1, 1, 0)";

/// Opens a database with [`DISPATCHES_BEFORE`].
async fn only_what_is_pending_is_due_after_the_upgrade(url: &str) {
    let store = open(&url.parse().unwrap()).await.unwrap();
    let due = store.claim_dispatch(later(0), Duration::from_mins(1)).await.unwrap().unwrap();
    assert_eq!((due.invoice_id.as_str(), due.number), ("c", 2));
    assert_eq!(store.claim_dispatch(later(0), Duration::from_mins(1)).await.unwrap(), None);
}

#[tokio::test]
async fn only_what_is_pending_is_due_after_the_upgrade_on_sqlite() {
    let file = testkit::sqlite::file();
    let options = SqliteConnectOptions::from_str(&file.url()).unwrap().create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    sqlx::migrate!("../../migrations/billing/sqlite").run_to(3, &mut conn).await.unwrap();
    sqlx::raw_sql(DISPATCHES_BEFORE).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    only_what_is_pending_is_due_after_the_upgrade(&file.url()).await;
}

#[tokio::test]
async fn only_what_is_pending_is_due_after_the_upgrade_on_postgres() {
    let database = testkit::postgres::database().await;
    let mut conn = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::migrate!("../../migrations/billing/postgres").run_to(3, &mut conn).await.unwrap();
    sqlx::raw_sql(DISPATCHES_BEFORE).execute(&mut conn).await.unwrap();
    only_what_is_pending_is_due_after_the_upgrade(&database.url()).await;
}

/// Orders of before 0008: one with an invoice that awaits approval and replaces one that is credited,
/// one that is approved, and one whose invoice was withdrawn.
const DRAFTS_BEFORE: &str = r#"
    insert into orders (number, epoch, version, state, confirmed_sequence_nr, document, revision,
                        missing_at_source, received_at)
    select number, 1000, 3, 'confirmed', number + 40,
           '[' || number || ',"confirmed",3,' || (number + 40)
           || ',["0197","Ada","a@example.com",null],"EUR",null,null,'
           || '[[1,"BOLT-8","confirmed",3,41,2100]],123,26,149,null,"2026-05-01T10:00:00.000000Z",null]',
           2, false, 5
    from (select 1 as number union all select 2 union all select 3) as numbers;
    insert into invoices (id, version, number, order_number, order_epoch, order_version, state,
                          customer, currency, net_minor, tax_minor, total_minor, lines, created_at,
                          approved_at, closed_at, replaces, credit_note_number, computed_at)
    values ('a', 3, '2025-000001', 1, 1000, 2, 'credited', '["","","",null]', 'EUR', 1, 0, 1, '[]', 1,
            2, 3, null, 'C-2026-000001', 1),
           ('b', 2, null, 1, 1000, 3, 'awaiting_approval', '["0197","Ada","a@example.com",null]', 'EUR',
            123, 26, 149, '[[1,"BOLT-8","confirmed",3,41,2100]]', 3, null, null, 'a', null, 4),
           ('c', 2, '2025-000002', 2, 1000, 3, 'approved', '["0197","Ada","a@example.com",null]', 'EUR',
            70, 15, 85, '[[1,"BOLT-8",null,2,35,2100]]', 3, 4, null, null, null, 3),
           ('d', 2, null, 3, 1000, 2, 'withdrawn', '["0197","Ada","a@example.com",null]', 'EUR',
            70, 15, 85, '[[1,"BOLT-8",null,2,35,2100]]', 3, null, 4, null, null, 3)"#;

/// Opens a database with [`DRAFTS_BEFORE`].
async fn drafts_are_what_they_were_after_the_upgrade(url: &str) {
    let store = open(&url.parse().unwrap()).await.unwrap();
    let draft = store.invoice("b").await.unwrap().unwrap();
    assert_eq!((draft.version, draft.order_number, draft.order_version), (2, 1, 3));
    assert_eq!((draft.state, draft.replaces.as_deref()), (AwaitingApproval, Some("a")));
    assert_eq!((draft.customer.name.as_str(), draft.total_minor), ("Ada", 149));
    assert_eq!((draft.lines[0].quantity, draft.lines[0].unit_price_minor), (3, 41));
    assert_eq!(draft.created_at.micros(), 3);
    let detail = store.invoice_detail("b").await.unwrap().unwrap();
    assert_eq!(detail.computed_at.map(Timestamp::micros), Some(4));
    let order = store.order(1).await.unwrap().unwrap().order;
    assert_eq!(order.confirmed_sequence_nr.0, 41);

    // Read again in a new epoch, it is the same.
    let moved = Order { confirmed_sequence_nr: SequenceNr(77), ..order };
    let again = pulled_in(1001, moved);
    store.apply(&again, &Random::seeded(1), later(1)).await.unwrap();
    assert_eq!(store.invoice("b").await.unwrap(), Some(draft));

    let all = store.invoices(&InvoiceFilter::default(), 10).await.unwrap();
    let all: Vec<_> = all.iter().map(|invoice| (invoice.id.as_str(), invoice.state)).collect();
    let expected = [("d", Withdrawn), ("c", Approved), ("b", AwaitingApproval), ("a", Credited)];
    assert_eq!(all, expected);
    let approved = store.approve("b", None, AfterApproval::Nothing, later(0)).await.unwrap();
    let Approval::Approved(approved) = approved else { panic!("{approved:?}") };
    assert_eq!(store.invoice("b").await.unwrap(), Some(*approved));
}

#[tokio::test]
async fn drafts_are_what_they_were_after_the_upgrade_on_sqlite() {
    let file = testkit::sqlite::file();
    let options = SqliteConnectOptions::from_str(&file.url()).unwrap().create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    sqlx::migrate!("../../migrations/billing/sqlite").run_to(7, &mut conn).await.unwrap();
    sqlx::raw_sql(DRAFTS_BEFORE).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    drafts_are_what_they_were_after_the_upgrade(&file.url()).await;
}

#[tokio::test]
async fn drafts_are_what_they_were_after_the_upgrade_on_postgres() {
    let database = testkit::postgres::database().await;
    let mut conn = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::migrate!("../../migrations/billing/postgres").run_to(7, &mut conn).await.unwrap();
    sqlx::raw_sql(DRAFTS_BEFORE).execute(&mut conn).await.unwrap();
    drafts_are_what_they_were_after_the_upgrade(&database.url()).await;
}

#[tokio::test]
async fn both_databases_have_the_same_schema() {
    let (sqlite, postgres) = (Fixture::sqlite().await, Fixture::postgres().await);
    let mut on_sqlite = SqliteConnection::connect(&sqlite.url()).await.unwrap();
    let mut on_postgres = PgConnection::connect(&postgres.url()).await.unwrap();
    for (what, sqlite, postgres) in [
        ("columns", SQLITE_COLUMNS, POSTGRES_COLUMNS),
        ("indexes", SQLITE_INDEXES, POSTGRES_INDEXES),
        ("references", SQLITE_REFERENCES, POSTGRES_REFERENCES),
    ] {
        let of_sqlite: BTreeSet<String> = sqlx::query(AssertSqlSafe(sqlite))
            .fetch_all(&mut on_sqlite)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        let of_postgres: BTreeSet<String> = sqlx::query(AssertSqlSafe(postgres))
            .fetch_all(&mut on_postgres)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert!(!of_sqlite.is_empty(), "no {what} were found");
        let differ: BTreeSet<_> =
            of_sqlite.symmetric_difference(&of_postgres).map(String::as_str).collect();
        let expected: BTreeSet<_> =
            DIFFERENCES.into_iter().filter(|(of, _)| *of == what).map(|(_, it)| it).collect();
        assert_eq!(differ, expected, "{what}");
    }
}

/// Where PostgreSQL does with less, because it costs much there; see 0007.
const DIFFERENCES: [(&str, &str); 6] = [
    ("indexes", "invoices (number) unique"),
    ("indexes", "invoices (number) unique partial"),
    ("indexes", "invoices (credit_note_number) unique"),
    ("indexes", "invoices (credit_note_number) unique partial"),
    ("references", "invoices.order_number to orders.number"),
    ("references", "invoices.replaces to invoices.id"),
];

// Each gives one column of descriptions. A column of a primary key is never null on either.

const SQLITE_COLUMNS: &str = "
    select t.name || '.' || c.name || ' ' || lower(c.type)
           || case when c.\"notnull\" = 1 or c.pk > 0 then ' not null' else '' end
           || case when c.pk > 0 then ' key ' || c.pk else '' end
    from sqlite_schema t join pragma_table_info(t.name) c
    where t.type = 'table' and t.name <> '_sqlx_migrations'";

const POSTGRES_COLUMNS: &str = "
    select c.table_name || '.' || c.column_name || ' '
           || case c.data_type when 'bigint' then 'integer' when 'boolean' then 'integer'
                               else c.data_type end
           || case when c.is_nullable = 'NO' then ' not null' else '' end
           || coalesce((
               select ' key ' || array_position(i.indkey::int[], c.ordinal_position::int) + 1
               from pg_index i
               where i.indrelid = c.table_name::regclass and i.indisprimary
                 and c.ordinal_position::int = any (i.indkey::int[])
           ), '')
    from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'public' and t.table_type = 'BASE TABLE'
      and c.table_name <> '_sqlx_migrations'";

const SQLITE_INDEXES: &str = "
    select t.name || ' (' || (
               select group_concat(c.name, ', ' order by c.seqno) from pragma_index_info(i.name) c
           ) || ')'
           || case when i.\"unique\" = 1 then ' unique' else '' end
           || case when i.partial = 1 then ' partial' else '' end
    from sqlite_schema t join pragma_index_list(t.name) i
    where t.type = 'table' and t.name <> '_sqlx_migrations' and i.origin <> 'pk'";

const POSTGRES_INDEXES: &str = "
    select i.indrelid::regclass::text || ' (' || (
               select string_agg(a.attname, ', ' order by array_position(i.indkey::int[], a.attnum::int))
               from pg_attribute a
               where a.attrelid = i.indrelid and a.attnum::int = any (i.indkey::int[])
           ) || ')'
           || case when i.indisunique then ' unique' else '' end
           || case when i.indpred is not null then ' partial' else '' end
    from pg_index i join pg_class t on t.oid = i.indrelid
    where t.relnamespace = 'public'::regnamespace and not i.indisprimary
      and t.relname <> '_sqlx_migrations'";

const SQLITE_REFERENCES: &str = "
    select t.name || '.' || f.\"from\" || ' to ' || f.\"table\" || '.' || f.\"to\"
    from sqlite_schema t join pragma_foreign_key_list(t.name) f
    where t.type = 'table'";

const POSTGRES_REFERENCES: &str = "
    select k.conrelid::regclass::text || '.' || a.attname
           || ' to ' || k.confrelid::regclass::text || '.' || b.attname
    from pg_constraint k
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
    join pg_attribute b on b.attrelid = k.confrelid and b.attnum = k.confkey[1]
    where k.contype = 'f'";
