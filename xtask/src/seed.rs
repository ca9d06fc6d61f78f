//! `cargo xtask seed`: generated products and orders in dev's database.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{command, import, jebi};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many orders
    #[arg(long, default_value_t = 0)]
    orders: u64,
    /// How many products
    #[arg(long, default_value_t = 1_000)]
    products: u64,
    /// Handed on to `jebi seed`, such as `--sellers 20 --seed 2`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// The answer is that of `jebi seed`.
///
/// # Errors
///
/// When there is no database or jebi does not compile.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut seed = Command::new(jebi::build()?);
    seed.args(["seed", "--orders", &options.orders.to_string()]);
    seed.args(["--products", &options.products.to_string()]);
    seed.args(&options.arguments).envs(import::settings()?);
    Ok(command::exit_code(command::status(&mut seed)?))
}
