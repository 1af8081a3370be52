//! Signing what is sent, as Standard Webhooks has it
//! (<https://www.standardwebhooks.com>, specification version 1.0.0).

use std::ops::RangeInclusive;

use contract::time::Timestamp;
use kit::settings::Secret;
use standardwebhooks::Webhook;

/// What the specification asks of a secret, in bytes.
const SECRET_BYTES: RangeInclusive<usize> = 24..=64;

/// Signs messages with a secret that the receiver knows too: HMAC-SHA256.
pub(super) struct Signer(Webhook);

/// The secret is not one. It is not repeated here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct InvalidSecret;

impl Signer {
    /// Signs with `secret`: `whsec_`, and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// When it is anything else.
    pub(super) fn new(secret: &Secret) -> Result<Self, InvalidSecret> {
        let key = secret.reveal().strip_prefix("whsec_").ok_or(InvalidSecret)?;
        let webhook = Webhook::new(key).map_err(|_| InvalidSecret)?;
        // Whole groups of four characters, or it would not have been read: each is three bytes, but
        // for the padding.
        let bytes = key.len() / 4 * 3 - key.bytes().filter(|byte| *byte == b'=').count();
        if !SECRET_BYTES.contains(&bytes) {
            return Err(InvalidSecret);
        }
        Ok(Self(webhook))
    }

    /// The headers of a message that is sent `at` this time.
    pub(super) fn headers(
        &self,
        id: &str,
        at: Timestamp,
        body: &str,
    ) -> [(&'static str, String); 3] {
        let seconds = at.millis().div_euclid(1_000);
        let signature = self.0.sign(id, seconds, body.as_bytes());
        // Only a body that is no UTF-8 cannot be signed, and a `str` is.
        let signature = signature.expect("text can be signed");
        [
            (standardwebhooks::HEADER_WEBHOOK_ID, id.to_owned()),
            (standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, seconds.to_string()),
            (standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signature),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(secret: &str) -> Result<Signer, InvalidSecret> {
        Signer::new(&secret.parse().unwrap())
    }

    #[test]
    fn a_message_is_signed_as_others_sign_it() {
        // The first is the example that the specification's own libraries test with; the second was
        // computed with Python's hmac module.
        for (secret, id, seconds, body, signature) in [
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
            (
                "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
                "approved-0197b2c4-7d1e-7c3a-9b1f-2a54c8d0e911",
                1_777_629_600,
                r#"{"name":"Łódź"}"#,
                "v1,D05a9poHoKkSrq5oat+alMGAD3ebEFCB3XiaCNcAmCo=",
            ),
        ] {
            let at = Timestamp::from_micros(seconds * 1_000_000 + 999_999);
            let headers = signer(secret).unwrap().headers(id, at, body);
            let expected = [
                ("webhook-id", id.to_owned()),
                ("webhook-timestamp", seconds.to_string()),
                ("webhook-signature", signature.to_owned()),
            ];
            assert_eq!(headers, expected);
        }
    }

    #[test]
    fn a_secret_is_24_to_64_bytes_in_base64() {
        let of_bytes = |groups: usize, end: &str| format!("whsec_{}{end}", "AbC/".repeat(groups));
        for good in [of_bytes(8, ""), of_bytes(8, "AA=="), of_bytes(21, ""), of_bytes(21, "AA==")] {
            assert!(signer(&good).is_ok(), "{good}");
        }
        let short = [of_bytes(7, "AAA="), of_bytes(7, "AA=="), of_bytes(0, "")];
        let long = [of_bytes(21, "AAA="), of_bytes(22, "")];
        let strange = [of_bytes(8, "A"), of_bytes(8, "AAA"), of_bytes(8, "A-_="), "s3cret".into()];
        for wrong in short.into_iter().chain(long).chain(strange) {
            assert!(signer(&wrong).is_err(), "{wrong}");
        }
        assert!(signer(of_bytes(8, "").trim_start_matches("whsec_")).is_err(), "no prefix");
    }
}
