//! The dispatch's two steps: beginning an attempt, and carrying it out.

use std::sync::Arc;
use std::time::Duration;

use kit::clock::SharedClock;
use kit::db;
use kit::http::health::Heartbeat;
use kit::random::Random;
use tokio::sync::Notify;
use tracing::Instrument;

use super::receiver::Receiver;
use super::schedule;
use super::task::{Attempt, Ending};
use crate::store::Store;
use crate::upstream::Fault;

/// How much longer than its call an attempt has its invoice to itself: for a database that is slow
/// before and after the call, and for clocks of several processes that differ.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// How long the loop may be silent before something is wrong with it: it turns every second, unless
/// the database makes it wait.
const GRACE: Duration = Duration::from_mins(1);

/// Hands approved invoices over to the customer's system.
pub struct Dispatcher {
    pub(super) store: Arc<dyn Store>,
    receiver: Receiver,
    pub(super) clock: SharedClock,
    random: Random,
    /// Wakes the loop.
    pub(super) bell: Notify,
    /// Beats with every turn of the loop that the database lets succeed.
    pub(super) heartbeat: Heartbeat,
}

impl Dispatcher {
    /// Hands the invoices in `store` over to `receiver`.
    pub fn new(
        store: Arc<dyn Store>,
        receiver: Receiver,
        clock: SharedClock,
        random: Random,
    ) -> Self {
        let heartbeat = Heartbeat::starting(Arc::clone(&clock));
        Self { store, receiver, clock, random, bell: Notify::new(), heartbeat }
    }

    /// Lets the loop look at once whether there is something to do.
    pub fn wake(&self) {
        self.bell.notify_one();
    }

    /// What is wrong with the loop, for the readiness check; `None` when nothing is.
    pub fn blocked(&self) -> Option<String> {
        let silence = self.heartbeat.age();
        (silence > GRACE)
            .then(|| format!("the dispatch loop has not moved for {} s", silence.as_secs()))
    }

    /// Begins the attempt that is due longest; `None` when none is due. Whoever dies holding it is
    /// replaced when its lease has run out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self) -> db::Result<Option<Attempt>> {
        let lease = self.receiver.timeout() + LEASE_MARGIN;
        self.store.claim_dispatch(self.clock.now(), lease).await
    }

    /// Carries an attempt out and records how it ended; `None` when that does not count: a later
    /// attempt has begun meanwhile, or nothing was sent, because the call might outlast the lease.
    /// No transaction is open during the call.
    ///
    /// # Errors
    /// When the database fails; then the attempt is repeated after its lease.
    pub async fn carry_out(&self, attempt: &Attempt) -> db::Result<Option<Ending>> {
        let span = tracing::info_span!(
            "dispatch",
            invoice.id = attempt.invoice_id,
            dispatch.attempt = attempt.number
        );
        let Some(ending) = self.call(attempt).instrument(span).await else { return Ok(None) };
        let recorded = self.store.record_dispatch(attempt, &ending, self.clock.now()).await?;
        Ok(recorded.then_some(ending))
    }

    /// Asks the customer's system to accept the invoice, and says what its answer means; `None`
    /// when too little of the lease is left. The claim may have waited for the database so long:
    /// another process could send the same while this one still waits for the answer. The lease
    /// then runs out, and the next attempt begins.
    async fn call(&self, attempt: &Attempt) -> Option<Ending> {
        let began = self.clock.now();
        if attempt.leased_until < began + self.receiver.timeout() {
            tracing::warn!("the database took too long for this attempt, the next one is to come");
            return None;
        }
        let answer = self.receiver.send(attempt, began).await;
        let now = self.clock.now();
        metrics::histogram!("billing_dispatch_seconds").record(now.since(began));
        let outcome = answer.as_ref().map_or_else(Fault::kind, |()| "delivered");
        metrics::counter!("billing_dispatch_attempts_total", "outcome" => outcome).increment(1);
        let fault = match answer {
            Ok(()) => {
                tracing::info!("the invoice is delivered");
                return Some(Ending::Delivered);
            }
            Err(fault) => fault,
        };
        let ending = schedule::ending(&fault, attempt.failures, now, self.random.fraction());
        match ending {
            Ending::TryAgain { .. } => fault.warn("the invoice is not delivered, trying on"),
            _ => fault.warn("the invoice is not delivered, given up"),
        }
        Some(ending)
    }
}
