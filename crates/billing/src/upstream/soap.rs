//! SOAP faults, of version 1.1 (<https://www.w3.org/TR/2000/NOTE-SOAP-20000508/#_Toc478383507>) and
//! 1.2 (<https://www.w3.org/TR/soap12-part1/#soapfault>).

use roxmltree::{Document, Node, ParsingOptions};

use super::said::{Blame, Said, one_line};

/// Namespaces of the envelope, which tell the versions apart.
const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// The most elements, texts and comments that are read.
const MAX_NODES: u32 = 10_000;

/// Reads a fault; `None` when the body is no envelope with a fault in it.
///
/// Safe on whatever the other side sends: bodies are short before they come here, the parser
/// refuses document types and with them all entities, and does not recurse.
pub(super) fn read(body: &[u8]) -> Option<Said> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let envelope = document.root_element();
    let namespace = envelope.tag_name().namespace()?;
    let inside = |node: Node<'_, '_>, name: &str| node.has_tag_name((namespace, name));
    let body = envelope.children().find(|node| inside(*node, "Body"))?;
    let fault = body.children().find(|node| inside(*node, "Fault"))?;
    let (code, reason, detail) = match namespace {
        SOAP_11 => (child(fault, "faultcode"), child(fault, "faultstring"), child(fault, "detail")),
        SOAP_12 => {
            let code = child(fault, "Code");
            // The subcode is the more specific one.
            let specific = code.and_then(|code| child(child(code, "Subcode")?, "Value"));
            let reason = child(fault, "Reason").and_then(|reason| child(reason, "Text"));
            let blame = blame(&local_name(child(code?, "Value")?));
            let code = specific.or_else(|| child(code?, "Value"));
            return Some(said(code, reason, child(fault, "Detail"), blame));
        }
        _ => return None,
    };
    let blame = code.and_then(|code| blame(&local_name(code)));
    Some(said(code, reason, detail, blame))
}

/// Puts the parts together. A detail that carries a message and a code of the application is more
/// specific than the reason.
fn said(
    code: Option<Node<'_, '_>>,
    reason: Option<Node<'_, '_>>,
    detail: Option<Node<'_, '_>>,
    blame: Option<Blame>,
) -> Said {
    let specific = detail.and_then(deepest_message);
    let specific_code = specific.and_then(|message| child(message.parent_element()?, "code"));
    let says_something = |text: &String| !text.is_empty();
    let text_of =
        |node: Node<'_, '_>| Some(one_line(node.text().unwrap_or_default())).filter(says_something);
    let message = specific.and_then(text_of).or_else(|| reason.and_then(text_of));
    Said {
        message: message.unwrap_or_else(|| "a SOAP fault that does not say what is wrong".into()),
        code: specific_code
            .and_then(text_of)
            .or_else(|| code.map(local_name).filter(says_something)),
        request_id: None,
        blame,
    }
}

/// The deepest element called `message` that holds a text; the first of those.
fn deepest_message<'a, 'input>(detail: Node<'a, 'input>) -> Option<Node<'a, 'input>> {
    let is_message = |node: &Node<'_, '_>| {
        node.tag_name().name().eq_ignore_ascii_case("message")
            && node.text().is_some_and(|text| !text.trim().is_empty())
    };
    let found = detail.descendants().filter(is_message);
    // `max_by_key` gives the last of equals, and the first is wanted.
    found.rev().max_by_key(|node| node.ancestors().count())
}

fn child<'a, 'input>(parent: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    parent.children().find(|node| node.is_element() && node.tag_name().name() == name)
}

/// A code without its prefix: `soap:Client` is `Client`.
fn local_name(code: Node<'_, '_>) -> String {
    let text = code.text().unwrap_or_default().trim();
    one_line(text.rsplit_once(':').map_or(text, |(_, name)| name))
}

/// What a fault code blames; `None` for one that the specifications do not name.
fn blame(code: &str) -> Option<Blame> {
    match code {
        // From WS-Security, which has fault codes of its own.
        "Client.Authentication"
        | "FailedAuthentication"
        | "InvalidSecurity"
        | "InvalidSecurityToken"
        | "SecurityTokenUnavailable" => Some(Blame::Credentials),
        "Sender" | "VersionMismatch" | "MustUnderstand" | "DataEncodingUnknown" => {
            Some(Blame::Request)
        }
        "Receiver" => Some(Blame::Server),
        // SOAP 1.1 refines codes behind a dot, as in `Client.Validation`.
        _ => match code.split('.').next() {
            Some("Client") => Some(Blame::Request),
            Some("Server") => Some(Blame::Server),
            _ => None,
        },
    }
}
