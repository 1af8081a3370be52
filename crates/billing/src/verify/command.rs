//! `billing verify`: compares once, prints what it found, and says the outcome as an exit code.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use kit::clock::SharedClock;
use kit::lifecycle::BoxError;
use kit::random::Random;
use serde::Serialize;

use super::{PATIENCE, Progress, Report, Verifier};
use crate::app;
use crate::pull::Puller;
use crate::pull::client::FeedClient;
use crate::settings::{DatabaseSettings, SourceSettings};

/// Both sides are not equal.
const DIFFERENT: u8 = 1;
/// Both sides could not be compared.
const NOT_COMPARED: u8 = 2;

/// How the outcome is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Lines, for people.
    Text,
    /// One JSON document.
    Json,
}

/// What is printed as JSON.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
enum Outcome<'a> {
    /// There is no difference left.
    Equal(&'a Report),
    /// There are differences left.
    Different(&'a Report),
    /// Nothing is known.
    NotCompared { reason: String },
}

/// Compares both sides, with `repair` pulls what differs, and prints the outcome in `format`; how the
/// program exits: 0 when both sides are equal, 1 when they differ, 2 when they could not be compared.
pub async fn run(
    database: &DatabaseSettings,
    source: &SourceSettings,
    repair: bool,
    format: Format,
    clock: SharedClock,
    random: Random,
) -> ExitCode {
    match verify(database, source, repair, clock, random).await {
        Ok(report) => {
            let equal = report.is_equal();
            match format {
                Format::Text => print(&report.to_string()),
                Format::Json if equal => print_json(&Outcome::Equal(&report)),
                Format::Json => print_json(&Outcome::Different(&report)),
            }
            if equal { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) }
        }
        Err(error) => {
            let reason = kit::telemetry::chain(&*error);
            tracing::error!(error = reason, "both sides could not be compared");
            if format == Format::Json {
                print_json(&Outcome::NotCompared { reason });
            }
            ExitCode::from(NOT_COMPARED)
        }
    }
}

async fn verify(
    database: &DatabaseSettings,
    source: &SourceSettings,
    repair: bool,
    clock: SharedClock,
    random: Random,
) -> Result<Report, BoxError> {
    database.database_url.expect_data()?;
    let store = app::open(&database.database_url).await?;
    let client = FeedClient::new(source, Arc::clone(&clock))?;
    let puller = Puller::new(Arc::clone(&store), client, Arc::clone(&clock), random.clone());
    let verifier = Verifier::new(store, Arc::new(puller), clock, random, PATIENCE);
    let bar = progress_bar();
    let watch = |progress| show_progress(&bar, progress);
    let mut report = verifier.compare(&watch).await;
    if repair
        && let Ok(found) = &report
        && !found.is_equal()
    {
        report = verifier.repair(found, &watch).await;
    }
    // Before anything is said about it, an error too.
    bar.finish_and_clear();
    Ok(report?)
}

fn print_json(outcome: &Outcome<'_>) {
    // Numbers and texts only, which can always be written.
    print(&serde_json::to_string(outcome).expect("a report can be written as JSON"));
}

/// Prints a line. Whoever has stopped reading, as `head` does, is told by the exit code all the same.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        tracing::error!(%error, "the report could not be written");
    }
}

/// Hidden where standard error is no terminal. How far it is, is told by order numbers: how many
/// orders there are, nobody has counted.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} % {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn show_progress(bar: &ProgressBar, progress: Progress) {
    if let Progress::Comparing { reached, last, .. } = progress {
        bar.set_length(last.unsigned_abs());
        bar.set_position(reached.unsigned_abs());
    }
    bar.set_message(progress.to_string());
}
