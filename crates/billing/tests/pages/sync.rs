//! The sync page and its buttons.

use wiremock::ResponseTemplate;

use crate::world::{FEED, World, changed, order, says};

#[tokio::test]
async fn pulling_now_says_what_it_brought() {
    let world = World::new().await;
    world.ordering_feeds(FEED, vec![order(1), order(2)]).await;
    let pulled = world.post("/sync/pull", "").await;
    let page = world.get(pulled.leads_to()).await;
    says(page.text(200), &["2 new, 0 changed, 0 removed", "Up to date", "k3v9x2ab-1000-2"]);
    // The chart and its figures: 2 orders between 10:00 and 11:00.
    says(
        &page.body,
        &[r#"viewBox="0 0 240 2""#, "Most: 2, from 10:00 UTC", "<summary>The figures"],
    );
    says(&page.body, &[r#"<rect class="new" x="231" y="0" width="8" height="2"/>"#]);
    says(world.get("/").await.text(200), &["Up to date"]);
}

#[tokio::test]
async fn what_kinds_of_changes_arrived_is_stacked_in_the_chart() {
    let world = World::new().await;
    world.holds(order(1)).await;
    world.ordering_feeds(FEED, vec![changed(&order(1)), order(2), order(3)]).await;
    world.post("/sync/pull", "").await.leads_to();
    let page = world.get("/sync").await;
    // The order that was there before came by a link: it counts as well.
    let new = r#"<rect class="new" x="231" y="1" width="8" height="3"/>"#;
    let changed = r#"<rect class="changed" x="231" y="0" width="8" height="1"/>"#;
    says(page.text(200), &[r#"viewBox="0 0 240 4""#, new, changed]);
}

#[tokio::test]
async fn a_pull_that_fails_says_why() {
    let world = World::new().await;
    world.ordering_answers(0, ResponseTemplate::new(500)).await;
    let pulled = world.post("/sync/pull", "").await;
    let page = world.get(pulled.leads_to()).await;
    says(page.text(200), &["The pull did not go through", "The last pull failed", "Failing"]);
    says(&page.body, &["What went wrong: Ordering answered 404", "not known", "never"]);
    world.post("/sync/pull", "").await.leads_to();
    says(world.get("/sync").await.text(200), &["The last 2 pulls failed"]);
    says(world.get("/").await.text(200), &["Orders do not arrive right now"]);
}

#[tokio::test]
async fn another_feed_waits_for_an_operator() {
    let world = World::new().await;
    world.ordering_feeds(FEED, vec![order(1)]).await;
    world.post("/sync/pull", "").await.leads_to();
    world.ordering_feeds("other123", vec![order(1)]).await;
    world.post("/sync/pull", "").await.leads_to();
    let page = world.get("/sync").await;
    says(page.text(200), &["Another feed answers", "other123", FEED, "billing reset-token"]);
    says(world.get("/").await.text(200), &["until an operator decides"]);
}

#[tokio::test]
async fn reading_again_begins_at_the_beginning() {
    let world = World::new().await;
    world.ordering_feeds(FEED, vec![order(1)]).await;
    world.post("/sync/pull", "").await.leads_to();
    let reset = world.post("/sync/reset", "").await;
    let page = world.get(reset.leads_to()).await;
    says(page.text(200), &["The token is reset", "Reading again from the beginning"]);
    assert_eq!(world.store.pull_state().await.unwrap().continuation_token, None);
    let pulled = world.post("/sync/pull", "").await;
    says(world.get(pulled.leads_to()).await.text(200), &["There was nothing new.", "Up to date"]);
}
