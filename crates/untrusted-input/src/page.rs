//! Pages of the feed, as billing reads them: the first line is the token that was sent, or empty;
//! the rest is the body of the answer.

use std::collections::BTreeSet;

use billing::pull::{Page, answer};
use billing::upstream::Answer;
use contract::feed::{ContinuationToken, FeedPage};
use contract::order::Order;
use contract::time::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use crate::{assert_one_short_line, split_line};

/// Whatever is believed goes on from where was asked, rises, and ends where its token says; and an
/// order that is put aside says why, in one short line.
pub fn check(data: &[u8]) -> bool {
    let (sent, body) = split_line(data);
    let sent: Option<ContinuationToken> = sent.parse().ok();
    match read(body, sent.as_ref()) {
        Ok(page) => {
            hold(&page, sent.as_ref());
            if page.unfit.is_empty() {
                assert_eq!(read(&written(&page), sent.as_ref()), Ok(page));
            }
            true
        }
        Err(reason) => {
            assert_one_short_line(&reason);
            false
        }
    }
}

fn read(body: &[u8], sent: Option<&ContinuationToken>) -> Result<Page, String> {
    let now = Timestamp::from_micros(0);
    let answer = Answer::new("Ordering", 200, HeaderMap::new(), body.to_vec(), now);
    answer::page(&answer, sent).map_err(|error| error.to_string())
}

fn hold(page: &Page, sent: Option<&ContinuationToken>) {
    let fit = page.orders.iter().map(|order| (order.confirmed_sequence_nr.0, order.number));
    let unfit = page.unfit.iter().map(|order| (order.sequence_nr.0, order.number));
    let places: BTreeSet<_> = fit.clone().chain(unfit.clone()).collect();
    let end = &page.continuation_token;
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        // Asking again asks the same: nothing is skipped, and there is no haste.
        assert!(sent.is_none_or(|sent| sent == end) && !page.has_more);
        return;
    };
    assert_eq!((&end.feed_id, end.epoch), (&page.identity.feed_id, page.identity.epoch));
    assert_eq!(end.sequence_nr.0, last.0);
    let same = sent.filter(|sent| {
        (&sent.feed_id, sent.epoch) == (&page.identity.feed_id, page.identity.epoch)
    });
    assert!(first.0 > same.map_or(0, |sent| sent.sequence_nr.0));
    assert!(fit.is_sorted() && unfit.is_sorted());
    // No place and no order stands there twice.
    let orders = page.orders.len() + page.unfit.len();
    assert_eq!(places.iter().map(|(place, _)| place).collect::<BTreeSet<_>>().len(), orders);
    assert_eq!(places.iter().map(|(_, number)| number).collect::<BTreeSet<_>>().len(), orders);
    assert!(places.iter().all(|(_, number)| *number > 0));
    for fit in &page.orders {
        assert!(fit.version > 0);
        let Order { number, version, state, confirmed_sequence_nr, .. } = fit.order().unwrap();
        assert_eq!((number, version, state), (fit.number, fit.version, fit.state));
        assert_eq!(confirmed_sequence_nr, fit.confirmed_sequence_nr);
    }
    for order in &page.unfit {
        assert_one_short_line(&order.reason);
        assert!(order.version.is_none_or(|version| version > 0));
        assert!(serde_json::from_str::<&RawValue>(&order.document).is_ok());
    }
}

/// The page as ordering would have written it.
fn written(page: &Page) -> Vec<u8> {
    let page = page.clone();
    let page = FeedPage {
        feed_id: page.identity.feed_id,
        epoch: page.identity.epoch,
        orders: page.orders.iter().map(|order| order.order().unwrap()).collect(),
        continuation_token: page.continuation_token,
        has_more: page.has_more,
        last_sequence_nr: page.last_sequence_nr,
    };
    serde_json::to_vec(&page).unwrap()
}
