//! Ten times as much as the service can do: what it still does, how it says no, and when it is well again.

use std::ops::Deref;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jebi_load::{Measured, Mix, Pace, Plan};
use serde::Serialize;
use serde_json::Value;

use super::Options;
use super::mixed::{Measurement, Mixed, send};
use super::setup::{NO_CACHE, Variant, World};
use crate::process;
use crate::progress::Steps;

pub(crate) const TIMES: f64 = 10.0;
/// Enough that a slow answer keeps nobody from sending.
const USERS: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Overload {
    /// Answers a second of the most that was asked for before.
    pub(crate) peak: f64,
    pub(crate) normal: Phase,
    pub(crate) over: Phase,
    pub(crate) after: Phase,
}

/// So many requests, and who was busy with them.
#[derive(Serialize)]
pub(crate) struct Phase {
    #[serde(flatten)]
    pub(crate) measured: Measured,
    /// Unknown where the kernel does not tell.
    pub(crate) cores: Option<Cores>,
}

/// How many cores each kept busy, in the mean.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cores {
    pub(crate) generator: f64,
    pub(crate) service: f64,
    pub(crate) postgres: f64,
}

impl Deref for Phase {
    type Target = Measured;

    fn deref(&self) -> &Measured {
        &self.measured
    }
}

impl Phase {
    fn of(world: &World<'_>, variant: &Variant, plan: &Plan, mix: &Mix) -> Result<Self> {
        let read = || {
            let service = variant.served.iter().map(|served| process::cpu(served.pid()));
            let generator = process::cpu(std::process::id())?;
            Some([generator, service.sum::<Option<Duration>>()?, world.server.cpu()?])
        };
        let before = read();
        let measured = send(plan, variant, mix)?;
        let cores = before.zip(read()).map(|(before, now)| {
            let of =
                |at: usize| now[at].saturating_sub(before[at]).as_secs_f64() / measured.seconds;
            Cores { generator: of(0), service: of(1), postgres: of(2) }
        });
        Ok(Self { measured, cores })
    }
}

impl Overload {
    pub(crate) fn goodput(&self) -> f64 {
        self.over.per_second() / self.peak
    }

    /// Of those answered under overload, beside before.
    pub(crate) fn p99_times(&self) -> Option<f64> {
        let p99 = |phase: &Phase| phase.latency.quantile_ms(0.99);
        Some(p99(&self.over)? / p99(&self.normal)?)
    }

    /// Seconds after the overload until a whole second passed without an error and with nothing slower than thrice the p99 of
    /// before, which counts as 5 ms where it was less.
    pub(crate) fn recovered_after(&self) -> Option<usize> {
        let normal = self.normal.latency.quantile_ms(0.99)?;
        self.after.by_second.iter().position(|second| {
            second.errors == 0
                && second.ok > 0
                && second.longest_us as f64 / 1e3 <= 3.0 * normal.max(5.0)
        })
    }

    pub(crate) fn raw(&self) -> Value {
        serde_json::json!({ "peak_per_second": self.peak, "normal": self.normal, "over": self.over, "after": self.after })
    }
}

/// Half of what it can do, then ten times of it, then half again.
///
/// # Errors
/// Where nothing can be sent.
pub(crate) fn measure(world: &World<'_>, options: &Options, mixed: &Mixed) -> Result<Overload> {
    let variant = world.variant(NO_CACHE).context("there is no variant without cache")?;
    let known = mixed.of(NO_CACHE).and_then(Measurement::capacity_per_second);
    let peak = known.context("it is not known what the service can do")?;
    let at = |times: f64, seconds: Duration| Plan {
        users: USERS,
        duration: seconds,
        pace: Pace::Open { per_second: peak * times },
        patience: PATIENCE,
    };
    let mix = |number: u64| {
        world
            .scenario
            .mix((options.seed + 1_000 + number, &format!("over-{number}")), options.writes)
    };
    let length = options.duration.min(Duration::from_secs(10));
    let phase = |plan: &Plan, mix: &Mix| Phase::of(world, variant, plan, mix);
    let bar = Steps::new(3);
    bar.next("half of what it can do");
    let normal = phase(&at(0.5, length), &mix(0))?;
    bar.next("ten times what it can do");
    let over = phase(&at(TIMES, length), &mix(1))?;
    bar.next("half of it again");
    let after = phase(&at(0.5, length), &mix(2))?;
    Ok(Overload { peak, normal, over, after })
}
