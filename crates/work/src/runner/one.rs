//! One claim, from the handler's begin to the last item's end.

use std::collections::HashMap;
use std::sync::Arc;

use jebi_db_optimizer::jobs::{Claim, Outcome};
use jebi_db_optimizer::random;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Delays, Shared};
use crate::error::Failure;
use crate::kind::Ended;
use crate::work::Work;

pub(super) async fn run(shared: &Shared, claim: Claim, suspect: Option<OwnedSemaphorePermit>) {
    let config = &shared.config;
    let delays = Delays { first: config.first_delay, most: config.most_delay };
    let work = Arc::new(Work::new(claim, shared.db.clone(), shared.worker, delays, suspect));
    let key = Uuid::from_bytes(random());
    shared.running().insert(key, Arc::clone(&work));
    let Claim { kind, job, items, .. } = &work.claim;
    tracing::debug!(job.id = %job, job.kind = kind, job.items = items.len(), "Work begins");
    if let Some(handler) = shared.kinds.handler(kind) {
        let handled = tokio::spawn(handler(Arc::clone(&work)));
        let left = left(&work, wait_for(shared, handled).await);
        end(shared, &work, left).await;
    }
    shared.running().remove(&key);
    work.clear();
}

async fn wait_for(
    shared: &Shared,
    mut handled: JoinHandle<Result<Ended, Failure>>,
) -> Result<Result<Ended, Failure>, JoinError> {
    tokio::select! {
        handled = &mut handled => return handled,
        () = shared.abort.cancelled() => handled.abort(),
    }
    handled.await
}

/// How the items ended that the handler has not committed.
fn left(work: &Work, handled: Result<Result<Ended, Failure>, JoinError>) -> Vec<(i32, Outcome)> {
    let open = work.open().into_iter();
    let is_to_stop = work.stop().is_cancelled();
    let retry = |number, reason: &str| match is_to_stop {
        true => Outcome::Back,
        false => {
            let delay = work.delays.after(work.failures(number));
            Outcome::Retry { reason: reason.to_owned(), delay }
        }
    };
    match handled {
        Ok(Ok(ended)) => {
            let mut ended: HashMap<i32, _> = ended.into_iter().collect();
            let outcome = |number| match ended.remove(&number) {
                Some(outcome) => (number, work.outcome(number, outcome)),
                None => (number, retry(number, "the work ended without a word of it")),
            };
            open.map(outcome).collect()
        }
        Ok(Err(Failure::Because(reason))) => {
            open.map(|number| (number, retry(number, &reason))).collect()
        }
        Ok(Err(Failure::Away)) if !is_to_stop => {
            let away = |number| (number, Outcome::Snooze(work.delays.after(work.failures(number))));
            open.map(away).collect()
        }
        Err(error) if error.is_panic() => {
            // What it says may hold anything: it went to standard error, and stays there.
            tracing::error!(job.id = %work.claim.job, job.kind = work.claim.kind, "A handler panicked");
            let panicked = |number| {
                let delay = work.delays.after(work.failures(number));
                let reason = "the worker failed while it worked on this".to_owned();
                (number, Outcome::Panicked { reason, delay })
            };
            open.map(panicked).collect()
        }
        // It was aborted, or was to stop.
        Ok(Err(Failure::Away)) | Err(_) => open.map(|number| (number, Outcome::Back)).collect(),
    }
}

/// Tries to say so for as long as the lease may hold; after that, another worker begins anew.
async fn end(shared: &Shared, work: &Work, left: Vec<(i32, Outcome)>) {
    let until = Instant::now() + shared.config.lease;
    while let Err(error) = work.end(left.clone()).await {
        if Instant::now() >= until || shared.abort.is_cancelled() {
            let job = work.claim.job;
            tracing::warn!(job.id = %job, "what was done of {job} is not known: {error}");
            return;
        }
        tokio::time::sleep(shared.config.poll).await;
    }
}
