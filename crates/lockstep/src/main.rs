//! The demo: ordering and billing in one process, each with a SQLite database of its own, with
//! sample orders the first time. `cargo run --release` at the root runs it.
//!
//! The two services are the very same as when they run apart: they meet over HTTP only.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use contract::feed::DEFAULT_PAGE_LIMIT;
use kit::clock::{SharedClock, SystemClock};
use kit::db::DatabaseUrl;
use kit::lifecycle::{BoxError, Lifecycle};
use kit::random::Random;
use kit::settings::{DURATION_HELP, duration, loopback};
use kit::telemetry::LogFormat;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs ordering and billing side by side on SQLite, to see how they stay equal.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, after_help = DURATION_HELP)]
struct Cli {
    /// Where the two databases are kept.
    #[arg(long, env = "LOCKSTEP_DATA", default_value = "data")]
    data: PathBuf,

    /// Address of ordering, port 0 for a free one; loopback only, for the demo has no tokens.
    #[arg(long, env = "ORDERING_LISTEN", default_value = "127.0.0.1:8080", value_parser = loopback)]
    ordering_listen: SocketAddr,

    /// Address of billing, port 0 for a free one; loopback only, for the demo has no tokens.
    #[arg(long, env = "BILLING_LISTEN", default_value = "127.0.0.1:8081", value_parser = loopback)]
    billing_listen: SocketAddr,

    /// How often billing pulls at least; it has what is new at once.
    #[arg(
        long,
        env = "BILLING_PULL_INTERVAL",
        default_value = "5s",
        value_parser = duration,
        value_name = "DURATION"
    )]
    pull_interval: Duration,

    /// How log lines are written; `RUST_LOG` chooses which.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    kit::telemetry::init_logging(cli.log_format);
    match run(&cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = kit::telemetry::chain(&*error), "the demo stops");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<(), BoxError> {
    let clock: SharedClock = Arc::new(SystemClock);
    let random = Random::from_os();
    let ordering_database = DatabaseUrl::Sqlite(cli.data.join("ordering.db"));
    let billing_database = DatabaseUrl::Sqlite(cli.data.join("billing.db"));

    let mut lifecycle = Lifecycle::new()?;
    let mut ordering = ordering::settings::ServeSettings {
        listen: cli.ordering_listen.to_string(),
        database: ordering::settings::DatabaseSettings { database_url: ordering_database },
        billing_url: format!("http://{}", cli.billing_listen).parse()?,
        billing_probe_url: None,
        sequencer_interval: Duration::from_secs(1),
        feed_database_url: None,
        max_sequencer_silence: None,
        max_unstamped_age: Duration::from_mins(5),
        api_token: None,
    };
    let mut billing = billing::settings::ServeSettings {
        listen: cli.billing_listen.to_string(),
        database: billing::settings::DatabaseSettings { database_url: billing_database },
        source: billing::settings::SourceSettings {
            ordering_url: format!("http://{}", cli.ordering_listen).parse()?,
            ordering_token: None,
            pull_limit: DEFAULT_PAGE_LIMIT,
            pull_timeout: Duration::from_secs(30),
        },
        ordering_public_url: None,
        pull_interval: cli.pull_interval,
        // What is confirmed in one window is an invoice in the other before the eye has moved.
        pull_wait: Some(Duration::from_secs(25)),
        max_pull_age: None,
        link_timeout: Duration::from_secs(2),
        approval_expiry: Duration::from_hours(30 * 24),
        dispatch: billing::settings::DispatchSettings {
            dispatch_url: None,
            dispatch_secret: None,
            dispatch_workers: 1,
            dispatch_timeout: Duration::from_secs(30),
        },
        api_token: None,
    };
    // Each has to know where the other is, which port 0 leaves open until both are bound.
    let ordering_listener = ordering::app::listen(&ordering).await?;
    let billing_listener = billing::app::listen(&billing).await?;
    let ordering_addr = ordering_listener.local_addr()?;
    let billing_addr = billing_listener.local_addr()?;
    ordering.billing_url = format!("http://{billing_addr}").parse()?;
    billing.source.ordering_url = format!("http://{ordering_addr}").parse()?;

    // Before anything else touches the databases: a second demo stops at the addresses above.
    let store =
        ordering::store::open(&ordering.database.database_url, &random, clock.now()).await?;
    let is_new = ordering::seed::sample(&*store, &*clock, &random).await?;
    drop(store);

    let (ordering_clock, ordering_random) = (clock.clone(), random.clone());
    ordering::app::serve(
        ordering,
        ordering_listener,
        &mut lifecycle,
        ordering_clock,
        ordering_random,
    )
    .await?;
    billing::app::serve(billing, billing_listener, &mut lifecycle, clock, random).await?;

    println!("{}", welcome(ordering_addr, billing_addr, is_new, cli));
    lifecycle.run().await?;
    println!("Stopped. The data is in {}; the next start goes on from there.", cli.data.display());
    Ok(())
}

fn welcome(ordering: SocketAddr, billing: SocketAddr, is_new: bool, cli: &Cli) -> String {
    let data = cli.data.display();
    let seconds = cli.pull_interval.as_secs_f64();
    let start =
        if is_new { "with sample orders, made just now" } else { "going on from last time" };
    format!(
        "
Lockstep is running, {start}.

  Ordering  http://{ordering}   orders, and the feed at /feed/v1/orders
  Billing   http://{billing}   the same orders as invoices; pulls at once, and every {seconds} s

Try this:
  1. Open ordering, pick a draft or make a new order, and press Confirm: you arrive at its invoice.
  2. Approve the invoice, then change the order: the invoice is credited, a new one awaits approval.
  3. curl 'http://{ordering}/feed/v1/orders?limit=2'
  4. Stop with Ctrl-C and start again: both go on where they were. Everything is in {data}/.
"
    )
}
