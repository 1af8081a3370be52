//! A consumer that reads the feed all along, over a connection that is in order, and remembers to
//! which order each number was given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering as Atomic};
use std::time::Duration;

use contract::feed::{Epoch, SequenceNr};
use contract::problem::ProblemCode;
use e2e::api::Failure;
use e2e::ordering::Ordering;
use tokio::time::sleep;

const PAUSE: Duration = Duration::from_millis(20);
/// Small, so that pages end anywhere.
const LIMIT: i64 = 7;

#[derive(Default)]
pub(crate) struct FeedReader {
    token: Option<String>,
    last: Option<SequenceNr>,
    /// Number and version of the order at each place.
    given: BTreeMap<SequenceNr, (i64, i64)>,
    epochs: BTreeSet<Epoch>,
    wrong: Vec<String>,
}

impl FeedReader {
    /// Reads from one process after the other until `stop`, then to the end, and once more from the
    /// beginning now and then. What it saw that must not be.
    pub(crate) async fn run(mut self, orderings: Vec<Ordering>, stop: &AtomicBool) -> Vec<String> {
        for ordering in orderings.iter().cycle() {
            let was_stopped = stop.load(Atomic::Relaxed);
            let came = self.read(ordering).await;
            match came {
                Some(0) if was_stopped && is_stamped(ordering).await => break,
                // Else it would meet each number once.
                Some(0) if !was_stopped => {
                    self.start_over();
                    sleep(PAUSE).await;
                }
                Some(1..) => {}
                _ => sleep(PAUSE).await,
            }
        }
        // No fault here loses history: processes die, and what they have written stays.
        if self.epochs.len() > 1 {
            self.wrong.push(format!("epochs: {:?}", self.epochs));
        }
        self.wrong
    }

    /// How many orders came; `None` when there was no answer.
    async fn read(&mut self, ordering: &Ordering) -> Option<usize> {
        let page = match ordering.feed(self.token.as_deref(), LIMIT).await {
            Ok(page) => page,
            Err(failure) => {
                let passing = [None, Some(ProblemCode::Unavailable)];
                if !passing.contains(&failure.code()) {
                    self.wrong.push(format!("the feed answered {failure:?}"));
                    self.start_over();
                }
                return None;
            }
        };
        self.epochs.insert(page.epoch);
        for order in &page.orders {
            let place = order.confirmed_sequence_nr;
            if self.last.is_some_and(|last| place <= last) {
                self.wrong.push(format!("{place} came after {:?}", self.last));
            }
            // An order that waits for its next number is shown at its old one, as it is now.
            let is = (order.number, order.version);
            let was = self.given.insert(place, is).unwrap_or(is);
            if was.0 != is.0 || was.1 > is.1 {
                self.wrong.push(format!("{place} was given to {was:?} and to {is:?}"));
            }
            self.last = Some(place);
        }
        self.token = Some(page.continuation_token.to_string());
        Some(page.orders.len())
    }

    fn start_over(&mut self) {
        (self.token, self.last) = (None, None);
    }
}

async fn is_stamped(ordering: &Ordering) -> bool {
    let status: Result<_, Failure> = ordering.status().await;
    status.is_ok_and(|status| status.unstamped == 0)
}
