use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use jebi_db_optimizer::jobs::{self, Job};
use jebi_domain::{JobId, SellerId};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::body::{JobBody, job_id};
use crate::auth::{OrdersRead, Seller};
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::respond::encode;
use crate::state::State;

/// How late a change is told.
const EVERY: Duration = Duration::from_millis(400);
/// After so long without a change a comment is sent: proxies close what is silent.
const SILENCE: Duration = Duration::from_secs(15);

/// The streams that are open in this process, by seller: each looks at its job again and again.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<SellerId, usize>>>);

impl Streams {
    const MOST: usize = 200;
    /// No seller takes them all.
    const MOST_OF_A_SELLER: usize = 50;

    fn open(&self, seller: SellerId) -> Result<Open, Problem> {
        let mut open = self.lock();
        if open.values().sum::<usize>() >= Self::MOST {
            return Err(Problem::busy());
        }
        let of_seller = open.entry(seller).or_default();
        if *of_seller >= Self::MOST_OF_A_SELLER {
            let what = "as many streams are open as one seller may have; close one";
            return Err(Problem::too_many_requests(what, 1));
        }
        *of_seller += 1;
        Ok(Open { streams: self.clone(), seller })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SellerId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that is open until this is dropped.
struct Open {
    streams: Streams,
    seller: SellerId,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        if let Entry::Occupied(mut of_seller) = open.entry(self.seller) {
            *of_seller.get_mut() -= 1;
            if *of_seller.get() == 0 {
                of_seller.remove();
            }
        }
    }
}

/// How far a job is, as a stream of events: the whole job at once, and again with every change, until it has ended.
/// `Last-Event-ID` changes nothing: the first event is always the job as it stands.
///
/// Statements: 1, and 1 for each time it is looked for a change.
#[utoipa::path(
    path = "/jobs/{job_id}/events",
    tag = "jobs",
    security(("api_key" = ["orders:read"])),
    params(
        ("job_id" = Uuid, Path, description = "The job's id"),
        ("Last-Event-ID" = Option<String>, Header, description = "As browsers send it"),
    ),
    responses(
        (status = 200, description = "Events `job`; the data of each is the job", body = JobBody, content_type = "text/event-stream"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/jobs/{job_id}/events")]
pub(crate) async fn events(
    seller: Seller<OrdersRead>,
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let (owner, id) = (seller.keys.seller(), job_id(&path)?);
    let open = state.streams.open(owner)?;
    let job = jobs::find(&state.db, owner, id).await?;
    let job = job.ok_or_else(|| Problem::not_found("job"))?;
    let stream = Stream::new(State::clone(&state), (owner, id), job, open);
    // Pulled by who reads: a slow reader has one event in memory, and the next is read when that one is gone.
    let stream = futures::stream::unfold(stream, async |mut stream: Stream| {
        stream.next().await.map(|bytes| (Ok::<_, Infallible>(bytes), stream))
    });
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CACHE_CONTROL, "private, no-store"))
        // nginx would keep events back otherwise.
        .insert_header(("x-accel-buffering", "no"));
    Ok(response.content_type("text/event-stream").streaming(Box::pin(stream)))
}

/// A reader of a job's events.
struct Stream {
    state: State,
    of: (SellerId, JobId),
    /// Read, and not sent yet.
    job: Option<Job>,
    /// What the reader has.
    last: Vec<u8>,
    number: u64,
    is_over: bool,
    tick: Interval,
    sent_at: Instant,
    _open: Open,
}

impl Stream {
    fn new(state: State, of: (SellerId, JobId), job: Job, open: Open) -> Self {
        let now = Instant::now();
        let mut tick = tokio::time::interval_at(now + EVERY, EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            state,
            of,
            job: Some(job),
            last: vec![],
            number: 0,
            is_over: false,
            tick,
            sent_at: now,
            _open: open,
        }
    }

    /// The next event or comment; `None` after the last. No connection is held while it waits.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.is_over {
            if let Some(job) = self.job.take() {
                self.is_over = job.state.is_ended();
                if let Some(event) = self.event(job) {
                    return Some(event);
                }
            }
            if self.sent_at.elapsed() >= SILENCE {
                self.sent_at = Instant::now();
                return Some(Bytes::from_static(b": nothing new\n\n"));
            }
            tokio::select! {
                () = self.state.stop.cancelled() => return None,
                _ = self.tick.tick() => {}
            }
            let (seller, job) = self.of;
            // A database that is away for a moment has no news.
            if let Ok(job) = jobs::find(&self.state.db, seller, job).await {
                self.is_over = job.is_none();
                self.job = job;
            }
        }
        None
    }

    /// The job, where it is not what the reader has.
    fn event(&mut self, job: Job) -> Option<Bytes> {
        let data = encode(&JobBody::from(job)).ok().filter(|data| *data != self.last)?;
        self.number += 1;
        self.sent_at = Instant::now();
        let head = format!("id: {}\nevent: job\ndata: ", self.number);
        let event = [head.as_bytes(), &data, b"\n\n"].concat();
        self.last = data;
        Some(event.into())
    }
}
