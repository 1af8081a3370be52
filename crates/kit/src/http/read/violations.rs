//! What is wrong with a request, as it is found.

use std::collections::HashSet;

use contract::problem::{Problem, ProblemCode, Violation};

/// How many violations are told at most: more than anybody mends in one go. A body of nothing but
/// mistakes must not take all memory.
pub(super) const MAX_VIOLATIONS: usize = 10_000;

/// Violations as they are found: at most one for each place, the first, and none inside a place that
/// has one itself.
#[derive(Debug, Default)]
pub struct Violations {
    found: Vec<Violation>,
    places: HashSet<String>,
}

impl Violations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one, unless its place has one already: a number that could not be read is not out of
    /// range as well, and what is not an object lacks no fields.
    pub fn add(&mut self, pointer: impl Into<String>, code: &str, detail: impl Into<String>) {
        self.push(Violation::new(pointer, code, detail));
    }

    /// Adds one that is made already; see [`Violations::add`].
    pub fn push(&mut self, violation: Violation) {
        let pointer = violation.pointer.as_str();
        let around = pointer.match_indices('/').map(|(end, _)| &pointer[..end]);
        if !self.is_full() && !around.chain([pointer]).any(|place| self.places.contains(place)) {
            self.places.insert(pointer.to_owned());
            self.found.push(violation);
        }
    }

    /// Whether there are so many that no more are taken.
    pub fn is_full(&self) -> bool {
        self.found.len() >= MAX_VIOLATIONS
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them, in the order in which they were found.
    pub fn into_vec(self) -> Vec<Violation> {
        self.found
    }

    /// `Ok` when there is none, else the problem that lists them.
    ///
    /// # Errors
    /// The problem document, with `title` as what was not accepted.
    pub fn into_result(self, code: ProblemCode, title: &str) -> Result<(), Box<Problem>> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Box::new(Problem::with_violations(code, title, self.found)))
        }
    }

    /// Like [`Violations::into_result`], for what is wrong with parameters or headers.
    ///
    /// # Errors
    /// The problem `invalid-request`.
    pub fn into_invalid_request(self) -> Result<(), Box<Problem>> {
        let code = ProblemCode::InvalidRequest;
        self.into_result(code, code.title())
    }
}

impl Extend<Violation> for Violations {
    fn extend<I: IntoIterator<Item = Violation>>(&mut self, violations: I) {
        violations.into_iter().for_each(|violation| self.push(violation));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_violation() {
        let mut violations = Violations::new();
        violations.add("/a", "wrong-type", "first");
        violations.add("/a", "out-of-range", "second");
        violations.add("/a/b", "required", "what is inside has none of its own");
        violations.add("/ab", "required", "another place");
        let found: Vec<_> = violations.into_vec().into_iter().map(|v| v.pointer).collect();
        assert_eq!(found, ["/a", "/ab"]);
    }
}
