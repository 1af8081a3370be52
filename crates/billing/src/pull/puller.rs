//! The pull's two steps: draining the feed, and fetching a single order.

use std::cmp::Ordering;
use std::sync::atomic::{self, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contract::feed::{ContinuationToken, Epoch, FeedIdentity};
use kit::clock::SharedClock;
use kit::http::health::Heartbeat;
use kit::random::Random;
use kit::telemetry::gauge_value;
use tokio::select;
use tokio::sync::{Notify, mpsc};

use super::ahead::{Ahead, READ_AHEAD};
use super::client::FeedClient;
use super::watch::Watch;
use super::{Counts, PullError, Single};
use crate::store::{PullState, Received, Store};

/// How long the loop may be silent, besides its pauses and the time that an answer may take to arrive,
/// before something is wrong with it: longer than a page may take to be taken in.
const GRACE: Duration = Duration::from_mins(2);

/// Pulls from ordering: pages on a timer, single orders on demand.
pub struct Puller {
    pub(super) store: Arc<dyn Store>,
    pub(crate) client: FeedClient,
    pub(super) clock: SharedClock,
    pub(super) random: Random,
    /// Held while pages are followed.
    turn: tokio::sync::Mutex<()>,
    /// Why nothing more is asked; `None` as a rule.
    blocked: Mutex<Option<Blocked>>,
    /// Wakes the loop.
    pub(super) bell: Notify,
    /// Beats with every page and every turn of the loop.
    heartbeat: Heartbeat,
    /// How long the loop waits until its next turn, in milliseconds.
    pause: AtomicU64,
    /// Whether pulls get to the end of the feed.
    pub(super) watch: Watch,
}

/// Another feed answered. Nothing more is asked until an operator has decided how to go on, which
/// shows in the position: `billing reset-token` changes it.
struct Blocked {
    feed: FeedIdentity,
    position: Position,
}

/// Where following pages ended.
pub(super) enum End {
    /// There is nothing more.
    OfFeed,
    /// Another process, a deep link or an approval was faster, or an operator has set the token back: what
    /// was asked ahead is of no use.
    Superseded,
}

type Position = (Option<FeedIdentity>, Option<ContinuationToken>);

fn position(state: &PullState) -> Position {
    (state.identity.clone(), state.continuation_token.clone())
}

impl Puller {
    /// Pulls with `client` into `store`.
    pub fn new(
        store: Arc<dyn Store>,
        client: FeedClient,
        clock: SharedClock,
        random: Random,
    ) -> Self {
        let heartbeat = Heartbeat::starting(Arc::clone(&clock));
        let watch = Watch::starting(Arc::clone(&clock));
        Self {
            store,
            client,
            clock,
            random,
            turn: tokio::sync::Mutex::default(),
            blocked: Mutex::default(),
            bell: Notify::new(),
            heartbeat,
            pause: AtomicU64::new(0),
            watch,
        }
    }

    /// The service is not ready when no pull has reached the end of the feed, or come nearer to it,
    /// for longer than `max_age`. Without this, it may take as long as it takes.
    #[must_use]
    pub fn expecting_success_within(mut self, max_age: Duration) -> Self {
        self.watch.max_age = Some(max_age);
        self
    }

    /// Follows pages until there is nothing more, each applied with its token in one transaction.
    /// One pull at a time in this process: a second caller waits for the first and then pulls too.
    /// Dropping it between any two steps is safe.
    ///
    /// # Errors
    /// Why it stopped; pages applied until then stay applied.
    pub async fn pull_once(&self) -> Result<Counts, PullError> {
        self.pull(None).await
    }

    /// Like [`Self::pull_once`], but begins with an answer that is here already.
    pub(super) async fn pull(&self, ahead: Option<Ahead>) -> Result<Counts, PullError> {
        let _turn = self.turn.lock().await;
        let mut counts = Counts::default();
        let began = self.clock.monotonic();
        let pulled = self.drain_noted(ahead, &mut counts).await;
        log(&counts, None);
        match &pulled {
            Ok(()) => self.watch.succeeded(began),
            Err(error) => self.watch.failed(error),
        }
        count_refused(&pulled);
        let outcome = pulled.as_ref().map_or_else(PullError::kind, |()| "success");
        metrics::counter!("billing_pulls_total", "outcome" => outcome).increment(1);
        pulled.map(|()| counts)
    }

    /// Fetches one order as it is committed now and takes it in. Never moves the token.
    /// Dropping it between any two steps is safe.
    ///
    /// # Errors
    /// Why nothing was taken in.
    pub async fn pull_order(&self, number: i64) -> Result<Counts, PullError> {
        self.check_blocked(&self.store.pull_state().await?)?;
        let pulled = self.fetch(number).await;
        if let Ok(counts) = &pulled {
            log(counts, Some(number));
        }
        count_refused(&pulled);
        self.block_if_unknown(&pulled).await?;
        pulled
    }

    /// Lets the loop pull now rather than when its interval is over.
    pub fn wake(&self) {
        self.bell.notify_one();
    }

    /// What keeps the pull from going on, for the readiness check: it hangs, only an operator can
    /// decide, or it has failed for too long. `None` when nothing does.
    pub fn blocked(&self) -> Option<String> {
        if let Some(feed) = self.unknown_feed() {
            return Some(PullError::UnknownFeed(feed).to_string());
        }
        let pause = Duration::from_millis(self.pause.load(atomic::Ordering::Relaxed));
        let silence = self.heartbeat.age();
        let limit = pause.saturating_add(self.client.timeout).saturating_add(GRACE);
        if silence > limit {
            return Some(format!("the pull loop has not moved for {} s", silence.as_secs()));
        }
        self.watch.overdue()
    }

    /// The loop has done its turn, and is silent for `pause`.
    pub(super) fn expect_silence(&self, pause: Duration) {
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.pause.store(millis, atomic::Ordering::Relaxed);
        self.beat();
    }

    /// The pull moves.
    pub(super) fn beat(&self) {
        self.heartbeat.beat();
    }

    /// The feed that answered instead of the adopted one: nothing more is asked until an operator
    /// has decided. `None` as a rule.
    pub fn unknown_feed(&self) -> Option<FeedIdentity> {
        self.lock_blocked().as_ref().map(|blocked| blocked.feed.clone())
    }

    /// Drains, and keeps in the store how it went.
    async fn drain_noted(
        &self,
        ahead: Option<Ahead>,
        counts: &mut Counts,
    ) -> Result<(), PullError> {
        let began = self.clock.now();
        match &ahead {
            Some(ahead) => self.check_blocked(&ahead.state)?,
            None => self.check_blocked(&self.store.pull_state().await?)?,
        }
        let drained = self.catch_up(ahead, counts).await;
        if let Err(error) = &drained {
            if let Err(unnoted) = self.store.pull_failed(began, &error.to_string()).await {
                // Most likely the very fault that is being reported; that one counts.
                let error = kit::telemetry::chain(&unnoted);
                tracing::debug!(error, "the failure could not be kept");
            }
            self.block_if_unknown(&drained).await?;
            return drained;
        }
        let now = self.clock.now();
        self.store.pull_succeeded(began, now).await?;
        metrics::gauge!("billing_last_success_timestamp_seconds")
            .set(gauge_value(now.millis()) / 1e3);
        Ok(())
    }

    /// Follows pages to the end of the feed, beginning with an answer that is here already, if there is
    /// one.
    ///
    /// # Errors
    /// Why it stopped; pages applied until then stay applied.
    pub(super) async fn drain(
        &self,
        mut ahead: Option<Ahead>,
        counts: &mut Counts,
    ) -> Result<(), PullError> {
        let mut began_again = false;
        loop {
            let first = match ahead.take() {
                Some(ahead) => ahead,
                None => self.ask(self.store.pull_state().await?).await,
            };
            let (pages, asked) = mpsc::channel(READ_AHEAD);
            let drained = select! {
                drained = self.take_in(asked, counts) => drained,
                never = self.ask_ahead(first, pages) => match never {},
            };
            match drained {
                // Once in a pull. A provider that resets again and again is at fault: it is asked
                // again later, like after any other fault.
                Err(PullError::Reset(identity)) if !began_again => {
                    self.adopt(&identity).await?;
                    began_again = true;
                }
                Ok(End::Superseded) => {}
                drained => return drained.map(|_| ()),
            }
        }
    }

    /// Fetches an order and takes it in.
    pub(super) async fn fetch(&self, number: i64) -> Result<Counts, PullError> {
        let state = self.store.pull_state().await?;
        let answer = self.client.order(number).await;
        let identity = match &answer {
            Ok(document) => document.identity.clone(),
            Err(PullError::NotFound(identity)) => identity.clone(),
            Err(_) => {
                let nothing = answer.map(|_| Counts::default());
                return nothing.map_err(|error| error.beside(epoch(&state)));
            }
        };
        match judge(&state, &identity) {
            // A greater epoch is adopted whoever brings the news, and the loop reads again.
            Err(PullError::Reset(_)) => {
                self.adopt(&identity).await?;
                self.wake();
            }
            judged => judged?,
        }
        let order = match answer {
            Ok(Single { order, .. }) => order,
            Err(error) => {
                self.forget_gone(number, &error).await?;
                return Err(error);
            }
        };
        let (orders, unfit) = match order {
            Ok(order) => (vec![order.into()], Vec::new()),
            Err(order) => (Vec::new(), vec![order]),
        };
        let received = Received { identity, orders, unfit, advance: None };
        // Only an answer that moves the token can be superseded.
        Ok(self.apply(&received).await?.unwrap_or_default())
    }

    async fn adopt(&self, identity: &FeedIdentity) -> Result<(), PullError> {
        if self.store.adopt_epoch(identity, self.clock.now()).await? {
            tracing::warn!(
                feed.id = %identity.feed_id,
                feed.epoch = %identity.epoch,
                "ordering has begun a new epoch: reading again from the beginning"
            );
            metrics::counter!("billing_rereads_total").increment(1);
            self.measure_source().await?;
        }
        Ok(())
    }

    fn check_blocked(&self, state: &PullState) -> Result<(), PullError> {
        let mut blocked = self.lock_blocked();
        match blocked.as_ref() {
            Some(block) if block.position == position(state) => {
                Err(PullError::UnknownFeed(block.feed.clone()))
            }
            _ => {
                *blocked = None;
                Ok(())
            }
        }
    }

    async fn block_if_unknown<T>(&self, pulled: &Result<T, PullError>) -> Result<(), PullError> {
        if let Err(PullError::UnknownFeed(feed)) = pulled {
            let position = position(&self.store.pull_state().await?);
            *self.lock_blocked() = Some(Blocked { feed: feed.clone(), position });
        }
        Ok(())
    }

    fn lock_blocked(&self) -> MutexGuard<'_, Option<Blocked>> {
        // Only ever replaced as a whole, so that a panic elsewhere leaves it usable.
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an answer of `identity` counts, after what was adopted: `Reset` when its epoch is
/// greater and has to be adopted first.
pub(crate) fn judge(state: &PullState, identity: &FeedIdentity) -> Result<(), PullError> {
    let Some(adopted) = &state.identity else { return Ok(()) };
    if identity.feed_id != adopted.feed_id {
        return Err(PullError::UnknownFeed(identity.clone()));
    }
    match identity.epoch.cmp(&adopted.epoch) {
        Ordering::Less => Err(PullError::StaleProvider {
            answered: Some(identity.epoch),
            adopted: Some(adopted.epoch),
        }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(PullError::Reset(identity.clone())),
    }
}

pub(super) fn epoch(state: &PullState) -> Option<Epoch> {
    state.identity.as_ref().map(|adopted| adopted.epoch)
}

/// Counts answers of past epochs.
fn count_refused<T>(pulled: &Result<T, PullError>) {
    if let Err(PullError::StaleProvider { .. }) = pulled {
        metrics::counter!("billing_refused_epochs_total").increment(1);
    }
}

/// One line for a pull that changed something; `number` is that of a single order that was pulled.
fn log(counts: &Counts, number: Option<i64>) {
    if counts.changed_something() {
        tracing::info!(
            order.number = number,
            pull.pages = counts.pages,
            pull.new = counts.new,
            pull.changed = counts.changed,
            pull.removed = counts.removed,
            pull.unchanged = counts.unchanged,
            pull.quarantined = counts.quarantined,
            "pulled"
        );
    }
}
