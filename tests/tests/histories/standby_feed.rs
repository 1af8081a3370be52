//! The feed is read from a hot standby that lags.

use contract::feed::{ContinuationToken, FeedPage, SequenceNr};
use contract::problem::ProblemCode;
use e2e::api::assert_refused;
use e2e::pair::Engine;
use testkit::postgres::Server;
use testkit::wait;

use crate::SOON;
use crate::scene::Scene;

/// Asks the feed with a token that the standby cannot know: it must answer that there is nothing
/// new, and give the same token back.
async fn assert_nothing_new(scene: &Scene, token: &ContinuationToken) -> FeedPage {
    let text = token.to_string();
    let page = scene.ordering.feed(Some(&text), 10).await.unwrap();
    assert_eq!((page.orders.len(), page.has_more), (0, false), "{page:?}");
    assert_eq!(page.continuation_token, *token);
    page
}

#[tokio::test]
async fn a_standby_that_lags_makes_nothing_lost_and_begins_no_epoch() {
    let primary = Server::start().await;
    let url = primary.create_database("ordering").await;
    let mut scene = Scene::start(&url, Engine::Postgres).await;
    let mut standby = primary.start_standby().await;
    let feed_url = standby.url("ordering");
    let (epoch, order) = (scene.epoch().await, scene.shared.changed);

    scene.pair.ordering.kill();
    scene.ordering_goes_on_with_feed_from(&url, &feed_url).await;
    scene.change(order, "through the standby", 3).await;
    scene.converges().await;

    // The standby stands still. The feed stands still with it; single orders are read from the
    // primary, so the deep link shows the newest.
    standby.pause_replay().await;
    let known = scene.ordering.whole_feed(100).await.unwrap();
    let there = scene.change(order, "ahead", 4).await;
    scene.create("ahead", 5).await;
    let counts = scene.billing.pull().await.unwrap();
    assert_eq!((counts.new, counts.changed), (0, 0));
    assert_eq!(scene.ordering.whole_feed(100).await.unwrap(), known);
    assert_eq!(scene.billing.follow_link(order).await.unwrap().status(), 303);
    scene.assert_content(order, there.version, "ahead").await;
    assert_eq!(scene.verify().await, Some(1), "it is compared with the primary");

    // Billing has read from the primary itself, and so further than the standby goes.
    scene.pair.ordering.kill();
    scene.ordering_goes_on_with(&url).await;
    scene.converges().await;
    let ahead = scene.ordering.feed(None, 100).await.unwrap().continuation_token;
    scene.pair.ordering.kill();
    scene.ordering_goes_on_with_feed_from(&url, &feed_url).await;
    let page = assert_nothing_new(&scene, &ahead).await;
    assert!(page.last_sequence_nr < ahead.sequence_nr && page.epoch == epoch, "{page:?}");
    let before = scene.holdings().await;
    scene.billing.pull().await.unwrap();
    let token = scene.billing.pull_status().await.unwrap().continuation_token;
    assert_eq!(token, Some(ahead.to_string()));

    // A new epoch, of which the standby has not heard. Billing learns of it from a single order,
    // and cannot read it yet.
    scene.announce_new_epoch(&url).await;
    assert_eq!(scene.billing.follow_link(order).await.unwrap().status(), 303);
    let new_epoch = scene.billing.order(order).await.unwrap().epoch;
    assert!(new_epoch > epoch, "a single order is read from the primary");
    for sequence_nr in [SequenceNr::BEGINNING, ahead.sequence_nr] {
        let token = ContinuationToken { epoch: new_epoch, sequence_nr, ..ahead.clone() };
        assert_nothing_new(&scene, &token).await;
    }
    wait::until("billing has tried to read the new epoch", SOON, async || {
        scene.billing.pull_status().await.unwrap().consecutive_failures > 1
    })
    .await;
    let mut during = scene.holdings().await;
    for copy in &mut during.0 {
        assert!(!copy.missing_at_source, "{copy:?}");
        copy.epoch = epoch;
    }
    assert_eq!(during, before, "nothing is lost");

    standby.resume_replay().await;
    scene.converges().await;
    assert!(scene.lost.is_empty());
    assert_eq!(scene.epoch().await, new_epoch, "no other epoch has begun");

    // Without its standby there is no feed, and all the rest goes on.
    standby.kill();
    assert_refused(scene.ordering.feed(None, 10).await, ProblemCode::Unavailable);
    assert_refused(scene.billing.pull().await, ProblemCode::UpstreamUnavailable);
    let there = scene.change(order, "without the standby", 6).await;
    assert_eq!(scene.billing.follow_link(order).await.unwrap().status(), 303);
    scene.assert_content(order, there.version, "without the standby").await;
    standby.start_again().await;
    scene.create("with the standby", 7).await;
    scene.converges().await;
    assert_eq!(scene.epoch().await, new_epoch);
    scene.pair.ordering.assert_running();
    scene.pair.billing.assert_running();
}
