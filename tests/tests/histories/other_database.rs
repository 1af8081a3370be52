//! Billing is pointed at another ordering, by mistake or on purpose.

use contract::problem::ProblemCode;
use e2e::api::assert_refused;
use e2e::ordering::Ordering;
use e2e::pair::{Database, Engine, Node, ordering_program};
use testkit::net::free_port;
use testkit::process::Program;
use testkit::wait;

use crate::SOON;
use crate::scene::{Scene, succeed};

/// Fills an ordering of its own, with orders of the same numbers.
async fn another_ordering(url: &str) {
    let node = Node::start(ordering_program(url, 0, free_port())).await;
    let other = Ordering(node.api());
    let customer = other.customer("Bob Sails").await.unwrap();
    for quantity in [7, 8] {
        let content = e2e::ordering::content(&customer, "other", quantity);
        other.create_confirmed(&content).await.unwrap();
    }
}

#[tokio::test]
async fn another_database_changes_nothing_until_an_operator_decides() {
    let (first, other) =
        (Database::new(Engine::Postgres).await, Database::new(Engine::Sqlite).await);
    another_ordering(other.url()).await;
    let mut scene = Scene::start(first.url(), Engine::Postgres).await;
    let before = scene.holdings().await;
    let token = scene.billing.pull_status().await.unwrap().continuation_token;

    scene.pair.ordering.kill();
    scene.ordering_goes_on_with(other.url()).await;
    wait::until("billing is not ready any more", SOON, async || {
        scene.billing.readiness().await.is_err()
    })
    .await;
    let problem = assert_refused(scene.billing.readiness().await, ProblemCode::Unavailable);
    assert!(problem.detail.contains("Another feed"), "{}", problem.detail);
    assert!(problem.detail.contains("reset-token"), "{}", problem.detail);
    assert_refused(scene.billing.pull().await, ProblemCode::UpstreamInvalid);
    assert_refused(scene.ordering.feed(token.as_deref(), 10).await, ProblemCode::FeedUnknown);
    let (_, page) = scene.billing.page("/sync").await;
    assert!(page.contains("Another feed"), "{page}");
    // The number is one of the other ordering's too.
    let link = scene.billing.follow_link(scene.shared.changed).await.unwrap();
    assert_eq!(link.status(), 303);
    assert_eq!(scene.holdings().await, before);
    assert_eq!(scene.billing.pull_status().await.unwrap().continuation_token, token);

    // It was a mistake: the right one is back, and billing is started with its address.
    scene.pair.ordering.kill();
    scene.ordering_goes_on_with(first.url()).await;
    scene.billing_restarts(&[]).await;
    scene.change(scene.shared.changed, "the right one", 3).await;
    scene.converges().await;
    assert!(scene.lost.is_empty());
    scene.billing.readiness().await.expect("all is well again");

    // It is on purpose: the other one takes over.
    scene.pair.ordering.kill();
    scene.ordering_goes_on_with(other.url()).await;
    wait::until("billing is not ready any more", SOON, async || {
        scene.billing.readiness().await.is_err()
    })
    .await;
    // What an operator runs; billing need not be stopped for it.
    let url = scene.billing_database.url();
    succeed(&Program::new("billing").args(["reset-token", "--database-url", url])).await;
    scene.converges().await;
    scene.billing.readiness().await.expect("billing goes on with the other one");
    scene.assert_content(scene.shared.changed, 2, "other").await;
    assert!(scene.lost.contains(&scene.shared.untouched), "the other one does not know it");
    scene.assert_lost_are_not_approvable().await;
}
