//! Problems for SOAP clients: the same fault as a SOAP 1.1 envelope.
//!
//! <https://www.w3.org/TR/2000/NOTE-SOAP-20000508/#_Toc478383507>. What the document says stands in
//! `detail`, in the XML form of problem documents (RFC 9457, appendix B).

use askama::Template;
use contract::problem::Problem;

/// Media type of a SOAP 1.1 message.
pub(super) const MEDIA_TYPE: &str = "text/xml; charset=utf-8";

#[derive(Template)]
#[template(path = "soap_fault.xml")]
struct Envelope<'a> {
    problem: &'a Problem,
}

impl Envelope<'_> {
    /// Who is at fault.
    fn fault_code(&self) -> &'static str {
        if (400..500).contains(&self.problem.status) { "Client" } else { "Server" }
    }
}

/// The envelope for a problem.
pub(super) fn of_problem(problem: &Problem) -> String {
    // Rendering fails only when formatting a value does, and none of ours can.
    let envelope = Envelope { problem }.render().unwrap_or_default();
    // The template escapes markup; characters that XML does not know at all cannot be escaped.
    envelope.replace(is_no_xml, "\u{fffd}")
}

/// What XML 1.0 forbids, even escaped: <https://www.w3.org/TR/xml/#charsets>.
fn is_no_xml(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use contract::problem::{ProblemCode, Violation};
    use roxmltree::{Document, Node};

    use super::*;

    #[test]
    fn whatever_a_problem_says_the_envelope_is_xml_and_says_the_same() {
        let hostile = "</faultstring>]]><!-- & \"'\u{0}\u{b}\u{1b}\u{ffff}\u{7f}é\u{1f600}";
        let violation = Violation::new("/lines/0/<b>", "invalid", hostile);
        let problem = Problem {
            instance: Some("/requests/7".to_owned()),
            ..Problem::with_violations(ProblemCode::ValidationFailed, hostile, vec![violation])
        };
        let envelope = of_problem(&problem);
        let document = Document::parse(&envelope).unwrap();
        let text = |name: &str| {
            let found = document.descendants().find(|node| node.tag_name().name() == name);
            found.and_then(|node: Node<'_, '_>| node.text()).unwrap_or_default().to_owned()
        };
        let harmless = hostile.replace(['\u{0}', '\u{b}', '\u{1b}', '\u{ffff}'], "\u{fffd}");
        assert_eq!(text("faultcode"), "soap:Client");
        assert_eq!(text("faultstring"), format!("{harmless}: 1 problem"));
        assert_eq!(text("title"), harmless);
        assert_eq!(text("status"), "422");
        assert_eq!(text("instance"), "/requests/7");
        assert_eq!(text("pointer"), "/lines/0/<b>");
    }
}
