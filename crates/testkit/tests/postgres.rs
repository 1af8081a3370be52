//! The test server and the test databases themselves.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};
use testkit::disk::SmallDisk;
use testkit::{postgres, wait};

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect(url).await
}

#[tokio::test]
async fn two_tests_have_two_databases() {
    let (one, two) = (postgres::database().await, postgres::database().await);
    let mut connection = connect(&one.url()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE only_in_one (x int)").execute(&mut connection).await.unwrap();
    let mut connection = connect(&two.url()).await.unwrap();
    assert!(sqlx::raw_sql("SELECT * FROM only_in_one").execute(&mut connection).await.is_err());
}

#[tokio::test]
async fn a_database_goes_with_its_test_even_while_it_is_used() {
    let database = postgres::database().await;
    let url = database.url();
    let _open = connect(&url).await.unwrap();
    drop(database);
    assert!(connect(&url).await.is_err());
}

#[tokio::test]
async fn a_killed_server_comes_back_with_all_that_was_committed() {
    let mut server = postgres::Server::start().await;
    let url = server.create_database("kept").await;
    let mut connection = connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept AS SELECT 42 AS x").execute(&mut connection).await.unwrap();

    server.kill();
    assert!(sqlx::raw_sql("SELECT 1").execute(&mut connection).await.is_err());
    assert!(connect(&url).await.is_err());

    server.start_again().await;
    let mut connection = connect(&url).await.unwrap();
    let row = sqlx::query("SELECT x FROM kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<i32, _>("x"), 42);

    server.stop().await;
    assert!(connect(&url).await.is_err());
    server.start_again().await;
    wait::until("connections are taken", Duration::from_secs(5), async || {
        connect(&url).await.is_ok()
    })
    .await;
}

/// The numbers in table `t`.
async fn numbers(url: &str) -> Vec<i32> {
    let mut connection = connect(url).await.unwrap();
    let select = sqlx::query("SELECT x FROM t ORDER BY x");
    select.fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn run(url: &str, sql: &'static str) {
    let mut connection = connect(url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_standby_shows_what_it_has_replayed_and_is_promoted_with_it() {
    let mut primary = postgres::Server::start().await;
    let url = primary.create_database("shared").await;
    run(&url, "CREATE TABLE t AS SELECT 1 AS x").await;
    let standby = primary.start_standby().await;
    let copy = standby.url("shared");
    standby.catch_up(&primary).await;
    assert_eq!(numbers(&copy).await, [1]);

    standby.pause_replay().await;
    run(&url, "INSERT INTO t VALUES (2)").await;
    assert_eq!(numbers(&copy).await, [1]);
    standby.resume_replay().await;
    standby.catch_up(&primary).await;
    assert_eq!(numbers(&copy).await, [1, 2]);

    standby.cut_off().await;
    run(&url, "INSERT INTO t VALUES (3)").await;
    primary.kill();
    standby.promote().await;
    run(&copy, "INSERT INTO t VALUES (4)").await;
    assert_eq!(numbers(&copy).await, [1, 2, 4]);
    primary.start_again().await;
    assert_eq!(numbers(&url).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_dump_is_restored_into_the_same_server_and_another_while_the_database_is_used() {
    let (one, two) = (postgres::Server::start().await, postgres::Server::start().await);
    let url = one.create_database("kept").await;
    run(&url, "CREATE TABLE t AS SELECT 1 AS x").await;
    let dump = one.dump("kept");
    run(&url, "INSERT INTO t VALUES (2)").await;
    let mut open = connect(&url).await.unwrap();
    sqlx::raw_sql("SELECT 1").execute(&mut open).await.unwrap();
    assert_eq!(one.restore(&dump, "kept").await, url);
    assert_eq!(numbers(&url).await, [1]);
    assert_eq!(numbers(&two.restore(&dump, "other_name").await).await, [1]);
}

#[tokio::test]
async fn a_frozen_server_answers_nobody_until_it_goes_on() {
    let server = postgres::Server::start().await;
    let url = server.url("postgres");
    server.freeze();
    let answer = tokio::time::timeout(Duration::from_millis(300), connect(&url)).await;
    assert!(answer.is_err(), "{answer:?}");
    server.thaw();
    connect(&url).await.unwrap();
}

#[tokio::test]
async fn a_server_whose_disk_was_full_works_again() {
    let disk = Arc::new(SmallDisk::new(128));
    let mut server = postgres::Server::start_on(disk.clone()).await;
    let url = server.create_database("small").await;
    let write = async || {
        let mut connection = connect(&url).await?;
        let rows = "CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)";
        sqlx::raw_sql(rows).execute(&mut connection).await
    };
    disk.fill();
    let refused = write().await.unwrap_err().to_string();
    // Of the statement, or of what a new connection writes first.
    let words = ["No space left", "could not write"];
    assert!(words.iter().any(|words| refused.contains(words)), "{refused}");
    disk.clear();
    server.ensure_running().await;
    write().await.unwrap();
}

#[tokio::test]
#[should_panic(expected = "pigs can fly")]
async fn waiting_in_vain_says_for_what() {
    wait::until("pigs can fly", Duration::from_millis(50), async || false).await;
}
