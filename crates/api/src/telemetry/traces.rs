use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use actix_web::dev::ServiceRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use anyhow::Context as _;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use super::{endpoint, resource};
use crate::settings::Otlp;

/// What the spans of this program are called by.
const TRACER: &str = "jebi";

/// Decides which requests are traced, and begins their traces. What is not sampled costs the decision: no span is made
/// for it, here or below.
#[derive(Default)]
pub(crate) struct Traces(Option<Sampled>);

struct Sampled {
    provider: SdkTracerProvider,
    /// Of all numbers of 64 bits, those below are sampled.
    below: u64,
    requests: AtomicU64,
    /// The second in which callers asked for traces last, and how many of them.
    asked: Mutex<(u64, u32)>,
    began: Instant,
}

/// So many requests a second are traced because their callers say so: anybody may say so.
const ASKED_A_SECOND: u32 = 50;

impl Traces {
    /// Traces that are sent to where `otlp` says; none without.
    ///
    /// # Errors
    /// Where the address cannot be used.
    pub(crate) fn new(otlp: Option<&Otlp>, instance: &str) -> anyhow::Result<Self> {
        let Some(otlp) = otlp else { return Ok(Self::default()) };
        // The exporters' client asks the process which cryptography it has.
        rustls::crypto::ring::default_provider().install_default().ok();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint(otlp, "traces"))
            .build()
            .context("cannot send traces; see OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let provider = SdkTracerProvider::builder()
            // It is decided before a span is made.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource(instance))
            .with_batch_exporter(exporter)
            .build();
        global::set_tracer_provider(provider.clone());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of all numbers; the cast saturates"
        )]
        let below = (otlp.sampled * u64::MAX as f64) as u64;
        Ok(Self(Some(Sampled {
            provider,
            below,
            requests: AtomicU64::new(0),
            asked: Mutex::default(),
            began: Instant::now(),
        })))
    }

    /// Whether any request is traced.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The trace of a request, where it is sampled: by who called, else by chance.
    pub(crate) fn begin(&self, request: &ServiceRequest, name: &str) -> Option<Context> {
        let sampled = self.0.as_ref()?;
        let parent = request.headers().contains_key("traceparent").then(|| {
            let context = TraceContextPropagator::new().extract(&Headers(request.headers()));
            context.span().span_context().is_valid().then_some(context)
        });
        let is_sampled = match parent.as_ref().and_then(Option::as_ref) {
            Some(parent) => parent.span().span_context().is_sampled() && sampled.may_ask(),
            None => sampled.chance() < sampled.below,
        };
        let parent = is_sampled.then(|| parent.flatten().unwrap_or_default())?;
        let tracer = global::tracer(TRACER);
        let (method, route) = name.split_once(' ').unwrap_or((name, "none"));
        let is_https = request.connection_info().scheme() == "https";
        let span = tracer
            .span_builder(name.to_owned())
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("http.request.method", method.to_owned()),
                KeyValue::new("http.route", route.to_owned()),
                // What a proxy before us says it is; any other word is a client's.
                KeyValue::new("url.scheme", if is_https { "https" } else { "http" }),
            ])
            .start_with_context(&tracer, &parent);
        Some(parent.with_span(span))
    }

    /// Sends what was not sent yet. Waits for it: not within a task.
    pub(crate) fn stop(&self) {
        if let Some(Sampled { provider, .. }) = &self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "The last traces are lost");
        }
    }
}

impl Sampled {
    /// Whether one more trace may be asked for in this second.
    fn may_ask(&self) -> bool {
        let now = self.began.elapsed().as_secs();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, count) = &mut *asked;
        if *second != now {
            (*second, *count) = (now, 0);
        }
        *count += 1;
        *count <= ASKED_A_SECOND
    }

    /// A number that looks like any other.
    fn chance(&self) -> u64 {
        // Steele, Lea, Flood: `SplitMix64`.
        let mut mixed = self.requests.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(actix_web::http::header::HeaderName::as_str).collect()
    }
}

/// Ends the trace of a request.
pub(crate) fn end(trace: &Context, status: StatusCode) {
    let span = trace.span();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if status.is_server_error() {
        span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
        span.set_status(Status::error(""));
    }
    span.end();
}

/// A span under that of this task, where that is sampled; it ends with this value.
pub(crate) fn child(name: impl FnOnce() -> String) -> Option<Context> {
    let is_sampled = Context::map_current(|context| {
        context.has_active_span() && context.span().span_context().is_sampled()
    });
    is_sampled.then(|| child_of(&Context::current(), name()))
}

/// A span under another one.
pub(crate) fn child_of(parent: &Context, name: String) -> Context {
    let tracer = global::tracer(TRACER);
    parent.with_span(tracer.span_builder(name).start_with_context(&tracer, parent))
}
