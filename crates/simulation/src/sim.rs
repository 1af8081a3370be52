//! What everything in a run shares: gates, dice, the clock, the trace, and what was seen so far.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contract::time::Timestamp;
use kit::clock::{Clock, ManualClock};
use kit::random::Random;

use crate::gates::Gates;
use crate::witness::Witness;

/// When every run begins: 2026-05-01T10:00:00Z.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);

/// What everything in a run shares.
pub(crate) struct Sim {
    pub(crate) gates: Gates,
    pub(crate) dice: Dice,
    /// What the services see of the time.
    pub(crate) clock: Arc<ManualClock>,
    /// The time as it is.
    now: Mutex<Timestamp>,
    /// By how many microseconds the services' clock is wrong.
    wrong_by: Mutex<i64>,
    /// Whether faults happen and writers write.
    stormy: AtomicBool,
    /// Whether loops end at their next turn.
    ending: AtomicBool,
    trace: Mutex<Vec<String>>,
    witness: Mutex<Witness>,
}

impl Sim {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            gates: Gates::default(),
            dice: Dice(Random::seeded(seed)),
            clock: ManualClock::at(BEGINNING),
            now: Mutex::new(BEGINNING),
            wrong_by: Mutex::new(0),
            stormy: AtomicBool::new(true),
            ending: AtomicBool::new(false),
            trace: Mutex::default(),
            witness: Mutex::default(),
        })
    }

    /// A step takes from one to 400 ms. Never less than one, so that no two epochs begin at once.
    pub(crate) fn pass_time(&self) {
        let step = Duration::from_micros(1_000 + self.dice.below(399_000));
        let mut now = lock(&self.now);
        *now = *now + step;
        self.show_time(*now);
    }

    /// From now on the services' clock is wrong by so much.
    pub(crate) fn set_clock_wrong_by(&self, micros: i64) {
        *lock(&self.wrong_by) = micros;
        self.show_time(*lock(&self.now));
    }

    fn show_time(&self, now: Timestamp) {
        self.clock.set(Timestamp::from_micros(now.micros() + *lock(&self.wrong_by)));
    }

    /// The time on the services' clock.
    pub(crate) fn time(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn is_stormy(&self) -> bool {
        self.stormy.load(Ordering::SeqCst)
    }

    /// No more faults, no more writes.
    pub(crate) fn calm_down(&self) {
        self.stormy.store(false, Ordering::SeqCst);
        self.set_clock_wrong_by(0);
        self.trace("-- calm --");
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// Whether a fault of which there is one in `n` happens now. Never in calm weather.
    pub(crate) fn fault(&self, n: u64) -> bool {
        self.is_stormy() && self.dice.one_in(n)
    }

    pub(crate) fn trace(&self, line: impl Into<String>) {
        lock(&self.trace).push(line.into());
    }

    /// What came of a step.
    pub(crate) fn note(&self, what: impl std::fmt::Display) {
        self.trace(format!("    {what}"));
    }

    pub(crate) fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.trace))
    }

    pub(crate) fn witness(&self) -> MutexGuard<'_, Witness> {
        lock(&self.witness)
    }

    /// Something happened that must not.
    pub(crate) fn violation(&self, what: impl Into<String>) {
        let what = what.into();
        self.note(format!("VIOLATION {what}"));
        self.witness().violations.push(what);
    }

    pub(crate) fn has_violation(&self) -> bool {
        !self.witness().violations.is_empty()
    }
}

/// Locks what no panic leaves half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Decides everything that is left to chance.
pub(crate) struct Dice(Random);

impl Dice {
    /// A number below `n`, which must not be 0.
    pub(crate) fn below(&self, n: u64) -> u64 {
        self.0.bits() % n
    }

    /// A place in something of this length, which must not be 0.
    pub(crate) fn index(&self, len: usize) -> usize {
        // Smaller than `len`, and so fits.
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    pub(crate) fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A seed for somebody with randomness of their own.
    pub(crate) fn seed(&self) -> u64 {
        self.0.bits()
    }
}
