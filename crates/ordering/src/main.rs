//! The ordering service.

use std::process::ExitCode;

use clap::Parser;
use ordering::app;
use ordering::settings::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    kit::telemetry::init_logging(cli.log_format);
    match app::run(cli.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = kit::telemetry::chain(&*error), "ordering stops");
            ExitCode::FAILURE
        }
    }
}
