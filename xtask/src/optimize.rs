//! `cargo xtask optimize`: the indexes of dev's database, or of the one that the environment names.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{command, import, jebi};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Handed on to `jebi optimize`, such as `--level aggressive --dry-run --report optimize.html`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// The answer is that of `jebi optimize`.
///
/// # Errors
///
/// When there is no database or jebi does not compile.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let settings = import::settings()?;
    let mut optimize = Command::new(jebi::build()?);
    optimize.arg("optimize").args(&options.arguments).envs(settings);
    Ok(command::exit_code(command::status(&mut optimize)?))
}
