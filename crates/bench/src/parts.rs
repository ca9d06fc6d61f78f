//! What libraries measure of themselves, by the benches that stand beside their code.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::progress::say;
use crate::report::{Better, Figure, Place, Section, Table, Target};

/// Runs one of them to its end; what it printed.
fn bench(place: &Place, package: &str, name: &str) -> Result<String> {
    say(&format!("{package} is built and measured"));
    let mut command = Command::new("cargo");
    command.args(["bench", "-q", "--profile", &place.profile, "-p", package, "--bench", name]);
    command.envs(place.redis_url.as_ref().map(|url| ("REDIS_URL", url)));
    command.env("DATABASE_URL", place.server.url()).stderr(Stdio::inherit());
    let output = tokio::task::block_in_place(|| command.output()).context("cannot run cargo")?;
    ensure!(output.status.success(), "the bench {name} of {package} failed: it says why above");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[derive(Deserialize)]
struct Told {
    figures: Vec<ToldFigure>,
}

#[derive(Deserialize)]
struct ToldFigure {
    name: String,
    figure: f64,
    low: f64,
    high: f64,
    target: Option<String>,
    holds: Option<bool>,
}

/// What `jebi-cache` promises beside its peers, in the same run.
///
/// # Errors
/// Where its bench fails.
pub(crate) fn cache(place: &Place) -> Result<Section> {
    bench(place, "jebi-cache", "cache")?;
    let path = Path::new("target/bench/cache.json");
    let told = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let Told { figures: told } = serde_json::from_slice(&told).context("cache.json is another")?;
    let row = |one: &ToldFigure| {
        vec![
            one.name.clone(),
            format!("{:.3}", one.figure),
            format!("{:.3} to {:.3}", one.low, one.high),
            one.target.clone().unwrap_or_default(),
            one.holds.map_or("", |holds| if holds { "holds" } else { "missed" }).to_owned(),
        ]
    };
    let head = ["", "median", "quartiles", "target", ""].map(str::to_owned).to_vec();
    let rows = told.iter().map(row).collect();
    let note = "Times are ratios to a peer in the same run where the name says so.".to_owned();
    let table = Table { title: "jebi-cache".to_owned(), note, head, rows };
    // What it is to be at most is better lower.
    let better = |one: &ToldFigure| match &one.target {
        Some(target) if target.starts_with("<=") => Better::Lower,
        _ => Better::Higher,
    };
    let figure = |one: &ToldFigure| Figure {
        name: format!("cache/{}", one.name),
        value: one.figure,
        unit: String::new(),
        better: better(one),
        rounds: vec![one.low, one.high],
    };
    let target = |one: &ToldFigure| {
        Some(Target {
            name: format!("cache: {}", one.name),
            figure: one.figure,
            target: one.target.clone()?,
            holds: one.holds?,
            why: None,
        })
    };
    Ok(Section {
        name: "cache",
        title: "The cache".to_owned(),
        lead: "What `cargo bench -p jebi-cache` measures: each figure beside a peer, by turns in one run.".to_owned(),
        tables: vec![table],
        plots: vec![],
        figures: told.iter().filter(|one| one.target.is_some()).map(figure).collect(),
        targets: told.iter().filter_map(target).collect(),
        doubts: vec![],
        raw: json!(told.iter().map(|one| (&one.name, one.figure)).collect::<Vec<_>>()),
    })
}

/// What an item costs the batch engine, and what merging a page of a catalogue costs beside COPY.
///
/// # Errors
/// Where a bench fails.
pub(crate) fn batch(place: &Place) -> Result<Section> {
    let engine = bench(place, "jebi-batch", "engine")?;
    let merge = bench(place, "jebi-db-optimizer", "merge")?;
    let items: Vec<(String, f64)> = engine.lines().filter_map(item).collect();
    let merges: Vec<Merge> = merge.lines().filter_map(merged).collect();
    ensure!(
        !items.is_empty() && !merges.is_empty(),
        "the benches of batch print something else now"
    );
    let item_rows = items.iter().map(|(name, ns)| vec![name.clone(), format!("{ns:.0}")]).collect();
    let merge_row = |one: &Merge| {
        vec![
            one.name.clone(),
            format!("{:.0}", one.merge_ms),
            format!("{:.0}", one.copy_ms),
            one.share.map_or_else(String::new, |share| format!("{share:.2}")),
        ]
    };
    let tables = vec![
        Table {
            title: "The engine".to_owned(),
            note: "CPU time of the engine alone: the items themselves do nothing but wait once.".to_owned(),
            head: ["", "ns an item"].map(str::to_owned).to_vec(),
            rows: item_rows,
        },
        Table {
            title: "Merging a page of a catalogue".to_owned(),
            note: "Compared, staged and merged, beside COPY of the same rows into tables of the same shape.".to_owned(),
            head: ["", "merge ms", "COPY ms", "share of COPY's speed"].map(str::to_owned).to_vec(),
            rows: merges.iter().map(merge_row).collect(),
        },
    ];
    let lower = |name: String, value: f64, unit: &str| Figure {
        name,
        value,
        unit: unit.to_owned(),
        better: Better::Lower,
        rounds: vec![],
    };
    let mut figures: Vec<Figure> =
        items.iter().map(|(name, ns)| lower(format!("batch/engine, {name}"), *ns, "ns")).collect();
    figures.extend(
        merges.iter().map(|one| lower(format!("batch/merge, {}", one.name), one.merge_ms, "ms")),
    );
    Ok(Section {
        name: "batch",
        title: "Batches".to_owned(),
        lead:
            "What `cargo bench -p jebi-batch` and the bench `merge` of jebi-db-optimizer measure."
                .to_owned(),
        tables,
        plots: vec![],
        figures,
        targets: vec![],
        doubts: vec![],
        raw: json!({ "engine": engine, "merge": merge }),
    })
}

/// `parallel: 412 ns of CPU per item`.
fn item(line: &str) -> Option<(String, f64)> {
    let (name, rest) = line.rsplit_once(": ")?;
    Some((name.to_owned(), rest.strip_suffix(" ns of CPU per item")?.parse().ok()?))
}

struct Merge {
    name: String,
    merge_ms: f64,
    copy_ms: f64,
    share: Option<f64>,
}

/// `changed products, prices   90 ms   30 ms  0.33 [0.31, 0.35]`.
fn merged(line: &str) -> Option<Merge> {
    let (before, after) = line.split_once(" ms ")?;
    let (name, merge_ms) = before.trim().rsplit_once(' ')?;
    let (copy_ms, rest) = after.split_once(" ms")?;
    Some(Merge {
        name: name.trim().to_owned(),
        merge_ms: merge_ms.parse().ok()?,
        copy_ms: copy_ms.trim().parse().ok()?,
        share: rest.split_whitespace().next().and_then(|share| share.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_benches_print_is_read() {
        assert_eq!(
            item("parallel, in order: 412 ns of CPU per item"),
            Some(("parallel, in order".to_owned(), 412.0))
        );
        assert_eq!(item("running"), None);
        let line =
            "changed, one in seven                             90 ms     30 ms  0.33 [0.31, 0.35]";
        let merge = merged(line).unwrap();
        assert_eq!(
            (merge.name.as_str(), merge.merge_ms, merge.copy_ms),
            ("changed, one in seven", 90.0, 30.0)
        );
        assert_eq!(merge.share, Some(0.33));
        assert!(merged("10000 products, 5 turns; times are medians").is_none());
    }
}
