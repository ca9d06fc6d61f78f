//! What was measured, against what was promised.

use std::path::PathBuf;

use serde::Serialize;

use crate::measure::Spread;

/// A promise about a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Nothing was promised.
    None,
}

#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    figure: f64,
    low: f64,
    high: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<bool>,
}

/// All figures of one run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// Takes up a figure and prints it.
    pub(crate) fn add(&mut self, name: impl Into<String>, spread: Spread, target: Target) {
        let (text, holds) = match target {
            Target::AtMost(most) => (Some(format!("<= {most}")), Some(spread.median <= most)),
            Target::AtLeast(least) => (Some(format!(">= {least}")), Some(spread.median >= least)),
            Target::None => (None, None),
        };
        let name = name.into();
        let Spread { low, median, high } = spread;
        let verdict = match (&text, holds) {
            (Some(text), Some(true)) => format!("target {text:<7} holds"),
            (Some(text), Some(false)) => format!("target {text:<7} MISSED"),
            (None, _) | (_, None) => String::new(),
        };
        println!("{name:<72} {median:>9.3}  [{low:.3} .. {high:.3}]  {verdict}");
        self.figures.push(Figure { name, figure: median, low, high, target: text, holds });
    }

    /// Writes `target/bench/cache.json`.
    pub(crate) fn write(&self) -> std::io::Result<PathBuf> {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let directory = target.parent().expect("it lies in the target directory").join("bench");
        std::fs::create_dir_all(&directory)?;
        let path = directory.join("cache.json");
        std::fs::write(&path, serde_json::to_vec_pretty(self)?)?;
        Ok(path)
    }
}
