//! Asking for pages before their turn, so that one is made and sent while others are read and taken in.
//!
//! Whether a page still goes on from where billing stands, the store finds out when it is taken in. What was
//! asked in vain is dropped.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use contract::feed::ContinuationToken;
use tokio::join;
use tokio::sync::mpsc;

use super::{Page, PullError, Puller, answer};
use crate::store::PullState;
use crate::upstream::Answer;

/// How many pages wait to be taken in, besides those that are being taken in, the one that is being read and
/// the one that is being asked for: either side may take longer for a page now and then, and those that
/// wait are taken in together.
pub(super) const READ_AHEAD: usize = 2;

/// A page that was asked for before its turn, or why there is none.
pub(super) struct Ahead {
    /// What it was asked in. Whether that still holds, the store finds out when it takes the page in.
    pub(super) state: PullState,
    pub(super) answer: Result<Page, PullError>,
}

impl Ahead {
    /// What to ask for the page behind; `None` when there is none.
    fn next(&self) -> Option<PullState> {
        let page = self.answer.as_ref().ok().filter(|page| page.has_more)?;
        Some(PullState {
            identity: Some(page.identity.clone()),
            continuation_token: Some(page.continuation_token.clone()),
            ..PullState::default()
        })
    }

    /// Hands it on. What to ask for the page behind; `None` when there is none, or nobody wants it.
    async fn hand_on(self, pages: &mpsc::Sender<Self>) -> Option<PullState> {
        let next = self.next();
        pages.send(self).await.ok().and(next)
    }
}

impl Puller {
    /// Asks for the page behind the token of `state`.
    pub(super) async fn ask(&self, state: PullState) -> Ahead {
        let answer = self.client.page(state.continuation_token.as_ref()).await;
        Ahead { state, answer }
    }

    /// Hands on `first` and the pages behind it. While a long one is read, the next is asked for. Does not
    /// return: whoever takes them in knows when that is over.
    pub(super) async fn ask_ahead(&self, first: Ahead, pages: mpsc::Sender<Ahead>) -> Infallible {
        let mut next = first.hand_on(&pages).await;
        let mut early: Option<Early> = None;
        while let Some(state) = next {
            let token = state.continuation_token.clone();
            let answer = match early.filter(|early| Some(&early.token) == token.as_ref()) {
                Some(early) => early.answer,
                None => self.client.ask(token.as_ref(), Duration::ZERO).await,
            };
            // A short one is read before the next could be asked for, and often is the last.
            let long = answer.as_ref().ok().filter(|answer| !answer::is_short(answer));
            let behind = long.and_then(|answer| answer::next_token(answer, token.as_ref()));
            let read = async {
                let answer = match answer {
                    Ok(answer) => self.client.read(answer, token).await,
                    Err(error) => Err(error),
                };
                Ahead { state, answer }.hand_on(&pages).await
            };
            (next, early) = join!(read, self.ask_early(behind));
        }
        drop(pages);
        pending().await
    }

    async fn ask_early(&self, behind: Option<ContinuationToken>) -> Option<Early> {
        let token = behind?;
        let answer = self.client.ask(Some(&token), Duration::ZERO).await;
        Some(Early { token, answer })
    }
}

/// An answer that was asked for before the page before it was read.
struct Early {
    token: ContinuationToken,
    answer: Result<Answer, PullError>,
}
