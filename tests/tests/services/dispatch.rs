//! Invoices on their way to the customer's system, while billing's processes are killed and while
//! several of them work at the same time.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::api::Failure;
use e2e::billing::{Billing, Invoice};
use e2e::pair::{Database, Engine, Node, billing_program, ordering_program};
use e2e::receiver::{Receiver, SECRET};
use serde_json::Value;
use testkit::net::free_port;
use testkit::process::Program;
use testkit::wait;
use tokio::time::{sleep, timeout};

use crate::SOON;

/// Billing's processes on one database, with this many invoices that await approval.
struct Billings {
    nodes: Vec<Node>,
    invoices: Vec<Invoice>,
    // Kept until the end: the processes and their data.
    _ordering: Node,
    _databases: [Database; 2],
}

impl Billings {
    async fn start(engine: Engine, processes: usize, orders: usize, receiver: &Receiver) -> Self {
        let databases = [Database::new(engine).await, Database::new(engine).await];
        let (ordering_port, billing_port) = (free_port(), free_port());
        let seed = Program::new("ordering").args([
            "seed",
            "--orders",
            &orders.to_string(),
            "--database-url",
            databases[0].url(),
        ]);
        assert!(seed.run().await.status.success());
        let ordering = ordering_program(databases[0].url(), ordering_port, billing_port);
        let ordering = Node::start(ordering).await;
        let mut nodes = Vec::new();
        for _ in 0..processes {
            let program = billing_program(databases[1].url(), free_port(), ordering_port)
                .args(["--dispatch-url", receiver.url(), "--dispatch-timeout", "1s"])
                .env("BILLING_DISPATCH_SECRET", SECRET);
            nodes.push(Node::start(program).await);
        }
        let billing = Billing(nodes[0].api());
        let invoices = wait::value("every order has its invoice", SOON, async || {
            let invoices = billing.invoices("").await.unwrap();
            (invoices.len() == orders).then_some(invoices)
        })
        .await;
        Self { nodes, invoices, _ordering: ordering, _databases: databases }
    }

    fn clients(&self) -> Vec<Billing> {
        self.nodes.iter().map(|node| Billing(node.api())).collect()
    }

    async fn until_delivered(&self, limit: Duration) {
        let billing = &self.clients()[0];
        wait::until("every invoice is delivered", limit, async || {
            let invoices = billing.invoices("").await.unwrap();
            invoices.iter().all(|invoice| invoice.dispatch.as_deref() == Some("delivered"))
        })
        .await;
    }

    /// Asserts that the receiver has every invoice, each under one id and in one wording.
    fn assert_received_by(&self, receiver: &Receiver) {
        let seen = receiver.seen();
        let mut invoices = BTreeSet::new();
        for (id, bodies) in &seen.bodies {
            assert!(bodies.iter().all(|body| *body == bodies[0]), "{id}: {bodies:?}");
            let message: Value = serde_json::from_slice(&bodies[0]).unwrap();
            assert_eq!(message["type"], "invoice.approved");
            assert_eq!(message["data"]["state"], "approved");
            let invoice = message["data"]["id"].as_str().unwrap();
            assert!(invoices.insert(invoice.to_owned()), "{invoice} came under two ids");
        }
        let approved: BTreeSet<_> =
            self.invoices.iter().map(|invoice| invoice.id.clone()).collect();
        assert_eq!(invoices, approved);
        assert_eq!(seen.overlapping, BTreeSet::new(), "the same message twice at the same time");
    }
}

/// Approves an invoice, wherever somebody answers, however often it takes.
async fn approve(clients: &[Billing], invoice: &Invoice) {
    for client in clients.iter().cycle() {
        match client.approve(invoice).await {
            Ok(_) => return,
            // Killed before or after the approval, or its database is just being opened.
            Err(Failure::NoAnswer(_)) => sleep(Duration::from_millis(20)).await,
            Err(Failure::Problem(problem)) => panic!("{problem:?}"),
        }
    }
}

async fn every_invoice_arrives_while_processes_are_killed(engine: Engine, processes: usize) {
    let receiver = Receiver::start(Duration::from_millis(100), true).await;
    let mut billings = Billings::start(engine, processes, 60, &receiver).await;
    let (clients, invoices) = (billings.clients(), billings.invoices.clone());
    let approving = tokio::spawn(async move {
        for invoice in &invoices {
            approve(&clients, invoice).await;
            // So that each kill finds invoices in every stage.
            sleep(Duration::from_millis(100)).await;
        }
    });
    let mut kills = 0;
    while !approving.is_finished() {
        // Long enough for some attempts to end, so that the work goes on in spite of the kills.
        sleep(Duration::from_millis(250)).await;
        let victim = kills % processes;
        billings.nodes[victim].kill();
        billings.nodes[victim].start_again().await;
        kills += 1;
    }
    approving.await.expect("every approval is accepted in the end");
    // A lease is 11 s, and what was refused several times waits for some more.
    billings.until_delivered(Duration::from_mins(2)).await;
    billings.assert_received_by(&receiver);
    let deliveries = receiver.seen().deliveries();
    println!("{kills} kills, {deliveries} deliveries of 60 invoices");
    assert!(kills > 5 && deliveries > 60, "{kills} kills, {deliveries} deliveries");
}

#[tokio::test]
async fn every_invoice_arrives_while_processes_are_killed_on_postgres() {
    every_invoice_arrives_while_processes_are_killed(Engine::Postgres, 2).await;
}

#[tokio::test]
async fn every_invoice_arrives_while_processes_are_killed_on_sqlite() {
    every_invoice_arrives_while_processes_are_killed(Engine::Sqlite, 1).await;
}

#[tokio::test]
async fn two_processes_share_the_work_and_do_nothing_twice() {
    let receiver = Receiver::start(Duration::from_millis(300), false).await;
    let billings = Billings::start(Engine::Postgres, 2, 50, &receiver).await;
    let clients = billings.clients();
    let approvals = billings.invoices.iter().map(|invoice| approve(&clients, invoice));
    futures_util::future::join_all(approvals).await;
    billings.until_delivered(SOON).await;
    billings.assert_received_by(&receiver);
    let seen = receiver.seen();
    assert_eq!(seen.deliveries(), 50, "each once");
    // One process has five workers: more at a time means that both work, and ten is all they have.
    assert!((6..=10).contains(&seen.most_at_a_time), "{}", seen.most_at_a_time);
}

#[tokio::test]
async fn without_a_proper_secret_billing_does_not_start() {
    let database = Database::new(Engine::Sqlite).await;
    let url = ["--dispatch-url", "http://127.0.0.1:1/"];
    let program = billing_program(database.url(), 0, free_port()).args(url);
    let short = program.clone().env("BILLING_DISPATCH_SECRET", "whsec_c2hvcnQ=");
    for program in [program, short] {
        let output = timeout(SOON, program.run()).await.expect("it ends by itself");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{output:?}");
        assert!(told.contains("BILLING_DISPATCH_SECRET"), "{told}");
        assert!(!told.contains("c2hvcnQ"), "{told}");
    }
}
