//! Waiting for news: ordering holds a question until there is something behind the token.
//!
//! Only a hint. Whatever becomes of it, the loop pulls when its interval is over: what keeps or cuts
//! off a waiting request on its way then costs time, but no order.

use std::time::Duration;

use backon::ExponentialBackoff;
use tokio::time::{Instant, sleep};

use super::ahead::Ahead;
use super::run::{LONGEST_PAUSE, backoff};
use super::{PullError, Puller};

/// How the loop waits for news between two pulls.
pub(super) struct Waiting {
    /// How long ordering is asked to hold a question.
    wait: Duration,
    seed: u64,
    backoff: ExponentialBackoff,
}

impl Waiting {
    /// Lets ordering hold a question for as long as `wait`; `seed` draws the jitter.
    pub(super) fn new(wait: Duration, seed: u64) -> Self {
        Self { wait, seed, backoff: backoff(seed) }
    }

    /// Waits until there is a page behind the token, and brings it. `None`: it is time for a plain pull,
    /// because waiting came to nothing.
    pub(super) async fn news(&mut self, puller: &Puller) -> Option<Ahead> {
        loop {
            let began = Instant::now();
            match self.ask(puller).await {
                Answer::News(ahead) => {
                    self.backoff = backoff(self.seed);
                    return Some(*ahead);
                }
                Answer::Nothing if began.elapsed() * 2 > self.wait => {
                    self.backoff = backoff(self.seed);
                }
                // Ordering stops, does not know waiting, or something on the way does not.
                Answer::Nothing | Answer::Fault => {
                    sleep(self.backoff.next().unwrap_or(LONGEST_PAUSE)).await;
                    return None;
                }
            }
        }
    }

    async fn ask(&self, puller: &Puller) -> Answer {
        let Ok(state) = puller.store.pull_state().await else { return Answer::Fault };
        match puller.client.page_within(state.continuation_token.as_ref(), self.wait).await {
            Ok(page) if page.is_empty() => Answer::Nothing,
            Err(error @ PullError::Upstream(_)) => {
                let error = kit::telemetry::chain(&error);
                tracing::debug!(error, "ordering could not be waited for");
                Answer::Fault
            }
            // A page, or news of another history.
            answer => Answer::News(Box::new(Ahead { state, answer })),
        }
    }
}

/// What became of a question that ordering was asked to hold.
enum Answer {
    News(Box<Ahead>),
    Nothing,
    Fault,
}
