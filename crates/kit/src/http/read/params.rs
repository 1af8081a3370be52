//! The parameters of a query.

use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::{Uri, request};
use contract::problem::Problem;

use super::Violations;

/// The parameters of a query, read like a body: every violation at once.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.uri))
    }
}

impl Params {
    /// Those of an address.
    pub fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self { pairs: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect() }
    }

    /// The first value called `name`; an empty one counts as missing.
    pub fn text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// All values called `name` that are not empty.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |pair: &&(String, String)| pair.0 == name && !pair.1.is_empty();
        self.pairs.iter().filter(named).map(|(_, value)| value.as_str())
    }

    /// The value called `name` as whatever it parses to.
    pub fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        detail: &str,
        violations: &mut Violations,
    ) -> Option<T> {
        let parsed = self.text(name)?.parse().ok();
        if parsed.is_none() {
            violations.add(format!("/{name}"), "invalid", detail);
        }
        parsed
    }

    /// The whole number called `name`, `default` when it is missing.
    pub fn int(
        &self,
        name: &str,
        default: i64,
        range: RangeInclusive<i64>,
        violations: &mut Violations,
    ) -> i64 {
        let Some(text) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let detail =
                    format!("must be a whole number from {} to {}", range.start(), range.end());
                violations.add(format!("/{name}"), "out-of-range", detail);
                default
            }
        }
    }

    /// Like [`Params::allow_only`], for addresses that programs make: there a parameter that stands
    /// twice is a mistake as well. An empty one is none here too: many programs send all they have.
    pub fn allow_only_once(&self, known: &[&str], violations: &mut Violations) {
        self.allow_only(known, violations);
        for (place, (name, _)) in self.pairs.iter().enumerate() {
            if self.pairs[..place].iter().any(|(earlier, _)| earlier == name) {
                violations.add(format!("/{name}"), "invalid", "must not stand more than once");
            }
        }
    }

    /// Refuses every parameter: for addresses that have none.
    ///
    /// # Errors
    /// The problem `invalid-request`, with each parameter that was sent.
    pub fn expect_none(&self) -> Result<(), Box<Problem>> {
        let mut violations = Violations::new();
        self.allow_only_once(&[], &mut violations);
        violations.into_invalid_request()
    }

    /// Notes every parameter that is not one of `known`.
    pub fn allow_only(&self, known: &[&str], violations: &mut Violations) {
        for (name, _) in self.pairs.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            violations.add(
                format!("/{name}"),
                "unknown-field",
                "is not a parameter of this address",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_with_their_ranges() {
        let pairs = [("limit", "9"), ("wait", "x"), ("odd", "1"), ("after", "")];
        let pairs = pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        let params = Params { pairs };
        let mut violations = Violations::new();
        assert_eq!(params.int("limit", 5, 1..=10, &mut violations), 9);
        assert_eq!(params.int("wait", 0, 0..=60, &mut violations), 0);
        assert_eq!(params.text("after"), None);
        params.allow_only(&["limit", "wait", "after"], &mut violations);
        let found: Vec<_> = violations.into_vec().into_iter().map(|v| v.pointer).collect();
        assert_eq!(found, ["/wait", "/odd"]);
    }

    #[test]
    fn programs_may_send_empty_parameters_but_none_twice() {
        let pairs = [("limit", "9"), ("limit", "8"), ("after", ""), ("wait", "1")];
        let params = Params { pairs: pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec() };
        let mut violations = Violations::new();
        params.allow_only_once(&["limit", "wait", "after"], &mut violations);
        let found: Vec<_> = violations.into_vec().into_iter().map(|v| v.pointer).collect();
        assert_eq!(found, ["/limit"]);
    }
}
