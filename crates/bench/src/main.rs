//! `jebi-bench`: one command that measures everything. `cargo xtask bench` builds and starts what it needs.

mod baseline;
mod constant;
mod database;
mod db;
mod http;
mod parts;
mod process;
mod progress;
mod report;
mod served;
mod starter;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", about = "Measures Jebi")]
enum Cli {
    /// Measure, and write a report
    Run(Box<report::Options>),
    /// Serve what the guide began with
    #[command(hide = true)]
    Baseline(baseline::Options),
    /// Serve bytes
    #[command(hide = true)]
    Constant(constant::Options),
}

/// That of `jebi`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Several threads, as `jebi` has them: servers that are measured have actix's workers beside.
#[tokio::main]
#[expect(clippy::print_stderr, reason = "how a command fails")]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    match cli {
        Cli::Run(options) => report::run(*options).await,
        Cli::Baseline(options) => baseline::serve(options).await,
        Cli::Constant(options) => constant::serve(options).await,
    }
}
