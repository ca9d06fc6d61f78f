use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use crate::client::Connection;
use crate::generator::{Generator, thread_cpu, watch_the_clock};
use crate::measured::{Counts, Latency, Measured, When};
use crate::plan::{Pace, Plan, Unfit};
use crate::request::Mix;

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// From its beginning.
    pub elapsed: Duration,
    /// What has come of its requests so far.
    pub counts: Counts,
    /// So far.
    pub p99_ms: Option<f64>,
}

/// What was not sent when its time was over is still sent for so long.
const GRACE: Duration = Duration::from_secs(1);
/// Who has something to send so soon is connected before the first request is due. No longer: a server closes connections on which
/// nothing comes.
const SOON: Duration = Duration::from_secs(2);
/// How often who watches is told.
const EVERY: Duration = Duration::from_millis(500);

/// Sends what the plan says, the users spread over the addresses, and returns when all answers have come. Takes the calling
/// thread, which inside a runtime is to be one that may block, and two more that sleep most of the time. `watch` is told now
/// and then how far it is, and may end it.
///
/// # Errors
/// [`Unfit`]: nothing was sent.
pub fn run(
    plan: &Plan,
    addresses: &[SocketAddr],
    mix: &Mix,
    mut watch: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Measured, Unfit> {
    if plan.is_empty() || addresses.is_empty() || mix.is_empty() {
        return Err(Unfit::Empty);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (is_over, is_stopped) = (AtomicBool::new(false), AtomicBool::new(false));
    // A permit is a request whose time has come.
    let due = Semaphore::new(0);
    let connections = runtime.block_on(connect(plan, addresses));
    let began = Instant::now();
    std::thread::scope(|threads| {
        let clock = threads.spawn(|| watch_the_clock(|| is_over.load(Relaxed)));
        let pacer = threads.spawn(|| release(plan, &due, began, &is_stopped));
        let cpu = thread_cpu();
        let load = Load { plan, mix, due: &due, began, is_stopped: &is_stopped };
        let mut measured = runtime.block_on(load.drive(connections, &mut watch));
        let busy = thread_cpu().zip(cpu).map(|(now, then)| now.saturating_sub(then));
        measured.seconds = began.elapsed().as_secs_f64();
        is_over.store(true, Relaxed);
        is_stopped.store(true, Relaxed);
        let held_up = clock.join().map_err(|_| Unfit::BrokenOff)?;
        let lateness = pacer.join().map_err(|_| Unfit::BrokenOff)?;
        measured.generator = Generator::new(lateness, (busy, held_up), measured.seconds);
        Ok(measured)
    })
}

/// A connection for each user. One that cannot be opened now is tried again when it is used, and counts then.
async fn connect(plan: &Plan, addresses: &[SocketAddr]) -> Vec<Connection> {
    let soon = match plan.pace {
        Pace::Open { per_second } => per_second * SOON.as_secs_f64(),
        Pace::Closed => f64::INFINITY,
    };
    let connections = (0..plan.users).map(async |user| {
        let mut connection = Connection::new(addresses[user % addresses.len()], plan.patience);
        if (user as f64) < soon {
            let _ = tokio::time::timeout(plan.patience, connection.connect()).await;
        }
        connection
    });
    join_all(connections).await
}

/// Requests that are due within less of each other are given free together: to sleep and to wake costs more than to send.
const GRAIN: Duration = Duration::from_micros(200);

/// Gives each request free at its time, and measures how late that is. A thread of its own: the runtime's timers are as
/// coarse as a millisecond, which is more than an answer from memory takes.
fn release(plan: &Plan, due: &Semaphore, began: Instant, is_stopped: &AtomicBool) -> Latency {
    let mut lateness = Latency::default();
    let slots = plan.slots().unwrap_or(0);
    let at = |slot| began + plan.intended(slot).unwrap_or_default();
    let mut slot = 0;
    while slot < slots {
        let wait = at(slot).saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait.max(GRAIN));
        }
        if is_stopped.load(Relaxed) {
            break;
        }
        let (now, first) = (Instant::now(), slot);
        while slot < slots && at(slot) <= now {
            lateness.record(now - at(slot));
            slot += 1;
        }
        due.add_permits(usize::try_from(slot - first).unwrap_or(0));
    }
    lateness
}

struct Load<'a> {
    plan: &'a Plan,
    mix: &'a Mix,
    due: &'a Semaphore,
    began: Instant,
    is_stopped: &'a AtomicBool,
}

impl Load<'_> {
    async fn drive(
        &self,
        connections: Vec<Connection>,
        watch: &mut impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Measured {
        let measured = RefCell::new(Measured::new(&self.mix.kinds));
        // The next request that nobody has taken.
        let next = Cell::new(0);
        let user = |connection| self.user(connection, &next, &measured);
        let mut users: FuturesUnordered<_> = connections.into_iter().map(user).collect();
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                more = users.next() => match more {
                    Some(()) => continue,
                    None => break,
                },
                _ = tick.tick() => {}
            }
            let elapsed = self.began.elapsed();
            let progress = {
                let measured = measured.borrow();
                let p99_ms = measured.latency.quantile_ms(0.99);
                Progress { elapsed, counts: measured.counts, p99_ms }
            };
            if watch(progress).is_break() {
                self.is_stopped.store(true, Relaxed);
            }
            if self.is_stopped.load(Relaxed) || elapsed > self.plan.duration + GRACE {
                self.due.close();
            }
        }
        drop(users);
        let mut measured = measured.into_inner();
        measured.intended = next.get() + self.due.available_permits() as u64;
        for slot in next.get()..measured.intended {
            let intended = self.plan.intended(slot).unwrap_or_default();
            measured.note_unsent(self.began.elapsed().saturating_sub(intended));
        }
        measured
    }

    /// Sends what is next, one after the other, until there is no more.
    async fn user(
        &self,
        mut connection: Connection,
        next: &Cell<u64>,
        measured: &RefCell<Measured>,
    ) {
        let mut bytes = vec![];
        while let Some((slot, intended)) = self.take(next).await {
            let request = self.mix.at(slot);
            request.write(slot, &mut bytes);
            let sent = self.began.elapsed();
            let done = connection.exchange(&bytes, |_| {}).await;
            let when = When { intended, sent, ended: self.began.elapsed() };
            measured.borrow_mut().note(request.kind, &done, when);
        }
    }

    /// The next request, and when it is to be sent, once it is.
    async fn take(&self, next: &Cell<u64>) -> Option<(u64, Duration)> {
        let slot = |next: &Cell<u64>| next.replace(next.get() + 1);
        let Some(slots) = self.plan.slots() else {
            let now = self.began.elapsed();
            let is_over = now >= self.plan.duration || self.is_stopped.load(Relaxed);
            return (!is_over).then(|| (slot(next), now));
        };
        if next.get() >= slots {
            return None;
        }
        self.due.acquire().await.ok()?.forget();
        let slot = slot(next);
        if slot + 1 == slots {
            // Nothing more will come for those who wait.
            self.due.close();
        }
        Some((slot, self.plan.intended(slot)?))
    }
}
