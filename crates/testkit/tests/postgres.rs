//! The test server and the test databases themselves.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};
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
#[should_panic(expected = "pigs can fly")]
async fn waiting_in_vain_says_for_what() {
    wait::until("pigs can fly", Duration::from_millis(50), async || false).await;
}
