//! The pure model of invoices: what a change of an order means for its invoice.

use std::fmt;

use contract::order::{Customer, Line, Order};
use contract::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// The id of the credited invoice that this one replaces; `None` when it replaces none.
    pub replaces: Option<String>,
    /// The number of the credit note, year and count without gaps in a series of its own, such as
    /// `C-2026-000007`; `None` unless it is credited.
    pub credit_note_number: Option<String>,
    /// How its delivery to the customer's system stands; `None` while there is none.
    pub dispatch: Option<String>,
}

/// Where an invoice is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    /// Follows its order until somebody approves it.
    AwaitingApproval,
    /// Binding, with a number.
    Approved,
    /// The order was deleted before anybody approved it.
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

/// What a received order means for its live invoice (one that awaits approval or is approved; an
/// order has at most one).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing: the invoice says already what the order says.
    None,
    /// The order's first invoice, or its first after a withdrawal.
    Create,
    /// The invoice awaits approval: it is computed anew in place.
    Recompute,
    /// The invoice awaits approval, and the order is gone.
    Withdraw,
    /// The invoice is approved, and the order is gone.
    Credit,
    /// The invoice is approved, and the order was changed: credited, a new one awaits approval.
    CreditAndReplace,
}

/// What `order`, newly received, means for `live`, its live invoice.
pub fn effect(order: &Order, live: Option<&Invoice>) -> Effect {
    let Some(live) = live else {
        return if order.is_deleted() { Effect::None } else { Effect::Create };
    };
    let approved = live.state == InvoiceState::Approved;
    match (order.is_deleted(), approved) {
        (true, false) => Effect::Withdraw,
        (true, true) => Effect::Credit,
        // A re-read brings what is known already, under a new epoch: no invoice is touched.
        (false, _) if says_the_same(order, live) => Effect::None,
        (false, false) => Effect::Recompute,
        (false, true) => Effect::CreditAndReplace,
    }
}

fn says_the_same(order: &Order, invoice: &Invoice) -> bool {
    order.version == invoice.order_version
        && order.customer == invoice.customer
        && order.currency == invoice.currency
        && order.lines == invoice.lines
}
