//! Taking in what ordering answered: pages that are here by then are taken in like one.

use kit::telemetry::gauge_value;
use tokio::sync::mpsc;

use super::ahead::Ahead;
use super::puller::{End, epoch, judge};
use super::watch::count_orders;
use super::{Counts, PullError, Puller};
use crate::store::{Applied, Received};

/// Pages are added to one that is taken in as long as it has fewer orders than that. Round trips and commits
/// are then saved, while nobody waits longer for one of its orders, or for the position, than for a page that
/// was asked for so large.
const ENOUGH: usize = 2_000;

/// A page of the adopted history, or of the first one ever seen.
struct Checked {
    received: Received,
    has_more: bool,
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
            let Checked { mut received, mut has_more } = self.check(ahead)?;
            // What is wrong with a page does not concern those before.
            let mut end = None;
            while has_more && end.is_none() && received.len() < ENOUGH {
                let Ok(ahead) = pages.try_recv() else { break };
                match self.check(ahead) {
                    Ok(behind) => {
                        has_more = behind.has_more;
                        if !received.append(behind.received) {
                            end = Some(Ok(End::Superseded)); // as the store would find, too
                        }
                    }
                    Err(error) => end = Some(Err(error)),
                }
            }
            let Some(taken) = self.apply(&received).await? else {
                return Ok(End::Superseded);
            };
            *counts += taken;
            if !received.is_empty() {
                self.watch.progressed();
            }
            self.watch.show_behind();
            if let Some(end) = end {
                return end;
            }
            if !has_more {
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

    /// Takes in an answer; `None` when it was superseded.
    pub(super) async fn apply(&self, received: &Received) -> Result<Option<Counts>, PullError> {
        match self.store.apply(received, &self.random, self.clock.now()).await? {
            Applied::Done(counts) => {
                tell(received, &counts);
                Ok(Some(counts))
            }
            Applied::Superseded => Ok(None),
            // A greater epoch was adopted while the answer was on its way.
            Applied::WrongHistory => {
                let adopted = epoch(&self.store.pull_state().await?);
                Err(PullError::StaleProvider { answered: Some(received.identity.epoch), adopted })
            }
        }
    }
}

/// Says what was made of an answer.
fn tell(received: &Received, counts: &Counts) {
    tracing::debug!(
        pull.pages = counts.pages,
        pull.orders = received.len(),
        pull.new = counts.new,
        pull.changed = counts.changed,
        pull.removed = counts.removed,
        pull.unchanged = counts.unchanged,
        pull.quarantined = counts.quarantined,
        "took an answer in"
    );
    if let (1.., Some(first)) = (counts.quarantined, received.unfit.first()) {
        tracing::warn!(
            pull.quarantined = counts.quarantined,
            order.number = first.number,
            reason = first.reason,
            "orders cannot be taken in and are put aside, this one among them"
        );
    }
    count_orders(counts);
    if let Some(advance) = &received.advance {
        let behind = advance.last_sequence_nr.0.saturating_sub(advance.to.sequence_nr.0);
        metrics::gauge!("billing_behind_orders").set(gauge_value(behind.max(0)));
    }
}
