//! The heart-beat: keeps the leases of what is worked on, and hears what is to stop.

use std::collections::HashMap;
use std::sync::Arc;

use jebi_db_optimizer::jobs::{self, Held, StillHeld};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::Shared;
use crate::work::Work;

/// Beats until it is stopped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(shared.config.beat);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        tick.tick().await;
        let running: Vec<Arc<Work>> = shared.running().values().cloned().collect();
        let held: Vec<Held> = running.iter().flat_map(|work| work.held()).collect();
        if held.is_empty() {
            continue;
        }
        let extended = jobs::extend(&shared.db, shared.worker, &held, shared.config.lease).await;
        match &extended {
            Ok(still) => stop_where_due(&running, &held, still),
            Err(error) if !is_failing => {
                let source = error as &dyn std::error::Error;
                tracing::warn!(error = source, "leases are not extended: {error}");
            }
            Err(_) => {}
        }
        is_failing = extended.is_err();
    }
}

/// Stops the work whose job is to be stopped, and that of which another worker has an item.
fn stop_where_due(running: &[Arc<Work>], asked: &[Held], still: &[StillHeld]) {
    let key = |held: &Held| (held.job.as_uuid(), held.number, held.attempt);
    let still: HashMap<(Uuid, i32, i32), bool> =
        still.iter().map(|still| (key(&still.held), still.is_to_stop)).collect();
    for work in running {
        // What ended since it was asked for is open no more.
        let open = work.held();
        let is_lost = |held: &Held| asked.contains(held) && !still.contains_key(&key(held));
        let is_to_stop = |held: &Held| still.get(&key(held)).copied().unwrap_or(false);
        if open.iter().any(|held| is_lost(held) || is_to_stop(held)) {
            work.stop().cancel();
        }
    }
}
