//! What can go wrong in a request: the only mapping from faults to problems.

use axum::response::{IntoResponse, Response};
use contract::feed::FeedIdentity;
use contract::problem::{Problem, ProblemCode, Violation};
use kit::db;
use kit::http::problem::{ProblemResponse, of_database};

use crate::store::Change;

/// Why a request fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's fault, told as it is.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// The database's fault; its text is for the log only.
    #[error(transparent)]
    Database(#[from] db::Error),
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

    /// Names the feed and its epoch beside the problem, as every answer of the feed does.
    #[must_use]
    pub fn of_feed(self, feed: FeedIdentity) -> Self {
        match self {
            Self::Problem(problem) => Problem { feed: Some(feed), ..*problem }.into(),
            other @ Self::Database(_) => other,
        }
    }

    /// The problem to tell; logs what must not be told.
    pub fn into_problem(self) -> Problem {
        match self {
            Self::Problem(problem) => *problem,
            Self::Database(error) => of_database(&error),
        }
    }
}

/// The title of a problem that lists what is wrong with an order.
pub const ORDER_NOT_ACCEPTED: &str = "The order was not accepted";
/// The title of a problem that lists what is wrong with a customer.
pub const CUSTOMER_NOT_ACCEPTED: &str = "The customer was not accepted";

/// What a change gave, or why it was not made; `missing` is for what is not there, `title` for what
/// is wrong.
pub fn accepted<T>(change: Change<T>, missing: fn() -> Error, title: &str) -> Result<T> {
    let invalid = |violations| {
        Problem::with_violations(ProblemCode::ValidationFailed, title, violations).into()
    };
    match change {
        Change::Done(result) => Ok(result),
        Change::NotFound => Err(missing()),
        Change::VersionConflict(current) => Err(version_conflict(current).into()),
        Change::Deleted => Err(deleted().into()),
        Change::Invalid(violations) => Err(invalid(violations)),
        Change::KeyReused => Err(invalid(vec![key_reused()])),
    }
}

/// The change was meant for another version than this current one.
pub fn version_conflict(current: i64) -> Problem {
    let detail = format!("The current version is {current}.");
    Problem { current_version: Some(current), ..Problem::new(ProblemCode::VersionConflict, detail) }
}

/// A deleted order cannot be changed.
pub fn deleted() -> Problem {
    Problem::new(ProblemCode::Conflict, "The order is deleted and stays as it is.")
}

/// An idempotency key stands for one request.
pub fn key_reused() -> Violation {
    Violation::new("/Idempotency-Key", "reused", "was sent before with another request")
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
        ProblemResponse::from(self.into_problem()).into_response()
    }
}
