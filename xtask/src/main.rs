//! Every chore of the workspace behind one door: `cargo xtask --help` lists them.
//!
//! Nothing depends on this crate and it depends on no other of the workspace, so that it builds in
//! seconds and can build, start and check all the rest.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to the person at the terminal"
)]

mod api_fuzz;
mod apt;
mod bench;
mod browser;
mod ci;
mod codegen;
mod command;
mod dev;
mod doctor;
mod env_file;
mod environment;
mod files;
mod fuzz;
mod http;
mod import;
mod jebi;
mod kept;
mod mutants;
mod optimize;
mod place;
mod ports;
mod postgres;
mod process;
mod record;
mod redis;
mod seed;
mod sellers;
mod service;
mod services;
mod simulator;
mod soak;
mod stop;
mod test;
mod tidy;
mod user;
mod watcher;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::place::{Place, Purpose};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The chores of the workspace")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Set up PostgreSQL and Redis, import the sample orders and run the service, all private to
    /// this checkout; Ctrl-C stops it
    Dev(dev::Options),
    /// End what `dev` started; its data and keys stay for the next `dev`
    Stop,
    /// Run every test of the workspace against a PostgreSQL and a Redis of its own
    Test {
        /// Handed on to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure everything against a baseline and against what the machine allows, and write a report
    Bench {
        /// Handed on to `jebi-bench`: `cargo xtask bench --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check all that a change must pass: tidy, fmt, clippy, deny, docs, test
    Ci,
    /// Import orders from a CSV file (plain or .zst) into dev's database
    Import(import::Options),
    /// Make products and orders that look like real ones in dev's database
    Seed(seed::Options),
    /// Bring the indexes of dev's database to what the queries want (`jebi optimize`)
    Optimize(optimize::Options),
    /// Look at dev's database, Redis and service, and say what to do next
    Doctor(doctor::Options),
    /// Send dev's service what its OpenAPI document allows and forbids (schemathesis)
    ApiFuzz(api_fuzz::Options),
    /// Send what reads wholesalers' answers whatever it takes to break it (cargo-fuzz)
    Fuzz(fuzz::Options),
    /// Change the code in one place at a time and count what the unit tests notice (cargo-mutants)
    Mutants(mutants::Options),
    /// Try for a long time what the tests try for a moment
    Soak {
        #[command(subcommand)]
        subject: soak::Subject,
    },
    /// Check the rules that the compiler cannot: the arrows between crates, migrations, tests
    Tidy,
    /// Write the pages that are made from the code: docs/settings.md
    Codegen,
    /// Hold the services of one place and end them together; started by `dev` and `test`
    #[command(hide = true)]
    Watch { purpose: Purpose },
}

fn main() -> ExitCode {
    match run(Cli::parse().chore) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<ExitCode> {
    match chore {
        Chore::Dev(options) => dev::run(&options)?,
        Chore::Stop => stop::run()?,
        // clap swallows a leading `--`, which `cargo test` must see: `cargo xtask test -- --nocapture`.
        Chore::Test { .. } => {
            return test::run(&std::env::args_os().skip(2).collect::<Vec<_>>());
        }
        Chore::Bench { .. } => {
            return bench::run(&std::env::args_os().skip(2).collect::<Vec<_>>());
        }
        Chore::Ci => return ci::run(),
        Chore::Import(options) => return import::run(&options),
        Chore::Optimize(options) => return optimize::run(&options),
        Chore::Seed(options) => return seed::run(&options),
        Chore::Doctor(options) => return doctor::run(&options),
        Chore::ApiFuzz(options) => return api_fuzz::run(&options),
        Chore::Fuzz(options) => return fuzz::run(&options),
        Chore::Mutants(options) => return mutants::run(&options),
        Chore::Soak { subject } => return soak::run(&subject),
        Chore::Tidy => tidy::run()?,
        Chore::Codegen => return codegen::run(),
        Chore::Watch { purpose } => watcher::watch(&Place::open(purpose)?)?,
    }
    Ok(ExitCode::SUCCESS)
}
