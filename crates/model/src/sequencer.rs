//! The sequencer's transaction, in the steps between which others may do something.

use crate::database::ORDERS;
use crate::provider::Provider;
use crate::rules::{Breach, Rules};

/// After how many looks that did not stamp it the writer of an order is waited for. It stands for
/// the two seconds of P4.
pub const PATIENCE: u8 = 1;

/// How far a sequencer's transaction is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// No transaction is open.
    Idle,
    /// The counter was read without its lock, against the rules.
    Peeked,
    /// The counter row is locked.
    Locked,
    /// The counter was read.
    Read,
    /// Orders were stamped; nobody else sees it, and the rows are held.
    Stamped,
    /// The counter was written; nobody else sees it.
    Written,
}

/// One sequencer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sequencer {
    /// How far its transaction is.
    pub phase: Phase,
    /// The counter as it has read or counted it on.
    pub counter: u8,
    /// The numbers it has given, not yet committed.
    pub stamps: [Option<u8>; ORDERS],
}

impl Sequencer {
    /// No transaction is open.
    pub const IDLE: Self = Self { phase: Phase::Idle, counter: 0, stamps: [None; ORDERS] };

    /// Whether it holds the lock on the counter row (P3).
    fn locks(self, rules: Rules) -> bool {
        match self.phase {
            Phase::Idle | Phase::Peeked => false,
            _ if rules.broken(Breach::NoCounterLock) => false,
            _ if rules.broken(Breach::BareSequence) => false,
            Phase::Written => !rules.broken(Breach::ReleaseBeforeCommit),
            _ => true,
        }
    }
}

/// How often an order that waits was left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Fairness {
    /// Looks that stamped others instead, or waited for the writer of another.
    pub passed_over: u8,
    /// Other looks at which it was held: one is counted for each transaction that held it, and one
    /// for each that was waited for in vain.
    pub found_held: u8,
    /// Whether a look of the present transaction is counted.
    pub counted: bool,
}

impl Provider {
    /// Whether there is anything to stamp.
    pub fn has_waiting(&self) -> bool {
        self.database.rows.iter().any(crate::database::Row::waits)
    }

    /// The next step of a sequencer's transaction. `None`: it waits for the counter's lock.
    pub fn sequencer_step(mut self, which: usize, rules: Rules) -> Option<Self> {
        let other_locks = self.sequencers[1 - which].locks(rules);
        let mut own = self.sequencers[which];
        match own.phase {
            Phase::Idle if rules.broken(Breach::ReadBeforeLock) => {
                own.counter = self.database.last_number(rules);
                own.phase = Phase::Peeked;
            }
            Phase::Idle | Phase::Peeked if other_locks => return None,
            Phase::Idle => own.phase = Phase::Locked,
            Phase::Peeked => own.phase = Phase::Read,
            Phase::Locked => {
                own.counter = self.database.last_number(rules);
                own.phase = Phase::Read;
            }
            Phase::Read => {
                for order in self.picked(ORDERS, rules) {
                    if rules.broken(Breach::BareSequence) {
                        self.database.counter += 1;
                        own.counter = self.database.counter;
                    } else {
                        own.counter += 1;
                    }
                    own.stamps[order] = Some(own.counter);
                }
                own.phase = Phase::Stamped;
            }
            Phase::Stamped => {
                if rules.broken(Breach::ReleaseBeforeCommit) {
                    self.database.counter = own.counter;
                }
                own.phase = Phase::Written;
            }
            Phase::Written => {
                let released = rules.broken(Breach::ReleaseBeforeCommit);
                if !released && !rules.broken(Breach::BareSequence) {
                    self.database.counter = own.counter;
                }
                self.make_stamps_visible(own.stamps, rules);
                own = Sequencer::IDLE;
            }
        }
        self.sequencers[which] = own;
        Some(self)
    }

    /// A whole transaction at once, and before it the look at the history's name (P7).
    pub fn tick(&mut self, batch: usize, now: u8, rules: Rules) {
        if self.database.moved {
            self.database.begin_epoch(rules, now);
        }
        let mut counter = self.database.last_number(rules);
        let mut stamps = [None; ORDERS];
        for order in self.picked(batch, rules) {
            counter += 1;
            stamps[order] = Some(counter);
        }
        self.database.counter = counter;
        self.make_stamps_visible(stamps, rules);
    }

    /// A tick that also waits for the writer of an order that has waited too long and is held, of
    /// the one that waits longest (P4), and that counts who is left out. Its wait holds up neither this
    /// batch nor any writer of another order; a second sequencer waits for the counter.
    pub fn fair_tick(&mut self, batch: usize, rules: Rules) {
        let waited = self.database.rows.map(|row| row.waits());
        self.tick(batch, 0, rules);
        let rows = self.database.rows;
        let held = self.writers.map(|writer| writer.is_some());
        let left = (0..ORDERS).filter(|&order| waited[order] && rows[order].waits());
        let looks = self.fairness.map(|order| order.passed_over + order.found_held);
        let overdue = |&order: &usize| held[order] && looks[order] >= PATIENCE;
        if !rules.broken(Breach::NoPatience) {
            self.waits_for = left.clone().filter(overdue).min_by_key(|&order| rows[order].since);
        }
        for order in left.filter(|&order| self.waits_for != Some(order)) {
            let fairness = &mut self.fairness[order];
            if !held[order] || self.waits_for.is_some() {
                fairness.passed_over += 1;
            } else if !fairness.counted {
                fairness.found_held += 1;
                fairness.counted = true;
            }
        }
    }

    /// The sequencer gives up to wait for a writer.
    pub fn time_out(&mut self) {
        if let Some(order) = self.waits_for.take() {
            self.fairness[order].found_held += 1;
        }
    }

    /// The writer of this order has ended. A sequencer that waits for it stamps what is committed.
    pub(crate) fn released(&mut self, order: usize, rules: Rules) {
        self.fairness[order].counted = false;
        if self.waits_for == Some(order) {
            self.waits_for = None;
            // It waited before, and nothing but a stamp ends that.
            let number = self.database.last_number(rules) + 1;
            self.database.counter = number;
            let mut stamps = [None; ORDERS];
            stamps[order] = Some(number);
            self.make_stamps_visible(stamps, rules);
        }
    }

    /// The orders that are stamped next: committed, waiting, held by nobody; oldest first (P4).
    fn picked(&self, batch: usize, rules: Rules) -> impl Iterator<Item = usize> + use<> {
        let free = |&order: &usize| self.database.rows[order].waits() && !self.held(order);
        let mut orders: Vec<usize> = (0..ORDERS).filter(free).collect();
        if !rules.broken(Breach::StampById) {
            orders.sort_by_key(|&order| self.database.rows[order].since);
        }
        orders.into_iter().take(batch)
    }

    fn make_stamps_visible(&mut self, stamps: [Option<u8>; ORDERS], rules: Rules) {
        // By number, as if one after the other: they become visible in one commit.
        let mut stamped: Vec<(u8, usize)> =
            (0..ORDERS).filter_map(|order| Some((stamps[order]?, order))).collect();
        stamped.sort_unstable();
        for (number, order) in stamped {
            self.database.stamp(order, number, rules);
            self.fairness[order] = Fairness::default();
            self.made_visible(Some(number));
        }
    }

    /// Forgets what grows without end and does not decide who is stamped next. What is left is
    /// who waits, since when in relation to others, and who is held.
    pub(crate) fn forget_numbers(&mut self) {
        let mut places: Vec<u8> = Vec::with_capacity(2 * ORDERS);
        let open = self.writers.iter().flatten();
        places.extend(self.database.rows.iter().chain(open).map(|row| row.since));
        places.push(0);
        places.sort_unstable();
        places.dedup();
        let place = |since: u8| places.iter().take_while(|&&other| other < since).map(|_| 1).sum();
        for row in self.database.rows.iter_mut().chain(self.writers.iter_mut().flatten()) {
            row.version = 1;
            row.content = (1, 1);
            row.number = row.number.map(|_| 1);
            row.feed_number = None; // Nobody reads the feed here.
            row.since = place(row.since);
        }
        self.database.counter = 1;
        self.database.highest = 1;
        self.numbers_disordered = false;
    }
}
