#![doc = include_str!("../README.md")]

mod alert;
mod bottleneck;
mod clock;
mod config;
mod flight;
mod gauge;
mod histogram;
mod monitor;
mod operation;
mod sparse;
mod window;

pub use alert::{
    Alert, Alerter, BadRule, Change, Direction, Event, Measurement, Rule, RuleState, Sample,
    evaluate,
};
pub use bottleneck::{Bottleneck, Severity};
pub use clock::Clock;
pub use config::{Config, Thresholds};
pub use gauge::{Gauge, Level, Ratio};
pub use histogram::Histogram;
pub use monitor::{InFlight, Monitor, Stats};
pub use operation::{Operation, Outcome, Scope};
pub use window::{Resolution, Summary, Window};
