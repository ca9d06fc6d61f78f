//! The data, and the programs that are measured.

use anyhow::{Context as _, Result};
use jebi_load::scenario::Scenario;

use super::{Options, limit};
use crate::database::{self, Server};
use crate::progress::say;
use crate::report::Place;
use crate::served::Served;
use crate::starter::{SELLER, Starter};

/// A way to answer that is measured.
pub(crate) struct Variant {
    /// In figures.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) label: &'static str,
    /// Its processes.
    pub(crate) served: Vec<Served>,
    /// Its copy of the data.
    pub(crate) database: Option<&'static str>,
    /// Whether it is Jebi.
    pub(crate) is_jebi: bool,
}

/// All that stands while a run goes on.
pub(crate) struct World<'a> {
    pub(crate) server: &'a Server,
    pub(crate) variants: Vec<Variant>,
    pub(crate) scenario: Scenario,
    /// Of the seller with most.
    pub(crate) key: String,
    pub(crate) starter: Starter<'a>,
}

const SEED: &str = "jebi_bench";
pub(crate) const NO_CACHE: &str = "no cache";
pub(crate) const IN_MEMORY: &str = "memory";
pub(crate) const LIMIT: &str = "limit";
pub(crate) const BASELINE: &str = "baseline";

/// Name, label, copy of the data, whether it caches, the number of its Redis database if any, processes.
type Jebi = (&'static str, &'static str, &'static str, bool, Option<u8>, usize);
const JEBI: [Jebi; 4] = [
    (NO_CACHE, "Jebi, no cache", "jebi_bench_no_cache", false, None, 1),
    (IN_MEMORY, "Jebi, memory", "jebi_bench_memory", true, None, 1),
    ("redis", "Jebi, memory and Redis", "jebi_bench_redis", true, Some(1), 1),
    ("two processes", "Jebi, two processes", "jebi_bench_two", true, Some(2), 2),
];
const BASELINE_DATABASE: &str = "jebi_bench_baseline";

impl<'a> World<'a> {
    /// Fills a database, copies it for each variant, and starts them all.
    ///
    /// # Errors
    /// Where one of the steps fails.
    pub(crate) async fn make(place: &'a Place, options: &Options) -> Result<Self> {
        let server = &place.server;
        let mut starter = Starter::new(place)?;

        say(&format!("{} orders of {} sellers are made", options.orders, options.sellers));
        let url = server.create(SEED).await?;
        starter.run(&url, &["migrate"])?;
        let key = starter.key(&url, SELLER)?;
        let (orders, products) = (options.orders.to_string(), options.products.to_string());
        let sellers = options.sellers.to_string();
        let amounts = ["--orders", &orders, "--products", &products, "--sellers", &sellers];
        let now = chrono::Utc::now().to_rfc3339();
        let whose = ["--seller", SELLER, "--until", &now];
        starter.run(&url, &[&["seed"], &amounts[..], &whose].concat())?;
        // Who asks: as many as there are users at most.
        let mut keys = vec![key.clone()];
        for rank in 2..=options.sellers.min(100) {
            keys.push(starter.key(&url, &format!("{SELLER}-{rank}"))?);
        }
        database::connect(&url).await?.batch_execute("VACUUM ANALYZE").await?;
        let stripped = server.copy(SEED, BASELINE_DATABASE).await?;
        let dropped = database::strip(&stripped).await?;
        say(&format!("the baseline does without {dropped} indexes"));
        starter.run(&url, &["optimize", "--level", "moderate"])?;
        database::connect(&url).await?.batch_execute("VACUUM ANALYZE").await?;

        say("the variants start");
        let prefix = starter.prefix().to_owned();
        let baseline = starter.own(&["baseline"], Some(BASELINE_DATABASE), None)?;
        let mut variants = vec![Variant {
            name: BASELINE,
            label: "Baseline: N+1, no index, no cache",
            served: vec![baseline],
            database: Some(BASELINE_DATABASE),
            is_jebi: false,
        }];
        for (name, label, database, caches, redis, processes) in JEBI {
            let redis = match redis {
                Some(number) => match &place.redis_url {
                    Some(url) => Some(numbered(url, number)),
                    None => continue,
                },
                None => None,
            };
            server.copy(SEED, database).await?;
            let mut settings = vec![];
            if let Some(url) = &redis {
                settings.push(("REDIS_URL", url.as_str()));
                // Nothing of a run of before is found there.
                settings.push(("JEBI_REDIS_PREFIX", &prefix));
            }
            if !caches {
                // Nothing is so small.
                settings.push(("JEBI_CACHE_MAX_BYTES", "1"));
            }
            let start = |_| starter.serve(database, &settings, None);
            let served = (0..processes).map(start).collect::<Result<_>>()?;
            variants.push(Variant { name, label, served, database: Some(database), is_jebi: true });
        }
        let plain = variants.iter().find(|variant| variant.name == NO_CACHE);
        let address = plain.context("there is no variant without cache")?.served[0].address;
        let scenario = Scenario::survey(address, &keys).await?;
        // What the first page of orders is, as a browser gets it.
        let body = limit::body(address, &key, &[("accept-encoding", "gzip")]).await?;
        let constant = starter.constant(("page", &body), &[], None)?;
        variants.push(Variant {
            name: LIMIT,
            label: "Limit: the same bytes, constant",
            served: vec![constant],
            database: None,
            is_jebi: false,
        });
        Ok(Self { server, variants, scenario, key, starter })
    }

    pub(crate) fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    /// Takes down what was set up.
    ///
    /// # Errors
    /// Where a database cannot be dropped.
    pub(crate) async fn end(self, place: &Place) -> Result<()> {
        let databases: Vec<&str> = self.variants.iter().filter_map(|one| one.database).collect();
        drop(self.variants);
        for database in databases.into_iter().chain([SEED]) {
            place.server.drop(database).await?;
        }
        Ok(())
    }
}

fn numbered(redis_url: &str, number: u8) -> String {
    let end = redis_url.find("://").map_or(0, |at| at + 3);
    let host = redis_url[end..].find('/').map_or(redis_url.len(), |at| end + at);
    format!("{}/{number}", &redis_url[..host])
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_redis_has_numbered_databases() {
        assert_eq!(super::numbered("redis://:p@h:1/0", 2), "redis://:p@h:1/2");
        assert_eq!(super::numbered("redis://h:1", 2), "redis://h:1/2");
    }
}
