//! Faults of the other side in every form and with every kind of status: what is made of them, and
//! what of it reaches our caller.
//!
//! The bodies are made up, in the style of the formats' own documentation: RFC 9457; Oracle's REST
//! services, <https://docs.oracle.com/en/cloud/saas/iot-production-cloud/rest-api/ErrorMessages.html>
//! and <https://docs.oracle.com/en/cloud/saas/cx-commerce/cxocc/errorMessage.html>; SOAP 1.1,
//! <https://www.w3.org/TR/2000/NOTE-SOAP-20000508/>, and 1.2, <https://www.w3.org/TR/soap12-part1/>.

use std::time::Duration;

use billing::upstream::{AtFault, Fault, Upstream, client};
use contract::problem::{Problem, ProblemCode as P};
use kit::clock::ManualClock;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::ordering::AT;
use crate::world::World;

macro_rules! body {
    ($file:literal) => {
        include_bytes!(concat!("faults/", $file)).as_slice()
    };
}

/// A body, and what must be understood of it.
struct Case {
    what: &'static str,
    body: &'static [u8],
    /// What reaches our caller.
    message: &'static str,
    code: Option<&'static str>,
    request_id: Option<&'static str>,
    /// What a SOAP fault says about who is to blame.
    blame: Option<Blame>,
}

#[derive(Clone, Copy, PartialEq)]
enum Blame {
    Request,
    Credentials,
    Server,
}

impl Case {
    const fn new(what: &'static str, body: &'static [u8], message: &'static str) -> Self {
        Self { what, body, message, code: None, request_id: None, blame: None }
    }

    const fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    const fn request_id(self, id: &'static str) -> Self {
        Self { request_id: Some(id), ..self }
    }

    const fn blames(self, blame: Blame) -> Self {
        Self { blame: Some(blame), ..self }
    }
}

/// Every form that faults come in.
const CASES: &[Case] = &[
    Case::new(
        "a problem of our own kind, with violations",
        body!("problem_with_violations.json"),
        "/lines/0/quantity: must be 1 to 1000000",
    )
    .code("out-of-range")
    .request_id("0199f3a2-5c1e-7d40"),
    Case::new(
        "a problem of another kind",
        body!("problem_foreign.json"),
        "Period APR-26 of ledger NL01 is closed.",
    )
    .code("https://erp.example/errors/period-closed"),
    Case::new("a problem that has only a title", body!("problem_title_only.json"), "Forbidden"),
    Case::new(
        "Oracle's form without details",
        body!("oracle_flat.json"),
        "Business unit Delft East not found",
    )
    .code("urn:oracle:cloud:client:error:not-found")
    .request_id("https://erp.example/api/v2/businessUnits/Delft%20East"),
    Case::new(
        "Oracle's form with details of details",
        body!("oracle_nested.json"),
        "/receivablesInvoiceLines/0/TaxClassificationCode: \
         Tax classification code VAT 21 does not exist in country NL.",
    )
    .code("AR-855112"),
    Case::new(
        "Oracle's older form, with a stack in it",
        body!("oracle_older.json"),
        "TransactionDate: The value of the attribute TransactionDate isn't valid.",
    )
    .code("27024"),
    Case::new(
        "only a code and a message",
        body!("code_and_message.json"),
        "The connection pool named default is not correctly configured",
    )
    .code("ServiceUnavailable")
    .request_id("tag:erp.example,2026:ecid/9f2XqyS1bM7kYwL0"),
    Case::new(
        "a message above a list of errors",
        body!("message_and_errors.json"),
        "Customer 4711 is inactive.",
    )
    .code("20031"),
    Case::new(
        "a SOAP 1.1 fault of the client",
        body!("soap11_client.xml"),
        "Element 'InvoiceDate' is not valid & was refused",
    )
    .code("Client.Validation")
    .blames(Blame::Request),
    Case::new(
        "a SOAP 1.1 fault of the server, with a stack in it",
        body!("soap11_server.xml"),
        "The service is being restarted.",
    )
    .code("Server")
    .blames(Blame::Server),
    Case::new(
        "a SOAP 1.1 fault with details of details",
        body!("soap11_detail.xml"),
        "The bill-to site of customer 4711 is inactive.",
    )
    .code("AR-810214")
    .blames(Blame::Server),
    Case::new(
        "a SOAP 1.1 fault of the credentials",
        body!("soap11_credentials.xml"),
        "The security token could not be authenticated",
    )
    .code("FailedAuthentication")
    .blames(Blame::Credentials),
    Case::new(
        "a SOAP 1.2 fault of the sender",
        body!("soap12_sender.xml"),
        "Currency EUX is not known",
    )
    .code("UnknownCurrency")
    .blames(Blame::Request),
    Case::new(
        "a SOAP 1.2 fault of the receiver",
        body!("soap12_receiver.xml"),
        "The ledger is locked by the nightly run",
    )
    .code("Receiver")
    .blames(Blame::Server),
    Case::new("a gateway's page", body!("gateway.html"), "an HTML page, “502 Bad Gateway”"),
    Case::new(
        "a login page",
        body!("login.html"),
        "an HTML page, “Sign in to the portal of Example Works, its subsidiaries and”",
    ),
    Case::new("HTML without a title", b"<html><h1>secret</h1></html>", "an HTML page"),
    Case::new("no body", b"", "an empty body"),
    Case::new("blanks", b" \r\n", "an empty body"),
    Case::new("text", b"java.lang.NullPointerException: secret", "plain text"),
    Case::new("bytes", b"\x1f\x8b\x08\x00\x00secret", "binary data"),
    Case::new("JSON cut off", b"{\"detail\": \"secr", "JSON that is cut off"),
    Case::new("JSON with a fault", b"{\"detail\": secret}", "JSON that is broken"),
    Case::new("a list", b"[{\"detail\": \"secret\"}]", "JSON of a form we do not know"),
    Case::new("no texts", b"{\"detail\": {\"secret\": 1}}", "JSON of a form we do not know"),
    Case::new("no fault", body!("not_a_fault.xml"), "XML that is cut off or none we know"),
    Case::new("entities", body!("entities.xml"), "XML that is cut off or none we know"),
    Case::new(
        "SOAP cut off",
        body!("soap11_detail.xml").split_at(700).0,
        "XML that is cut off or none we know",
    ),
];

/// What an answer with this status is for our caller, and who has to act.
fn mapped(status: u16, blame: Option<Blame>) -> (P, AtFault) {
    use AtFault::{Them, Us};
    let status = match (status, blame) {
        (500, Some(Blame::Request)) => 400,
        (500, Some(Blame::Credentials)) => 401,
        _ => status,
    };
    match status {
        200 | 302 => (P::UpstreamInvalid, Them),
        400 | 404 | 405 | 409 | 415 | 422 => (P::UpstreamInvalid, Us),
        401 | 403 => (P::UpstreamUnavailable, Us),
        408 | 429 | 500 | 502 | 503 | 504 => (P::UpstreamUnavailable, Them),
        _ => panic!("no expectation for {status}"),
    }
}

const STATUSES: [u16; 16] =
    [200, 302, 400, 401, 403, 404, 405, 408, 409, 415, 422, 429, 500, 502, 503, 504];

/// Another system, whose every answer is the one it was told last.
struct Other {
    server: MockServer,
    http: reqwest::Client,
    upstream: Upstream,
}

impl Other {
    async fn start() -> Self {
        let http = client(Duration::from_secs(30)).no_proxy().build().unwrap();
        let upstream = Upstream::new("The other system", ManualClock::at(AT));
        Self { server: MockServer::start().await, http, upstream }
    }

    async fn answers(&self, answer: ResponseTemplate) -> reqwest::RequestBuilder {
        self.server.reset().await;
        Mock::given(any()).respond_with(answer).mount(&self.server).await;
        self.http.get(self.server.uri())
    }

    async fn fault(&self, answer: ResponseTemplate) -> Fault {
        let request = self.answers(answer).await;
        self.upstream.ask(request).await.unwrap().fault()
    }
}

fn answer(status: u16, body: &[u8]) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_bytes(body)
}

#[tokio::test]
async fn every_form_is_understood_with_every_status() {
    let other = Other::start().await;
    for case in CASES {
        for status in STATUSES {
            let what = format!("{} with {status}", case.what);
            let fault = other.fault(answer(status, case.body)).await;
            assert_eq!((fault.code, fault.at_fault), mapped(status, case.blame), "{what}");
            assert_eq!(fault.message, case.message, "{what}");
            assert_eq!(fault.original_code.as_deref(), case.code, "{what}");
            assert_eq!(fault.request_id.as_deref(), case.request_id, "{what}");
            assert_eq!(fault.status, Some(status), "{what}");
            let shown = fault.to_string();
            assert!(shown.starts_with(&format!("The other system answered {status}")), "{shown}");
            assert!(shown.ends_with(case.message) && !shown.contains("secret"), "{shown}");
        }
    }
}

#[tokio::test]
async fn texts_are_short_whatever_is_sent() {
    let other = Other::start().await;
    let long = "9".repeat(20_000);
    for (body, length) in [
        (format!(r#"{{"detail": "{long}", "code": "{long}"}}"#), 201),
        (format!(r#"{{"detail": "{long}", "o:errorPath": "{long}"}}"#), 404),
        (format!("<html><title>{long}</title></html>"), 76),
        // Beyond what is read of a fault.
        (format!(r#"{{"detail": "{long}{long}{long}{long}"}}"#), 20),
        ("<a>".repeat(20_000), 35),
        (format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000)), 29),
    ] {
        let fault = other.fault(answer(500, body.as_bytes())).await;
        assert_eq!(fault.message.chars().count(), length, "{}", fault.message);
        assert!(fault.original_code.is_none_or(|code| code.chars().count() == 201));
    }
}

#[tokio::test]
async fn headers_name_the_request_and_the_time_to_wait() {
    let other = Other::start().await;
    for (header, told) in [
        ("x-request-id", "7f2c"),
        ("x-correlation-id", "7f2c"),
        ("x-oracle-dms-ecid", "8d11-4f^0;kXhv,0:1"),
    ] {
        let body = body!("problem_with_violations.json");
        let fault = other.fault(answer(429, body).insert_header(header, told)).await;
        assert_eq!(fault.request_id.as_deref(), Some(told), "{header}");
        assert_eq!(fault.retry_after, None);
    }
    let fault = other.fault(answer(429, b"").insert_header("retry-after", "7")).await;
    assert_eq!(fault.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn what_is_told_is_accepted_with_any_success() {
    let other = Other::start().await;
    let xml = |status, body: &[u8]| answer(status, body).insert_header("content-type", "text/xml");
    for (what, accepted) in [
        ("no content", answer(204, b"")),
        ("a page", answer(200, body!("login.html"))),
        ("a SOAP fault", xml(200, body!("soap11_client.xml"))),
        ("cut off", xml(202, b"<soap:Envelope")),
    ] {
        let request = other.answers(accepted).await;
        assert_eq!(other.upstream.tell(request).await, Ok(()), "{what}");
    }
    for (what, refused, expected) in [
        ("a SOAP fault", xml(500, body!("soap11_client.xml")), (P::UpstreamInvalid, AtFault::Us)),
        ("our mistake", answer(404, b""), (P::UpstreamInvalid, AtFault::Us)),
        ("too often", answer(429, b""), (P::UpstreamUnavailable, AtFault::Them)),
        ("its mistake", answer(500, b""), (P::UpstreamUnavailable, AtFault::Them)),
        ("a redirect", answer(307, b""), (P::UpstreamInvalid, AtFault::Them)),
    ] {
        let request = other.answers(refused).await;
        let fault = other.upstream.tell(request).await.unwrap_err();
        assert_eq!((fault.code, fault.at_fault), expected, "{what}");
    }
}

#[tokio::test]
async fn whoever_does_not_answer_is_unavailable_and_whoever_is_late_timed_out() {
    let other = Other::start().await;
    let nowhere = format!("http://127.0.0.1:{}", testkit::net::free_port());
    let refused = other.upstream.tell(other.http.get(nowhere)).await.unwrap_err();
    let unknown = other.http.get("http://no-such-host.invalid/?token=secret");
    let unknown = other.upstream.tell(unknown).await.unwrap_err();
    for fault in [&refused, &unknown] {
        assert_eq!((fault.code, fault.at_fault), (P::UpstreamUnavailable, AtFault::Them));
        assert_eq!((fault.status, fault.kind()), (None, "unreachable"));
        let shown = fault.to_string();
        assert!(shown.starts_with("The other system cannot be reached: "), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("127.0.0.1"), "{shown}");
    }
    // A server that speaks no TLS.
    let secured = other.http.get(other.server.uri().replace("http:", "https:"));
    let secured = other.upstream.tell(secured).await.unwrap_err();
    assert_eq!((secured.code, secured.status), (P::UpstreamUnavailable, None));

    let late = other.answers(answer(200, b"").set_delay(Duration::from_mins(1))).await;
    let late = other.upstream.tell(late.timeout(Duration::from_millis(50))).await.unwrap_err();
    assert_eq!((late.code, late.at_fault), (P::UpstreamTimeout, AtFault::Them));
    assert_eq!(late.to_string(), "The other system did not answer in time");

    let unsendable = other.http.get(other.server.uri()).bearer_auth("line\nbreak");
    let unsendable = other.upstream.tell(unsendable).await.unwrap_err();
    assert_eq!(unsendable.at_fault, AtFault::Us, "{unsendable}");
}

/// The whole way: ordering answers with the fault, our caller gets the problem.
#[tokio::test]
async fn our_caller_gets_what_the_table_says() {
    let world = World::sqlite().await;
    for case in CASES {
        for status in [200, 400, 401, 500] {
            let what = format!("{} with {status}", case.what);
            world.answers(None, answer(status, case.body)).await;
            let told = world.ask("POST", "/api/v1/pull", None).await;
            let problem: Problem = serde_json::from_value(told.body).unwrap();
            // A success is a page of the feed or nothing: no fault is looked for in it.
            let (code, message) = match status {
                200 => (P::UpstreamInvalid, "not as agreed"),
                status => (mapped(status, case.blame).0, case.message),
            };
            assert_eq!((problem.code, told.status.as_u16()), (code, code.status()), "{what}");
            assert!(problem.detail.starts_with("Ordering answered "), "{what}: {problem:?}");
            assert!(problem.detail.contains(message), "{what}: {problem:?}");
            assert!(problem.detail.ends_with('.') && !problem.detail.ends_with(".."), "{what}");
            assert!(!problem.detail.contains("secret"), "{what}: {problem:?}");
        }
    }
}
