//! Pages for what went wrong.

use askama::Template;
use contract::problem::{Problem, ProblemCode};
use kit::http::frame::Frame;

use super::frame;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    problem: &'a Problem,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct CodePage {
    frame: Frame,
    code: ProblemCode,
}

/// The page for a problem, where a person asked.
pub fn error_page(problem: &Problem) -> String {
    rendered(&ErrorPage { frame: frame(""), problem })
}

/// The page that explains a code: `/problems/{code}`.
pub fn explain(code: ProblemCode) -> String {
    rendered(&CodePage { frame: frame(""), code })
}

/// Rendering fails only when formatting a value does, and none of ours can.
fn rendered(page: &impl Template) -> String {
    page.render().unwrap_or_default()
}
