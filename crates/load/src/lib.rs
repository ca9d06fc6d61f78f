//! Load on an HTTP service that hides nothing.
//!
//! Who waits for an answer before sending the next request asks less of a slow service, and so does not see how slow it
//! is (*coordinated omission*). Here each request has a time at which it is to be sent, fixed before the run, and its
//! latency counts from there: what a stalled service keeps waiting is in the figures. The generator measures itself as
//! well, and a run in which it was what was slow says so ([`Measured::doubts`]).
//!
//! [`scenario`] is the mix of requests that Jebi is measured by.

mod client;
mod generator;
mod measured;
mod plan;
mod request;
mod run;
pub mod scenario;

pub use client::{Answer, Connection, Failure, Level};
pub use measured::{Counts, KindMeasured, Latency, Measured, Second};
pub use plan::{Pace, Plan, Unfit};
pub use request::{Kind, Mix, Request};
pub use run::{Progress, run};
