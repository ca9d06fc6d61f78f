//! `cargo xtask tidy`: the rules of the code base that the compiler does not know.
//!
//! The arrows between the crates are the table below. A new arrow, or a new crate, changes the
//! table and so is seen and judged as a change of the architecture.

mod files;

use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::command;

/// Which crate of the workspace may use which.
const ARROWS: &[(&str, &[&str])] = &[
    ("jebi-domain", &[]),
    ("jebi-cache", &[]),
    ("jebi-monitor", &[]),
    ("jebi-load", &["jebi-monitor"]),
    ("jebi-db-optimizer", &["jebi-domain", "jebi-monitor"]),
    // The simulator is for its tests alone: they are the proof that nobody blocks us.
    ("jebi-batch", &["jebi-domain", "jebi-monitor", "jebi-simulator"]),
    (
        "jebi-work",
        &[
            "jebi-domain",
            "jebi-monitor",
            "jebi-db-optimizer",
            "jebi-batch",
            // For its tests alone.
            "jebi-simulator",
        ],
    ),
    (
        "jebi-api",
        &[
            "jebi-domain",
            "jebi-cache",
            "jebi-monitor",
            "jebi-db-optimizer",
            "jebi-batch",
            "jebi-work",
            "jebi-load",
            // For its tests alone.
            "jebi-simulator",
        ],
    ),
    ("jebi-simulator", &["jebi-domain"]),
    // The layer whose cost it measures, and what to send.
    ("jebi-bench", &["jebi-domain", "jebi-db-optimizer", "jebi-load"]),
    ("xtask", &[]),
];

/// Which crates may name these crates of others. A `*` stands for every ending.
const RESERVED: &[(&str, &[&str])] = &[
    ("diesel", &["jebi-db-optimizer"]),
    ("diesel-async", &["jebi-db-optimizer"]),
    ("diesel_migrations", &["jebi-db-optimizer"]),
    // The bench's for its baseline, which is to be without the query layer.
    ("tokio-postgres", &["jebi-db-optimizer", "jebi-bench"]),
    ("reqwest", &["jebi-batch", "jebi-simulator", "jebi-bench"]),
    ("actix-*", &["jebi-api", "jebi-simulator", "jebi-bench"]),
];

/// # Errors
///
/// When a rule is broken; each breach is printed on a line of its own.
pub(crate) fn run() -> Result<()> {
    let metadata = metadata()?;
    let mut complaints = Vec::new();
    for package in packages(&metadata)? {
        complaints.extend(forbidden_dependencies(&package));
        complaints.extend(files::incomplete_manifest(&package.manifest)?);
    }
    complaints.extend(files::complaints()?);
    for complaint in &complaints {
        eprintln!("tidy: {complaint}");
    }
    ensure!(
        complaints.is_empty(),
        "tidy has found what the code base does not do ({} times): correct the lines above",
        complaints.len()
    );
    Ok(())
}

fn metadata() -> Result<Value> {
    let output = command::cargo(["metadata", "--format-version", "1", "--no-deps"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo cannot read the workspace: it says why above");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What `cargo metadata` says about one crate of the workspace.
struct Package {
    name: String,
    manifest: String,
    /// Normal, build and test dependencies alike: a test that needs an arrow needs it, too.
    dependencies: Vec<String>,
}

fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let package = |package: &Value| {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let dependencies = package["dependencies"].as_array()?.iter();
        Some(Package {
            name: text(&package["name"])?,
            manifest: text(&package["manifest_path"])?,
            dependencies: dependencies.filter_map(|one| text(&one["name"])).collect(),
        })
    };
    let all = metadata["packages"].as_array().map(|all| all.iter().map(package).collect());
    match all {
        Some(Some(packages)) => Ok(packages),
        Some(None) | None => bail!("`cargo metadata` speaks another format than 1"),
    }
}

fn forbidden_dependencies(package: &Package) -> Vec<String> {
    let name = &package.name;
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
        return vec![format!("{name} is unknown: add it to the table in xtask/src/tidy.rs")];
    };
    let judge = |dependency: &String| {
        let is_ours = ARROWS.iter().any(|(known, _)| known == dependency);
        let reserved_for = RESERVED.iter().find(|(pattern, _)| matches(pattern, dependency));
        // Its tests may ask a crate for itself with a feature that others do not get.
        if is_ours && dependency != name && !allowed.contains(&dependency.as_str()) {
            return Some(format!("{name} may not use {dependency}"));
        }
        let (_, users) = reserved_for?;
        let users_are = || users.join(", ");
        (!users.contains(&name.as_str()))
            .then(|| format!("{name} may not name {dependency}, which is for {}", users_are()))
    };
    package.dependencies.iter().filter_map(judge).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{forbidden_dependencies, packages};

    /// Checks one made-up crate.
    fn complaints(name: &str, dependencies: &[&str]) -> Vec<String> {
        let dependencies: Vec<_> =
            dependencies.iter().map(|name| json!({ "name": name, "kind": null })).collect();
        let package =
            json!({ "name": name, "manifest_path": "Cargo.toml", "dependencies": dependencies });
        let packages = packages(&json!({ "packages": [package] })).unwrap();
        packages.iter().flat_map(forbidden_dependencies).collect()
    }

    #[test]
    fn an_arrow_of_the_table_is_allowed() {
        assert!(complaints("jebi-db-optimizer", &["jebi-domain", "diesel", "serde"]).is_empty());
        assert!(
            complaints("jebi-api", &["jebi-cache", "actix-web", "tracing-actix-web"]).is_empty()
        );
    }

    #[test]
    fn an_arrow_that_points_the_other_way_is_reported() {
        let expected = ["jebi-domain may not use jebi-db-optimizer"];
        assert_eq!(complaints("jebi-domain", &["jebi-db-optimizer", "serde"]), expected);
    }

    #[test]
    fn a_crate_that_is_reserved_for_another_is_reported() {
        let expected = ["jebi-api may not name diesel, which is for jebi-db-optimizer"];
        assert_eq!(complaints("jebi-api", &["diesel"]), expected);
        let expected =
            ["jebi-batch may not name actix-rt, which is for jebi-api, jebi-simulator, jebi-bench"];
        assert_eq!(complaints("jebi-batch", &["actix-rt", "reqwest"]), expected);
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_reported() {
        let expected = ["jebi-new is unknown: add it to the table in xtask/src/tidy.rs"];
        assert_eq!(complaints("jebi-new", &[]), expected);
    }

    #[test]
    fn metadata_of_another_format_is_an_error() {
        assert!(packages(&json!({})).is_err());
        assert!(packages(&json!({ "packages": [{ "name": "a" }] })).is_err());
    }
}
