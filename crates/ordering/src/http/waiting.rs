//! Requests that wait at the end of the feed go past the routes: they come by the thousand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::Uri;
use kit::http::fast_path::{Exchange, FastPath, Prepared, Request};
use kit::http::read::Params;
use kit::settings::Secret;

use super::AppState;
use super::feed::{PAGES, Query};
use super::head::Answer;
use super::line;

/// Waits for the page behind a token, and sends it.
pub(super) struct Waiting {
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
    /// What stands behind the question mark; `None` when it is not of one who waits.
    fn read(&self, text: &str) -> Option<Arc<Query>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.iter().position(|(known, _)| known == text) {
            known.swap(0, place);
            return Some(Arc::clone(&known[0].1));
        }
        let uri: Uri = format!("{PAGES}?{text}").parse().ok()?;
        let query = Query::read(&Params::of(&uri)).ok().filter(|query| !query.wait.is_zero())?;
        let query = Arc::new(query);
        known.truncate(ENDS - 1);
        known.push_front((text.to_owned(), Arc::clone(&query)));
        Some(query)
    }
}

impl FastPath for Waiting {
    type Asked = Arc<Query>;

    const ROUTE: &'static str = PAGES;

    fn read(&self, request: &Request<'_>) -> Option<Arc<Query>> {
        let is_known = self.api_token.as_ref().is_none_or(|token| request.presents(token));
        if request.path != PAGES || !is_known {
            return None;
        }
        self.asked.read(request.query?)
    }

    async fn answer(&self, query: Arc<Query>, exchange: &Arc<Exchange>) -> Option<Prepared> {
        match line::wait(&self.state, &query.page, query.wait, Some(exchange)).await {
            Ok(Answer::Page(page)) => {
                self.state.head.pages_served.increment(1);
                Some(page.prepared(exchange).clone())
            }
            Ok(Answer::Refused { .. }) | Err(_) => None,
        }
    }
}
