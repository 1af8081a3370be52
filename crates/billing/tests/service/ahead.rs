//! Pages that are asked for before the page before is read.

use billing::pull::Counts;
use contract::feed::{ContinuationToken, FeedPage};
use contract::order::Order;
use wiremock::ResponseTemplate;

use crate::on_both_databases;
use crate::ordering::{ok, order, page, token};
use crate::world::World;

on_both_databases! {
    a_link_is_followed_while_a_long_page_is_read_and_may_be_wrong,
    a_page_that_cannot_be_read_does_not_concern_those_before,
}

async fn a_link_is_followed_while_a_long_page_is_read_and_may_be_wrong(world: World) {
    let more = |orders| FeedPage { has_more: true, ..page(orders) };
    world.answers(None, ok(more(vec![order(1, 1, 1)]))).await;
    world.also_answers(Some(&token(1)), leading_to(&token(999), &more(long(2, 101)))).await;
    world.also_answers(Some(&token(101)), leading_to(&token(201), &more(long(102, 201)))).await;
    world.also_answers(Some(&token(201)), ok(page(vec![order(202, 1, 202)]))).await;
    // Nothing of this: it does not go on from any page.
    world.also_answers(Some(&token(999)), ok(page(vec![order(1_000, 1, 1_000)]))).await;

    let counts = world.puller.pull_once().await.unwrap();
    assert_eq!(counts, Counts { pages: 4, new: 202, ..Counts::default() });
    assert_eq!(world.pull_state().await.continuation_token, Some(token(202)));
    assert!(world.store.order(1_000).await.unwrap().is_none());
    assert_eq!(asked_after(&world).await, [0, 1, 999, 101, 201]);
}

async fn a_page_that_cannot_be_read_does_not_concern_those_before(world: World) {
    let more = |orders| FeedPage { has_more: true, ..page(orders) };
    world.answers(None, ok(more(vec![order(1, 1, 1)]))).await;
    world.also_answers(Some(&token(1)), leading_to(&token(101), &more(long(2, 101)))).await;
    let broken = ResponseTemplate::new(200).set_body_string("x".repeat(50_000));
    world.also_answers(Some(&token(101)), broken).await;
    assert_eq!(world.puller.pull_once().await.unwrap_err().kind(), "invalid");
    assert_eq!(world.pull_state().await.continuation_token, Some(token(101)));
    assert_eq!(world.store.orders(None, 200).await.unwrap().len(), 101);
}

/// So many orders that reading them is worth a thread of its own.
fn long(first: i64, last: i64) -> Vec<Order> {
    let note = Some("as agreed ".repeat(40));
    (first..=last).map(|n| Order { note: note.clone(), ..order(n, 1, n) }).collect()
}

fn leading_to(next: &ContinuationToken, page: &FeedPage) -> ResponseTemplate {
    let link = format!("</feed/v1/orders?after={next}&limit=1000>; rel=\"next\"");
    ok(page).insert_header("Link", &*link)
}

/// The numbers behind which was asked, 0 for the beginning.
async fn asked_after(world: &World) -> Vec<i64> {
    let requests = world.ordering.received_requests().await.unwrap();
    let after = requests.iter().map(|request| {
        let mut pairs = request.url.query_pairs();
        let token = pairs.find_map(|(name, value)| (name == "after").then(|| value.into_owned()));
        token.map_or(0, |token| token.parse::<ContinuationToken>().unwrap().sequence_nr.0)
    });
    after.collect()
}
