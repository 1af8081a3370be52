//! A new epoch: every order is seen again, or found to be lost.

use std::sync::Mutex;
use std::time::{Duration, Instant};

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
    a_sweep_that_is_stopped_goes_on_where_it_was,
    an_order_that_cannot_be_seen_does_not_keep_the_others,
    while_ordering_is_away_nothing_is_asked_in_vain,
    a_second_failover_in_the_middle_of_a_sweep,
    one_epoch_after_the_other_is_left_for_later,
    the_same_content_touches_no_invoice,
    an_order_made_anew_under_a_lost_number_is_taken_in,
    another_database_loses_what_it_does_not_know,
    a_person_decides,
    thousands_of_orders_are_seen_in_bounded_time,
}

fn lost(epoch: i64) -> ResponseTemplate {
    problem(ProblemCode::NotFound, Some(identity(epoch)))
}

/// Orders 1 and 2 were read; now `epoch` answers, from the beginning with `orders`.
async fn begins(world: &World, epoch: i64, orders: Vec<Order>) {
    world.ordering.reset().await;
    world.also_answers(None, ok(page_of(&identity(epoch), orders))).await;
}

/// Whatever the token, from now on there is nothing new.
async fn nothing_more(world: &World, epoch: i64, sequence_nr: i64) {
    let token = token_of(&identity(epoch), sequence_nr);
    world.also_answers(Some(&token), ok(nothing_new(&token))).await;
}

async fn is_missing(world: &World, number: i64) -> bool {
    world.store.order(number).await.unwrap().expect("nothing is ever deleted").missing_at_source
}

/// The numbers of the orders that must still be seen.
async fn unseen(world: &World) -> Vec<i64> {
    let unseen = world.store.unseen(None, 10_000).await.unwrap();
    unseen.into_iter().map(|unseen| unseen.number).collect()
}

async fn reread(world: &World) -> Value {
    world.ask("GET", "/api/v1/pull", None).await.body["reread"].clone()
}

/// Two orders of the usual epoch, and the news of a new one, from a pull by number.
async fn two_orders_and_a_new_epoch(world: &World) {
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

async fn a_sweep_that_is_stopped_goes_on_where_it_was(world: World) {
    two_orders_and_a_new_epoch(&world).await;
    begins(&world, EPOCH + 1, vec![order(7, 1, 1)]).await;
    world.also_answers_order(1, lost(EPOCH + 1).set_delay(Duration::from_mins(1))).await;
    world.also_answers_order(2, ok(one(&identity(EPOCH + 1), order(2, 1, -1)))).await;
    // The process ends in the middle of it, wherever that is.
    let patient = world.patient_puller(&world.ordering.uri());
    let pull = patient.pull_once();
    tokio::select! {
        _ = pull => panic!("it was to hang"),
        () = testkit::wait::until("order 2 is seen", Duration::from_secs(20), async || {
            unseen(&world).await == [1]
        }) => {}
    }
    assert!(!is_missing(&world, 1).await);

    world.ordering.reset().await;
    nothing_more(&world, EPOCH + 1, 1).await;
    world.also_answers_order(1, lost(EPOCH + 1)).await;
    world.puller.pull_once().await.unwrap();
    assert!(is_missing(&world, 1).await && !is_missing(&world, 2).await);
    assert_eq!((world.times_asked().await, reread(&world).await), (2, Value::Null));
}

async fn an_order_that_cannot_be_seen_does_not_keep_the_others(world: World) {
    two_orders_and_a_new_epoch(&world).await;
    begins(&world, EPOCH + 1, vec![order(7, 1, 1)]).await;
    world.also_answers_order(1, ok(one(&identity(EPOCH + 1), order(6, 1, -1)))).await;
    world.also_answers_order(2, lost(EPOCH + 1)).await;
    let error = world.puller.pull_once().await.unwrap_err();
    assert_eq!(error.kind(), "invalid");
    assert!(is_missing(&world, 2).await);
    assert_eq!(unseen(&world).await, [1]);
    assert_eq!(world.pull_state().await.consecutive_failures, 1);

    // Nor does one that ordering fails at.
    world.ordering.reset().await;
    let token = token_of(&identity(EPOCH + 1), 1);
    world.also_answers(Some(&token), ok(page_of(&identity(EPOCH + 1), vec![order(8, 1, 2)]))).await;
    world.also_answers_order(1, ResponseTemplate::new(500)).await;
    assert_eq!(world.puller.pull_once().await.unwrap_err().kind(), "refused");
    assert!(world.store.order(8).await.unwrap().is_some(), "what is new arrives all the same");
    assert_eq!(unseen(&world).await, [1]);

    world.ordering.reset().await;
    nothing_more(&world, EPOCH + 1, 2).await;
    world.also_answers_order(1, ok(one(&identity(EPOCH + 1), order(1, 1, -1)))).await;
    world.puller.pull_once().await.unwrap();
    assert!(unseen(&world).await.is_empty());
    assert_eq!(world.pull_state().await.consecutive_failures, 0);
}

/// Ordering answers the question for any order by its number.
async fn answers_by_number(
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
async fn many_orders(world: &World, count: i64) {
    world
        .answers(None, ok(page_of(&identity(EPOCH), (1..=count).map(|n| order(n, 1, n)).collect())))
        .await;
    world.puller.pull_once().await.unwrap();
}

async fn while_ordering_is_away_nothing_is_asked_in_vain(world: World) {
    many_orders(&world, 50).await;
    begins_anew(&world, EPOCH + 1, vec![order(60, 1, 1)], 50).await;
    answers_by_number(&world, |_| ResponseTemplate::new(503)).await;
    assert_eq!(world.puller.pull_once().await.unwrap_err().kind(), "refused");
    let asked = world.times_asked().await;
    assert!(asked < 20, "asked {asked} times");
    assert_eq!(unseen(&world).await.len(), 50);

    // One that it fails at, of the first it is asked for, is passed over.
    begins_anew(&world, EPOCH + 1, vec![order(60, 1, 1)], 50).await;
    nothing_more(&world, EPOCH + 1, 1).await;
    answers_by_number(&world, |number| {
        if number == 3 { ResponseTemplate::new(503) } else { lost(EPOCH + 1) }
    })
    .await;
    assert_eq!(world.puller.pull_once().await.unwrap_err().kind(), "refused");
    assert_eq!(unseen(&world).await, [3]);
}

/// `epoch` answers, from the beginning with `orders`, to a token at `sequence_nr` of the usual
/// epoch too.
async fn begins_anew(world: &World, epoch: i64, orders: Vec<Order>, sequence_nr: i64) {
    begins(world, epoch, orders).await;
    let old = token_of(&identity(EPOCH), sequence_nr);
    let reset = problem(ProblemCode::FeedReset, Some(identity(epoch)));
    world.also_answers(Some(&old), reset).await;
}

async fn a_second_failover_in_the_middle_of_a_sweep(world: World) {
    many_orders(&world, 3).await;
    world.ordering.reset().await;
    let old = token_of(&identity(EPOCH), 3);
    let reset = problem(ProblemCode::FeedReset, Some(identity(EPOCH + 1)));
    world.also_answers(Some(&old), reset).await;
    // The pages from the beginning: of the first new epoch, then of the second.
    let pages = Mutex::new(vec![
        page_of(&identity(EPOCH + 2), vec![order(2, 1, 1), order(4, 1, 2)]),
        page_of(&identity(EPOCH + 1), vec![order(1, 1, 1), order(4, 1, 2)]),
    ]);
    let next = move |_: &Request| ok(pages.lock().unwrap().pop().expect("read at most twice"));
    Mock::given(method("GET"))
        .and(wiremock::matchers::path("/feed/v1/orders"))
        .and(wiremock::matchers::query_param_is_missing("after"))
        .respond_with(next)
        .mount(&world.ordering)
        .await;
    // Order 2 is asked for under the first, and the second answers.
    answers_by_number(&world, |number| {
        if number == 2 { ok(one(&identity(EPOCH + 2), order(2, 1, -1))) } else { lost(EPOCH + 2) }
    })
    .await;
    world.puller.pull_once().await.unwrap();
    assert_eq!(world.pull_state().await.identity, Some(identity(EPOCH + 2)));
    assert_eq!((unseen(&world).await.len(), reread(&world).await), (0, Value::Null));
    for (number, missing) in [(1, true), (2, false), (3, true), (4, false)] {
        assert_eq!(is_missing(&world, number).await, missing, "{number}");
    }
    let state = world.pull_state().await;
    assert_eq!(state.continuation_token, Some(token_of(&identity(EPOCH + 2), 2)));
}

async fn one_epoch_after_the_other_is_left_for_later(world: World) {
    many_orders(&world, 2).await;
    begins_anew(&world, EPOCH + 1, vec![order(1, 1, 1)], 2).await;
    let epoch = Mutex::new(EPOCH + 1);
    let page = move |request: &Request| {
        let mut epoch = epoch.lock().unwrap();
        *epoch += 1;
        if request.url.path().ends_with("orders") {
            ok(page_of(&identity(*epoch - 1), vec![order(1, 1, 1)]))
        } else {
            ok(one(&identity(*epoch), order(2, *epoch, -1)))
        }
    };
    world.ordering.reset().await;
    Mock::given(method("GET")).respond_with(page).mount(&world.ordering).await;
    let error = world.puller.pull_once().await.unwrap_err();
    assert!(matches!(error, PullError::Reset(_)), "{error}");
    assert!(world.times_asked().await < 12);
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

async fn thousands_of_orders_are_seen_in_bounded_time(world: World) {
    const ORDERS: i64 = 2_000;
    many_orders(&world, ORDERS).await;
    begins_anew(&world, EPOCH + 1, vec![order(5_000, 1, 1)], ORDERS).await;
    // While they are asked for, something new comes: it does not wait for the end.
    let token = token_of(&identity(EPOCH + 1), 1);
    let news = page_of(&identity(EPOCH + 1), vec![order(5_001, 1, 2)]);
    world.also_answers(Some(&token), ok(news)).await;
    nothing_more(&world, EPOCH + 1, 2).await;
    let puller = world.patient_puller(&world.ordering.uri());
    answers_by_number(&world, |number| {
        if number % 2 == 0 {
            ok(one(&identity(EPOCH + 1), order(number, 1, -1)))
        } else {
            lost(EPOCH + 1)
        }
    })
    .await;
    let began = Instant::now();
    tokio::join!(
        async { puller.pull_once().await.unwrap() },
        testkit::wait::until("what is new is here", Duration::from_mins(2), async || {
            world.store.order(5_001).await.unwrap().is_some() && {
                assert_ne!(world.store.at_source().await.unwrap().reread, None, "it waited");
                true
            }
        }),
    );
    assert!(began.elapsed() < Duration::from_mins(2), "took {:?}", began.elapsed());
    let at_source = world.store.at_source().await.unwrap();
    assert_eq!((at_source.missing, at_source.reread), (ORDERS / 2, None));
    let asked = i64::try_from(world.times_asked().await).unwrap();
    assert!(asked < ORDERS + 50, "each is asked for once: {asked}");
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
