//! `cargo xtask ci`: all that a change must pass, the cheap checks first.

use std::ffi::OsStr;
use std::iter;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{command, environment, test, tidy};

/// # Errors
///
/// When a step before the tests fails; the answer is that of the tests.
pub(crate) fn run() -> Result<ExitCode> {
    let mut durations = Vec::new();
    for (name, step) in STEPS {
        eprintln!("== {name}");
        let start = Instant::now();
        step()?;
        durations.push(format!("{name} {}", seconds(start.elapsed())));
    }
    // Before the tests, whose closing line is the last one.
    eprintln!("== passed: {}\n== test", durations.join(", "));
    test::run(&[])
}

type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 5] =
    [("tidy", tidy::run), ("fmt", fmt), ("clippy", clippy), ("deny", deny), ("docs", docs)];

fn fmt() -> Result<()> {
    pass(&mut command::cargo(["fmt", "--all", "--check"]), "run `cargo fmt --all`")
}

fn clippy() -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    pass(&mut command::cargo(arguments), "correct what clippy says above")
}

fn docs() -> Result<()> {
    let mut doc = command::cargo(["doc", "--workspace", "--no-deps"]);
    pass(doc.env("RUSTDOCFLAGS", "-D warnings"), "correct what rustdoc says above")
}

/// Without `advisories`, which needs the network and fails on days when nothing changed here.
fn deny() -> Result<()> {
    const VERSION: &str = "0.20.2";
    let tools = environment::checkout().join("target/tools");
    let own = tools.join("bin/cargo-deny");
    let found = environment::program("cargo-deny")?;
    if found.is_none() && !own.is_file() {
        let mut install = command::cargo(["install", "cargo-deny", "--locked"]);
        install.args(["--version", VERSION, "--root"]).arg(&tools);
        pass(&mut install, "install cargo-deny yourself")?;
    }
    let mut check = Command::new(found.unwrap_or(own));
    check.args(["check", "bans", "licenses", "sources"]).current_dir(environment::checkout());
    pass(&mut check, "drop the crate that it names above, or say in deny.toml why it may stay")
}

fn pass(command: &mut Command, advice: &str) -> Result<()> {
    let is_passed = command::status(command)?.success();
    let words = iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    ensure!(is_passed, "`{}` failed: {advice}", words.join(" "));
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
