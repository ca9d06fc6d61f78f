//! `jebi`, the one binary: see `jebi --help`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use jebi_api::command::{Cli, run};
use jebi_api::settings;
use tracing_subscriber::EnvFilter;

/// Answers are made of thousands of small pieces, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Several threads: actix brings its own workers, migrations block one, and imports parse on another.
#[tokio::main]
async fn main() -> ExitCode {
    // A file that is not there is none to read.
    let _ = dotenvy::dotenv();
    let cli = Cli::parse();
    if let Err(error) = log() {
        return failed(&error);
    }
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// One sentence: what happened, with its causes.
#[expect(clippy::print_stderr, reason = "how a command fails")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

fn log() -> anyhow::Result<()> {
    let filter = settings::log(&settings::environment);
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| anyhow::anyhow!("JEBI_LOG=\"{filter}\" is not a filter: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.init();
    } else {
        log.json().flatten_event(true).init();
    }
    Ok(())
}
