//! Pages for requests that wait: what many ask at the same moment is read once, or not at all when the
//! sequencer has just told it.
//!
//! A thousand consumers that wait at the end of the feed all ask for the same page when something new
//! is there. It is read, written as JSON and hashed once for all of them. A page may be cached, delayed
//! or repeated (P5), so whoever gets one that another request has read loses nothing; and no page is
//! given to who comes after the next piece of news.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::Bytes;
use axum::http::HeaderValue;
use contract::feed::{ContinuationToken, FeedIdentity};
use kit::http::fast_path::{Exchange, Prepared};
use kit::telemetry;
use metrics::Counter;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::feed::head_of;
use crate::feed::Verdict;
use crate::store::{FeedAnswer, Page};

/// How many pages are kept at most. Who asks for one more reads it alone.
const MAX_SLOTS: usize = 32;
/// Larger pages are not kept, nor such as others follow: they are of consumers that catch up, each
/// at another place.
const MAX_BYTES: usize = 128 * 1024;

/// What a request asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Wanted {
    /// The token of the page before; `None` for the first page.
    pub(super) after: Option<ContinuationToken>,
    /// At most so many orders; `None` when the caller did not say, and nor does the page's `Link`.
    pub(super) limit: Option<i64>,
}

/// An answer of the feed that any number of requests may send.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// A page.
    Page(Arc<ReadyPage>),
    /// The token cannot be continued.
    Refused {
        /// Who refuses it.
        identity: FeedIdentity,
        /// Why.
        verdict: Verdict,
    },
}

/// A page, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct ReadyPage {
    pub(super) continuation_token: ContinuationToken,
    pub(super) is_empty: bool,
    pub(super) has_more: bool,
    /// Weak: the same page compressed is other bytes.
    pub(super) etag: HeaderValue,
    /// The page behind it, as `Link` tells it.
    pub(super) next: HeaderValue,
    pub(super) document: Bytes,
    /// The page behind it at the moment at which it was read: empty. `None` when there was more, or when
    /// it is empty itself.
    behind: Option<Arc<Self>>,
    /// The whole answer, once somebody is answered past the routes.
    prepared: OnceLock<Prepared>,
}

impl ReadyPage {
    /// The whole answer, as the routes would give it.
    pub(super) fn prepared(&self, exchange: &Exchange) -> &Prepared {
        self.prepared.get_or_init(|| exchange.prepare(head_of(self), self.document.clone()))
    }

    /// The page for a caller who asked for `limit` orders.
    fn of(page: Page, limit: Option<i64>) -> Arc<Self> {
        let is_empty = page.orders == 0;
        let behind = if is_empty { None } else { page.behind() };
        let token = page.continuation_token;
        let limited = limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
        Arc::new(Self {
            is_empty,
            has_more: page.has_more,
            etag: HeaderValue::try_from(format!("W/\"{:x}\"", Sha256::digest(&page.document)))
                .expect("digits and quotes may stand in a header"),
            next: format!("</feed/v1/orders?after={token}{limited}>; rel=\"next\"")
                .try_into()
                .expect("tokens are letters, digits and dashes"),
            document: Bytes::from(page.document),
            behind: behind.map(|page| Self::of(page, limit)),
            continuation_token: token,
            prepared: OnceLock::new(),
        })
    }
}

impl Answer {
    /// The answer to a caller who asked for `limit` orders.
    pub(super) fn of(answer: FeedAnswer, limit: Option<i64>) -> Self {
        match answer {
            FeedAnswer::Page(page) => Self::Page(ReadyPage::of(page, limit)),
            FeedAnswer::Refused { identity, verdict } => Self::Refused { identity, verdict },
        }
    }

    /// Whether it is a page without orders.
    pub(super) fn is_empty_page(&self) -> bool {
        matches!(self, Self::Page(page) if page.is_empty)
    }

    /// Whether others may want it until the next piece of news.
    pub(super) fn is_worth_keeping(&self) -> bool {
        match self {
            Self::Page(page) => !page.has_more && page.document.len() <= MAX_BYTES,
            Self::Refused { .. } => true,
        }
    }
}

/// The pages that waiting requests have asked for since the last piece of news; and how many there were,
/// those included for which nobody waited.
#[derive(Clone, Debug)]
pub struct Head {
    table: Arc<Mutex<Slots>>,
    /// Counts pages that were read from the database.
    pub(super) pages_read: Counter,
    /// Counts those that were sent: fewer are read where many wait for the same.
    pub(super) pages_served: Counter,
}

impl Default for Head {
    fn default() -> Self {
        // What is counted before the recorder is there is lost.
        telemetry::metrics();
        Self {
            table: Arc::default(),
            pages_read: metrics::counter!("ordering_feed_pages_read_total"),
            pages_served: metrics::counter!("ordering_feed_pages_served_total"),
        }
    }
}

#[derive(Debug, Default)]
struct Slots {
    generation: u64,
    slots: HashMap<Wanted, Arc<Slot>>,
}

/// One page; empty until it is read.
#[derive(Debug, Default)]
struct Slot {
    answer: OnceCell<Answer>,
    /// Reading it has failed: who waited for that reads alone, rather than one after the other.
    has_failed: AtomicBool,
}

impl Head {
    /// The answer for `key` as somebody has read it since `generation` began, or as `read` now does. A
    /// reader that fails, or whose caller is gone, leaves it to the others.
    ///
    /// Who has got a page asks for the one behind it next. What was read tells already that it is empty,
    /// and nobody reads it once more.
    pub(super) async fn answer<E, F>(
        &self,
        key: &Wanted,
        generation: u64,
        read: impl Fn() -> F,
    ) -> Result<Answer, E>
    where
        F: Future<Output = Result<Answer, E>>,
    {
        let Some(slot) = self.slot(key, generation) else { return read().await };
        let reading = slot.answer.get_or_try_init(async || {
            if slot.has_failed.load(Ordering::Relaxed) {
                return Err(None);
            }
            let answer = read().await;
            slot.has_failed.store(answer.is_err(), Ordering::Relaxed);
            if let Ok(Answer::Page(page)) = &answer {
                self.keep_behind(page, key.limit, generation);
            }
            answer.map_err(Some)
        });
        match reading.await {
            Ok(answer) => {
                if !answer.is_worth_keeping() {
                    self.forget(key, &slot);
                }
                Ok(answer.clone())
            }
            Err(failed) => {
                self.forget(key, &slot);
                match failed {
                    Some(error) => Err(error),
                    None => read().await,
                }
            }
        }
    }

    /// Where the answer for `key` is, or will be; `None` when there is no room. A later generation than
    /// any before begins with an empty table.
    fn slot(&self, key: &Wanted, generation: u64) -> Option<Arc<Slot>> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if generation > table.generation {
            *table = Slots { generation, slots: HashMap::new() };
        }
        if generation < table.generation {
            return None;
        }
        if let Some(slot) = table.slots.get(key) {
            return Some(Arc::clone(slot));
        }
        if table.slots.len() >= MAX_SLOTS {
            return None;
        }
        Some(Arc::clone(table.slots.entry(key.clone()).or_default()))
    }

    /// Keeps the empty page behind `page`, unless somebody is reading it already.
    fn keep_behind(&self, page: &ReadyPage, limit: Option<i64>, generation: u64) {
        let Some(behind) = &page.behind else { return };
        let key = Wanted { after: Some(behind.continuation_token.clone()), limit };
        if let Some(slot) = self.slot(&key, generation) {
            // Whoever is reading it reads the same.
            let _ = slot.answer.set(Answer::Page(Arc::clone(behind)));
        }
    }

    /// Takes the slot out, unless another is there already.
    fn forget(&self, key: &Wanted, slot: &Arc<Slot>) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.slots.get(key).is_some_and(|kept| Arc::ptr_eq(kept, slot)) {
            table.slots.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    fn key(nr: i64) -> Wanted {
        Wanted { after: Some(format!("abc-1-{nr}").parse().unwrap()), limit: Some(10) }
    }

    fn page(has_more: bool, bytes: usize) -> Answer {
        Answer::Page(Arc::new(ReadyPage {
            continuation_token: "abc-1-9".parse().unwrap(),
            is_empty: false,
            has_more,
            etag: HeaderValue::from_static("W/\"\""),
            next: HeaderValue::from_static("<>; rel=\"next\""),
            document: Bytes::from(vec![b' '; bytes]),
            behind: None,
            prepared: OnceLock::new(),
        }))
    }

    /// Lets `count` requests ask together; how many of them were answered, and how often was read. The
    /// first `failing` reads fail.
    async fn ask(head: &Head, count: usize, failing: usize, answer: Answer) -> (usize, usize) {
        let reads = Arc::new(AtomicUsize::new(0));
        let mut asking = JoinSet::new();
        for _ in 0..count {
            let (head, reads, answer) = (head.clone(), Arc::clone(&reads), answer.clone());
            asking.spawn(async move {
                let read = || async {
                    let read = reads.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(20)).await;
                    if read < failing { Err(()) } else { Ok(answer.clone()) }
                };
                head.answer(&key(1), 1, read).await.is_ok()
            });
        }
        let answered = asking.join_all().await.into_iter().filter(|ok| *ok).count();
        (answered, reads.load(Ordering::Relaxed))
    }

    fn kept(head: &Head) -> usize {
        head.table.lock().unwrap().slots.len()
    }

    #[tokio::test]
    async fn what_many_ask_is_read_once() {
        let head = Head::default();
        assert_eq!(ask(&head, 100, 0, page(false, 10)).await, (100, 1));
        assert_eq!(ask(&head, 100, 0, page(false, 10)).await, (100, 0), "until the next news");
    }

    #[tokio::test]
    async fn the_page_behind_the_last_one_is_known_to_be_empty_until_the_next_news() {
        let head = Head::default();
        let Answer::Page(last) = page(false, 10) else { panic!("a page") };
        let token = last.continuation_token.clone();
        let empty = Arc::new(ReadyPage { is_empty: true, ..(*last).clone() });
        let last = ReadyPage { behind: Some(empty), ..(*last).clone() };
        let last = Answer::Page(Arc::new(last));
        head.answer(&key(1), 1, || async { Ok::<_, ()>(last.clone()) }).await.unwrap();

        let reads = AtomicUsize::new(0);
        for (generation, limit, expected) in [(1, 10, 0), (1, 11, 1), (2, 10, 2)] {
            let read = || async {
                reads.fetch_add(1, Ordering::Relaxed);
                Ok::<_, ()>(page(false, 10))
            };
            let wanted = Wanted { after: Some(token.clone()), limit: Some(limit) };
            let answer = head.answer(&wanted, generation, read).await.unwrap();
            assert_eq!(answer.is_empty_page(), expected == 0);
            assert_eq!(reads.load(Ordering::Relaxed), expected);
        }
    }

    #[tokio::test]
    async fn a_reader_that_fails_does_not_fail_the_others() {
        let head = Head::default();
        assert_eq!(ask(&head, 10, 1, page(false, 10)).await, (9, 10), "each by itself, together");
        assert_eq!(ask(&head, 10, 0, page(false, 10)).await, (10, 1), "and that is forgotten");
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_leaves_it_to_another() {
        let head = Head::default();
        let gone = {
            let head = head.clone();
            tokio::spawn(async move {
                head.answer(&key(1), 1, std::future::pending::<Result<Answer, ()>>).await
            })
        };
        tokio::task::yield_now().await;
        let asking = tokio::spawn({
            let head = head.clone();
            async move { ask(&head, 10, 0, page(false, 10)).await }
        });
        sleep(Duration::from_millis(100)).await;
        assert!(!asking.is_finished(), "they wait for the first");
        gone.abort();
        assert_eq!(asking.await.unwrap(), (10, 1));
    }

    #[tokio::test]
    async fn only_few_and_small_pages_are_kept_and_none_after_the_next_news() {
        let head = Head::default();
        for (has_more, bytes, expected) in [(true, 10, 0), (false, MAX_BYTES + 1, 0), (false, 1, 1)]
        {
            let read = || async { Ok::<_, ()>(page(has_more, bytes)) };
            head.answer(&key(1), 1, read).await.unwrap();
            assert_eq!(kept(&head), expected);
        }
        for nr in 0..100 {
            head.answer(&key(nr), 1, || async { Ok::<_, ()>(page(false, 1)) }).await.unwrap();
        }
        assert_eq!(kept(&head), MAX_SLOTS);
        let read = || async { Ok::<_, ()>(page(true, 1)) };
        head.answer(&key(1), 2, read).await.unwrap();
        assert_eq!(kept(&head), 0);
        // One that was woken long ago neither gets what is newer than it knows, nor spoils it.
        head.answer(&key(1), 1, read).await.unwrap();
        assert_eq!((kept(&head), head.table.lock().unwrap().generation), (0, 2));
    }
}
