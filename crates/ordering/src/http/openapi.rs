//! What the description of feed and API says besides the addresses themselves.

use std::collections::BTreeMap;

use contract::problem::{Problem, ProblemCode};
use kit::http::openapi::{BearerToken, problems};
use utoipa::openapi::{OpenApi, RefOr, Response};
use utoipa::{IntoResponses, OpenApi as _};

/// The description before the addresses are added.
pub(super) fn base() -> OpenApi {
    Base::openapi()
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Ordering",
        description = "Customers and orders for other services, and a feed that tells every change \
            of a confirmed order.\n\nErrors are problem documents (RFC 9457): `code` is for \
            programs, and `/problems/{code}` explains each. All violations of a request are \
            reported at once, each with its JSON pointer. A caller whose `Accept` asks for \
            `text/xml` or `application/soap+xml` gets the same as a SOAP 1.1 fault, with the same \
            status.",
    ),
    components(schemas(Problem)),
    security(("token" = [])),
    modifiers(&BearerToken),
    tags(
        (name = "feed", description = "Every change of a confirmed order, for consumers"),
        (name = "customers", description = "Who orders"),
        (name = "orders", description = "What is ordered"),
    )
)]
struct Base;

/// What the feed may answer instead of what was asked for.
pub(super) struct FeedProblems;

impl IntoResponses for FeedProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        use ProblemCode as P;
        let own = [P::NotFound, P::FeedReset, P::FeedUnknown, P::StaleProvider];
        problems(&[READ, &own].concat())
    }
}

/// What a request that only reads may be answered with instead.
pub(super) struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[READ, &[ProblemCode::NotFound]].concat())
    }
}

/// What a request that creates may be answered with instead.
pub(super) struct CreateProblems;

impl IntoResponses for CreateProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[READ, WRITE, BODY].concat())
    }
}

/// What a request that writes several things at once may be answered with instead.
pub(super) struct NestedProblems;

impl IntoResponses for NestedProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let own = [ProblemCode::Conflict, ProblemCode::VersionConflict];
        problems(&[READ, WRITE, BODY, &own].concat())
    }
}

/// What a request that replaces something may be answered with instead.
pub(super) struct ReplaceProblems;

impl IntoResponses for ReplaceProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[READ, WRITE, BODY, CHANGE, &[ProblemCode::PreconditionRequired]].concat())
    }
}

/// What a request without a body that changes something may be answered with instead.
pub(super) struct ChangeProblems;

impl IntoResponses for ChangeProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[READ, WRITE, CHANGE].concat())
    }
}

const READ: &[ProblemCode] = &[
    ProblemCode::InvalidRequest,
    ProblemCode::Unauthorized,
    ProblemCode::Internal,
    ProblemCode::Unavailable,
];
/// From another site: see `kit::http::site`.
const WRITE: &[ProblemCode] = &[ProblemCode::Forbidden];
const BODY: &[ProblemCode] = &[
    ProblemCode::PayloadTooLarge,
    ProblemCode::UnsupportedMediaType,
    ProblemCode::ValidationFailed,
];
const CHANGE: &[ProblemCode] =
    &[ProblemCode::NotFound, ProblemCode::Conflict, ProblemCode::VersionConflict];
