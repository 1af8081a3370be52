//! Runs many seeds, and says how to repeat those that fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use simulation::{Kind, Options, Report, run};

/// Runs both services under a seeded scheduler, one seed after another.
#[derive(Parser)]
struct Settings {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// No further seed begins after so many seconds; as long as it takes when not given.
    #[arg(long)]
    seconds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// For how many steps there are writes and faults in a run.
    #[arg(long, default_value_t = Options::on(Kind::Sqlite).steps)]
    steps: usize,
    /// On the PostgreSQL server of the test command, instead of on files.
    #[arg(long)]
    postgres: bool,
    /// Prints every run step by step.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let settings = Settings::parse();
    let database = if settings.postgres { Kind::Postgres } else { Kind::Sqlite };
    let options = Options { steps: settings.steps, ..Options::on(database) };
    let began = Instant::now();
    let (mut done, mut failed, mut restores, mut steps) = (0_u64, 0_u64, 0, 0);
    for seed in settings.from..settings.from + settings.seeds {
        if settings.seconds.is_some_and(|seconds| began.elapsed().as_secs() >= seconds) {
            break;
        }
        done += 1;
        // The panic hook has told what it was.
        let Ok(report) = catch_unwind(AssertUnwindSafe(|| run(seed, options))) else {
            eprintln!("seed {seed}: panicked");
            repeat(seed, &settings);
            failed += 1;
            continue;
        };
        restores += report.restores;
        steps += report.trace.len();
        if settings.trace || !report.violations.is_empty() {
            println!("{}", report.trace.join("\n"));
        }
        if !report.violations.is_empty() {
            tell(&report);
            repeat(seed, &settings);
            failed += 1;
        }
        if done.is_multiple_of(100) {
            eprintln!("{done} of {} seeds, {failed} failed", settings.seeds);
        }
    }
    println!(
        "{} seeds in {:.1} s: {failed} failed; {steps} lines of traces, {restores} restores",
        done,
        began.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell(report: &Report) {
    println!("\nseed {} failed:", report.seed);
    for violation in &report.violations {
        println!("- {violation}");
    }
}

fn repeat(seed: u64, settings: &Settings) {
    let database = if settings.postgres { " --postgres" } else { "" };
    println!(
        "Again: cargo run -p simulation -- --seeds 1 --from {seed} --steps {}{database} --trace",
        settings.steps
    );
}
