//! Requests that wait at the end of the feed, and how each of them gets its turn.
//!
//! When something new is there, a thousand that wait cannot all be answered at the same moment. Woken
//! together they would be answered by chance, some twice before others once; and the sequencer, whose
//! next stamp they wait for, would have to wait behind all of them. So they stand in line, and one task
//! hands pages out from its front, few at a time. Whoever is served comes back to the end of the line.
//! What is handed out is the page as it is when the turn comes, not when the waiting began.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contract::feed::DEFAULT_PAGE_LIMIT;
use futures_util::FutureExt as _;
use kit::http::fast_path::{Exchange, Reply};
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::AppState;
use super::feed::read;
use super::head::{Answer, Wanted};
use crate::error::Result;
use crate::store::FeedAnswer;

/// How many are served before everything else that is ready gets its turn.
const AT_ONCE: usize = 16;

/// Who waits at the end of the feed, in the order in which they came, but for those who come while the
/// line is being walked: whoever has nothing to wait for yet then comes behind them.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Queue>,
    /// Rung when the line has to be walked though there is no news.
    bell: Notify,
    /// Whether pages are being handed out.
    is_moving: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    places: VecDeque<Place>,
    /// Nobody comes any more who hands anything out: the service stops.
    is_closed: bool,
}

/// One who waits.
#[derive(Debug)]
struct Place {
    wanted: Arc<Wanted>,
    /// The generation of news in which there was nothing new; `None` when there is.
    seen: Option<u64>,
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
            let answer = state.head.answer(wanted, generation, || look(state, wanted)).await?;
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
        let handed = async {
            if let Some(exchange) = exchange {
                state.line.join(state, wanted, seen, Caller::Connection(exchange.reply()));
                exchange.let_go().await;
                return None;
            }
            let (handler, handed) = oneshot::channel();
            state.line.join(state, wanted, seen, Caller::Handler(handler));
            handed.await.ok()
        };
        if let Ok(Some(answer)) = timeout_at(deadline, handed).await {
            return Ok(answer);
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
/// looked for the interval of the sequencer.
pub async fn hand_out(state: AppState) {
    let mut news = state.news.subscribe();
    let _closing = Closing(&state.line);
    loop {
        // Before the line is walked: what is stamped from here on either is seen or wakes.
        news.mark_unchanged();
        if state.shutdown.run_until_cancelled(state.line.walk(&state)).await.is_none() {
            return;
        }
        let next_look = state.news.since() + state.sequencer_interval;
        tokio::select! {
            () = state.shutdown.cancelled() => return,
            _ = news.changed() => {}
            () = state.line.0.bell.notified() => {}
            () = sleep_until(next_look), if !state.line.lock().places.is_empty() => {}
        }
    }
}

/// Closes the line, however its handing out ends.
struct Closing<'l>(&'l Line);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Line {
    /// Whether the last in line has seen nothing new behind the same token: nor would the next.
    fn ends_with(&self, wanted: &Arc<Wanted>, generation: u64) -> bool {
        self.lock()
            .places
            .back()
            .is_some_and(|last| last.seen == Some(generation) && Arc::ptr_eq(&last.wanted, wanted))
    }

    /// Takes the last place; see [`Place::seen`].
    fn join(&self, state: &AppState, wanted: &Arc<Wanted>, seen: Option<u64>, caller: Caller) {
        let is_first = {
            let mut waiting = self.lock();
            if !waiting.is_closed {
                waiting.places.push_back(Place { wanted: Arc::clone(wanted), seen, caller });
            }
            waiting.places.len() == 1
        };
        // Who came while the line was being walked may not have been seen; who is the first, starts the
        // looks at intervals.
        if is_first || seen != Some(state.news.generation()) {
            self.0.bell.notify_one();
        }
    }

    fn is_moving(&self) -> bool {
        self.0.is_moving.load(Ordering::Relaxed)
    }

    /// Serves everybody for whom there is something new.
    async fn walk(&self, state: &AppState) {
        self.0.is_moving.store(true, Ordering::Relaxed);
        let mut served = 0;
        let mut last = None;
        let places = self.lock().places.len();
        for _ in 0..places {
            let Some(place) = self.next() else { break };
            if self.serve(state, place, &mut last).await {
                served += 1;
                if served % AT_ONCE == 0 {
                    yield_now().await;
                }
            }
        }
        self.0.is_moving.store(false, Ordering::Relaxed);
    }

    /// Whether the first has left the line. Otherwise there is nothing new, and the place is the last.
    /// `last` is what was handed out last.
    async fn serve(
        &self,
        state: &AppState,
        mut place: Place,
        last: &mut Option<(u64, Arc<Wanted>, Answer)>,
    ) -> bool {
        let generation = state.news.current(state.sequencer_interval);
        if let Some((when, wanted, answer)) = last
            && *when == generation
            && Arc::ptr_eq(wanted, &place.wanted)
        {
            place.caller.send(state, answer);
            return true;
        }
        if place.seen != Some(generation) {
            let wanted = &place.wanted;
            let looked = state.head.answer(wanted, generation, || look(state, wanted));
            // What panics here does so again where each looks alone, and is answered there.
            match AssertUnwindSafe(looked).catch_unwind().await {
                Ok(Ok(answer)) if answer.is_empty_page() => place.seen = Some(generation),
                Ok(Ok(answer)) => {
                    if !answer.is_worth_keeping() {
                        // It would be read again for each of the others: together they share it.
                        self.lock().places.retain(|other| other.wanted != place.wanted);
                    }
                    let (_, _, answer) = last.insert((generation, place.wanted, answer));
                    place.caller.send(state, answer);
                    return true;
                }
                // Each by itself, and together, rather than one after the other.
                Ok(Err(_)) | Err(_) => {
                    self.lock().places.clear();
                    return true;
                }
            }
        }
        self.lock().places.push_back(place);
        false
    }

    /// Lets everybody look for themselves, who then see that the service stops.
    fn close(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        waiting.places.clear();
    }

    /// The first whose caller is still there.
    fn next(&self) -> Option<Place> {
        let mut waiting = self.lock();
        while let Some(place) = waiting.places.pop_front() {
            if !place.caller.is_gone() {
                return Some(place);
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
