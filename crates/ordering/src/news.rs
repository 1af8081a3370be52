//! That there may be something new, for requests that wait at the end of the feed.

use std::time::Duration;

use contract::feed::SequenceNr;
use tokio::sync::watch;
use tokio::time::Instant;

/// Tells that there may be something new. Only hints, from the sequencer of this process, from other
/// processes, and from the clock: whoever serves those who wait looks.
#[derive(Clone, Debug)]
pub struct News(watch::Sender<Bulletin>);

/// The news as they stand.
#[derive(Clone, Copy, Debug)]
pub struct Bulletin {
    /// Rises with each piece of news and with each look at intervals. What was read before it rose may
    /// lack something.
    pub generation: u64,
    /// When it rose last.
    pub since: Instant,
    /// The newest number heard of.
    pub last: SequenceNr,
}

impl Default for News {
    fn default() -> Self {
        let since = Instant::now();
        Self(watch::Sender::new(Bulletin { generation: 0, since, last: SequenceNr::BEGINNING }))
    }
}

impl News {
    /// What the sequencer of this process knows: the newest number, and whether a new epoch has begun.
    ///
    /// After a failover the counter may stand lower than this process remembers, and who waits for more
    /// has to learn of the new epoch.
    pub fn stamped(&self, last: SequenceNr, has_begun: bool) {
        self.rise_if(|bulletin| has_begun || bulletin.last != last, Some(last));
    }

    /// Another process has given this number; or this one, which knows it already.
    pub fn heard_of(&self, last: SequenceNr) {
        self.rise_if(|bulletin| last > bulletin.last, Some(last));
    }

    /// Anything may have happened.
    pub fn look(&self) {
        self.rise_if(|_| true, None);
    }

    /// The news as they stand; there is one more when nobody has looked for `interval`.
    pub fn current(&self, interval: Duration) -> Bulletin {
        self.rise_if(|bulletin| bulletin.since.elapsed() >= interval, None);
        *self.0.borrow()
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

    fn rise_if(&self, is_news: impl FnOnce(&Bulletin) -> bool, last: Option<SequenceNr>) {
        self.0.send_if_modified(|bulletin| {
            let rises = is_news(bulletin);
            if rises {
                bulletin.generation += 1;
                bulletin.since = Instant::now();
                bulletin.last = last.unwrap_or(bulletin.last);
            }
            rises
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::MAX;

    #[test]
    fn what_is_known_already_is_no_news() {
        let news = News::default();
        let generation = || news.current(NEVER).generation;
        news.stamped(SequenceNr(3), false);
        assert_eq!(generation(), 1);
        news.stamped(SequenceNr(3), false);
        for known in [2, 3] {
            news.heard_of(SequenceNr(known));
        }
        assert_eq!(generation(), 1);
        news.heard_of(SequenceNr(4));
        news.stamped(SequenceNr(4), false);
        assert_eq!(generation(), 2);
        news.stamped(SequenceNr(4), true);
        news.stamped(SequenceNr(2), false);
        news.look();
        assert_eq!((generation(), news.current(NEVER).last), (5, SequenceNr(2)));
    }

    #[tokio::test]
    async fn all_look_together_once_an_interval() {
        let news = News::default();
        let interval = Duration::from_millis(200);
        let mut waiting = news.subscribe();
        assert_eq!(news.current(NEVER).generation, 0);
        tokio::time::sleep(interval).await;
        for _ in 0..3 {
            assert_eq!(news.current(interval).generation, 1);
        }
        waiting.changed().await.unwrap();
    }
}
