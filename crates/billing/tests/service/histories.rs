//! Epochs and feeds: what is adopted, what is dropped, and what only an operator decides.

use billing::pull::{Counts, PullError};
use contract::feed::FeedPage;
use contract::problem::ProblemCode;

use crate::on_both_databases;
use crate::ordering::{
    AT, EPOCH, another_feed, identity, nothing_new, ok, one, order, page, page_of, problem, token,
    token_of,
};
use crate::world::World;

on_both_databases! {
    pages_are_followed_to_the_end,
    a_new_epoch_is_read_from_the_beginning,
    a_new_epoch_that_a_page_tells_is_read_from_the_beginning,
    a_feed_that_resets_again_and_again_is_left_for_later,
    an_older_epoch_is_dropped,
    another_feed_is_not_pulled_until_an_operator_decides,
    an_order_is_pulled_without_moving_the_token,
    an_order_of_a_new_epoch_adopts_it,
    only_this_history_can_say_that_there_is_no_such_order,
}

async fn pages_are_followed_to_the_end(world: World) {
    let first = FeedPage { has_more: true, ..page(vec![order(1, 1, 1)]) };
    world.answers(None, ok(first)).await;
    world.also_answers(Some(&token(1)), ok(page(vec![order(2, 1, 2)]))).await;
    let counts = world.puller.pull_once().await.unwrap();
    assert_eq!(counts, Counts { pages: 2, new: 2, ..Counts::default() });
    assert_eq!(world.pull_state().await.continuation_token, Some(token(2)));

    // What was taken in before a later page failed stays.
    let third = FeedPage { has_more: true, ..page(vec![order(1, 2, 3)]) };
    world.answers(Some(&token(2)), ok(third)).await;
    assert_eq!(world.puller.pull_once().await.unwrap_err().kind(), "refused");
    assert_eq!(world.pull_state().await.continuation_token, Some(token(3)));
    assert_eq!(world.store.order(1).await.unwrap().unwrap().order.version, 2);
}

async fn a_new_epoch_is_read_from_the_beginning(world: World) {
    world.pull_two_orders().await;
    let newer = identity(EPOCH + 1);
    world.answers(Some(&token(2)), problem(ProblemCode::FeedReset, Some(newer.clone()))).await;
    let restored = page_of(&newer, vec![order(1, 1, 1), order(3, 1, 2)]);
    world.also_answers(None, ok(restored)).await;
    let lost = problem(ProblemCode::NotFound, Some(newer.clone()));
    world.also_answers_order(2, lost).await;
    let counts = world.puller.pull_once().await.unwrap();
    // Order 1 is known in this version, but it counts as news in a new history.
    assert_eq!((counts.pages, counts.new), (1, 1), "{counts}");
    let state = world.pull_state().await;
    assert_eq!(state.continuation_token, Some(token_of(&newer, 2)));
    assert_eq!(state.identity, Some(newer));
    let lost = world.store.order(2).await.unwrap().expect("old data keeps serving");
    assert!(lost.missing_at_source);
}

async fn a_new_epoch_that_a_page_tells_is_read_from_the_beginning(world: World) {
    world.pull_two_orders().await;
    let newer = identity(EPOCH + 1);
    world.answers(Some(&token(2)), ok(page_of(&newer, vec![order(9, 1, 9)]))).await;
    world.also_answers(None, ok(page_of(&newer, vec![order(8, 1, 8), order(9, 1, 9)]))).await;
    for number in [1, 2] {
        let lost = problem(ProblemCode::NotFound, Some(newer.clone()));
        world.also_answers_order(number, lost).await;
    }
    let counts = world.puller.pull_once().await.unwrap();
    assert_eq!(counts, Counts { pages: 1, new: 2, ..Counts::default() });
    assert_eq!(world.pull_state().await.continuation_token, Some(token_of(&newer, 9)));
}

async fn a_feed_that_resets_again_and_again_is_left_for_later(world: World) {
    world.pull_two_orders().await;
    let reset = |epoch| problem(ProblemCode::FeedReset, Some(identity(epoch)));
    world.answers(Some(&token(2)), reset(EPOCH + 1)).await;
    world.also_answers(None, reset(EPOCH + 2)).await;
    let error = world.puller.pull_once().await.unwrap_err();
    assert!(matches!(&error, PullError::Reset(to) if *to == identity(EPOCH + 2)), "{error}");
    assert_eq!(world.times_asked().await, 2);
    assert_eq!(world.pull_state().await.continuation_token, None);

    let newest = identity(EPOCH + 2);
    world.answers(None, ok(page_of(&newest, vec![order(1, 1, 1), order(2, 1, 2)]))).await;
    world.puller.pull_once().await.unwrap();
    assert_eq!(world.pull_state().await.continuation_token, Some(token_of(&newest, 2)));
}

async fn an_older_epoch_is_dropped(world: World) {
    world.pull_two_orders().await;
    let older = identity(EPOCH - 1);
    let lagging = FeedPage { epoch: older.epoch, ..nothing_new(&token(2)) };
    // A standby that has not heard of this epoch yet: it is late, and not of the past.
    world.answers(Some(&token(2)), ok(lagging)).await;
    let error = world.pull_in_vain().await;
    assert_eq!(error.kind(), "lagging-standby");
    let error = error.to_string();
    assert!(error.contains("standby that lags") && !error.contains("of the past"), "{error}");
    for answer in [
        ok(page_of(&older, vec![order(1, 9, 3)])),
        problem(ProblemCode::FeedReset, Some(older.clone())),
    ] {
        world.answers(Some(&token(2)), answer).await;
        assert_eq!(world.pull_in_vain().await.kind(), "stale-provider");
    }
    assert_eq!(world.puller.blocked(), None, "it is tried again");
    world.answers(Some(&token(2)), ok(nothing_new(&token(2)))).await;
    world.puller.pull_once().await.unwrap();
}

async fn another_feed_is_not_pulled_until_an_operator_decides(world: World) {
    world.pull_two_orders().await;
    let other = another_feed();
    let fresh = page_of(&other, vec![order(7, 1, 1), order(1, 1, 2), order(2, 1, 3)]);
    for answer in [ok(&fresh), problem(ProblemCode::FeedUnknown, Some(other.clone()))] {
        world.answers(Some(&token(2)), answer).await;
        assert_eq!(world.pull_in_vain().await.kind(), "unknown-feed");
        assert_eq!(world.times_asked().await, 1);

        // From now on it is not even asked, for pages or orders.
        assert_eq!(world.puller.pull_once().await.unwrap_err().kind(), "unknown-feed");
        assert_eq!(world.puller.pull_order(7).await.unwrap_err().kind(), "unknown-feed");
        assert_eq!(world.times_asked().await, 1);
        let ready = world.ask("GET", "/health/ready", None).await;
        assert_eq!(ready.status, 503);
        assert!(ready.body["detail"].as_str().unwrap().contains("reset-token"), "{}", ready.body);

        // Another token of the same feed: asked once more, in vain.
        world.store.reset_token(Some(&token(2)), true).await.unwrap();
        world.store.adopt_epoch(&identity(EPOCH), AT).await.unwrap();
        world.store.reset_token(Some(&token(2)), false).await.unwrap();
        assert_ne!(world.puller.blocked(), None);
        world.store.reset_token(None, false).await.unwrap();
        world.answers(None, ok(&fresh)).await;
        assert_eq!(world.puller.pull_once().await.unwrap_err().kind(), "unknown-feed");
        assert_eq!(world.times_asked().await, 1);
        world.store.reset_token(Some(&token(2)), false).await.unwrap();
    }

    // `billing reset-token`
    world.store.reset_token(None, true).await.unwrap();
    world.answers(None, ok(&fresh)).await;
    assert_eq!(world.puller.pull_once().await.unwrap().new, 1);
    assert_eq!(world.puller.blocked(), None);
    assert_eq!(world.pull_state().await.identity, Some(other));
    assert_eq!(world.ask("GET", "/health/ready", None).await.status, 200);
}

async fn an_order_is_pulled_without_moving_the_token(world: World) {
    world.pull_two_orders().await;
    world.answers_order(5, ok(one(&identity(EPOCH), order(5, 3, -1)))).await;
    let counts = world.puller.pull_order(5).await.unwrap();
    assert_eq!(counts, Counts { new: 1, ..Counts::default() });
    assert_eq!(world.store.order(5).await.unwrap().unwrap().order.version, 3);
    assert_eq!(world.pull_state().await.continuation_token, Some(token(2)));

    // A page from before that pull brings an older version: it undoes nothing.
    world.answers(Some(&token(2)), ok(page(vec![order(5, 2, 3)]))).await;
    assert_eq!(world.puller.pull_once().await.unwrap().unchanged, 1);
    assert_eq!(world.store.order(5).await.unwrap().unwrap().order.version, 3);
}

async fn an_order_of_a_new_epoch_adopts_it(world: World) {
    world.pull_two_orders().await;
    let newer = identity(EPOCH + 1);
    world.answers_order(5, ok(one(&newer, order(5, 1, -1)))).await;
    assert_eq!(world.puller.pull_order(5).await.unwrap().new, 1);
    let state = world.pull_state().await;
    assert_eq!((state.identity, state.continuation_token), (Some(newer), None));
}

async fn only_this_history_can_say_that_there_is_no_such_order(world: World) {
    world.pull_two_orders().await;
    let not_found = |feed| problem(ProblemCode::NotFound, feed);
    for (answer, kind) in [
        (not_found(Some(identity(EPOCH))), "not-found"),
        (not_found(None), "refused"),
        (not_found(Some(identity(EPOCH - 1))), "stale-provider"),
        (ok(one(&identity(EPOCH), order(6, 1, 3))), "invalid"),
        (ok(one(&identity(EPOCH - 1), order(5, 1, 3))), "stale-provider"),
        (not_found(Some(identity(EPOCH + 1))), "not-found"),
    ] {
        world.answers_order(5, answer).await;
        let error = world.puller.pull_order(5).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert_eq!(world.store.order(5).await.unwrap(), None);
    let state = world.pull_state().await;
    assert_eq!(state.identity, Some(identity(EPOCH + 1)), "the last answer told of it");
    assert_eq!(state.continuation_token, None);
}
