//! What can go wrong in a request: the only mapping from faults to problems.

use axum::response::{IntoResponse, Response};
use contract::feed::FeedIdentity;
use contract::order::Order;
use contract::problem::{Problem, ProblemCode, Violation};
use kit::db;
use kit::http::problem::{ProblemResponse, of_database};

use crate::store::{Change, Created};

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

/// What a change gave, or why it was not made; `missing` is for what is not there.
pub fn accepted<T>(change: Change<T>, missing: fn() -> Error) -> Result<T> {
    match change {
        Change::Done(result) => Ok(result),
        Change::NotFound => Err(missing()),
        Change::VersionConflict(current) => {
            let code = ProblemCode::VersionConflict;
            let detail = format!("The current version is {current}.");
            Err(Problem { current_version: Some(current), ..Problem::new(code, detail) }.into())
        }
        Change::Deleted => {
            Err(Error::new(ProblemCode::Conflict, "The order is deleted and stays as it is."))
        }
        Change::UnknownCustomer => Err(not_accepted(unknown_customer())),
    }
}

/// The new order, or why there is none.
pub fn created(answer: Created) -> Result<Order> {
    match answer {
        Created::Order(order) => Ok(*order),
        Created::UnknownCustomer => Err(not_accepted(unknown_customer())),
        Created::KeyReused => Err(not_accepted(Violation::new(
            "/Idempotency-Key",
            "reused",
            "was sent before with another order",
        ))),
    }
}

/// An order's customer does not exist.
pub fn unknown_customer() -> Violation {
    Violation::new("/customerId", "unknown", "must be the id of a customer")
}

fn not_accepted(violation: Violation) -> Error {
    let code = ProblemCode::ValidationFailed;
    Problem::with_violations(code, ORDER_NOT_ACCEPTED, vec![violation]).into()
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
