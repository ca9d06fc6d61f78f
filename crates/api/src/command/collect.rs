use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use jebi_db_optimizer::jobs::{self, Job};
use jebi_db_optimizer::{Author, Pool, accounts};
use jebi_domain::{JobId, JobState, SellerId, Wholesaler};
use jebi_work::{Extent, collect_job};
use serde_json::Value;

use super::account::{now, open};
use crate::import::progress;
use crate::products::chosen;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Whose catalogue.
    #[arg(long)]
    seller: String,
    /// From whom: ownerclan, zentrade, domeggook; once for each. Without: from all that the seller has accounts with.
    #[arg(long = "wholesaler", value_name = "WHOLESALER")]
    wholesalers: Vec<Wholesaler>,
    /// The first so many items of each account. Without: all of them, and what is missing is asked for and marked as gone.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    max_products: Option<u64>,
    /// Mark as gone what is missing, also where that is a large part of the catalogue: for when somebody has looked.
    #[arg(long, conflicts_with = "max_products")]
    accept_shrinking: bool,
    /// Do not wait for the end.
    #[arg(long)]
    detach: bool,
}

/// A job that nobody has taken for so long has nobody to do it.
const PATIENCE: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_millis(500);
/// Where there is no terminal, a line so often.
const LINE_EVERY: u32 = 20;

impl Options {
    /// Enqueues the job, which the service or its workers do: they keep to the wholesalers' rates. Shows how far it is.
    #[expect(clippy::print_stdout, reason = "the output of a command")]
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (pool, keys) = open(&self.seller).await?;
        let owner = keys.seller();
        let wanted = (!self.wholesalers.is_empty()).then_some(&*self.wholesalers);
        let accounts = chosen(accounts::list(&pool, owner).await?, wanted)
            .context("add one by `jebi account add`")?;
        let extent = Extent { most: self.max_products, accepts_shrinking: self.accept_shrinking };
        let (job, items) = collect_job(&accounts, extent);
        let author = Author { actor: "operator".to_owned(), request_id: None, at: now() };
        let transaction = pool.begin(owner).await?;
        let enqueued = jobs::enqueue(&transaction, owner, &job, &items, &author).await;
        let enqueued = transaction.settle(enqueued).await?;
        let job = enqueued.job;
        if !enqueued.is_new {
            bail!("another collection of {} is alive, job {job}; wait for its end", self.seller);
        }
        println!("job {job} is to be done");
        if self.detach {
            return Ok(());
        }
        let ended = follow(&pool, owner, enqueued.job).await?;
        let mut is_good = true;
        for told in ended.result.iter().filter_map(Value::as_object).flat_map(|all| all.values()) {
            println!("{}", line(told));
            is_good &= told["note"].is_null();
        }
        for failure in &ended.failures {
            println!("{}: {}", failure.item, failure.reason.as_deref().unwrap_or_default());
        }
        if ended.state != JobState::Done || ended.failed > 0 || !is_good {
            bail!(
                "not all was collected; what is said above tells why, and the rest is in the catalogue"
            );
        }
        Ok(())
    }
}

/// The job once it has ended.
#[expect(clippy::print_stdout, reason = "the output of a command")]
async fn follow(pool: &Pool, seller: SellerId, job: JobId) -> anyhow::Result<Job> {
    let bar = progress(0, "items");
    let is_terminal = std::io::stderr().is_terminal();
    let mut tick = tokio::time::interval(EVERY);
    let began = tokio::time::Instant::now();
    let mut is_told = false;
    for round in 0_u32.. {
        tick.tick().await;
        let found = jobs::find(pool, seller, job).await?.context("the job is gone")?;
        if found.state.is_ended() {
            bar.finish_and_clear();
            return Ok(found);
        }
        bar.set_length(found.total);
        bar.set_position(found.done);
        if !is_terminal && round % LINE_EVERY == LINE_EVERY - 1 {
            println!("{} of {} items", found.done, found.total);
        }
        if found.state == JobState::Queued && !is_told && began.elapsed() > PATIENCE {
            is_told = true;
            bar.suspend(|| {
                println!("no worker has taken it yet; see that `jebi serve` or `jebi worker` runs");
            });
        }
    }
    bail!("the job does not end")
}

/// What came of an account.
fn line(told: &Value) -> String {
    let count = |name: &str| told[name].as_u64().unwrap_or(0);
    let mut line = format!(
        "{}: {} items read, {} products new, {} changed, {} as they were",
        told["wholesaler"].as_str().unwrap_or("?"),
        count("read"),
        count("created"),
        count("changed"),
        count("unchanged"),
    );
    for (name, what) in [
        ("skipped", "not for sale"),
        ("rejected", "rejected"),
        ("gone", "gone"),
        ("listings_to_push", "listings to be told of it"),
    ] {
        if count(name) > 0 {
            line += &format!(", {} {what}", count(name));
        }
    }
    if let Some(reasons) = told["rejected_because"].as_object().filter(|all| !all.is_empty()) {
        let reasons = reasons.iter().map(|(reason, items)| format!("{items} × {reason}"));
        line += &format!(" ({})", reasons.collect::<Vec<_>>().join("; "));
    }
    if let Some(note) = told["note"].as_str() {
        line += &format!("; {note}");
    }
    line
}
