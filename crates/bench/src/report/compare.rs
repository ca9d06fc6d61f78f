//! This run against one of before.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Better, Figure, Report};

/// How a figure has changed.
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) before: f64,
    pub(crate) now: f64,
    pub(crate) unit: String,
    /// By more than noise: a tenth at least, and beyond what any round of the other run measured.
    pub(crate) is_worse: bool,
    pub(crate) is_better: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, before, now, unit, .. } = self;
        write!(f, "{name}: {before:.3} → {now:.3} {unit} (× {:.2})", now / before)
    }
}

/// # Errors
/// Where the file is no report.
pub(super) fn read(path: &Path) -> Result<Report> {
    let json = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&json)
        .with_context(|| format!("{} is no report of `cargo xtask bench`", path.display()))
}

/// What both have measured, in the order of this run.
pub(super) fn compare(before: &Report, now: &Report) -> Vec<Change> {
    let change = |figure: &Figure| {
        let old = before.figures.iter().find(|old| old.name == figure.name)?;
        Some(of(old, figure))
    };
    now.figures.iter().filter_map(change).collect()
}

fn of(old: &Figure, new: &Figure) -> Change {
    const NOISE: f64 = 0.1;
    let (up, down) = (is_beyond(old, new, NOISE), is_beyond(new, old, NOISE));
    let (is_worse, is_better) = match new.better {
        Better::Lower => (up, down),
        Better::Higher => (down, up),
    };
    let (before, now) = (old.value, new.value);
    Change { name: new.name.clone(), before, now, unit: new.unit.clone(), is_worse, is_better }
}

/// Whether `high` is higher than `low` by more than a share, also the least round of one than the most of the other.
fn is_beyond(low: &Figure, high: &Figure, share: f64) -> bool {
    let most = low.rounds.iter().copied().fold(low.value, f64::max);
    let least = high.rounds.iter().copied().fold(high.value, f64::min);
    high.value > low.value * (1.0 + share) && least > most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, rounds: &[f64], better: Better) -> Figure {
        let (name, unit) = ("x".to_owned(), "ms".to_owned());
        Figure { name, value, unit, better, rounds: rounds.to_vec() }
    }

    #[test]
    fn only_what_is_beyond_noise_is_worse_or_better() {
        let judge = |old: (f64, &[f64]), new: (f64, &[f64]), better| {
            let change = of(&figure(old.0, old.1, better), &figure(new.0, new.1, better));
            (change.is_worse, change.is_better)
        };
        let tight: (f64, &[f64]) = (10.0, &[9.8, 10.0, 10.3]);
        assert_eq!(judge(tight, (12.0, &[11.8, 12.0, 12.2]), Better::Lower), (true, false));
        assert_eq!(judge(tight, (12.0, &[11.8, 12.0, 12.2]), Better::Higher), (false, true));
        assert_eq!(
            judge(tight, (10.5, &[10.4, 10.6]), Better::Lower),
            (false, false),
            "a twentieth"
        );
        assert_eq!(
            judge(tight, (12.0, &[9.9, 12.0, 14.0]), Better::Lower),
            (false, false),
            "spread"
        );
        assert_eq!(judge((12.0, &[]), (10.0, &[]), Better::Lower), (false, true));
    }
}
