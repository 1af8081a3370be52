//! A page of the feed as the JSON that is sent, put together from the documents of its orders: nothing
//! is copied but into the page itself.

use std::io::Write;

use contract::feed::{ContinuationToken, FeedIdentity, SequenceNr};
use kit::db::{Error, Result};

use super::{Page, documents};

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

    /// The place of its last order.
    pub(super) fn last(&self) -> Option<SequenceNr> {
        self.last
    }

    /// Adds the order with this document under its place; `false`, and the page stays as it was, when the
    /// order does not fit any more. The first one always does.
    pub(super) fn add(&mut self, place: SequenceNr, document: &str) -> Result<bool> {
        let (before, after) = documents::around_place(document)?;
        let written = self.document.len();
        if self.orders > 0 {
            self.document.push(b',');
        }
        self.document.extend_from_slice(before.as_bytes());
        write!(self.document, r#""confirmedSequenceNr":{place},"#)
            .map_err(|error| unwritten(&error))?;
        self.document.extend_from_slice(after.as_bytes());
        if self.orders > 0 && self.document.len() - self.head > self.max_bytes {
            self.document.truncate(written);
            return Ok(false);
        }
        self.orders += 1;
        self.last = Some(place);
        Ok(true)
    }

    /// Makes room for orders whose documents take so many bytes.
    pub(super) fn reserve(&mut self, orders: usize, bytes: usize) {
        /// What a place in the feed takes, a comma, and the end of the page as a whole.
        const PLACE: usize = 48;
        self.document.reserve((orders + 4) * PLACE + bytes);
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
            last_sequence_nr: last,
            document: self.document,
        })
    }
}

impl Page {
    /// Whether it is the page behind `token`, if it is one of as many numbers as it holds orders.
    pub(crate) fn follows(&self, token: &ContinuationToken) -> bool {
        let orders = i64::try_from(self.orders).unwrap_or(i64::MAX);
        self.identity.feed_id == token.feed_id
            && self.identity.epoch == token.epoch
            && self.continuation_token.sequence_nr.0 - orders == token.sequence_nr.0
    }

    /// The page behind this one, as it was at that very moment: empty, with the same token. `None` when
    /// there was more.
    pub(crate) fn behind(&self) -> Option<Self> {
        let empty = PageWriter::new(self.identity.clone(), self.last_sequence_nr, 0);
        let empty = || empty.finish(self.continuation_token.clone(), false).ok();
        if self.has_more { None } else { empty() }
    }
}

/// Nothing that is written into memory fails.
fn unwritten(error: &dyn std::error::Error) -> Error {
    Error::Damaged(format!("a page cannot be written: {error}"))
}
