//! One HTTP exchange with a service.

use std::time::Duration;

use contract::problem::{MEDIA_TYPE, Problem, ProblemCode};
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use reqwest::{Client, Method, RequestBuilder, Response, redirect};
use serde::de::DeserializeOwned;

/// Longer than anything a service may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request was not answered as asked.
#[derive(Debug)]
pub enum Failure {
    /// The connection was refused or broke off: whether the request was carried out is not known.
    NoAnswer(reqwest::Error),
    /// The service said no.
    Problem(Box<Problem>),
}

/// What a request gives.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// The problem's code; `None` when there was no answer.
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::NoAnswer(_) => None,
            Self::Problem(problem) => Some(problem.code),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::NoAnswer(error)
    }
}

/// Asserts that the service refused with this code.
///
/// # Panics
/// When it did anything else.
#[track_caller]
pub fn assert_refused<T: std::fmt::Debug>(result: Result<T>, code: ProblemCode) -> Problem {
    match result {
        Err(Failure::Problem(problem)) if problem.code == code => *problem,
        other => panic!("expected {code}, got {other:?}"),
    }
}

/// A service's address, with the token that it wants.
#[derive(Clone, Debug)]
pub struct Api {
    http: Client,
    base: String,
    token: Option<String>,
}

impl Api {
    /// The service at `base` (`http://host:port`).
    pub fn new(base: String) -> Self {
        let http = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            // Plain HTTP only: no certificates are needed, so a machine without any will do.
            .tls_certs_only([])
            .build()
            .expect("the client needs nothing of this machine");
        Self { http, base, token: None }
    }

    /// The same service, asked with this bearer token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// A request, to be completed and sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// The answer as it is, errors too.
    ///
    /// # Panics
    /// When there is none.
    pub async fn raw(&self, path: &str) -> Response {
        let response = self.request(Method::GET, path).send().await;
        response.unwrap_or_else(|error| panic!("GET {path}: {error:?}"))
    }

    /// A page as a browser asks for it: its status and its text.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn page(&self, path: &str) -> (u16, String) {
        let request = self.request(Method::GET, path).header("Accept", "text/html");
        let response = request.send().await.expect("a page is answered");
        let status = response.status().as_u16();
        (status, response.text().await.expect("a page is text"))
    }

    /// What is at `path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.request(Method::GET, path).send().await?).await
    }
}

/// Sends a change that is meant for `version`, if any.
pub(crate) async fn change<T: DeserializeOwned>(
    request: RequestBuilder,
    version: Option<i64>,
) -> Result<T> {
    let request = match version {
        Some(version) => request.header(IF_MATCH, format!("\"{version}\"")),
        None => request,
    };
    read(request.send().await?).await
}

/// The document that was answered, or the problem.
///
/// # Panics
/// When it is neither: then the service breaks the contract.
pub(crate) async fn read<T: DeserializeOwned>(response: Response) -> Result<T> {
    let (status, url) = (response.status(), response.url().clone());
    let media = response.headers().get(CONTENT_TYPE).cloned();
    let body = response.bytes().await?;
    let wrong = |why: &dyn std::fmt::Display| -> ! {
        panic!("{url} answered {status}, {why}: {}", String::from_utf8_lossy(&body))
    };
    if status.is_success() {
        return Ok(serde_json::from_slice(&body).unwrap_or_else(|error| wrong(&error)));
    }
    if media.is_none_or(|media| media != MEDIA_TYPE) {
        wrong(&"an error that is no problem document");
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) if problem.status == status.as_u16() => {
            Err(Failure::Problem(Box::new(problem)))
        }
        Ok(_) => wrong(&"another status than its document says"),
        Err(error) => wrong(&error),
    }
}

/// A list's next page: the text to send as `after`. Numbers and texts are both fine.
pub(crate) fn next_page(next: &serde_json::Value) -> Option<String> {
    match next {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
