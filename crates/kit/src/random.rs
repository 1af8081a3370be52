//! Randomness as an argument, so that a test can repeat what it saw.

use std::sync::{Arc, Mutex, PoisonError};

use contract::time::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A source of randomness that can be handed around.
#[derive(Clone, Debug)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// Randomness from the operating system.
    pub fn from_os() -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_os_rng())))
    }

    /// Randomness that is the same for the same `seed`; for tests.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// 64 random bits.
    pub fn bits(&self) -> u64 {
        self.with(Rng::random)
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        self.with(Rng::random)
    }

    /// A new UUID version 7 as text: it sorts by `now`.
    pub fn uuid(&self, now: Timestamp) -> String {
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        let bytes: [u8; 10] = self.with(Rng::random);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid().to_string()
    }

    /// The smallest UUID version 7 of any millisecond behind that of `at`: those that [`Self::uuid`]
    /// has made until then, and no later ones, sort before it.
    pub fn uuid_behind(at: Timestamp) -> String {
        let millis = u64::try_from(at.millis()).map_or(0, |millis| millis + 1);
        let first = uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]);
        first.into_uuid().to_string()
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        // A panic while drawing leaves the generator usable, so poisoning is no reason to stop.
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
