//! The modes and their settings.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches, Parser, Subcommand, value_parser};

use crate::report::Report;
use crate::{Result, breakdown, catch_up, fan_out, flatness, idle, latency, memory};

/// Measures the two services beside PostgreSQL's own logical replication.
///
/// Starts PostgreSQL servers of its own, durable and otherwise with default settings, and the
/// services as processes of their own. Needs Linux and PostgreSQL's server programs. Exits with 0
/// whether targets are met or not, and with 1 when what was measured did not do its work.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) mode: Mode,

    /// Where the figures go, as JSON and as a chart.
    #[arg(long, global = true, default_value = "target/bench", value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// Something to measure.
    #[command(flatten)]
    Measure(Measure),

    /// The ordering service, as a process of its own.
    #[command(hide = true)]
    Ordering(ordering::settings::Cli),
    /// The billing service, as a process of its own.
    #[command(hide = true)]
    Billing(billing::settings::Cli),
    /// What HTTP alone takes, as a process of its own.
    #[command(hide = true)]
    Floor,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Measure {
    /// How fast billing reads everything: new orders, then all of them changed.
    ///
    /// Billing is off while orders are made and stamped; then it is switched on, and the clock runs
    /// from the start of its process until the last order is stored, invoiced and its token
    /// committed. Logical replication copies the same rows between two tables with primary keys
    /// only, from the moment its subscription is enabled. Contenders take turns, on the same
    /// servers, with new databases each round.
    CatchUp(CatchUp),
    /// How soon a single order is visible on the other side of an idle system.
    ///
    /// The pair: from the answer to its confirmation until it is in billing's database, with waiting
    /// pulls. Logical replication: from its commit until it is in the subscriber's. Both take turns.
    Latency(Latency),
    /// Whether pages, ticks, pulls and deep links cost the same with few orders and with many.
    Flatness(Flatness),
    /// How much memory both services take in short catch-ups and in a long one.
    Memory(Memory),
    /// How soon each of many consumers, waiting at the end of the feed, has each new order.
    ///
    /// From the answer to its confirmation until the page is received, for each order and each
    /// consumer, beside the same with one consumer, and with a server that has one page for all and
    /// nothing else.
    FanOut(FanOut),
    /// What the pair costs while nothing happens: processor time, and statements by text.
    Idle(Idle),
    /// Where the time of a catch-up goes, step by step, and what the ceiling is.
    ///
    /// The steps run one after the other over the same pages, each by calling the code of the
    /// service that does it.
    Breakdown(Breakdown),
    /// Everything, the pair on SQLite too: for `results.json` and `results.svg`.
    All(All),
}

/// How to measure the catch-up.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CatchUp {
    /// How many orders, of 3 lines each.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1..))]
    pub(crate) orders: u32,

    /// How many times each contender has its turn.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,

    /// Also the pair on SQLite.
    #[arg(long)]
    pub(crate) sqlite: bool,

    /// Only the pair, without logical replication: for a quick look.
    #[arg(long)]
    pub(crate) alone: bool,
}

/// How to measure the latency.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Latency {
    /// How many orders each.
    #[arg(long, default_value_t = 300, value_parser = value_parser!(u32).range(1..))]
    pub(crate) samples: u32,
}

/// How to measure the flatness.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Flatness {
    /// How few orders are few.
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(2_000..))]
    pub(crate) small: u32,

    /// How many are many.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u32).range(2_000..))]
    pub(crate) large: u32,

    /// How many times each step is taken.
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..))]
    pub(crate) samples: u32,
}

/// How to measure the memory.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Memory {
    /// Orders of the short catch-up.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1..))]
    pub(crate) small: u32,

    /// Orders of the long catch-up.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u32).range(1..))]
    pub(crate) large: u32,
}

/// How to measure many consumers.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FanOut {
    /// How many consumers wait.
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) consumers: u32,

    /// Orders confirmed a second.
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) rate: u32,

    /// For how many seconds.
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=600))]
    pub(crate) seconds: u32,
}

/// How to measure doing nothing.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Idle {
    /// For how many seconds.
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u32).range(1..))]
    pub(crate) seconds: u32,
}

/// How to take the catch-up apart.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Breakdown {
    /// How many orders, of 3 lines each.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1..))]
    pub(crate) orders: u32,
}

/// How to measure everything.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct All {
    /// Little of everything, to see whether it works: its figures say nothing.
    #[arg(long)]
    quick: bool,
}

/// Measures, prints and writes.
pub(crate) async fn measure(mode: Measure, out: &Path) -> Result<ExitCode> {
    let mut report = Report::default();
    let name = match mode {
        Measure::All(settings) => {
            all(settings.quick, &mut report, out).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Measure::CatchUp(settings) => report.add(catch_up::measure(settings).await?),
        Measure::Latency(settings) => report.add(latency::measure(settings).await?),
        Measure::Flatness(settings) => report.add(flatness::measure(settings).await?),
        Measure::Memory(settings) => report.add(memory::measure(settings).await?),
        Measure::FanOut(settings) => report.add(fan_out::measure(settings).await?),
        Measure::Idle(settings) => report.add(idle::measure(settings).await?),
        Measure::Breakdown(settings) => report.add(breakdown::measure(settings).await?),
    };
    report.write(out, name)?;
    Ok(ExitCode::SUCCESS)
}

/// One mode after the other; what is there is written after each.
async fn all(quick: bool, report: &mut Report, out: &Path) -> Result<()> {
    /// Settings as they are by default, or for a quick look.
    fn settings<T: Args + FromArgMatches>(quick: bool, arguments: &str) -> Result<T> {
        let command = T::augment_args(Command::new("bench").no_binary_name(true));
        let arguments = if quick { arguments } else { "" };
        let matches = command.try_get_matches_from(arguments.split_whitespace())?;
        Ok(T::from_arg_matches(&matches)?)
    }
    const NAME: &str = "results";
    let few = "--small 2000 --large 5000";
    let catch_up = settings::<CatchUp>(quick, "--orders 2000 --rounds 1")?;
    report.add(catch_up::measure(CatchUp { sqlite: true, ..catch_up }).await?);
    report.write(out, NAME)?;
    report.add(latency::measure(settings(quick, "--samples 10")?).await?);
    report.write(out, NAME)?;
    report.add(flatness::measure(settings(quick, &format!("{few} --samples 10"))?).await?);
    report.write(out, NAME)?;
    report.add(memory::measure(settings(quick, few)?).await?);
    report.write(out, NAME)?;
    report.add(fan_out::measure(settings(quick, "--consumers 50 --seconds 2")?).await?);
    report.write(out, NAME)?;
    report.add(idle::measure(settings(quick, "--seconds 3")?).await?);
    report.write(out, NAME)?;
    report.add(breakdown::measure(settings(quick, "--orders 2000")?).await?);
    report.write(out, NAME)
}
