//! Problems as responses: a document or a SOAP fault for programs, a page for people.

use axum::Json;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use contract::problem::{MEDIA_TYPE, Problem, ProblemCode};

use super::error_pages::{self, Visit};
use super::frame::Frame;
use super::representation::Representation;
use super::{etag, soap};
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
    by_default: Representation,
}

impl ProblemResponse {
    /// Says when to try again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Makes it a page for whoever does not ask for anything else by name: for addresses that
    /// browsers are sent to.
    #[must_use]
    pub fn page_by_default(mut self) -> Self {
        self.by_default = Representation::Html;
        self
    }
}

impl From<Problem> for ProblemResponse {
    fn from(problem: Problem) -> Self {
        let retry_after = (problem.status == 503).then_some(RETRY_AFTER_UNAVAILABLE);
        Self { problem: Box::new(problem), retry_after, by_default: Representation::Json }
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
        response.extensions_mut().insert(self.by_default);
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

/// What of a request decides how a problem with it is told.
pub(super) struct Asker {
    request_id: String,
    wants: Option<Representation>,
    visit: Visit,
}

impl Asker {
    pub(super) fn new(request_id: String, request: &Request) -> Self {
        let wants = Representation::asked_for(request.headers());
        Self { request_id, wants, visit: Visit::of(request) }
    }
}

/// Writes the body of a response that carries a problem, and turns bare errors of the framework
/// (a wrong method, a body that is too large) into problems.
pub(super) fn write_body(mut response: Response, asker: &Asker, frame: Frame) -> Response {
    let by_default = response.extensions_mut().remove().unwrap_or(Representation::Json);
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => Some(problem),
        None if is_bare_error(&response) => {
            let code = code_of(response.status());
            Some(Problem::new(code, code.help()))
        }
        None => None,
    };
    let Some(mut problem) = problem else { return response };
    problem.instance = Some(format!("/requests/{}", asker.request_id));
    let mut written = match asker.wants.unwrap_or(by_default) {
        Representation::Html => {
            Html(error_pages::of_problem(frame, &problem, &asker.visit)).into_response()
        }
        Representation::Json => ([(CONTENT_TYPE, MEDIA_TYPE)], Json(&problem)).into_response(),
        // SOAP 1.1 would have every fault sent with 500 (section 6.2). The status stays what it is:
        // it is what proxies, logs and retries go by, and the fault is in the body either way.
        Representation::Soap => {
            ([(CONTENT_TYPE, soap::MEDIA_TYPE)], soap::of_problem(&problem)).into_response()
        }
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
