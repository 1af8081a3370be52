//! Pages of the feed, single orders of it, and its state.

use contract::feed::{ContinuationToken, Epoch, FeedPage, SequenceNr};
use contract::order::{Address, Order, OrderState};
use ordering::feed::Verdict;
use ordering::order::{CustomerInput, OrderInput};
use ordering::store::FeedAnswer;

use crate::fixture::{
    ALL, ANY_SIZE, Fixture, ada, at, bolts, done, imported, line, on_both_databases, page_of,
};

on_both_databases! {
    a_page_holds_the_orders_as_they_are,
    a_page_tells_odd_orders_like_any_other_answer,
    drafts_never_appear,
    deleted_orders_appear_when_they_were_exposed,
    pages_follow_each_other_without_gap_or_overlap,
    an_empty_page_gives_back_the_token,
    a_changed_order_moves_to_the_end,
    an_order_that_waits_for_its_number_is_read_under_the_one_before,
    a_page_ends_early_when_it_grows_large,
    lines_of_many_large_orders_are_all_there,
    a_page_of_thousands_is_read_without_gap_or_overlap,
    every_token_gets_its_verdict,
    one_order_is_told_stamped_or_not,
    the_status_tells_what_waits,
}

async fn a_page_holds_the_orders_as_they_are(fixture: Fixture) {
    fixture.customer().await;
    let numbers = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    fixture.stamp_all().await;
    let page = fixture.page(None, ALL).await;
    for (place, order) in page.orders.iter().enumerate() {
        assert_eq!(order.number, numbers[place]);
        assert_eq!(order.lines, bolts().numbered_lines());
        assert_eq!(Some(order), fixture.store.order(order.number).await.unwrap().as_ref());
    }
    assert_eq!(page.orders.len(), 2);
    assert_eq!((page.has_more, page.last_sequence_nr), (false, SequenceNr(2)));
    let identity = fixture.store.identity().await.unwrap();
    assert_eq!((&page.feed_id, page.epoch), (&identity.feed_id, identity.epoch));
    assert_eq!(page.continuation_token, token(&page, 2));
}

/// Rows are written into the document directly: what is made of them must be what every other answer
/// makes of the same order, byte for byte.
async fn a_page_tells_odd_orders_like_any_other_answer(fixture: Fixture) {
    let odd = "\"quoted\" \\ </script> é 漢 🦀 \u{2028}";
    let parts =
        Address { city: Some(String::new()), country: Some("NL".into()), ..Address::default() };
    for (id, name, address) in [("ada", "Ada", None), ("odd", odd, Some(parts))] {
        let customer = CustomerInput { name: name.into(), address, ..ada() };
        done(fixture.store.create_customer(id, &customer, None, at(0)).await.unwrap());
    }
    let texts = [None, Some(String::new()), Some(odd.to_owned())];
    for (customer_id, text) in
        ["ada", "odd"].into_iter().flat_map(|id| texts.iter().map(move |text| (id, text)))
    {
        let mut lines = vec![line(odd, 1_000_000, 0), line("x", 1, 1_000_000_000_000)];
        lines[1].description.clone_from(text);
        let input = OrderInput {
            customer_id: customer_id.into(),
            reference: text.clone(),
            note: text.as_ref().map(|text| format!("{text}\n\n")),
            lines,
            ..bolts()
        };
        let draft = done(fixture.store.create_order(&input, None, at(1)).await.unwrap()).number;
        done(fixture.store.confirm_order(draft, None, at(2)).await.unwrap());
        if text.is_none() {
            done(fixture.store.delete_order(draft, None, at(3)).await.unwrap());
        }
    }
    fixture.stamp_all().await;
    let page = fixture.page(None, ALL).await;
    assert_eq!(page.orders.len(), 6);
    for order in &page.orders {
        let (_, other) = fixture.store.feed_order(order.number).await.unwrap();
        assert_eq!(serde_json::to_string(&other).unwrap(), serde_json::to_string(order).unwrap());
    }
}

async fn drafts_never_appear(fixture: Fixture) {
    fixture.customer().await;
    fixture.draft().await;
    let deleted = fixture.draft().await.number;
    done(fixture.store.delete_order(deleted, None, at(3)).await.unwrap());
    let changed = fixture.draft().await.number;
    fixture.replace(changed, &bolts(), at(3)).await;
    assert_eq!(fixture.stamp_all().await, 0);
    assert_eq!(fixture.feed().await, []);
}

async fn deleted_orders_appear_when_they_were_exposed(fixture: Fixture) {
    fixture.customer().await;
    let [seen, unseen] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    // One is deleted after it was in the feed, the other before.
    done(fixture.store.delete_order(unseen, None, at(3)).await.unwrap());
    assert_eq!(fixture.stamp_all().await, 2);
    done(fixture.store.delete_order(seen, None, at(11)).await.unwrap());
    assert_eq!(fixture.stamp_all().await, 1);
    let page = fixture.page(None, ALL).await;
    let told: Vec<_> = page.orders.iter().map(|o| (o.number, o.state, o.lines.len())).collect();
    assert_eq!(told, [(unseen, OrderState::Deleted, 2), (seen, OrderState::Deleted, 2)]);
}

async fn pages_follow_each_other_without_gap_or_overlap(fixture: Fixture) {
    fixture.customer().await;
    for _ in 0..5 {
        fixture.confirmed().await;
    }
    fixture.stamp_all().await;
    let mut after = None;
    let mut seen = Vec::new();
    for expected in [(2, true), (2, true), (1, false), (0, false)] {
        let page = fixture.page(after.as_ref(), 2).await;
        assert_eq!((page.orders.len(), page.has_more), expected);
        assert_eq!(page.last_sequence_nr, SequenceNr(5));
        seen.extend(page.orders.iter().map(|order| order.confirmed_sequence_nr.0));
        after = Some(page.continuation_token);
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    assert!(!fixture.page(None, 5).await.has_more, "a page that is just full");
}

async fn an_empty_page_gives_back_the_token(fixture: Fixture) {
    let empty = fixture.page(None, ALL).await;
    assert_eq!(empty.continuation_token, token(&empty, 0));
    fixture.customer().await;
    fixture.confirmed().await;
    let other = fixture.confirmed().await.number;
    fixture.stamp_all().await;
    fixture.replace(other, &bolts(), at(11)).await;
    // The row with 2, which is read already, waits for a new number.
    let after = token(&empty, 2);
    let page = fixture.page(Some(&after), ALL).await;
    assert_eq!((page.orders.len(), page.has_more), (0, false));
    assert_eq!((page.continuation_token, page.last_sequence_nr), (after, SequenceNr(2)));
}

async fn a_changed_order_moves_to_the_end(fixture: Fixture) {
    fixture.customer().await;
    let [first, second] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    fixture.stamp_all().await;
    fixture.replace(first, &bolts(), at(11)).await;
    assert_eq!(fixture.feed().await, [(first, 1), (second, 2)]);
    fixture.stamp_all().await;
    assert_eq!(fixture.feed().await, [(second, 2), (first, 3)]);
}

async fn a_page_ends_early_when_it_grows_large(fixture: Fixture) {
    fixture.customer().await;
    for _ in 0..4 {
        fixture.confirmed().await;
    }
    fixture.stamp_all().await;
    let document = serde_json::to_vec(&fixture.page(None, 1).await.orders[0]).unwrap().len();
    for (max_bytes, orders) in [(0, 1), (document * 5 / 2, 2), (document * 7 / 2, 3)] {
        let page = page_of(fixture.store.feed_page(None, ALL, max_bytes).await.unwrap());
        assert_eq!((page.orders.len(), page.has_more), (orders, true), "{max_bytes} bytes");
        let rest = page_of(
            fixture.store.feed_page(Some(&page.continuation_token), ALL, ANY_SIZE).await.unwrap(),
        );
        assert_eq!((rest.orders.len(), rest.has_more), (4 - orders, false));
    }
}

async fn lines_of_many_large_orders_are_all_there(fixture: Fixture) {
    let mut orders: Vec<_> = (0..12).map(|n| imported(&format!("R-{n}"))).collect();
    for order in &mut orders {
        order.input.lines = vec![line("BOLT-8", 1, 1); 2_000];
    }
    assert_eq!(fixture.store.import_orders(orders.clone(), at(1)).await.unwrap(), 12);
    fixture.stamp_all().await;
    let page = fixture.page(None, ALL).await;
    assert_eq!((page.orders.len(), page.has_more), (12, false));
    for order in &page.orders {
        let places: Vec<_> = order.lines.iter().map(|line| line.line_no).collect();
        assert_eq!(places, (1..=2_000).collect::<Vec<_>>());
    }
}

async fn a_page_of_thousands_is_read_without_gap_or_overlap(fixture: Fixture) {
    let orders: Vec<_> = (0..2_003).map(|n| imported(&format!("R-{n}"))).collect();
    fixture.store.import_orders(orders.clone(), at(1)).await.unwrap();
    fixture.store.stamp(5_000, at(10)).await.unwrap();
    for (limit, orders, has_more) in
        [(1_000, 1_000, true), (1_001, 1_001, true), (2_002, 2_002, true), (2_003, 2_003, false)]
    {
        let page = fixture.page(None, limit).await;
        let numbers: Vec<_> = page.orders.iter().map(|o| o.confirmed_sequence_nr.0).collect();
        assert_eq!(numbers, (1..=orders).collect::<Vec<_>>());
        assert_eq!(page.continuation_token, token(&page, orders));
        assert_eq!(page.has_more, has_more);
    }
    assert_eq!(fixture.page(None, 5_000).await.orders.len(), 2_003);
}

async fn every_token_gets_its_verdict(fixture: Fixture) {
    fixture.customer().await;
    fixture.confirmed().await;
    fixture.stamp_all().await;
    let identity = fixture.store.identity().await.unwrap();
    let token = |epoch: i64, sequence_nr| ContinuationToken {
        feed_id: identity.feed_id.clone(),
        epoch: Epoch(identity.epoch.0 + epoch),
        sequence_nr: SequenceNr(sequence_nr),
    };
    let foreign = ContinuationToken { feed_id: "another".parse().unwrap(), ..token(0, 0) };
    let table = [
        (token(-1, 0), Verdict::Reset),
        (token(0, 2), Verdict::LostHistory),
        (token(1, 0), Verdict::StaleProvider),
        (foreign, Verdict::UnknownFeed),
    ];
    for (token, verdict) in table {
        let answer = fixture.store.feed_page(Some(&token), ALL, ANY_SIZE).await.unwrap();
        assert_eq!(answer, FeedAnswer::Refused { identity: identity.clone(), verdict }, "{token}");
    }
    for (sequence_nr, orders) in [(0, 1), (1, 0)] {
        let page = fixture.page(Some(&token(0, sequence_nr)), ALL).await;
        assert_eq!(page.orders.len(), orders);
    }
}

async fn one_order_is_told_stamped_or_not(fixture: Fixture) {
    fixture.customer().await;
    let identity = fixture.store.identity().await.unwrap();
    let told = async |number| {
        let (by, order) = fixture.store.feed_order(number).await.unwrap();
        assert_eq!(by, identity);
        order.map(|order: Order| (order.state, order.version, order.confirmed_sequence_nr.0))
    };
    assert_eq!(told(1).await, None);
    let number = fixture.draft().await.number;
    assert_eq!(told(number).await, None);
    done(fixture.store.confirm_order(number, None, at(2)).await.unwrap());
    assert_eq!(told(number).await, Some((OrderState::Confirmed, 2, -1)));
    fixture.stamp_all().await;
    assert_eq!(told(number).await, Some((OrderState::Confirmed, 2, 1)));
    done(fixture.store.delete_order(number, None, at(11)).await.unwrap());
    assert_eq!(told(number).await, Some((OrderState::Deleted, 3, -1)));
    let deleted_draft = fixture.draft().await.number;
    done(fixture.store.delete_order(deleted_draft, None, at(3)).await.unwrap());
    assert_eq!(told(deleted_draft).await, None);
}

async fn the_status_tells_what_waits(fixture: Fixture) {
    let status = async || {
        let status = fixture.store.feed_status(at(20)).await.unwrap();
        let (oldest, tick) = (status.oldest_unstamped_seconds, status.last_tick_at);
        (status.last_sequence_nr.0, status.unstamped, oldest, tick)
    };
    fixture.customer().await;
    fixture.draft().await;
    assert_eq!(status().await, (0, 0, None, None));
    let early = fixture.confirmed().await.number;
    let late = fixture.draft().await.number;
    done(fixture.store.confirm_order(late, None, at(5)).await.unwrap());
    assert_eq!(status().await, (0, 2, Some(18.0), None));
    // Changed again, it waits no less long.
    let input = OrderInput { note: Some("again".into()), ..bolts() };
    fixture.replace(early, &input, at(6)).await;
    assert_eq!(status().await, (0, 2, Some(18.0), None));
    fixture.store.stamp(1, at(7)).await.unwrap();
    assert_eq!(status().await, (1, 2, Some(15.0), Some(at(7))));
    fixture.store.stamp(1, at(8)).await.unwrap();
    // Its first change has its number, the second waits since it was made.
    assert_eq!(status().await, (2, 1, Some(14.0), Some(at(8))));
    fixture.store.stamp(1, at(9)).await.unwrap();
    assert_eq!(status().await, (3, 0, None, Some(at(9))));
}

fn token(page: &FeedPage, sequence_nr: i64) -> ContinuationToken {
    ContinuationToken {
        feed_id: page.feed_id.clone(),
        epoch: page.epoch,
        sequence_nr: SequenceNr(sequence_nr),
    }
}

/// A row that is written before each look, of the sequencer's or of a consumer's, must not be passed
/// over for ever.
async fn an_order_that_waits_for_its_number_is_read_under_the_one_before(fixture: Fixture) {
    fixture.customer().await;
    let hot = fixture.confirmed().await.number;
    let other = fixture.confirmed().await.number;
    fixture.stamp_all().await;
    assert_eq!(fixture.feed().await, [(hot, 1), (other, 2)]);
    let changed = fixture.replace(hot, &bolts(), at(5)).await;
    let page = fixture.page(None, ALL).await;
    assert_eq!(fixture.feed().await, [(hot, 1), (other, 2)]);
    assert_eq!((page.orders[0].version, page.orders[0].changed_at), (changed.version, at(5)));
    let (_, alone) = fixture.store.feed_order(hot).await.unwrap();
    assert_eq!(alone.unwrap().confirmed_sequence_nr, SequenceNr::UNSTAMPED);
    // A consumer that has read the old number gets the change with the new one.
    let read = Some(&page.continuation_token);
    assert!(fixture.page(read, ALL).await.orders.is_empty());
    fixture.stamp_all().await;
    let page = fixture.page(read, ALL).await;
    assert_eq!((page.orders.len(), page.orders[0].number), (1, hot));
    assert_eq!(fixture.feed().await, [(other, 2), (hot, 3)]);
}
