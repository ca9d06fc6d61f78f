//! `cargo xtask codegen`: writes the pages that are made from the code.

use std::process::ExitCode;

use anyhow::Result;

use crate::command;

/// The tests that check these pages write them instead where `JEBI_CODEGEN` is set.
///
/// # Errors
///
/// When cargo cannot be run.
pub(crate) fn run() -> Result<ExitCode> {
    let mut tests = command::cargo(["test", "--quiet", "--package", "jebi-api", "--test", "it"]);
    tests.args(["--", "--exact", "documents::the_settings_page_is_what_the_settings_say"]);
    let status = command::status(tests.env("JEBI_CODEGEN", "1"))?;
    Ok(command::exit_code(status))
}
