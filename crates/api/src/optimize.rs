//! `jebi optimize`: the indexes of the database, and the page that shows what became of them.

mod page;

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use jebi_db_optimizer::optimize::{
    Catalogue, Level, Options as RunOptions, Progress, Report, Watcher, optimize, roll_back, runs,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::serve::stop_signal;

/// What is wanted.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How much may be spent on writing for the sake of reading: conservative, moderate or aggressive.
    #[arg(long, default_value = "moderate")]
    level: Level,
    /// Change nothing; print the SQL, or `up to date`.
    #[arg(long)]
    dry_run: bool,
    /// Write what was measured to this file, a page for a browser that needs no network, and beside it as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Take back what a run changed.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["dry_run", "report", "runs"])]
    rollback: Option<Uuid>,
    /// List the runs that changed something.
    #[arg(long, conflicts_with_all = ["dry_run", "report"])]
    runs: bool,
    /// Wait at most so many seconds for others: for who holds a lock or an old snapshot, and for a server that went away.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    patience: u64,
}

/// Does it. SIGTERM and Ctrl-C end it with nothing half-built.
///
/// # Errors
/// What could not be done, one sentence for each.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(crate) async fn run(url: &str, options: Options) -> anyhow::Result<()> {
    if options.runs {
        return list(url).await;
    }
    let files = options.report.as_deref().map(Files::create).transpose()?;
    let stop = CancellationToken::new();
    let signal = stop_signal()?;
    tokio::spawn({
        let stop = stop.clone();
        async move {
            signal.await;
            stop.cancel();
        }
    });
    let how = RunOptions {
        is_dry_run: options.dry_run,
        is_measured: options.report.is_some(),
        patience: Duration::from_secs(options.patience),
        ..RunOptions::new(options.level)
    };
    let (watcher, bar) = watcher();
    if let Some(run) = options.rollback {
        let done = roll_back(url, run, &how, &watcher, &stop).await;
        bar.finish_and_clear();
        for line in done? {
            println!("{line}");
        }
        println!("run {run} is taken back");
        return Ok(());
    }
    let report = optimize(url, &Catalogue::of_jebi(), &how, &watcher, &stop).await;
    bar.finish_and_clear();
    let report = report?;
    print!("{report}");
    if let Some(files) = files {
        println!("{}", files.write(&report)?);
    }
    if report.failures.is_empty() { Ok(()) } else { bail!("{}", report.failures.join("; ")) }
}

#[expect(clippy::print_stdout, reason = "the output of a command")]
async fn list(url: &str) -> anyhow::Result<()> {
    let runs = runs(url).await?;
    for run in &runs {
        let state = match (run.taken_back_at, run.ended_at) {
            (Some(_), _) => "taken back",
            (None, Some(_)) => "done",
            (None, None) => "killed or at work",
        };
        let (id, level, actor, changes) = (run.id, &run.level, &run.actor, run.changes);
        let began = run.began_at.format("%F %T");
        println!("{id}  {began} UTC  {level}  by {actor}  {changes} changes  {state}");
    }
    if runs.is_empty() {
        println!("no run has changed anything");
    }
    Ok(())
}

/// Shows what goes on: a bar on a terminal, a line for each step elsewhere.
fn watcher() -> (Watcher, ProgressBar) {
    let is_terminal = std::io::stderr().is_terminal();
    let bar = if is_terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.enable_steady_tick(Duration::from_millis(100));
    let said = Mutex::new(String::new());
    let shown = bar.clone();
    let watcher: Watcher = Arc::new(move |progress| {
        let line = progress.to_string();
        shown.set_message(line.clone());
        let is_worth_a_line = matches!(progress, Progress::Step { .. } | Progress::Waiting { .. });
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_terminal && is_worth_a_line && *said != line {
            tracing::info!("{line}");
            *said = line;
        }
    });
    (watcher, bar)
}

/// The files of a report, made before the run: a path that cannot be written to is known before anything is changed.
struct Files {
    page: (File, PathBuf),
    json: (File, PathBuf),
}

impl Files {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let create = |path: PathBuf| {
            File::create(&path).map(|file| (file, path.clone())).with_context(|| {
                format!("cannot write {}; give --report a file that can be written", path.display())
            })
        };
        let json = path.with_extension("json");
        if json == path {
            bail!("--report names the page, which is HTML; its JSON is written beside it");
        }
        Ok(Self { page: create(path.to_owned())?, json: create(json)? })
    }

    fn write(mut self, report: &Report) -> anyhow::Result<String> {
        let page = page::page(report).into_string();
        self.page.0.write_all(page.as_bytes()).context("cannot write the report")?;
        serde_json::to_writer_pretty(&mut self.json.0, report)
            .context("cannot write the report")?;
        Ok(format!("report: {} and {}", self.page.1.display(), self.json.1.display()))
    }
}
