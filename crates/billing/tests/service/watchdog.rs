//! Pulls that get nowhere, and the metrics that tell.

use std::time::Duration;

use contract::feed::FeedPage;
use kit::clock::Clock;
use tokio_util::sync::CancellationToken;
use wiremock::ResponseTemplate;

use crate::ordering::{EPOCH, identity, nothing_new, ok, one, order, page, token};
use crate::rereading::{answers_by_number, begins_anew, lost, many_orders, nothing_more};
use crate::world::World;

const MAX_AGE: Duration = Duration::from_mins(5);
const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn pulls_that_fail_for_too_long_are_the_reason_why_it_is_not_ready() {
    let mut world = World::sqlite().await;
    let puller = world.watched_puller(MAX_AGE);
    // Counted from the start, when there was no success since.
    for seconds in [0, 7] {
        world.clock.advance(if seconds == 0 { MAX_AGE } else { Duration::from_secs(seconds) });
        puller.pull_once().await.unwrap_err();
        assert_eq!(puller.blocked().is_some(), seconds > 0, "{:?}", puller.blocked());
    }
    world.serve_with(&puller);
    let ready = world.ask("GET", "/health/ready", None).await;
    assert_eq!(ready.status, 503);
    let reason = "no pull has reached the end of the feed for 307 s: Ordering answered 404";
    assert!(ready.body["detail"].as_str().unwrap().starts_with(reason), "{}", ready.body);

    world.answers(None, ok(page(vec![order(1, 1, 1)]))).await;
    puller.pull_once().await.unwrap();
    assert_eq!(puller.blocked(), None);

    world.answers(Some(&token(1)), ResponseTemplate::new(500)).await;
    for _ in 0..5 {
        world.clock.advance(Duration::from_mins(1));
        puller.pull_once().await.unwrap_err();
        assert_eq!(puller.blocked(), None);
    }
    world.clock.advance(Duration::from_mins(1));
    puller.pull_once().await.unwrap_err();
    let reason = puller.blocked().unwrap();
    assert!(
        reason.starts_with(
            "no pull has reached the end of the feed for 360 s: Ordering answered 500"
        ),
        "{reason}"
    );

    // It is over with the next success, whatever the clock says.
    world.clock.set(world.clock.now() - HOUR);
    world.answers(Some(&token(1)), ok(nothing_new(&token(1)))).await;
    puller.pull_once().await.unwrap();
    assert_eq!(puller.blocked(), None);
    world.clock.set(world.clock.now() + HOUR + HOUR);
    assert_eq!(puller.blocked(), None);
}

#[tokio::test]
async fn a_page_may_take_as_long_as_it_is_given() {
    let world = World::sqlite().await;
    // It gives a page a minute, the other half a second.
    let patient = world.patient_puller(&world.ordering.uri());
    world.clock.advance(Duration::from_secs(150));
    assert_eq!(patient.blocked(), None);
    let blocked = world.puller.blocked();
    assert_eq!(blocked.as_deref(), Some("the pull loop has not moved for 150 s"));
    world.clock.advance(Duration::from_secs(31));
    let blocked = patient.blocked();
    assert_eq!(blocked.as_deref(), Some("the pull loop has not moved for 181 s"));
}

#[tokio::test]
async fn a_pull_that_makes_progress_is_not_overdue() {
    let world = World::sqlite().await;
    let puller = world.watched_puller(MAX_AGE);
    // A first load that breaks off again and again, each time a page further.
    let mut after = None;
    for number in 1..=4 {
        world.clock.advance(MAX_AGE);
        let page = FeedPage { has_more: true, ..page(vec![order(number, 1, number)]) };
        world.answers(after.as_ref(), ok(page)).await;
        puller.pull_once().await.unwrap_err();
        assert_eq!(puller.blocked(), None);
        after = Some(token(number));
    }
    // The same place again is none.
    world.clock.advance(MAX_AGE + Duration::from_secs(1));
    puller.pull_once().await.unwrap_err();
    let reason = puller.blocked().unwrap();
    let told = "no pull has reached the end of the feed for 1501 s: ";
    assert!(reason.starts_with(told), "{reason}");
}

#[tokio::test]
async fn a_sweep_that_makes_progress_is_not_overdue() {
    let world = World::sqlite().await;
    many_orders(&world, 3).await;
    let puller = world.watched_puller(MAX_AGE);
    begins_anew(&world, EPOCH + 1, vec![order(60, 1, 1)], 3).await;
    let late = MAX_AGE + Duration::from_secs(1);
    puller.pull_once().await.unwrap_err();
    world.clock.advance(late);
    assert_ne!(puller.blocked(), None);
    // One is seen and one is found to be lost, the third cannot be asked for.
    nothing_more(&world, EPOCH + 1, 1).await;
    answers_by_number(&world, |number| match number {
        1 => ok(one(&identity(EPOCH + 1), order(1, 1, -1))),
        2 => lost(EPOCH + 1),
        _ => ResponseTemplate::new(500),
    })
    .await;
    puller.pull_once().await.unwrap_err();
    assert_eq!(puller.blocked(), None);
    // Reading the feed to its end, where there is nothing new, is no progress.
    world.clock.advance(late);
    puller.pull_once().await.unwrap_err();
    assert_ne!(puller.blocked(), None);
}

#[tokio::test]
async fn every_metric_of_the_pull_is_there_from_the_start() {
    let world = World::sqlite().await;
    // It stops before its first pull.
    let stopped = CancellationToken::new();
    stopped.cancel();
    world.puller.clone().run(HOUR, None, stopped).await.unwrap();
    let metrics = world.ask("GET", "/metrics", None).await.body;
    let metrics = metrics.as_str().unwrap();
    let kinds = ["new", "changed", "removed", "unchanged", "quarantined"];
    let outcomes = ["success", "timeout", "unreachable", "refused", "invalid", "reset"];
    let others = ["unknown-feed", "stale-provider", "lagging-standby", "database"];
    let expected =
        (kinds.iter().map(|it| format!("billing_pulled_orders_total{{kind=\"{it}\"}} ")))
            .chain(
                outcomes
                    .iter()
                    .chain(&others)
                    .map(|it| format!("billing_pulls_total{{outcome=\"{it}\"}} ")),
            )
            .chain(
                [
                    "billing_behind_orders ",
                    "billing_behind_seconds ",
                    "billing_quarantined_orders ",
                    "billing_last_success_timestamp_seconds ",
                ]
                .map(str::to_owned),
            );
    for line in expected {
        assert!(metrics.lines().any(|it| it.starts_with(&line)), "{line} in {metrics}");
    }
}
