//! The feed: pages, tokens, what is cached.

use axum::http::StatusCode;
use contract::checksum::{ChecksumPage, Summer};
use contract::feed::{ContinuationToken, Epoch, FeedIdentity, SequenceNr};
use contract::order::OrderState;
use contract::problem::{Problem, ProblemCode};

use crate::fixture::{App, Ask, on_both_databases, pairs};

on_both_databases!(
    pages_are_followed_to_the_end,
    only_exposed_orders_are_told,
    one_order_is_told_stamped_or_not,
    the_status_tells_what_waits,
    an_unchanged_page_is_not_sent_again,
    tokens_that_cannot_be_continued,
    lost_history_begins_one_epoch,
    parameters_are_checked_all_at_once,
    checksums_are_followed_to_the_end,
    checksum_parameters_are_checked_all_at_once,
    every_problem_names_feed_and_epoch,
);

const ORDERS: &str = "/feed/v1/orders";

async fn pages_are_followed_to_the_end(app: App) {
    let mut confirmed = Vec::new();
    for _ in 0..5 {
        confirmed.push(app.confirmed().await.number);
        app.tick().await;
    }
    let mut seen = Vec::new();
    let mut path = format!("{ORDERS}?limit=2");
    loop {
        let answer = app.get(&path).await;
        let page = answer.page();
        let last = page.orders.last().unwrap().confirmed_sequence_nr;
        assert_eq!(page.continuation_token.sequence_nr, last, "its own last row");
        assert_eq!(page.last_sequence_nr, SequenceNr(5));
        seen.extend(page.orders.iter().map(|order| order.number));
        let next = format!("{ORDERS}?after={}&limit=2", page.continuation_token);
        assert_eq!(answer.header("link"), format!("<{next}>; rel=\"next\""));
        path = next;
        if !page.has_more {
            break;
        }
    }
    assert_eq!(seen, confirmed);
    let end = app.get(&path).await;
    let page = end.page();
    assert!(page.orders.is_empty() && !page.has_more);
    assert_eq!(format!("{ORDERS}?after={}&limit=2", page.continuation_token), path, "as sent");
    assert_eq!(end.header("link"), format!("<{path}>; rel=\"next\""), "on the last page too");
}

async fn only_exposed_orders_are_told(app: App) {
    let draft = app.draft().await;
    let deleted_draft = app.draft().await;
    app.send(Ask::delete(&format!("/api/v1/orders/{}", deleted_draft.number))).await;
    let order = app.confirmed().await;
    assert!(app.get(ORDERS).await.page().orders.is_empty(), "not stamped yet");
    app.tick().await;
    app.send(Ask::delete(&format!("/api/v1/orders/{}", order.number))).await;
    app.tick().await;
    let page = app.get(ORDERS).await.page();
    assert_eq!(page.orders.len(), 1);
    assert_eq!((page.orders[0].number, page.orders[0].state), (order.number, OrderState::Deleted));
    assert_eq!(page.orders[0].confirmed_sequence_nr, SequenceNr(2), "a change is a new number");
    for hidden in [draft.number, deleted_draft.number] {
        let answer = app.get(&format!("{ORDERS}/{hidden}")).await;
        answer.problem(ProblemCode::NotFound);
    }
}

async fn one_order_is_told_stamped_or_not(app: App) {
    let order = app.confirmed().await;
    let path = format!("{ORDERS}/{}", order.number);
    let identity = app.store.identity().await.unwrap();
    let told = app.get(&path).await.feed_order();
    assert_eq!((told.feed_id, told.epoch), (identity.feed_id, identity.epoch));
    assert_eq!(told.order.confirmed_sequence_nr, SequenceNr::UNSTAMPED);
    assert_eq!(told.order, order);
    app.tick().await;
    let told = app.get(&path).await.feed_order();
    assert_eq!(told.order.confirmed_sequence_nr, SequenceNr(1));
}

async fn the_status_tells_what_waits(app: App) {
    let before = app.get("/feed/v1/status").await.feed_status();
    assert_eq!((before.unstamped, before.oldest_unstamped_seconds), (0, None));
    app.confirmed().await;
    app.clock.advance(std::time::Duration::from_secs(3));
    let waiting = app.get("/feed/v1/status").await.feed_status();
    assert_eq!((waiting.unstamped, waiting.oldest_unstamped_seconds), (1, Some(3.0)));
    app.tick().await;
    let stamped = app.get("/feed/v1/status").await.feed_status();
    assert_eq!((stamped.unstamped, stamped.last_sequence_nr), (0, SequenceNr(1)));
    assert!(stamped.last_tick_at > before.last_tick_at);
}

async fn an_unchanged_page_is_not_sent_again(app: App) {
    let order = app.confirmed().await;
    app.tick().await;
    let first = app.get(ORDERS).await;
    assert_eq!(first.header("cache-control"), "no-cache");
    let ask = || Ask::get(ORDERS).header("if-none-match", first.etag());
    assert!(first.etag().starts_with("W/\""));

    let again = app.send(ask().header("accept-encoding", "gzip")).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!((again.etag(), again.header("link")), (first.etag(), first.header("link")));
    assert!(!again.headers.contains_key("content-encoding"));

    app.send(Ask::delete(&format!("/api/v1/orders/{}", order.number))).await;
    app.tick().await;
    let changed = app.send(ask()).await;
    assert_eq!(changed.page().orders[0].state, OrderState::Deleted);
    assert_ne!(changed.etag(), first.etag());
}

/// Every row of the contract's table, each answer with the provider's own name and epoch.
async fn tokens_that_cannot_be_continued(app: App) {
    app.confirmed().await;
    app.tick().await;
    let own = app.get(ORDERS).await.page().continuation_token;
    let token = |epoch: i64, nr| ContinuationToken {
        epoch: Epoch(own.epoch.0 + epoch),
        sequence_nr: SequenceNr(nr),
        ..own.clone()
    };
    let foreign = ContinuationToken { feed_id: "another".parse().unwrap(), ..own.clone() };
    for (sent, expected) in [
        ("no-token".to_owned(), ProblemCode::InvalidRequest),
        (foreign.to_string(), ProblemCode::FeedUnknown),
        (token(-1, 0).to_string(), ProblemCode::FeedReset),
        (token(-1, 9).to_string(), ProblemCode::FeedReset),
        (token(1, 0).to_string(), ProblemCode::StaleProvider),
    ] {
        let problem = app.get(&format!("{ORDERS}?after={sent}")).await.problem(expected);
        let FeedIdentity { feed_id, epoch } = problem.feed.unwrap();
        assert_eq!((feed_id, epoch), (own.feed_id.clone(), own.epoch), "{sent}");
    }
    assert_eq!(app.get(ORDERS).await.page().continuation_token, own, "the epoch is the same");
}

async fn lost_history_begins_one_epoch(app: App) {
    app.confirmed().await;
    app.tick().await;
    let own = app.get(ORDERS).await.page().continuation_token;
    let beyond = ContinuationToken { sequence_nr: SequenceNr(2), ..own.clone() };
    let path = format!("{ORDERS}?after={beyond}");
    let begun = epoch_of(&app.get(&path).await.problem(ProblemCode::FeedReset));
    assert!(begun > own.epoch);
    let again = epoch_of(&app.get(&path).await.problem(ProblemCode::FeedReset));
    assert_eq!(again, begun, "the same consumer again: its token is of an older epoch now");
    let page = app.get(ORDERS).await.page();
    assert_eq!((page.epoch, page.orders.len()), (begun, 1));
}

async fn parameters_are_checked_all_at_once(app: App) {
    let answer = app.get(&format!("{ORDERS}?after=x&limit=5001&wait=61&since=1")).await;
    let expected = pairs([
        ("/since", "unknown-field"),
        ("/after", "invalid"),
        ("/limit", "out-of-range"),
        ("/wait", "out-of-range"),
    ]);
    assert_eq!(answer.violations(ProblemCode::InvalidRequest), expected);
    assert!(app.get(&format!("{ORDERS}?after=&limit=&wait=")).await.page().orders.is_empty());
    for path in ["/feed/v1/status", "/feed/v1/orders/1"] {
        let answer = app.get(&format!("{path}?limit=1")).await;
        let expected = pairs([("/limit", "unknown-field")]);
        assert_eq!(answer.violations(ProblemCode::InvalidRequest), expected);
    }
}

async fn checksums_are_followed_to_the_end(app: App) {
    let order = app.confirmed().await;
    let answer = app.get("/feed/v1/checksums").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let page: ChecksumPage = answer.read();
    assert_eq!(page.identity(), app.store.identity().await.unwrap());
    let mut summer = Summer::new(1_024);
    summer.add(&order);
    assert_eq!(page.ranges, Vec::from_iter(summer.finish()));
    assert_eq!((page.ranges[0].first, page.next), (0, None));
    let width_of_one = format!("/feed/v1/checksums?width=1&from={0}&through={0}", order.number);
    let single: ChecksumPage = app.get(&width_of_one).await.read();
    assert_eq!((single.ranges[0].first, single.ranges[0].orders), (order.number, 1));
    let before: ChecksumPage = app.get("/feed/v1/checksums?through=1000").await.read();
    assert_eq!(before.ranges, []);
}

async fn checksum_parameters_are_checked_all_at_once(app: App) {
    let answer = app.get("/feed/v1/checksums?width=4097&from=-1&through=x&after=1").await;
    let expected = pairs([
        ("/after", "unknown-field"),
        ("/width", "out-of-range"),
        ("/from", "out-of-range"),
        ("/through", "out-of-range"),
    ]);
    assert_eq!(answer.violations(ProblemCode::InvalidRequest), expected);
    let answer = app.get("/feed/v1/checksums?width=10&from=15").await;
    assert_eq!(answer.violations(ProblemCode::InvalidRequest), pairs([("/from", "invalid")]));
}

async fn every_problem_names_feed_and_epoch(app: App) {
    let identity = app.store.identity().await.unwrap();
    for (ask, code) in [
        (Ask::get("/feed/v1/orders/4242"), ProblemCode::NotFound),
        (Ask::get("/feed/v1/orders/x"), ProblemCode::NotFound),
        (Ask::get("/feed/v1/nothing"), ProblemCode::NotFound),
        (Ask::get("/feed/v1/orders/1/lines"), ProblemCode::NotFound),
        (Ask::post("/feed/v1"), ProblemCode::NotFound),
        (Ask::get("/feed/v1/"), ProblemCode::NotFound),
        (Ask::get("/feed/v1/orders/"), ProblemCode::NotFound),
        (Ask::get("/feed/v1/orders?limit=x"), ProblemCode::InvalidRequest),
        (Ask::get("/feed/v1/orders/1?x=1"), ProblemCode::InvalidRequest),
        (Ask::get("/feed/v1/status?x=1"), ProblemCode::InvalidRequest),
        (Ask::get("/feed/v1/checksums?width=x"), ProblemCode::InvalidRequest),
        (Ask::post(ORDERS), ProblemCode::MethodNotAllowed),
        (Ask::delete("/feed/v1/orders/1"), ProblemCode::MethodNotAllowed),
        (Ask::delete("/feed/v1/status"), ProblemCode::MethodNotAllowed),
        (Ask::delete("/feed/v1/checksums"), ProblemCode::MethodNotAllowed),
    ] {
        let answer = app.send(ask).await;
        assert_eq!(answer.problem(code).feed, Some(identity.clone()));
        let allowed = answer.headers.get("allow").map(|methods| methods.to_str().unwrap());
        assert_eq!(allowed, (code == ProblemCode::MethodNotAllowed).then_some("GET,HEAD"));
    }
    // A stranger learns nothing.
    let stranger = app.with_token("secret").get(ORDERS).await;
    assert_eq!(stranger.problem(ProblemCode::Unauthorized).feed, None);
}

fn epoch_of(problem: &Problem) -> Epoch {
    problem.feed.as_ref().unwrap().epoch
}
