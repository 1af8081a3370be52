//! Orders that cannot be taken in are put aside, and let out by what fits.

use billing::invoice::InvoiceState::AwaitingApproval;
use billing::pull::Counts;
use billing::store::{AfterApproval, Applied, Approval, Quarantined, Received, Unfit};
use contract::feed::{Epoch, FeedIdentity, SequenceNr};
use kit::random::Random;

use crate::fixture::{
    AT, EPOCH, Fixture, identity, later, on_both_databases, order, page, pulled, pulled_in, token,
    unfit,
};

on_both_databases!(
    an_order_that_cannot_be_taken_in_stops_no_other,
    an_invoice_whose_order_is_in_quarantine_is_not_approved,
    what_fits_and_is_as_new_lets_an_order_out,
    what_is_older_neither_puts_aside_nor_lets_out,
    the_same_again_keeps_the_time_and_shows_the_latest_reason,
    without_a_version_the_place_in_the_feed_decides,
    a_page_and_a_pull_that_bring_the_same_new_order_agree,
    another_feed_decides_anew,
    what_a_later_epoch_does_not_know_is_gone,
    a_list_goes_on_behind_its_last_order,
    large_documents_make_a_list_shorter,
);

/// A page with orders that fit and others that do not.
fn mixed(received: Received, unfit: Vec<Unfit>) -> Received {
    Received { unfit, ..received }
}

/// One order that does not fit, pulled by number.
fn pulled_unfit(order: Unfit) -> Received {
    pulled_unfit_in(EPOCH, order)
}

fn pulled_unfit_in(epoch: i64, order: Unfit) -> Received {
    Received { identity: identity(epoch), orders: Vec::new(), unfit: vec![order], advance: None }
}

impl Fixture {
    async fn quarantined(&self, number: i64) -> Option<Quarantined> {
        let found = self.store.quarantined_order(number).await.unwrap();
        let (listed, _) = self.store.quarantine(Some(number - 1), 1).await.unwrap();
        let listed = listed.into_iter().find(|order| order.number == number);
        assert_eq!(found, listed);
        found
    }
}

async fn an_order_that_cannot_be_taken_in_stops_no_other(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    let before = (fixture.order(2).await, fixture.in_state(2, AwaitingApproval).await);
    let changes = page(2, 5, vec![order(1, 2, 2), order(3, 1, 1)]);
    let counts = fixture.take_in(&mixed(changes, vec![unfit(2, 2), unfit(4, 1)])).await;
    let expected = Counts { pages: 1, new: 1, changed: 1, quarantined: 2, ..Counts::default() };
    assert_eq!(counts, expected);

    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!((state.continuation_token, state.totals.quarantined), (Some(token(EPOCH, 5)), 2));
    assert_eq!((fixture.order(2).await, fixture.in_state(2, AwaitingApproval).await), before);
    assert_eq!(fixture.store.order(4).await.unwrap(), None);
    let Unfit { reason, document, .. } = unfit(4, 1);
    let expected = Quarantined { number: 4, reason, document, since: AT };
    assert_eq!(fixture.quarantined(4).await, Some(expected));
    assert!(fixture.quarantined(2).await.is_some() && fixture.quarantined(1).await.is_none());
    assert_eq!(fixture.store.quarantine_count().await.unwrap(), 2);
    let chart = fixture.store.pulls_since(AT).await.unwrap();
    assert_eq!(chart.iter().map(|(_, counts)| counts.quarantined).sum::<i64>(), 2);
}

async fn an_invoice_whose_order_is_in_quarantine_is_not_approved(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    fixture.take_in(&pulled_unfit(unfit(1, 2))).await;
    let id = fixture.in_state(1, AwaitingApproval).await.remove(0).id;
    let approval = fixture.store.approve(&id, None, AfterApproval::Nothing, AT).await.unwrap();
    assert!(matches!(approval, Approval::Quarantined(_)), "{approval:?}");
    fixture.approve(&fixture.in_state(2, AwaitingApproval).await[0].id).await;

    fixture.take_in(&pulled(order(1, 3, 3))).await;
    fixture.approve(&id).await;
    // What is approved already stays so, and saying it again is no fault.
    fixture.take_in(&pulled_unfit(unfit(1, 4))).await;
    fixture.approve(&id).await;
}

async fn what_fits_and_is_as_new_lets_an_order_out(fixture: Fixture) {
    let page = |number| page(number - 1, number, vec![order(number, 2, 1)]);
    // The last one begins another epoch, in which versions begin anew.
    let ways = [
        page(1),
        page(2),
        pulled(order(3, 2, 1)),
        pulled(order(4, 3, 1)),
        pulled_in(EPOCH + 1, order(5, 1, 1)),
    ];
    for (number, way) in (1..).zip(ways) {
        if number % 2 == 0 {
            fixture.take_in(&pulled(order(number, 1, 1))).await;
        }
        fixture.take_in(&pulled_unfit(unfit(number, 2))).await;
        assert!(fixture.quarantined(number).await.is_some());
        fixture.take_in(&way).await;
        assert_eq!(fixture.quarantined(number).await, None, "{way:?}");
        assert_eq!(fixture.store.quarantine_count().await.unwrap(), 0);
        assert_eq!(fixture.order(number).await.order, way.orders[0].order().unwrap());
    }
}

async fn what_is_older_neither_puts_aside_nor_lets_out(fixture: Fixture) {
    fixture.take_in(&page(0, 1, vec![order(1, 3, 1)])).await;
    for version in [1, 2, 3] {
        let counts = fixture.take_in(&pulled_unfit(unfit(1, version))).await;
        assert_eq!(counts, Counts { unchanged: 1, ..Counts::default() }, "{version}");
        assert_eq!(fixture.quarantined(1).await, None);
    }
    let newest = Unfit { reason: "the newest".into(), ..unfit(1, 6) };
    assert_eq!(fixture.take_in(&pulled_unfit(newest)).await.quarantined, 1);
    let newest = fixture.quarantined(1).await;
    assert_eq!(fixture.take_in(&pulled_unfit(unfit(1, 5))).await.unchanged, 1);
    assert_eq!(fixture.take_in(&pulled(order(1, 5, 5))).await.changed, 1);
    assert_eq!(fixture.quarantined(1).await, newest);

    // In a later epoch versions begin anew.
    let counts = fixture.take_in(&pulled_unfit_in(EPOCH + 1, unfit(1, 1))).await;
    assert_eq!(counts.quarantined, 1);
    assert_ne!(fixture.quarantined(1).await, newest);
    fixture.refuses(&pulled_in(EPOCH, order(1, 9, 9))).await;
    fixture.take_in(&pulled_in(EPOCH + 1, order(1, 1, 1))).await;
    assert_eq!(fixture.quarantined(1).await, None);
}

async fn the_same_again_keeps_the_time_and_shows_the_latest_reason(fixture: Fixture) {
    fixture.take_in(&pulled_unfit(unfit(1, 2))).await;
    let again = Unfit { reason: "in other words".into(), ..unfit(1, 2) };
    assert_eq!(fixture.take_in_at(&pulled_unfit(again), later(60)).await.quarantined, 1);
    let entry = fixture.quarantined(1).await.unwrap();
    assert_eq!((entry.since, entry.reason.as_str()), (AT, "in other words"));
    fixture.take_in_at(&pulled_unfit(unfit(1, 3)), later(90)).await;
    assert_eq!(fixture.quarantined(1).await.unwrap().since, AT, "it was never let out");
}

async fn without_a_version_the_place_in_the_feed_decides(fixture: Fixture) {
    let at = |sequence_nr: i64, it: Unfit| Unfit { sequence_nr: SequenceNr(sequence_nr), ..it };
    let stamped = |version: i64, sequence_nr: i64| {
        let mut order = order(1, version, version);
        order.confirmed_sequence_nr = SequenceNr(sequence_nr);
        pulled(order)
    };
    fixture.take_in(&stamped(3, 5)).await;
    // As old as the copy, or older: nothing is missing.
    for place in [4, 5] {
        let counts = fixture.take_in(&pulled_unfit(at(place, unfit(1, None)))).await;
        assert_eq!((counts.unchanged, fixture.quarantined(1).await), (1, None));
    }
    assert_eq!(fixture.take_in(&pulled_unfit(at(7, unfit(1, None)))).await.quarantined, 1);
    // Nobody knows whether this is older or newer; the feed will tell, when it is stamped.
    fixture.take_in(&stamped(4, -1)).await;
    assert!(fixture.quarantined(1).await.is_some());
    assert_eq!(fixture.take_in(&stamped(4, 8)).await.unchanged, 1, "it is here already");
    assert_eq!(fixture.quarantined(1).await, None);

    // Without a version and a place, it is better put aside once too often.
    assert_eq!(fixture.take_in(&pulled_unfit(at(-1, unfit(1, None)))).await.quarantined, 1);
    fixture.take_in(&stamped(4, 8)).await;
    assert_eq!(fixture.quarantined(1).await, None);
    // One with a version takes the place of one without, and the other way round.
    fixture.take_in(&pulled_unfit(at(9, unfit(1, None)))).await;
    fixture.take_in(&pulled_unfit(at(10, unfit(1, 6)))).await;
    fixture.take_in(&stamped(5, 11)).await;
    assert!(fixture.quarantined(1).await.is_some());
    fixture.take_in(&pulled_unfit(at(12, unfit(1, None)))).await;
    fixture.take_in(&stamped(6, 10)).await;
    assert!(fixture.quarantined(1).await.is_some());
    fixture.take_in(&stamped(7, 12)).await;
    assert_eq!(fixture.quarantined(1).await, None);
}

async fn a_page_and_a_pull_that_bring_the_same_new_order_agree(fixture: Fixture) {
    let other = fixture.another().await;
    for round in 1..=30 {
        let puts_aside = mixed(page(round - 1, round, Vec::new()), vec![unfit(round, 2)]);
        let (older, newer) = (pulled(order(round, 1, 1)), pulled(order(round, 3, 3)));
        if round % 2 == 0 {
            fixture.take_in(&older).await;
        }
        let (one, another) = (Random::from_os(), Random::from_os());
        let (page, pull) = tokio::join!(
            fixture.store.apply(&puts_aside, &one, AT),
            other.apply(&newer, &another, AT)
        );
        let ends = (page.unwrap(), pull.unwrap());
        assert!(matches!(ends, (Applied::Done(_), Applied::Done(_))), "{ends:?}");
        assert_eq!(fixture.quarantined(round).await, None);
        assert_eq!(fixture.store.quarantine_count().await.unwrap(), 0);
        fixture.approve(&fixture.in_state(round, AwaitingApproval).await[0].id).await;
    }
}

async fn another_feed_decides_anew(fixture: Fixture) {
    fixture.take_in(&page(0, 1, vec![order(1, 3, 1)])).await;
    fixture.take_in(&pulled_unfit(unfit(1, 4))).await;
    fixture.take_in(&pulled_unfit(unfit(2, 4))).await;
    fixture.store.reset_token(None, true).await.unwrap();
    fixture.store.reset_token(None, true).await.unwrap();
    // Until it has, the copy is no more to be trusted than before.
    assert_eq!(fixture.store.quarantine_count().await.unwrap(), 2);

    let other = FeedIdentity { feed_id: "zzzzzzzz".parse().unwrap(), epoch: Epoch(1) };
    let answer = |received| Received { identity: other.clone(), ..received };
    fixture.take_in(&answer(pulled(order(1, 1, 7)))).await;
    assert_eq!(fixture.quarantined(1).await, None);
    fixture.take_in(&answer(pulled_unfit(unfit(2, 1)))).await;
    fixture.take_in(&answer(pulled(order(2, 2, 7)))).await;
    assert_eq!(fixture.quarantined(2).await, None);
}

async fn what_a_later_epoch_does_not_know_is_gone(fixture: Fixture) {
    fixture.take_in(&pulled_unfit(unfit(1, 1))).await;
    assert!(!fixture.store.release_gone(1, Epoch(EPOCH)).await.unwrap());
    assert!(fixture.quarantined(1).await.is_some());
    assert!(fixture.store.release_gone(1, Epoch(EPOCH + 1)).await.unwrap());
    assert_eq!(fixture.quarantined(1).await, None);
}

async fn a_list_goes_on_behind_its_last_order(fixture: Fixture) {
    let unfit = (1..=7).rev().map(|number| unfit(number, 1)).collect();
    fixture.take_in(&mixed(page(0, 7, Vec::new()), unfit)).await;
    let numbers = async |after, limit| {
        let (orders, more) = fixture.store.quarantine(after, limit).await.unwrap();
        (orders.iter().map(|order| order.number).collect::<Vec<_>>(), more)
    };
    assert_eq!(numbers(None, 3).await, (vec![1, 2, 3], true));
    assert_eq!(numbers(Some(3), 3).await, (vec![4, 5, 6], true));
    assert_eq!(numbers(Some(4), 3).await, (vec![5, 6, 7], false));
    assert_eq!(numbers(Some(7), 3).await, (vec![], false));
    assert_eq!(numbers(None, i64::MAX).await.0.len(), 7);
}

async fn large_documents_make_a_list_shorter(fixture: Fixture) {
    let large = |number| Unfit { document: "x".repeat(4 * 1024 * 1024), ..unfit(number, 1) };
    fixture.take_in(&mixed(page(0, 3, Vec::new()), (1..=3).map(large).collect())).await;
    let (orders, more) = fixture.store.quarantine(None, 10).await.unwrap();
    assert_eq!((orders.len(), more), (2, true));
    let (orders, more) = fixture.store.quarantine(Some(2), 10).await.unwrap();
    assert_eq!((orders.len(), more), (1, false));
}
