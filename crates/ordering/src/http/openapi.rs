//! What the description of feed and API says besides the addresses themselves.

use std::collections::BTreeMap;

use contract::problem::{MEDIA_TYPE, Problem, ProblemCode};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi as _};

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
            reported at once, each with its JSON pointer.",
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

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, api: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The API token that the service was started with, if any."))
            .build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// What the feed may answer instead of what was asked for.
pub(super) struct FeedProblems;

impl IntoResponses for FeedProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        use ProblemCode as P;
        let own = [P::NotFound, P::FeedReset, P::FeedUnknown, P::StaleProvider];
        responses(&[READ, &own].concat())
    }
}

/// What a request that only reads may be answered with instead.
pub(super) struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&[READ, &[ProblemCode::NotFound]].concat())
    }
}

/// What a request that creates may be answered with instead.
pub(super) struct CreateProblems;

impl IntoResponses for CreateProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&[READ, BODY].concat())
    }
}

/// What a request that replaces something may be answered with instead.
pub(super) struct ReplaceProblems;

impl IntoResponses for ReplaceProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&[READ, BODY, CHANGE, &[ProblemCode::PreconditionRequired]].concat())
    }
}

/// What a request without a body that changes something may be answered with instead.
pub(super) struct ChangeProblems;

impl IntoResponses for ChangeProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&[READ, CHANGE].concat())
    }
}

const READ: &[ProblemCode] = &[
    ProblemCode::InvalidRequest,
    ProblemCode::Unauthorized,
    ProblemCode::Internal,
    ProblemCode::Unavailable,
];
const BODY: &[ProblemCode] = &[
    ProblemCode::PayloadTooLarge,
    ProblemCode::UnsupportedMediaType,
    ProblemCode::ValidationFailed,
];
const CHANGE: &[ProblemCode] =
    &[ProblemCode::NotFound, ProblemCode::Conflict, ProblemCode::VersionConflict];

/// One response for each status, which tells the codes that go with it.
fn responses(codes: &[ProblemCode]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for code in codes {
        let told = format!("`{code}`: {}", code.title());
        by_status.entry(code.status()).or_default().push(told);
    }
    let response = |told: Vec<String>| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        ResponseBuilder::new().description(told.join("; ")).content(MEDIA_TYPE, content).build()
    };
    by_status
        .into_iter()
        .map(|(status, told)| (status.to_string(), response(told).into()))
        .collect()
}
