//! Taking in what ordering answered: pages that are here by then are taken in like one.

use kit::telemetry::gauge_value;
use tokio::sync::mpsc;

use super::ahead::Ahead;
use super::puller::{End, epoch, judge};
use super::watch::count_orders;
use super::{Counts, PullError, Puller};
use crate::store::{Applied, Received};

/// A page is taken in with those behind it that are here, as long as all before hold less than so many bytes:
/// that saves round trips and commits, and takes no more memory, nor keeps anybody waiting longer for an order
/// or for the position, than a large page does. As a rule, these are two of a thousand orders.
const ENOUGH: usize = 512 * 1024;

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
            // At most as many as can wait: nobody adds to them meanwhile.
            while has_more && end.is_none() && received.size() < ENOUGH {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use contract::feed::{ContinuationToken, FeedIdentity, SequenceNr};
    use contract::time::Timestamp;
    use kit::clock::SystemClock;
    use kit::random::Random;

    use super::*;
    use crate::pull::Page;
    use crate::pull::client::FeedClient;
    use crate::settings::SourceSettings;
    use crate::store::{PullState, Unfit, open};

    fn token(sequence_nr: i64) -> ContinuationToken {
        format!("k3v9x2ab-1000-{sequence_nr}").parse().unwrap()
    }

    /// The page behind `after`, of one order that is put aside. Two of them are enough.
    fn large(after: i64) -> Ahead {
        let to = token(after + 1);
        let unfit = Unfit {
            number: after + 1,
            version: Some(1),
            sequence_nr: to.sequence_nr,
            reason: "it is a draft".into(),
            document: "x".repeat(ENOUGH / 2),
        };
        let page = Page {
            identity: FeedIdentity { feed_id: to.feed_id.clone(), epoch: to.epoch },
            orders: Vec::new(),
            unfit: vec![unfit],
            continuation_token: to,
            has_more: true,
            last_sequence_nr: SequenceNr(99),
        };
        Ahead { state: behind(after), answer: Ok(page) }
    }

    fn behind(number: i64) -> PullState {
        let continuation_token = (number > 0).then(|| token(number));
        PullState { continuation_token, ..PullState::default() }
    }

    #[tokio::test]
    async fn pages_that_are_here_are_taken_in_together_up_to_what_is_wrong() {
        let file = testkit::sqlite::file();
        let store = open(&file.url().parse().unwrap()).await.unwrap();
        let source = SourceSettings {
            ordering_url: "http://127.0.0.1:1".parse().unwrap(),
            ordering_token: None,
            pull_limit: 1,
            pull_timeout: Duration::from_secs(1),
        };
        let clock = Arc::new(SystemClock);
        let client = FeedClient::new(&source, clock.clone()).unwrap();
        let puller = Puller::new(Arc::clone(&store), client, clock, Random::seeded(7));

        let (pages, here) = mpsc::channel(5);
        for after in 0..3 {
            assert!(pages.try_send(large(after)).is_ok());
        }
        let fault = Ahead { state: behind(3), answer: Err(PullError::timeout()) };
        assert!(pages.try_send(fault).is_ok());
        let mut counts = Counts::default();
        let Err(error) = puller.take_in(here, &mut counts).await else { panic!("no fault") };
        assert_eq!(error.kind(), PullError::timeout().kind());

        let pulls = store.pulls_since(Timestamp::from_micros(0)).await.unwrap();
        assert_eq!(pulls.iter().map(|(_, counts)| counts.pages).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(counts, Counts { pages: 3, quarantined: 3, ..Counts::default() });
        let state = store.pull_state().await.unwrap();
        assert_eq!((state.continuation_token, state.totals), (Some(token(3)), counts));
    }
}
