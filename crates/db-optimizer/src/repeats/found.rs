//! What was found to repeat statements, in bounded memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::Repeated;
use crate::timings::Timings;

/// So many findings are kept; the one that was not seen for the longest time makes room.
const KEPT: usize = 100;
/// The same finding is logged so often at most.
const LOGGED_EVERY: Duration = Duration::from_secs(600);
/// So much of a statement is kept.
const SHOWN_BYTES: usize = 1_000;

/// A statement that the same kind of work repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was done: for a request its method and the pattern of its route.
    pub work: String,
    /// The text, without values, at most 1,000 bytes of it.
    pub statement: String,
    /// How often it ran in one piece of work, at most.
    pub count: u32,
    /// In how many pieces of work it was repeated.
    pub times: u64,
    /// When that was seen first.
    pub first_seen: DateTime<Utc>,
    /// When that was seen last.
    pub last_seen: DateTime<Utc>,
}

/// How many turns of loops were declared by [`expected`](super::expected).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turns {
    /// [`Reason::Retry`](super::Reason::Retry)
    pub retries: u64,
    /// [`Reason::Chunks`](super::Reason::Chunks)
    pub chunks: u64,
    /// [`Reason::Pages`](super::Reason::Pages)
    pub pages: u64,
}

/// What pieces of work were found to repeat. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Found {
    kept: Arc<Mutex<Kept>>,
    timings: Option<Timings>,
}

#[derive(Debug, Default)]
struct Kept {
    findings: Vec<(Instant, Finding)>,
    turns: Turns,
}

impl Found {
    /// Nothing yet; statements of the work are timed besides.
    #[must_use]
    pub fn with_timings(timings: Timings) -> Self {
        Self { timings: Some(timings), ..Self::default() }
    }

    pub(super) fn timings(&self) -> Option<&Timings> {
        self.timings.as_ref()
    }

    /// The findings, those that repeat most first.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut findings: Vec<Finding> =
            kept.findings.iter().map(|(_, finding)| finding.clone()).collect();
        drop(kept);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.count));
        findings
    }

    /// The repetitions that were declared.
    #[must_use]
    pub fn turns(&self) -> Turns {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).turns
    }

    /// Adds what one piece of work repeated, and logs what was not logged lately.
    pub(super) fn add(&self, work: &str, repeated: Vec<Repeated>, turns: [u64; 3]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let [retries, chunks, pages] = turns;
        kept.turns.retries += retries;
        kept.turns.chunks += chunks;
        kept.turns.pages += pages;
        let mut news = Vec::new();
        for Repeated { statement, count, .. } in repeated {
            if kept.add(work, &statement, count) {
                news.push((statement, count));
            }
        }
        drop(kept);
        for (statement, count) in news {
            tracing::warn!(
                endpoint = work,
                statement,
                count,
                "{work} runs a statement {count} times; read all rows by one, with = ANY($1)"
            );
        }
    }
}

impl Kept {
    /// Adds one finding and says whether it is to be logged.
    fn add(&mut self, work: &str, statement: &str, count: u32) -> bool {
        let (now, at) = (Instant::now(), Utc::now());
        let is_it =
            |(_, known): &&mut (_, Finding)| known.work == work && known.statement == statement;
        if let Some((logged, known)) = self.findings.iter_mut().find(is_it) {
            known.count = known.count.max(count);
            known.times += 1;
            known.last_seen = at;
            let is_due = now - *logged >= LOGGED_EVERY;
            if is_due {
                *logged = now;
            }
            return is_due;
        }
        if self.findings.len() == KEPT {
            let seen = |(_, finding): &(usize, &(_, Finding))| finding.1.last_seen;
            let oldest = self.findings.iter().enumerate().min_by_key(seen).map(|(at, _)| at);
            oldest.map(|at| self.findings.swap_remove(at));
        }
        let finding = Finding {
            work: work.to_owned(),
            statement: statement.to_owned(),
            count,
            times: 1,
            first_seen: at,
            last_seen: at,
        };
        self.findings.push((now, finding));
        true
    }
}

/// A statement in one line.
pub(super) fn shortened(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line = words.join(" ");
    line.truncate(line.floor_char_boundary(SHOWN_BYTES));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_finding_is_logged_once_in_ten_minutes() {
        let mut kept = Kept::default();
        let mut logged = |work, statement| kept.add(work, statement, 3);
        assert!(logged("a", "SELECT 1") && logged("b", "SELECT 1") && logged("a", "SELECT 2"));
        assert!(!logged("a", "SELECT 1"));
        tokio::time::advance(LOGGED_EVERY - Duration::from_secs(1)).await;
        assert!(!logged("a", "SELECT 1"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(logged("a", "SELECT 1") && !logged("a", "SELECT 1"));
    }

    #[test]
    fn a_statement_is_one_line_of_bounded_length() {
        assert_eq!(shortened("SELECT a\n   FROM b"), "SELECT a FROM b");
        let long = shortened(&"가".repeat(1_000));
        assert_eq!((long.len(), long.chars().count()), (999, 333));
    }
}
