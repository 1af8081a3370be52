//! What can go wrong in a request: the only mapping from faults to problems.

use axum::response::{IntoResponse, Response};
use contract::problem::{Problem, ProblemCode};
use kit::db;
use kit::http::problem::{ProblemResponse, of_database};

use crate::pull::PullError;

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's fault, told as it is.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// The database's fault; its text is for the log only.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// A pull that a caller asked for.
    #[error(transparent)]
    Pull(#[from] PullError),
}

/// What a handler gives.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A problem with this code and explanation.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// There is no such thing; `what` names it.
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemCode::NotFound, format!("There is no {what}."))
    }

    /// The problem to tell; logs what must not be told.
    pub fn into_problem(self) -> Problem {
        match self {
            Self::Problem(problem) => *problem,
            Self::Database(error) | Self::Pull(PullError::Database(error)) => of_database(&error),
            Self::Pull(error) => {
                error.warn("a pull on demand failed");
                let mut detail = error.to_string();
                if !detail.ends_with('.') {
                    detail.push('.');
                }
                Problem::new(code_of(&error), detail)
            }
        }
    }
}

/// What a pull that failed is for the caller who asked for it.
fn code_of(error: &PullError) -> ProblemCode {
    match error {
        PullError::Upstream(fault) => fault.code,
        PullError::Reset(_) | PullError::UnknownFeed(_) => ProblemCode::UpstreamInvalid,
        PullError::NotFound(_) => ProblemCode::NotFound,
        PullError::StaleProvider { .. } => ProblemCode::StaleProvider,
        PullError::LaggingStandby { .. } => ProblemCode::UpstreamUnavailable,
        PullError::Database(_) => ProblemCode::Unavailable,
    }
}

impl From<Box<Problem>> for Error {
    fn from(problem: Box<Problem>) -> Self {
        Self::Problem(problem)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let retry_after = match &self {
            Self::Pull(error) => error.retry_after(),
            _ => None,
        };
        let response = ProblemResponse::from(self.into_problem());
        match retry_after {
            Some(wait) => response.retry_after(wait.as_secs()),
            None => response,
        }
        .into_response()
    }
}
