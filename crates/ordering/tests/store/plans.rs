//! How PostgreSQL finds what pages and ticks are made of: by index, whatever it knows of the tables.

use std::time::Duration;

use contract::feed::MAX_PAGE_BYTES;
use kit::http::etag::IfMatch;
use kit::random::Random;
use ordering::store::{Store, open};
use sqlx::{Connection as _, PgConnection};
use testkit::postgres::TestDatabase;
use testkit::wait;

use crate::fixture::{ada, at, done, imported, page_of};

/// How often PostgreSQL runs a statement before it may settle on a plan for good.
const TILL_SETTLED: usize = 8;
/// How many orders are made then.
const ORDERS: i64 = 3_000;

/// Scans of whole tables, of the queue, of the feed, and documents looked up by number.
const COUNTS: &str = "select array[ \
    (select sum(seq_scan) from pg_stat_user_tables \
     where relname in ('orders', 'feed_changes', 'feed_queue', 'feed_runs', 'feed_documents')), \
    (select idx_scan from pg_stat_user_indexes where indexrelname = 'feed_queue_pkey'), \
    (select idx_scan from pg_stat_user_indexes where indexrelname = 'feed_changes_pkey'), \
    (select idx_scan from pg_stat_user_indexes where indexrelname = 'feed_documents_pkey')]::bigint[]";

/// Counts by [`COUNTS`] of all who have worked on the database. Sessions tell theirs when they end.
async fn counts(outsider: &mut PgConnection) -> Vec<i64> {
    let others = "select count(*) from pg_stat_activity \
        where datname = current_database() and pid <> pg_backend_pid() \
        and backend_type = 'client backend'";
    wait::until("all other sessions end", Duration::from_secs(30), async || {
        sqlx::query_scalar::<_, i64>(others).fetch_one(&mut *outsider).await.unwrap() == 0
    })
    .await;
    sqlx::query_scalar(COUNTS).fetch_one(outsider).await.unwrap()
}

/// The counts of what `work` does with a store of its own, on a new database.
async fn counted(work: impl AsyncFnOnce(&dyn Store)) -> Vec<i64> {
    let database = testkit::postgres::database().await;
    let store = open(&database.url().parse().unwrap(), &Random::seeded(1), at(0)).await.unwrap();
    work(&*store).await;
    drop(store);
    counts(&mut PgConnection::connect(&database.url()).await.unwrap()).await
}

/// What `work` reads more than `other` does.
async fn counted_more(
    work: impl AsyncFnOnce(&dyn Store),
    other: impl AsyncFnOnce(&dyn Store),
) -> [i64; 4] {
    let (work, other) = (counted(work).await, counted(other).await);
    std::array::from_fn(|place| work[place] - other[place])
}

async fn page(store: &dyn Store) -> usize {
    page_of(store.feed_page(None, 500, MAX_PAGE_BYTES).await.unwrap()).orders.len()
}

async fn import(store: &dyn Store) {
    let orders = (0..ORDERS).map(|n| imported(&format!("R-{n}"))).collect();
    store.import_orders(orders, at(1)).await.unwrap();
}

async fn stamp(store: &dyn Store) {
    let mut given = 0;
    while given < ORDERS {
        given += store.stamp(1_000, at(1_000)).await.unwrap().count;
    }
    assert_eq!(store.stamp(1_000, at(1_000)).await.unwrap().count, 0);
}

#[tokio::test]
async fn a_page_is_one_scan_of_changes_and_one_lookup_of_each_document() {
    let fill = async |store: &dyn Store| {
        import(store).await;
        stamp(store).await;
    };
    let read = async |store: &dyn Store| {
        // While there is nothing, plans are made that must do once there is much.
        for _ in 0..TILL_SETTLED {
            assert_eq!(page(store).await, 0);
        }
        fill(store).await;
        assert_eq!(page(store).await, 500);
    };
    assert_eq!(counted_more(read, fill).await, [0, 0, 1, 501]);
}

#[tokio::test]
async fn a_tick_reads_the_queue_and_no_orders() {
    let tick = async |store: &dyn Store| {
        for second in 0..TILL_SETTLED {
            let at = at(10 * i64::try_from(second).unwrap());
            assert_eq!(store.stamp(1_000, at).await.unwrap().count, 0);
        }
        import(store).await;
        stamp(store).await;
    };
    let [tables, queue, _, orders] = counted_more(tick, import).await;
    assert_eq!((tables, orders), (0, 0));
    assert!(queue > 0);
}

/// A database of few orders, which PostgreSQL knows, and a look at it from outside.
async fn of_few_orders() -> (TestDatabase, PgConnection) {
    let database = testkit::postgres::database().await;
    let store = open(&database.url().parse().unwrap(), &Random::seeded(1), at(0)).await.unwrap();
    done(store.create_customer("ada", &ada(), None, at(0)).await.unwrap());
    let orders = (0..20).map(|n| imported(&format!("R-{n}"))).collect();
    store.import_orders(orders, at(1)).await.unwrap();
    drop(store);
    let mut outsider = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::raw_sql("analyze").execute(&mut outsider).await.unwrap();
    (database, outsider)
}

/// How often these tables were read whole, by all who have worked on the database.
async fn scans(outsider: &mut PgConnection, tables: &[&str]) -> i64 {
    counts(outsider).await;
    let scans = "select sum(seq_scan)::bigint from pg_stat_user_tables where relname = any($1)";
    sqlx::query_scalar(scans).bind(tables).fetch_one(outsider).await.unwrap()
}

/// The trigger's statements are planned once a session, maybe while there is little to find.
#[tokio::test]
async fn a_change_finds_the_one_before_by_index_however_few_there_were() {
    let (database, mut outsider) = of_few_orders().await;
    let before = scans(&mut outsider, &["feed_changes"]).await;
    let mut writer = PgConnection::connect(&database.url()).await.unwrap();
    for _ in 0..TILL_SETTLED {
        let changed = sqlx::raw_sql("update orders set note = 'again'").execute(&mut writer).await;
        assert_eq!(changed.unwrap().rows_affected(), 20);
    }
    writer.close().await.unwrap();
    assert_eq!(scans(&mut outsider, &["feed_changes"]).await - before, 0);
}

/// What a change needs is planned once a session, maybe while whole tables are soonest read.
#[tokio::test]
async fn a_change_finds_its_order_by_key_however_few_there_were() {
    const TABLES: [&str; 4] = ["orders", "order_lines", "customers", "feed_documents"];
    let (database, mut outsider) = of_few_orders().await;
    let first = "select min(number) from orders";
    let first: i64 = sqlx::query_scalar(first).fetch_one(&mut outsider).await.unwrap();
    let before = scans(&mut outsider, &TABLES).await;
    let store = open(&database.url().parse().unwrap(), &Random::seeded(1), at(0)).await.unwrap();
    for number in (first..).take(TILL_SETTLED) {
        let input = imported("again").input;
        done(store.replace_order(number, &IfMatch::Any, &input, at(2)).await.unwrap());
    }
    drop(store);
    assert_eq!(scans(&mut outsider, &TABLES).await - before, 0);
}
