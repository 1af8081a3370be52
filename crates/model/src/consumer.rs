//! Billing: its copies of the orders, its token, and what an answer does to them.

use crate::database::{Feed, ORDERS, Row, Status};
use crate::network::{Body, Reply, Request, Token};
use crate::rules::{Breach, Rules};

/// Billing's copy of an order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Copied {
    /// The epoch of the answer that brought it (C4).
    pub epoch: u8,
    /// The order's version.
    pub version: u8,
    /// Its content.
    pub content: (u8, u8),
    /// Confirmed or deleted.
    pub status: Status,
    /// Its sequence number, where a breach reads it.
    pub number: Option<u8>,
    /// The epoch whose provider said that there is no such order (C5).
    pub missing_in: Option<u8>,
}

/// Billing's database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Consumer {
    /// The adopted epoch (C4).
    pub epoch: u8,
    /// Where reading goes on; `None`: at the beginning.
    pub token: Option<Token>,
    /// The copies.
    pub copies: [Option<Copied>; ORDERS],
    /// Another database answered: nothing is asked until a person has looked (C6).
    pub stopped: bool,
    /// Witness: the token went back although no epoch began.
    pub went_back: bool,
    /// Witness: a pulled order was newer than the copy, and was not taken.
    pub pull_ignored: bool,
}

/// One worker of billing, in a process of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Worker {
    /// Asks nothing.
    Idle,
    /// Its request is on the way.
    Asked(Request),
    /// The reply is on the way.
    Answered(Request, Reply),
    /// It has stored the page's token and not yet the page, against the rules.
    HalfDone(Reply),
}

impl Consumer {
    /// A consumer that belongs to our feed, has adopted epoch 1, and has taken in `rows`.
    pub fn new(token: Option<Token>, rows: &[Option<Row>; ORDERS], rules: Rules) -> Self {
        let mut new = Self {
            epoch: 1,
            token,
            copies: [None; ORDERS],
            stopped: false,
            went_back: false,
            pull_ignored: false,
        };
        new.store_page(rows, 1, rules);
        new
    }

    /// Takes in an answer, in one transaction. `true`: the page itself is still to be stored, in
    /// a second one, against the rules.
    pub fn receive(&mut self, asked: Request, reply: &Reply, rules: Rules) -> bool {
        if reply.feed != Feed::Ours && !rules.broken(Breach::AnyFeed) {
            self.stopped = true;
            return false;
        }
        if reply.epoch < self.epoch && !rules.broken(Breach::PastAccepted) {
            return false;
        }
        let before = (self.epoch, self.token);
        if reply.epoch > self.epoch {
            self.adopt(reply, rules);
        }
        let half_done = self.take_in(asked, reply, rules);
        let number = |token: Option<Token>| token.map_or(0, |token| token.number);
        self.went_back |= before.0 == self.epoch && number(self.token) < number(before.1);
        half_done
    }

    /// A greater epoch: everything is read again from the beginning (C4).
    fn adopt(&mut self, reply: &Reply, rules: Rules) {
        self.epoch = reply.epoch;
        self.token = match self.token {
            Some(token) if rules.broken(Breach::TokenKept) => {
                let number = token.number.min(reply.shared);
                Some(Token { epoch: reply.epoch, number, ..token })
            }
            _ => None,
        };
    }

    fn take_in(&mut self, asked: Request, reply: &Reply, rules: Rules) -> bool {
        match (asked, reply.body) {
            (Request::Page(sent), Body::Page { rows, token: Some(next) }) => {
                if sent != self.token && !rules.broken(Breach::BlindToken) {
                    return false; // Another worker was faster, or a new epoch was adopted.
                }
                self.token = next;
                if rules.broken(Breach::TokenFirst) {
                    return true;
                }
                self.store_page(&rows, reply.epoch, rules);
                self.after_page(&rows, rules);
            }
            (Request::Page(sent), Body::Reset | Body::UnknownFeed) if sent == self.token => {
                self.token = None;
            }
            (Request::Order(order), Body::Order(row)) => {
                let newer = self.copies[order]
                    .is_none_or(|copy| (reply.epoch, row.version) > (copy.epoch, copy.version));
                self.store(order, &row, reply.epoch, rules);
                self.pull_ignored |=
                    newer && self.copies[order].map(|copy| copy.version) != Some(row.version);
                if rules.broken(Breach::PullMovesToken)
                    && let Some(number) = row.number
                    && number > self.token.map_or(0, |token| token.number)
                {
                    self.token = Some(Token { feed: reply.feed, epoch: self.epoch, number });
                }
            }
            (Request::Order(order), Body::NotFound) => self.not_found(order, reply.epoch, rules),
            _ => {}
        }
        false
    }

    /// Stores the orders of a page.
    pub fn store_page(&mut self, rows: &[Option<Row>; ORDERS], epoch: u8, rules: Rules) {
        for (order, row) in rows.iter().enumerate() {
            if let Some(row) = row {
                self.store(order, row, epoch, rules);
            }
        }
    }

    /// Stores an order if it is newer than the copy (C2).
    fn store(&mut self, order: usize, row: &Row, answered_in: u8, rules: Rules) {
        let epoch = if rules.broken(Breach::EpochOfStamp) && row.number.is_some() {
            row.stamped_in
        } else {
            // Only with that breach an answer can be of a smaller epoch than the adopted one.
            answered_in.max(if rules.broken(Breach::PastAccepted) { self.epoch } else { 0 })
        };
        let newer = |copy: Copied| {
            if rules.broken(Breach::NoGuard) {
                true
            } else if rules.broken(Breach::GuardByNumberNewest) {
                row.number.is_none() || (epoch, row.number) > (copy.epoch, copy.number)
            } else if rules.broken(Breach::GuardByNumberOldest) {
                (epoch, row.number) > (copy.epoch, copy.number)
            } else {
                (epoch, row.version) > (copy.epoch, copy.version)
            }
        };
        if self.copies[order].is_none_or(newer) {
            self.copies[order] = Some(Copied {
                epoch,
                version: row.version,
                content: row.content,
                status: row.status,
                number: if rules.stored_numbers_matter() { row.number } else { None },
                missing_in: None,
            });
        }
    }

    /// A 404 of a greater epoch than the copy's: the order is missing at its source (C5).
    fn not_found(&mut self, order: usize, epoch: u8, rules: Rules) {
        if let Some(copy) = &mut self.copies[order]
            && (epoch > copy.epoch || rules.broken(Breach::AnyNotFound))
        {
            copy.missing_in = Some(epoch);
        }
    }

    /// What some breaches do when a page is stored.
    fn after_page(&mut self, rows: &[Option<Row>; ORDERS], rules: Rules) {
        if rules.broken(Breach::TokenFromOwnMaximum) {
            let number = self.copies.iter().flatten().filter_map(|copy| copy.number).max();
            self.token = number.map(|number| Token { feed: Feed::Ours, epoch: self.epoch, number });
        }
        if rules.broken(Breach::MarkedUnasked) && rows.iter().all(Option::is_none) {
            for order in 0..ORDERS {
                self.not_found(order, self.epoch, rules);
            }
        }
    }

    /// A person has looked: reading goes on, from the beginning (C6).
    pub fn reset_token(&mut self) {
        self.stopped = false;
        self.token = None;
    }

    /// The next order that the re-read has not met and nobody has asked for (C5).
    pub fn to_be_seen(&self, rules: Rules) -> Option<usize> {
        let unseen = |copy: &Copied| {
            copy.epoch < self.epoch && copy.missing_in.is_none_or(|epoch| epoch < self.epoch)
        };
        if rules.broken(Breach::NoSweep) {
            return None;
        }
        (0..ORDERS).find(|&order| self.copies[order].as_ref().is_some_and(unseen))
    }
}
