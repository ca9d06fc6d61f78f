//! The rules for files: manifests, tests, migrations.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::environment;

/// What a crate's manifest must take from the workspace.
///
/// # Errors
///
/// When it cannot be read.
pub(super) fn incomplete_manifest(path: &str) -> Result<Vec<String>> {
    let manifest = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let inherits_lints = manifest.contains("[lints]\nworkspace = true");
    let inherits_license = manifest.contains("license.workspace = true");
    let lints = (!inherits_lints).then(|| format!("{path}: `[lints]` is not `workspace = true`"));
    let license = (!inherits_license).then(|| format!("{path}: `license.workspace` is not true"));
    Ok(lints.into_iter().chain(license).collect())
}

/// What is wrong with the files that git knows or would add.
///
/// # Errors
///
/// When they cannot be listed or read.
pub(super) fn complaints() -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for path in listed()? {
        let file = environment::checkout().join(&path);
        // Git still lists what was removed and not committed.
        if !file.is_file() {
            continue;
        }
        let contents = fs::read(&file).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(contents) {
            complaints.extend(faults(&path, &text).map(|fault| format!("{path}: {fault}")));
        }
    }
    Ok(complaints)
}

fn listed() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(environment::checkout())
        .output()
        .context("cannot run git")?;
    ensure!(output.status.success(), "git cannot list the files: run this in a clone");
    let paths = String::from_utf8(output.stdout).context("the name of a file is not UTF-8")?;
    Ok(paths.split_terminator('\0').map(str::to_owned).collect())
}

/// In two parts, so that this file does not find itself.
const IGNORED_TEST: &str = concat!("#[", "ignore");
const SLEEPS: [&str; 3] =
    [concat!("thread::", "sleep("), concat!("time::", "sleep("), concat!("time::", "sleep_until(")];

fn faults(path: &str, text: &str) -> impl Iterator<Item = &'static str> {
    let is_rust = path.ends_with(".rs");
    let is_test = is_rust && (path.contains("/tests/") || path.ends_with("/tests.rs"));
    let is_migration = path.starts_with("migrations/") && path.ends_with("/up.sql");
    let states_locks = || text.lines().any(|line| line.starts_with("-- Locks:"));
    [
        (!text.is_empty() && !text.ends_with('\n'), "the last line does not end"),
        (is_rust && path.ends_with("/mod.rs"), "a module is `name.rs`, its children in `name/`"),
        (
            is_rust && text.contains(IGNORED_TEST),
            "an ignored test proves nothing: run or remove it",
        ),
        (
            is_test && SLEEPS.iter().any(|sleep| text.contains(sleep)),
            "a test that sleeps is slow or wrong: wait for the event or pause the clock",
        ),
        (
            is_migration && !states_locks(),
            "no line `-- Locks:` says what it locks and for how long",
        ),
    ]
    .into_iter()
    .filter_map(|(is_fault, fault)| is_fault.then_some(fault))
}

#[cfg(test)]
mod tests {
    use super::{IGNORED_TEST, faults};

    fn number_of_faults(path: &str, text: &str) -> usize {
        faults(path, text).count()
    }

    #[test]
    fn a_file_that_keeps_the_rules_has_no_fault() {
        assert_eq!(number_of_faults("crates/api/src/lib.rs", "//! It.\n"), 0);
        assert_eq!(number_of_faults("migrations/1_a/up.sql", "-- Locks: none.\nSELECT 1;\n"), 0);
        assert_eq!(number_of_faults("crates/api/src/retry.rs", "thread::sleep(pause);\n"), 0);
        assert_eq!(number_of_faults("empty", ""), 0);
    }

    #[test]
    fn each_broken_rule_is_a_fault() {
        assert_eq!(number_of_faults("README.md", "no end"), 1);
        assert_eq!(number_of_faults("crates/api/src/orders/mod.rs", "//! It.\n"), 1);
        assert_eq!(number_of_faults("migrations/1_a/up.sql", "SELECT 1;\n"), 1);
        let ignored = format!("{IGNORED_TEST}]\nfn slow() {{}}\n");
        assert_eq!(number_of_faults("crates/api/src/lib.rs", &ignored), 1);
        let sleeps = "thread::sleep(a); tokio::time::sleep(b).await;\n";
        assert_eq!(number_of_faults("crates/api/tests/it/main.rs", sleeps), 1);
        assert_eq!(number_of_faults("crates/api/src/orders/tests.rs", sleeps), 1);
    }
}
