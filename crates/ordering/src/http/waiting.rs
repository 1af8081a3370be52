//! Requests that wait at the end of the feed go past the routes: they come by the thousand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use kit::http::auth;
use kit::http::read::Params;
use kit::http::shortcut::Shortcut;
use kit::settings::Secret;

use super::AppState;
use super::feed::{PAGES, Query, serve};
use super::head::Answer;
use super::line;

/// Waits for the page behind a token, and sends it.
pub struct Waiting {
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
    /// The query of an address; `None` when it is not one of who waits.
    fn read(&self, uri: &Uri) -> Option<Arc<Query>> {
        let text = uri.query()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.iter().position(|(known, _)| known == text) {
            known.swap(0, place);
            return Some(Arc::clone(&known[0].1));
        }
        let query = Query::read(&Params::of(uri)).ok().filter(|query| !query.wait.is_zero())?;
        let query = Arc::new(query);
        known.truncate(ENDS - 1);
        known.push_front((text.to_owned(), Arc::clone(&query)));
        Some(query)
    }
}

impl Shortcut for Waiting {
    const ROUTE: &'static str = PAGES;

    fn take(
        &self,
        request: &Request,
    ) -> Option<impl Future<Output = Option<Response>> + Send + 'static> {
        let headers = request.headers();
        let is_known = self.api_token.as_ref().is_none_or(|token| auth::presents(headers, token));
        if request.uri().path() != PAGES || !is_known || headers.contains_key(IF_NONE_MATCH) {
            return None;
        }
        let query = self.asked.read(request.uri())?;
        let state = Arc::clone(&self.state);
        Some(async move {
            match line::wait(&state, &query.page, query.wait).await {
                Ok(Answer::Page(page)) => Some(serve(&state, &page, &HeaderMap::new())),
                Ok(Answer::Refused { .. }) | Err(_) => None,
            }
        })
    }
}
