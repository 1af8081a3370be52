//! Taking in what ordering answered: pages that are here by then share a transaction.

use std::iter;

use contract::feed::Epoch;
use kit::telemetry::gauge_value;
use tokio::sync::mpsc;

use super::puller::{Ahead, End, epoch, judge};
use super::watch::count_orders;
use super::{Counts, PullError, Puller};
use crate::store::{Applied, Received};

/// How many pages share a transaction at most: those that are here by the time the one before is
/// stored. That saves most of what their commits cost, while nobody waits longer for one of their
/// orders, or for the position, than for a large page.
const SHARED: usize = 4;

/// A page of the adopted history, or of the first one ever seen.
struct Checked {
    received: Received,
    has_more: bool,
}

/// What answers bring, to be told when they are taken in.
#[derive(Default)]
struct Brought {
    /// Of which history they are, the last of them at least.
    epoch: Option<Epoch>,
    /// How many orders, those included that cannot be taken in.
    orders: usize,
    /// The number of the first order that cannot be taken in, and why.
    unfit: Option<(i64, String)>,
    /// How far behind ordering they leave billing; `None` for a single order.
    behind: Option<i64>,
}

impl Puller {
    /// Takes in pages, one after the other.
    ///
    /// # Errors
    /// Why it stopped; pages committed until then stay.
    pub(super) async fn take_in(
        &self,
        mut pages: mpsc::Receiver<Ahead>,
        counts: &mut Counts,
    ) -> Result<End, PullError> {
        while let Some(ahead) = pages.recv().await {
            let mut next = Some(self.check(ahead)?);
            let mut brought = Brought::default();
            // Whether this is the last page. What is wrong with one does not concern those before.
            let mut is_last = Ok(false);
            let shared = iter::from_fn(|| {
                if next.is_none() && matches!(is_last, Ok(false)) {
                    match pages.try_recv().map(|ahead| self.check(ahead)) {
                        Ok(Ok(page)) => next = Some(page),
                        Ok(Err(wrong)) => is_last = Err(wrong),
                        Err(_) => {} // not here yet
                    }
                }
                let page = next.take()?;
                is_last = Ok(!page.has_more);
                brought.add(&page.received);
                Some(page.received)
            });
            let shared = &mut shared.take(SHARED);
            let applied = self.store.apply_all(shared, &self.random, self.clock.now()).await?;
            let Some(taken) = self.judge_applied(applied, &brought).await? else {
                return Ok(End::Superseded);
            };
            *counts += taken;
            if brought.orders > 0 {
                self.watch.progressed();
            }
            self.watch.show_behind();
            if is_last? {
                break;
            }
        }
        Ok(End::OfFeed)
    }

    /// The page of an answer, if it is of the adopted history, or of the first one ever seen; a greater
    /// epoch, however it is told, comes back as `Reset`.
    fn check(&self, ahead: Ahead) -> Result<Checked, PullError> {
        self.beat(); // Something has arrived, whatever it is.
        let Ahead { state, answer } = ahead;
        let page = match answer {
            Ok(page) => match (page.lags_behind(), judge(&state, &page.identity)) {
                (Some(adopted), Err(PullError::StaleProvider { .. })) => {
                    Err(PullError::LaggingStandby { answered: page.identity.epoch, adopted })
                }
                (_, judged) => judged.map(|()| page),
            },
            Err(PullError::Reset(identity)) => {
                judge(&state, &identity).and(Err(PullError::Reset(identity)))
            }
            Err(error) => Err(error.beside(epoch(&state))),
        }?;
        let has_more = page.has_more;
        Ok(Checked { received: page.received(state.continuation_token), has_more })
    }

    /// Takes in a single answer; `None` when it was superseded.
    pub(super) async fn apply(&self, received: &Received) -> Result<Option<Counts>, PullError> {
        let mut brought = Brought::default();
        brought.add(received);
        let applied = self.store.apply(received, &self.random, self.clock.now()).await?;
        self.judge_applied(applied, &brought).await
    }

    /// What the store made of answers, which is told; `None` when they were superseded.
    async fn judge_applied(
        &self,
        applied: Applied,
        brought: &Brought,
    ) -> Result<Option<Counts>, PullError> {
        match applied {
            Applied::Done(counts) => {
                brought.tell(&counts);
                Ok(Some(counts))
            }
            Applied::Superseded => Ok(None),
            // A greater epoch was adopted while the answer was on its way.
            Applied::WrongHistory => {
                let adopted = epoch(&self.store.pull_state().await?);
                Err(PullError::StaleProvider { answered: brought.epoch, adopted })
            }
        }
    }
}

impl Brought {
    fn add(&mut self, received: &Received) {
        self.epoch = Some(received.identity.epoch);
        self.orders += received.orders.len() + received.unfit.len();
        if let (None, Some(first)) = (&self.unfit, received.unfit.first()) {
            self.unfit = Some((first.number, first.reason.clone()));
        }
        if let Some(advance) = &received.advance {
            let behind = advance.last_sequence_nr.0.saturating_sub(advance.to.sequence_nr.0);
            self.behind = Some(behind.max(0));
        }
    }

    /// Says what was made of it.
    fn tell(&self, counts: &Counts) {
        tracing::debug!(
            pull.pages = counts.pages,
            pull.orders = self.orders,
            pull.new = counts.new,
            pull.changed = counts.changed,
            pull.removed = counts.removed,
            pull.unchanged = counts.unchanged,
            pull.quarantined = counts.quarantined,
            "took an answer in"
        );
        if let (1.., Some((number, reason))) = (counts.quarantined, &self.unfit) {
            tracing::warn!(
                pull.quarantined = counts.quarantined,
                order.number = number,
                reason,
                "orders cannot be taken in and are put aside, this one among them"
            );
        }
        count_orders(counts);
        if let Some(behind) = self.behind {
            metrics::gauge!("billing_behind_orders").set(gauge_value(behind));
        }
    }
}
