//! `billing verify`: names every order that differs, repairs it, and finds nothing where nothing is
//! wrong, whatever goes on meanwhile.

use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;

use contract::order::Order;
use e2e::equal::until_equal;
use e2e::ordering::{Ordering, content};
use e2e::pair::{Database, Engine, Node, Pair, ordering_program};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use testkit::net::free_port;
use testkit::process::Program;
use tokio::time::Instant;

use crate::SOON;

/// Several ranges of checksums.
const ORDERS: i64 = 2_500;

/// `billing verify` on this database.
async fn verify(database: &Database, ordering_url: &str, args: &[&str]) -> Output {
    let program = Program::new("billing")
        .args(["verify", "--database-url", database.url()])
        .args(["--ordering-url", ordering_url]);
    program.args(args).run().await
}

/// The exit code and what was printed.
fn outcome(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stdout.clone()).unwrap())
}

/// Runs statements behind billing's back.
async fn tamper(database: &Database, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    if database.url().starts_with("sqlite") {
        let mut conn = SqliteConnection::connect(database.url()).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    } else {
        let mut conn = PgConnection::connect(database.url()).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    }
}

/// A kind of difference, and what makes it of the copy of order N. The deleted ones come last.
const TAMPERINGS: [(&str, &str); 6] = [
    ("missing", "delete from invoices where order_number = N; delete from orders where number = N"),
    ("older", "update orders set version = version - 1 where number = N"),
    ("newer", "update orders set version = version + 1 where number = N"),
    (
        "otherContent",
        "update orders set document = replace(document, '@', '@not.') where number = N",
    ),
    ("otherContent", "update orders set document = 'gone' where number = N"),
    (
        "notDeleted",
        "update orders set state = 'confirmed',
             document = replace(document, '\"deleted\"', '\"confirmed\"')
         where number = N",
    ),
];

/// A copy that ordering knows nothing of.
const EXTRA: &str =
    "insert into orders (number, epoch, version, state, confirmed_sequence_nr, document,
                         revision, missing_at_source, received_at)
    select N, epoch, version, state, confirmed_sequence_nr,
           replace(document, '[O,\"', '[N,\"'), 1, missing_at_source, received_at
    from orders where number = O";

#[tokio::test]
async fn what_was_tampered_with_is_named_and_repaired_on_postgres() {
    what_was_tampered_with_is_named_and_repaired(Engine::Postgres).await;
}

#[tokio::test]
async fn what_was_tampered_with_is_named_and_repaired_on_sqlite() {
    what_was_tampered_with_is_named_and_repaired(Engine::Sqlite).await;
}

async fn what_was_tampered_with_is_named_and_repaired(engine: Engine) {
    let (ordering_db, billing_db) = (Database::new(engine).await, Database::new(engine).await);
    let seed = Program::new("ordering").args(["seed", "--orders", &ORDERS.to_string()]);
    let seeded = seed.args(["--database-url", ordering_db.url()]).run().await;
    assert!(seeded.status.success(), "{seeded:?}");
    let mut pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    let url = pair.ordering.service().url();
    let orders = ordering.all_orders().await.unwrap();
    // Some next to each other, some far away.
    let chosen: Vec<&Order> = [5, 6, 7, 1_100, 1_101, 1_900].map(|place| &orders[place]).into();
    let deleted = chosen[5].number;
    ordering.delete(deleted, None).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;
    let equal = "compared 2,500 orders: equal\n".to_owned();
    assert_eq!(outcome(&verify(&billing_db, &url, &[]).await), (Some(0), equal.clone()));

    let mut expected = BTreeMap::new();
    for (order, (kind, sql)) in chosen.iter().zip(TAMPERINGS) {
        tamper(&billing_db, &sql.replace('N', &order.number.to_string())).await;
        expected.insert(order.number, kind);
    }
    let (extra, first) = (orders[2_499].number + 5_000, orders[0].number.to_string());
    tamper(&billing_db, &EXTRA.replace('N', &extra.to_string()).replace('O', &first)).await;
    expected.insert(extra, "extra");

    let (code, printed) = outcome(&verify(&billing_db, &url, &["--json"]).await);
    let report: Value = serde_json::from_str(&printed).unwrap();
    let differences = report["differences"].as_array().unwrap();
    let found: BTreeMap<_, _> = differences
        .iter()
        .map(|it| (it["number"].as_i64().unwrap(), it["kind"].as_str().unwrap()))
        .collect();
    assert_eq!((code, &report["outcome"]), (Some(1), &json!("different")), "{printed}");
    assert_eq!((found, &report["orders"]), (expected, &json!(ORDERS)), "{printed}");
    assert!(differences.iter().all(|it| it["notYetPulled"] == false), "{printed}");

    let (code, printed) = outcome(&verify(&billing_db, &url, &["--repair"]).await);
    assert_eq!(code, Some(1), "an extra order cannot be pulled: {printed}");
    assert_eq!(printed.matches(": repaired").count(), 6, "{printed}");
    for line in [
        format!("order {extra}: extra"),
        format!("order {deleted}: not deleted"),
        "compared 2,500 orders: 1 still differs, 6 repaired".to_owned(),
    ] {
        assert!(printed.contains(&line), "{line}: {printed}");
    }
    tamper(&billing_db, &format!("delete from orders where number = {extra}")).await;
    assert_eq!(outcome(&verify(&billing_db, &url, &["--repair"]).await), (Some(0), equal));
    until_equal(&ordering, &billing, SOON).await;
}

#[tokio::test]
async fn nothing_differs_while_everything_changes_on_postgres() {
    nothing_differs_while_everything_changes(Engine::Postgres).await;
}

#[tokio::test]
async fn nothing_differs_while_everything_changes_on_sqlite() {
    nothing_differs_while_everything_changes(Engine::Sqlite).await;
}

/// Writers write and billing pulls; a comparison finds nothing, and disturbs neither.
async fn nothing_differs_while_everything_changes(engine: Engine) {
    let (ordering_db, billing_db) = (Database::new(engine).await, Database::new(engine).await);
    let mut pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    let url = pair.ordering.service().url();
    let customer = ordering.customer("Ada Yards").await.unwrap();
    let end = Instant::now() + Duration::from_secs(8);
    let writers = (0..4).map(|_| tokio::spawn(write(ordering.clone(), customer.clone(), end)));
    let writing = tokio::spawn(join_all(writers));
    let mut comparisons = 0;
    while !writing.is_finished() {
        let (code, printed) = outcome(&verify(&billing_db, &url, &[]).await);
        assert_eq!(code, Some(0), "{printed}");
        comparisons += 1;
    }
    for writes in writing.await.unwrap() {
        assert!(writes.expect("every write is accepted") > 0);
    }
    assert!(comparisons > 0);
    until_equal(&ordering, &billing, SOON).await;
    let pull = billing.pull_status().await.unwrap();
    assert_eq!((pull.consecutive_failures, pull.last_error), (0, None));
}

/// Creates orders and changes the last ones all the time; how many writes.
async fn write(ordering: Ordering, customer: String, end: Instant) -> usize {
    let mut writes = 0;
    let mut hot = ordering.create_confirmed(&content(&customer, "hot", 1)).await.unwrap();
    for quantity in (1..1_000).cycle() {
        if Instant::now() > end {
            break;
        }
        let changed = content(&customer, "changed", quantity);
        hot = ordering.replace(hot.number, hot.version, &changed).await.unwrap();
        writes += 1;
        if quantity % 10 == 0 {
            let rare =
                ordering.create_confirmed(&content(&customer, "rare", quantity)).await.unwrap();
            ordering.delete(rare.number, None).await.unwrap();
            writes += 2;
        }
    }
    writes
}

#[tokio::test]
async fn what_cannot_be_compared_is_neither_equal_nor_different() {
    let (ordering_db, another_db, billing_db) = (
        Database::new(Engine::Sqlite).await,
        Database::new(Engine::Sqlite).await,
        Database::new(Engine::Sqlite).await,
    );
    let mut pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    let url = pair.ordering.service().url();
    let not_there = Database::new(Engine::Sqlite).await;
    let output = verify(&not_there, &url, &[]).await;
    assert_eq!(outcome(&output), (Some(2), String::new()), "{output:?}");

    let customer = ordering.customer("Ada Yards").await.unwrap();
    ordering.create_confirmed(&content(&customer, "one", 1)).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;
    pair.billing.kill();
    pair.ordering.kill();
    let (code, printed) = outcome(&verify(&billing_db, &url, &["--json"]).await);
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &document["outcome"]), (Some(2), &json!("notCompared")), "{printed}");
    assert!(document["reason"].as_str().unwrap().contains("Ordering"), "{printed}");

    // Before it is pulled again, a new epoch says nothing about what is here.
    let new_epoch = Program::new("ordering").arg("new-epoch");
    let begun = new_epoch.args(["--database-url", ordering_db.url()]).run().await;
    assert!(begun.status.success(), "{begun:?}");
    pair.ordering.start_again().await;
    let output = verify(&billing_db, &url, &[]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("billing pull"), "{said}");

    let mut another = Node::start(ordering_program(another_db.url(), 0, free_port())).await;
    let output = verify(&billing_db, &another.service().url(), &[]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("Another feed"), "{said}");
}
