//! Faults of other systems: the first line is the status and the media type, the rest is the body.

use billing::pull::{PullError, answer};
use billing::upstream::Answer;
use contract::problem::ProblemCode;
use contract::time::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::{assert_one_short_line, split_line};

/// Whatever the other side sends, our caller is told in one short line what it is; and nothing but a
/// 200 is an answer. Taken in is what has a code of its own.
pub fn check(data: &[u8]) -> bool {
    let (head, body) = split_line(data);
    let (status, media) = head.split_once(' ').unwrap_or((head, ""));
    let status = status.parse().unwrap_or(500);
    let mut headers = HeaderMap::new();
    if let Ok(media) = HeaderValue::from_str(media) {
        headers.insert(CONTENT_TYPE, media);
    }
    let answer = Answer::new("Ordering", status, headers, body.to_vec(), Timestamp::from_micros(0));
    let fault = answer.fault();
    assert_one_short_line(&fault.message);
    assert_one_short_line(&fault.to_string());
    fault
        .original_code
        .iter()
        .chain(&fault.request_id)
        .for_each(|text| assert_one_short_line(text));
    let codes = [ProblemCode::UpstreamInvalid, ProblemCode::UpstreamUnavailable];
    assert!(codes.contains(&fault.code));
    if status != 200 {
        refused(&answer::page(&answer, None).unwrap_err());
        refused(&answer::order(&answer, 1001).unwrap_err());
    }
    fault.original_code.is_some()
}

fn refused(error: &PullError) {
    assert_one_short_line(&error.to_string());
    assert!(!matches!(error, PullError::Database(_)), "no database was asked");
}
