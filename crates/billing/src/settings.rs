//! The settings of the billing service: every one a flag and an environment variable.

#![expect(clippy::doc_markdown, reason = "the doc comments are also the text of --help")]

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use contract::feed::{ContinuationToken, DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT, MAX_WAIT_SECONDS};
use kit::db::DatabaseUrl;
use kit::settings::{DURATION_HELP, Secret, duration, http_url};
use kit::telemetry::LogFormat;
use url::Url;

/// Keeps a copy of ordering's orders and turns each into an invoice.
#[derive(Debug, Parser)]
#[command(name = "billing", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How log lines are written; RUST_LOG chooses which.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text", global = true)]
    pub log_format: LogFormat,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the pages and the API, and pull from ordering; brings the schema up to date first.
    #[command(after_help = DURATION_HELP)]
    Serve(Box<ServeSettings>),
    /// Bring the database schema up to date and exit.
    Migrate(DatabaseSettings),
    /// Pull until there is nothing more, print the counts and exit.
    #[command(after_help = DURATION_HELP)]
    Pull {
        /// Where the data is.
        #[command(flatten)]
        database: DatabaseSettings,
        /// Where the orders come from.
        #[command(flatten)]
        source: SourceSettings,
    },
    /// Compare all orders with ordering and name those that differ. Exits with 0 when both sides are
    /// equal, with 1 when they differ, and with 2 when they could not be compared.
    #[command(after_help = DURATION_HELP)]
    Verify {
        /// Pull the orders that differ, and look again.
        #[arg(long)]
        repair: bool,
        /// Print one JSON document instead of lines.
        #[arg(long)]
        json: bool,
        /// Where the data is.
        #[command(flatten)]
        database: DatabaseSettings,
        /// Where the orders come from.
        #[command(flatten)]
        source: SourceSettings,
    },
    /// Read again, from the beginning or from a continuation token; another feed may take over.
    ResetToken {
        /// Where to go on; from the beginning when not given.
        #[arg(long)]
        to: Option<ContinuationToken>,
        /// Where the data is.
        #[command(flatten)]
        database: DatabaseSettings,
    },
}

/// Where the data is.
#[derive(Clone, Debug, Args)]
pub struct DatabaseSettings {
    /// sqlite://path/to/file.db or postgres://user:password@host/database
    #[arg(
        long,
        env = "BILLING_DATABASE_URL",
        default_value = "sqlite://data/billing.db",
        hide_env_values = true
    )]
    pub database_url: DatabaseUrl,
}

/// Where the orders come from.
#[derive(Clone, Debug, Args)]
pub struct SourceSettings {
    /// Where ordering is.
    #[arg(
        long,
        env = "BILLING_ORDERING_URL",
        default_value = "http://127.0.0.1:8080",
        value_parser = http_url
    )]
    pub ordering_url: Url,

    /// Bearer token to present to ordering.
    #[arg(long, env = "BILLING_ORDERING_TOKEN", hide_env_values = true)]
    pub ordering_token: Option<Secret>,

    /// Orders a page.
    #[arg(
        long,
        env = "BILLING_PULL_LIMIT",
        default_value_t = DEFAULT_PAGE_LIMIT,
        value_parser = clap::value_parser!(i64).range(1..=MAX_PAGE_LIMIT)
    )]
    pub pull_limit: i64,

    /// How long one page request may take.
    #[arg(
        long,
        env = "BILLING_PULL_TIMEOUT",
        default_value = "30s",
        value_parser = duration,
        value_name = "DURATION"
    )]
    pub pull_timeout: Duration,
}

/// Where approved invoices are handed over to.
#[derive(Clone, Debug, Args)]
pub struct DispatchSettings {
    /// Where to hand approved invoices over, by a signed POST each; dispatch is off without it.
    ///
    /// A fault of the other side (no connection, no answer in time, 5xx, 408, 429) is tried again
    /// after 2 s, 4 s, 8 s and so on up to an hour, and given up after 16 attempts, which takes 5
    /// to 8 hours. Any other 4xx is given up at once. What was given up can be tried again from the
    /// invoice's page.
    #[arg(
        long,
        env = "BILLING_DISPATCH_URL",
        hide_env_values = true,
        value_parser = http_url
    )]
    pub dispatch_url: Option<Url>,

    /// Secret that signs what is handed over: whsec_ and 24 to 64 bytes in base64.
    #[arg(long, env = "BILLING_DISPATCH_SECRET", hide_env_values = true)]
    pub dispatch_secret: Option<Secret>,

    /// How many invoices this process hands over at the same time.
    #[arg(
        long,
        env = "BILLING_DISPATCH_WORKERS",
        default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=100)
    )]
    pub dispatch_workers: u16,

    /// How long one attempt may take, from connecting to the end of the answer; a 2xx counts as soon
    /// as its head has arrived.
    #[arg(
        long,
        env = "BILLING_DISPATCH_TIMEOUT",
        default_value = "30s",
        value_parser = duration,
        value_name = "DURATION"
    )]
    pub dispatch_timeout: Duration,
}

/// How to serve.
#[derive(Clone, Debug, Args)]
pub struct ServeSettings {
    /// Address to listen on; port 0 picks a free one. Without an API token only loopback.
    #[arg(long, env = "BILLING_LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: String,

    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Where the orders come from.
    #[command(flatten)]
    pub source: SourceSettings,

    /// Where the browser finds ordering, when that is not where billing pulls from.
    #[arg(long, env = "BILLING_ORDERING_PUBLIC_URL", value_parser = http_url)]
    pub ordering_public_url: Option<Url>,

    /// How often to pull.
    #[arg(
        long,
        env = "BILLING_PULL_INTERVAL",
        default_value = "60s",
        value_parser = duration,
        value_name = "DURATION"
    )]
    pub pull_interval: Duration,

    /// Between two pulls, let ordering hold a request for so long, 1 s to 60 s, and answer as soon as there
    /// is something new; billing then has it at once. When not given, billing only pulls every interval,
    /// which also stays the guarantee for whatever a waiting request misses.
    #[arg(long, env = "BILLING_PULL_WAIT", value_parser = wait, value_name = "DURATION")]
    pub pull_wait: Option<Duration>,

    /// How long pulls may fail before the service is not ready; when not given, 5 pull intervals, but
    /// at least 5 minutes.
    #[arg(
        long,
        env = "BILLING_MAX_PULL_AGE",
        value_parser = duration,
        value_name = "DURATION"
    )]
    pub max_pull_age: Option<Duration>,

    /// How long the deep link may take, all in all, for one order as for several.
    #[arg(
        long,
        env = "BILLING_LINK_TIMEOUT",
        default_value = "2s",
        value_parser = duration,
        value_name = "DURATION"
    )]
    pub link_timeout: Duration,

    /// How long an invoice may await approval before it expires: in weeks, days, hours, minutes or
    /// seconds, such as 2w, 30d, 720h or 1d 12h. Counts anew when the order is changed.
    #[arg(
        long,
        env = "BILLING_APPROVAL_EXPIRY",
        default_value = "30d",
        value_parser = duration,
        value_name = "DURATION"
    )]
    pub approval_expiry: Duration,

    /// Where approved invoices are handed over to.
    #[command(flatten)]
    pub dispatch: DispatchSettings,

    /// Bearer token that callers of the API must present.
    #[arg(long, env = "BILLING_API_TOKEN", hide_env_values = true)]
    pub api_token: Option<Secret>,
}

/// Reads how long a request may be held: whole seconds, as the feed takes them.
fn wait(text: &str) -> Result<Duration, String> {
    let wait = duration(text)?;
    let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    if wait.subsec_nanos() == 0 && (1..=MAX_WAIT_SECONDS).contains(&seconds) {
        Ok(wait)
    } else {
        Err(format!("must be whole seconds, at most {MAX_WAIT_SECONDS}, such as 25s"))
    }
}

impl ServeSettings {
    /// How long pulls may fail before the service is not ready.
    pub fn max_pull_age(&self) -> Duration {
        const AT_LEAST: Duration = Duration::from_mins(5);
        self.max_pull_age.unwrap_or_else(|| self.pull_interval.saturating_mul(5).max(AT_LEAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulls_may_fail_for_five_intervals_unless_something_else_is_said() {
        let max_age = |arguments: &[&str]| {
            let arguments = [&["billing", "serve"], arguments].concat();
            match Cli::try_parse_from(arguments).unwrap().command {
                Command::Serve(settings) => settings.max_pull_age(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(max_age(&["--pull-interval", "10s"]), Duration::from_mins(5));
        assert_eq!(max_age(&["--pull-interval", "2m"]), Duration::from_mins(10));
        assert_eq!(max_age(&["--max-pull-age", "7s"]), Duration::from_secs(7));
    }
}
