//! Between two pulls the loop lets ordering hold a question, and has what is new at once; whatever
//! becomes of the question, the interval is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contract::problem::ProblemCode;
use testkit::wait::until;
use tokio_util::sync::CancellationToken;
use wiremock::matchers::{method, query_param, query_param_is_missing};
use wiremock::{Mock, ResponseTemplate};

use crate::ordering::{EPOCH, identity, nothing_new, ok, order, page, problem, token, token_of};
use crate::world::World;

const SOON: Duration = Duration::from_secs(20);
/// So long that no pull comes of it.
const SELDOM: Duration = Duration::from_hours(1_000);
/// How long ordering is asked to wait.
const WAIT: Duration = Duration::from_secs(7);

/// A world with two orders, whose ordering says at once that there is nothing behind `token(2)`, and
/// `news` to who waits for it.
async fn world(news: ResponseTemplate) -> World {
    let world = World::sqlite().await;
    world.pull_two_orders().await;
    world.ordering.reset().await;
    let asked = |number: i64| {
        Mock::given(method("GET")).and(query_param("after", token(number).to_string()))
    };
    asked(2)
        .and(query_param_is_missing("wait"))
        .respond_with(ok(nothing_new(&token(2))))
        .mount(&world.ordering)
        .await;
    asked(2).and(query_param("wait", "7")).respond_with(news).mount(&world.ordering).await;
    let nothing = ok(nothing_new(&token(3))).set_delay(WAIT);
    asked(3).respond_with(nothing).mount(&world.ordering).await;
    world
}

/// Lets the loop run until `reached`.
async fn run(world: &World, interval: Duration, what: &str, reached: impl AsyncFn() -> bool) {
    let shutdown = CancellationToken::new();
    let running =
        tokio::spawn(Arc::clone(&world.puller).run(interval, Some(WAIT), shutdown.clone()));
    until(what, SOON, reached).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

/// How many of ordering's answers were waited for.
async fn times_waited(world: &World) -> usize {
    let requests = world.ordering.received_requests().await.unwrap();
    requests.iter().filter(|it| it.url.query().unwrap_or_default().contains("wait=")).count()
}

#[tokio::test]
async fn what_is_new_is_taken_in_from_the_answer_that_was_waited_for() {
    let news = ok(page(vec![order(3, 1, 3)])).set_delay(Duration::from_millis(100));
    let world = world(news).await;
    run(&world, SELDOM, "the order arrives", async || {
        let state = world.pull_state().await;
        state.continuation_token == Some(token(3)) && state.last_pull_at.is_some()
    })
    .await;
    let requests = world.ordering.received_requests().await.unwrap();
    let waited: Vec<_> =
        requests.iter().map(|it| it.url.query().unwrap_or_default().contains("wait=")).collect();
    assert_eq!(waited[..2], [false, true], "a pull, then the question that was held");
    assert!(waited[2..].iter().all(|waited| *waited), "nothing was asked for a second time");
}

#[tokio::test]
async fn a_new_epoch_is_news() {
    let reset = problem(ProblemCode::FeedReset, Some(identity(EPOCH + 1)));
    let world = world(reset).await;
    world.also_answers(None, ok(nothing_new(&token_of(&identity(EPOCH + 1), 0)))).await;
    run(&world, SELDOM, "it is adopted", async || {
        world.pull_state().await.identity == Some(identity(EPOCH + 1))
    })
    .await;
}

#[tokio::test]
async fn the_interval_is_kept_while_the_question_is_held() {
    let world = world(ok(nothing_new(&token(2))).set_delay(WAIT)).await;
    let began = Instant::now();
    run(&world, Duration::from_millis(300), "three plain pulls", async || {
        world.times_asked().await - times_waited(&world).await >= 3
    })
    .await;
    assert!(began.elapsed() < WAIT, "none waited for the question");
}

#[tokio::test]
async fn an_ordering_that_does_not_hold_questions_is_not_asked_without_end() {
    for answer in [ok(nothing_new(&token(2))), ResponseTemplate::new(504)] {
        let world = world(answer).await;
        let began = Instant::now();
        run(&world, SELDOM, "it waits in vain for the third time", async || {
            times_waited(&world).await >= 3
        })
        .await;
        // 200 ms, then 400 ms, and each time a plain pull, so that nothing is missed meanwhile.
        assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
        assert!(world.times_asked().await - times_waited(&world).await >= 3);
        let state = world.pull_state().await;
        assert_eq!((state.consecutive_failures, state.last_error), (0, None));
    }
}
