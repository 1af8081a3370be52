//! No transaction and no lock is held while a service waits for another system.
//!
//! The other side is made slow without end: halted with SIGSTOP, or a receiver that never answers.
//! Meanwhile the waiting service's own database is watched for transactions that stay open.

use std::time::{Duration, Instant};

use e2e::billing::Billing;
use e2e::equal::until_equal;
use e2e::ordering::{Ordering, content};
use e2e::pair::{Database, Engine, Node, billing_program, ordering_program};
use reqwest::Method;
use sqlx::{Connection, PgConnection, Row};
use testkit::net::free_port;
use testkit::wait;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::SOON;

/// How long the other side is slow.
const SLOW: Duration = Duration::from_secs(3);
/// The longest that a transaction may be open: far longer than any of its statements takes on a busy
/// machine, far shorter than the call.
const OPEN: Duration = Duration::from_secs(1);

/// The transactions of a database's clients that were open for longer than [`OPEN`] within
/// [`SLOW`]: state and last statement.
async fn open_transactions(url: &str) -> Vec<String> {
    let mut watch = PgConnection::connect(url).await.unwrap();
    let select = "select state, query from pg_stat_activity \
        where datname = current_database() and pid <> pg_backend_pid() \
        and clock_timestamp() - xact_start > $1 * interval '1 second'";
    let (begun, mut found, mut looks) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < SLOW {
        let rows =
            sqlx::query(select).bind(OPEN.as_secs_f64()).fetch_all(&mut watch).await.unwrap();
        let shown = |row: &sqlx::postgres::PgRow| {
            format!("{}: {}", row.get::<String, _>("state"), row.get::<String, _>("query"))
        };
        found.extend(rows.iter().map(shown));
        looks += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(looks > 10, "looked only {looks} times");
    found.dedup();
    found
}

/// Both services, each on a PostgreSQL database of its own, with one order that both have.
struct Slow {
    databases: [Database; 2],
    ordering_node: Node,
    billing_node: Node,
    ordering: Ordering,
    billing: Billing,
    order: i64,
}

impl Slow {
    async fn start(dispatch_url: Option<&str>) -> Self {
        let databases =
            [Database::new(Engine::Postgres).await, Database::new(Engine::Postgres).await];
        let (ordering_port, billing_port) = (free_port(), free_port());
        let program = ordering_program(databases[0].url(), ordering_port, billing_port);
        let ordering_node = Node::start(program).await;
        let mut program = billing_program(databases[1].url(), billing_port, ordering_port)
            .args(["--link-timeout", "20s"]);
        if let Some(url) = dispatch_url {
            program = program
                .args(["--dispatch-url", url])
                .env("BILLING_DISPATCH_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        }
        let billing_node = Node::start(program).await;
        let (ordering, billing) = (Ordering(ordering_node.api()), Billing(billing_node.api()));
        let customer = ordering.customer("Ada Yards").await.unwrap();
        let order = ordering.create_confirmed(&content(&customer, "PO-1", 1)).await.unwrap().number;
        until_equal(&ordering, &billing, SOON).await;
        Self { databases, ordering_node, billing_node, ordering, billing, order }
    }
}

#[tokio::test]
async fn the_watch_sees_a_transaction_that_stays_open() {
    let database = Database::new(Engine::Postgres).await;
    let mut careless = PgConnection::connect(database.url()).await.unwrap();
    let mut held = careless.begin().await.unwrap();
    sqlx::query("select 1 as held").execute(&mut *held).await.unwrap();
    let found = open_transactions(database.url()).await;
    assert_eq!(found, ["idle in transaction: select 1 as held"]);
}

#[tokio::test]
async fn billing_holds_nothing_while_ordering_is_slow() {
    let mut slow = Slow::start(None).await;
    slow.ordering_node.service().freeze();
    let (billing, order) = (slow.billing.clone(), slow.order);
    let calls = tokio::spawn(async move {
        let (pulled, linked) = tokio::join!(billing.pull(), billing.follow_link(order));
        (pulled.unwrap(), linked.unwrap().status().as_u16())
    });
    assert_eq!(open_transactions(slow.databases[1].url()).await, [""; 0]);
    // Who holds nothing keeps nobody waiting: invoices are approved meanwhile.
    let invoice = slow.billing.invoices("").await.unwrap().remove(0);
    slow.billing.approve(&invoice).await.unwrap();
    assert!(!calls.is_finished(), "the calls wait for ordering all the while");
    slow.ordering_node.service().thaw();
    assert_eq!(calls.await.unwrap().1, 303);
}

#[tokio::test]
async fn ordering_holds_nothing_while_billing_is_slow() {
    let mut slow = Slow::start(None).await;
    slow.billing_node.service().freeze();
    let ordering = slow.ordering.clone();
    let customer = ordering.customer("Eve Works").await.unwrap();
    let watched = tokio::spawn({
        let url = slow.databases[0].url().to_owned();
        async move { open_transactions(&url).await }
    });
    // Each asks billing whether it is there before it sends the browser on.
    while !watched.is_finished() {
        let draft = ordering.create(&content(&customer, "PO-2", 1), None).await.unwrap();
        let path = format!("/orders/{}/confirm", draft.number);
        let request = ordering.request(Method::POST, &path).header("Sec-Fetch-Site", "same-origin");
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_redirection(), "{answer:?}");
    }
    assert_eq!(watched.await.unwrap(), [""; 0]);
    slow.billing_node.service().thaw();
}

#[tokio::test]
async fn billing_holds_nothing_while_the_customers_system_is_slow() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (called, mut calls) = mpsc::unbounded_channel();
    let receiver = tokio::spawn(async move {
        // Takes every call and answers none.
        let mut held = Vec::new();
        loop {
            held.push(listener.accept().await.unwrap());
            let _ = called.send(());
        }
    });
    let slow = Slow::start(Some(&url)).await;
    let invoice = slow.billing.invoices("").await.unwrap().remove(0);
    slow.billing.approve(&invoice).await.unwrap();
    tokio::time::timeout(SOON, calls.recv()).await.expect("the invoice is dispatched");
    assert_eq!(open_transactions(slow.databases[1].url()).await, [""; 0]);
    // The invoice is not locked either: a change of its order credits it meanwhile.
    let order = slow.ordering.order(slow.order).await.unwrap();
    let changed = content(&order.customer.id, "PO-3", 2);
    slow.ordering.replace(order.number, order.version, &changed).await.unwrap();
    wait::until("the invoice is credited", SOON, async || {
        slow.billing.invoices("state=credited").await.unwrap().len() == 1
    })
    .await;
    receiver.abort();
}
