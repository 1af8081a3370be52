//! What another system says about its fault, in whatever form.

use reqwest::header::HeaderMap;

use super::{json, soap, unknown};

/// How much of the other side's text is kept, in characters.
const MAX_TEXT: usize = 200;
/// Headers by which systems name a request. The last one is of Oracle's servers: the execution
/// context id, which all their log lines carry.
const REQUEST_ID_HEADERS: [&str; 4] =
    ["x-request-id", "x-correlation-id", "request-id", "x-oracle-dms-ecid"];

/// What is wrong, as far as the fault itself tells. All texts are short and on one line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Said {
    /// The most specific message; words of our own when the body has no form we know.
    pub(super) message: String,
    /// The other system's code for it.
    pub(super) code: Option<String>,
    /// What the other system knows the request by.
    pub(super) request_id: Option<String>,
    /// What is to blame; only SOAP faults say so.
    pub(super) blame: Option<Blame>,
}

/// What a SOAP fault blames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Blame {
    /// What we sent.
    Request,
    /// Who we said we are.
    Credentials,
    /// The other system itself.
    Server,
}

impl Said {
    /// Reads an answer. The body decides what it is, not its media type, which gateways get wrong.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut said = json::read(body).or_else(|| soap::read(body)).unwrap_or_else(|| Self {
            message: unknown::describe(headers, body),
            ..Self::default()
        });
        if let Some(id) = request_id(headers) {
            said.request_id = Some(id);
        }
        said
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = REQUEST_ID_HEADERS.iter().find_map(|name| headers.get(*name))?;
    Some(one_line(id.to_str().ok()?)).filter(|id| !id.is_empty())
}

/// The other side's text as it may stand in a message or a log line: its first line (what follows is
/// a stack, more often than not), short, and without characters that move the text around them.
pub(crate) fn one_line(text: &str) -> String {
    let first = text.trim().lines().next().unwrap_or_default().trim_end();
    let harmless = |c: char| if moves_text(c) { ' ' } else { c };
    let line: String = first.chars().take(MAX_TEXT).map(harmless).collect();
    let mut line = line.trim().to_owned();
    if first.chars().nth(MAX_TEXT).is_some() {
        line.push('…');
    }
    line
}

/// Control characters, the other ends of lines, and what turns the direction of writing around.
fn moves_text(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_sides_text_is_kept_short_and_on_one_line() {
        assert_eq!(one_line(" a\u{1b}[31m\tb \r\n  at Order.java:7"), "a [31m b");
        assert_eq!(one_line("to\u{2028}pay\u{202e}001"), "to pay 001");
        let long = one_line(&"é".repeat(MAX_TEXT + 1));
        assert_eq!(long.chars().count(), MAX_TEXT + 1);
        assert!(long.ends_with('…'));
        assert_eq!(one_line(&"x".repeat(MAX_TEXT)).len(), MAX_TEXT);
        assert_eq!(one_line(" \n "), "");
        assert_eq!(one_line("\u{1}"), "");
    }
}
