//! What is left of a re-read when the end of the feed is reached: the orders that it did not meet
//! are asked for by number.
//!
//! Most of them wait to be stamped, and are there all the same; those that the adopted history says
//! it does not know are marked as missing at the source. Which ones are left is told by the data
//! alone ([`Store::unseen`]), so a sweep may be stopped anywhere and begins anew with the next pull.
//!
//! [`Store::unseen`]: crate::store::Store::unseen

use contract::feed::FeedIdentity;
use contract::problem::ProblemCode;
use futures_util::future::join_all;
use kit::telemetry::gauge_value;

use super::ahead::Ahead;
use super::puller::Puller;
use super::{Counts, PullError};
use crate::store::Unseen;

/// How many orders are asked for before the feed is read on: what is new must not wait for long.
const BATCH: i64 = 200;
/// How many orders are pulled at the same time: ordering serves others as well.
const AT_A_TIME: usize = 8;

impl Puller {
    /// Reads the feed to its end, beginning with an answer that is here already, if there is one; then
    /// sees to every order that the adopted epoch has not brought.
    ///
    /// # Errors
    /// Why the feed could not be read to its end, or the first reason why an order could not be
    /// seen again: the others were asked for all the same.
    pub(super) async fn catch_up(
        &self,
        mut ahead: Option<Ahead>,
        counts: &mut Counts,
    ) -> Result<(), PullError> {
        let mut sweep = Sweep::default();
        let mut read_again = false;
        loop {
            self.drain(ahead.take(), counts).await?;
            let epoch = self.adopted().await?;
            let batch = self.store.unseen(sweep.after, BATCH).await?;
            self.sweep(&batch, &mut sweep, counts).await?;
            let newest = self.adopted().await?;
            if newest != epoch {
                // Once in a pull, as in `drain`: a provider that begins one epoch after the other
                // is asked again later.
                match newest {
                    Some(identity) if read_again => return Err(PullError::Reset(identity)),
                    _ => (sweep, read_again) = (Sweep::default(), true),
                }
            } else if i64::try_from(batch.len()).is_ok_and(|asked| asked < BATCH) {
                if sweep.after.is_some() {
                    self.measure_source().await?;
                }
                return sweep.fault.map_or(Ok(()), Err);
            }
        }
    }

    /// Asks for a batch of unseen orders, a few at a time.
    async fn sweep(
        &self,
        batch: &[Unseen],
        sweep: &mut Sweep,
        counts: &mut Counts,
    ) -> Result<(), PullError> {
        for few in batch.chunks(AT_A_TIME) {
            self.beat();
            let fetched = join_all(few.iter().map(|unseen| self.fetch(unseen.number))).await;
            let (mut done, mut silent, mut end) = (0, 0, None);
            let mut missing = Vec::new();
            for (unseen, fetched) in few.iter().zip(fetched) {
                match fetched {
                    Ok(taken) => {
                        *counts += taken;
                        done += 1;
                    }
                    Err(PullError::NotFound(identity)) => missing.push((identity, unseen.number)),
                    // For all that is known, the fault of this order alone: it must not stop others.
                    Err(PullError::Upstream(fault)) => {
                        silent += usize::from(fault.code != ProblemCode::UpstreamInvalid);
                        sweep.fault.get_or_insert(fault.into());
                    }
                    Err(error) => end = Some(error),
                }
            }
            done += self.mark_missing(&missing).await?;
            if done > 0 {
                self.watch.progressed();
            }
            metrics::gauge!("billing_unseen_orders").decrement(gauge_value(done));
            if let Some(error) = end {
                return Err(error);
            }
            // Ordering itself is away: asking for the others is in vain.
            if let Some(fault) = sweep.fault.take_if(|_| silent == few.len()) {
                return Err(fault);
            }
            sweep.after = few.last().copied();
        }
        Ok(())
    }

    /// Marks orders that ordering said it does not know, each said by one of its histories; how many.
    async fn mark_missing(&self, missing: &[(FeedIdentity, i64)]) -> Result<i64, PullError> {
        let mut marked = 0;
        for said in missing.chunk_by(|(one, _), (next, _)| one == next) {
            let numbers: Vec<_> = said.iter().map(|(_, number)| *number).collect();
            let (identity, _) = &said[0];
            marked += self.store.mark_missing(identity, &numbers, self.clock.now()).await?;
        }
        if marked > 0 {
            tracing::warn!(orders = marked, "ordering has lost orders: missing at the source");
        }
        Ok(marked)
    }

    async fn adopted(&self) -> Result<Option<FeedIdentity>, PullError> {
        Ok(self.store.pull_state().await?.identity)
    }

    /// Says in the metrics what is left of the re-read, and what is lost.
    pub(super) async fn measure_source(&self) -> Result<(), PullError> {
        let at_source = self.store.at_source().await?;
        let unseen = at_source.reread.map_or(0, |reread| reread.unseen);
        metrics::gauge!("billing_unseen_orders").set(gauge_value(unseen));
        metrics::gauge!("billing_missing_at_source_orders").set(gauge_value(at_source.missing));
        metrics::gauge!("billing_undecided_orders").set(gauge_value(at_source.undecided));
        Ok(())
    }
}

/// How a sweep went so far.
#[derive(Default)]
struct Sweep {
    /// The last order that was asked for: each is asked for once in a pull.
    after: Option<Unseen>,
    /// Why the first of those could neither be taken in nor marked.
    fault: Option<PullError>,
}
