//! `cargo xtask bench`: everything measured, with servers of its own.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::place::Purpose;
use crate::{command, environment, jebi, services};

/// As fast as a release but for the last of the linker's work, which costs a newcomer minutes.
const USUAL_PROFILE: &str = "release-fast";

/// The answer is that of `jebi-bench`, to which the arguments are handed on.
///
/// # Errors
///
/// When the servers cannot be set up or something does not compile.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let programs = [("jebi-bench", "jebi-bench"), ("jebi-api", "jebi")];
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let profile = if has("--release") { "release" } else { USUAL_PROFILE };
    let [bench, jebi] = jebi::programs(programs, profile)?;
    let mut run = Command::new(bench);
    run.arg("run").args(arguments).current_dir(environment::checkout());
    if has("--help") || has("-h") {
        return Ok(command::exit_code(command::status(&mut run)?));
    }
    services::during(Purpose::Bench, |services| {
        run.env("JEBI_BIN", jebi)
            .env("JEBI_BENCH_PROFILE", profile)
            .env("DATABASE_URL", services.database.url);
        run.envs(services.redis_url.map(|url| ("REDIS_URL", url)));
        Ok(command::exit_code(command::status(&mut run)?))
    })
}
