//! What the description of the API says besides the addresses themselves.

use std::collections::BTreeMap;

use contract::problem::{Problem, ProblemCode as P};
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
        title = "Billing",
        description = "The local copy of ordering's orders, the invoices that are made of them, \
            and the pull that keeps both sides equal.\n\nErrors are problem documents (RFC 9457): \
            `code` is for programs, and `/problems/{code}` explains each. All violations of a \
            request are reported at once, each with its JSON pointer. A caller whose `Accept` asks \
            for `text/xml` or `application/soap+xml` gets the same as a SOAP 1.1 fault, with the \
            same status.\n\nA fault of another system is told by what it means here: 502 when what \
            it was asked, or what it answered, is not what was agreed, 503 when it is away or \
            refuses, 504 when it is late. `detail` names the system and says what it said.",
    ),
    components(schemas(Problem)),
    security(("token" = [])),
    modifiers(&BearerToken),
    tags(
        (name = "orders", description = "The local copy of what was ordered"),
        (name = "invoices", description = "What is charged"),
        (name = "pull", description = "How the copy is kept equal to ordering"),
        (name = "quarantine", description = "Orders that could not be taken in"),
        (name = "link", description = "Where ordering sends the browser"),
    )
)]
struct Base;

const READ: &[P] = &[P::InvalidRequest, P::Unauthorized, P::Internal, P::Unavailable];
/// From another site: see `kit::http::site`.
const WRITE: &[P] = &[P::Forbidden];

/// What a list, or the state of the pull, may be answered with instead.
pub(super) struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(READ)
    }
}

/// What a question for one document may be answered with instead.
pub(super) struct FindProblems;

impl IntoResponses for FindProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[READ, &[P::NotFound]].concat())
    }
}

/// What a change of an invoice may be answered with instead.
pub(super) struct ChangeProblems;

impl IntoResponses for ChangeProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[READ, WRITE, &[P::NotFound, P::Conflict, P::VersionConflict]].concat())
    }
}

/// What a decision about an order may be answered with instead.
pub(super) struct DecisionProblems;

impl IntoResponses for DecisionProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let own = [
            P::NotFound,
            P::Conflict,
            P::PayloadTooLarge,
            P::UnsupportedMediaType,
            P::ValidationFailed,
        ];
        problems(&[READ, WRITE, &own].concat())
    }
}

/// What a pull on demand may be answered with instead.
pub(super) struct PullProblems;

impl IntoResponses for PullProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let own =
            [P::UpstreamInvalid, P::UpstreamUnavailable, P::StaleProvider, P::UpstreamTimeout];
        problems(&[READ, WRITE, &own].concat())
    }
}

/// What the wish to pull an order in quarantine again may be answered with instead.
pub(super) struct RetryProblems;

impl IntoResponses for RetryProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let own = [
            P::NotFound,
            P::Conflict,
            P::UpstreamInvalid,
            P::UpstreamUnavailable,
            P::StaleProvider,
            P::UpstreamTimeout,
        ];
        problems(&[READ, WRITE, &own].concat())
    }
}

/// What the deep link may be answered with instead.
pub(super) struct LinkProblems;

impl IntoResponses for LinkProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let own = [
            P::InvalidRequest,
            P::NotFound,
            P::Internal,
            P::UpstreamInvalid,
            P::Unavailable,
            P::UpstreamUnavailable,
            P::StaleProvider,
            P::UpstreamTimeout,
        ];
        problems(&own)
    }
}

/// What setting the token may be answered with instead.
pub(super) struct TokenProblems;

impl IntoResponses for TokenProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let own = [
            P::FeedReset,
            P::FeedUnknown,
            P::PayloadTooLarge,
            P::UnsupportedMediaType,
            P::ValidationFailed,
        ];
        problems(&[READ, WRITE, &own].concat())
    }
}
