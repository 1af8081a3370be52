//! Problems as responses: a document for programs, a page for people.

use axum::Json;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use contract::problem::{MEDIA_TYPE, Problem, ProblemCode};

use super::frame::Frame;
use super::{error_pages, etag};
use crate::{db, telemetry};

/// When to try again after a 503, in seconds, unless the response says otherwise.
const RETRY_AFTER_UNAVAILABLE: u64 = 5;

/// A problem on its way to the caller.
///
/// The response carries the document in its extensions; [`super::site`] writes the body on the way
/// out, when the request id and the media type that the caller wants are known. The headers that go
/// with a problem are set here: `Retry-After` with a 503, `ETag` with the current version,
/// `WWW-Authenticate` where a token is missing.
#[derive(Clone, Debug)]
pub struct ProblemResponse {
    problem: Box<Problem>,
    retry_after: Option<u64>,
}

impl ProblemResponse {
    /// Says when to try again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<Problem> for ProblemResponse {
    fn from(problem: Problem) -> Self {
        let retry_after = (problem.status == 503).then_some(RETRY_AFTER_UNAVAILABLE);
        Self { problem: Box::new(problem), retry_after }
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.problem.code == ProblemCode::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(Ok(tag)) =
            self.problem.current_version.map(|version| etag::of_version(version).parse())
        {
            headers.insert(ETAG, tag);
        }
        response.extensions_mut().insert(*self.problem);
        response
    }
}

/// The problem that a fault of the database is to the caller. Says no more than its code; the rest
/// is logged here.
pub fn of_database(error: &db::Error) -> Problem {
    tracing::error!(error = telemetry::chain(error), "a request failed");
    let code =
        if error.is_unavailable() { ProblemCode::Unavailable } else { ProblemCode::Internal };
    Problem::new(code, code.help())
}

/// Whether the caller would rather have a page than a document.
pub fn wants_html(headers: &HeaderMap) -> bool {
    prefers_html(headers).unwrap_or(false)
}

/// Whether the caller would rather have a document than a page, where browsers are who usually asks.
pub fn wants_document(headers: &HeaderMap) -> bool {
    !prefers_html(headers).unwrap_or(true)
}

/// `None` when neither is asked for by name.
fn prefers_html(headers: &HeaderMap) -> Option<bool> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim()).find_map(
        |media| match media {
            "text/html" | "application/xhtml+xml" => Some(true),
            "application/json" | MEDIA_TYPE => Some(false),
            _ => None,
        },
    )
}

/// Writes the body of a response that carries a problem, and turns bare errors of the framework
/// (a wrong method, a body that is too large) into problems.
pub(super) fn write_body(
    mut response: Response,
    request_id: &str,
    html: bool,
    frame: Frame,
) -> Response {
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => Some(problem),
        None if is_bare_error(&response) => {
            let code = code_of(response.status());
            Some(Problem::new(code, code.help()))
        }
        None => None,
    };
    let Some(mut problem) = problem else { return response };
    problem.instance = Some(format!("/requests/{request_id}"));
    let mut written = if html {
        Html(error_pages::of_problem(frame, &problem)).into_response()
    } else {
        let mut json = Json(&problem).into_response();
        json.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        json
    };
    *written.status_mut() = response.status();
    // What the problem's own response said besides its body: Allow, Retry-After, ETag, …
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH {
            written.headers_mut().insert(name, value.clone());
        }
    }
    written.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    written
}

/// Errors of the framework have a text body or none at all; ours have a page.
fn is_bare_error(response: &Response) -> bool {
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    (status.is_client_error() || status.is_server_error())
        && content_type.is_none_or(|media| media.starts_with(b"text/plain"))
}

fn code_of(status: StatusCode) -> ProblemCode {
    let same = |code: &&ProblemCode| code.status() == status.as_u16();
    match status {
        StatusCode::CONFLICT => ProblemCode::Conflict,
        StatusCode::SERVICE_UNAVAILABLE => ProblemCode::Unavailable,
        _ => ProblemCode::ALL.iter().find(same).copied().unwrap_or(if status.is_client_error() {
            ProblemCode::InvalidRequest
        } else {
            ProblemCode::Internal
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_media_type_that_is_known_decides() {
        let wants = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            (wants_html(&headers), wants_document(&headers))
        };
        assert_eq!(wants("text/html,application/xhtml+xml,*/*;q=0.8"), (true, false));
        assert_eq!(wants("application/json, text/html"), (false, true));
        assert_eq!(wants("*/*"), (false, false));
        assert!(!wants_html(&HeaderMap::new()) && !wants_document(&HeaderMap::new()));
    }
}
