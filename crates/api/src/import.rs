//! `jebi import`: a file of order lines becomes orders, claims, products and price history.
//!
//! The file is read twice. The first reading learns which row is the last of each invoice, so that the
//! second can hand over each invoice whole as soon as it is, and keep only the open ones in memory.

mod invoice;
mod retail;
mod survey;

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jebi_db_optimizer::bulk::{Batch, Loader, Stored};
use jebi_db_optimizer::{Admin, sellers};
use jebi_domain::{MasterKey, SellerKeys};
use tokio::sync::{Mutex, mpsc};

use invoice::Invoices;
use retail::Rows;
use survey::Survey;

/// Where the orders go.
pub(crate) struct Into {
    pub(crate) database_url: String,
    pub(crate) master_key: MasterKey,
    pub(crate) seller: String,
}

/// Lines in one transaction: enough to make its beginning and end cheap, and small in memory.
const BATCH_LINES: usize = 20_000;

/// Imports a file and prints what came of it.
///
/// # Errors
/// Where the file is none of orders, where the database refuses, and, once all else is imported, where
/// rows were broken.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(crate) async fn run(file: &Path, into: Into, compare_with_copy: bool) -> anyhow::Result<()> {
    let admin =
        Admin::connect(&into.database_url).await.context("cannot connect to DATABASE_URL")?;
    let seller = sellers::find(&admin, &into.seller).await?.with_context(|| {
        format!("there is no seller {0}; add them by `jebi seller add {0}`", into.seller)
    })?;
    drop(admin);
    let keys = into.master_key.seller_keys(seller.id, &seller.key_salt);
    let (mut first, mut second) = futures::try_join!(
        Loader::connect(&into.database_url),
        Loader::connect(&into.database_url)
    )?;
    let account = first.own_shop(seller.id).await?;

    let started = Instant::now();
    let survey = Survey::of(open(file)?)?;
    let bar = progress(survey.rows, "rows");
    let products = first.add_products(seller.id, retail::CURRENCY, &survey.products()).await?;
    let (batches, waiting) = mpsc::channel(1);
    let invoices = Invoices::new(account, products, survey.last_rows);
    let (rows, counted) = (open(file)?, bar.clone());
    // One core reads and parses while PostgreSQL stores on two connections.
    let reading = tokio::task::spawn_blocking(move || {
        invoices.read(rows, BATCH_LINES, &counted, |batch| batches.blocking_send(batch).is_ok())
    });
    let waiting = Mutex::new(waiting);
    let (one, other) = futures::try_join!(
        store(&mut first, &keys, &waiting),
        store(&mut second, &keys, &waiting),
    )?;
    let stored = one + other;
    let (first_prices, report) = reading.await.context("the reader stopped")??;
    first.set_first_prices(seller.id, &first_prices).await?;
    first.fold_totals(seller.id).await?;
    let took = started.elapsed();
    bar.finish_and_clear();

    println!(
        "imported {} orders with {} lines and {} claims in {:.1} s; {} orders and {} claims were there \
         already",
        stored.orders,
        stored.lines,
        stored.claims,
        took.as_secs_f64(),
        report.orders - stored.orders,
        report.claims - stored.claims,
    );
    for rounded in &report.rounded {
        println!("rounded {rounded}");
    }
    if compare_with_copy {
        let bare = first.copy_again(seller.id).await?;
        println!(
            "bare COPY of the same rows took {:.1} s: the import runs at {:.2} of its speed",
            bare.as_secs_f64(),
            ratio(bare, took),
        );
    }
    if report.broken > 0 {
        bail!(
            "{} of {} rows could not be imported; each is named above, all others are imported",
            report.broken,
            survey.rows
        );
    }
    Ok(())
}

fn ratio(bare: Duration, import: Duration) -> f64 {
    bare.as_secs_f64() / import.as_secs_f64()
}

/// Stores batches until there are no more.
pub(crate) async fn store(
    loader: &mut Loader,
    keys: &SellerKeys,
    waiting: &Mutex<mpsc::Receiver<Batch>>,
) -> anyhow::Result<Stored> {
    let mut all = Stored::default();
    loop {
        // Held while waiting only: the other connection takes the next one.
        let batch = waiting.lock().await.recv().await;
        let Some(batch) = batch else { return Ok(all) };
        all = all + loader.store(keys, &batch).await?;
    }
}

/// The rows of a file, unpacked where its name ends in `.zst`.
fn open(file: &Path) -> anyhow::Result<Rows> {
    let name = file.display();
    let raw = File::open(file).with_context(|| format!("cannot read {name}"))?;
    let text: Box<dyn BufRead + Send> = if file.extension().is_some_and(|end| end == "zst") {
        let unpacked = zstd::Decoder::new(raw).with_context(|| format!("cannot unpack {name}"))?;
        Box::new(BufReader::with_capacity(1 << 16, unpacked))
    } else {
        Box::new(BufReader::new(raw))
    };
    Rows::of(text).with_context(|| format!("{name} is not a CSV file of orders"))
}

/// A bar on a terminal, nothing elsewhere.
pub(crate) fn progress(count: u64, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::hidden());
    }
    let template = format!("{{wide_bar}} {{human_pos}} of {{human_len}} {what}, {{eta}} left");
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(count).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
