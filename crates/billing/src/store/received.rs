//! What is taken in: answers of ordering.

use std::collections::HashSet;

use contract::feed::{ContinuationToken, FeedIdentity, SequenceNr};
use contract::order::{Order, OrderState};
use kit::db::Result;

use super::json;
use crate::pull::Counts;

/// An answer of ordering: a page, or several that follow each other, or one order that was pulled by number.
#[derive(Clone, PartialEq, Debug)]
pub struct Received {
    /// Which provider and which history answered: orders are stored under this epoch.
    pub identity: FeedIdentity,
    /// The orders that can be taken in, each number at most once.
    pub orders: Vec<Fit>,
    /// Orders that cannot be taken in, each number at most once here and above.
    pub unfit: Vec<Unfit>,
    /// For a page: how the token moves. A pulled order never moves it.
    pub advance: Option<Advance>,
}

impl Received {
    /// Takes the page behind this one up into it: from now on both are one page, which brings at least what
    /// one would that was asked for with a higher limit. An order that stands on both has changed in between,
    /// and the later is kept: within an epoch, a higher place never has an older version. `false`, and nothing
    /// is changed, when `behind` does not begin where this one ends.
    #[must_use]
    pub fn append(&mut self, behind: Self) -> bool {
        let (Some(ours), Some(theirs)) = (&mut self.advance, behind.advance) else { return false };
        if behind.identity != self.identity || theirs.from.as_ref() != Some(&ours.to) {
            return false;
        }
        let from = ours.from.take();
        *ours = Advance { from, pages: ours.pages + theirs.pages, ..theirs };
        let fit = behind.orders.iter().map(|order| order.number);
        let later: HashSet<_> = fit.chain(behind.unfit.iter().map(|order| order.number)).collect();
        self.orders.retain(|order| !later.contains(&order.number));
        self.orders.extend(behind.orders);
        self.unfit.retain(|order| !later.contains(&order.number));
        self.unfit.extend(behind.unfit);
        true
    }

    /// How many orders it brings, those included that cannot be taken in.
    pub fn len(&self) -> usize {
        self.orders.len() + self.unfit.len()
    }

    /// Whether it brings none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the documents of its orders take.
    pub fn size(&self) -> usize {
        let fit = self.orders.iter().map(|order| order.document.len());
        fit.chain(self.unfit.iter().map(|order| order.document.len())).sum()
    }

    /// How many pages it is; 0 for an order that was pulled by number.
    pub fn pages(&self) -> i64 {
        self.advance.as_ref().map_or(0, |advance| advance.pages)
    }
}

/// An order that can be taken in, and so has no [`crate::invoice::fault`]: as the document that its copy
/// keeps, and what is asked of it besides.
///
/// The document is written where an answer is read: long pages are read ahead, on other threads than the
/// one that waits for the database, and taking them in is what a catch-up waits for.
#[derive(Clone, PartialEq, Debug)]
pub struct Fit {
    /// The order's number.
    pub number: i64,
    /// Its version.
    pub version: i64,
    /// Confirmed, or deleted.
    pub state: OrderState,
    /// Its place in the feed; −1 while its last change has none yet.
    pub confirmed_sequence_nr: SequenceNr,
    /// The order without its place; see [`json::order`].
    pub(super) document: String,
}

impl Fit {
    /// Whether it is a tombstone.
    pub fn is_deleted(&self) -> bool {
        self.state == OrderState::Deleted
    }

    /// All of the order, read from its document.
    pub fn order(&self) -> Result<Order> {
        let order: Order = json::read(&self.document)?;
        Ok(Order { confirmed_sequence_nr: self.confirmed_sequence_nr, ..order })
    }
}

impl From<Order> for Fit {
    fn from(order: Order) -> Self {
        let Order { number, version, state, confirmed_sequence_nr, .. } = order;
        Self { number, version, state, confirmed_sequence_nr, document: json::order(&order) }
    }
}

/// An order that cannot be taken in, as ordering answered it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfit {
    /// The order's number.
    pub number: i64,
    /// Its version; `None` when that cannot be read.
    pub version: Option<i64>,
    /// Its place in the feed; −1 when it has none, or when that cannot be read.
    pub sequence_nr: SequenceNr,
    /// Why it cannot be taken in, in one short line.
    pub reason: String,
    /// The JSON that stands for the order in the answer, character by character.
    pub document: String,
}

/// How a page moves the token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advance {
    /// The token that was asked with; the page counts only while it is still the stored one.
    pub from: Option<ContinuationToken>,
    /// The token that the page carries.
    pub to: ContinuationToken,
    /// The newest number that ordering had given.
    pub last_sequence_nr: SequenceNr,
    /// How many pages it is that were read; more than one after [`Received::append`].
    pub pages: i64,
}

/// What became of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Applied {
    /// It is taken in.
    Done(Counts),
    /// The token was moved, a new order of a page stored, or the draft of one ended, by somebody else
    /// meanwhile: nothing was changed, ask again.
    Superseded,
    /// It is of an older epoch than the adopted one, or of another feed: nothing was changed.
    WrongHistory,
}
