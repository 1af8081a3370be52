//! In which form a caller wants to be told what went wrong (RFC 9110, section 12.5.1).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use contract::problem::MEDIA_TYPE;

/// The forms that a problem is told in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Representation {
    /// A problem document: what programs get that do not ask for anything else.
    Json,
    /// A page, for people.
    Html,
    /// A SOAP 1.1 envelope with a fault in it.
    Soap,
}

impl Representation {
    /// The form that the request with these `headers` asks for by name: of those we know the one it
    /// likes best, and of equals the first. `None` when it names none.
    pub fn asked_for(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best: Option<(f32, Self)> = None;
        for range in values.flat_map(|value| value.split(',')) {
            let (media, parameters) = range.split_once(';').unwrap_or((range, ""));
            let Some(known) = Self::of_media_type(media.trim()) else { continue };
            let quality = quality(parameters);
            if quality > best.map_or(0.0, |(quality, _)| quality) {
                best = Some((quality, known));
            }
        }
        best.map(|(_, known)| known)
    }

    fn of_media_type(media: &str) -> Option<Self> {
        match media.to_ascii_lowercase().as_str() {
            "application/json" | MEDIA_TYPE => Some(Self::Json),
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            "text/xml" | "application/soap+xml" => Some(Self::Soap),
            _ => None,
        }
    }
}

/// How much a media type is liked, 0 to 1; as much as any when the parameters do not say.
fn quality(parameters: &str) -> f32 {
    let named = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let mut quality = named.filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    quality.next_back().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_form_that_is_liked_best_is_taken() {
        use Representation::{Html, Json, Soap};
        let asked_for = |accept: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            Representation::asked_for(&headers)
        };
        assert_eq!(asked_for("text/html,application/xhtml+xml,*/*;q=0.8"), Some(Html));
        assert_eq!(asked_for("application/json, text/html"), Some(Json));
        assert_eq!(asked_for("text/html;q=0.5, application/problem+json"), Some(Json));
        assert_eq!(asked_for("text/xml, multipart/related, text/html; q=.2"), Some(Soap));
        assert_eq!(asked_for("Application/SOAP+XML; charset=utf-8; Q=0.9"), Some(Soap));
        assert_eq!(asked_for("text/html, text/xml"), Some(Html));
        assert_eq!(asked_for("text/xml;q=0, text/html;q=0.1"), Some(Html));
        assert_eq!(asked_for("text/xml;q=0"), None);
        assert_eq!(asked_for("*/*"), None);
        assert_eq!(asked_for("image/png, ;q=, ;;"), None);
        assert_eq!(Representation::asked_for(&HeaderMap::new()), None);
    }
}
