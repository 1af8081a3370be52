//! Versions as entity tags: `ETag: "3"`, `If-Match: "3"` (RFC 9110, sections 8.8.3 and 13.1).

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH, ToStrError};
use contract::problem::Violation;

/// The entity tag of a version.
pub fn of_version(version: i64) -> String {
    format!("\"{version}\"")
}

/// For which version a caller means a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: for whatever version there is.
    Any,
    /// One of these versions.
    Versions(Vec<i64>),
}

impl IfMatch {
    /// Reads the header; `None` when it is not there.
    ///
    /// # Errors
    /// When it is not a list of entity tags. A weak tag never matches (section 8.8.3.2), nor does
    /// one that this service never gives.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, Violation> {
        let wrong = || {
            Violation::new(
                "/If-Match",
                "invalid",
                "must be the version as in ETag, such as \"3\", or *",
            )
        };
        let tags = list(headers, &IF_MATCH).map_err(|_| wrong())?;
        let Some(tags) = tags else { return Ok(None) };
        if tags == ["*"] {
            return Ok(Some(Self::Any));
        }
        let is_tag = |tag: &String| {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"')
        };
        if !tags.iter().all(is_tag) {
            return Err(wrong());
        }
        let version = |tag: &String| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        Ok(Some(Self::Versions(tags.iter().filter_map(version).collect())))
    }

    /// Whether a change for this header may be made to `version`.
    pub fn allows(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

/// Whether the caller has this very answer already: `If-None-Match` holds `tag` or `*`.
/// Compared weakly, as section 13.1.2 asks.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let sent = list(headers, &IF_NONE_MATCH).ok().flatten();
    sent.is_some_and(|tags| tags.iter().any(|sent| sent == "*" || opaque(sent) == opaque(tag)))
}

/// The entries of a header that may stand several times and hold lists; `None` when it is not there.
/// Tags of this service hold no commas.
fn list(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Vec<String>>, ToStrError> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let mut entries = Vec::new();
    for value in headers.get_all(name) {
        entries.extend(value.to_str()?.split(',').map(|entry| entry.trim().to_owned()));
    }
    Ok(Some(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn if_match_is_a_list_of_versions_or_a_star() {
        let read = |value: &str| IfMatch::read(&headers(IF_MATCH, value));
        assert_eq!(IfMatch::read(&HeaderMap::new()), Ok(None));
        assert_eq!(read("\"3\""), Ok(Some(IfMatch::Versions(vec![3]))));
        assert_eq!(read("\"3\", \"4\""), Ok(Some(IfMatch::Versions(vec![3, 4]))));
        assert_eq!(read("*"), Ok(Some(IfMatch::Any)));
        for never in ["W/\"3\"", "\"x\"", "\"99999999999999999999\""] {
            assert_eq!(read(never), Ok(Some(IfMatch::Versions(vec![]))), "{never:?}");
        }
        for wrong in ["3", "W/3", "\"", ""] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn if_none_match_is_compared_weakly() {
        assert!(is_known(&headers(IF_NONE_MATCH, "\"a\", W/\"b\""), "W/\"b\""));
        assert!(is_known(&headers(IF_NONE_MATCH, "\"b\""), "W/\"b\""));
        assert!(!is_known(&headers(IF_NONE_MATCH, "\"a\""), "\"b\""));
        assert!(!is_known(&HeaderMap::new(), "\"b\""));
    }
}
