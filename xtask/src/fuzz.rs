//! `cargo xtask fuzz`: answers that nobody would give, sent through what reads them.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::{command, environment};

const TARGETS: [&str; 6] =
    ["domeggook_list", "domeggook_view", "options", "ownerclan_items", "tiers", "zentrade_file"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// One of them; without it all, one after another
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
    /// How long each is tried
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// The answer is that of the first target that finds something.
///
/// # Errors
///
/// When cargo-fuzz is not there or cannot be run.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let is_there = environment::program("cargo-fuzz")?.is_some();
    ensure!(is_there, "install cargo-fuzz: `cargo install cargo-fuzz --locked`");
    let all = TARGETS.iter().copied();
    for target in all.filter(|name| options.target.as_deref().is_none_or(|only| only == *name)) {
        // Without a sanitizer: there is no unsafe code here, and so it is faster by far.
        let mut fuzz = command::cargo(["fuzz", "run", target, "-s", "none"]);
        // Where it keeps what it finds out, and where it begins.
        fuzz.arg(format!("fuzz/corpus/{target}"));
        fuzz.arg(format!("crates/batch/tests/seeds/{target}"));
        fuzz.args(["--", &format!("-max_total_time={}", options.seconds), "-max_len=16384"]);
        // Coverage is a flag of the nightly compiler, which the stable one has as well.
        fuzz.env("RUSTC_BOOTSTRAP", "1");
        std::fs::create_dir_all(environment::checkout().join("fuzz/corpus").join(target))?;
        let status = command::status(&mut fuzz)?;
        if !status.success() {
            return Ok(command::exit_code(status));
        }
    }
    Ok(ExitCode::SUCCESS)
}
