//! A store on a database of its own, and what the cases put into it.

use std::sync::Arc;

use contract::feed::{ContinuationToken, FeedPage};
use contract::order::{Address, Order};
use contract::time::Timestamp;
use kit::db::DatabaseUrl;
use kit::http::etag::IfMatch;
use kit::random::Random;
use ordering::order::{Customer, CustomerInput, LineInput, OrderInput};
use ordering::scope::ImportedOrder;
use ordering::store::Change;
use ordering::store::{FeedAnswer, Page, Store, open};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

/// Makes each case, a function that takes a [`Fixture`], a test on each database.
macro_rules! on_both_databases {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::fixture::Fixture::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::fixture::Fixture::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_both_databases;

/// A page large enough for all that a case makes.
pub(crate) const ALL: i64 = 1_000;
/// More than any page of a case takes.
pub(crate) const ANY_SIZE: usize = usize::MAX;

/// A store on a database that no other test uses.
pub(crate) struct Fixture {
    pub(crate) store: Arc<dyn Store>,
    database: Database,
}

enum Database {
    Sqlite(testkit::sqlite::TestFile),
    Postgres(Box<testkit::postgres::TestDatabase>),
}

/// A connection beside the store: another program that works on the same database.
pub(crate) enum Outsider {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        Self::of(Database::Sqlite(testkit::sqlite::file())).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::of(Database::Postgres(Box::new(testkit::postgres::database().await))).await
    }

    async fn of(database: Database) -> Self {
        Self { store: open_store(&database.url(), 1).await, database }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.database, Database::Postgres(_))
    }

    /// The store of another process on the same database.
    pub(crate) async fn another(&self) -> Arc<dyn Store> {
        open_store(&self.database.url(), 2).await
    }

    pub(crate) async fn outsider(&self) -> Outsider {
        let url = self.database.url();
        match self.database {
            Database::Sqlite(_) => Outsider::Sqlite(SqliteConnection::connect(&url).await.unwrap()),
            Database::Postgres(_) => Outsider::Postgres(PgConnection::connect(&url).await.unwrap()),
        }
    }

    /// Every row of every table, as it stands.
    pub(crate) async fn dump(&self) -> Vec<String> {
        const TABLES: [&str; 15] = [
            "customers",
            "orders",
            "feed_changes",
            "feed_queue",
            "feed_runs",
            "order_lines",
            "order_versions",
            "feed_documents",
            "transactions",
            "transaction_entities",
            "idempotency_keys",
            "feed_state",
            "epochs",
            "locks",
            "_sqlx_migrations",
        ];
        let mut outsider = self.outsider().await;
        let mut rows = Vec::new();
        for table in TABLES {
            let row = match self.database {
                Database::Postgres(_) => format!("{table}::text"),
                Database::Sqlite(_) => {
                    let columns = format!(
                        "select group_concat('quote(\"' || name || '\")', '||'',''||') \
                         from pragma_table_info('{table}')"
                    );
                    outsider.texts(&columns).await.remove(0)
                }
            };
            let select = format!("select {row} as row from {table} order by row");
            rows.extend(
                outsider.texts(&select).await.into_iter().map(|row| format!("{table} {row}")),
            );
        }
        rows
    }

    /// Statements that would delete the rows of `orders`, or their places in the feed.
    pub(crate) fn physical_deletions(&self) -> &'static [&'static str] {
        match self.database {
            Database::Sqlite(_) => &[
                "delete from orders",
                "insert or replace into orders select * from orders where number = 1001",
                "delete from feed_changes",
            ],
            Database::Postgres(_) => &[
                "delete from orders",
                "truncate orders cascade",
                "delete from feed_changes",
                "truncate feed_changes",
                "truncate feed_queue",
                "truncate feed_runs",
            ],
        }
    }

    pub(crate) async fn customer(&self) -> Customer {
        done(self.store.create_customer("ada", &ada(), None, at(0)).await.unwrap())
    }

    /// A draft of the customer that [`Self::customer`] makes.
    pub(crate) async fn draft(&self) -> Order {
        done(self.store.create_order(&bolts(), None, at(1)).await.unwrap())
    }

    pub(crate) async fn confirmed(&self) -> Order {
        let draft = self.draft().await;
        done(self.store.confirm_order(draft.number, None, at(2)).await.unwrap())
    }

    pub(crate) async fn replace(&self, number: i64, input: &OrderInput, when: Timestamp) -> Order {
        done(self.store.replace_order(number, &IfMatch::Any, input, when).await.unwrap())
    }

    /// The runs of numbers: the first number, the first change, and the length of each.
    pub(crate) async fn runs(&self) -> Vec<String> {
        let runs = "select first_sequence_nr || ' ' || first_change_id || ' ' || length \
            from feed_runs order by first_sequence_nr";
        self.outsider().await.texts(runs).await
    }

    /// Stamps until nothing is left; how many.
    pub(crate) async fn stamp_all(&self) -> i64 {
        self.store.stamp(ALL, at(10)).await.unwrap().count
    }

    pub(crate) async fn page(&self, after: Option<&ContinuationToken>, limit: i64) -> FeedPage {
        page_of(self.store.feed_page(after, limit, ANY_SIZE).await.unwrap())
    }

    /// Everything in the feed: order numbers with their sequence numbers.
    pub(crate) async fn feed(&self) -> Vec<(i64, i64)> {
        let page = self.page(None, ALL).await;
        assert!(!page.has_more);
        page.orders.iter().map(|order| (order.number, order.confirmed_sequence_nr.0)).collect()
    }
}

impl Database {
    fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => file.url(),
            Self::Postgres(database) => database.url(),
        }
    }
}

impl Outsider {
    /// Runs one statement, as it stands.
    pub(crate) async fn execute(&mut self, sql: &str) -> Result<u64, sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(conn) => Ok(sql.execute(conn).await?.rows_affected()),
            Self::Postgres(conn) => Ok(sql.execute(conn).await?.rows_affected()),
        }
    }

    /// The first column, a text, of all rows.
    pub(crate) async fn texts(&mut self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(conn) => sqlx::query_scalar(sql).fetch_all(conn).await.unwrap(),
            Self::Postgres(conn) => sqlx::query_scalar(sql).fetch_all(conn).await.unwrap(),
        }
    }
}

async fn open_store(url: &str, seed: u64) -> Arc<dyn Store> {
    let url: DatabaseUrl = url.parse().unwrap();
    open(&url, &Random::seeded(seed), at(0)).await.unwrap()
}

/// So many seconds after the moment at which every case begins.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_777_629_600 + seconds) * 1_000_000)
}

pub(crate) fn ada() -> CustomerInput {
    CustomerInput {
        name: "Ada Yards".into(),
        email: "ada@example.com".into(),
        address: Some(Address {
            line1: Some("1 Quay St".into()),
            postal_code: Some("1011".into()),
            city: Some("Delft".into()),
            country: Some("NL".into()),
            line2: None,
        }),
    }
}

/// An order of two lines by the customer "ada".
pub(crate) fn bolts() -> OrderInput {
    OrderInput {
        customer_id: "ada".into(),
        currency: "EUR".into(),
        reference: Some("PO-77".into()),
        note: None,
        lines: vec![line("BOLT-8", 40, 35), line("NUT-8", 2, 199)],
    }
}

pub(crate) fn line(sku: &str, quantity: i64, unit_price_minor: i64) -> LineInput {
    LineInput {
        sku: sku.into(),
        description: Some(format!("{sku} of steel")),
        quantity,
        unit_price_minor,
        tax_basis_points: 2100,
    }
}

/// An order of the other system, of the customer "ada" there.
pub(crate) fn imported(reference: &str) -> ImportedOrder {
    ImportedOrder {
        external_customer_id: "C-1".into(),
        new_customer_id: format!("new-{reference}"),
        customer: ada(),
        input: OrderInput { reference: Some(reference.into()), ..bolts() },
        confirmed_at: at(-100),
    }
}

pub(crate) fn version(version: i64) -> IfMatch {
    IfMatch::Versions(vec![version])
}

#[track_caller]
pub(crate) fn done<T: std::fmt::Debug>(change: Change<T>) -> T {
    match change {
        Change::Done(result) => result,
        other => panic!("not done: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn page_of(answer: FeedAnswer) -> FeedPage {
    match answer {
        FeedAnswer::Page(page) => read_page(&page),
        FeedAnswer::Refused { verdict, .. } => panic!("refused: {verdict:?}"),
    }
}

/// The page as a consumer reads it. What the provider says about it must be what stands in it, and the
/// document, byte for byte, what `serde` makes of a page.
#[track_caller]
fn read_page(page: &Page) -> FeedPage {
    let read: FeedPage = serde_json::from_slice(&page.document).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap().as_bytes(), page.document);
    let told = (&page.continuation_token, page.orders, page.has_more);
    assert_eq!(told, (&read.continuation_token, read.orders.len(), read.has_more));
    assert_eq!(page.identity, read.identity());
    read
}
