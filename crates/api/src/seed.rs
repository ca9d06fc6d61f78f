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
use jebi_domain::{MasterKey, SellerKeys};
use tokio::sync::{Mutex, mpsc};

use goods::Goods;
use trade::Trade;

use crate::import::{progress, store};

/// What is wanted.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Orders of all sellers together, with one to five lines each.
    #[arg(long, default_value_t = 0)]
    orders: u64,
    /// Products of all sellers together, which the orders' lines are of; each seller with orders has at least one.
    #[arg(long, default_value_t = 1_000)]
    products: u64,
    /// Whose they are; has to be there.
    #[arg(long, default_value = "demo")]
    seller: String,
    /// How many sellers share them. The second has half as many as the first, the third a third, and so on; they
    /// are called like the first with -2, -3 … behind, and added where they are missing.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    sellers: u32,
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
    let Options { orders, products, seller, sellers, seed, until } = options;
    ensure!(orders == 0 || products > 0, "orders need a product; ask for one with --products 1");
    let admin = Admin::connect(url).await.context("cannot connect to DATABASE_URL")?;
    let started = Instant::now();
    let mut made = Made::default();
    for (rank, (orders, products)) in
        (1..).zip(shares(orders, sellers).zip(shares(products, sellers)))
    {
        let found = if rank == 1 {
            sellers::find(&admin, &seller).await?.with_context(|| {
                format!("there is no seller {seller}; add them by `jebi seller add {seller}`")
            })?
        } else {
            sellers::add(&admin, &format!("{seller}-{rank}"), Utc::now()).await?
        };
        let keys = master_key.seller_keys(found.id, &found.key_salt);
        // A world of their own.
        let seed = seed.wrapping_add(rank - 1);
        let products = products.max(u64::from(orders > 0));
        let of_seller = World { orders, products, seed, until }.make(url, &keys).await?;
        made = Made {
            products: made.products + of_seller.products,
            stored: made.stored + of_seller.stored,
        };
    }
    let Made { products, stored: Stored { orders, lines, .. } } = made;
    let took = started.elapsed().as_secs_f64();
    println!("seeded {products} products and {orders} orders with {lines} lines in {took:.1} s");
    Ok(())
}

/// `total` cut into as many parts as there are sellers, the k-th one k-th of the first (Zipf's law); they add up.
fn shares(total: u64, sellers: u32) -> impl Iterator<Item = u64> {
    // In whole numbers, so that every machine makes the same.
    const FIRST: u128 = 1 << 48;
    let weights = (1..=u128::from(sellers)).map(|rank| FIRST / rank);
    let all: u128 = weights.clone().sum();
    let (mut weight_so_far, mut given) = (0, 0);
    weights.map(move |weight| {
        weight_so_far += weight;
        let upto = u128::from(total) * weight_so_far / all;
        let share = upto - given;
        given = upto;
        u64::try_from(share).unwrap_or(total)
    })
}

/// What came of it.
#[derive(Default)]
struct Made {
    products: u64,
    stored: Stored,
}

/// The products and orders of one seller.
struct World {
    orders: u64,
    products: u64,
    seed: u64,
    until: DateTime<Utc>,
}

impl World {
    async fn make(self, url: &str, keys: &SellerKeys) -> anyhow::Result<Made> {
        let Self { orders, products, seed, until } = self;
        let seller = keys.seller();
        let (mut first, mut second) =
            futures::try_join!(Loader::connect(url), Loader::connect(url))?;
        let accounts = first.accounts(seller).await?;

        let goods = Goods::new(seed, products, until);
        let bar = progress(products, "products");
        let mut new_products = 0;
        for from in (0..products).step_by(usize::try_from(BATCH)?) {
            let to = products.min(from + BATCH);
            let batch = (from..to).map(|index| goods.product(index, &accounts));
            let batch = batch.collect::<Result<Vec<_>, _>>()?;
            new_products += first.store_products(seller, &batch).await?;
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
            store(&mut first, keys, &waiting),
            store(&mut second, keys, &waiting)
        )?;
        making.await.context("the maker stopped")??;
        bar.finish_and_clear();
        first.fold_totals(seller).await?;
        Ok(Made { products: new_products, stored: one + other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_sellers_have_most() {
        assert_eq!(shares(1_100, 3).collect::<Vec<_>>(), [600, 300, 200]);
        assert_eq!(shares(7, 1).collect::<Vec<_>>(), [7]);
        let largest: u64 = shares(1_000_000, 1_000).take(10).sum();
        assert!((350_000..450_000).contains(&largest), "{largest}");
    }

    proptest! {
        #[test]
        fn shares_add_up(total in 0..u64::MAX / 2, sellers in 1..2_000_u32) {
            let shares: Vec<u64> = shares(total, sellers).collect();
            prop_assert_eq!(shares.len(), usize::try_from(sellers).unwrap());
            prop_assert_eq!(shares.iter().sum::<u64>(), total);
            prop_assert!(shares.windows(2).all(|pair| pair[0] + 1 >= pair[1]));
        }
    }
}
