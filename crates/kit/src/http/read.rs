//! Reading requests so that every violation is reported at once, each with its place.

use std::collections::{BTreeSet, HashSet};
use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawQuery, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, request};
use axum::response::IntoResponse;
use contract::problem::{Problem, ProblemCode, Violation};
use serde_json::{Map, Value};

use super::problem::ProblemResponse;

/// How many violations are told at most: more than anybody mends in one go. A body of nothing but
/// mistakes must not take all memory.
const MAX_VIOLATIONS: usize = 10_000;

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
}

impl Extend<Violation> for Violations {
    fn extend<I: IntoIterator<Item = Violation>>(&mut self, violations: I) {
        violations.into_iter().for_each(|violation| self.push(violation));
    }
}

/// A JSON body: syntax and media type are checked, the content is still to be read with an
/// [`ObjectReader`]. Keeps the bytes, for fingerprints.
#[derive(Clone, Debug)]
pub struct JsonBody {
    /// The document.
    pub value: Value,
    /// The body as it came.
    pub bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = axum::response::Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let refuse = |code, detail: String| {
            ProblemResponse::from(Problem::new(code, detail)).into_response()
        };
        if !is_json(request.headers()) {
            let code = ProblemCode::UnsupportedMediaType;
            return Err(refuse(code, code.help().to_owned()));
        }
        let bytes =
            Bytes::from_request(request, state).await.map_err(|rejection| {
                match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => {
                        let code = ProblemCode::PayloadTooLarge;
                        refuse(code, code.help().to_owned())
                    }
                    _ => refuse(ProblemCode::InvalidRequest, "The body could not be read.".into()),
                }
            })?;
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            let detail = format!("The body is not JSON: {error}");
            refuse(ProblemCode::InvalidRequest, detail)
        })?;
        Ok(Self { value, bytes })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json") || media.to_ascii_lowercase().ends_with("+json")
}

/// Reads the fields of a JSON object, noting what is missing, of the wrong type or unknown.
///
/// A field that cannot be read gives its type's default; the caller looks at the violations before
/// it uses anything.
pub struct ObjectReader<'a> {
    object: Option<&'a Map<String, Value>>,
    pointer: String,
    read: BTreeSet<&'static str>,
    violations: &'a mut Violations,
}

impl<'a> ObjectReader<'a> {
    /// Reads `value`, which stands at `pointer` (empty for the whole body).
    pub fn new(value: &'a Value, pointer: String, violations: &'a mut Violations) -> Self {
        let object = value.as_object();
        if object.is_none() {
            violations.add(pointer.clone(), "wrong-type", "must be an object");
        }
        Self { object, pointer, read: BTreeSet::new(), violations }
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &'static str) -> String {
        self.required(name);
        self.optional_text(name).unwrap_or_default()
    }

    /// A text that may be missing or null.
    pub fn optional_text(&mut self, name: &'static str) -> Option<String> {
        let value = self.field(name)?;
        let text = value.as_str().map(str::to_owned);
        self.expect(name, text, "must be a text")
    }

    /// A whole number that must be there.
    pub fn int(&mut self, name: &'static str) -> i64 {
        self.required(name);
        self.optional_int(name).unwrap_or_default()
    }

    /// A whole number that may be missing or null.
    pub fn optional_int(&mut self, name: &'static str) -> Option<i64> {
        let value = self.field(name)?;
        self.expect(name, value.as_i64(), "must be a whole number")
    }

    /// A yes or no that may be missing or null.
    pub fn optional_bool(&mut self, name: &'static str) -> Option<bool> {
        let value = self.field(name)?;
        self.expect(name, value.as_bool(), "must be true or false")
    }

    /// An object that may be missing or null.
    pub fn optional_object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut ObjectReader<'_>) -> T,
    ) -> Option<T> {
        let value = self.field(name)?;
        let mut reader = ObjectReader::new(value, self.pointer_to(name), self.violations);
        let object = read(&mut reader);
        reader.finish();
        Some(object)
    }

    /// A list of objects that must be there.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut ObjectReader<'_>) -> T,
    ) -> Vec<T> {
        self.required(name);
        let Some(value) = self.field(name) else { return Vec::new() };
        let list = value.as_array();
        let Some(list) = self.expect(name, list, "must be a list") else { return Vec::new() };
        let pointer = self.pointer_to(name);
        let mut objects = Vec::with_capacity(list.len());
        for (place, value) in list.iter().enumerate() {
            // Then the list is not used anyway.
            if self.violations.is_full() {
                break;
            }
            let mut reader =
                ObjectReader::new(value, format!("{pointer}/{place}"), self.violations);
            objects.push(read(&mut reader));
            reader.finish();
        }
        objects
    }

    /// Notes every field that was not asked for.
    pub fn finish(self) {
        let Some(object) = self.object else { return };
        for name in object.keys().filter(|name| !self.read.contains(name.as_str())) {
            // RFC 6901, section 3
            let escaped = name.replace('~', "~0").replace('/', "~1");
            let pointer = format!("{}/{escaped}", self.pointer);
            self.violations.add(pointer, "unknown-field", "is not a field of this document");
        }
    }

    fn required(&mut self, name: &'static str) {
        if self.object.is_some() && self.field(name).is_none() {
            self.violations.add(self.pointer_to(name), "required", "is required");
        }
    }

    fn field(&mut self, name: &'static str) -> Option<&'a Value> {
        self.read.insert(name);
        self.object?.get(name).filter(|value| !value.is_null())
    }

    fn expect<T>(&mut self, name: &'static str, value: Option<T>, detail: &str) -> Option<T> {
        if value.is_none() {
            self.violations.add(self.pointer_to(name), "wrong-type", detail);
        }
        value
    }

    fn pointer_to(&self, name: &str) -> String {
        format!("{}/{name}", self.pointer)
    }
}

/// The parameters of a query, read like a body: every violation at once.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut request::Parts,
        state: &S,
    ) -> Result<Self, Self::Rejection> {
        let RawQuery(query) = RawQuery::from_request_parts(parts, state).await?;
        let query = query.unwrap_or_default();
        Ok(Self { pairs: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect() })
    }
}

impl Params {
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

    /// Like [`Params::allow_only`], for addresses that programs make: there a parameter that is
    /// empty or stands twice is a mistake as well, not a field that somebody left blank.
    pub fn allow_only_once(&self, known: &[&str], violations: &mut Violations) {
        self.allow_only(known, violations);
        for (place, (name, value)) in self.pairs.iter().enumerate() {
            if value.is_empty() {
                violations.add(format!("/{name}"), "invalid", "must not be empty");
            }
            if self.pairs[..place].iter().any(|(earlier, _)| earlier == name) {
                violations.add(format!("/{name}"), "invalid", "must not stand more than once");
            }
        }
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
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_wrong_with_a_body_is_found_at_once() {
        let body = json!({"name": 5, "extra": 1, "lines": [{"quantity": "two"}, 7]});
        let mut violations = Violations::new();
        let mut reader = ObjectReader::new(&body, String::new(), &mut violations);
        let _ = reader.text("name");
        let _ = reader.int("total");
        let lines = reader.objects("lines", |line| line.int("quantity"));
        reader.finish();
        assert_eq!(lines, [0, 0]);
        let found: Vec<_> =
            violations.into_vec().into_iter().map(|v| (v.pointer, v.code)).collect();
        let expected = [
            ("/name", "wrong-type"),
            ("/total", "required"),
            ("/lines/0/quantity", "wrong-type"),
            ("/lines/1", "wrong-type"),
            ("/extra", "unknown-field"),
        ];
        assert_eq!(found, expected.map(|(p, c)| (p.to_owned(), c.to_owned())));
    }

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

    #[test]
    fn a_body_of_nothing_but_mistakes_is_given_up() {
        let body = json!({"lines": vec![json!({}); 2 * MAX_VIOLATIONS]});
        let mut violations = Violations::new();
        let mut reader = ObjectReader::new(&body, String::new(), &mut violations);
        let lines = reader.objects("lines", |line| line.int("quantity"));
        assert_eq!(lines.len(), MAX_VIOLATIONS);
        assert_eq!(violations.into_vec().len(), MAX_VIOLATIONS);
    }

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
    fn programs_send_no_empty_parameters_and_none_twice() {
        let pairs = [("limit", "9"), ("limit", "8"), ("after", ""), ("wait", "1")];
        let params = Params { pairs: pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec() };
        let mut violations = Violations::new();
        params.allow_only_once(&["limit", "wait", "after"], &mut violations);
        let found: Vec<_> = violations.into_vec().into_iter().map(|v| v.pointer).collect();
        assert_eq!(found, ["/limit", "/after"]);
    }
}
