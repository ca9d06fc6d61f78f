//! The program that PostgreSQL is measured with.

use std::path::PathBuf;
use std::process::Command;

/// Transactions, and how many in a second.
pub(super) fn told(output: &str) -> Option<(f64, f64)> {
    let after = |name: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(name))?;
        let end = line.find(|char: char| !char.is_ascii_digit() && char != '.');
        line[..end.unwrap_or(line.len())].parse().ok()
    };
    let failed: f64 = after("number of failed transactions: ").unwrap_or(0.0);
    let count = after("number of transactions actually processed: ")?;
    let per_second = after("tps = ")?;
    (failed == 0.0 && count > 0.0).then_some((count, per_second))
}

/// On the path, else where Debian has it.
pub(super) fn find() -> Option<PathBuf> {
    let on_path = Command::new("pgbench").arg("--version").output();
    if on_path.is_ok_and(|output| output.status.success()) {
        return Some(PathBuf::from("pgbench"));
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin/pgbench")))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found.pop()
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn what_pgbench_says_is_read() {
        let output = "number of transactions actually processed: 4242\nnumber of failed transactions: 0 (0.000%)\n\
                      latency average = 1.1 ms\ntps = 2121.5 (without initial connection time)\n";
        assert_eq!(told(output), Some((4_242.0, 2_121.5)));
        assert_eq!(told("tps = 1"), None);
        assert_eq!(told(&output.replace("transactions: 0", "transactions: 7")), None);
    }
}
