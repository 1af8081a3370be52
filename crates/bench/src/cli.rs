//! The modes and their settings.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::report::Report;
use crate::{Result, catch_up};

/// Measures the two services beside PostgreSQL's own logical replication.
///
/// Starts PostgreSQL servers of its own, durable and otherwise with default settings, and the
/// services as processes of their own. Needs Linux and PostgreSQL's server programs. Exits with 0
/// whether targets are met or not, and with 1 when what was measured did not do its work.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
pub(crate) struct Cli {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) mode: Mode,

    /// Where the figures go, as JSON and as a chart.
    #[arg(long, global = true, default_value = "target/bench", value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// How fast billing reads everything: new orders, then all of them changed.
    ///
    /// Billing is off while orders are made and stamped; then it is switched on, and the clock runs
    /// from the start of its process until the last order is stored, invoiced and its token
    /// committed. Logical replication copies the same rows between two tables with primary keys
    /// only, from the moment its subscription is enabled. Contenders take turns, on the same
    /// servers, with new databases each round.
    CatchUp(CatchUp),

    /// The ordering service, as a process of its own.
    #[command(hide = true)]
    Ordering(ordering::settings::Cli),
    /// The billing service, as a process of its own.
    #[command(hide = true)]
    Billing(billing::settings::Cli),
}

/// How to measure the catch-up.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CatchUp {
    /// How many orders, of 3 lines each.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) orders: u32,

    /// How many times each contender has its turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,

    /// Also the pair on SQLite.
    #[arg(long)]
    pub(crate) sqlite: bool,

    /// Only the pair, without logical replication: for a quick look.
    #[arg(long)]
    pub(crate) alone: bool,
}

/// Measures, prints and writes.
pub(crate) async fn measure(mode: Mode, out: &Path) -> Result<ExitCode> {
    let mut report = Report::default();
    let name = match mode {
        Mode::CatchUp(settings) => {
            report.add(catch_up::measure(settings).await?);
            "catch-up"
        }
        Mode::Ordering(_) | Mode::Billing(_) => unreachable!("services do not measure"),
    };
    report.write(out, name)?;
    Ok(ExitCode::SUCCESS)
}
