//! Counting the statements that a store runs.

use std::cell::Cell;
use std::sync::Once;

use tracing::span;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// How many statements `call` runs on this thread, by what sqlx logs.
///
/// # Panics
/// When the test program logs to somewhere else.
pub fn count<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = counted();
    let result = call();
    (result, counted() - before)
}

/// How many statements this thread has run since the first call in this program: for what is not one
/// call.
///
/// # Panics
/// When the test program logs to somewhere else.
pub fn counted() -> usize {
    static COUNTING: Once = Once::new();
    // For all threads, each with a count of its own: a subscriber of one thread would miss what is
    // first logged on another.
    COUNTING.call_once(|| {
        tracing::subscriber::set_global_default(Counter).expect("nobody else counts or logs");
    });
    COUNT.get()
}

struct Counter;

impl tracing::Subscriber for Counter {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, _: &tracing::Event<'_>) {
        COUNT.set(COUNT.get() + 1);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
