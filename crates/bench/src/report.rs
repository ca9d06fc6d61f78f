//! What was measured, for people and for programs.

mod compare;
mod environment;
mod page;
mod plot;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{database, db, http, parts};

pub(crate) use plot::{Curve, Plot};

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Subject {
    /// Requests over HTTP, of the baseline, the service in its variants, and the limit
    Http,
    /// Statements through the query layer, beside pgbench; pages deep down, and where there is more of everything
    Db,
    /// The cache beside its peers
    Cache,
    /// What an item costs the batch engine, and a page of a catalogue to merge
    Batch,
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these; all where none is named
    #[arg(value_enum)]
    subjects: Vec<Subject>,
    #[command(flatten)]
    http: http::Options,
    #[command(flatten)]
    db: db::Options,
    /// A `report.json` of before, which this run is held against
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Programs as they are installed, with the last of the linker's work; minutes more to build
    #[arg(long)]
    release: bool,
    // It is `cargo xtask bench` that builds them, and says so here.
    #[arg(long, env = "JEBI_BENCH_PROFILE", hide = true)]
    profile: String,
    /// Where the report is written
    #[arg(long, env = "JEBI_BENCH_DIRECTORY", default_value = "target/bench")]
    directory: PathBuf,
    #[arg(long, env = "JEBI_BIN", hide = true)]
    jebi: PathBuf,
    #[arg(long, env = "DATABASE_URL", hide = true, hide_env_values = true)]
    database_url: String,
    #[arg(long, env = "REDIS_URL", hide = true, hide_env_values = true)]
    redis_url: Option<String>,
}

/// What the programs log that are measured, beside the report.
pub(crate) const LOG: &str = "bench.log";

/// Where the parts of a run find what they measure.
pub(crate) struct Place {
    pub(crate) jebi: PathBuf,
    pub(crate) server: database::Server,
    pub(crate) redis_url: Option<String>,
    pub(crate) directory: PathBuf,
    /// In which profile of cargo's all of it is built.
    pub(crate) profile: String,
}

/// Whether more of something is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// One measured value, the same thing under the same name in every report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    pub(crate) better: Better,
    /// What each round measured; the value is of all of them.
    #[serde(default)]
    pub(crate) rounds: Vec<f64>,
}

/// What a figure should be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) figure: f64,
    /// In words, with its unit.
    pub(crate) target: String,
    pub(crate) holds: bool,
    /// Where it does not hold, what forbids it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
}

/// A table of the page.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// A part of the report.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) lead: String,
    pub(crate) tables: Vec<Table>,
    pub(crate) plots: Vec<Plot>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) targets: Vec<Target>,
    /// Why figures are not to be trusted.
    pub(crate) doubts: Vec<String>,
    /// All of it, histograms among it.
    pub(crate) raw: Value,
}

#[derive(Serialize, Deserialize)]
struct Report {
    version: u32,
    began_at: DateTime<Utc>,
    seconds: f64,
    environment: Vec<(String, String)>,
    is_valid: bool,
    doubts: Vec<String>,
    targets: Vec<Target>,
    figures: Vec<Figure>,
    sections: serde_json::Map<String, Value>,
}

impl Report {
    /// In which profile its programs were built; an older report does not say.
    fn built(&self) -> String {
        let built = self.environment.iter().find(|(name, _)| name == environment::BUILT);
        built.map_or_else(|| "it does not say".to_owned(), |(_, built)| built.clone())
    }
}

/// Measures what is wanted and writes the report.
///
/// # Errors
/// Where something cannot be started or the report not be written.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(crate) async fn run(options: Options) -> Result<()> {
    let before = options.compare.as_deref().map(compare::read).transpose()?;
    std::fs::create_dir_all(&options.directory)
        .with_context(|| format!("cannot make {}", options.directory.display()))?;
    // Of this run alone: a run of everything logs hundreds of megabytes.
    std::fs::File::create(options.directory.join(LOG)).context("cannot begin the log")?;
    let place = Place {
        jebi: options.jebi,
        server: database::Server::connect(&options.database_url).await?,
        redis_url: options.redis_url,
        directory: options.directory,
        profile: options.profile,
    };
    let (began_at, began) = (Utc::now(), Instant::now());
    let wants = |subject| options.subjects.is_empty() || options.subjects.contains(&subject);
    let mut sections = vec![];
    if wants(Subject::Http) {
        sections.push(http::measure(&place, &options.http).await?);
    }
    if wants(Subject::Db) {
        sections.push(db::measure(&place, &options.db).await?);
    }
    if wants(Subject::Cache) {
        sections.push(parts::cache(&place)?);
    }
    if wants(Subject::Batch) {
        sections.push(parts::batch(&place)?);
    }
    let environment = environment::describe(&place).await?;
    let doubts: Vec<String> = sections.iter().flat_map(|section| section.doubts.clone()).collect();
    let report = Report {
        version: 1,
        began_at,
        seconds: began.elapsed().as_secs_f64(),
        environment,
        is_valid: doubts.is_empty(),
        doubts,
        targets: sections.iter().flat_map(|section| section.targets.clone()).collect(),
        figures: sections.iter().flat_map(|section| section.figures.clone()).collect(),
        sections: sections.iter().map(|one| (one.name.to_owned(), one.raw.clone())).collect(),
    };
    let changes = before.as_ref().map(|before| compare::compare(before, &report));
    let builds = before.as_ref().map(|before| (before.built(), report.built()));
    let (json, html) = (place.directory.join("report.json"), place.directory.join("report.html"));
    serde_json::to_writer(std::fs::File::create(&json)?, &report)?;
    std::fs::write(&html, page::page(&report, &sections, changes.as_deref()).into_string())?;
    for table in sections.iter().flat_map(|section| &section.tables) {
        println!("{}", text(table));
    }
    for Target { name, figure, target, holds, .. } in &report.targets {
        println!("{} {name}: {figure:.3} (target {target})", if *holds { "✓" } else { "✗" });
    }
    for doubt in &report.doubts {
        println!("NOT VALID: {doubt}");
    }
    if let Some((before, now)) = builds.filter(|(before, now)| before != now) {
        println!("NOT COMPARABLE: the other run was built as {before}, this one as {now}");
    }
    for change in changes.iter().flatten().filter(|change| change.is_worse) {
        println!("WORSE: {change}");
    }
    println!("report: {} and {}", html.display(), json.display());
    ensure!(report.is_valid, "the run is not valid: see above");
    Ok(())
}

/// A table for a terminal.
fn text(table: &Table) -> String {
    let rows = || std::iter::once(&table.head).chain(&table.rows);
    let cell = |row: &Vec<String>, at: usize| row.get(at).cloned().unwrap_or_default();
    let widths: Vec<usize> = (0..table.head.len())
        .map(|at| rows().map(|row| cell(row, at).chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = widths.iter().enumerate().map(|(at, width)| {
            let text = cell(row, at);
            if at == 0 { format!("{text:<width$}") } else { format!("{text:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let lines: Vec<String> = rows().map(line).collect();
    format!("\n{}\n{}\n", table.title, lines.join("\n"))
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// A length of time as people write it: `20s`, `2m`, `500ms`.
///
/// # Errors
/// Where it is none.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().map_err(|_| "write it like 20s or 2m".to_owned())?;
    match &text[end..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err("write it like 20s or 2m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!(length("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(length("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(length("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(length("7"), Ok(Duration::from_secs(7)));
        assert!(length("soon").is_err() && length("3h").is_err());
    }

    #[test]
    fn a_table_stands_in_columns() {
        let rows =
            vec![vec!["a".to_owned(), "10".to_owned()], vec!["bcd".to_owned(), "9".to_owned()]];
        let head = vec!["x".to_owned(), "n".to_owned()];
        let table = Table { title: "T".to_owned(), note: String::new(), head, rows };
        assert_eq!(text(&table), "\nT\nx     n\na    10\nbcd   9\n");
    }
}
