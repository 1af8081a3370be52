//! The settings of the ordering service: every one a flag and an environment variable.

#![expect(clippy::doc_markdown, reason = "the doc comments are also the text of --help")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use kit::db::{DatabaseUrl, PgConnectOptions, postgres_url};
use kit::settings::{DURATION_HELP, Secret, duration, http_url};
use kit::telemetry::LogFormat;
use url::Url;

/// Owns orders and publishes every change of them on a feed.
#[derive(Debug, Parser)]
#[command(name = "ordering", version, propagate_version = true)]
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
    /// Serve the feed, the API and the pages; brings the schema up to date first.
    #[command(after_help = DURATION_HELP)]
    Serve(Box<ServeSettings>),
    /// Bring the database schema up to date and exit.
    Migrate(DatabaseSettings),
    /// Make up confirmed orders, fast.
    Seed {
        /// How many orders.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        orders: u32,
        /// Where the data is.
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Import real orders from a file; rows that cannot be part of an order are set aside.
    Import {
        /// CSV with InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country;
        /// or NDJSON: on each line the body of PUT /api/v1/nested/orders.
        file: PathBuf,
        /// Where rows go that cannot be part of an order; FILE.rejected.csv when not given.
        #[arg(long, value_name = "FILE")]
        rejected: Option<PathBuf>,
        /// Where the data is.
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Begin a new epoch, after history may have been lost: consumers read again from the beginning.
    NewEpoch(DatabaseSettings),
}

/// Where the data is.
#[derive(Clone, Debug, Args)]
pub struct DatabaseSettings {
    /// sqlite://path/to/file.db or postgres://user:password@host/database
    #[arg(
        long,
        env = "ORDERING_DATABASE_URL",
        default_value = "sqlite://data/ordering.db",
        hide_env_values = true
    )]
    pub database_url: DatabaseUrl,
}

/// How to serve.
#[derive(Clone, Debug, Args)]
pub struct ServeSettings {
    /// Address to listen on; port 0 picks a free one. Without an API token only loopback.
    #[arg(long, env = "ORDERING_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,

    /// Where the data is.
    #[command(flatten)]
    pub database: DatabaseSettings,

    /// Where billing is for the browser: deep links lead there.
    #[arg(
        long,
        env = "ORDERING_BILLING_URL",
        default_value = "http://127.0.0.1:8081",
        value_parser = http_url
    )]
    pub billing_url: Url,

    /// Where this service itself asks whether billing is there before it sends the browser on; the
    /// billing URL when not set.
    #[arg(long, env = "ORDERING_BILLING_PROBE_URL", value_parser = http_url)]
    pub billing_probe_url: Option<Url>,

    /// How often the sequencer looks for committed changes that it was not told of.
    #[arg(
        long,
        env = "ORDERING_SEQUENCER_INTERVAL",
        default_value = "1s",
        value_parser = duration,
        value_name = "DURATION"
    )]
    pub sequencer_interval: Duration,

    /// A hot standby of the database, from which the feed's pages are read to spare the primary:
    /// postgres://user:password@host/database. Single orders are read from the primary all the same.
    #[arg(
        long,
        env = "ORDERING_FEED_DATABASE_URL",
        hide_env_values = true,
        value_parser = postgres_url
    )]
    pub feed_database_url: Option<PgConnectOptions>,

    /// How long the sequencer may be silent before this service is not ready; 5 intervals, but at
    /// least 10s, when not given.
    #[arg(
        long,
        env = "ORDERING_MAX_SEQUENCER_SILENCE",
        value_parser = duration,
        value_name = "DURATION"
    )]
    pub max_sequencer_silence: Option<Duration>,

    /// How long a committed change may wait for its place in the feed before this service is not
    /// ready: usually a transaction that was left open holds it.
    #[arg(
        long,
        env = "ORDERING_MAX_UNSTAMPED_AGE",
        default_value = "5m",
        value_parser = duration,
        value_name = "DURATION"
    )]
    pub max_unstamped_age: Duration,

    /// Bearer token that callers of the feed and the API must present.
    #[arg(long, env = "ORDERING_API_TOKEN", hide_env_values = true)]
    pub api_token: Option<Secret>,
}
