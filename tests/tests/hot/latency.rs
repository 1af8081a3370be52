//! How long something took, many times.

use std::fmt;
use std::time::Duration;

use super::watch::Seen;
use super::writers::Made;

/// Durations by rising length.
pub(super) struct Latency(Vec<Duration>);

impl Latency {
    pub(super) fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// From the commit of each version until billing had it.
    pub(super) fn of(made: &Made, seen: &Seen) -> Self {
        let took = made.0.iter().map(|((number, version), committed)| {
            seen.arrival(*number, *version).saturating_duration_since(*committed)
        });
        Self::new(took.collect())
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// At most so long in `share` of 100 cases.
    pub(super) fn percentile(&self, share: usize) -> Duration {
        self.0[(self.0.len() * share).div_ceil(100).saturating_sub(1)]
    }

    pub(super) fn worst(&self) -> Duration {
        self.percentile(100)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, worst] = [50, 95, 100].map(|share| self.percentile(share).as_millis());
        write!(f, "p50 {half} ms, p95 {most} ms, worst {worst} ms of {}", self.count())
    }
}
