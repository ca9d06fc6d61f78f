//! `cargo xtask soak`: what takes long on purpose.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::command;

#[derive(clap::Subcommand)]
pub(crate) enum Subject {
    /// What the cache promises within one process, in many orders of what can happen there
    Cache(Cache),
    /// Collections whose worker is killed at a random moment, for each wholesaler
    Collect(Collect),
    /// `optimize` from random states with kills at any moment, and eight runs at once on a table that is written to
    Optimize(Optimize),
    /// What two processes that share a Redis answer while they write, and one of them is cut off from it
    Processes(Processes),
}

#[derive(clap::Args)]
pub(crate) struct Optimize {
    /// Starting states
    #[arg(long, default_value_t = 200)]
    states: u64,
    /// Orders, with two lines each, that eight runs at once build indexes on
    #[arg(long, default_value_t = 1_000_000)]
    orders: u64,
}

#[derive(clap::Args)]
pub(crate) struct Collect {
    /// Collections that are killed, of each wholesaler
    #[arg(long, default_value_t = 100)]
    kills: u64,
    /// Items of each
    #[arg(long, default_value_t = 50_000)]
    items: u64,
    /// Only of this wholesaler
    wholesaler: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct Processes {
    /// Requests
    #[arg(long, default_value_t = 100_000)]
    operations: u64,
}

#[derive(clap::Args)]
pub(crate) struct Cache {
    /// Orders for each scenario
    #[arg(long, default_value_t = 1_000_000)]
    interleavings: u64,
    /// The number they are drawn from; without one each soak tries others
    #[arg(long)]
    seed: Option<u64>,
    /// Only scenarios whose name contains this
    scenario: Option<String>,
}

/// # Errors
///
/// When cargo cannot be run.
pub(crate) fn run(subject: &Subject) -> Result<ExitCode> {
    match subject {
        Subject::Cache(options) => cache(options),
        Subject::Collect(options) => collect(options),
        Subject::Optimize(options) => optimize(options),
        Subject::Processes(options) => processes(options),
    }
}

fn cache(options: &Cache) -> Result<ExitCode> {
    let seed = options.seed.map_or_else(drawn, Ok)?;
    eprintln!("drawn from --seed {seed}");
    let mut tests = command::cargo(SHUTTLE);
    tests.args(["--profile", "release-fast"]).args(&options.scenario);
    tests.env("JEBI_INTERLEAVINGS", options.interleavings.to_string());
    tests.env("JEBI_SEED", seed.to_string());
    Ok(command::exit_code(command::status(&mut tests)?))
}

fn optimize(options: &Optimize) -> Result<ExitCode> {
    let mut tests = Command::new(std::env::current_exe()?);
    tests.args(["test", "-p", "jebi-db-optimizer", "--test", "it"]);
    // One after the other: times are looked at.
    tests.args([
        "--",
        "--nocapture",
        "--test-threads",
        "1",
        "optimize::kills",
        "optimize::levels",
        "optimize::runners",
    ]);
    tests.env("JEBI_TEST_OPERATIONS", options.states.to_string());
    tests.env("JEBI_TEST_ORDERS", options.orders.to_string());
    Ok(command::exit_code(command::status(&mut tests)?))
}

fn collect(options: &Collect) -> Result<ExitCode> {
    let of = options.wholesaler.as_deref().unwrap_or_default();
    let test = format!("collect::kills::a_collector_of_{of}");
    let mut tests = Command::new(std::env::current_exe()?);
    tests.args(["test", "--profile", "release-fast", "-p", "jebi-work", "--test", "it"]);
    tests.args(["--", "--nocapture", "--test-threads", "1", &test]);
    tests.env("JEBI_TEST_OPERATIONS", options.kills.to_string());
    tests.env("JEBI_TEST_ITEMS", options.items.to_string());
    Ok(command::exit_code(command::status(&mut tests)?))
}

fn processes(options: &Processes) -> Result<ExitCode> {
    let mut tests = Command::new(std::env::current_exe()?);
    tests.args(["test", "-p", "jebi-api", "--test", "it", "two_processes_never_answer"]);
    tests.env("JEBI_TEST_OPERATIONS", options.operations.to_string());
    Ok(command::exit_code(command::status(&mut tests)?))
}

/// The scenarios run at all only with the crate's feature for them.
pub(crate) const SHUTTLE: [&str; 7] =
    ["test", "--package", "jebi-cache", "--features", "shuttle", "--test", "shuttle"];

fn drawn() -> Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(now.as_secs())
}
