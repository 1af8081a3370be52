//! The customer's system, as the one who hands invoices over sees it.

use std::time::Duration;

use contract::time::Timestamp;
use kit::clock::SharedClock;
use reqwest::header::CONTENT_TYPE;
use url::Url;

use super::message::webhook_id;
use super::signer::Signer;
use super::task::Attempt;
use crate::settings::DispatchSettings;
use crate::upstream::{self, Fault, Upstream};

/// Its name, as a sentence begins with it.
const SYSTEM: &str = "The customer's system";

/// The customer's system: one address that takes signed messages.
pub struct Receiver {
    http: reqwest::Client,
    upstream: Upstream,
    url: Url,
    signer: Signer,
    timeout: Duration,
}

/// Why dispatch cannot be set up; names the setting.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is an address, but nothing to sign with.
    #[error(
        "--dispatch-url (BILLING_DISPATCH_URL) needs --dispatch-secret (BILLING_DISPATCH_SECRET): \
         without a signature the receiver could not tell our invoices from anybody's"
    )]
    NoSecret,
    /// The secret is not one.
    #[error(
        "--dispatch-secret (BILLING_DISPATCH_SECRET) must be whsec_ and then 24 to 64 random bytes \
         in base64, as in: echo whsec_$(openssl rand -base64 32)"
    )]
    InvalidSecret,
    /// TLS cannot be set up.
    #[error("the client of the dispatch cannot be set up")]
    Client(#[from] reqwest::Error),
}

impl Receiver {
    /// The receiver that `settings` name; `None` when they name none, and dispatch is off.
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    pub fn new(
        settings: &DispatchSettings,
        clock: SharedClock,
    ) -> Result<Option<Self>, SetupError> {
        let Some(url) = settings.dispatch_url.clone() else { return Ok(None) };
        let secret = settings.dispatch_secret.as_ref().ok_or(SetupError::NoSecret)?;
        let signer = Signer::new(secret).map_err(|_| SetupError::InvalidSecret)?;
        let timeout = settings.dispatch_timeout;
        let http = upstream::client(timeout).build()?;
        Ok(Some(Self { http, upstream: Upstream::new(SYSTEM, clock), url, signer, timeout }))
    }

    /// How long one call may take, all in all.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends what `attempt` is to hand over; the message is signed as sent `at` this time.
    ///
    /// # Errors
    /// When it was not accepted, or nobody knows.
    pub(super) async fn send(&self, attempt: &Attempt, at: Timestamp) -> Result<(), Fault> {
        let id = webhook_id(&attempt.invoice_id);
        let mut request = self.http.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        for (name, value) in self.signer.headers(&id, at, &attempt.payload) {
            request = request.header(name, value);
        }
        self.upstream.tell(request.body(attempt.payload.clone())).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kit::clock::SystemClock;

    use super::*;

    fn set_up(url: Option<&str>, secret: Option<&str>) -> Result<bool, String> {
        let settings = DispatchSettings {
            dispatch_url: url.map(|url| url.parse().unwrap()),
            dispatch_secret: secret.map(|secret| secret.parse().unwrap()),
            dispatch_workers: 5,
            dispatch_timeout: Duration::from_secs(30),
        };
        let receiver = Receiver::new(&settings, Arc::new(SystemClock));
        receiver.map(|receiver| receiver.is_some()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_setting_that_is_missing_or_wrong_is_named_but_not_repeated() {
        let url = Some("https://customer.example/hooks");
        let secret = Some("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(set_up(None, None), Ok(false));
        assert_eq!(set_up(None, secret), Ok(false));
        assert_eq!(set_up(url, secret), Ok(true));
        let missing = set_up(url, None).unwrap_err();
        assert!(missing.contains("--dispatch-secret (BILLING_DISPATCH_SECRET)"), "{missing}");
        for wrong in ["whsec_c2hvcnQ=", "whsec_no base64", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"] {
            let told = set_up(url, Some(wrong)).unwrap_err();
            assert!(told.contains("--dispatch-secret (BILLING_DISPATCH_SECRET)"), "{told}");
            assert!(!told.contains(wrong.trim_start_matches("whsec_")), "{told}");
        }
    }
}
