//! Pages for what went wrong, the same in both services but for their frame.

use askama::Template;
use axum::extract::Request;
use axum::http::header::{HOST, REFERER};
use axum::http::{HeaderMap, HeaderValue, Method};
use contract::problem::{Problem, ProblemCode};
use url::Url;

use super::frame::Frame;
use super::next_step::NextStep;

/// How somebody came to where something went wrong, and so which ways on there are.
pub(super) struct Visit {
    /// The page was asked for, so that asking for it again repeats nothing else.
    is_get: bool,
    /// The page of ours that led here.
    came_from: Option<String>,
}

impl Visit {
    pub(super) fn of(request: &Request) -> Self {
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        Self { is_get, came_from: came_from(request.headers()) }
    }
}

/// The page that the browser says it was on, when it is one of this very service.
fn came_from(headers: &HeaderMap) -> Option<String> {
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    let page: Url = headers.get(REFERER).and_then(text)?.parse().ok()?;
    let host = headers.get(HOST).and_then(text)?;
    let is_ours = matches!(page.scheme(), "http" | "https") && page.authority() == host;
    is_ours.then(|| page.into())
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    problem: &'a Problem,
    next: NextStep,
    visit: &'a Visit,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct CodePage {
    frame: Frame,
    code: ProblemCode,
}

/// The page for a problem, where a person asked.
pub(super) fn of_problem(frame: Frame, problem: &Problem, visit: &Visit) -> String {
    rendered(&ErrorPage { frame, problem, next: NextStep::after(problem.code), visit })
}

/// The page that explains a code: `/problems/{code}`.
pub fn of_code(frame: Frame, code: ProblemCode) -> String {
    rendered(&CodePage { frame, code })
}

/// Rendering fails only when formatting a value does, and none of ours can.
fn rendered(page: &impl Template) -> String {
    page.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_this_service_is_led_back_to() {
        let came_from = |referer: &'static str| {
            came_from(&HeaderMap::from_iter([
                (HOST, HeaderValue::from_static("shop.example:8080")),
                (REFERER, HeaderValue::from_static(referer)),
            ]))
        };
        let page = "http://shop.example:8080/orders/7?a=b";
        assert_eq!(came_from(page).as_deref(), Some(page));
        for other in [
            "http://evil.example/",
            "http://shop.example/",
            "http://shop.example:8080@evil.example/",
            "javascript:alert(1)",
            "/orders/7",
            "",
        ] {
            assert_eq!(came_from(other), None, "{other}");
        }
        assert_eq!(super::came_from(&HeaderMap::new()), None);
    }
}
