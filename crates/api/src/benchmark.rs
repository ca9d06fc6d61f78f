//! The job that asks this process what sellers ask of it all day, within a budget, and measures the answers.
//!
//! It goes the way of every request, through a socket and with keys; only that the keys are this process's own, known to nobody
//! else and to no database, and that the run's budget takes the place of theirs.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jebi_db_optimizer::jobs::{NewItem, NewJob, Report};
use jebi_db_optimizer::{Pool, random, sellers};
use jebi_domain::{MasterKey, SellerId, api_key, api_key_digest};
use jebi_load::scenario::Scenario;
use jebi_load::{Counts, Measured, Mix, Pace, Plan, Progress, run};
use jebi_work::{Ended, Failure, Outcome, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::auth::Caller;

/// The kind of these jobs.
pub(crate) const BENCHMARK: &str = "benchmark";
/// Requests a second that a user sends: the guide's 280 of 100.
pub(crate) const PER_USER: f64 = 2.8;
/// Sellers on whose behalf is asked, those with most orders.
const SELLERS: u16 = 100;
/// Requests of a thousand that write, where any do.
const WRITES: u64 = 50;
/// A run that fails more often than this, after [`ENOUGH`] requests, is broken off: sellers come first.
const MOST_ERRORS: f64 = 0.05;
const ENOUGH: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// What is wanted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) seconds: u64,
    pub(crate) users: u64,
    /// The seller whose orders and products may be written to; where there is none, nothing is written.
    pub(crate) write_as: Option<SellerId>,
}

impl Wanted {
    pub(crate) fn per_second(self) -> f64 {
        self.users as f64 * PER_USER
    }
}

/// The keys of runs under way, by digest.
#[derive(Debug, Default)]
pub(crate) struct OwnKeys(RwLock<HashMap<[u8; 32], Arc<Caller>>>);

impl OwnKeys {
    /// Whose key has this digest, where it is one of these.
    pub(crate) fn find(&self, digest: &[u8; 32]) -> Option<Arc<Caller>> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(digest).map(Arc::clone)
    }

    fn lend(self: &Arc<Self>, callers: Vec<([u8; 32], Caller)>) -> Lent {
        let digests = callers.iter().map(|(digest, _)| *digest).collect();
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.extend(callers.into_iter().map(|(digest, caller)| (digest, Arc::new(caller))));
        Lent { digests, keys: Arc::clone(self) }
    }
}

/// Keys that are good as long as this lives.
struct Lent {
    digests: Vec<[u8; 32]>,
    keys: Arc<OwnKeys>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut keys = self.keys.0.write().unwrap_or_else(PoisonError::into_inner);
        for digest in &self.digests {
            keys.remove(digest);
        }
    }
}

/// A job for the installation, of one item. There is one alive at a time, whoever asks.
pub(crate) fn benchmark_job(wanted: Wanted) -> (NewJob<'static>, NewItem) {
    let job = NewJob { kind: BENCHMARK, account: None, parameters: json!(wanted), max_attempts: 1 };
    (job, NewItem { name: "requests".to_owned(), payload: Value::Null })
}

/// What a process measures itself with.
pub(crate) struct Benchmark {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    pub(crate) db: Pool,
    pub(crate) keys: Arc<OwnKeys>,
    pub(crate) master_key: Arc<MasterKey>,
}

impl Benchmark {
    /// Does such a job. A run that was broken off fails, with what it measured beside it.
    pub(crate) async fn run(&self, work: &Work) -> Result<Ended, Failure> {
        let wanted: Wanted =
            serde_json::from_value(work.claim.parameters.clone()).map_err(because)?;
        let (lent, keys) = self.lend(wanted).await?;
        let scenario = Scenario::survey(self.target(), &keys).await.map_err(because)?;
        let writes = if wanted.write_as.is_some() { WRITES } else { 0 };
        let job = work.claim.job;
        let mix = scenario.mix((1, &format!("benchmark-{job}")), writes);
        let (measured, is_broken_off) = self.measure(work, wanted, mix).await?;
        drop(lent);
        if work.stop().is_cancelled() {
            return Ok(vec![]);
        }
        let result = summary(wanted, scenario.sellers(), &measured);
        work.report(&Report::Progress(wanted.seconds, wanted.seconds)).await?;
        work.report(&Report::Result(result)).await?;
        let outcome = if is_broken_off {
            let why = "too many requests failed: the run was broken off to leave the service to its users";
            Outcome::Failed(why.to_owned())
        } else {
            Outcome::Done
        };
        Ok(work.open().into_iter().map(|number| (number, outcome.clone())).collect())
    }

    /// This process, as it is reached from here.
    fn target(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            std::net::IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }

    async fn lend(&self, wanted: Wanted) -> Result<(Lent, Vec<String>), Failure> {
        let sellers = match wanted.write_as {
            Some(seller) => sellers::of(&self.db, seller).await?.into_iter().collect(),
            None => sellers::largest(&self.db, SELLERS).await?,
        };
        let (mut callers, mut keys) = (vec![], vec![]);
        for seller in sellers {
            let key = api_key(random());
            let seller_keys = self.master_key.seller_keys(seller.id, &seller.key_salt);
            if let Some(digest) = api_key_digest(&key) {
                callers.push((
                    digest,
                    Caller::of_benchmark(digest, seller_keys, wanted.write_as.is_some()),
                ));
                keys.push(key);
            }
        }
        Ok((self.keys.lend(callers), keys))
    }

    /// Sends on threads of its own, and tells the job each second how far it is; what it measured, and whether it was broken
    /// off.
    async fn measure(
        &self,
        work: &Work,
        wanted: Wanted,
        mix: Mix,
    ) -> Result<(Measured, bool), Failure> {
        let plan = Plan {
            users: usize::try_from(wanted.users).unwrap_or(1),
            duration: Duration::from_secs(wanted.seconds),
            pace: Pace::Open { per_second: wanted.per_second() },
            patience: PATIENCE,
        };
        let latest = Arc::new(Mutex::new(None));
        let (is_unwanted, is_bad) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (address, told, stop) = (self.target(), Arc::clone(&latest), work.stop().clone());
        let (lost, bad) = (Arc::clone(&is_unwanted), Arc::clone(&is_bad));
        let sending = tokio::task::spawn_blocking(move || {
            run(&plan, &[address], &mix, |progress: Progress| {
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
                if is_too_bad(&progress.counts) {
                    bad.store(true, Relaxed);
                }
                if bad.load(Relaxed) || stop.is_cancelled() || lost.load(Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
        });
        let done = tokio::select! {
            done = sending => done,
            lost = tell(work, wanted, &latest) => {
                // What still sends ends by itself, soon.
                is_unwanted.store(true, Relaxed);
                return Err(lost.into());
            }
        };
        let measured = done.map_err(because)?.map_err(because)?;
        Ok((measured, is_bad.load(Relaxed)))
    }
}

fn because(error: impl std::fmt::Display) -> Failure {
    Failure::Because(error.to_string())
}

fn is_too_bad(counts: &Counts) -> bool {
    let sent = counts.sent();
    sent >= ENOUGH && counts.errors() as f64 > sent as f64 * MOST_ERRORS
}

/// What is kept of a run: enough to hold another against it.
fn summary(wanted: Wanted, sellers: usize, measured: &Measured) -> Value {
    json!({
        "figures": {
            "requests": measured.counts.sent(),
            "requests_per_second": measured.per_second(),
            "errors": measured.counts.errors(),
            "unsent": measured.unsent,
            "mean_ms": measured.latency.mean_ms(),
            "p50_ms": measured.latency.quantile_ms(0.5),
            "p99_ms": measured.latency.quantile_ms(0.99),
            "p999_ms": measured.latency.quantile_ms(0.999),
            "max_ms": measured.latency.max_ms(),
            "hit_rate": measured.counts.hit_rate(),
            "hit_p99_ms": measured.hits.quantile_ms(0.99),
            "miss_p99_ms": measured.misses.quantile_ms(0.99),
        },
        "seconds": measured.seconds,
        "sellers": sellers,
        "doubts": measured.doubts(),
        "kinds": measured.kinds,
        "wanted": wanted,
    })
}

/// Tells the job once a second how far it is, until it is somebody else's.
async fn tell(work: &Work, wanted: Wanted, latest: &Mutex<Option<Progress>>) -> jebi_work::Error {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let now = *latest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = now else { continue };
        let so_far = json!({ "so_far": {
            "requests": now.counts.sent(),
            "errors": now.counts.errors(),
            "p99_ms": now.p99_ms,
            "hit_rate": now.counts.hit_rate(),
        }, "wanted": wanted });
        let seconds = now.elapsed.as_secs().min(wanted.seconds);
        for report in [Report::Result(so_far), Report::Progress(seconds, wanted.seconds)] {
            match work.report(&report).await {
                Ok(()) => {}
                Err(jebi_work::Error::Lost) => return jebi_work::Error::Lost,
                // It is told the next time; the run goes on.
                Err(jebi_work::Error::Db(error)) => {
                    tracing::debug!("could not tell how far a run is: {error}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_broken_off_when_one_in_twenty_fails_and_not_before_it_is_known() {
        let is_bad = |failed, ok| is_too_bad(&Counts { failed, ok, ..Counts::default() });
        assert!(!is_bad(99, 0) && !is_bad(5, 95));
        assert!(is_bad(100, 0) && is_bad(6, 94));
    }

    #[test]
    fn keys_are_good_as_long_as_they_are_lent() {
        let keys = Arc::new(OwnKeys::default());
        let digest = [7; 32];
        let master = MasterKey::from_hex(&"0".repeat(64)).expect("64 digits are a key");
        let seller = master.seller_keys(SellerId::INSTALLATION, b"salt");
        let lent = keys.lend(vec![(digest, Caller::of_benchmark(digest, seller, false))]);
        assert!(keys.find(&digest).is_some() && keys.find(&[8; 32]).is_none());
        drop(lent);
        assert!(keys.find(&digest).is_none());
    }
}
