//! API tokens between the services, and for their callers.

use contract::problem::ProblemCode;
use e2e::api::assert_refused;
use e2e::billing::Billing;
use e2e::equal::until_equal;
use e2e::ordering::{Ordering, content};
use e2e::pair::{Database, Engine, Node, billing_program, ordering_program};
use testkit::net::free_port;
use testkit::process::Program;
use testkit::wait;

use crate::SOON;

#[tokio::test]
async fn with_tokens_only_those_who_present_them_are_served() {
    let (ordering_db, billing_db) =
        (Database::new(Engine::Sqlite).await, Database::new(Engine::Sqlite).await);
    let port = free_port();
    let ordering_node = Node::start(
        ordering_program(ordering_db.url(), port, free_port()).env("ORDERING_API_TOKEN", "s3cret"),
    )
    .await;
    let stranger = Ordering(ordering_node.api());
    assert_refused(stranger.status().await, ProblemCode::Unauthorized);
    assert_refused(stranger.feed(None, 10).await, ProblemCode::Unauthorized);
    assert_refused(stranger.customer("Ada Yards").await, ProblemCode::Unauthorized);
    let wrong = Ordering(ordering_node.api().with_token("s3cre"));
    assert_refused(wrong.all_orders().await, ProblemCode::Unauthorized);
    stranger.readiness().await.expect("health needs no token");

    let ordering = Ordering(ordering_node.api().with_token("s3cret"));
    let customer = ordering.customer("Ada Yards").await.unwrap();
    ordering.create_confirmed(&content(&customer, "guarded", 1)).await.unwrap();

    let tokenless = Node::start(billing_program(billing_db.url(), 0, port)).await;
    let billing = Billing(tokenless.api());
    wait::until("billing says that ordering wants a token", SOON, async || {
        let status = billing.pull_status().await.unwrap();
        status.last_error.is_some_and(|error| error.contains("401"))
    })
    .await;
    assert_eq!(billing.all_orders().await.unwrap(), []);
    drop(tokenless);

    let program = billing_program(billing_db.url(), 0, port)
        .env("BILLING_ORDERING_TOKEN", "s3cret")
        .env("BILLING_API_TOKEN", "other");
    let node = Node::start(program).await;
    assert_refused(Billing(node.api()).all_orders().await, ProblemCode::Unauthorized);
    until_equal(&ordering, &Billing(node.api().with_token("other")), SOON).await;
}

#[tokio::test]
async fn without_a_token_only_loopback_is_served() {
    for (name, setting) in [("ordering", "ORDERING_API_TOKEN"), ("billing", "BILLING_API_TOKEN")] {
        let database = Database::new(Engine::Sqlite).await;
        let program = Program::new(name).args([
            "serve",
            "--listen",
            "0.0.0.0:0",
            "--database-url",
            database.url(),
        ]);
        let output = program.run().await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{name} serves everybody");
        assert!(said.contains(setting), "{name} names the missing setting: {said}");
        let mut service = program.env(setting, "s3cret").start().await;
        assert_eq!(service.exit_status(), None);
    }
}
