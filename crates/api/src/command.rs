//! The commands of `jebi`, for operators.

mod account;
mod collect;
mod keys;
mod operator;
mod seller;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use jebi_db_optimizer::Admin;

use crate::settings::{self, Settings, environment};
use crate::{doctor, import, optimize, seed, serve, work};

/// Jebi (제비): orders of Korean marketplaces, for their sellers.
#[derive(Debug, Parser)]
#[command(name = "jebi", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the HTTP API, and do jobs, until SIGTERM or Ctrl-C.
    Serve,
    /// Do jobs, and nothing else, until SIGTERM or Ctrl-C.
    Worker,
    /// Bring the database's schema up to date.
    Migrate,
    /// Sellers and their API keys.
    #[command(subcommand)]
    Seller(seller::Command),
    /// Accounts with wholesalers and platforms.
    #[command(subcommand)]
    Account(account::Command),
    /// The keys of those who run this service.
    #[command(subcommand)]
    Operator(operator::Command),
    /// Collect what wholesalers have into a seller's catalogue. It is done by `jebi serve` or `jebi worker`; this shows how far
    /// it is, and what came of it.
    Collect(collect::Options),
    /// Bring the indexes of the database to what the queries want, and prove by running them that they help.
    Optimize(optimize::Options),
    /// Look at the database, Redis and the running service, and say what to do next.
    Doctor(doctor::Options),
    /// Make products and orders that look like real ones, the same for the same seed.
    Seed(seed::Options),
    /// Import orders from a CSV file in the format of `data/README.md`, plain or `.zst`.
    ///
    /// What is there already is left as it is: importing twice, or again after a broken import, is safe.
    Import {
        /// The file.
        file: PathBuf,
        /// Whose orders they are.
        #[arg(long)]
        seller: String,
        /// Afterwards, load the same rows by bare COPY into identically indexed tables without triggers
        /// and foreign keys, and print the ratio of the times.
        #[arg(long)]
        compare_with_copy: bool,
    },
}

/// Runs a command.
///
/// # Errors
/// What went wrong, with its causes: one sentence once they are joined.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let lookup = &environment;
    match cli.command {
        Command::Serve => serve::serve(Settings::from_lookup(lookup)?).await,
        Command::Worker => work::work(Settings::from_lookup(lookup)?).await,
        Command::Migrate => migrate().await,
        Command::Doctor(options) => doctor::run(lookup, options).await,
        Command::Seller(command) => command.run().await,
        Command::Operator(command) => command.run().await,
        Command::Account(command) => command.run().await,
        Command::Collect(options) => options.run().await,
        Command::Optimize(options) => {
            optimize::run(&settings::database_url(lookup)?, options).await
        }
        Command::Seed(options) => {
            let url = settings::database_url(lookup)?;
            seed::run(&url, &settings::master_key(lookup)?, options).await
        }
        Command::Import { file, seller, compare_with_copy } => {
            let into = import::Into {
                database_url: settings::database_url(lookup)?,
                master_key: settings::master_key(lookup)?,
                seller,
            };
            import::run(&file, into, compare_with_copy).await
        }
    }
}

async fn admin() -> anyhow::Result<Admin> {
    let url = settings::database_url(&environment)?;
    Admin::connect(&url).await.context("cannot connect to the database of DATABASE_URL")
}

#[expect(clippy::print_stdout, reason = "the output of a command")]
async fn migrate() -> anyhow::Result<()> {
    let applied = jebi_db_optimizer::migrate(admin().await?).await?;
    for migration in &applied {
        println!("applied {migration}");
    }
    if applied.is_empty() {
        println!("up to date");
    }
    Ok(())
}
