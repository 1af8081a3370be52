//! Requests that wait at the end of the feed, and how each of them gets its turn.
//!
//! When something new is there, a thousand that wait cannot all be answered at the same moment. Woken
//! together they would be answered by chance, some twice before others once; and the sequencer, whose
//! next stamp they wait for, would have to wait behind all of them. So they stand in line, and one task,
//! or two where many wait, hands pages out from its front, few at a time. Whoever is served comes back to the end of the line.
//! What is handed out is the page as it is when the turn comes, not when the waiting began.

use std::collections::VecDeque;
use std::future::pending;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contract::feed::DEFAULT_PAGE_LIMIT;
use futures_util::FutureExt as _;
use kit::http::fast_path::{Exchange, Reply};
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::AppState;
use super::feed::read;
use super::head::{Answer, Wanted};
use crate::error::Result;
use crate::store::FeedAnswer;

/// How many either of those who hand out serves before everything else that is ready gets its turn.
const AT_ONCE: usize = 16;
/// From how many on two hand out.
const MANY: usize = 64;

/// Who waits at the end of the feed, in the order in which they came, but for those who come while the
/// line is being walked: whoever has nothing to wait for yet then comes behind them.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Queue>,
    /// Rung when the line has to be walked though there is no news.
    bell: Notify,
    /// Rung when somebody's patience is over sooner than that of all others.
    hurry: Notify,
    /// Whether pages are being handed out.
    is_moving: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    places: VecDeque<Place>,
    /// Nobody's patience is over before; `None` when there was nobody when this was looked at last, and
    /// nobody has come since.
    deadline: Option<Instant>,
    /// How many of those in front are still to be served by the walk that is under way.
    left: usize,
    /// Nobody comes any more who hands anything out: the service stops.
    is_closed: bool,
}

/// One who waits.
#[derive(Debug)]
struct Place {
    wanted: Arc<Wanted>,
    /// The generation of news in which there was nothing new; `None` when there is.
    seen: Option<u64>,
    /// When the patience is over.
    deadline: Instant,
    /// Where the answer goes. Dropped without one: look for yourself.
    caller: Caller,
}

/// To whom an answer goes.
#[derive(Debug)]
enum Caller {
    /// One of the routes.
    Handler(oneshot::Sender<Answer>),
    /// A connection, past the routes.
    Connection(Reply),
}

impl Caller {
    fn send(self, state: &AppState, answer: &Answer) {
        match (self, answer) {
            (Self::Handler(handler), answer) => {
                // To one who has gone meanwhile.
                let _ = handler.send(answer.clone());
            }
            (Self::Connection(reply), Answer::Page(page)) => {
                let prepared = page.prepared(reply.exchange());
                let is_sent = reply.send(prepared);
                state.head.pages_served.increment(u64::from(is_sent));
            }
            // Who looks for itself finds it too, and leaves it to the routes.
            (Self::Connection(_), Answer::Refused { .. }) => {}
        }
    }

    fn is_gone(&self) -> bool {
        match self {
            Self::Handler(handler) => handler.is_closed(),
            Self::Connection(reply) => reply.is_closed(),
        }
    }
}

/// The page; while it is empty, waits in line until the caller's patience is over. Whoever comes with an
/// exchange is answered there when the turn comes, and then gets nothing here.
pub(super) async fn wait(
    state: &AppState,
    wanted: &Arc<Wanted>,
    patience: Duration,
    exchange: Option<&Arc<Exchange>>,
) -> Result<Answer> {
    let deadline = Instant::now() + patience;
    let mut is_over = false;
    loop {
        let generation = state.news.current(state.sequencer_interval);
        let mut seen = Some(generation);
        if is_over || !state.line.ends_with(wanted, generation) {
            // Apart: only the first of many looks, and what that takes is not to be moved about with each.
            let looked = state.head.answer(wanted, generation, || look(state, wanted));
            let answer = Box::pin(looked).await?;
            // Whoever asks for the newest while others are being served comes behind them.
            let has_news = !answer.is_empty_page();
            let is_newest = matches!(answer, Answer::Page(_)) && answer.is_worth_keeping();
            let may_go = has_news && !(state.line.is_moving() && is_newest);
            if may_go || is_over {
                return Ok(answer);
            }
            if has_news {
                seen = None;
            }
        }
        let place = |caller| Place { wanted: Arc::clone(wanted), seen, deadline, caller };
        if let Some(exchange) = exchange {
            state.line.join(state, place(Caller::Connection(exchange.reply())));
            exchange.let_go().await;
        } else {
            let (handler, handed) = oneshot::channel();
            state.line.join(state, place(Caller::Handler(handler)));
            if let Ok(answer) = handed.await {
                return Ok(answer);
            }
        }
        is_over = state.shutdown.is_cancelled() || Instant::now() >= deadline;
    }
}

/// The page as the sequencer has just told it, or else as it is read.
async fn look(state: &AppState, wanted: &Wanted) -> Result<Answer> {
    let token = wanted.after.as_ref().filter(|_| state.feed.is_primary());
    let told = token.and_then(|token| state.news.page_behind(token));
    let limit = wanted.limit.unwrap_or(DEFAULT_PAGE_LIMIT);
    match told.filter(|page| i64::try_from(page.orders).is_ok_and(|orders| orders <= limit)) {
        Some(page) => Ok(Answer::of(FeedAnswer::Page((*page).clone()), wanted.limit)),
        None => read(state, wanted).await,
    }
}

/// Hands pages out until the service stops: with each piece of news, and at the latest when nobody has
/// looked for the interval of the sequencer. Whose patience is over has to go meanwhile.
pub async fn hand_out(state: AppState) {
    let mut news = state.news.subscribe();
    let _closing = Closing(&state.line);
    let handing_out = async {
        loop {
            // Before the line is walked: what is stamped from here on either is seen or wakes.
            news.mark_unchanged();
            state.line.walk(&state).await;
            let next_look = state.news.since() + state.sequencer_interval;
            tokio::select! {
                _ = news.changed() => {}
                () = state.line.0.bell.notified() => {}
                () = sleep_until(next_look), if !state.line.lock().places.is_empty() => {}
            }
        }
    };
    tokio::select! {
        biased;
        () = state.shutdown.cancelled() => {}
        () = handing_out => {}
        () = state.line.let_go_in_time() => {}
    }
}

/// Closes the line, however its handing out ends.
struct Closing<'l>(&'l Line);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A page that was handed out: in which generation of news, and to whoever wants this.
type HandedOut = (u64, Arc<Wanted>, Answer);

impl Line {
    /// Whether the last in line has seen nothing new behind the same token: nor would the next.
    fn ends_with(&self, wanted: &Arc<Wanted>, generation: u64) -> bool {
        self.lock()
            .places
            .back()
            .is_some_and(|last| last.seen == Some(generation) && Arc::ptr_eq(&last.wanted, wanted))
    }

    /// Takes the last place; see [`Place::seen`].
    fn join(&self, state: &AppState, place: Place) {
        let seen = place.seen;
        let is_first = {
            let mut waiting = self.lock();
            self.take_last(&mut waiting, place);
            waiting.places.len() == 1
        };
        // Who came while the line was being walked may not have been seen; who is the first, starts the
        // looks at intervals.
        if is_first || seen != Some(state.news.generation()) {
            self.0.bell.notify_one();
        }
    }

    fn take_last(&self, waiting: &mut Queue, place: Place) {
        if waiting.is_closed {
            return;
        }
        if waiting.deadline.is_none_or(|earliest| place.deadline < earliest) {
            waiting.deadline = Some(place.deadline);
            self.0.hurry.notify_one();
        }
        waiting.places.push_back(place);
    }

    fn is_moving(&self) -> bool {
        self.0.is_moving.load(Ordering::Relaxed)
    }

    /// Serves everybody for whom there is something new.
    async fn walk(&self, state: &AppState) {
        let is_long = {
            let mut waiting = self.lock();
            waiting.left = waiting.places.len();
            waiting.left >= MANY
        };
        self.0.is_moving.store(true, Ordering::Relaxed);
        let other = is_long.then(|| {
            let (line, state) = (self.clone(), state.clone());
            AbortOnDropHandle::new(tokio::spawn(async move { line.serve(&state).await }))
        });
        self.serve(state).await;
        if let Some(other) = other
            && let Err(ended) = other.await
            && ended.is_panic()
        {
            // As it would have been here.
            resume_unwind(ended.into_panic());
        }
        self.0.is_moving.store(false, Ordering::Relaxed);
    }

    /// Serves those who stand in front, as long as any are left of this walk.
    async fn serve(&self, state: &AppState) {
        let mut last = None;
        while let Some(places) = self.next() {
            if self.serve_some(state, places, &mut last).await {
                yield_now().await;
            }
        }
    }

    /// The next few whose turn it is; `None` when nobody is left.
    fn next(&self) -> Option<VecDeque<Place>> {
        let mut waiting = self.lock();
        let few = waiting.left.min(AT_ONCE).min(waiting.places.len());
        waiting.left -= few;
        (few > 0).then(|| waiting.places.drain(..few).collect())
    }

    /// Whether any of them was served, or sent to look. For the others there is nothing new, and they come
    /// last. `last` is what was handed out last.
    async fn serve_some(
        &self,
        state: &AppState,
        mut places: VecDeque<Place>,
        last: &mut Option<HandedOut>,
    ) -> bool {
        let mut generation = state.news.current(state.sequencer_interval);
        let mut has_served = false;
        while let Some(mut place) = places.pop_front() {
            if let Some((when, wanted, answer)) = last
                && *when == generation
                && Arc::ptr_eq(wanted, &place.wanted)
            {
                place.caller.send(state, answer);
                has_served = true;
                continue;
            }
            // To look may have taken a while.
            if place.caller.is_gone() || place.deadline <= Instant::now() {
                continue;
            }
            generation = state.news.current(state.sequencer_interval);
            if place.seen == Some(generation) {
                self.take_last(&mut self.lock(), place);
                continue;
            }
            let wanted = &place.wanted;
            let looked = state.head.answer(wanted, generation, || look(state, wanted));
            // What panics here does so again where each looks alone, and is answered there.
            let Ok(Ok(answer)) = AssertUnwindSafe(looked).catch_unwind().await else {
                // Each by itself, and together, rather than one after the other.
                self.lock().places.clear();
                return true;
            };
            if answer.is_empty_page() {
                place.seen = Some(generation);
                self.take_last(&mut self.lock(), place);
                continue;
            }
            if !answer.is_worth_keeping() {
                // It would be read again for each of the others: of those who look together, many share it.
                places.retain(|other| other.wanted != place.wanted);
                self.lock().places.retain(|other| other.wanted != place.wanted);
            }
            let (_, _, answer) = last.insert((generation, place.wanted, answer));
            place.caller.send(state, answer);
            has_served = true;
        }
        has_served
    }

    /// Lets everybody go whose patience is over, to look once more and be told that there is nothing. One
    /// timer for all of them, since as a rule there is something before it is over.
    async fn let_go_in_time(&self) {
        loop {
            let deadline = self.lock().let_go(Instant::now());
            let is_over = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = is_over => {}
                () = self.0.hurry.notified() => {}
            }
        }
    }

    /// Lets everybody look for themselves, who then see that the service stops.
    fn close(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        waiting.places.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Lets those go whose patience is over; when that of the next will be.
    fn let_go(&mut self, now: Instant) -> Option<Instant> {
        if self.deadline.is_some_and(|earliest| earliest <= now) {
            self.places.retain(|place| place.deadline > now);
            self.deadline = self.places.iter().map(|place| place.deadline).min();
        }
        self.deadline
    }
}
