//! JSON bodies and the fields of their objects.

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use contract::problem::{Problem, ProblemCode};
use serde_json::{Map, Value};

use super::Violations;
use crate::http::problem::ProblemResponse;

/// A JSON body: syntax and media type are checked, the content is still to be read with an
/// [`ObjectReader`].
#[derive(Clone, Debug)]
pub struct JsonBody {
    /// The document.
    pub value: Value,
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
        Ok(Self { value })
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

    /// An object that must be there; `None` when it is not.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut ObjectReader<'_>) -> T,
    ) -> Option<T> {
        self.required(name);
        self.optional_object(name, read)
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

    /// Whether there is a field of this name that is not null.
    pub fn has(&self, name: &str) -> bool {
        self.object.is_some_and(|object| object.get(name).is_some_and(|value| !value.is_null()))
    }

    /// Notes what is wrong with a field that was read, or that may not be there.
    pub fn refuse(&mut self, name: &'static str, code: &str, detail: &str) {
        self.read.insert(name);
        self.violations.add(self.pointer_to(name), code, detail);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::violations::MAX_VIOLATIONS;
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
    fn a_body_of_nothing_but_mistakes_is_given_up() {
        let body = json!({"lines": vec![json!({}); 2 * MAX_VIOLATIONS]});
        let mut violations = Violations::new();
        let mut reader = ObjectReader::new(&body, String::new(), &mut violations);
        let lines = reader.objects("lines", |line| line.int("quantity"));
        assert_eq!(lines.len(), MAX_VIOLATIONS);
        assert_eq!(violations.into_vec().len(), MAX_VIOLATIONS);
    }
}
