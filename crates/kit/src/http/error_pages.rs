//! Pages for what went wrong, the same in both services but for their frame.

use askama::Template;
use contract::problem::{Problem, ProblemCode};

use super::frame::Frame;

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
pub fn of_problem(frame: Frame, problem: &Problem) -> String {
    rendered(&ErrorPage { frame, problem })
}

/// The page that explains a code: `/problems/{code}`.
pub fn of_code(frame: Frame, code: ProblemCode) -> String {
    rendered(&CodePage { frame, code })
}

/// Rendering fails only when formatting a value does, and none of ours can.
fn rendered(page: &impl Template) -> String {
    page.render().unwrap_or_default()
}
