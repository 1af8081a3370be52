//! Ordering at work: transactions that write orders hold their rows until they commit or roll
//! back, in any order. A crash of ordering is a roll-back of everything that is open.

use crate::database::{Database, ORDERS, Row, Status};
use crate::rules::{Breach, Rules};
use crate::sequencer::{Fairness, Sequencer};

/// A change of an order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Write {
    /// Draft to confirmed.
    Confirm,
    /// Other content.
    Change,
    /// Confirmed to deleted.
    Delete,
}

impl Write {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Confirm, Self::Change, Self::Delete];
}

/// The primary: what is committed and what is not yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Provider {
    /// What is committed.
    pub database: Database,
    /// For each order what an open transaction made of it, which holds its row.
    pub writers: [Option<Row>; ORDERS],
    /// Two sequencers, of two processes.
    pub sequencers: [Sequencer; 2],
    /// The order whose writer the sequencer waits for.
    pub waits_for: Option<usize>,
    /// How each order was treated so far; counted only where that is the question.
    pub fairness: [Fairness; ORDERS],
    /// Witness: a number became visible after an equal or a greater one.
    pub numbers_disordered: bool,
}

impl Provider {
    /// A provider with nothing open.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            writers: [None; ORDERS],
            sequencers: [Sequencer::IDLE; 2],
            waits_for: None,
            fairness: [Fairness::default(); ORDERS],
            numbers_disordered: false,
        }
    }

    /// Whether a transaction holds the row, or the sequencer is the next to hold it.
    pub(crate) fn held(&self, order: usize) -> bool {
        self.writers[order].is_some()
            || self.waits_for == Some(order)
            || self.sequencers.iter().any(|sequencer| sequencer.stamps[order].is_some())
    }

    /// Begins a transaction that writes the order (P1). `None`: another holds it, or the order
    /// cannot be written so.
    pub fn write(mut self, order: usize, write: Write, by_age: bool, rules: Rules) -> Option<Self> {
        if self.held(order) {
            return None;
        }
        let row = self.database.rows[order];
        let status = match (row.status, write) {
            (Status::Draft, Write::Confirm) | (Status::Confirmed, Write::Change) => {
                Status::Confirmed
            }
            (Status::Confirmed, Write::Delete) => Status::Deleted,
            _ => return None,
        };
        let keeps_version = rules.broken(Breach::WriteKeepsVersion) && row.exposed();
        let number = if rules.broken(Breach::WriteKeepsNumber) {
            row.number
        } else if rules.broken(Breach::WriterNumbers) {
            self.database.counter += 1;
            Some(self.database.counter)
        } else {
            None
        };
        let kept = row.feed_number.filter(|_| !rules.broken(Breach::WaitingHidden));
        self.writers[order] = Some(Row {
            status,
            version: row.version + u8::from(!keeps_version),
            content: (row.content.0 + 1, self.database.history),
            number,
            feed_number: number.or(kept),
            stamped_in: row.stamped_in,
            since: if by_age { self.place(&row, rules) } else { 0 },
        });
        Some(self)
    }

    /// The place of a changed order among those that wait: behind all others, also those that
    /// writers hold; but an order that waits already keeps its place.
    fn place(&self, row: &Row, rules: Rules) -> u8 {
        if row.waits() && !rules.broken(Breach::PlaceLost) {
            return row.since;
        }
        let open = self.writers.iter().flatten();
        1 + self.database.rows.iter().chain(open).map(|row| row.since).max().unwrap_or(0)
    }

    /// Commits what holds the order. A sequencer that waits for it gets it before any other writer.
    pub fn commit(&mut self, order: usize, rules: Rules) {
        if let Some(row) = self.writers[order].take() {
            self.database.rows[order] = row;
            if rules.broken(Breach::WriterNumbers) {
                self.made_visible(row.number);
            }
        }
        self.released(order, rules);
    }

    /// Rolls back what holds the order.
    pub fn roll_back(&mut self, order: usize, rules: Rules) {
        self.writers[order] = None;
        self.released(order, rules);
    }

    /// Everything that is open ends without a trace.
    pub fn crash(&mut self) {
        self.writers = [None; ORDERS];
        self.sequencers = [Sequencer::IDLE; 2];
        self.waits_for = None;
    }

    /// Notes that a number became visible.
    pub(crate) fn made_visible(&mut self, number: Option<u8>) {
        let Some(number) = number else { return };
        self.numbers_disordered |= number <= self.database.highest;
        self.database.highest = self.database.highest.max(number);
    }
}
