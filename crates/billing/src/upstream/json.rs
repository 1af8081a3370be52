//! Faults told in JSON: problem documents (RFC 9457) and their relatives.
//!
//! Oracle's REST services send the same with details nested below, in members that begin with `o:`
//! or, in older ones, do not:
//! <https://docs.oracle.com/en/cloud/saas/iot-production-cloud/rest-api/ErrorMessages.html>. Others
//! have only `code` and `message`:
//! <https://docs.oracle.com/en/cloud/saas/cx-commerce/cxocc/errorMessage.html>. One reader takes all
//! of them: what a member is called says what it means.

use serde_json::{Map, Value};

use super::said::{Said, one_line};

/// Where more specific faults are, our own violations among them.
const DETAILS: [&str; 3] = ["o:errorDetails", "errorDetails", "errors"];
/// From the most specific text to the least.
const TEXTS: [&str; 3] = ["detail", "message", "title"];
const CODES: [&str; 3] = ["o:errorCode", "errorCode", "code"];
/// Which part of the request is meant.
const PLACES: [&str; 3] = ["o:errorPath", "errorPath", "pointer"];

/// Reads a fault; `None` when the body is no JSON object, or says nothing about a fault.
pub(super) fn read(body: &[u8]) -> Option<Said> {
    let document: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let mut said = most_specific(&document)?;
    said.code = said.code.or_else(|| problem_type(&document));
    said.request_id = text(&document, &["instance"])
        .map(|it| it.trim_start_matches("/requests/").to_owned())
        .filter(|id| !id.is_empty());
    Some(said)
}

/// The first fault at the bottom. It may leave its code to one above it.
///
/// How deep this goes is bounded: `serde_json` reads no deeper than 128 levels.
fn most_specific(fault: &Map<String, Value>) -> Option<Said> {
    let details = DETAILS.iter().filter_map(|name| fault.get(*name)?.as_array()).flatten();
    let below = details.filter_map(Value::as_object).find_map(most_specific);
    let code = code(fault);
    if let Some(below) = below {
        return Some(Said { code: below.code.or(code), ..below });
    }
    let message = text(fault, &TEXTS)?;
    let message = match text(fault, &PLACES) {
        Some(place) => format!("{place}: {message}"),
        None => message,
    };
    Some(Said { message, code, ..Said::default() })
}

/// The first of these members that says something, as it may be shown.
fn text(fault: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let texts = names.iter().filter_map(|name| fault.get(*name)?.as_str());
    texts.map(one_line).find(|text| !text.is_empty())
}

fn code(fault: &Map<String, Value>) -> Option<String> {
    CODES.iter().find_map(|name| match fault.get(*name)? {
        Value::String(code) => Some(one_line(code)).filter(|code| !code.is_empty()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    })
}

/// What kind of problem it is, where that is all the code there is.
fn problem_type(document: &Map<String, Value>) -> Option<String> {
    text(document, &["type"]).filter(|uri| uri != "about:blank")
}
