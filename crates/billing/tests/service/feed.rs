//! A feed over orders that a test holds: single orders, checksums and pages, as ordering answers them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use contract::checksum::{ChecksumPage, RangeChecksum, Summer, first_of};
use contract::feed::{FeedIdentity, FeedPage};
use contract::order::Order;
use contract::problem::ProblemCode;
use wiremock::{Request, Respond, ResponseTemplate};

use crate::ordering::{EPOCH, identity, nothing_new, ok, one, page_of, problem, token_of};

/// Orders, and how they are answered. Clones are the same feed.
#[derive(Clone)]
pub(crate) struct Feed(Arc<Mutex<Held>>);

struct Held {
    identity: FeedIdentity,
    orders: BTreeMap<i64, Order>,
    /// Checksums are answered of about so many orders at a time.
    an_answer: usize,
    /// Called with each order that is asked for by number, before it is answered.
    asked: Option<fn(&mut Order)>,
}

impl Feed {
    /// Of these orders, in the usual history.
    pub(crate) fn of(orders: impl IntoIterator<Item = Order>) -> Self {
        let orders = orders.into_iter().map(|order| (order.number, order)).collect();
        Self(Arc::new(Mutex::new(Held {
            identity: identity(EPOCH),
            orders,
            an_answer: 1_500,
            asked: None,
        })))
    }

    /// Makes it of another history.
    pub(crate) fn becomes(&self, identity: FeedIdentity) {
        self.0.lock().unwrap().identity = identity;
    }

    /// Writes an order, whatever was there.
    pub(crate) fn put(&self, order: Order) {
        self.0.lock().unwrap().orders.insert(order.number, order);
    }

    /// Loses an order.
    pub(crate) fn lose(&self, number: i64) {
        self.0.lock().unwrap().orders.remove(&number);
    }

    /// The order, as it is answered.
    pub(crate) fn get(&self, number: i64) -> Order {
        self.0.lock().unwrap().orders[&number].clone()
    }

    /// Lets `change` happen to each order right before it is answered by number.
    pub(crate) fn when_asked(&self, change: fn(&mut Order)) {
        self.0.lock().unwrap().asked = Some(change);
    }
}

impl Respond for Feed {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut held = self.0.lock().unwrap();
        let query: HashMap<_, _> = request.url.query_pairs().into_owned().collect();
        match request.url.path() {
            "/feed/v1/checksums" => {
                let number = |name: &str| query[name].parse::<i64>().unwrap();
                ok(held.checksums(number("from"), number("through"), number("width")))
            }
            "/feed/v1/orders" => ok(held.page(query.get("after").map(String::as_str))),
            path => {
                let number = path.strip_prefix("/feed/v1/orders/").unwrap().parse().unwrap();
                held.order(number)
            }
        }
    }
}

impl Held {
    fn checksums(&self, from: i64, through: i64, width: i64) -> ChecksumPage {
        assert!(from >= 0 && from % width == 0 && from <= through && width <= 4_096);
        let mut ranges: Vec<RangeChecksum> = Vec::new();
        let mut summer = Summer::new(width);
        let mut next = None;
        for (added, order) in self.orders.range(from..=through).map(|(_, order)| order).enumerate()
        {
            let complete = summer.add(order);
            if complete.is_some() && added >= self.an_answer {
                // The order belongs to the next answer.
                next = Some(first_of(order.number, width));
                ranges.extend(complete);
                break;
            }
            ranges.extend(complete);
        }
        if next.is_none() {
            ranges.extend(summer.finish());
        }
        let FeedIdentity { feed_id, epoch } = self.identity.clone();
        ChecksumPage { feed_id, epoch, ranges, next }
    }

    fn order(&mut self, number: i64) -> ResponseTemplate {
        let Some(order) = self.orders.get_mut(&number) else {
            return problem(ProblemCode::NotFound, Some(self.identity.clone()));
        };
        if let Some(change) = self.asked {
            change(order);
        }
        ok(one(&self.identity, order.clone()))
    }

    /// All that is stamped behind the token, on one page.
    fn page(&self, after: Option<&str>) -> FeedPage {
        let after = match after {
            Some(token) => token.parse().unwrap(),
            None => token_of(&self.identity, 0),
        };
        let mut orders: Vec<_> = self.orders.values().cloned().collect();
        orders.retain(|order| order.confirmed_sequence_nr > after.sequence_nr);
        orders.sort_by_key(|order| order.confirmed_sequence_nr);
        if orders.is_empty() { nothing_new(&after) } else { page_of(&self.identity, orders) }
    }
}
