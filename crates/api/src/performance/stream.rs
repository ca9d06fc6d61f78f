//! What is measured, told as it changes: made once for all who listen.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use jebi_db_optimizer::Pool;
use jebi_db_optimizer::watch::{self, Seen, Wanted};
use serde_json::json;
use tokio::sync::watch::{Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;

use super::database::DatabaseBody;
use super::real_time::LiveBody;
use crate::auth::{Caller, Operator, still_good};
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
}

impl Default for Live {
    fn default() -> Self {
        Self {
            live: Sender::new(Bytes::new()),
            database: Sender::new(Bytes::new()),
            listeners: Arc::new(Semaphore::new(MOST)),
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

fn event(name: &str, data: &[u8]) -> Bytes {
    [b"event: ", name.as_bytes(), b"\ndata: ", data, b"\n\n"].concat().into()
}

/// Looks at the database every two seconds while anybody listens, by `beside`, which no request waits for; and at the
/// plans of what is slow.
pub(crate) async fn follow_database(state: State, beside: Pool) {
    const EVERY: Duration = Duration::from_secs(2);
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let feed = &state.live.database;
        if feed.receiver_count() == 0 {
            continue;
        }
        let body = match look(&state, &beside).await {
            Ok(seen) => encode(&DatabaseBody::new(&state, &seen)),
            Err(error) => {
                tracing::debug!(causes = causes(&error), "the database is not seen: {error}");
                encode(&json!({ "error": "PostgreSQL does not answer" }))
            }
        };
        if let Ok(body) = body {
            feed.send_replace(event("database", &body));
        }
    }
}

async fn look(state: &State, beside: &Pool) -> Result<Seen, jebi_db_optimizer::Error> {
    let seen = watch::look(beside, Wanted { slow: true, indexes: true }).await?;
    if let Some(Ok(slow)) = &seen.slow {
        state.explanations.follow(beside, &slow.statements).await?;
    }
    Ok(seen)
}

/// An open stream.
struct Listener {
    state: State,
    caller: Arc<Caller>,
    live: Receiver<Bytes>,
    database: Option<Receiver<Bytes>>,
    _open: OwnedSemaphorePermit,
}

/// The events as a response, until the key is revoked or the process ends.
pub(crate) fn stream<S>(
    state: &State,
    operator: Operator<S>,
    feeds: Feeds,
) -> Result<HttpResponse, Problem> {
    let open = Arc::clone(&state.live.listeners).try_acquire_owned();
    let open = open.map_err(|_| Problem::busy())?;
    let listener = Listener {
        state: state.clone(),
        caller: operator.into_caller(),
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
        still_good(&self.state, &self.caller).await.then_some(event)
    }
}
