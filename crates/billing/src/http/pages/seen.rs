//! What a person saw of an invoice before approving it, beside what it says by now.

use askama::Template;
use askama_web::WebTemplate;
use contract::problem::ProblemCode;
use kit::compare::Compared;
use kit::http::frame::Frame;
use kit::show;

use super::frame;
use crate::error::{Error, Result};
use crate::invoice::{Invoice, InvoiceState};

/// How many lines are compared one by one; a change of any other shows in the sums.
const LINES: usize = 20;
/// What the names of the form's fields with facts begin with.
const PREFIX: &str = "seen.";

/// Something that a person looks at before approving, in the words of the page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fact {
    pub(super) label: String,
    pub(super) text: String,
}

impl Fact {
    /// The name of the form's field that carries it.
    pub(super) fn field(&self) -> String {
        format!("{PREFIX}{}", self.label)
    }
}

/// What there is to look at in an invoice.
pub(super) fn facts(invoice: &Invoice) -> Vec<Fact> {
    let currency = invoice.currency.as_str();
    let address = invoice.customer.address.as_ref().map(show::address_lines).unwrap_or_default();
    let lines = invoice.lines.iter().take(LINES);
    let further = invoice.lines.len().saturating_sub(LINES);
    let mut facts =
        vec![fact("Customer", invoice.customer.name.clone()), fact("Address", address.join(", "))];
    facts.extend(
        lines.map(|line| fact(&format!("Line {}", line.line_no), show::line(line, currency))),
    );
    if further > 0 {
        facts.push(fact("Further lines", further.to_string()));
    }
    facts.extend([
        fact("Net", show::money(invoice.net_minor, currency)),
        fact("Tax", show::money(invoice.tax_minor, currency)),
        fact("Total", show::money(invoice.total_minor, currency)),
        fact("Order version", invoice.order_version.to_string()),
    ]);
    facts
}

fn fact(label: &str, text: String) -> Fact {
    Fact { label: label.to_owned(), text }
}

/// The form for an approval, as it was sent. Its facts are what the sender claims to have seen:
/// they are shown to the sender again, and nothing is decided by them.
#[derive(Debug)]
pub(super) struct Seen {
    /// The version of the invoice that is meant.
    pub(super) version: i64,
    facts: Vec<Fact>,
}

impl Seen {
    /// Reads the fields of the form.
    ///
    /// # Errors
    /// When they name no version.
    pub(super) fn read(fields: Vec<(String, String)>) -> Result<Self> {
        let version = version(&fields)?;
        let facts = fields
            .into_iter()
            .filter_map(|(name, text)| name.strip_prefix(PREFIX).map(|label| fact(label, text)));
        // A page has no more of them: its lines, and some besides.
        Ok(Self { version, facts: facts.take(2 * LINES).collect() })
    }
}

/// Which version of the invoice a form means.
///
/// # Errors
/// When its fields do not say.
pub(super) fn version(fields: &[(String, String)]) -> Result<i64> {
    let version = fields.iter().find(|(name, _)| name == "version");
    version.and_then(|(_, text)| text.parse().ok()).ok_or_else(|| {
        let detail = "The form does not say which version of the invoice is meant.";
        Error::new(ProblemCode::InvalidRequest, detail)
    })
}

/// The page for an approval that was meant for another version: both side by side.
#[derive(Template, WebTemplate)]
#[template(path = "invoice_changed.html")]
pub(super) struct ChangedPage {
    frame: Frame,
    invoice: Invoice,
    /// What there is to look at now, to come back with the next form.
    facts: Vec<Fact>,
    rows: Vec<Compared>,
}

impl ChangedPage {
    /// What was `seen`, beside the invoice as it is now.
    pub(super) fn new(seen: Seen, invoice: Invoice) -> Self {
        let facts = facts(&invoice);
        Self { frame: frame("/invoices"), rows: compare(seen.facts, &facts), facts, invoice }
    }

    /// Whether it can still be approved, in the version that is shown: an order that is missing at
    /// the source, unless it is kept, keeps it from ever coming to this page.
    fn can_be_approved(&self) -> bool {
        self.invoice.state == InvoiceState::AwaitingApproval
    }
}

/// Both by their labels: in the order of `now`, then what is there no more.
fn compare(mut yours: Vec<Fact>, now: &[Fact]) -> Vec<Compared> {
    let mut rows = Vec::with_capacity(now.len());
    for Fact { label, text } in now {
        let place = yours.iter().position(|fact| fact.label == *label);
        let before = place.map(|place| yours.remove(place).text).unwrap_or_default();
        rows.push(Compared::new(label, &before, text));
    }
    rows.extend(yours.iter().map(|fact| Compared::new(&fact.label, &fact.text, "")));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_meet_by_their_labels() {
        let yours = vec![
            fact("Customer", "Ada".into()),
            fact("Line 1", "a".into()),
            fact("Line 2", "b".into()),
            fact("Total", "1.00 EUR".into()),
        ];
        let now =
            [fact("Customer", "Ada".into()), fact("Line 1", "c".into()), fact("Net", "2".into())];
        let rows = compare(yours, &now);
        let shown: Vec<_> = rows
            .iter()
            .map(|row| (&*row.label, row.yours.as_deref(), row.now.as_deref(), row.differs()))
            .collect();
        assert_eq!(
            shown,
            [
                ("Customer", Some("Ada"), Some("Ada"), false),
                ("Line 1", Some("a"), Some("c"), true),
                ("Net", None, Some("2"), true),
                ("Line 2", Some("b"), None, true),
                ("Total", Some("1.00 EUR"), None, true),
            ]
        );
    }

    #[test]
    fn a_form_names_its_version_and_only_facts_are_taken_from_it() {
        let field = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let seen = Seen::read(vec![
            field("seen.Total", "1.00 EUR"),
            field("version", "3"),
            field("other", "x"),
        ]);
        let seen = seen.unwrap();
        assert_eq!((seen.version, seen.facts), (3, vec![fact("Total", "1.00 EUR".into())]));
        for wrong in [vec![], vec![field("version", "x")], vec![field("seen.version", "3")]] {
            assert_eq!(
                Seen::read(wrong).unwrap_err().into_problem().code,
                ProblemCode::InvalidRequest
            );
        }
    }
}
