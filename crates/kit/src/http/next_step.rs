//! What somebody does next who sees the page for a problem.

use contract::problem::ProblemCode;

/// What somebody does next.
pub(super) struct NextStep {
    /// In words.
    pub(super) advice: &'static str,
    /// Whether the same request may succeed later.
    pub(super) may_pass: bool,
    /// Whether what they typed is wanted again, to be sent anew or corrected.
    pub(super) keeps_typed: bool,
}

impl NextStep {
    pub(super) fn after(code: ProblemCode) -> Self {
        use ProblemCode as P;
        let may_pass = code.status() >= 500 || code == P::TooManyRequests;
        let mends = matches!(code, P::InvalidRequest | P::PayloadTooLarge | P::ValidationFailed);
        Self { advice: advice(code), may_pass, keeps_typed: may_pass || mends }
    }
}

const fn advice(code: ProblemCode) -> &'static str {
    use ProblemCode as P;
    match code {
        P::InvalidRequest => "Check the address, or what you typed, against what is said above.",
        P::Unauthorized => {
            "This address is for programs. For people there are the pages, which the menu leads \
             to. If it is your program, whoever runs this service gives you its API token."
        }
        P::Forbidden => {
            "Open the page from the menu and press the button there. If that is what you did, \
             your browser hides where you come from: allow it for this address."
        }
        P::NotFound => {
            "Check the number in the address, or look for it in the lists of the menu. What was \
             never confirmed is not visible everywhere."
        }
        P::MethodNotAllowed => {
            "The address is right but cannot be used this way. Open the page from the menu."
        }
        P::Conflict => {
            "Somebody or something else was faster. Open the page anew: it shows how things \
             stand."
        }
        P::FeedReset => {
            "Nothing is lost. Whoever reads this feed starts again from its beginning; billing \
             does so by itself."
        }
        P::FeedUnknown => {
            "Tell whoever runs billing: it reads from another ordering than before, and a \
             person has to decide which of the two is right."
        }
        P::VersionConflict => {
            "Your change was not saved: it would have undone somebody else's unseen. Open the page \
             anew, look at what changed, and make your change again."
        }
        P::PayloadTooLarge => "Nothing was saved. Split it, and send the parts.",
        P::UnsupportedMediaType => {
            "This address takes JSON from programs. For people there are the forms of the menu."
        }
        P::ValidationFailed => {
            "Nothing was saved. Correct what is listed above, and send it again."
        }
        P::PreconditionRequired => {
            "Open the page anew and make the change there: it knows the version it is for."
        }
        P::TooManyRequests => "Wait for a minute, then try again.",
        P::Internal => {
            "Try once more. If it happens again, tell whoever runs this service, with the \
             request id below: the log says more under it."
        }
        P::UpstreamInvalid => {
            "You did nothing wrong, but trying again will hardly help. Tell whoever runs this \
             service, with the request id below: the two systems do not understand each other."
        }
        P::Unavailable => {
            "You did nothing wrong. If it still does not work in a few minutes, tell whoever \
             runs this service, with the request id below."
        }
        P::UpstreamUnavailable => {
            "You did nothing wrong, and nothing is lost. Try again in a minute. If it still \
             does not work then, tell whoever runs the other system that it is away or refuses \
             us."
        }
        P::StaleProvider => {
            "Tell whoever runs the other system: an old copy of it is still switched on, and \
             answers in place of the current one."
        }
        P::UpstreamTimeout => {
            "You did nothing wrong, and nothing is lost. The other system is slow at the \
             moment: try again in a minute."
        }
    }
}
