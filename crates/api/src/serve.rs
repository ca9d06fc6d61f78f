//! `jebi serve`: settings → state → server.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_service::IntoServiceFactory as _;
use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use anyhow::Context as _;
use jebi_db_optimizer::repeats::{Found, watch};
use jebi_db_optimizer::watch::{Seen, Wanted, look};
use jebi_db_optimizer::{Error, Pool, collection, housekeeping, jobs};
use jebi_work::Optimizer;
use secrecy::ExposeSecret as _;
use tokio::time::MissedTickBehavior;
use utoipa::OpenApi as _;
use utoipa_actix_web::AppExt as _;

use crate::benchmark::Benchmark;
use crate::door::Front;
use crate::monitoring::{sample, sample_queue};
use crate::performance::{explain, follow_database, follow_keys};
use crate::problem::causes;
use crate::relay::Relay;
use crate::settings::Settings;
use crate::state::State;
use crate::work::Hands;
use crate::{observe, openapi, request_id, routes, work};

/// A client has this long to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection without a request is closed after this long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Requests under way at a stop have this long to end.
const STOP_SECONDS: u64 = 10;
/// PostgreSQL and Redis have this long to answer before the service listens without.
const FIRST_ROUNDS: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or Ctrl-C, then ends what is under way.
///
/// # Errors
/// Where the address cannot be listened on.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let address = settings.listen;
    let listener = TcpListener::bind(address).with_context(|| {
        format!("cannot listen on {address}; set JEBI_LISTEN to a free address")
    })?;
    serve_on(listener, settings).await
}

/// Serves on a socket that listens already.
///
/// # Errors
/// Where the server cannot be started.
pub async fn serve_on(listener: TcpListener, settings: Settings) -> anyhow::Result<()> {
    let (db, beside) = (settings.connect()?, settings.connect_beside()?);
    // Not the relay's own: who looks must not keep it from vouching.
    let (watching, for_benchmarks) = (settings.connect_beside()?, settings.connect_beside()?);
    let (workers, collectors) = (settings.workers, settings.collectors);
    let schedules = settings.schedules.clone();
    let for_work = (workers > 0).then(|| settings.connect_for_work()).transpose()?;
    let url = settings.database_url.expose_secret().to_owned();
    let addresses = settings.addresses.clone();
    let state = State::new((db, watching), settings, listener.local_addr()?)?;
    let mut relay = Relay::new(state.clone(), beside);
    // Answers may be kept from the first one on; where PostgreSQL or Redis is not there yet, later.
    if tokio::time::timeout(FIRST_ROUNDS, relay.catch_up()).await.is_err() {
        tracing::warn!("The cache is not in use yet: PostgreSQL or Redis does not answer");
    }
    let house = keep_house(state.db.clone(), Arc::clone(&state.repeats));
    let beside = [
        tokio::spawn(house),
        tokio::spawn(relay.run()),
        tokio::spawn(watch_plans(state.clone())),
        tokio::spawn(follow_database(state.clone())),
        tokio::spawn(follow_keys(state.clone())),
        tokio::spawn(sample(state.clone())),
        tokio::spawn(sample_queue(state.clone(), state.watching.clone())),
    ];
    let optimizer = Optimizer { url, warm_up: Some(state.warm_up()) };
    let outside =
        work::outside(Arc::clone(&state.outside), Arc::clone(&state.master_key), addresses);
    let hands = Hands { workers, collectors, optimizer, outside, schedules };
    let benchmark = Benchmark {
        address: state.address,
        db: for_benchmarks,
        keys: Arc::clone(&state.own_keys),
        master_key: Arc::clone(&state.master_key),
    };
    let measuring = {
        let (wake, stop) = (state.jobs.clone(), state.stop.clone().cancelled_owned());
        tokio::spawn(work::measure(benchmark, wake, stop))
    };
    let working = for_work.map(|db| {
        let (wake, stop) = (state.jobs.clone(), state.stop.clone().cancelled_owned());
        tokio::spawn(hands.work(db, wake, stop))
    });
    let stop = state.stop.clone();
    let served = listen(listener, state.clone()).await;
    // It was cancelled by the signal already, where there was one.
    stop.cancel();
    measuring.await?;
    if let Some(working) = working {
        working.await?;
    }
    beside.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::task::spawn_blocking(move || {
        state.traces.stop();
        state.metrics.stop(&state.monitoring.monitor);
        state.monitoring.stop();
    })
    .await?;
    served
}

/// Serves through a pool that is somebody else's to keep house in: nothing runs in it but what requests ask for, and
/// without a relay no answer is taken from the cache.
///
/// # Errors
/// Where the server cannot be started.
pub async fn serve_through(
    db: Pool,
    listener: TcpListener,
    settings: Settings,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    listen(listener, State::new((db.clone(), db), settings, address)?).await
}

async fn listen(listener: TcpListener, state: State) -> anyhow::Result<()> {
    // Before the first request can come: one that is under way is ended properly from now on.
    let signal = stop_signal()?;
    let stopping = state.stop.clone();
    let stop = async move {
        signal.await;
        // Streams end and workers hand back while requests under way are answered.
        stopping.cancel();
    };
    listener.set_nonblocking(true)?;
    let recent = Arc::clone(&state.caches.recent);
    let address = listener.local_addr()?;
    let forgetting = tokio::spawn(forget_limits(state.clone()));
    let server = HttpServer::new(move || {
        let (app, document) = App::new()
            .into_utoipa_app()
            .openapi(openapi::Document::openapi())
            .configure(routes::described)
            .split_for_parts();
        for (path, item) in &document.paths.paths {
            state.monitoring.describe(path, routes::methods(item));
        }
        let application = app
            .app_data(Data::new(state.clone()))
            .configure(|config| routes::describing(config, document))
            .wrap(from_fn(observe::observe))
            .wrap(NormalizePath::trim())
            .wrap(from_fn(request_id::name))
            .into_factory();
        Front { state: state.clone(), application }
    })
    .client_request_timeout(HEAD_TIMEOUT)
    .client_disconnect_timeout(Duration::from_secs(5))
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(STOP_SECONDS)
    .shutdown_signal(stop)
    .listen(listener)?
    .run();
    tracing::info!("Listening on http://{address}");
    let served = server.await;
    forgetting.abort();
    recent.clear();
    tracing::info!("Stopped");
    Ok(served?)
}

/// Ends with SIGTERM or Ctrl-C.
#[cfg(unix)]
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends with Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        // Where it cannot be waited for, the service is stopped from outside.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}

/// Folds totals and tidies behind the jobs all the time, and throws old rows away now and then.
pub(crate) async fn keep_house(db: Pool, found: Arc<Found>) {
    /// A reader adds what is not folded yet, at most a few thousand rows.
    const FOLD: Duration = Duration::from_millis(500);
    const TIDY_EVERY: u32 = 4;
    const FORGET_EVERY: u32 = 1200;
    let mut tick = tokio::time::interval(FOLD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0_u32.. {
        tick.tick().await;
        let work = async {
            housekeeping::fold_totals(&db).await?;
            if round % TIDY_EVERY == 0 {
                jobs::tidy(&db).await?;
            }
            if round % FORGET_EVERY == 0 {
                jobs::rotate(&db).await?;
                housekeeping::forget_answers(&db).await?;
                jebi_db_optimizer::relay::rotate(&db).await?;
                collection::tidy(&db).await?;
            }
            Ok::<_, Error>(())
        };
        let done = watch(&found, work, |_| "housekeeping".to_owned()).await;
        if let Err(error) = done {
            tracing::warn!(causes = causes(&error), "housekeeping put off: {error}");
        }
    }
}

/// Looks at what statements read and at the plans of the slow ones, by connections that no request waits for.
async fn watch_plans(state: State) {
    /// A plan that went bad in between shows in the second sample after, half a minute later.
    const EVERY: Duration = Duration::from_secs(15);
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let wanted = Wanted { slow: true, indexes: false };
        if let Ok(Seen { slow: Some(Ok(slow)), .. }) = look(&state.watching, wanted).await {
            explain(&state, &slow.statements).await;
        }
        match state.plans.sample(&state.watching).await {
            Ok(news) => news.iter().for_each(|(found, statement)| {
                let (before, now) = (found.before, found.now);
                tracing::warn!(
                    statement,
                    before,
                    now,
                    calls = found.calls,
                    "A statement reads {now:.0} pages a call, before it were {before:.0}"
                );
            }),
            Err(error) => tracing::debug!(causes = causes(&error), "no sample: {error}"),
        }
    }
}

async fn forget_limits(state: State) {
    let mut tick = tokio::time::interval(Duration::from_secs(60));
    loop {
        tick.tick().await;
        state.limits.forget_the_rested();
    }
}
