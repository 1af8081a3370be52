//! The billing service.

use std::process::ExitCode;

use billing::app;
use billing::settings::Cli;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    kit::telemetry::init_logging(cli.log_format);
    match app::run(cli.command).await {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = kit::telemetry::chain(&*error), "billing stops");
            ExitCode::FAILURE
        }
    }
}
