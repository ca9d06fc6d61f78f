//! `cargo xtask doctor`: what `jebi doctor` says of dev's set-up.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{command, import, jebi};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Handed on to `jebi doctor`, such as `--json`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// The answer is that of `jebi doctor`.
///
/// # Errors
///
/// When there is no database or jebi does not compile.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut doctor = Command::new(jebi::build()?);
    doctor.arg("doctor").args(&options.arguments).envs(import::settings()?);
    Ok(command::exit_code(command::status(&mut doctor)?))
}
