//! What the descriptions of both services' APIs have in common.

use std::collections::BTreeMap;

use contract::problem::{MEDIA_TYPE, ProblemCode};
use utoipa::Modify;
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Object, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// Describes the bearer token, as the security scheme `token`.
pub struct BearerToken;

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

/// What an address may answer instead of what was asked for: one response for each status, which
/// tells the codes that go with it, in the forms that a caller may ask for. The description must list
/// the schema `Problem`.
pub fn problems(codes: &[ProblemCode]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for code in codes {
        let told = format!("`{code}`: {}", code.title());
        by_status.entry(code.status()).or_default().push(told);
    }
    let response = |told: Vec<String>| {
        let document = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let text = || ContentBuilder::new().schema(Some(Object::with_type(Type::String))).build();
        ResponseBuilder::new()
            .description(told.join("; "))
            .content(MEDIA_TYPE, document)
            .content("text/html", text())
            .content("text/xml", text())
            .build()
    };
    by_status
        .into_iter()
        .map(|(status, told)| (status.to_string(), response(told).into()))
        .collect()
}
