//! `cargo xtask mutants`: the code changed in one place at a time, and how many of the changes the unit tests notice.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::{command, environment};

const VERSION: &str = "27.1.0";

/// Those of which files are named in `.cargo/mutants.toml`.
const PACKAGES: [&str; 4] = ["domain", "cache", "batch", "work"];

/// Changes of a hundred that are to be noticed.
const LEAST_PERCENT: usize = 80;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// One of them; without it all, one after another
    #[arg(value_parser = PACKAGES)]
    package: Option<String>,
}

/// The answer is a failure where a package has a score below [`LEAST_PERCENT`].
///
/// # Errors
///
/// When cargo-mutants cannot be installed, or the tests fail before anything is changed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let tools = environment::checkout().join("target/tools");
    let own = tools.join("bin/cargo-mutants");
    let found = environment::program("cargo-mutants")?;
    if found.is_none() && !own.is_file() {
        let mut install = command::cargo(["install", "cargo-mutants", "--locked"]);
        install.args(["--version", VERSION, "--root"]).arg(&tools);
        let is_installed = command::status(&mut install)?.success();
        ensure!(is_installed, "install cargo-mutants yourself: `cargo install cargo-mutants`");
    }
    let program = found.unwrap_or(own);
    let all = PACKAGES.iter().copied();
    let mut scores = Vec::new();
    for package in all.filter(|name| options.package.as_deref().is_none_or(|only| only == *name)) {
        scores.push((package, measure(&program, package)?));
    }
    for (package, score) in &scores {
        println!("{package}: {}", score.shown());
    }
    let is_enough = scores.iter().all(|(_, score)| score.is_at_least(LEAST_PERCENT));
    Ok(if is_enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(program: &Path, package: &str) -> Result<Score> {
    // What its exit codes say: all were noticed, some were not, some tests did not end.
    const MEASURED: [i32; 3] = [0, 2, 3];
    let root = environment::checkout().join("target/mutants");
    let output = root.join(package);
    std::fs::create_dir_all(&output)?;
    let mut mutants = Command::new(program);
    mutants.args(["mutants", "--package", &format!("jebi-{package}"), "--output"]).arg(&output);
    // It copies the checkout elsewhere each time; what does not change is built once.
    mutants.env("CARGO_TARGET_DIR", root.join("build")).current_dir(environment::checkout());
    let code = command::status(&mut mutants)?.code();
    let is_measured = code.is_some_and(|code| MEASURED.contains(&code));
    ensure!(is_measured, "cargo-mutants could not measure {package}: it says why above");
    Score::read(&output.join("mutants.out"))
}

/// How many changes there were, by what came of them.
struct Score {
    caught: usize,
    missed: usize,
    /// Tests that did not end have noticed as well.
    timeout: usize,
    /// Changes that do not compile say nothing of the tests.
    unviable: usize,
}

impl Score {
    fn read(folder: &Path) -> Result<Self> {
        let count = |name: &str| -> Result<usize> {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path);
            Ok(text.with_context(|| format!("cannot read {}", path.display()))?.lines().count())
        };
        Ok(Self {
            caught: count("caught.txt")?,
            missed: count("missed.txt")?,
            timeout: count("timeout.txt")?,
            unviable: count("unviable.txt")?,
        })
    }

    const fn noticed(&self) -> usize {
        self.caught + self.timeout
    }

    const fn is_at_least(&self, percent: usize) -> bool {
        self.noticed() * 100 >= (self.noticed() + self.missed) * percent
    }

    fn shown(&self) -> String {
        let Self { caught, missed, timeout, unviable } = self;
        let viable = (self.noticed() + missed).max(1);
        let tenths = self.noticed() * 1_000 / viable;
        format!(
            "{}.{} % ({caught} caught, {timeout} timed out, {missed} missed; {unviable} do not compile)",
            tenths / 10,
            tenths % 10
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Score;

    #[test]
    fn what_does_not_end_is_noticed_and_what_does_not_compile_does_not_count() {
        let score = Score { caught: 7, missed: 2, timeout: 1, unviable: 90 };
        assert!(score.is_at_least(80) && !score.is_at_least(81));
        assert!(score.shown().starts_with("80.0 % (7 caught, 1 timed out, 2 missed;"));
    }
}
