mod beat;
mod one;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jebi_db_optimizer::jobs::{self, Claim, Offer};
use jebi_db_optimizer::{Error as DbError, Pool, random};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backoff::delay;
use crate::config::Config;
use crate::kind::Kinds;
use crate::work::Work;

/// Tells the runners of this process that there may be work, so that they need not wait for their next look.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Mutex<Vec<Arc<Notify>>>>);

impl Wake {
    /// To be called after a job was committed.
    pub fn wake(&self) {
        self.runners().iter().for_each(|runner| runner.notify_one());
    }

    /// What a runner waits for.
    fn runner(&self) -> Arc<Notify> {
        let runner = Arc::<Notify>::default();
        self.runners().push(Arc::clone(&runner));
        runner
    }

    fn runners(&self) -> MutexGuard<'_, Vec<Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Claims work and has it done.
pub struct Runner {
    shared: Arc<Shared>,
    /// Each claim that is worked on has one.
    slots: Arc<Semaphore>,
    /// Of the items that may have killed their worker, one is tried at a time: two that died together are not taken for
    /// guilty both.
    suspects: Arc<Semaphore>,
    wake: Arc<Notify>,
    tasks: JoinSet<()>,
}

/// What the claims that are worked on share.
struct Shared {
    db: Pool,
    kinds: Kinds,
    config: Config,
    /// This runner among those of all processes.
    worker: Uuid,
    running: Mutex<HashMap<Uuid, Arc<Work>>>,
    /// Handlers that did not end in time are aborted.
    abort: CancellationToken,
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Work>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait after failures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delays {
    first: Duration,
    most: Duration,
}

impl Delays {
    pub(crate) fn after(self, failures: i32) -> Duration {
        let random = f64::from(u32::from_le_bytes(random())) / f64::from(u32::MAX);
        delay(self.first, self.most, failures, random)
    }
}

impl Runner {
    /// A runner that is woken by `wake`. It takes one connection of `db` for each worker, while a handler writes, and two
    /// more for itself.
    #[must_use]
    pub fn new(db: Pool, kinds: Kinds, config: Config, wake: &Wake) -> Self {
        let slots = Arc::new(Semaphore::new(config.workers));
        let shared = Shared {
            db,
            kinds,
            config,
            worker: Uuid::from_bytes(random()),
            running: Mutex::default(),
            abort: CancellationToken::new(),
        };
        let suspects = Arc::new(Semaphore::new(1));
        let (wake, tasks) = (wake.runner(), JoinSet::new());
        Self { shared: Arc::new(shared), slots, suspects, wake, tasks }
    }

    /// Works until `stop` is done, then hands back what is not done. Takes `grace`, and a moment, to stop.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        if self.shared.kinds.is_empty() {
            return stop.await;
        }
        let beats = tokio::spawn(beat::run(Arc::clone(&self.shared)));
        let mut is_failing = false;
        loop {
            let slot = tokio::select! {
                biased;
                () = &mut stop => break,
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
            };
            let Ok(slot) = slot else { break };
            // Never dropped half-way: what was claimed would be nobody's until the lease ends.
            let claimed = self.claim().await;
            if let (Err(error), false) = (&claimed, is_failing) {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "no work is claimed: {error}"
                );
            }
            is_failing = claimed.is_err();
            if let Ok(Some((claim, suspect))) = claimed {
                self.start(claim, (slot, suspect));
                continue;
            }
            drop(slot);
            tokio::select! {
                () = &mut stop => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.shared.config.poll) => {}
            }
        }
        self.hand_back().await;
        beats.abort();
    }

    /// Takes work, if there is any; with it the right to try a suspect, where it is one.
    async fn claim(&self) -> Result<Option<(Claim, Option<OwnedSemaphorePermit>)>, DbError> {
        let Shared { db, kinds, config, worker, .. } = &*self.shared;
        let suspect = Arc::clone(&self.suspects).try_acquire_owned().ok();
        let offer = Offer {
            kinds: kinds.names(),
            sizes: kinds.sizes(),
            lease: config.lease,
            cap: config.cap,
            takes_suspects: suspect.is_some(),
        };
        let claim = jobs::claim(db, *worker, &offer).await?;
        Ok(claim.map(|claim| {
            let is_suspect = claim.items.iter().any(|item| item.is_suspect);
            (claim, suspect.filter(|_| is_suspect))
        }))
    }

    fn start(
        &mut self,
        claim: Claim,
        permits: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
    ) {
        while self.tasks.try_join_next().is_some() {}
        let shared = Arc::clone(&self.shared);
        let wake = Arc::clone(&self.wake);
        let (slot, suspect) = permits;
        self.tasks.spawn(async move {
            one::run(&shared, claim, suspect).await;
            drop(slot);
            // What was passed over meanwhile may be free now.
            wake.notify_one();
        });
    }

    /// Asks the handlers to stop, and waits until what they have left is handed back.
    async fn hand_back(&mut self) {
        /// To hand back what aborted handlers have left; beyond that, the leases end by themselves.
        const MOMENT: Duration = Duration::from_secs(2);
        self.shared.running().values().for_each(|work| work.stop().cancel());
        if tokio::time::timeout(self.shared.config.grace, all_of(&mut self.tasks)).await.is_ok() {
            return;
        }
        self.shared.abort.cancel();
        if tokio::time::timeout(MOMENT, all_of(&mut self.tasks)).await.is_err() {
            tracing::warn!("handlers do not stop: their work is free when its lease ends");
        }
    }
}

async fn all_of(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}
