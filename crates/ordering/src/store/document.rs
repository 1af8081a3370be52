//! A page of the feed as the JSON that is sent, written from rows of the database without making
//! orders of them first: nothing is copied but into the document itself.

use std::io::Write;

use contract::feed::{ContinuationToken, FeedIdentity, SequenceNr};
use contract::order::OrderState;
use contract::time::Timestamp;
use kit::db::{Backend, Error, Result, Row};
use serde::Serialize;

use super::Page;
use super::history::parse_state;

/// What [`order`] reads of an order `o` and its place `p`, in its order; the first two are read by
/// others too.
pub(super) const ORDER_COLUMNS: &str = "o.number, o.line_count, o.state, o.version, \
    p.feed_sequence_nr, customer_id, customer_name, customer_email, customer_address_line1, customer_address_line2, \
    customer_postal_code, customer_city, customer_country, currency, reference, note, net_minor, \
    tax_minor, total_minor, confirmed_at, changed_at, deleted_at";

/// What [`LineDocument::read`] reads, in its order.
pub(super) const LINE_COLUMNS: &str =
    "order_number, line_no, sku, description, quantity, unit_price_minor, tax_basis_points";

/// An order under its place in the feed; its JSON is that of [`contract::order::Order`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderDocument<'r> {
    number: i64,
    state: OrderState,
    version: i64,
    confirmed_sequence_nr: i64,
    customer: CustomerDocument<'r>,
    currency: &'r str,
    reference: Option<&'r str>,
    note: Option<&'r str>,
    lines: &'r [LineDocument<'r>],
    net_minor: i64,
    tax_minor: i64,
    total_minor: i64,
    confirmed_at: Option<Timestamp>,
    changed_at: Timestamp,
    deleted_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct CustomerDocument<'r> {
    id: &'r str,
    name: &'r str,
    email: &'r str,
    address: Option<AddressDocument<'r>>,
}

#[derive(Serialize, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
struct AddressDocument<'r> {
    line1: Option<&'r str>,
    line2: Option<&'r str>,
    postal_code: Option<&'r str>,
    city: Option<&'r str>,
    country: Option<&'r str>,
}

/// A line of an order; its JSON is that of [`contract::order::Line`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LineDocument<'r> {
    #[serde(skip)]
    order_number: i64,
    line_no: i64,
    sku: &'r str,
    description: Option<&'r str>,
    quantity: i64,
    unit_price_minor: i64,
    tax_basis_points: i64,
}

impl<'r> LineDocument<'r> {
    fn read<B: Backend>(row: &'r Row<B>) -> Result<Self> {
        let mut columns = row.columns();
        Ok(Self {
            order_number: columns.take()?,
            line_no: columns.take()?,
            sku: columns.text()?,
            description: columns.text_or_null()?,
            quantity: columns.take()?,
            unit_price_minor: columns.take()?,
            tax_basis_points: columns.take()?,
        })
    }

    /// All these lines, those of an order together and by rising number.
    pub(super) fn read_all<B: Backend>(rows: &'r [Row<B>]) -> Result<Vec<Self>> {
        let mut lines = rows.iter().map(Self::read).collect::<Result<Vec<_>>>()?;
        lines.sort_unstable_by_key(|line| (line.order_number, line.line_no));
        Ok(lines)
    }
}

/// The order in a row of [`ORDER_COLUMNS`], with its lines out of all of `lines`.
fn order<'r, B: Backend>(
    row: &'r Row<B>,
    lines: &'r [LineDocument<'r>],
) -> Result<OrderDocument<'r>> {
    let mut columns = row.columns();
    let number = columns.take()?;
    let _line_count: i64 = columns.take()?;
    Ok(OrderDocument {
        number,
        state: parse_state(columns.text()?)?,
        version: columns.take()?,
        confirmed_sequence_nr: columns.take()?,
        customer: CustomerDocument {
            id: columns.text()?,
            name: columns.text()?,
            email: columns.text()?,
            address: Some(AddressDocument {
                line1: columns.text_or_null()?,
                line2: columns.text_or_null()?,
                postal_code: columns.text_or_null()?,
                city: columns.text_or_null()?,
                country: columns.text_or_null()?,
            })
            .filter(|address| *address != AddressDocument::default()),
        },
        currency: columns.text()?,
        reference: columns.text_or_null()?,
        note: columns.text_or_null()?,
        lines: lines_of(number, lines),
        net_minor: columns.take()?,
        tax_minor: columns.take()?,
        total_minor: columns.take()?,
        confirmed_at: columns.take::<Option<i64>>()?.map(Timestamp::from_micros),
        changed_at: Timestamp::from_micros(columns.take()?),
        deleted_at: columns.take::<Option<i64>>()?.map(Timestamp::from_micros),
    })
}

fn lines_of<'r>(number: i64, lines: &'r [LineDocument<'r>]) -> &'r [LineDocument<'r>] {
    let start = lines.partition_point(|line| line.order_number < number);
    let count = lines[start..].iter().take_while(|line| line.order_number == number).count();
    &lines[start..start + count]
}

/// A page while it is written.
pub(super) struct PageWriter {
    identity: FeedIdentity,
    last_sequence_nr: SequenceNr,
    document: Vec<u8>,
    /// How long the document is before the first order.
    head: usize,
    max_bytes: usize,
    orders: usize,
    /// The place of the last order in it.
    last: Option<SequenceNr>,
}

impl PageWriter {
    /// A page without orders yet, whose orders may take `max_bytes`.
    pub(super) fn new(
        identity: FeedIdentity,
        last_sequence_nr: SequenceNr,
        max_bytes: usize,
    ) -> Self {
        let FeedIdentity { feed_id, epoch } = &identity;
        let document = format!(r#"{{"feedId":"{feed_id}","epoch":{epoch},"orders":["#).into_bytes();
        let head = document.len();
        Self { identity, last_sequence_nr, document, head, max_bytes, orders: 0, last: None }
    }

    /// How many orders it has.
    pub(super) fn orders(&self) -> usize {
        self.orders
    }

    /// The place of its last order.
    pub(super) fn last(&self) -> Option<SequenceNr> {
        self.last
    }

    /// Adds the order in a row of [`ORDER_COLUMNS`], whose lines are among `lines`; `false`, and the
    /// page stays as it was, when the order does not fit any more. The first one always does.
    pub(super) fn add<B: Backend>(
        &mut self,
        row: &Row<B>,
        lines: &[LineDocument<'_>],
    ) -> Result<bool> {
        let order = order(row, lines)?;
        let before = self.document.len();
        if self.orders > 0 {
            self.document.push(b',');
        }
        serde_json::to_writer(&mut self.document, &order).map_err(|error| unwritten(&error))?;
        if self.orders > 0 && self.document.len() - self.head > self.max_bytes {
            self.document.truncate(before);
            return Ok(false);
        }
        self.orders += 1;
        self.last = Some(SequenceNr(order.confirmed_sequence_nr));
        Ok(true)
    }

    /// The page, read on from `token`.
    pub(super) fn finish(mut self, token: ContinuationToken, has_more: bool) -> Result<Page> {
        let last = self.last_sequence_nr;
        let tail = r#"],"continuationToken":""#;
        write!(self.document, r#"{tail}{token}","hasMore":{has_more},"lastSequenceNr":{last}}}"#)
            .map_err(|error| unwritten(&error))?;
        Ok(Page {
            identity: self.identity,
            continuation_token: token,
            orders: self.orders,
            has_more,
            document: self.document,
        })
    }
}

/// Nothing that is written into memory fails; should it, then because of what it was read from.
fn unwritten(error: &dyn std::error::Error) -> Error {
    Error::Damaged(format!("an order cannot be written as JSON: {error}"))
}
