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
    assert!(refused.contains("No space left"), "{refused}");
    disk.clear();
    server.ensure_running().await;
    write().await.unwrap();
}

#[tokio::test]
#[should_panic(expected = "pigs can fly")]
async fn waiting_in_vain_says_for_what() {
    wait::until("pigs can fly", Duration::from_millis(50), async || false).await;
}
