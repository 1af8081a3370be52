//! Sees everything that both stores do, and knows what must hold at any moment.

use std::collections::BTreeMap;

use billing::store::StoredOrder;
use contract::feed::{ContinuationToken, Epoch, FeedIdentity, FeedPage, SequenceNr};
use contract::order::Order;

/// What was seen so far.
pub(crate) struct Witness {
    /// What happened and must not.
    pub(crate) violations: Vec<String>,
    /// Which database of ordering counts; another one is of the past.
    pub(crate) source_url: String,
    /// Every order as it was last accepted, by number.
    pub(crate) accepted: BTreeMap<i64, Order>,
    /// What was accepted when ordering was last backed up, and how far it was.
    backup: BTreeMap<i64, Order>,
    pub(crate) backup_position: (Epoch, SequenceNr),
    /// Ordering's orders now, and their history.
    source: Option<(FeedIdentity, Vec<Order>)>,
    /// Which order stood at each place of each history.
    places: BTreeMap<(i64, i64), i64>,
    /// What billing has, by number.
    copies: BTreeMap<i64, StoredOrder>,
    /// The last token that billing had.
    token: Option<ContinuationToken>,
    /// History was lost, and nobody has noticed yet: what billing has is of the lost one.
    pub(crate) is_loss_unnoticed: bool,
    /// How often the past was restored.
    pub(crate) restores: u64,
}

impl Default for Witness {
    fn default() -> Self {
        Self {
            violations: Vec::new(),
            source_url: String::new(),
            accepted: BTreeMap::new(),
            backup: BTreeMap::new(),
            backup_position: (Epoch(0), SequenceNr::BEGINNING),
            source: None,
            places: BTreeMap::new(),
            copies: BTreeMap::new(),
            token: None,
            is_loss_unnoticed: false,
            restores: 0,
        }
    }
}

impl Witness {
    /// Ordering has accepted these writes.
    pub(crate) fn accepts(&mut self, orders: &[Order]) {
        self.accepted.extend(orders.iter().map(|order| (order.number, order.clone())));
    }

    /// Ordering was backed up when it was this far.
    pub(crate) fn back_up(&mut self, position: (Epoch, SequenceNr)) {
        self.backup = self.accepted.clone();
        self.backup_position = position;
    }

    /// Ordering is about to go on from the backup: what was accepted since is lost.
    pub(crate) fn restore(&mut self, is_unnoticed: bool) {
        self.accepted = self.backup.clone();
        self.source = None;
        self.is_loss_unnoticed = is_unnoticed;
        self.restores += 1;
    }

    /// Ordering is like this now.
    pub(crate) fn sees_source(&mut self, identity: FeedIdentity, orders: Vec<Order>) {
        self.source = Some((identity, orders));
    }

    /// A page was read: a place of a history is one order's for ever. It may hold several versions of
    /// it, because an order that waits for its next number is read under the one before.
    pub(crate) fn sees_page(&mut self, page: &FeedPage) {
        for order in &page.orders {
            let (epoch, number) = (page.epoch.0, order.confirmed_sequence_nr.0);
            let held = *self.places.entry((epoch, number)).or_insert(order.number);
            if held != order.number {
                self.violations.push(format!(
                    "number {number} of epoch {epoch} was given twice: to order {held} and to \
                     order {}",
                    order.number
                ));
            }
        }
    }

    /// Billing is like this now: no order and no token goes back, and the token is not ahead.
    pub(crate) fn sees_copies(
        &mut self,
        copies: Vec<StoredOrder>,
        token: Option<&ContinuationToken>,
    ) {
        for copy in &copies {
            let Some(before) = self.copies.get(&copy.order.number) else { continue };
            let place = |it: &StoredOrder| (it.epoch, it.order.version);
            if place(copy) < place(before) {
                self.violations.push(format!(
                    "order {} went back from {:?} to {:?}",
                    copy.order.number,
                    place(before),
                    place(copy)
                ));
            }
        }
        self.copies = copies.into_iter().map(|copy| (copy.order.number, copy)).collect();
        let Some(token) = token else { return };
        if let Some(before) = &self.token
            && before.epoch == token.epoch
            && before.sequence_nr > token.sequence_nr
        {
            self.violations.push(format!("the token went back from {before} to {token}"));
        }
        self.token = Some(token.clone());
        self.check_token(token);
    }

    /// Everything up to the token is here.
    fn check_token(&mut self, token: &ContinuationToken) {
        let Some((identity, orders)) = &self.source else { return };
        if identity.epoch != token.epoch || self.is_loss_unnoticed {
            return;
        }
        for order in orders {
            let nr = order.confirmed_sequence_nr;
            let copy = self.copies.get(&order.number);
            let is_here = copy.is_some_and(|copy| {
                (copy.epoch, copy.order.version) >= (token.epoch, order.version)
            });
            if nr.0 > 0 && nr <= token.sequence_nr && !is_here {
                self.violations.push(format!(
                    "the token is at {token}, but order {} in version {} at {nr} was not taken in",
                    order.number, order.version
                ));
            }
        }
    }
}
