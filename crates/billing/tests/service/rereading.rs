//! A new epoch: every order is seen again, or found to be lost.

use billing::pull::PullError;
use contract::feed::{Epoch, FeedIdentity, FeedPage};
use contract::order::Order;
use contract::problem::ProblemCode;
use serde_json::{Value, json};
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, Request, ResponseTemplate};

use crate::on_both_databases;
use crate::ordering::{
    AT, EPOCH, another_feed, identity, nothing_new, ok, one, order, page_of, problem, token_of,
};
use crate::world::World;

on_both_databases! {
    an_order_that_waits_to_be_stamped_is_not_lost,
    an_order_that_the_new_epoch_does_not_know_is_missing,
    a_provider_of_the_past_loses_nothing,
    a_lagging_standby_never_ends_a_reread,
    the_same_content_touches_no_invoice,
    an_order_made_anew_under_a_lost_number_is_taken_in,
    another_database_loses_what_it_does_not_know,
    a_person_decides,
}

pub(crate) fn lost(epoch: i64) -> ResponseTemplate {
    problem(ProblemCode::NotFound, Some(identity(epoch)))
}

/// From now on `epoch` answers, from the beginning with `orders`.
pub(crate) async fn begins(world: &World, epoch: i64, orders: Vec<Order>) {
    world.ordering.reset().await;
    world.also_answers(None, ok(page_of(&identity(epoch), orders))).await;
}

/// Whatever the token, from now on there is nothing new.
pub(crate) async fn nothing_more(world: &World, epoch: i64, sequence_nr: i64) {
    let token = token_of(&identity(epoch), sequence_nr);
    world.also_answers(Some(&token), ok(nothing_new(&token))).await;
}

pub(crate) async fn is_missing(world: &World, number: i64) -> bool {
    world.store.order(number).await.unwrap().expect("nothing is ever deleted").missing_at_source
}

/// The numbers of the orders that must still be seen.
pub(crate) async fn unseen(world: &World) -> Vec<i64> {
    let unseen = world.store.unseen(None, 10_000).await.unwrap();
    unseen.into_iter().map(|unseen| unseen.number).collect()
}

pub(crate) async fn reread(world: &World) -> Value {
    world.ask("GET", "/api/v1/pull", None).await.body["reread"].clone()
}

/// Two orders of the usual epoch, and the news of a new one, from a pull by number.
pub(crate) async fn two_orders_and_a_new_epoch(world: &World) {
    world.pull_two_orders().await;
    world.answers_order(9, lost(EPOCH + 1)).await;
    assert_eq!(world.puller.pull_order(9).await.unwrap_err().kind(), "not-found");
    assert_eq!(unseen(world).await, [1, 2]);
}

async fn an_order_that_waits_to_be_stamped_is_not_lost(world: World) {
    two_orders_and_a_new_epoch(&world).await;
    let expected = json!({"epoch": EPOCH + 1, "since": AT, "seen": 0, "unseen": 2, "missing": 0});
    assert_eq!(reread(&world).await, expected);

    begins(&world, EPOCH + 1, vec![order(1, 1, 1)]).await;
    world.also_answers_order(2, ok(one(&identity(EPOCH + 1), order(2, 3, -1)))).await;
    let counts = world.puller.pull_once().await.unwrap();
    assert_eq!((counts.pages, counts.changed, counts.new), (1, 2, 0));
    let stored = world.store.order(2).await.unwrap().unwrap();
    assert_eq!((stored.missing_at_source, stored.epoch), (false, Epoch(EPOCH + 1)));
    assert_eq!(stored.order.version, 3);
    assert_eq!(reread(&world).await, Value::Null);
    // The duty is done: nothing is asked by number any more.
    world.ordering.reset().await;
    nothing_more(&world, EPOCH + 1, 1).await;
    world.puller.pull_once().await.unwrap();
    assert_eq!(world.times_asked().await, 1);
}

async fn an_order_that_the_new_epoch_does_not_know_is_missing(world: World) {
    world.ask("GET", "/metrics", None).await;
    two_orders_and_a_new_epoch(&world).await;
    let before = world.store.order(2).await.unwrap().unwrap();
    begins(&world, EPOCH + 1, vec![order(1, 1, 1)]).await;
    world.also_answers_order(2, lost(EPOCH + 1)).await;
    world.puller.pull_once().await.unwrap();

    let after = world.store.order(2).await.unwrap().unwrap();
    assert_eq!((after.missing_at_source, after.missing_since), (true, Some(AT)));
    assert_eq!((after.epoch, &after.order), (before.epoch, &before.order));
    let missing = world.ask("GET", "/api/v1/orders?missingAtSource=true", None).await.body;
    assert_eq!(missing["orders"].as_array().unwrap().len(), 1);
    assert_eq!(missing["orders"][0]["number"], 2);
    assert_eq!(missing["orders"][0]["missingSince"], json!(AT));
    let others = world.ask("GET", "/api/v1/orders?missingAtSource=false", None).await.body;
    assert_eq!(others["orders"][0]["number"], 1);
    let refused = world.ask("GET", "/api/v1/orders?missingAtSource=x", None).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.body["errors"][0]["pointer"], "/missingAtSource");

    // It is not asked for again, and its invoice waits for a person.
    world.ordering.reset().await;
    nothing_more(&world, EPOCH + 1, 1).await;
    world.puller.pull_once().await.unwrap();
    assert_eq!(world.times_asked().await, 1);
    let invoices = world.ask("GET", "/api/v1/invoices?orderNumber=2", None).await.body;
    let id = invoices["invoices"][0]["id"].as_str().unwrap();
    let refused = world.ask("POST", &format!("/api/v1/invoices/{id}/approve"), None).await;
    assert_eq!(refused.status, 409);
}

async fn a_provider_of_the_past_loses_nothing(world: World) {
    two_orders_and_a_new_epoch(&world).await;
    begins(&world, EPOCH + 1, vec![order(1, 1, 1)]).await;
    world.also_answers_order(2, lost(EPOCH)).await;
    let error = world.puller.pull_once().await.unwrap_err();
    let (past, adopted) = (Epoch(EPOCH), Epoch(EPOCH + 1));
    assert!(
        matches!(error, PullError::StaleProvider { answered: Some(answered), adopted: Some(is) }
            if answered == past && is == adopted),
        "{error:?}"
    );
    assert!(!is_missing(&world, 2).await);
    assert_eq!(unseen(&world).await, [2]);
    let state = world.pull_state().await;
    assert_eq!(state.consecutive_failures, 1);
    let last_error = state.last_error.unwrap();
    for part in ["epoch 1000,", "epoch 1001 was", "switch it off", "ordering new-epoch"] {
        assert!(last_error.contains(part), "{part:?} is not in {last_error}");
    }
    // What had been read until then counts.
    assert_eq!(state.continuation_token, Some(token_of(&identity(EPOCH + 1), 1)));
}

async fn a_lagging_standby_never_ends_a_reread(world: World) {
    two_orders_and_a_new_epoch(&world).await;
    let old_token = token_of(&identity(EPOCH), 2);
    let nothing =
        FeedPage { continuation_token: token_of(&identity(EPOCH), 0), ..nothing_new(&old_token) };
    for answer in [
        ok(nothing),
        ok(page_of(&identity(EPOCH), vec![order(1, 1, 1), order(2, 1, 2)])),
        problem(ProblemCode::StaleProvider, Some(identity(EPOCH))),
    ] {
        world.answers(None, answer).await;
        assert_eq!(world.pull_in_vain().await.kind(), "stale-provider");
        assert_eq!(world.times_asked().await, 1, "no order is asked for");
        assert_eq!(reread(&world).await["unseen"], 2);
    }
}

/// Ordering answers the question for any order by its number.
pub(crate) async fn answers_by_number(
    world: &World,
    answer: impl Fn(i64) -> ResponseTemplate + Send + Sync + 'static,
) {
    let answer = move |request: &Request| {
        let (_, number) = request.url.path().rsplit_once('/').unwrap();
        answer(number.parse().unwrap())
    };
    Mock::given(method("GET"))
        .and(path_regex(r"^/feed/v1/orders/\d+$"))
        .respond_with(answer)
        .mount(&world.ordering)
        .await;
}

/// Billing holds `count` orders of the usual epoch.
pub(crate) async fn many_orders(world: &World, count: i64) {
    world
        .answers(None, ok(page_of(&identity(EPOCH), (1..=count).map(|n| order(n, 1, n)).collect())))
        .await;
    world.puller.pull_once().await.unwrap();
}

/// `epoch` answers, from the beginning with `orders`, to a token at `sequence_nr` of the usual
/// epoch too.
pub(crate) async fn begins_anew(world: &World, epoch: i64, orders: Vec<Order>, sequence_nr: i64) {
    begins(world, epoch, orders).await;
    let old = token_of(&identity(EPOCH), sequence_nr);
    let reset = problem(ProblemCode::FeedReset, Some(identity(epoch)));
    world.also_answers(Some(&old), reset).await;
}

async fn the_same_content_touches_no_invoice(world: World) {
    world.pull_two_orders().await;
    let invoices = world.ask("GET", "/api/v1/invoices", None).await.body;
    let id = invoices["invoices"][0]["id"].as_str().unwrap();
    world.ask("POST", &format!("/api/v1/invoices/{id}/approve"), None).await;
    let invoices = world.ask("GET", "/api/v1/invoices", None).await.body;

    begins_anew(&world, EPOCH + 1, vec![order(1, 1, 1)], 2).await;
    world.also_answers_order(2, ok(one(&identity(EPOCH + 1), order(2, 1, -1)))).await;
    world.puller.pull_once().await.unwrap();
    assert!(unseen(&world).await.is_empty());
    assert_eq!(world.ask("GET", "/api/v1/invoices", None).await.body, invoices);
}

async fn an_order_made_anew_under_a_lost_number_is_taken_in(world: World) {
    world.pull_two_orders().await;
    begins_anew(&world, EPOCH + 1, vec![order(1, 1, 1)], 2).await;
    world.also_answers_order(2, lost(EPOCH + 1)).await;
    world.puller.pull_once().await.unwrap();
    assert!(is_missing(&world, 2).await);

    let mut anew = order(2, 1, 2);
    anew.customer.name = "Another".into();
    let token = token_of(&identity(EPOCH + 1), 1);
    world.answers(Some(&token), ok(page_of(&identity(EPOCH + 1), vec![anew]))).await;
    world.puller.pull_once().await.unwrap();
    assert!(!is_missing(&world, 2).await);
    let invoices = world.ask("GET", "/api/v1/invoices?orderNumber=2", None).await.body;
    assert_eq!(invoices["invoices"][0]["customer"]["name"], "Another");
    assert_eq!(invoices["invoices"].as_array().unwrap().len(), 1);
}

async fn another_database_loses_what_it_does_not_know(world: World) {
    world.pull_two_orders().await;
    // `billing reset-token`
    world.store.reset_token(None, true).await.unwrap();
    assert_eq!(reread(&world).await, Value::Null);
    let other = another_feed();
    world.answers(None, ok(page_of(&other, vec![order(2, 1, 1)]))).await;
    let lost = problem(ProblemCode::NotFound, Some(FeedIdentity { ..other.clone() }));
    world.also_answers_order(1, lost).await;
    world.puller.pull_once().await.unwrap();
    assert!(is_missing(&world, 1).await && !is_missing(&world, 2).await);
}

async fn a_person_decides(world: World) {
    many_orders(&world, 3).await;
    begins_anew(&world, EPOCH + 1, vec![order(3, 1, 1)], 3).await;
    answers_by_number(&world, |_| lost(EPOCH + 1)).await;
    world.puller.pull_once().await.unwrap();
    let decide = async |number: &str, body: Value| {
        world.ask("POST", &format!("/api/v1/orders/{number}/missing"), Some(body)).await
    };
    let keep = || json!({"decision": "keep"});
    let withdraw = || json!({"decision": "withdraw"});

    let before = world.ask("GET", "/api/v1/orders/1", None).await;
    let kept = decide("1", keep()).await;
    assert_eq!((kept.status.as_u16(), &kept.body["keptAt"]), (200, &json!(AT)));
    let after = world.ask("GET", "/api/v1/orders/1", None).await;
    assert_eq!((&after.body, &after.headers["etag"]), (&kept.body, &kept.headers["etag"]));
    assert_ne!(before.headers["etag"], after.headers["etag"]);
    let invoice = async |number: i64| {
        let path = format!("/api/v1/invoices?orderNumber={number}");
        world.ask("GET", &path, None).await.body["invoices"][0].clone()
    };
    let path = format!("/api/v1/invoices/{}/approve", invoice(1).await["id"].as_str().unwrap());
    assert_eq!(world.ask("POST", &path, None).await.status, 200);

    assert_eq!(decide("2", withdraw()).await.status, 200);
    assert_eq!(decide("2", withdraw()).await.status, 200);
    assert_eq!(invoice(2).await["state"], "withdrawn");
    let path = format!("/api/v1/invoices/{}/approve", invoice(2).await["id"].as_str().unwrap());
    let closed = world.ask("POST", &path, None).await;
    assert_eq!(closed.status, 409);
    assert!(closed.body["detail"].as_str().unwrap().contains("ordering had lost its order"));

    for (number, body, status, code, pointers) in [
        ("2", keep(), 409, "conflict", vec![]),
        ("3", keep(), 409, "conflict", vec![]),
        ("4", keep(), 404, "not-found", vec![]),
        ("x", keep(), 404, "not-found", vec![]),
        ("1", json!({}), 422, "validation-failed", vec!["/decision"]),
        ("1", json!([]), 422, "validation-failed", vec![""]),
        ("1", json!({"decision": 1, "x": 1}), 422, "validation-failed", vec!["/decision", "/x"]),
        ("1", json!({"decision": "drop"}), 422, "validation-failed", vec!["/decision"]),
    ] {
        let refused = decide(number, body.clone()).await;
        let told = (refused.status.as_u16(), refused.body["code"].as_str());
        assert_eq!(told, (status, Some(code)), "{number}: {body}");
        let errors = refused.body["errors"].as_array().cloned().unwrap_or_default();
        let found: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(found, pointers, "{body}");
    }
}

#[tokio::test]
async fn the_metrics_tell_of_rereads_and_refused_epochs() {
    let world = World::sqlite().await;
    // Installs the recorder, which counts for the whole process.
    world.ask("GET", "/metrics", None).await;
    world.pull_two_orders().await;
    begins_anew(&world, EPOCH + 1, vec![order(1, 1, 1)], 2).await;
    world.also_answers_order(2, lost(EPOCH + 1)).await;
    world.puller.pull_once().await.unwrap();
    let token = token_of(&identity(EPOCH + 1), 1);
    world.answers(Some(&token), problem(ProblemCode::StaleProvider, None)).await;
    assert_eq!(world.puller.pull_once().await.unwrap_err().kind(), "stale-provider");
    let metrics = world.ask("GET", "/metrics", None).await.body;
    let metrics = metrics.as_str().unwrap();
    for name in [
        "billing_rereads_total",
        "billing_refused_epochs_total",
        "billing_unseen_orders",
        "billing_missing_at_source_orders",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name}: {metrics}");
    }
}
