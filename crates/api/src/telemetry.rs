//! OpenTelemetry: traces of some requests, and metrics of all of them. What is measured is measured elsewhere, by
//! `monitoring`; this hands it on, to a collector by OTLP where one is configured and to Prometheus at `/metrics`.
//!
//! Names are those of the semantic conventions. No seller, no person and nothing that a client chose freely is an
//! attribute: routes are patterns, statements are texts without values.

mod metrics;
mod traces;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

pub(crate) use self::metrics::{Metrics, metrics_page};
pub(crate) use self::traces::{Traces, child, child_of, end};

use crate::settings::Otlp;

/// Who sends it.
fn resource(instance: &str) -> Resource {
    Resource::builder()
        .with_service_name("jebi")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance.to_owned()),
        ])
        .build()
}

/// Where a kind of signal is sent.
fn endpoint(otlp: &Otlp, signal: &str) -> String {
    format!("{}/v1/{signal}", otlp.endpoint.trim_end_matches('/'))
}
