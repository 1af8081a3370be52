//! The sweep after a re-read: stopped, overtaken by another epoch, kept waiting.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use billing::pull::PullError;
use contract::problem::ProblemCode;
use serde_json::Value;
use wiremock::matchers::{method, path, query_param_is_missing};
use wiremock::{Mock, Request, ResponseTemplate};

use crate::on_both_databases;
use crate::ordering::{EPOCH, identity, ok, one, order, page_of, problem, token_of};
use crate::rereading::{
    answers_by_number, begins, begins_anew, is_missing, lost, many_orders, nothing_more, reread,
    two_orders_and_a_new_epoch, unseen,
};
use crate::world::World;

on_both_databases! {
    a_sweep_that_is_stopped_goes_on_where_it_was,
    an_order_that_cannot_be_seen_does_not_keep_the_others,
    while_ordering_is_away_nothing_is_asked_in_vain,
    a_second_failover_in_the_middle_of_a_sweep,
    one_epoch_after_the_other_is_left_for_later,
    thousands_of_orders_are_seen_in_bounded_time,
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
        .and(path("/feed/v1/orders"))
        .and(query_param_is_missing("after"))
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
