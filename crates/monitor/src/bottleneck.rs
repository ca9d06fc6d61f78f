//! Where the time goes.

use std::time::Duration;

use crate::config::Thresholds;
use crate::window::Summary;

/// How much a bottleneck matters, by [`Thresholds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Its p95 is below `slow`.
    Info,
    /// Its p95 is `slow` or more.
    Warning,
    /// Its p95 is `very_slow` or more, or it is slow and takes `heavy_share` of all time.
    Critical,
}

/// One operation and its part of the time of all.
#[derive(Debug, Clone, PartialEq)]
pub struct Bottleneck {
    /// Its name.
    pub operation: String,
    /// What came to it in the span.
    pub summary: Summary,
    /// Its total time as a share of that of all operations.
    pub share: f64,
    /// How much it matters.
    pub severity: Severity,
}

/// Ranks by total time, the largest first; by name where that is equal.
pub(crate) fn rank(all: Vec<(String, Summary)>, thresholds: &Thresholds) -> Vec<Bottleneck> {
    let total: Duration =
        all.iter().fold(Duration::ZERO, |sum, (_, one)| sum.saturating_add(one.total));
    let judge = |(operation, summary): (String, Summary)| {
        let share = if total.is_zero() { 0.0 } else { summary.total.div_duration_f64(total) };
        let severity = match summary.p95 {
            p95 if p95 >= thresholds.very_slow => Severity::Critical,
            p95 if p95 < thresholds.slow => Severity::Info,
            _ if share >= thresholds.heavy_share => Severity::Critical,
            _ => Severity::Warning,
        };
        Bottleneck { operation, summary, share, severity }
    };
    let mut ranked: Vec<Bottleneck> = all.into_iter().map(judge).collect();
    ranked.sort_by(|one, two| {
        two.summary.total.cmp(&one.summary.total).then_with(|| one.operation.cmp(&two.operation))
    });
    ranked
}
