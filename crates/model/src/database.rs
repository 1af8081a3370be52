//! Ordering's database: orders, the counter, and the name of its history.

use crate::rules::{Breach, Rules};

/// How many orders there are at most; a scenario may use fewer.
pub const ORDERS: usize = 3;

/// Whose feed it is (`feedId`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Feed {
    /// The provider's that billing belongs to.
    Ours,
    /// Another database's.
    Another,
}

/// An order's state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Status {
    /// Never confirmed: not exposed, like an order that does not exist.
    Draft,
    /// Confirmed.
    Confirmed,
    /// Deleted after it was confirmed: stays exposed, as a tombstone.
    Deleted,
}

/// An order as a transaction sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Row {
    /// Draft, confirmed or deleted.
    pub status: Status,
    /// Rises with every change.
    pub version: u8,
    /// The content: which change of this order it is, and in which history it was written.
    pub content: (u8, u8),
    /// `confirmed_sequence_nr`; `None` is −1.
    pub number: Option<u8>,
    /// `feed_sequence_nr`: its place in the feed, the number that it was given last. It stays while
    /// a change waits for the next one (P4). `None` until the first, and in replies.
    pub feed_number: Option<u8>,
    /// The epoch in which it was given that number, where a breach reads it.
    pub stamped_in: u8,
    /// Its place among the orders that wait for a stamp; 0 where every batch takes all of them.
    pub since: u8,
}

impl Row {
    /// Confirmed at some time.
    pub fn exposed(&self) -> bool {
        self.status != Status::Draft
    }

    /// Exposed, and not stamped since the last change.
    pub fn waits(&self) -> bool {
        self.exposed() && self.number.is_none()
    }

    /// As a reply shows it, under `number`.
    pub(crate) fn shown_under(self, number: Option<u8>) -> Self {
        Self { number, feed_number: None, ..self }
    }
}

/// What is committed. A copy of it is a snapshot, a standby, a backup.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Database {
    /// Its name (P7).
    pub feed: Feed,
    /// The name of its history (P7).
    pub epoch: u8,
    /// The counter row (P2).
    pub counter: u8,
    /// The orders.
    pub rows: [Row; ORDERS],
    /// Which run of events this is: what is written from now on differs from what other histories
    /// wrote under the same versions.
    pub history: u8,
    /// History may have been lost, and the database shows it: another timeline or system
    /// identifier than the one stored with the epoch.
    pub moved: bool,
    /// History may have been lost, and nothing shows it.
    pub unannounced: bool,
    /// The counter when the epoch began, where a breach reads it.
    pub shared: u8,
    /// Witness: the greatest number that was ever visible.
    pub highest: u8,
    /// Witness: the orders that were exposed when this epoch began.
    pub kept: [bool; ORDERS],
}

impl Database {
    /// A database whose first `stamped` orders are confirmed and stamped, the rest drafts.
    pub fn new(stamped: u8) -> Self {
        let mut rows = [Row {
            status: Status::Draft,
            version: 1,
            content: (1, 1),
            number: None,
            feed_number: None,
            stamped_in: 0,
            since: 0,
        }; ORDERS];
        for (row, number) in rows.iter_mut().zip(1..=stamped) {
            *row = Row {
                status: Status::Confirmed,
                number: Some(number),
                feed_number: Some(number),
                stamped_in: 1,
                ..*row
            };
        }
        Self {
            feed: Feed::Ours,
            epoch: 1,
            counter: stamped,
            rows,
            history: 1,
            moved: false,
            unannounced: false,
            shared: 0,
            highest: stamped,
            kept: rows.map(|row| row.exposed()),
        }
    }

    /// Another database altogether: one order under a number that ours uses too.
    pub fn another() -> Self {
        let mut other = Self { feed: Feed::Another, epoch: 9, history: 9, ..Self::new(1) };
        other.rows[0].version = 5;
        other.rows[0].content = (5, 9);
        other
    }

    /// Begins a new epoch (P7). `now` stands for the time in milliseconds, which is later than
    /// when any epoch before was begun, anywhere; so the greatest of those will do.
    pub fn begin_epoch(&mut self, rules: Rules, now: u8) {
        if !rules.broken(Breach::NoNewEpoch) {
            let next = self.epoch + 1;
            self.epoch = if rules.broken(Breach::EpochPlusOne) { next } else { next.max(now + 1) };
            self.kept = self.rows.map(|row| row.exposed());
            if rules.broken(Breach::TokenKept) {
                self.shared = self.counter;
            }
        }
        self.moved = false;
        self.unannounced = false;
    }

    /// The greatest `confirmed_sequence_nr` in the table.
    fn maximum(&self) -> u8 {
        self.rows.iter().filter_map(|row| row.number).max().unwrap_or(0)
    }

    /// The number after which the sequencer goes on (P2).
    pub fn last_number(&self, rules: Rules) -> u8 {
        if rules.broken(Breach::NumberFromMaximum) { self.maximum() } else { self.counter }
    }

    /// Makes a stamp visible.
    pub fn stamp(&mut self, order: usize, number: u8, rules: Rules) {
        let row = &mut self.rows[order];
        row.number = Some(number);
        row.feed_number = Some(number);
        row.since = 0;
        if rules.broken(Breach::EpochOfStamp) {
            row.stamped_in = self.epoch;
        }
    }
}
