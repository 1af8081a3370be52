//! The other contender: PostgreSQL's logical replication as it comes, of two tables with the same
//! columns and the same content as ordering's, and no index but their primary keys.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::{Connection, PgConnection};
use testkit::postgres::Server;
use tokio::time::{sleep, sleep_until, timeout};

use crate::Result;
use crate::database::Database;
use crate::orders::{LIMIT, PAUSE};
use crate::servers::{self, Servers};
use crate::statistics::rate;

/// The two tables, and the columns of their primary keys.
pub(crate) const TABLES: [(&str, &str); 2] =
    [("orders", "number"), ("order_lines", "order_number, line_no")];
/// Orders that are written in one transaction.
const CHUNK: usize = 1_000;
/// PostgreSQL starts no worker of a subscription sooner than this after the last one
/// (`wal_retrieve_retry_interval`): no clock is to run for it.
const BETWEEN_STARTS: Duration = Duration::from_millis(5_500);

/// A publisher that holds the content to be written, and an empty subscriber.
pub(crate) struct Replication<'a> {
    servers: &'a Servers,
    /// Where orders are written.
    pub(crate) publisher: Database,
    /// Where they arrive.
    pub(crate) subscriber: Database,
    /// The first and the last order's number.
    pub(crate) numbers: (i64, i64),
    /// The version of the newest content.
    version: i64,
    worker_started: Instant,
}

impl<'a> Replication<'a> {
    /// Makes both databases. The content is that of ordering's database, copied into tables beside
    /// those that are published.
    pub(crate) async fn with_content_of(servers: &'a Servers, ordering_url: &str) -> Result<Self> {
        let publisher_url = empty_tables(ordering_url, &servers.source, "publisher").await?;
        let subscriber_url = empty_tables(ordering_url, &servers.copy, "subscriber").await?;
        let mut publisher = Database::connect(&publisher_url).await?;
        let subscriber = Database::connect(&subscriber_url).await?;
        for (table, _) in TABLES {
            let beside = format!("create table staged_{table} (like {table} including indexes)");
            publisher.execute(&beside).await?;
            copy(ordering_url, table, &publisher_url, &format!("staged_{table}")).await?;
        }
        publisher.execute("create publication orders for table orders, order_lines").await?;
        let numbers = (
            publisher.number("select min(number) from staged_orders").await?,
            publisher.number("select max(number) from staged_orders").await?,
        );
        let version = publisher.number("select max(version) from staged_orders").await?;
        let worker_started = Instant::now();
        Ok(Self { servers, publisher, subscriber, numbers, version, worker_started })
    }

    /// Subscribes, to empty tables. With `options` as `create subscription` takes them.
    pub(crate) async fn subscribe(&mut self, options: &str) -> Result<()> {
        let port = self.servers.source.port();
        let comma = if options.is_empty() { "" } else { ", " };
        self.worker_started = Instant::now();
        self.subscriber
            .execute(&format!(
                "create subscription orders connection \
                   'host=127.0.0.1 port={port} user=postgres dbname=publisher' \
                 publication orders with (copy_data = false{comma}{options})"
            ))
            .await
    }

    /// Ends the subscription and empties all tables: ready for the next round.
    pub(crate) async fn begin_again(&mut self) -> Result<()> {
        self.subscriber.execute("drop subscription orders").await?;
        for database in [&mut self.publisher, &mut self.subscriber] {
            database.execute("truncate orders, order_lines").await?;
        }
        let version = "select max(version) from staged_orders";
        self.version = self.publisher.number(version).await?;
        Ok(())
    }

    /// Inserts all orders with their lines while nothing is subscribed to, then subscribes: how many
    /// orders a second arrive.
    pub(crate) async fn new_orders(&mut self) -> Result<f64> {
        let write = |range: &str| {
            format!(
                "insert into orders select * from staged_orders where number {range}; \
                 insert into order_lines select * from staged_order_lines where order_number {range}"
            )
        };
        self.catch_up(write).await
    }

    /// The same with changed orders: each row is updated, its lines are deleted and inserted again.
    pub(crate) async fn changed_orders(&mut self) -> Result<f64> {
        let write = |range: &str| {
            format!(
                "update orders set version = version + 1, note = 'changed', \
                   changed_at = changed_at + 1 where number {range}; \
                 delete from order_lines where order_number {range}; \
                 insert into order_lines select * from staged_order_lines where order_number {range}"
            )
        };
        self.version += 1;
        self.catch_up(write).await
    }

    async fn catch_up(&mut self, write: impl Fn(&str) -> String) -> Result<f64> {
        self.subscriber.execute("alter subscription orders disable").await?;
        let workers = "select count(*) from pg_stat_subscription where pid is not null";
        while self.subscriber.number(workers).await? > 0 {
            sleep(PAUSE).await;
        }
        let (first, last) = self.numbers;
        for begin in (first..=last).step_by(CHUNK) {
            let end = begin + i64::try_from(CHUNK)? - 1;
            let write = write(&format!("between {begin} and {end}"));
            self.publisher.execute(&format!("begin; {write}; commit")).await?;
        }
        self.servers.settle().await?;
        sleep_until((self.worker_started + BETWEEN_STARTS).into()).await;
        // Transactions arrive whole and in their order, so the last one's order tells.
        let arrived = format!("select coalesce(max(version), 0) from orders where number = {last}");
        let started = Instant::now();
        self.worker_started = started;
        self.subscriber.execute("alter subscription orders enable").await?;
        let all = async {
            while self.subscriber.number(&arrived).await? < self.version {
                sleep(PAUSE).await;
            }
            Ok::<_, kit::lifecycle::BoxError>(started.elapsed())
        };
        let took =
            timeout(LIMIT, all).await.map_err(|_| "replication does not get to its end")??;
        self.check().await?;
        Ok(rate(last - first + 1, took.as_secs_f64()))
    }

    /// Whether both sides are equal, in all that tells one state from another.
    async fn check(&mut self) -> Result<()> {
        let newest = format!("select count(*) from orders where version = {}", self.version);
        for sql in [
            &newest,
            "select count(*) from order_lines",
            "select sum(quantity)::bigint from order_lines",
        ] {
            let expected = self.publisher.number(sql).await?;
            self.subscriber.expect(expected, sql).await?;
        }
        self.subscriber.expect(self.numbers.1 - self.numbers.0 + 1, &newest).await
    }
}

/// A new database, in place of an older one, with empty tables that have the columns of ordering's
/// and no index but their primary keys; its address.
pub(crate) async fn empty_tables(
    ordering_url: &str,
    server: &Server,
    name: &str,
) -> Result<String> {
    servers::drop_database(server, name).await?;
    let url = server.create_database(name).await;
    let mut ordering = Database::connect(ordering_url).await?;
    let mut database = Database::connect(&url).await?;
    for (table, key) in TABLES {
        let columns = format!(
            "select attname || ' ' || format_type(atttypid, atttypmod) \
               || case when attnotnull then ' not null' else '' end \
             from pg_attribute where attrelid = '{table}'::regclass and attnum > 0 \
               and not attisdropped order by attnum"
        );
        let columns = ordering.texts(&columns).await?.join(", ");
        database.execute(&format!("create table {table} ({columns}, primary key ({key}))")).await?;
    }
    Ok(url)
}

/// Copies a table from server to server in PostgreSQL's binary format: the fastest that rows can
/// go. The columns are those of the table that is copied.
pub(crate) async fn copy(from_url: &str, from: &str, to_url: &str, to: &str) -> Result<()> {
    let mut source = PgConnection::connect(from_url).await?;
    let mut target = PgConnection::connect(to_url).await?;
    let columns = format!(
        "select attname::text from pg_attribute where attrelid = '{from}'::regclass \
         and attnum > 0 and not attisdropped order by attnum"
    );
    let columns = Database::connect(from_url).await?.texts(&columns).await?.join(", ");
    let take = format!("copy {from} ({columns}) to stdout (format binary)");
    let give = format!("copy {to} ({columns}) from stdin (format binary)");
    let mut rows = source.copy_out_raw(&take).await?;
    let mut into = target.copy_in_raw(&give).await?;
    while let Some(chunk) = rows.try_next().await? {
        into.send(chunk).await?;
    }
    into.finish().await?;
    Ok(())
}
