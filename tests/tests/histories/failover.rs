//! An asynchronous standby takes over from a primary that it was behind of.

use std::collections::BTreeSet;

use contract::feed::SequenceNr;
use e2e::pair::Engine;
use sqlx::{Connection, PgConnection};
use testkit::postgres::Server;
use testkit::wait;

use crate::SOON;
use crate::scene::{Scene, live_invoice};

/// Confirms the draft, which has no place in the feed while this session is open: it holds the counter.
async fn confirm_and_hold(scene: &Scene, url: &str) -> PgConnection {
    let mut holder = PgConnection::connect(url).await.unwrap();
    let lock = "begin; select last_sequence_nr from feed_state for update";
    sqlx::raw_sql(lock).execute(&mut holder).await.unwrap();
    let draft = scene.change(scene.shared.draft, "anew", 4).await;
    scene.ordering.confirm(draft.number, None).await.unwrap();
    holder
}

#[tokio::test]
async fn a_standby_that_takes_over_is_noticed_and_the_old_primary_is_refused() {
    let mut primary = Server::start().await;
    let old_url = primary.create_database("ordering").await;
    let mut scene = Scene::start(&old_url, Engine::Postgres).await;
    let standby = primary.start_standby().await;
    let new_url = standby.url("ordering");
    standby.catch_up(&primary).await;
    let old_epoch = scene.epoch().await;

    // All of this is confirmed to whoever asked for it, and billing has it.
    standby.cut_off().await;
    let tail = scene.live_in_vain().await;
    scene.converges().await;
    assert_eq!(scene.lost, BTreeSet::new());
    // The last one, whose number is not given out again.
    let last = *tail.last().unwrap();
    let binding = live_invoice(&scene.billing, last).await;
    let binding = scene.billing.approve(&binding).await.unwrap();

    primary.kill();
    standby.promote().await;
    // The new history has come far by the time billing learns of it.
    scene.pair.billing.service().freeze();
    scene.pair.ordering.kill();
    scene.ordering_goes_on_with(&new_url).await;
    let new_epoch = scene.begins_an_epoch_after(old_epoch).await;
    let created = scene.live("anew", 5).await;
    assert!(created.iter().any(|number| tail.contains(number)), "{created:?} after {tail:?}");
    let holder = confirm_and_hold(&scene, &new_url).await;
    scene.pair.billing.service().thaw();

    wait::until("what was lost is marked", SOON, async || {
        scene.billing.order(last).await.unwrap().missing_at_source
    })
    .await;
    // The re-read does not meet it, and yet it is not lost.
    let copy = wait::value("the order that is not stamped is pulled", SOON, async || {
        scene.billing.order(scene.shared.draft).await.filter(|copy| copy.epoch == new_epoch)
    })
    .await;
    assert_eq!(copy.order.confirmed_sequence_nr, SequenceNr::UNSTAMPED);
    assert!(!copy.missing_at_source && copy.order.note.as_deref() == Some("anew"), "{copy:?}");
    holder.close().await.unwrap();
    scene.converges().await;

    for number in [scene.shared.changed, scene.shared.approved] {
        scene.assert_content(number, 3, "anew").await;
    }
    for number in &created {
        scene.assert_content(*number, 2, "anew").await;
    }
    assert!(!scene.billing.order(scene.shared.deleted).await.unwrap().deleted);
    assert_eq!(live_invoice(&scene.billing, last).await, binding, "approved is approved");
    scene.lost.remove(&last);
    scene.assert_lost_are_not_approvable().await;

    primary.start_again().await;
    scene.pair.ordering.kill();
    scene.ordering_goes_on_with(&old_url).await;
    assert_eq!(scene.epoch().await, old_epoch);
    scene.assert_refused_as_stale().await;

    scene.pair.ordering.kill();
    scene.ordering_goes_on_with(&new_url).await;
    scene.converges().await;
    assert_eq!(scene.epoch().await, new_epoch, "it is the same server, and nothing was lost");
    scene.pair.billing.assert_running();
}
