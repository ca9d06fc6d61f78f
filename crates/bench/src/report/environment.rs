//! On what it was measured.

use std::process::Command;

use anyhow::Result;

use super::Place;

/// In which profile of cargo's.
pub(super) const BUILT: &str = "built";

/// Names and values, for people.
pub(super) async fn describe(place: &Place) -> Result<Vec<(String, String)>> {
    let mut environment = vec![];
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            environment.push((name.to_owned(), value));
        }
    };
    let cores = std::thread::available_parallelism().map(|cores| cores.to_string());
    add("cores", cores.ok());
    add("processor", line_of("/proc/cpuinfo", "model name"));
    add("memory", line_of("/proc/meminfo", "MemTotal"));
    add(
        "kernel",
        std::fs::read_to_string("/proc/sys/kernel/osrelease").ok().as_deref().map(trimmed),
    );
    add("load before", std::fs::read_to_string("/proc/loadavg").ok().as_deref().map(trimmed));
    add("revision", said("git", &["describe", "--always", "--dirty"]));
    add("compiler", said("rustc", &["--version"]));
    add("service", said(place.jebi.to_str().unwrap_or_default(), &["--version"]));
    add(BUILT, Some(place.profile.clone()));
    let comes = if place.server.is_behind { "after the generator" } else { "before the service" };
    add("postgresql gets a core", Some(comes.to_owned()));
    for (name, value) in place.server.settings().await? {
        environment.push((format!("postgresql {name}"), value));
    }
    Ok(environment)
}

fn trimmed(text: &str) -> String {
    text.trim().to_owned()
}

fn line_of(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}
