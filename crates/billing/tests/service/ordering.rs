//! What ordering answers.

use contract::feed::{ContinuationToken, Epoch, FeedIdentity, FeedOrder, FeedPage, SequenceNr};
use contract::money::Totals;
use contract::order::{Customer, Line, Order, OrderState};
use contract::problem::{MEDIA_TYPE, Problem, ProblemCode};
use contract::time::Timestamp;
use serde::Serialize;
use wiremock::ResponseTemplate;

/// When everything happens: 2026-05-01T10:00:00Z.
pub(crate) const AT: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);
/// The epoch that is answered unless a case says otherwise.
pub(crate) const EPOCH: i64 = 1_000;

/// The feed that answers unless a case says otherwise, in an epoch.
pub(crate) fn identity(epoch: i64) -> FeedIdentity {
    FeedIdentity { feed_id: "k3v9x2ab".parse().unwrap(), epoch: Epoch(epoch) }
}

/// Another feed.
pub(crate) fn another_feed() -> FeedIdentity {
    FeedIdentity { feed_id: "zzzzzzzz".parse().unwrap(), epoch: Epoch(EPOCH) }
}

/// The token of a history at a number.
pub(crate) fn token_of(identity: &FeedIdentity, sequence_nr: i64) -> ContinuationToken {
    ContinuationToken {
        feed_id: identity.feed_id.clone(),
        epoch: identity.epoch,
        sequence_nr: SequenceNr(sequence_nr),
    }
}

/// The token of the usual history at a number.
pub(crate) fn token(sequence_nr: i64) -> ContinuationToken {
    token_of(&identity(EPOCH), sequence_nr)
}

/// A confirmed order of one line, stamped with `sequence_nr`.
pub(crate) fn order(number: i64, version: i64, sequence_nr: i64) -> Order {
    let lines = vec![Line {
        line_no: 1,
        sku: "BOLT-8".into(),
        description: Some("Bolt M8".into()),
        quantity: version,
        unit_price_minor: 35,
        tax_basis_points: 2100,
    }];
    let totals = Totals::of(&lines).unwrap();
    Order {
        number,
        state: OrderState::Confirmed,
        version,
        confirmed_sequence_nr: SequenceNr(sequence_nr),
        customer: Customer {
            id: "0197".into(),
            name: "Ada Yards".into(),
            email: "ada@example.com".into(),
            address: None,
        },
        currency: "EUR".into(),
        reference: None,
        note: None,
        lines,
        net_minor: totals.net_minor,
        tax_minor: totals.tax_minor,
        total_minor: totals.total_minor,
        confirmed_at: Some(AT),
        changed_at: AT,
        deleted_at: None,
    }
}

/// A page of the usual history with nothing behind it.
pub(crate) fn page(orders: Vec<Order>) -> FeedPage {
    page_of(&identity(EPOCH), orders)
}

/// A page with nothing behind it; not empty.
pub(crate) fn page_of(identity: &FeedIdentity, orders: Vec<Order>) -> FeedPage {
    let last = orders.last().expect("an empty page has the token that was sent");
    let last_sequence_nr = last.confirmed_sequence_nr;
    FeedPage {
        feed_id: identity.feed_id.clone(),
        epoch: identity.epoch,
        continuation_token: token_of(identity, last_sequence_nr.0),
        orders,
        has_more: false,
        last_sequence_nr,
    }
}

/// A page that says there is nothing behind `sent`.
pub(crate) fn nothing_new(sent: &ContinuationToken) -> FeedPage {
    FeedPage {
        feed_id: sent.feed_id.clone(),
        epoch: sent.epoch,
        orders: Vec::new(),
        continuation_token: sent.clone(),
        has_more: false,
        last_sequence_nr: sent.sequence_nr,
    }
}

/// An order, asked for by number.
pub(crate) fn one(identity: &FeedIdentity, order: Order) -> FeedOrder {
    FeedOrder { feed_id: identity.feed_id.clone(), epoch: identity.epoch, order }
}

/// A successful answer with a document.
pub(crate) fn ok(document: impl Serialize) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(document)
}

/// A problem that names a history, as the feed's own do.
pub(crate) fn problem(code: ProblemCode, feed: Option<FeedIdentity>) -> ResponseTemplate {
    let problem = Problem { feed, ..Problem::new(code, "says ordering\r\n") };
    let body = serde_json::to_vec(&problem).unwrap();
    ResponseTemplate::new(code.status()).set_body_raw(body, MEDIA_TYPE)
}
