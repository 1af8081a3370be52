//! Values of flags and environment variables.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use tokio::net::TcpListener;
use url::Url;

/// What `--help` says about durations, below the settings.
pub const DURATION_HELP: &str =
    "A DURATION is written with its units: 500ms, 30s, 2m, 12h, 30d, 2w, 1m 30s.";

/// Reads a duration such as `1s`, `500ms`, `2m 30s` or `30d`. A day has 24 hours, a week 7 days;
/// months and years have no length of their own.
///
/// # Errors
/// A message for the person who typed it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = |_| "must be a duration such as 500ms, 30s, 2m, 12h or 30d".to_owned();
    let span: Span = text.parse().map_err(wrong)?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(wrong)?;
    match Duration::try_from(signed) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be longer than nothing".to_owned()),
    }
}

/// Reads the address of a service: `http://` or `https://`.
///
/// # Errors
/// A message for the person who typed it.
pub fn http_url(text: &str) -> Result<Url, String> {
    let example = "must be an address such as http://127.0.0.1:8080";
    match text.parse::<Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err(example.to_owned()),
    }
}

/// A secret that is never shown, not even in a debug print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // An empty variable in an .env file must not become a token that everybody knows.
        match text.trim() {
            "" => Err("must not be empty; leave it out to have none".to_owned()),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Reads an address of this machine that others cannot reach.
///
/// # Errors
/// A message for the person who typed it.
pub fn loopback(text: &str) -> Result<SocketAddr, String> {
    let addr: SocketAddr =
        text.parse().map_err(|_| "must be an address such as 127.0.0.1:8080".to_owned())?;
    if addr.ip().is_loopback() {
        Ok(addr)
    } else {
        Err("must be a loopback address such as 127.0.0.1:8080: there are no tokens".to_owned())
    }
}

/// Why a service does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Others could reach the service without a token.
    #[error(
        "refusing to listen on {addr} without an API token: others could read and change \
         everything. Set {setting}, or listen on 127.0.0.1"
    )]
    Unprotected {
        /// The address asked for.
        addr: SocketAddr,
        /// The setting that is missing.
        setting: &'static str,
    },
    /// The address is taken or not of this machine.
    #[error("cannot listen on {listen}: {error}")]
    Bind {
        /// The address asked for.
        listen: String,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Binds `listen` (`host:port`, port 0 for a free one), which must be a loopback address unless the
/// service has an API token. `setting` names the token's setting for the error.
///
/// # Errors
/// When the address is not protected, taken, or not of this machine.
pub async fn bind(
    listen: &str,
    token: Option<&Secret>,
    setting: &'static str,
) -> Result<TcpListener, ListenError> {
    let bind_error = |error| ListenError::Bind { listen: listen.to_owned(), error };
    let addrs: Vec<_> = tokio::net::lookup_host(listen).await.map_err(bind_error)?.collect();
    if token.is_none()
        && let Some(&addr) = addrs.iter().find(|addr| !addr.ip().is_loopback())
    {
        return Err(ListenError::Unprotected { addr, setting });
    }
    TcpListener::bind(addrs.as_slice()).await.map_err(bind_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m 30s"), Ok(Duration::from_secs(150)));
        let days = |days: u64| Duration::from_hours(24 * days);
        assert_eq!((duration("30d"), duration("720h")), (Ok(days(30)), Ok(days(30))));
        assert_eq!(duration("1w 1d"), Ok(days(8)));
        for wrong in ["", "5", "soon", "-1s", "0s", "1mo", "1y", "99999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_loopback_address_is_one_that_others_cannot_reach() {
        assert!(loopback("127.0.0.1:0").is_ok() && loopback("[::1]:8080").is_ok());
        for wrong in ["0.0.0.0:8080", "[::]:8080", "192.168.1.2:80", "127.0.0.1", "localhost:1"] {
            assert!(loopback(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn services_are_asked_over_http() {
        assert!(
            http_url("http://127.0.0.1:8080").is_ok() && http_url("https://a.example/b").is_ok()
        );
        for wrong in ["", "127.0.0.1:8080", "localhost", "ftp://a.example", "http://"] {
            assert!(http_url(wrong).is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn only_loopback_is_served_without_a_token() {
        let refused = bind("0.0.0.0:0", None, "--api-token (X_API_TOKEN)").await.unwrap_err();
        assert!(refused.to_string().contains("--api-token (X_API_TOKEN)"), "{refused}");
        let token: Secret = "t".parse().unwrap();
        bind("0.0.0.0:0", Some(&token), "").await.unwrap();
        bind("127.0.0.1:0", None, "").await.unwrap();
    }
}
