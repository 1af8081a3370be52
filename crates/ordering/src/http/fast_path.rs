//! Pages of the feed go past the routes: who waits for them comes by the thousand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Uri;
use kit::http::fast_path::{Exchange, FastPath, Prepared, Request};
use kit::http::read::Params;
use kit::settings::Secret;

use super::AppState;
use super::feed::{PAGES, Query, answer};
use super::head::Answer;

/// Answers with the page behind a token.
pub(super) struct FeedPages {
    pub(super) state: AppState,
    /// What callers have to show, when there is one.
    pub(super) api_token: Option<Secret>,
    pub(super) asked: Asked,
}

/// What was asked last, as it was read: who waits at the end of the feed asks what all others there ask, and
/// to read it takes as long as to answer it.
#[derive(Default)]
pub(super) struct Asked(Mutex<VecDeque<(String, Arc<Query>)>>);

/// While some have got the newest page and others are still to get it, there are a few ends of the feed.
const ENDS: usize = 4;

impl Asked {
    /// What stands behind the question mark; `None` when something is wrong with it.
    fn read(&self, text: &str) -> Option<Arc<Query>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.iter().position(|(known, _)| known == text) {
            known.swap(0, place);
            return Some(Arc::clone(&known[0].1));
        }
        let uri: Uri = format!("{PAGES}?{text}").parse().ok()?;
        let query = Arc::new(Query::read(&Params::of(&uri)).ok()?);
        if !query.wait.is_zero() {
            known.truncate(ENDS - 1);
            known.push_front((text.to_owned(), Arc::clone(&query)));
        }
        Some(query)
    }
}

impl FastPath for FeedPages {
    type Asked = Arc<Query>;
    type Left = crate::error::Result<Answer>;

    const ROUTE: &'static str = PAGES;

    fn read(&self, request: &Request<'_>) -> Option<Arc<Query>> {
        let is_known = self.api_token.as_ref().is_none_or(|token| request.presents(token));
        if request.path != PAGES || !is_known {
            return None;
        }
        self.asked.read(request.query.unwrap_or_default())
    }

    async fn answer(
        &self,
        query: Arc<Query>,
        exchange: &Arc<Exchange>,
    ) -> Result<Prepared, Self::Left> {
        match answer(&self.state, &query, Some(exchange)).await {
            Ok(Answer::Page(page)) => {
                self.state.head.pages_served.increment(1);
                Ok(page.prepared(exchange).clone())
            }
            left @ (Ok(Answer::Refused { .. }) | Err(_)) => Err(left),
        }
    }
}
