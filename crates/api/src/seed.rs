//! `jebi seed`: products and orders that look like real ones, the same for the same seed, as many as wanted.

mod goods;
mod random;
mod trade;
mod words;

use std::time::Instant;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use jebi_db_optimizer::bulk::{Batch, Loader, Stored};
use jebi_db_optimizer::{Admin, sellers};
use jebi_domain::MasterKey;
use tokio::sync::{Mutex, mpsc};

use goods::Goods;
use trade::Trade;

use crate::import::{progress, store};

/// What is wanted.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Orders, with one to five lines each.
    #[arg(long, default_value_t = 0)]
    orders: u64,
    /// Products, which the orders' lines are of; at least one where there are orders.
    #[arg(long, default_value_t = 1_000)]
    products: u64,
    /// Whose they are; has to be there.
    #[arg(long, default_value = "demo")]
    seller: String,
    /// The same seed gives the same products and orders, and again adds nothing.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The newest order is of this time at the latest; orders go back two years from here.
    #[arg(long, default_value = "2026-11-01T00:00:00+09:00")]
    until: DateTime<Utc>,
}

/// Orders or products in one transaction.
const BATCH: u64 = 5_000;

/// Makes what is wanted.
///
/// # Errors
/// Where the database refuses or there is no such seller.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(crate) async fn run(url: &str, master_key: &MasterKey, options: Options) -> anyhow::Result<()> {
    let Options { orders, products, seller, seed, until } = options;
    ensure!(orders == 0 || products > 0, "orders need a product; ask for one with --products 1");
    let admin = Admin::connect(url).await.context("cannot connect to DATABASE_URL")?;
    let found = sellers::find(&admin, &seller).await?.with_context(|| {
        format!("there is no seller {seller}; add them by `jebi seller add {seller}`")
    })?;
    drop(admin);
    let keys = master_key.seller_keys(found.id, &found.key_salt);
    let (mut first, mut second) = futures::try_join!(Loader::connect(url), Loader::connect(url))?;
    let accounts = first.accounts(found.id).await?;

    let started = Instant::now();
    let goods = Goods::new(seed, products, until);
    let bar = progress(products, "products");
    let mut new_products = 0;
    for from in (0..products).step_by(usize::try_from(BATCH)?) {
        let to = products.min(from + BATCH);
        let batch = (from..to).map(|index| goods.product(index, &accounts));
        let batch = batch.collect::<Result<Vec<_>, _>>()?;
        new_products += first.store_products(found.id, &batch).await?;
        bar.inc(to - from);
    }
    bar.finish_and_clear();

    let bar = progress(orders, "orders");
    let trade = Trade::new(seed, goods, accounts, until);
    let (batches, waiting) = mpsc::channel(1);
    let counted = bar.clone();
    let making = tokio::task::spawn_blocking(move || {
        for from in (0..orders).step_by(usize::try_from(BATCH).unwrap_or(1)) {
            let to = orders.min(from + BATCH);
            let made = (from..to).map(|index| trade.order(index)).collect::<Result<_, _>>()?;
            if batches.blocking_send(Batch { orders: made, claims: vec![] }).is_err() {
                break;
            }
            counted.inc(to - from);
        }
        anyhow::Ok(())
    });
    let waiting = Mutex::new(waiting);
    let (one, other) = futures::try_join!(
        store(&mut first, &keys, &waiting),
        store(&mut second, &keys, &waiting)
    )?;
    making.await.context("the maker stopped")??;
    bar.finish_and_clear();
    first.fold_totals(found.id).await?;
    let Stored { orders, lines, .. } = one + other;
    let took = started.elapsed().as_secs_f64();
    println!(
        "seeded {new_products} products and {orders} orders with {lines} lines in {took:.1} s"
    );
    Ok(())
}
