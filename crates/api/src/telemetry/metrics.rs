use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, Weak};

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use anyhow::Context as _;
use jebi_cache::NamespaceStats;
use jebi_db_optimizer::timings;
use jebi_monitor::{Monitor, Summary};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter, MeterProvider as _};
use opentelemetry_otlp::{MetricExporter, Protocol, WithExportConfig as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};

use super::{endpoint, resource};
use crate::auth::{Operator, PerformanceRead};
use crate::monitoring::{HTTP, Monitoring};
use crate::params::Params;
use crate::problem::{Problem, ProblemBody};
use crate::settings::Otlp;
use crate::state::{Shared, State};

/// Seconds. Finer at the low end than the conventions have it: what comes out of the cache takes less than a millisecond.
const BOUNDARIES: [f64; 17] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5,
    0.75, 1.0, 2.5, 10.0,
];

/// The metrics of this process, read from what is measured when they are asked for.
pub(crate) struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
    requests: Histogram<f64>,
    statements: Histogram<f64>,
    is_sent: bool,
    /// How the durations of each operation were distributed when they were handed on last.
    handed_on: Mutex<HashMap<String, jebi_monitor::Histogram>>,
}

impl Metrics {
    /// Metrics that are also sent to where `otlp` says.
    ///
    /// # Errors
    /// Where the address cannot be used.
    pub(crate) fn new(otlp: Option<&Otlp>, instance: &str) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()?;
        let mut provider =
            SdkMeterProvider::builder().with_resource(resource(instance)).with_reader(reader);
        if let Some(otlp) = otlp {
            let exporter = MetricExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(endpoint(otlp, "metrics"))
                .build()
                .context("cannot send metrics; see OTEL_EXPORTER_OTLP_ENDPOINT")?;
            provider = provider.with_periodic_exporter(exporter);
        }
        let provider = provider.build();
        let meter = provider.meter("jebi");
        let durations = |name, description| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(BOUNDARIES.into())
                .build()
        };
        Ok(Self {
            requests: durations(
                "http.server.request.duration",
                "From the first look at a request to the head of its answer",
            ),
            statements: durations(
                "db.client.operation.duration",
                "Statements of requests and of what runs beside them",
            ),
            registry,
            provider,
            is_sent: otlp.is_some(),
            handed_on: Mutex::default(),
        })
    }

    /// Reads all else from the state, for as long as it lives.
    pub(crate) fn follow(&self, state: &State) {
        let meter = self.provider.meter("jebi");
        let state = state.downgrade();
        follow_operations(&meter, &state);
        follow_cache(&meter, &state);
        follow_database(&meter, &state);
        follow_process(&meter, &state);
    }

    /// Hands on the durations that were recorded since the last call: each by the middle of its bucket, which is within
    /// 0.8 % of it. To be called every few seconds, whoever asks for them, so that there are never many.
    pub(crate) fn hand_on(&self, monitor: &Monitor) {
        let mut handed_on = self.handed_on.lock().unwrap_or_else(PoisonError::into_inner);
        for name in monitor.operations() {
            let (instrument, attributes) = if let Some(endpoint) = name.strip_prefix(HTTP) {
                (&self.requests, of_endpoint(endpoint).to_vec())
            } else if let Some(summary) = name.strip_prefix(timings::PREFIX) {
                (&self.statements, of_statement(summary).to_vec())
            } else {
                continue;
            };
            let Some(now) = monitor.histogram_since_start(&name) else { continue };
            let before = handed_on.entry(name).or_default();
            for (duration, count) in now.since(before) {
                for _ in 0..count {
                    instrument.record(duration.as_secs_f64(), &attributes);
                }
            }
            *before = now;
        }
    }

    /// Sends what was not sent yet. Waits for it: not within a task.
    pub(crate) fn stop(&self, monitor: &Monitor) {
        self.hand_on(monitor);
        if let Err(error) = self.provider.shutdown()
            && self.is_sent
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "The last metrics are lost");
        }
    }
}

fn of_endpoint(endpoint: &str) -> [KeyValue; 2] {
    let (method, route) = endpoint.split_once(' ').unwrap_or((endpoint, "none"));
    [
        KeyValue::new("http.request.method", method.to_owned()),
        KeyValue::new("http.route", route.to_owned()),
    ]
}

fn of_statement(summary: &str) -> [KeyValue; 2] {
    [
        KeyValue::new("db.system.name", "postgresql"),
        KeyValue::new("db.query.summary", summary.to_owned()),
    ]
}

/// What an instrument reads of the state, each value with its attributes.
type Read<T> = fn(&Shared) -> Vec<(T, Vec<KeyValue>)>;

/// Instruments that read the state when they are asked.
struct Reading<'a> {
    meter: &'a Meter,
    state: &'a Weak<Shared>,
}

impl Reading<'_> {
    fn counter(&self, name: &'static str, unit: &'static str, what: &'static str, read: Read<u64>) {
        let state = self.state.clone();
        let counter =
            self.meter.u64_observable_counter(name).with_unit(unit).with_description(what);
        counter
            .with_callback(move |observer| {
                let values = state.upgrade().map(|state| read(&state)).unwrap_or_default();
                values.iter().for_each(|(value, attributes)| observer.observe(*value, attributes));
            })
            .build();
    }

    fn gauge(&self, name: &'static str, unit: &'static str, what: &'static str, read: Read<f64>) {
        let state = self.state.clone();
        let gauge = self.meter.f64_observable_gauge(name).with_unit(unit).with_description(what);
        gauge
            .with_callback(move |observer| {
                let values = state.upgrade().map(|state| read(&state)).unwrap_or_default();
                values.iter().for_each(|(value, attributes)| observer.observe(*value, attributes));
            })
            .build();
    }
}

/// The endpoints and what came to each.
fn endpoints(monitor: &Monitor) -> Vec<(String, Summary)> {
    let names = monitor.operations().into_iter();
    names
        .filter_map(|name| {
            let endpoint = name.strip_prefix(HTTP)?.to_owned();
            Some((endpoint, monitor.since_start(&name)?))
        })
        .collect()
}

fn follow_operations(meter: &Meter, state: &Weak<Shared>) {
    let reading = Reading { meter, state };
    reading.counter(
        "jebi.http.requests",
        "{request}",
        "Requests by their end: ok, refused (400 to 499), error (500 and more), cancelled",
        |state| {
            let all = endpoints(&state.monitoring.monitor).into_iter();
            all.flat_map(|(endpoint, all)| {
                let ended = all.refused + all.errors + all.cancelled;
                let ok = all.count.saturating_sub(ended);
                let outcomes = [
                    ("ok", ok),
                    ("refused", all.refused),
                    ("error", all.errors),
                    ("cancelled", all.cancelled),
                ];
                outcomes.map(|(outcome, count)| {
                    let outcome = KeyValue::new("jebi.outcome", outcome);
                    (count, [&of_endpoint(&endpoint)[..], &[outcome]].concat())
                })
            })
            .collect()
        },
    );
    reading.gauge("http.server.active_requests", "{request}", "Requests under way", |state| {
        let monitor = &state.monitoring.monitor;
        let under_way = |name: String| {
            let endpoint = name.strip_prefix(HTTP)?;
            let count = monitor.in_flight(&name)?.count;
            Some((float(count), of_endpoint(endpoint).to_vec()))
        };
        monitor.operations().into_iter().filter_map(under_way).collect()
    });
    reading.gauge("jebi.alerts.raised", "{alert}", "Alerts that are raised, by rule", |state| {
        let mut raised: HashMap<String, u64> = HashMap::new();
        for alert in state.monitoring.alerts() {
            *raised.entry(alert.rule).or_default() += u64::from(alert.cleared_unix_ms.is_none());
        }
        let value = |(rule, count)| (float(count), vec![KeyValue::new("jebi.rule", rule)]);
        raised.into_iter().map(value).collect()
    });
    reading.gauge("jebi.score", "1", "The overall score, from 0 to 100", |state| {
        state.monitoring.score().overall.map(|score| (score, vec![])).into_iter().collect()
    });
}

fn follow_cache(meter: &Meter, state: &Weak<Shared>) {
    let reading = Reading { meter, state };
    reading.counter(
        "jebi.cache.requests",
        "{request}",
        "Answers of the cache by where they came from: l1, l2, load",
        |state| {
            let counts = state.caches.all.counts().into_iter();
            let of = |space: NamespaceStats| {
                [("l1", space.l1_hits), ("l2", space.l2_hits), ("load", space.loads)].map(
                    |(from, count)| {
                        let namespace = KeyValue::new("jebi.cache.namespace", space.name.clone());
                        (count, vec![namespace, KeyValue::new("jebi.cache.level", from)])
                    },
                )
            };
            counts.flat_map(of).collect()
        },
    );
    reading.counter(
        "jebi.cache.invalidations",
        "{invalidation}",
        "Invalidations that reached a namespace",
        |state| {
            let value = |space: NamespaceStats| {
                (space.invalidations, vec![KeyValue::new("jebi.cache.namespace", space.name)])
            };
            state.caches.all.counts().into_iter().map(value).collect()
        },
    );
    reading.gauge("jebi.cache.redis_in_use", "1", "1 where Redis is in use", |state| {
        let l2 = state.caches.all.l2_stats();
        let value = |l2: jebi_cache::L2Stats| f64::from(l2.is_trusted && l2.is_called);
        l2.map(|l2| (value(l2), vec![])).into_iter().collect()
    });
}

fn follow_database(meter: &Meter, state: &Weak<Shared>) {
    let reading = Reading { meter, state };
    // The conventions' newer name ends in `count`, which Prometheus keeps for histograms.
    reading.gauge(
        "db.client.connections.usage",
        "{connection}",
        "Connections to PostgreSQL by state",
        |state| {
            let pool = state.db.state();
            let of = |word| vec![KeyValue::new("db.client.connection.state", word)];
            let used = pool.open.saturating_sub(pool.idle);
            vec![(f64::from(used), of("used")), (f64::from(pool.idle), of("idle"))]
        },
    );
    reading.gauge(
        "db.client.connection.max",
        "{connection}",
        "Connections that may be open",
        |state| vec![(f64::from(state.db.state().most), vec![])],
    );
    reading.counter(
        "jebi.pool.waits",
        "{caller}",
        "Callers for whom no connection was free",
        |state| vec![(state.db.waits().callers, vec![])],
    );
    reading.counter(
        "db.client.connection.timeouts",
        "{timeout}",
        "Callers who got no connection",
        |state| vec![(state.db.waits().refused, vec![])],
    );
    reading.gauge("jebi.jobs.open_items", "{item}", "Items of jobs that have not ended", |state| {
        let queue = state.monitoring.seen().queue;
        queue.map(|queue| (float(queue.open_items), vec![])).into_iter().collect()
    });
    reading.gauge(
        "jebi.jobs.queue_age",
        "s",
        "For how long the oldest item has been due",
        |state| {
            let queue = state.monitoring.seen().queue;
            let age = queue.map(|queue| queue.oldest_due.unwrap_or_default().as_secs_f64());
            age.map(|age| (age, vec![])).into_iter().collect()
        },
    );
}

fn follow_process(meter: &Meter, state: &Weak<Shared>) {
    let reading = Reading { meter, state };
    reading.gauge("process.cpu.utilization", "1", "The process's share of all CPUs", |state| {
        state.monitoring.seen().system.cpu_share.map(|share| (share, vec![])).into_iter().collect()
    });
    reading.gauge("process.memory.usage", "By", "Memory in use", |state| {
        let rss = state.monitoring.seen().system.rss_bytes;
        rss.map(|bytes| (float(bytes), vec![])).into_iter().collect()
    });
    reading.gauge("process.uptime", "s", "Since the process began", |state| {
        vec![(state.monitoring.monitor.elapsed().as_secs_f64(), vec![])]
    });
    reading.counter(
        "jebi.monitor.operations_refused",
        "{call}",
        "Calls that named one operation too many",
        |state| vec![(state.monitoring.monitor.stats().operations_refused, vec![])],
    );
}

#[expect(clippy::cast_precision_loss, reason = "53 bits are enough")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The metrics of this process, in Prometheus' text format.
///
/// Statements: 0.
#[utoipa::path(
    path = "/metrics",
    tag = "health",
    security(("api_key" = ["performance:read"])),
    responses(
        (status = 200, description = "The metrics", body = String, content_type = "text/plain"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Failed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[get("/metrics", wrap = "actix_web::middleware::from_fn(crate::auth::authenticate)")]
pub(crate) async fn metrics_page(
    _: Operator<PerformanceRead>,
    state: Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    let Monitoring { monitor, .. } = &state.monitoring;
    state.metrics.hand_on(monitor);
    let mut page = Vec::new();
    let encoder = TextEncoder::new();
    encoder.encode(&state.metrics.registry.gather(), &mut page).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "metrics could not be encoded");
        Problem::internal()
    })?;
    let kind = encoder.format_type().to_owned();
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header(("cache-control", "no-store"))
        .body(page))
}
