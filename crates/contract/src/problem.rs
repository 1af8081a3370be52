//! Problem documents (RFC 9457): how every error is told to other programs.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::feed::{Epoch, FeedId, FeedIdentity};

/// Media type of a problem document, RFC 9457 section 3.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! problem_codes {
    ($($name:ident $code:literal $status:literal $title:literal $help:literal;)*) => {
        /// What went wrong, as a word that programs can act on.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, ToSchema, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum ProblemCode {
            $(#[doc = $help] $name,)*
        }

        impl ProblemCode {
            /// All codes, by HTTP status.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word itself, as in `code` and at the end of `type`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// A short title for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What it means and what to do about it: the text of `/problems/{code}`.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

problem_codes! {
    InvalidRequest "invalid-request" 400 "The request is not valid"
        "The address, a header or the body cannot be read as what it should be. The listed errors say where; mend the request and send it again.";
    Unauthorized "unauthorized" 401 "Authentication is required"
        "The bearer token is missing or not the right one. Send `Authorization: Bearer <token>` with the API token this service was started with.";
    Forbidden "forbidden" 403 "The request was refused"
        "The request came from another site, or is not allowed. Open the page itself and try again from there.";
    NotFound "not-found" 404 "There is no such thing"
        "Nothing is known under this address. Check the number; a draft order is not visible to other services.";
    MethodNotAllowed "method-not-allowed" 405 "This method is not allowed here"
        "The address exists, but not for this HTTP method. The `Allow` header names those that work.";
    Conflict "conflict" 409 "The state does not allow this"
        "What was asked for is not possible in the present state, for instance changing a deleted order. Read it again to see how it stands.";
    FeedReset "feed-reset" 409 "The feed has begun a new epoch"
        "The provider's history may differ from what was read. Read again from the beginning, without a continuation token.";
    FeedUnknown "feed-unknown" 409 "The token is from another feed"
        "The continuation token belongs to another database. Check which provider is asked; an operator has to decide how to go on.";
    VersionConflict "version-conflict" 412 "Somebody else changed it first"
        "The version that was sent is not the current one. Read it again, look at what changed, and repeat the change on the current version.";
    PayloadTooLarge "payload-too-large" 413 "The request is too large"
        "The body is larger than this service takes. Send less at once.";
    UnsupportedMediaType "unsupported-media-type" 415 "The media type is not supported"
        "The body must be JSON, sent with `Content-Type: application/json`.";
    ValidationFailed "validation-failed" 422 "The content was not accepted"
        "The request can be read, but some values are not allowed. All of them are listed, each with its place.";
    PreconditionRequired "precondition-required" 428 "A version is required"
        "Send `If-Match` with the version that the change is meant for, so that nobody's change is overwritten unseen.";
    TooManyRequests "too-many-requests" 429 "Too many requests"
        "Wait as long as `Retry-After` says, then try again.";
    Internal "internal" 500 "Something went wrong here"
        "The fault is on the side of this service and has been logged under the request id. Trying again may help.";
    UpstreamInvalid "upstream-invalid" 502 "The other system's answer cannot be used"
        "The other system answered, but not with what was agreed. Nothing was changed; the details are in the log under the request id.";
    Unavailable "unavailable" 503 "The service is not available right now"
        "Usually the database cannot be reached. Try again in a moment. A change that was asked for has been made as a whole or not at all; sent again with the same `If-Match` or `Idempotency-Key`, it is not made twice.";
    UpstreamUnavailable "upstream-unavailable" 503 "The other system is not available"
        "The other system cannot be reached or reports a fault of its own. Nothing was changed; try again in a moment.";
    StaleProvider "stale-provider" 503 "This provider is of the past"
        "The consumer has already seen a later epoch than this provider knows. It should be switched off; ask the current one.";
    UpstreamTimeout "upstream-timeout" 504 "The other system did not answer in time"
        "Nothing was changed; try again in a moment.";
}

impl ProblemCode {
    /// The code that `word` names; `None` when there is no such code.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A problem document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Address of the explanation: `/problems/<code>`.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// What went wrong, for people.
    pub title: String,
    /// The HTTP status, repeated.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// What went wrong, for programs.
    pub code: ProblemCode,
    /// `/requests/<x-request-id>`: what to look for in the log. Filled in on the way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Every violation, each with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Violation>,
    /// With `version-conflict`: the version to look at now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<i64>,
    /// On the feed: which provider and which history answers.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ProblemFeed)]
    pub feed: Option<FeedIdentity>,
}

/// How the description puts what a problem of the feed adds: members of the problem itself, which
/// problems elsewhere do not have.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only describes what `Problem::feed` is written as")]
struct ProblemFeed {
    /// On the feed: the provider's database.
    #[schema(nullable = false)]
    feed_id: Option<FeedId>,
    /// On the feed: the provider's current history.
    #[schema(nullable = false)]
    epoch: Option<Epoch>,
}

impl Problem {
    /// A problem with the code's own title.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            type_uri: format!("/problems/{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            instance: None,
            errors: Vec::new(),
            current_version: None,
            feed: None,
        }
    }

    /// A problem that consists of `errors`; `title` says what was not accepted.
    pub fn with_violations(code: ProblemCode, title: &str, errors: Vec<Violation>) -> Self {
        let detail = match errors.len() {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        };
        Self { title: title.to_owned(), errors, ..Self::new(code, detail) }
    }
}

/// One thing that is wrong with a request, and where.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Violation {
    /// JSON pointer (RFC 6901) into the body; for a query parameter or header its name:
    /// `/limit`, `/If-Match`.
    pub pointer: String,
    /// What kind of thing is wrong, for programs: `required`, `out-of-range`, `unknown-field`, …
    pub code: String,
    /// What would be right, for people.
    pub detail: String,
}

impl Violation {
    /// A violation at `pointer`.
    pub fn new(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.to_owned(), detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_from_its_document() {
        for &code in ProblemCode::ALL {
            let document = serde_json::to_value(Problem::new(code, "why")).unwrap();
            assert_eq!(document["code"], code.as_str());
            assert_eq!(document["type"], format!("/problems/{code}"));
            assert_eq!(document["status"], code.status());
            assert_eq!(ProblemCode::parse(code.as_str()), Some(code));
            let back: Problem = serde_json::from_value(document).unwrap();
            assert_eq!(back.code, code);
        }
    }

    #[test]
    fn a_feed_problem_names_feed_and_epoch_beside_the_rest() {
        let feed = FeedIdentity { feed_id: "abc".parse().unwrap(), epoch: Epoch(7) };
        let problem =
            Problem { feed: Some(feed.clone()), ..Problem::new(ProblemCode::FeedReset, "x") };
        let document = serde_json::to_value(&problem).unwrap();
        assert_eq!((&document["feedId"], &document["epoch"]), (&"abc".into(), &7.into()));
        let back: Problem = serde_json::from_value(document).unwrap();
        assert_eq!(back.feed, Some(feed));
    }
}
