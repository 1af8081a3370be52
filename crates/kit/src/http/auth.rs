//! Bearer tokens for the callers of the feed and the API.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use contract::problem::{Problem, ProblemCode};
use subtle::ConstantTimeEq;

use super::problem::ProblemResponse;
use crate::settings::Secret;

/// Lets only callers with the token reach `routes`; everybody when there is no token.
pub fn require_token<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    token: Option<Secret>,
) -> Router<S> {
    match token {
        Some(token) => routes.layer(from_fn_with_state(token, check)),
        None => routes,
    }
}

async fn check(State(token): State<Secret>, request: Request, next: Next) -> Response {
    if presents(request.headers(), &token) {
        next.run(request).await
    } else {
        let code = ProblemCode::Unauthorized;
        ProblemResponse::from(Problem::new(code, code.help())).into_response()
    }
}

/// Whether a request comes with the token.
fn presents(headers: &HeaderMap, token: &Secret) -> bool {
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    sent.is_some_and(|sent| is_bearer(sent, token))
}

/// Whether what stands in the field `Authorization` is the token. Compared in constant time: how long a
/// refusal takes must not tell how much was right.
pub(super) fn is_bearer(sent: &str, token: &Secret) -> bool {
    sent.split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .is_some_and(|(_, sent)| sent.trim().as_bytes().ct_eq(token.reveal().as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_is_accepted() {
        let token: Secret = "s3cret".parse().unwrap();
        let sent = |value: &str| {
            presents(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]), &token)
        };
        assert!(sent("Bearer s3cret") && sent("bearer s3cret"));
        assert!(!sent("Bearer s3cre") && !sent("Bearer s3crets") && !sent("Basic s3cret"));
        assert!(!presents(&HeaderMap::new(), &token));
    }
}
