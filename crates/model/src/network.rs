//! What travels: requests, and replies that are read from one snapshot and may then be delayed,
//! lost, kept by a cache and repeated.

use std::cmp::Ordering;

use crate::database::{Database, Feed, ORDERS, Row};
use crate::rules::{Breach, Rules};

/// A continuation token. Where it is optional, `None` is the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Token {
    /// Whose feed it continues.
    pub feed: Feed,
    /// In which of its histories.
    pub epoch: u8,
    /// After which number.
    pub number: u8,
}

/// What billing asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// The page after this token.
    Page(Option<Token>),
    /// One order by its number: a pull.
    Order(usize),
}

/// An answer. Every one names the history that it speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Reply {
    /// `feedId`
    pub feed: Feed,
    /// `epoch`
    pub epoch: u8,
    /// Up to which number this epoch has what the last one had, where a breach reads it.
    pub shared: u8,
    /// What it says.
    pub body: Body,
}

/// What an answer says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Body {
    /// A page of the feed.
    Page {
        /// Its orders. Their order within the page means nothing: it is taken in as one.
        rows: [Option<Row>; ORDERS],
        /// Its token. `None`: it is still to be read in another snapshot, against the rules.
        token: Option<Option<Token>>,
    },
    /// One order, stamped or not.
    Order(Row),
    /// 404.
    NotFound,
    /// 409 `feed-reset`: read again from the beginning.
    Reset,
    /// 409 `feed-unknown`: the token is of another database.
    UnknownFeed,
    /// 503 `stale-provider`: the token is of a newer epoch.
    Stale,
}

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Server {
    /// The provider.
    Primary,
    /// A hot standby, as far as it has replayed.
    Standby,
    /// The primary of before the last failover, brought back.
    OldPrimary,
    /// A database that billing was pointed at by mistake.
    AnotherDatabase,
    /// A cache, with what it kept of an earlier answer to the same request.
    Cache,
}

impl Database {
    /// Answers from one snapshot. Only a primary can change something by it: it begins an epoch
    /// when a token shows that history was lost (P6). A page holds `limit` orders at most.
    pub fn answer(
        &mut self,
        server: Server,
        request: Request,
        limit: usize,
        now: u8,
        rules: Rules,
    ) -> Reply {
        let body = match request {
            Request::Order(order) if !self.rows[order].exposed() => Body::NotFound,
            Request::Order(order) => {
                let row = self.rows[order];
                Body::Order(row.shown_under(row.number))
            }
            Request::Page(None) => self.page(None, 0, limit, rules),
            Request::Page(Some(token)) if token.feed != self.feed => Body::UnknownFeed,
            Request::Page(Some(token)) => {
                self.page_after(server == Server::Standby, token, limit, now, rules)
            }
        };
        Reply { feed: self.feed, epoch: self.epoch, shared: self.shared, body }
    }

    fn page_after(
        &mut self,
        standby: bool,
        token: Token,
        limit: usize,
        now: u8,
        rules: Rules,
    ) -> Body {
        let empty = Body::Page { rows: [None; ORDERS], token: Some(Some(token)) };
        match token.epoch.cmp(&self.epoch) {
            Ordering::Less => Body::Reset,
            Ordering::Greater if rules.broken(Breach::PastServes) => {
                self.page(Some(token), token.number, limit, rules)
            }
            Ordering::Greater if standby => empty,
            Ordering::Greater => Body::Stale,
            Ordering::Equal if token.number <= self.counter => {
                self.page(Some(token), token.number, limit, rules)
            }
            Ordering::Equal if standby && !rules.broken(Breach::StandbyResets) => empty,
            Ordering::Equal if standby => Body::Reset,
            Ordering::Equal if rules.broken(Breach::LossGoesOn) => empty,
            Ordering::Equal => {
                self.begin_epoch(rules, now);
                Body::Reset
            }
        }
    }

    /// `seq > after order by seq limit n`; its token is its own last number (P5). The numbers are
    /// those that were given last, also of the orders that wait for the next (P4).
    fn page(&self, sent: Option<Token>, after: u8, limit: usize, rules: Rules) -> Body {
        let mut later: Vec<(u8, usize)> = (0..ORDERS)
            .filter(|&order| self.rows[order].exposed())
            .filter_map(|order| Some((self.rows[order].feed_number?, order)))
            .filter(|&(number, _)| number > after)
            .collect();
        later.sort_unstable();
        let is_last = later.len() <= limit;
        later.truncate(limit);
        let mut rows = [None; ORDERS];
        for &(number, order) in &later {
            rows[order] = Some(self.rows[order].shown_under(Some(number)));
        }
        let token = if rules.broken(Breach::TokenIsCounter) {
            Some(Some(self.token(self.counter)))
        } else if rules.broken(Breach::TokenOfOtherSnapshot) && is_last {
            None
        } else {
            Some(later.last().map(|&(number, _)| self.token(number)).or(sent))
        };
        Body::Page { rows, token }
    }

    /// A token of this database's present history.
    pub fn token(&self, number: u8) -> Token {
        Token { feed: self.feed, epoch: self.epoch, number }
    }
}
