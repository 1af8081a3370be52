//! Which orders the link names.

use std::collections::HashSet;

use contract::problem::{Problem, ProblemCode, Violation};
use kit::http::read::Params;

use crate::http::pages::order_number;

/// How many orders a link may name.
const MOST: usize = 20;

/// The numbers that the link names, in its order. The same one several times is one.
///
/// # Errors
/// Everything that is wrong with the link.
pub(super) fn wanted(params: &Params) -> Result<Vec<i64>, Box<Problem>> {
    let mut known = HashSet::new();
    let (mut numbers, mut faults) = (Vec::new(), Vec::new());
    for text in params.all("order") {
        match order_number(text) {
            Ok(number) if known.insert(number) => numbers.push(number),
            Ok(_) => {}
            Err(error) => faults.push(error.into_problem()),
        }
    }
    if numbers.len() > MOST {
        faults.push(fault(
            "The link names too many orders",
            format!("It names {}; {MOST} can be shown at a time.", numbers.len()),
        ));
    }
    if numbers.is_empty() && faults.is_empty() {
        faults.push(fault(
            "The link names no order",
            "It should end with the order's number, such as ?order=1001.".to_owned(),
        ));
    }
    match faults.len() {
        0 => Ok(numbers),
        1 => Err(Box::new(faults.remove(0))),
        _ => {
            let violations = faults.into_iter().map(|Problem { title, detail, .. }| {
                Violation::new("/order", "invalid", format!("{title}. {detail}"))
            });
            let code = ProblemCode::InvalidRequest;
            let title = "The link cannot be followed";
            Err(Box::new(Problem::with_violations(code, title, violations.collect())))
        }
    }
}

fn fault(title: &str, detail: String) -> Problem {
    Problem { title: title.to_owned(), ..Problem::new(ProblemCode::InvalidRequest, detail) }
}
