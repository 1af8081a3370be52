//! Bodies of no form we know: described in a few words of our own, never repeated. They may hold
//! anything, and may be of anybody: of a proxy, a login page, the wrong system altogether.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::error::Category;

use super::said::one_line;

/// How much of a body is looked at for signs of HTML, in bytes.
const HEAD: usize = 4096;
/// How much of a page's title is shown, in characters.
const MAX_TITLE: usize = 60;

/// What the body is. Of its text no more than the title of a page is shown.
pub(super) fn describe(headers: &HeaderMap, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let head: String = text.chars().take(HEAD).collect::<String>().to_ascii_lowercase();
    let says_html = headers
        .get(CONTENT_TYPE)
        .is_some_and(|media| media.as_bytes().to_ascii_lowercase().starts_with(b"text/html"));
    let is_html = head.starts_with('<')
        && (says_html || head.contains("<!doctype html") || head.contains("<html"));
    if text.is_empty() {
        "an empty body".to_owned()
    } else if is_html {
        title(text).map_or_else(|| "an HTML page".to_owned(), |it| format!("an HTML page, “{it}”"))
    } else if text.starts_with('<') {
        "XML that is cut off or none we know".to_owned()
    } else if text.starts_with(['{', '[']) {
        let json = serde_json::from_str::<serde::de::IgnoredAny>(text);
        match json.map_err(|error| error.classify()) {
            Ok(_) => "JSON of a form we do not know".to_owned(),
            Err(Category::Eof) => "JSON that is cut off".to_owned(),
            Err(_) => "JSON that is broken".to_owned(),
        }
    } else if std::str::from_utf8(body).is_ok_and(|text| !text.contains(is_binary)) {
        "plain text".to_owned()
    } else {
        "binary data".to_owned()
    }
}

fn is_binary(c: char) -> bool {
    c.is_control() && !c.is_whitespace()
}

fn title(page: &str) -> Option<String> {
    // Lower case of ASCII only: every place is the same in both.
    let lower = page.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    let line = one_line(&page[start..end]);
    Some(line.chars().take(MAX_TITLE).collect()).filter(|title: &String| !title.is_empty())
}
