//! What must hold for all that comes from outside, whatever it is. Each module reads bytes as the
//! services do and asserts what they rely on afterwards; `check` says whether the bytes were taken
//! in.
//!
//! | module | what comes in |
//! |---|---|
//! | [`token`] | a continuation token |
//! | [`page`] | ordering's answer to billing: a page of the feed |
//! | [`order`] | an order: the document of the feed, and the body of a request |
//! | [`import`] | rows of a CSV file |
//! | [`fault`] | another system's fault, in whatever form |
//!
//! cargo fuzz makes inputs up (`scripts/fuzz.sh`, targets in `fuzz/`); the inputs that are kept in
//! `fuzz/corpus` are checked with every test run (`tests/corpus.rs`).

pub mod fault;
pub mod import;
pub mod order;
pub mod page;
pub mod token;

/// A check: asserts what must hold for these bytes, and says whether they were taken in.
pub type Check = fn(&[u8]) -> bool;

/// All checks by the name of their fuzz target and of their directory in `fuzz/corpus`.
pub const CHECKS: [(&str, Check); 5] = [
    ("fault", fault::check),
    ("import", import::check),
    ("order", order::check),
    ("page", page::check),
    ("token", token::check),
];

/// The first line, and what is behind it: where an input says what the rest is the answer to.
fn split_line(data: &[u8]) -> (&str, &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let rest = data.get(end + 1..).unwrap_or_default();
    (str::from_utf8(&data[..end]).unwrap_or_default(), rest)
}

/// Texts that hold what another system sent stand in messages and logs: short, on one line, and
/// without what would move the text around them.
#[track_caller]
fn assert_one_short_line(text: &str) {
    assert!(text.chars().count() <= 500, "{} characters: {text:?}", text.chars().count());
    let moves = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(moves), "{text:?}");
    assert!(!text.trim().is_empty());
}
