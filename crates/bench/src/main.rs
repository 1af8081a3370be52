//! Measures the two services beside PostgreSQL's own logical replication, in one run: real
//! processes, real HTTP, PostgreSQL servers of its own with durable commits. It prints tables and
//! writes the figures as JSON and as a chart; what they mean is in `docs/PERFORMANCE.md`.
//!
//! ```sh
//! cargo run --release -p bench -- catch-up
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the modes and their settings |
//! | [`servers`], [`database`] | the two PostgreSQL servers, and a connection to either database |
//! | [`services`] | ordering and billing, which this very program starts as processes |
//! | [`orders`] | making up, stamping and changing orders |
//! | [`replication`] | the other contender |
//! | [`catch_up`] | the first load, and all of it once more with changed orders |
//! | [`latency`], [`flatness`], [`memory`], [`fan_out`], [`idle`], [`breakdown`] | what they say |
//! | [`http_client`] | a client so light that a thousand of them fit beside a service |
//! | [`process`] | what `/proc` knows of a process |
//! | [`statistics`], [`report`], [`machine`], [`chart`] | figures, and how they are told |

mod breakdown;
mod catch_up;
mod chart;
mod cli;
mod database;
mod fan_out;
mod flatness;
mod http_client;
mod idle;
mod latency;
mod machine;
mod memory;
mod orders;
mod process;
mod replication;
mod report;
mod servers;
mod services;
mod statistics;

use std::process::ExitCode;

use clap::Parser;
use kit::lifecycle::BoxError;

use cli::{Cli, Mode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why a measurement could not be made, or why its figures cannot be believed.
type Result<T> = std::result::Result<T, BoxError>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.mode {
        Mode::Ordering(service) => {
            kit::telemetry::init_logging(service.log_format);
            run(true, async {
                ordering::app::run(service.command).await.map(|()| ExitCode::SUCCESS)
            })
        }
        Mode::Billing(service) => {
            kit::telemetry::init_logging(service.log_format);
            run(true, billing::app::run(service.command))
        }
        Mode::Floor => run(true, fan_out::floor::serve()),
        Mode::Measure(mode) => run(false, cli::measure(mode, &cli.out)),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("bench stops: {}", kit::telemetry::chain(&*error));
        ExitCode::FAILURE
    })
}

/// A service takes all cores, as its own program does. What measures it takes one thread.
fn run(is_service: bool, task: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let mut runtime = if is_service {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    runtime.enable_all().build()?.block_on(task)
}

/// Refuses figures that something is wrong with.
fn verify(holds: bool, wrong: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(format!("the check failed: {}", wrong()).into()) }
}
