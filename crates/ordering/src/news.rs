//! That there may be something new, for requests that wait at the end of the feed.

use std::sync::Arc;
use std::time::Duration;

use contract::feed::{ContinuationToken, SequenceNr};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::store::Page;

/// Tells that there may be something new. Only hints, from the sequencer of this process, from other
/// processes, and from the clock: whoever serves those who wait looks, unless the sequencer has told what it is.
#[derive(Clone, Debug)]
pub struct News(watch::Sender<Bulletin>);

/// The news as they stand.
#[derive(Clone, Debug)]
pub struct Bulletin {
    /// Rises with each piece of news and with each look at intervals. What was read before it rose may
    /// lack something.
    pub generation: u64,
    /// When it rose last.
    pub since: Instant,
    /// The newest number heard of.
    pub last: SequenceNr,
    /// What came last, when the sequencer has told it: as it still is, since nothing else is known to have
    /// happened.
    page: Option<Arc<Page>>,
    /// How many are stamping in this process: one, as a rule, or none. What the server tells meanwhile is
    /// most likely what that one is about to tell, with the page.
    stamping: usize,
    /// The newest number that the server has told of meanwhile.
    heard: Option<SequenceNr>,
}

/// The sequencer is stamping, as long as there is this.
#[must_use]
pub struct Stamping<'n>(&'n News);

impl Default for News {
    fn default() -> Self {
        let since = Instant::now();
        let last = SequenceNr::BEGINNING;
        let (page, stamping, heard) = (None, 0, None);
        Self(watch::Sender::new(Bulletin { generation: 0, since, last, page, stamping, heard }))
    }
}

impl News {
    /// What the sequencer of this process knows: the newest number, whether a new epoch has begun, and what
    /// it has stamped, if it can tell.
    ///
    /// After a failover the counter may stand lower than this process remembers, and who waits for more
    /// has to learn of the new epoch.
    pub fn stamped(&self, last: SequenceNr, has_begun: bool, page: Option<Page>) {
        self.0.send_if_modified(|bulletin| {
            let rises = has_begun || bulletin.last != last;
            if rises {
                bulletin.rise(Some(last));
            }
            // The server may have told of the number already.
            if let Some(page) = page {
                bulletin.page = Some(Arc::new(page));
            }
            rises
        });
    }

    /// The sequencer begins to stamp.
    pub fn stamping(&self) -> Stamping<'_> {
        self.0.send_if_modified(|bulletin| {
            bulletin.stamping += 1;
            false
        });
        Stamping(self)
    }

    /// Another process has given this number; or this one, which knows it already or is about to.
    pub fn heard_of(&self, last: SequenceNr) {
        self.0.send_if_modified(|bulletin| {
            bulletin.heard = bulletin.heard.max(Some(last));
            bulletin.hear()
        });
    }

    /// Anything may have happened.
    pub fn look(&self) {
        self.rise_if(|_| true);
    }

    /// How often there has been news; once more when nobody has looked for `interval`.
    pub fn current(&self, interval: Duration) -> u64 {
        let is_over = |bulletin: &Bulletin| bulletin.since.elapsed() >= interval;
        {
            // As a rule only read, beside others who do.
            let bulletin = self.0.borrow();
            if !is_over(&bulletin) {
                return bulletin.generation;
            }
        }
        self.rise_if(is_over);
        self.generation()
    }

    /// The page behind `token`, when it is what the sequencer has stamped last.
    pub fn page_behind(&self, token: &ContinuationToken) -> Option<Arc<Page>> {
        let bulletin = self.0.borrow();
        let page = bulletin.page.as_ref()?;
        page.follows(token).then(|| Arc::clone(page))
    }

    /// How often there has been news.
    pub fn generation(&self) -> u64 {
        self.0.borrow().generation
    }

    /// When there was news last.
    pub fn since(&self) -> Instant {
        self.0.borrow().since
    }

    /// To wait for the next.
    pub fn subscribe(&self) -> watch::Receiver<Bulletin> {
        self.0.subscribe()
    }

    fn rise_if(&self, may_have_happened: impl FnOnce(&Bulletin) -> bool) {
        self.0.send_if_modified(|bulletin| {
            let rises = may_have_happened(bulletin);
            if rises {
                bulletin.rise(None);
            }
            rises
        });
    }
}

impl Drop for Stamping<'_> {
    fn drop(&mut self) {
        self.0.0.send_if_modified(|bulletin| {
            bulletin.stamping -= 1;
            bulletin.hear()
        });
    }
}

impl Bulletin {
    /// Rises when the server has told of a newer number, unless the sequencer will tell of it.
    fn hear(&mut self) -> bool {
        if self.stamping > 0 {
            return false;
        }
        let newer = self.heard.take().filter(|heard| *heard > self.last);
        if newer.is_some() {
            self.rise(newer);
        }
        newer.is_some()
    }

    /// There is news: of this number, or `None`, of anything.
    fn rise(&mut self, last: Option<SequenceNr>) {
        self.generation += 1;
        self.since = Instant::now();
        self.last = last.unwrap_or(self.last);
        self.page = None;
    }
}

#[cfg(test)]
mod tests {
    use contract::feed::FeedIdentity;

    use super::*;

    const NEVER: Duration = Duration::MAX;

    #[test]
    fn what_is_known_already_is_no_news() {
        let news = News::default();
        let generation = || news.current(NEVER);
        news.stamped(SequenceNr(3), false, None);
        assert_eq!(generation(), 1);
        news.stamped(SequenceNr(3), false, None);
        for known in [2, 3] {
            news.heard_of(SequenceNr(known));
        }
        assert_eq!(generation(), 1);
        news.heard_of(SequenceNr(4));
        news.stamped(SequenceNr(4), false, None);
        assert_eq!(generation(), 2);
        news.stamped(SequenceNr(4), true, None);
        news.stamped(SequenceNr(2), false, None);
        news.look();
        assert_eq!((generation(), news.0.borrow().last), (5, SequenceNr(2)));
    }

    #[test]
    fn what_was_stamped_is_told_until_anything_else_may_have_happened() {
        let token =
            |number| format!("k3v9x2ab-1000-{number}").parse::<ContinuationToken>().unwrap();
        let page = |orders, last| Page {
            identity: FeedIdentity { feed_id: token(0).feed_id, epoch: token(0).epoch },
            continuation_token: token(last),
            orders,
            has_more: false,
            last_sequence_nr: SequenceNr(last),
            document: Vec::new(),
        };
        let news = News::default();
        let is_told = |after| news.page_behind(&token(after)).is_some();
        news.stamped(SequenceNr(5), false, Some(page(2, 5)));
        assert_eq!([2, 3, 4, 5].map(is_told), [false, true, false, false]);
        let other = |token: &str| news.page_behind(&token.parse().unwrap()).is_some();
        assert!(!other("k3v9x2ab-1001-3") && !other("other-1000-3"));

        news.heard_of(SequenceNr(6));
        assert!(!is_told(3), "there is more behind it");
        news.stamped(SequenceNr(6), false, Some(page(1, 6)));
        assert!(is_told(5), "though the number was heard of before");
        news.stamped(SequenceNr(6), false, None);
        assert!(is_told(5), "nothing has happened");
        news.look();
        assert!(!is_told(5));
        news.stamped(SequenceNr(6), true, None);
        assert!(!is_told(5));
    }

    #[test]
    fn what_is_being_stamped_is_told_by_who_stamps_it() {
        let news = News::default();
        let told = || (news.generation(), news.0.borrow().last.0);
        let stamping = news.stamping();
        news.heard_of(SequenceNr(5));
        assert_eq!(told(), (0, 0));
        news.stamped(SequenceNr(5), false, None);
        drop(stamping);
        assert_eq!(told(), (1, 5), "once");

        // Another process stamps as well; and what fails to be stamped here may have been there.
        let stamping = news.stamping();
        news.heard_of(SequenceNr(7));
        news.heard_of(SequenceNr(6));
        news.stamped(SequenceNr(6), false, None);
        assert_eq!(told(), (2, 6));
        drop(stamping);
        assert_eq!(told(), (3, 7));
        let stamping = news.stamping();
        news.heard_of(SequenceNr(8));
        drop(stamping);
        assert_eq!(told(), (4, 8));
    }

    #[tokio::test]
    async fn all_look_together_once_an_interval() {
        let news = News::default();
        let interval = Duration::from_millis(200);
        let mut waiting = news.subscribe();
        assert_eq!(news.current(NEVER), 0);
        tokio::time::sleep(interval).await;
        for _ in 0..3 {
            assert_eq!(news.current(interval), 1);
        }
        waiting.changed().await.unwrap();
    }
}
