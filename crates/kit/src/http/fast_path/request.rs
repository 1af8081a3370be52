//! Which requests the fast path may answer, by the head alone.

use axum::http::Method;
use httparse::{EMPTY_HEADER, Header, Status};

use crate::http::auth;
use crate::http::site::{REQUEST_ID, is_harmless};
use crate::settings::Secret;

/// Of longer heads, in bytes, the end is not waited for here.
pub(super) const MAX_HEAD: usize = 4096;
/// Heads with more fields are for the routes.
const MAX_FIELDS: usize = 16;

/// A plain GET: of HTTP/1.1, without a body, and without any field that could change how it is answered.
/// One that is unknown here could, so only those are plain that are known not to.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<'r> {
    /// As it was sent.
    pub path: &'r str,
    /// What stands behind the question mark, as it was sent; `None` without one.
    pub query: Option<&'r str>,
    authorization: Option<&'r str>,
    /// The caller's own id for it.
    pub(super) id: Option<&'r str>,
}

impl Request<'_> {
    /// Whether it comes with the token.
    pub fn presents(&self, token: &Secret) -> bool {
        self.authorization.is_some_and(|sent| auth::is_bearer(sent, token))
    }
}

/// What there is of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read<'r> {
    /// A plain GET, and how many bytes it is long.
    Whole(Request<'r>, usize),
    /// So far it is one.
    Incomplete,
    /// Something else, or nothing that HTTP knows.
    Other,
}

impl<'r> Read<'r> {
    /// What `bytes` begin with.
    pub(super) fn of(bytes: &'r [u8]) -> Self {
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        let len = match head.parse(bytes) {
            Ok(Status::Complete(len)) => len,
            Ok(Status::Partial) => return Self::Incomplete,
            Err(_) => return Self::Other,
        };
        let is_get = head.method == Some(Method::GET.as_str()) && head.version == Some(1);
        let Some(target) = head.path.filter(|_| is_get) else { return Self::Other };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let request = Request { path, query, authorization: None, id: None };
        match request.with(head.headers) {
            Some(request) => Self::Whole(request, len),
            None => Self::Other,
        }
    }
}

impl<'r> Request<'r> {
    /// `None` when one of the fields, or one that is there twice, makes it other than plain.
    fn with(mut self, fields: &[Header<'r>]) -> Option<Self> {
        for Header { name, value } in fields {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            let value = str::from_utf8(value).ok()?;
            let keeps_alive = is("connection") && value.eq_ignore_ascii_case("keep-alive");
            if is("host") || is("accept") || is("user-agent") || keeps_alive {
                continue;
            }
            if is("authorization") && self.authorization.is_none() && value.is_ascii() {
                self.authorization = Some(value);
            } else if is(REQUEST_ID.as_str()) && self.id.is_none() && is_harmless(value) {
                self.id = Some(value);
            } else {
                return None;
            }
        }
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Read<'_> {
        Read::of(head.as_bytes())
    }

    #[test]
    fn a_plain_get_is_read_to_its_end_and_no_further() {
        let head = "GET /pages?after=a-1&wait=30 HTTP/1.1\r\nHost: here\r\naccept: */*\r\n\
            user-agent: any\r\nconnection: Keep-Alive\r\nX-Request-Id: abc-1\r\n\
            authorization: Bearer s3cret\r\n\r\n";
        let both = format!("{head}GET /next");
        let Read::Whole(request, len) = read(&both) else { panic!("a plain GET") };
        assert_eq!(len, head.len());
        assert_eq!((request.path, request.query), ("/pages", Some("after=a-1&wait=30")));
        assert_eq!(request.id, Some("abc-1"));
        assert!(request.presents(&"s3cret".parse().unwrap()));
        assert!(!request.presents(&"other".parse().unwrap()));

        let Read::Whole(request, _) = read("GET / HTTP/1.1\r\n\r\n") else { panic!("a plain GET") };
        assert_eq!((request.path, request.query, request.id), ("/", None, None));
        assert!(!request.presents(&"s3cret".parse().unwrap()));
    }

    #[test]
    fn what_is_not_there_yet_may_become_one() {
        for part in ["", "G", "GET /pages", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: a\r\n"] {
            assert_eq!(read(part), Read::Incomplete, "{part:?}");
        }
    }

    #[test]
    fn everything_else_is_for_the_routes() {
        for line in
            ["POST / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0", "GET / HTTP/2.0", "hello"]
        {
            assert_eq!(read(&format!("{line}\r\n\r\n")), Read::Other, "{line}");
        }
        for field in [
            "content-length: 1",
            "transfer-encoding: chunked",
            "expect: 100-continue",
            "connection: close",
            "connection: keep-alive, upgrade",
            "upgrade: h2c",
            "accept-encoding: gzip",
            "if-none-match: \"a\"",
            "range: bytes=0-1",
            "x-request-id: <a>",
            "x-request-id: a\r\nx-request-id: b",
            "authorization: a\r\nauthorization: b",
            "accept: \u{fe}\u{ff}",
            "unknown: a",
            "no field",
        ] {
            let head = format!("GET / HTTP/1.1\r\nhost: a\r\n{field}\r\n\r\n");
            let expected = if field.starts_with("accept:") { "whole" } else { "other" };
            let is = if matches!(read(&head), Read::Whole(..)) { "whole" } else { "other" };
            assert_eq!(is, expected, "{field}");
        }
        assert_eq!(Read::of(b"GET / HTTP/1.1\r\naccept: \xff\r\n\r\n"), Read::Other);
        let many = "accept: a\r\n".repeat(MAX_FIELDS + 1);
        assert_eq!(read(&format!("GET / HTTP/1.1\r\n{many}\r\n")), Read::Other);
    }
}
