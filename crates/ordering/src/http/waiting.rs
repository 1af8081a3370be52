//! Requests that wait at the end of the feed go past the routes: they come by the thousand.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;
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
        let query = Query::read(&Params::of(request.uri())).ok()?;
        if query.wait.is_zero() {
            return None;
        }
        let state = Arc::clone(&self.state);
        Some(async move {
            match line::wait(&state, &query.page, query.wait).await {
                Ok(Answer::Page(page)) => Some(serve(&state, &page, &HeaderMap::new())),
                Ok(Answer::Refused { .. }) | Err(_) => None,
            }
        })
    }
}
