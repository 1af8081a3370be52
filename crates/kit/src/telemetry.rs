//! Logs to standard error, and metrics for Prometheus.

use std::sync::OnceLock;
use std::time::Duration;

use clap::ValueEnum;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `RUST_LOG` chooses what is logged beside what everybody wants to know, which is
/// `info`: `RUST_LOG=billing=debug` adds to it, a bare level such as `RUST_LOG=warn` replaces it.
pub fn init_logging(format: LogFormat) {
    let filter = EnvFilter::builder().parse_lossy(directives(std::env::var("RUST_LOG").ok()));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let result = match format {
        LogFormat::Text => builder.with_ansi(is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // Fails only when logging was started already, which serves just as well.
    drop(result);
}

/// The later directive wins when two are equally specific.
fn directives(rust_log: Option<String>) -> String {
    // What PostgreSQL remarks on every start: that a table of the migrations exists already.
    const DEFAULT: &str = "info,sqlx::postgres::notice=warn";
    rust_log.map_or_else(|| DEFAULT.to_owned(), |rust_log| format!("{DEFAULT},{rust_log}"))
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

/// The metrics of this process, as Prometheus reads them.
///
/// The first call installs the recorder; both services of one process share it.
pub fn metrics() -> &'static PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS.get_or_init(|| {
        const SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS);
        match builder.map(PrometheusBuilder::install_recorder) {
            Ok(Ok(handle)) => handle,
            // Another recorder is installed, as a test may do: then this one stays empty.
            Ok(Err(_)) | Err(_) => PrometheusBuilder::new().build_recorder().handle(),
        }
    })
}

/// Folds what histograms have recorded into their buckets, every `interval` until `shutdown`. Each sample
/// stays in memory until somebody does, or asks for the metrics, which not everybody has set up.
pub async fn keep_up(interval: Duration, shutdown: CancellationToken) {
    let folding = async {
        loop {
            tokio::time::sleep(interval).await;
            metrics().run_upkeep();
        }
    };
    shutdown.run_until_cancelled(folding).await;
}

/// An error with everything that caused it, for a log line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = Vec::new();
    for text in causes.map(ToString::to_string) {
        // Some errors say in their own text already what their cause is.
        if !texts.last().is_some_and(|above| above.ends_with(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

/// A count as the value of a gauge, which needs no more than the 53 bits that stay exact.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub fn gauge_value(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_is_told_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("{text}")]
        struct Told {
            text: &'static str,
            source: Option<Box<Told>>,
        }
        let told = |text, source: Option<Told>| Told { text, source: source.map(Box::new) };
        let refused = told("connection refused", None);
        let repeating = told("no connection: connection refused", Some(refused));
        let error = told("the database is away", Some(repeating));
        assert_eq!(chain(&error), "the database is away: no connection: connection refused");
    }

    #[test]
    fn rust_log_adds_to_info_unless_it_names_another_level() {
        let filter = |rust_log: Option<&str>| {
            EnvFilter::builder().parse_lossy(directives(rust_log.map(str::to_owned))).to_string()
        };
        let quiet = "sqlx::postgres::notice=warn";
        assert_eq!(filter(None), format!("{quiet},info"));
        assert_eq!(filter(Some("")), format!("{quiet},info"));
        assert_eq!(filter(Some("off")), format!("{quiet},off"));
        assert_eq!(filter(Some("billing=debug")), format!("{quiet},billing=debug,info"));
    }
}
