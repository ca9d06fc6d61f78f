//! `cargo xtask import`: orders from a file into dev's database.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::place::{Place, Purpose};
use crate::services::Named;
use crate::{command, dev, env_file, jebi};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The orders, as data/README.md describes them; plain or .zst
    file: PathBuf,
    /// Whose orders they are
    #[arg(long)]
    seller: String,
    /// Handed on to `jebi import`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// The answer is that of `jebi import`.
///
/// # Errors
///
/// When there is no file or no database, or jebi does not compile.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let file = &options.file;
    ensure!(file.is_file(), "there is no file {}", file.display());
    let settings = settings()?;
    let mut import = Command::new(jebi::build()?);
    import.arg("import").arg(file).args(["--seller", &options.seller]);
    import.args(&options.arguments).envs(settings);
    Ok(command::exit_code(command::status(&mut import)?))
}

/// Where the database is: the one that the environment names, else dev's.
///
/// # Errors
///
/// When none is named and dev does not run.
pub(crate) fn settings() -> Result<Vec<(String, String)>> {
    match Named::read()?.database {
        Some(url) => Ok(vec![("DATABASE_URL".to_owned(), url)]),
        None => settings_of_dev(),
    }
}

/// What dev's service is told.
///
/// # Errors
///
/// When dev does not run.
pub(crate) fn settings_of_dev() -> Result<Vec<(String, String)>> {
    ensure!(
        dev::is_running(&Place::open(Purpose::Dev)?)?,
        "dev's database does not run: run `cargo xtask dev` first"
    );
    env_file::read()?.context("dev has not written target/dev/env: run `cargo xtask dev` again")
}
