//! What a fault of another system is for our caller: the one table.

use std::fmt;
use std::time::Duration;

use contract::problem::ProblemCode;

use super::said::{Blame, Said};

/// Who has to act before the same request can succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtFault {
    /// We: the request or its credentials are wrong, and sending the same again is in vain.
    Us,
    /// The other system, or the network: the same request may succeed later.
    Them,
}

impl AtFault {
    /// One word for it, for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Them => "them",
        }
    }
}

/// Why another system did not do what it was asked. Shown, it is a sentence for our caller: short,
/// on one line, and naming the system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which system, as a sentence begins with it: `Ordering`.
    pub system: &'static str,
    /// What it is for our caller.
    pub code: ProblemCode,
    /// Who has to act.
    pub at_fault: AtFault,
    /// The most specific that is known, in one short line.
    pub message: String,
    /// The HTTP status; `None` when there was no whole answer.
    pub status: Option<u16>,
    /// The other system's own code for it, for the log.
    pub original_code: Option<String>,
    /// What the other system knows the request by, for the log.
    pub request_id: Option<String>,
    /// How long it asks to wait before the next try; `None` when it does not say.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, message, .. } = self;
        match self.status {
            None if self.code == ProblemCode::UpstreamTimeout => {
                write!(f, "{system} did not answer in time")
            }
            None => write!(f, "{system} cannot be reached: {message}"),
            Some(status) if self.is_not_as_agreed() => {
                write!(f, "{system} answered {status}, but not as agreed: {message}")
            }
            Some(status) => write!(f, "{system} answered {status}: {message}"),
        }
    }
}

impl std::error::Error for Fault {}

/// The table: what an answer with this status is, and who has to act. `blame` is what a SOAP fault
/// says about that itself; it counts where the status cannot tell, because SOAP sends all its faults
/// with 500.
fn judge(status: u16, blame: Option<Blame>) -> (ProblemCode, AtFault) {
    use AtFault::{Them, Us};
    use ProblemCode::{UpstreamInvalid, UpstreamUnavailable};
    match (status, blame) {
        // Our credentials are refused: an operator's matter, which our caller can only wait for.
        (401 | 403 | 407, _) | (500, Some(Blame::Credentials)) => (UpstreamUnavailable, Us),
        (408 | 429, _) => (UpstreamUnavailable, Them),
        // Our mistake: never our caller's, who did not write that request.
        (400..=499, _) | (500, Some(Blame::Request)) => (UpstreamInvalid, Us),
        (500..=599, _) => (UpstreamUnavailable, Them),
        // A success without the document that was agreed; a redirect, which was not agreed either.
        _ => (UpstreamInvalid, Them),
    }
}

impl Fault {
    /// What an answer with this `status` that says this is for our caller.
    pub(super) fn of_answer(system: &'static str, status: u16, said: Said) -> Self {
        let (code, at_fault) = judge(status, said.blame);
        Self {
            system,
            code,
            at_fault,
            message: said.message,
            status: Some(status),
            original_code: said.code,
            request_id: said.request_id,
            retry_after: None,
        }
    }

    /// An answer that is not what was agreed; `message` says in what.
    pub fn not_as_agreed(system: &'static str, status: u16, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status: Some(status),
            message,
            ..Self::without_answer(system, ProblemCode::UpstreamInvalid)
        }
    }

    /// No whole answer in time.
    pub fn timeout(system: &'static str) -> Self {
        Self::without_answer(system, ProblemCode::UpstreamTimeout)
    }

    /// No connection, or none that lasted; `message` says why.
    pub fn unreachable(system: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { message, ..Self::without_answer(system, ProblemCode::UpstreamUnavailable) }
    }

    fn without_answer(system: &'static str, code: ProblemCode) -> Self {
        Self {
            system,
            code,
            at_fault: AtFault::Them,
            message: String::new(),
            status: None,
            original_code: None,
            request_id: None,
            retry_after: None,
        }
    }

    /// Whether there was an answer, but not one that was agreed.
    fn is_not_as_agreed(&self) -> bool {
        self.code == ProblemCode::UpstreamInvalid && self.at_fault == AtFault::Them
    }

    /// One word for it, for metrics.
    pub fn kind(&self) -> &'static str {
        match self.status {
            None if self.code == ProblemCode::UpstreamTimeout => "timeout",
            None => "unreachable",
            Some(_) if self.is_not_as_agreed() => "invalid",
            Some(_) => "refused",
        }
    }

    /// Logs it, with what only the log may know. For the boundary that handles it.
    pub fn warn(&self, message: &str) {
        tracing::warn!(
            error = self.to_string(),
            upstream.status = self.status,
            upstream.code = self.original_code,
            upstream.request_id = self.request_id,
            upstream.at_fault = self.at_fault.as_str(),
            "{message}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_for_every_status() {
        use AtFault::{Them, Us};
        use ProblemCode::{UpstreamInvalid as Invalid, UpstreamUnavailable as Unavailable};
        let expected = |status: u16| match status {
            401 | 403 | 407 => (Unavailable, Us),
            408 | 429 | 500.. => (Unavailable, Them),
            400.. => (Invalid, Us),
            _ => (Invalid, Them),
        };
        for status in 100..600 {
            assert_eq!(judge(status, None), expected(status), "{status}");
        }
        // A SOAP fault decides only where the status leaves it open.
        assert_eq!(judge(500, Some(Blame::Request)), (Invalid, Us));
        assert_eq!(judge(500, Some(Blame::Credentials)), (Unavailable, Us));
        assert_eq!(judge(500, Some(Blame::Server)), (Unavailable, Them));
        assert_eq!(judge(200, Some(Blame::Request)), (Invalid, Them));
        assert_eq!(judge(400, Some(Blame::Server)), (Invalid, Us));
        assert_eq!(judge(503, Some(Blame::Request)), (Unavailable, Them));
    }

    #[test]
    fn a_fault_is_shown_as_a_sentence_that_names_the_system() {
        let shown = |fault: Fault| fault.to_string();
        assert_eq!(shown(Fault::timeout("Ordering")), "Ordering did not answer in time");
        assert_eq!(
            shown(Fault::unreachable("Ordering", "connection refused")),
            "Ordering cannot be reached: connection refused"
        );
        assert_eq!(
            shown(Fault::not_as_agreed("Ordering", 200, "no orders")),
            "Ordering answered 200, but not as agreed: no orders"
        );
        let said = Said { message: "the period is closed".into(), ..Said::default() };
        assert_eq!(
            shown(Fault::of_answer("Ordering", 400, said)),
            "Ordering answered 400: the period is closed"
        );
    }
}
