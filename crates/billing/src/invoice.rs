//! The pure model of invoices: what a change of an order means for its invoice.

use std::fmt;

use contract::money::Totals;
use contract::order::{Customer, Line, Order, OrderState, is_currency_code};
use contract::time::Timestamp;
use kit::show;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::dispatch::DispatchState;

/// An invoice, as the API shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// UUID version 7.
    pub id: String,
    /// Rises by one with every change of the invoice.
    pub version: i64,
    /// Year and count without gaps, such as `2026-000042`; `None` until it is approved.
    pub number: Option<String>,
    /// The order it is for.
    pub order_number: i64,
    /// The version of the order that it was computed from.
    pub order_version: i64,
    /// Where the invoice is in its life.
    pub state: InvoiceState,
    /// Who is to pay, as in the order.
    pub customer: Customer,
    /// ISO 4217 code of all amounts.
    pub currency: String,
    /// Sum of quantity × unit price, in minor units.
    pub net_minor: i64,
    /// Sum of the tax, rounded per line, in minor units.
    pub tax_minor: i64,
    /// `net_minor + tax_minor`.
    pub total_minor: i64,
    /// What is charged, as in the order.
    pub lines: Vec<Line>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was approved; `None` while it is not.
    pub approved_at: Option<Timestamp>,
    /// When it was withdrawn, credited or expired; `None` while it is none of these.
    pub closed_at: Option<Timestamp>,
    /// The id of the credited invoice that this one replaces; `None` when it replaces none.
    pub replaces: Option<String>,
    /// The number of the credit note, year and count without gaps in a series of its own, such as
    /// `C-2026-000007`; `None` unless it is credited.
    pub credit_note_number: Option<String>,
    /// How its delivery to the customer's system stands; `None` while there is none.
    pub dispatch: Option<DispatchState>,
    /// Whether a person withdrew it because ordering had lost its order. For [`Invoice::ending`] only.
    #[serde(skip)]
    pub order_was_lost: bool,
}

impl Invoice {
    /// Its number; in words when it has none: only what awaits approval can still get one.
    pub fn number_or_words(&self) -> &str {
        match (&self.number, self.state) {
            (Some(number), _) => number,
            (None, InvoiceState::AwaitingApproval) => "No number yet",
            (None, _) => "No number",
        }
    }

    /// What happened to it, for whoever wanted to approve it; `replacement` is the invoice that
    /// replaces it, when there is one. `None` while it awaits approval or is approved.
    pub fn ending(&self, replacement: Option<&Self>) -> Option<String> {
        let on =
            self.closed_at.map(|at| format!(" on {}", show::date_time(at))).unwrap_or_default();
        Some(match self.state {
            InvoiceState::AwaitingApproval | InvoiceState::Approved => return None,
            InvoiceState::Withdrawn if self.order_was_lost => {
                format!("Somebody withdrew the invoice{on} because ordering had lost its order.")
            }
            InvoiceState::Withdrawn => {
                format!("The invoice was withdrawn{on} because its order was deleted.")
            }
            InvoiceState::Expired => {
                format!("The invoice expired{on}: nobody had approved it in time.")
            }
            InvoiceState::Credited => {
                let note = self.credit_note_number.as_deref().unwrap_or("a credit note");
                let why = match replacement.map(|replacement| replacement.number.as_deref()) {
                    None => "deleted",
                    Some(None) => "changed; a new invoice, without a number yet, replaces it",
                    Some(Some(number)) => &format!("changed; {number} replaces it"),
                };
                format!("The invoice was credited by {note}{on} because its order was {why}.")
            }
        })
    }
}

/// Where an invoice is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    /// Follows its order until somebody approves it.
    AwaitingApproval,
    /// Binding, with a number.
    Approved,
    /// The order was deleted, or found to be lost in ordering, before anybody approved it.
    Withdrawn,
    /// The order was changed or deleted after the approval: a credit note cancels it.
    Credited,
    /// Nobody approved it in time.
    Expired,
}

impl InvoiceState {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::AwaitingApproval, Self::Approved, Self::Withdrawn, Self::Credited, Self::Expired];

    /// The word for it in documents, addresses and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Approved => "approved",
            Self::Withdrawn => "withdrawn",
            Self::Credited => "credited",
            Self::Expired => "expired",
        }
    }

    /// The words for it on a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "Awaiting approval",
            Self::Approved => "Approved",
            Self::Withdrawn => "Withdrawn",
            Self::Credited => "Credited",
            Self::Expired => "Expired",
        }
    }

    /// Whether an invoice in this state stands for its order; at most one of an order does.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::AwaitingApproval | Self::Approved)
    }

    /// The state that `word` names; `None` when there is no such state.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for InvoiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a received order means for its invoice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect<'a> {
    /// Nothing: the invoice says already what the order says.
    None,
    /// The order has no invoice that stands for it, and needs one.
    Create,
    /// The invoice is approved, and the order is gone.
    Credit(&'a Invoice),
    /// The invoice is approved, and the order was changed: credited, a new one awaits approval.
    CreditAndReplace(&'a Invoice),
}

/// What `order`, newly received, means for `last`: its approved invoice, of which it has at most one;
/// else its expired one, when no other was computed from it since; else `None`. An invoice that awaits
/// approval is not asked about: it says what its order says, and ends when that is deleted.
pub fn effect<'a>(order: &Order, last: Option<&'a Invoice>) -> Effect<'a> {
    use InvoiceState as State;
    let deleted = order.is_deleted();
    let Some(last) = last else {
        return if deleted { Effect::None } else { Effect::Create };
    };
    let came_back = matches!(last.state, State::Withdrawn | State::Credited);
    match last.state {
        // A re-read brings what is known already, under a new epoch: no invoice is touched, and
        // what nobody approved in time does not ask for approval again.
        _ if !deleted && !came_back && says_the_same(order, last) => Effect::None,
        State::AwaitingApproval => Effect::None,
        State::Approved if deleted => Effect::Credit(last),
        State::Approved => Effect::CreditAndReplace(last),
        State::Withdrawn | State::Credited | State::Expired if deleted => Effect::None,
        State::Withdrawn | State::Credited | State::Expired => Effect::Create,
    }
}

fn says_the_same(order: &Order, invoice: &Invoice) -> bool {
    order.version == invoice.order_version
        && order.customer == invoice.customer
        && order.currency == invoice.currency
        && order.lines == invoice.lines
}

/// Why no invoice can be computed from `order`; `None` when one can.
///
/// The amounts are computed again from the lines: a provider whose sums do not add up is not
/// believed, because an invoice is binding.
pub fn fault(order: &Order) -> Option<&'static str> {
    Some(match Totals::of(&order.lines) {
        None => "the sum of its lines is too large",
        Some(totals) if totals != order.totals() => "its totals are not those of its lines",
        _ if order.state == OrderState::Draft => "it is a draft",
        _ if !is_currency_code(&order.currency) => "its currency is unknown",
        _ => return None,
    })
}

/// Numbers that are given without gaps, counted anew each year.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Series {
    /// Of approved invoices: `2026-000042`.
    Invoice,
    /// Of credit notes: `C-2026-000007`.
    CreditNote,
}

impl Series {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
        }
    }

    /// The number that is the `count`th of `year`.
    pub fn number(self, year: i16, count: i64) -> String {
        let prefix = match self {
            Self::Invoice => "",
            Self::CreditNote => "C-",
        };
        format!("{prefix}{year}-{count:06}")
    }
}

#[cfg(test)]
mod tests {
    use contract::feed::SequenceNr;

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);

    fn order(state: OrderState, version: i64, quantity: i64) -> Order {
        let lines = vec![Line { line_no: 1, quantity, unit_price_minor: 100, ..Line::default() }];
        let totals = Totals::of(&lines).unwrap();
        Order {
            number: 1,
            state,
            version,
            confirmed_sequence_nr: SequenceNr(1),
            customer: Customer::default(),
            currency: "EUR".into(),
            reference: None,
            note: None,
            lines,
            net_minor: totals.net_minor,
            tax_minor: totals.tax_minor,
            total_minor: totals.total_minor,
            confirmed_at: Some(AT),
            changed_at: AT,
            deleted_at: None,
        }
    }

    fn invoice(state: InvoiceState, order: &Order) -> Invoice {
        Invoice {
            id: "an invoice".into(),
            version: 1,
            number: None,
            order_number: order.number,
            order_version: order.version,
            state,
            customer: order.customer.clone(),
            currency: order.currency.clone(),
            net_minor: order.net_minor,
            tax_minor: order.tax_minor,
            total_minor: order.total_minor,
            lines: order.lines.clone(),
            created_at: AT,
            approved_at: None,
            closed_at: None,
            replaces: None,
            credit_note_number: None,
            dispatch: None,
            order_was_lost: false,
        }
    }

    #[test]
    fn an_order_without_a_live_invoice_gets_one_unless_it_is_deleted() {
        assert_eq!(effect(&order(OrderState::Confirmed, 1, 1), None), Effect::Create);
        assert_eq!(effect(&order(OrderState::Deleted, 2, 1), None), Effect::None);
    }

    #[test]
    fn an_approved_invoice_is_credited_when_its_order_changes() {
        let first = order(OrderState::Confirmed, 1, 1);
        let approved = invoice(InvoiceState::Approved, &first);

        let changed = order(OrderState::Confirmed, 2, 5);
        assert_eq!(effect(&changed, Some(&approved)), Effect::CreditAndReplace(&approved));

        let deleted = order(OrderState::Deleted, 2, 1);
        assert_eq!(effect(&deleted, Some(&approved)), Effect::Credit(&approved));
    }

    #[test]
    fn what_an_invoice_says_already_does_not_touch_it() {
        let known = order(OrderState::Confirmed, 3, 1);
        let approved = invoice(InvoiceState::Approved, &known);
        assert_eq!(effect(&known, Some(&approved)), Effect::None);
        // Another history may give the same version to another content.
        let other = order(OrderState::Confirmed, 3, 2);
        assert_ne!(effect(&other, Some(&approved)), Effect::None);
    }

    #[test]
    fn what_has_expired_comes_back_only_with_a_change() {
        let known = order(OrderState::Confirmed, 3, 1);
        let expired = invoice(InvoiceState::Expired, &known);
        assert_eq!(effect(&known, Some(&expired)), Effect::None);
        assert_eq!(effect(&order(OrderState::Deleted, 4, 1), Some(&expired)), Effect::None);
        for changed in [order(OrderState::Confirmed, 4, 1), order(OrderState::Confirmed, 3, 2)] {
            assert_eq!(effect(&changed, Some(&expired)), Effect::Create);
        }
    }

    #[test]
    fn an_order_that_comes_back_gets_an_invoice_again() {
        let known = order(OrderState::Confirmed, 3, 1);
        for state in [InvoiceState::Withdrawn, InvoiceState::Credited] {
            let closed = invoice(state, &known);
            assert_eq!(effect(&known, Some(&closed)), Effect::Create);
            assert_eq!(effect(&order(OrderState::Deleted, 4, 1), Some(&closed)), Effect::None);
        }
    }

    #[test]
    fn only_what_awaits_approval_can_still_get_a_number() {
        let order = order(OrderState::Confirmed, 1, 1);
        let words = |state| invoice(state, &order).number_or_words().to_owned();
        assert_eq!(words(InvoiceState::AwaitingApproval), "No number yet");
        assert_eq!(words(InvoiceState::Expired), "No number");
        assert_eq!(words(InvoiceState::Withdrawn), "No number");
        let number = Some("2026-000042".to_owned());
        let numbered = Invoice { number, ..invoice(InvoiceState::Approved, &order) };
        assert_eq!(numbered.number_or_words(), "2026-000042");
    }

    #[test]
    fn an_invoice_says_what_ended_it() {
        let order = order(OrderState::Confirmed, 1, 1);
        let closed = |state, note: Option<&str>| Invoice {
            closed_at: Some(AT),
            credit_note_number: note.map(str::to_owned),
            ..invoice(state, &order)
        };
        let credited = closed(InvoiceState::Credited, Some("C-2026-000007"));
        let waiting = invoice(InvoiceState::AwaitingApproval, &order);
        let numbered = Invoice { number: Some("2026-000008".into()), ..waiting.clone() };
        for (ending, expected) in [
            (waiting.ending(None), None),
            (invoice(InvoiceState::Approved, &order).ending(None), None),
            (
                closed(InvoiceState::Withdrawn, None).ending(None),
                Some(
                    "The invoice was withdrawn on 1 May 2026, 10:00 UTC because its order was \
                     deleted.",
                ),
            ),
            (
                closed(InvoiceState::Expired, None).ending(None),
                Some(
                    "The invoice expired on 1 May 2026, 10:00 UTC: nobody had approved it in time.",
                ),
            ),
            (
                credited.ending(None),
                Some(
                    "The invoice was credited by C-2026-000007 on 1 May 2026, 10:00 UTC because \
                     its order was deleted.",
                ),
            ),
            (
                credited.ending(Some(&waiting)),
                Some(
                    "The invoice was credited by C-2026-000007 on 1 May 2026, 10:00 UTC because \
                     its order was changed; a new invoice, without a number yet, replaces it.",
                ),
            ),
            (
                credited.ending(Some(&numbered)),
                Some(
                    "The invoice was credited by C-2026-000007 on 1 May 2026, 10:00 UTC because \
                     its order was changed; 2026-000008 replaces it.",
                ),
            ),
        ] {
            assert_eq!(ending.as_deref(), expected);
        }
    }

    #[test]
    fn an_order_whose_sums_are_wrong_cannot_be_billed() {
        let good = order(OrderState::Confirmed, 1, 3);
        assert_eq!(fault(&good), None);
        assert_eq!(fault(&order(OrderState::Deleted, 2, 3)), None);

        let mut line = good.lines[0].clone();
        line.quantity = i64::MAX;
        let faulty = [
            Order { total_minor: good.total_minor + 1, ..good.clone() },
            Order { lines: vec![line], ..good.clone() },
            Order { currency: "XX\0".into(), ..good.clone() },
            order(OrderState::Draft, 1, 3),
        ];
        for order in faulty {
            assert!(fault(&order).is_some(), "{order:?}");
        }
    }

    #[test]
    fn numbers_name_their_year() {
        assert_eq!(Series::Invoice.number(2026, 42), "2026-000042");
        assert_eq!(Series::CreditNote.number(2026, 7), "C-2026-000007");
        assert_eq!(Series::Invoice.number(2026, 1_234_567), "2026-1234567");
    }
}
