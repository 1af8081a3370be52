//! Checksums over ranges of order numbers: how two sides find out that they hold the same orders
//! without sending them.
//!
//! Both sides go through their orders by rising number and add each to a [`Summer`], which gives one
//! [`RangeChecksum`] for each range that holds any. Where two of a range differ, narrower ranges
//! inside it tell where.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::feed::{Epoch, FeedId, FeedIdentity};
use crate::order::{Address, Line, Order};
use crate::time::Timestamp;

/// The widest range, in order numbers: it bounds how long an answer may take to compute.
pub const MAX_WIDTH: i64 = 4_096;
/// Order numbers a range when the caller does not say.
pub const DEFAULT_WIDTH: i64 = 1_024;

/// Checksums of some ranges, and where the others begin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChecksumPage {
    /// The provider's database.
    pub feed_id: FeedId,
    /// The provider's current history.
    pub epoch: Epoch,
    /// By rising number; a range that holds no order is left out.
    pub ranges: Vec<RangeChecksum>,
    /// Send it as `from` for those that follow; null at the end.
    pub next: Option<i64>,
}

impl ChecksumPage {
    /// Which provider and which history answers.
    pub fn identity(&self) -> FeedIdentity {
        FeedIdentity { feed_id: self.feed_id.clone(), epoch: self.epoch }
    }
}

/// What the orders of one range are like.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RangeChecksum {
    /// The first number of the range, a multiple of its width.
    pub first: i64,
    /// How many orders it holds.
    pub orders: i64,
    /// 32 hexadecimal digits: the first half of the SHA-256 over the digests of its orders.
    pub checksum: String,
}

/// Sums orders up, range by range. They must come by rising number.
#[derive(Clone, Debug)]
pub struct Summer {
    width: i64,
    open: Option<Open>,
}

/// The range that the last order was in.
#[derive(Clone, Debug)]
struct Open {
    first: i64,
    orders: i64,
    digest: Sha256,
}

impl Summer {
    /// For ranges of `width` numbers, which begin at its multiples; at least 1.
    pub fn new(width: i64) -> Self {
        Self { width: width.max(1), open: None }
    }

    /// Adds an order; the range before its own, when that is now complete.
    pub fn add(&mut self, order: &Order) -> Option<RangeChecksum> {
        let first = first_of(order.number, self.width);
        let complete = self.open.take_if(|open| open.first != first);
        let open =
            self.open.get_or_insert_with(|| Open { first, orders: 0, digest: Sha256::new() });
        open.orders += 1;
        open.digest.update(digest(order));
        complete.map(Open::close)
    }

    /// The last range; `None` when no order was added.
    pub fn finish(self) -> Option<RangeChecksum> {
        self.open.map(Open::close)
    }
}

impl Open {
    fn close(self) -> RangeChecksum {
        let digest: [u8; 32] = self.digest.finalize().into();
        let half = digest.iter().take(16).fold(0_u128, |half, byte| half << 8 | u128::from(*byte));
        RangeChecksum { first: self.first, orders: self.orders, checksum: format!("{half:032x}") }
    }
}

/// Where the range begins that holds `number`.
pub fn first_of(number: i64, width: i64) -> i64 {
    number.div_euclid(width) * width
}

/// SHA-256 of what an order says: every member of its document but `confirmedSequenceNr`, which is
/// the provider's own affair (a consumer that pulled an order before it was stamped keeps its −1).
///
/// The members are named here one by one, so that a document that gains one keeps its digest on
/// both sides until both are told.
pub fn digest(order: &Order) -> [u8; 32] {
    let mut sum = Sum(Sha256::new());
    sum.int(order.number);
    sum.text(order.state.as_str());
    sum.int(order.version);
    sum.text(&order.customer.id);
    sum.text(&order.customer.name);
    sum.text(&order.customer.email);
    sum.optional(order.customer.address.as_ref(), Sum::address);
    sum.text(&order.currency);
    sum.optional_text(order.reference.as_ref());
    sum.optional_text(order.note.as_ref());
    sum.int(i64::try_from(order.lines.len()).unwrap_or(i64::MAX));
    for line in &order.lines {
        sum.line(line);
    }
    sum.int(order.net_minor);
    sum.int(order.tax_minor);
    sum.int(order.total_minor);
    sum.optional_time(order.confirmed_at);
    sum.int(order.changed_at.micros());
    sum.optional_time(order.deleted_at);
    sum.0.finalize().into()
}

/// A digest under way. Every value is preceded by its length or is of one length, so that no two
/// documents are the same bytes.
struct Sum(Sha256);

impl Sum {
    fn int(&mut self, value: i64) {
        self.0.update(value.to_le_bytes());
    }

    fn text(&mut self, value: &str) {
        self.0.update((value.len() as u64).to_le_bytes());
        self.0.update(value);
    }

    fn optional<T>(&mut self, value: Option<&T>, add: fn(&mut Self, &T)) {
        self.0.update([u8::from(value.is_some())]);
        if let Some(value) = value {
            add(self, value);
        }
    }

    fn optional_text(&mut self, value: Option<&String>) {
        self.optional(value, |sum, text| sum.text(text));
    }

    fn optional_time(&mut self, value: Option<Timestamp>) {
        self.optional(value.as_ref(), |sum, time| sum.int(time.micros()));
    }

    fn address(&mut self, address: &Address) {
        let Address { line1, line2, postal_code, city, country } = address;
        for part in [line1, line2, postal_code, city, country] {
            self.optional_text(part.as_ref());
        }
    }

    fn line(&mut self, line: &Line) {
        self.int(line.line_no);
        self.text(&line.sku);
        self.optional_text(line.description.as_ref());
        self.int(line.quantity);
        self.int(line.unit_price_minor);
        self.int(line.tax_basis_points);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::SequenceNr;
    use crate::order::{Customer, OrderState};

    fn order(number: i64) -> Order {
        Order {
            number,
            state: OrderState::Confirmed,
            version: 3,
            confirmed_sequence_nr: SequenceNr(1042),
            customer: Customer {
                id: "c1".into(),
                name: "Ada Yards".into(),
                email: "ada@example.com".into(),
                address: Some(Address { city: Some("Delft".into()), ..Address::default() }),
            },
            currency: "EUR".into(),
            reference: Some("PO-77".into()),
            note: None,
            lines: vec![Line {
                line_no: 1,
                sku: "BOLT-8".into(),
                description: None,
                quantity: 40,
                unit_price_minor: 35,
                tax_basis_points: 2100,
            }],
            net_minor: 1400,
            tax_minor: 294,
            total_minor: 1694,
            confirmed_at: Some(Timestamp::from_micros(1)),
            changed_at: Timestamp::from_micros(2),
            deleted_at: None,
        }
    }

    fn sums(width: i64, orders: &[Order]) -> Vec<RangeChecksum> {
        let mut summer = Summer::new(width);
        let mut ranges: Vec<_> = orders.iter().filter_map(|order| summer.add(order)).collect();
        ranges.extend(summer.finish());
        ranges
    }

    #[test]
    fn every_member_counts_but_the_place_in_the_feed() {
        type Change = fn(&mut Order);
        let known = digest(&order(7));
        let same: Change = |order| order.confirmed_sequence_nr = SequenceNr::UNSTAMPED;
        let changes: [Change; 20] = [
            |order| order.number = 8,
            |order| order.state = OrderState::Deleted,
            |order| order.version = 4,
            |order| order.customer.id.push('x'),
            |order| order.customer.name.push('x'),
            |order| order.customer.email.push('x'),
            |order| order.customer.address = None,
            |order| order.customer.address = Some(Address::default()),
            |order| order.currency = "USD".into(),
            |order| order.reference = None,
            |order| order.reference = Some(String::new()),
            |order| order.note = Some(String::new()),
            |order| order.lines.clear(),
            |order| order.lines[0].description = Some(String::new()),
            |order| order.lines[0].quantity = 41,
            |order| order.net_minor += 1,
            |order| order.tax_minor += 1,
            |order| order.confirmed_at = None,
            |order| order.changed_at = Timestamp::from_micros(3),
            |order| order.deleted_at = Some(Timestamp::from_micros(3)),
        ];
        let after = |change: Change| {
            let mut order = order(7);
            change(&mut order);
            digest(&order)
        };
        assert_eq!(after(same), known);
        let mut seen = std::collections::BTreeSet::from([known]);
        for (place, change) in changes.into_iter().enumerate() {
            assert!(seen.insert(after(change)), "change {place} makes no digest of its own");
        }
    }

    #[test]
    fn texts_that_touch_are_told_apart() {
        let with = |sku: &str, description: &str| {
            let mut order = order(7);
            order.lines[0].sku = sku.into();
            order.lines[0].description = Some(description.into());
            digest(&order)
        };
        assert_ne!(with("ab", "c"), with("a", "bc"));
    }

    #[test]
    fn ranges_begin_at_multiples_of_their_width_and_leave_out_what_is_empty() {
        let orders: Vec<_> = [1, 9, 10, 35].map(order).into();
        let firsts = |width| -> Vec<_> {
            let ranges = sums(width, &orders);
            ranges.iter().map(|range| (range.first, range.orders)).collect()
        };
        assert_eq!(firsts(10), [(0, 2), (10, 1), (30, 1)]);
        assert_eq!(firsts(1), [(1, 1), (9, 1), (10, 1), (35, 1)]);
        assert_eq!(firsts(100), [(0, 4)]);
        assert_eq!(sums(10, &[]), []);
    }

    /// Both sides must compute the same for ever: a change of this value is a change of the feed.
    #[test]
    fn the_checksum_is_the_one_that_was_agreed() {
        let [range] = sums(1_024, &[order(7)]).try_into().unwrap();
        assert_eq!(range.checksum, "a20d863e094a7b0882b151df2f9df95e");
    }
}
