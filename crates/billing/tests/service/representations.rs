//! One fault, three forms: a document, a SOAP envelope, a page.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::HeaderMap;
use contract::problem::{Problem, ProblemCode as P};
use roxmltree::{Document, Node};
use wiremock::ResponseTemplate;

use crate::world::{PULL_TIMEOUT, TOKEN, World};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Of problem documents in XML, RFC 9457, appendix B.
const PROBLEM: &str = "urn:ietf:rfc:7807";

struct Told {
    status: u16,
    headers: HeaderMap,
    body: String,
}

async fn ask(world: &World, method: &str, path: &str, accept: &str, token: &str) -> Told {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("accept", accept)
        .header("authorization", format!("Bearer {token}"))
        .header("host", "billing.example")
        .header("referer", "http://billing.example/sync");
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    let body = answer.body.as_str().map_or_else(|| answer.body.to_string(), str::to_owned);
    Told { status: answer.status.as_u16(), headers: answer.headers, body }
}

fn child<'a>(parent: Node<'a, 'a>, namespace: Option<&str>, name: &str) -> Node<'a, 'a> {
    let is_it = |node: &Node<'_, '_>| {
        node.tag_name().name() == name && node.tag_name().namespace() == namespace
    };
    parent.children().find(is_it).unwrap_or_else(|| panic!("no {name} in {parent:?}"))
}

/// The problem in an envelope, checked to be told as it should.
fn read_soap(told: &Told) -> (String, Problem) {
    assert_eq!(told.headers["content-type"], "text/xml; charset=utf-8");
    let document = Document::parse(&told.body).unwrap();
    let envelope = document.root_element();
    assert!(envelope.has_tag_name((SOAP, "Envelope")));
    let fault = child(child(envelope, Some(SOAP), "Body"), Some(SOAP), "Fault");
    let text = |node: Node<'_, '_>| node.text().unwrap_or_default().to_owned();
    let problem = child(child(fault, None, "detail"), Some(PROBLEM), "problem");
    let member = |name: &str| text(child(problem, Some(PROBLEM), name));
    let code = P::parse(&member("code")).unwrap();
    let violation = |item: Node<'_, '_>| {
        let member = |name: &str| text(child(item, Some(PROBLEM), name));
        contract::problem::Violation::new(member("pointer"), &member("code"), member("detail"))
    };
    let errors = problem.children().find(|node| node.has_tag_name((PROBLEM, "errors")));
    let items = errors.iter().flat_map(Node::children).filter(Node::is_element);
    let read = Problem {
        type_uri: member("type"),
        title: member("title"),
        status: member("status").parse().unwrap(),
        instance: Some(member("instance")),
        errors: items.map(violation).collect(),
        ..Problem::new(code, member("detail"))
    };
    let reason = text(child(fault, None, "faultstring"));
    assert_eq!(reason, format!("{}: {}", read.title, read.detail));
    (text(child(fault, None, "faultcode")), read)
}

/// Asks for the fault in each form, and checks that all say the same.
async fn check(world: &World, method: &str, path: &str, code: P) {
    let what = format!("{method} {path} {code}");
    // A 401 is what one gets without the right token.
    let token = if code == P::Unauthorized { "wrong" } else { TOKEN };
    let document = ask(world, method, path, "application/problem+json", token).await;
    let problem: Problem = serde_json::from_str(&document.body).unwrap();
    assert_eq!((document.status, problem.code), (code.status(), code), "{what}");

    for accept in ["text/xml", "application/soap+xml, text/html;q=0.5, application/json;q=0.1"] {
        let soap = ask(world, method, path, accept, token).await;
        assert_eq!(soap.status, document.status, "{what}");
        assert_eq!(soap.headers.get("retry-after"), document.headers.get("retry-after"), "{what}");
        assert_eq!(soap.headers["cache-control"], "no-store", "{what}");
        let (fault_code, read) = read_soap(&soap);
        let fault = if code.status() < 500 { "soap:Client" } else { "soap:Server" };
        assert_eq!(fault_code, fault, "{what}");
        let id = soap.headers["x-request-id"].to_str().unwrap();
        let instance = Some(format!("/requests/{id}"));
        assert_eq!(read, Problem { instance, ..problem.clone() }, "{what}");
    }

    let page = ask(world, method, path, "text/html, */*;q=0.8", token).await;
    assert_eq!(page.status, document.status, "{what}");
    let id = page.headers["x-request-id"].to_str().unwrap();
    let title = problem.title.replace('\'', "&#39;");
    for text in [title.as_str(), "What to do next", code.as_str(), id] {
        assert!(page.body.contains(text), "{what}: no {text} in {}", page.body);
    }
    let again = page.body.contains(r#"<a class="button" href="">Try again</a>"#);
    assert_eq!(again, method == "GET" && code.status() >= 500, "{what}");
    let back = page.body.contains(r#"href="http://billing.example/sync">To the page before"#);
    assert_eq!(back, !again, "{what}");
}

#[tokio::test]
async fn every_fault_is_told_in_the_form_that_is_asked_for() {
    let world = World::sqlite().await;
    for (method, path, code) in [
        ("GET", "/api/v1/orders?limit=0&after=x&y=%3C%26%3E", P::InvalidRequest),
        ("GET", "/api/v1/orders", P::Unauthorized),
        ("GET", "/api/v1/orders/1", P::NotFound),
        ("GET", "/nowhere", P::NotFound),
        ("DELETE", "/api/v1/orders", P::MethodNotAllowed),
        ("PUT", "/api/v1/pull/token", P::UnsupportedMediaType),
    ] {
        check(&world, method, path, code).await;
    }
    let said =
        ResponseTemplate::new(200).set_body_string("<html><title>]]></html> & \u{1}</title>");
    for (answer, code) in [
        (said, P::UpstreamInvalid),
        (
            ResponseTemplate::new(400).set_body_string(r#"{"title": "<b>&\u0001"}"#),
            P::UpstreamInvalid,
        ),
        (ResponseTemplate::new(403), P::UpstreamUnavailable),
        (ResponseTemplate::new(429).insert_header("retry-after", "17"), P::UpstreamUnavailable),
        (ResponseTemplate::new(500), P::UpstreamUnavailable),
        (ResponseTemplate::new(200).set_delay(PULL_TIMEOUT * 10), P::UpstreamTimeout),
    ] {
        world.answers(None, answer).await;
        check(&world, "POST", "/api/v1/pull", code).await;
    }
}

#[tokio::test]
async fn the_other_sides_wish_to_wait_is_passed_on() {
    let world = World::sqlite().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "17");
    world.answers(None, busy).await;
    let told = ask(&world, "POST", "/api/v1/pull", "text/xml", TOKEN).await;
    assert_eq!((told.status, &told.headers["retry-after"]), (503, &"17".parse().unwrap()));
}
