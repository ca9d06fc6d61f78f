use std::fmt::Write as _;

use serde::Serialize;

/// What was looked at, what was found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) found: String,
    /// In one sentence; absent where nothing is to be done.
    pub(super) next: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    /// It could not be looked at.
    Unknown,
    /// It works, and could be better.
    Warn,
    /// It does not work, or will not for long.
    Bad,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

impl Check {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: found.into(), next: None }
    }

    pub(super) fn unknown(
        name: &'static str,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::new(name, Verdict::Unknown, found, next)
    }

    pub(super) fn warn(
        name: &'static str,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::new(name, Verdict::Warn, found, next)
    }

    pub(super) fn bad(
        name: &'static str,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::new(name, Verdict::Bad, found, next)
    }

    pub(super) fn new(
        name: &'static str,
        verdict: Verdict,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self { name, verdict, found: found.into(), next: Some(next.into()) }
    }
}

/// A terminal's width.
const COLUMNS: usize = 80;
/// Before the text: the verdict and the name.
const INDENT: usize = 29;

/// The checks as a table of 80 columns, and how many there are of each verdict.
pub(super) fn printed(checks: &[Check]) -> String {
    let mut out = String::new();
    for Check { name, verdict, found, next } in checks {
        let mut lines = wrapped(found);
        if let Some(next) = next {
            let next = wrapped(&format!("→ {next}"));
            lines.extend(next);
        }
        for (at, line) in lines.iter().enumerate() {
            let (verdict, name) = if at == 0 { (verdict.word(), *name) } else { ("", "") };
            let _ = writeln!(out, "{verdict:<8} {name:<19} {line}");
        }
    }
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let verdicts = [Verdict::Bad, Verdict::Warn, Verdict::Unknown, Verdict::Ok];
    let counts = verdicts.map(|verdict| format!("{} {}", count(verdict), verdict.word()));
    let _ = writeln!(out, "\n{}", counts.join(", "));
    out
}

/// The lines of a text beside the names. A word that is longer than a line is cut.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = COLUMNS - INDENT;
    let mut lines = vec![String::new()];
    let mut room = WIDTH;
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(WIDTH) {
            let is_first = room == WIDTH;
            if !is_first && part.len() + 1 > room {
                lines.push(String::new());
                room = WIDTH;
            }
            if let Some(line) = lines.last_mut() {
                if room < WIDTH {
                    line.push(' ');
                    room -= 1;
                }
                line.extend(part);
                room -= part.len();
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_a_terminal_is_wide_and_no_word_is_lost() {
        let long =
            "한국어 and a_word_that_is_longer_than_the_whole_column_beside_the_names_of_checks";
        let checks = [
            Check::ok("postgresql", "15.8"),
            Check::bad("foreign keys", long.repeat(3), "do this, ".repeat(20)),
        ];
        let table = printed(&checks);
        assert!(table.lines().all(|line| line.chars().count() <= COLUMNS), "{table}");
        assert!(
            table.starts_with("ok       postgresql          15.8\nbad      foreign keys        ")
        );
        assert!(table.ends_with("\n\n1 bad, 0 warn, 0 unknown, 1 ok\n"), "{table}");
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
        let expected: usize = checks
            .iter()
            .map(|check| {
                let next = check.next.as_deref().unwrap_or_default();
                letters(&[check.verdict.word(), check.name, &check.found, next].concat())
            })
            .sum();
        assert_eq!(letters(&table), expected + letters("1 bad, 0 warn, 0 unknown, 1 ok"));
    }
}
