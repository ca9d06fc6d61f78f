//! The monitor as its callers see it.

mod alerts;
mod percentiles;
mod recording;
mod support;
