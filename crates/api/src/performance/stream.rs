//! What is measured, told as it changes: made once for all who listen.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use jebi_db_optimizer::watch::{self, Seen, SlowStatement, Wanted};
use serde_json::json;
use tokio::sync::watch::{Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;

use super::database::DatabaseBody;
use super::real_time::LiveBody;
use crate::auth::{Operator, find_watcher};
use crate::problem::{Problem, causes};
use crate::respond::encode;
use crate::state::State;

/// So many may listen.
const MOST: usize = 256;

/// The latest of each event. Who reads slowly gets the latest when they read again, and nothing is kept for them.
pub(crate) struct Live {
    live: Sender<Bytes>,
    database: Sender<Bytes>,
    listeners: Arc<Semaphore>,
    /// Curves as they were told last, by their range.
    series: Mutex<HashMap<&'static str, (Instant, Bytes)>>,
    /// The keys of those who listen.
    keys: Mutex<Vec<Weak<ListenersKey>>>,
}

/// A key that some listen by; it is looked up once a second for all of them.
struct ListenersKey {
    digest: [u8; 32],
    is_good: AtomicBool,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            live: Sender::new(Bytes::new()),
            database: Sender::new(Bytes::new()),
            listeners: Arc::new(Semaphore::new(MOST)),
            series: Mutex::default(),
            keys: Mutex::default(),
        }
    }
}

/// Which events somebody listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feeds {
    /// `live`
    Live,
    /// `live` and `database`
    All,
}

impl Live {
    /// Tells what is true now, where anybody listens.
    pub(crate) fn tell(&self, state: &State) {
        if self.live.receiver_count() > 0
            && let Ok(body) = encode(&LiveBody::of(state))
        {
            self.live.send_replace(event("live", &body));
        }
    }
}

impl Live {
    /// Curves of a range, made once a second for all who ask.
    pub(super) fn series(
        &self,
        range: &'static str,
        make: impl FnOnce() -> Result<Vec<u8>, Problem>,
    ) -> Result<Bytes, Problem> {
        let mut known = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, body)) = known.get(range)
            && at.elapsed() < Duration::from_secs(1)
        {
            return Ok(body.clone());
        }
        let body = Bytes::from(make()?);
        known.insert(range, (Instant::now(), body.clone()));
        Ok(body)
    }

    fn key(&self, digest: [u8; 32]) -> Arc<ListenersKey> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = keys.iter().filter_map(Weak::upgrade);
        if let Some(key) = known.find(|key| key.digest == digest) {
            return key;
        }
        let key = Arc::new(ListenersKey { digest, is_good: AtomicBool::new(true) });
        keys.push(Arc::downgrade(&key));
        key
    }

    fn keys(&self) -> Vec<Arc<ListenersKey>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|key| key.strong_count() > 0);
        keys.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Ends the streams of keys that were revoked.
pub(crate) async fn follow_keys(state: State) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for key in state.live.keys() {
            if matches!(find_watcher(&state, key.digest).await, Ok(None)) {
                key.is_good.store(false, Relaxed);
            }
        }
    }
}

fn event(name: &str, data: &[u8]) -> Bytes {
    [b"event: ", name.as_bytes(), b"\ndata: ", data, b"\n\n"].concat().into()
}

/// Looks at the database every two seconds while anybody listens, by connections that no request waits for; and at the
/// plans of what is slow.
pub(crate) async fn follow_database(state: State) {
    const EVERY: Duration = Duration::from_secs(2);
    const PATIENCE: Duration = Duration::from_secs(10);
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let feed = &state.live.database;
        if feed.receiver_count() == 0 {
            continue;
        }
        let body = match tokio::time::timeout(PATIENCE, look(&state)).await {
            Ok(Ok(seen)) => encode(&DatabaseBody::new(&state, &seen)),
            Ok(Err(error)) => {
                tracing::debug!(causes = causes(&error), "the database is not seen: {error}");
                encode(&json!({ "error": "PostgreSQL does not answer" }))
            }
            Err(_) => encode(&json!({ "error": "PostgreSQL does not answer in time" })),
        };
        if let Ok(body) = body {
            feed.send_replace(event("database", &body));
        }
    }
}

async fn look(state: &State) -> Result<Seen, jebi_db_optimizer::Error> {
    let seen = watch::look(&state.watching, Wanted { slow: true, indexes: true }).await?;
    if let Some(Ok(slow)) = &seen.slow {
        explain(state, &slow.statements).await;
    }
    Ok(seen)
}

/// Looks up the plans of slow statements that are not known yet; without them the rest is shown.
pub(crate) async fn explain(state: &State, slow: &[SlowStatement]) {
    if let Err(error) = state.explanations.follow(&state.watching, slow).await {
        tracing::debug!(causes = causes(&error), "no plan: {error}");
    }
}

/// An open stream.
struct Listener {
    state: State,
    key: Arc<ListenersKey>,
    live: Receiver<Bytes>,
    database: Option<Receiver<Bytes>>,
    _open: OwnedSemaphorePermit,
}

/// The events as a response, until the key is revoked or the process ends.
pub(crate) fn stream<S>(
    state: &State,
    operator: &Operator<S>,
    feeds: Feeds,
) -> Result<HttpResponse, Problem> {
    let open = Arc::clone(&state.live.listeners).try_acquire_owned();
    let open = open.map_err(|_| Problem::busy())?;
    let listener = Listener {
        state: state.clone(),
        key: state.live.key(operator.digest()),
        live: state.live.live.subscribe(),
        database: (feeds == Feeds::All).then(|| state.live.database.subscribe()),
        _open: open,
    };
    let events = futures::stream::unfold(listener, async |mut listener: Listener| {
        listener.next().await.map(|bytes| (Ok::<_, Infallible>(bytes), listener))
    });
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would keep events back otherwise.
        .insert_header(("x-accel-buffering", "no"));
    Ok(response.content_type("text/event-stream").streaming(Box::pin(events)))
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        let database = async {
            match &mut self.database {
                Some(database) => database.changed().await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            () = self.state.stop.cancelled() => return None,
            changed = self.live.changed() => changed.ok().map(|()| &mut self.live),
            changed = database => changed.ok().and(self.database.as_mut()),
        };
        let event = event?.borrow_and_update().clone();
        self.key.is_good.load(Relaxed).then_some(event)
    }
}
