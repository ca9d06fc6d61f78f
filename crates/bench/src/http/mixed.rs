//! The mix of requests, of all variants by turns.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::Result;
use jebi_load::{Measured, Mix, Pace, Plan, run};
use serde::Serialize;
use serde_json::Value;

use super::Options;
use super::setup::{IN_MEMORY, Variant, World};
use crate::process;
use crate::progress::Steps;
use crate::served::Served;

/// What was taken while it went on.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Taken {
    /// CPU seconds of the service, less what it takes when it is not asked.
    pub(crate) service_cpu: Option<f64>,
    pub(crate) postgres_cpu: Option<f64>,
    /// That the database ran, less those of the service's own work.
    pub(crate) statements: Option<f64>,
    /// At the end, all processes together.
    pub(crate) resident_mb: Option<f64>,
}

/// A round of a variant.
#[derive(Serialize)]
pub(crate) struct Round {
    pub(crate) measured: Measured,
    pub(crate) taken: Taken,
}

/// All rounds of a variant.
pub(crate) struct Measurement {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) is_jebi: bool,
    pub(crate) rounds: Vec<Round>,
    /// All of them together.
    pub(crate) all: Measured,
    /// Answers a second when each user sends the next as soon as the last was answered.
    pub(crate) capacity: Vec<Measured>,
    /// The mix without writes, at the same pace.
    pub(crate) reads: Option<Measured>,
}

pub(crate) struct Mixed {
    pub(crate) variants: Vec<Measurement>,
    /// How long the stall was, where there was one.
    pub(crate) stall: Option<f64>,
}

impl Mixed {
    pub(crate) fn of(&self, name: &str) -> Option<&Measurement> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    pub(crate) fn raw(&self) -> Value {
        let variant = |one: &Measurement| serde_json::json!({ "name": one.name, "rounds": one.rounds, "all": one.all, "capacity": one.capacity, "reads_alone": one.reads });
        self.variants.iter().map(variant).collect()
    }
}

impl Measurement {
    /// A sum over all rounds, for each request that was answered.
    pub(crate) fn per_request(&self, of: impl Fn(&Taken) -> Option<f64>) -> Option<f64> {
        let sum: Option<f64> = self.rounds.iter().map(|round| of(&round.taken)).sum();
        let sent = self.all.counts.sent();
        sum.filter(|_| sent > 0).map(|sum| sum / sent as f64)
    }

    pub(crate) fn resident_mb(&self) -> Option<f64> {
        self.rounds.iter().filter_map(|round| round.taken.resident_mb).reduce(f64::max)
    }

    pub(crate) fn capacity_per_second(&self) -> Option<f64> {
        crate::report::median(&self.capacity.iter().map(Measured::per_second).collect::<Vec<_>>())
    }
}

/// What of a variant stands still or goes on by itself.
struct Meter<'a> {
    world: &'a World<'a>,
    variant: &'a Variant,
}

#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    service: Option<Duration>,
    postgres: Option<Duration>,
    statements: Option<u64>,
}

/// In a second, when nothing is asked.
#[derive(Clone, Copy, Default)]
struct Idle {
    service: f64,
    postgres: f64,
    statements: f64,
}

impl Meter<'_> {
    async fn read(&self) -> Reading {
        let service = self.variant.served.iter().map(|served| process::cpu(served.pid())).sum();
        let statements = match self.variant.database {
            Some(database) => self.world.server.statements(database).await,
            None => Some(0),
        };
        let postgres = self.world.server.cpu();
        Reading { at: Instant::now(), service, postgres, statements }
    }

    fn since(&self, before: Reading, now: Reading, idle: Idle) -> Taken {
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        let cpu = |now: Option<Duration>, before: Option<Duration>, idle: f64| {
            let took = now?.checked_sub(before?)?.as_secs_f64();
            Some((took - idle * seconds).max(0.0))
        };
        let statements = now.statements.zip(before.statements);
        let resident = self.variant.served.iter().map(|served| process::resident_mb(served.pid()));
        Taken {
            service_cpu: cpu(now.service, before.service, idle.service),
            postgres_cpu: cpu(now.postgres, before.postgres, idle.postgres),
            statements: statements.map(|(now, before)| {
                (now.saturating_sub(before) as f64 - idle.statements * seconds).max(0.0)
            }),
            resident_mb: resident.sum(),
        }
    }
}

/// So long nothing is asked, to see what goes on by itself.
const STILL: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks each variant in turn, round after round.
///
/// # Errors
/// Where nothing can be sent.
pub(crate) async fn measure(world: &World<'_>, options: &Options) -> Result<Mixed> {
    let seconds = options.duration / options.rounds;
    let plan =
        Plan { users: options.users, duration: seconds, pace: options.pace(), patience: PATIENCE };
    // As fast as it goes: in so many seconds comes what comes in a minute or two at the pace of the run.
    let closed =
        Plan { pace: Pace::Closed, duration: (seconds / 2).min(Duration::from_secs(10)), ..plan };
    let idle = stand_still(world).await;
    let mut variants: Vec<Measurement> = vec![];
    let jebi = world.variants.iter().filter(|variant| variant.is_jebi).count();
    let steps = world.variants.len() * (1 + 2 * options.rounds as usize) + jebi;
    let bar = Steps::new(steps);
    let mut number = 0_u32;
    let mut mix = |writes: u64| {
        number += 1;
        // Each run draws others: what was asked for last is not just what is asked for again.
        world.scenario.mix((options.seed + u64::from(number), &format!("bench-{number}")), writes)
    };
    for variant in &world.variants {
        bar.next(&format!("{}: warm", variant.label));
        send(&closed, variant, &mix(0))?;
    }
    for round in 0..options.rounds {
        for (at, variant) in world.variants.iter().enumerate() {
            bar.next(&format!("{}: round {} of {}", variant.label, round + 1, options.rounds));
            let meter = Meter { world, variant };
            let mix = mix(options.writes);
            let before = meter.read().await;
            let stall = options.stall.filter(|_| variant.name == IN_MEMORY && round == 0);
            let stalled = stall.map(|stall| stop_for(variant, (seconds / 2, stall)));
            let measured = send(&plan, variant, &mix)?;
            if let Some(stalled) = stalled {
                let _ = stalled.join();
            }
            let now = meter.read().await;
            let round = Round { taken: meter.since(before, now, idle[variant.name]), measured };
            match variants.get_mut(at) {
                Some(known) => {
                    known.all.merge(&round.measured);
                    known.rounds.push(round);
                }
                None => variants.push(Measurement {
                    name: variant.name,
                    label: variant.label,
                    is_jebi: variant.is_jebi,
                    all: round.measured.clone(),
                    rounds: vec![round],
                    capacity: vec![],
                    reads: None,
                }),
            }
        }
    }
    for (variant, known) in world.variants.iter().zip(&mut variants) {
        if variant.is_jebi {
            bar.next(&format!("{}: reads alone", variant.label));
            // What the writes of before have ended is asked for again first.
            send(&closed, variant, &mix(0))?;
            known.reads = Some(send(&plan, variant, &mix(0))?);
        }
    }
    for _ in 0..options.rounds {
        for (variant, known) in world.variants.iter().zip(&mut variants) {
            bar.next(&format!("{}: as much as it can", variant.label));
            known.capacity.push(send(&closed, variant, &mix(options.writes))?);
        }
    }
    drop(bar);
    Ok(Mixed { variants, stall: options.stall.map(|stall| stall.as_secs_f64()) })
}

async fn stand_still(world: &World<'_>) -> BTreeMap<&'static str, Idle> {
    let meters = || world.variants.iter().map(|variant| Meter { world, variant });
    let mut before = vec![];
    for meter in meters() {
        before.push(meter.read().await);
    }
    tokio::time::sleep(STILL).await;
    let mut idle = BTreeMap::new();
    for (meter, before) in meters().zip(before) {
        let now = meter.read().await;
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        let taken = meter.since(before, now, Idle::default());
        let rate = |sum: Option<f64>| sum.unwrap_or(0.0) / seconds;
        idle.insert(
            meter.variant.name,
            Idle {
                service: rate(taken.service_cpu),
                postgres: rate(taken.postgres_cpu),
                statements: rate(taken.statements),
            },
        );
    }
    idle
}

/// Sends to all processes of a variant, from a thread that may block.
pub(crate) fn send(plan: &Plan, variant: &Variant, mix: &Mix) -> Result<Measured> {
    let addresses: Vec<SocketAddr> = variant.served.iter().map(|served| served.address).collect();
    let sent = tokio::task::block_in_place(|| {
        // A runtime of its own, which inside another one has to be a thread's of its own.
        std::thread::scope(|threads| {
            threads.spawn(|| run(plan, &addresses, mix, |_| ControlFlow::Continue(()))).join()
        })
    });
    Ok(sent.map_err(|_| jebi_load::Unfit::BrokenOff)??)
}

/// Stops the processes of a variant after a while, and lets them go on after another.
fn stop_for(
    variant: &Variant,
    (after, stall): (Duration, Duration),
) -> std::thread::JoinHandle<()> {
    let pids: Vec<u32> = variant.served.iter().map(Served::pid).collect();
    std::thread::spawn(move || {
        for (signal, wait) in [("-STOP", after), ("-CONT", stall)] {
            std::thread::sleep(wait);
            for pid in &pids {
                let _ =
                    std::process::Command::new("kill").args([signal, &pid.to_string()]).status();
            }
        }
    })
}
