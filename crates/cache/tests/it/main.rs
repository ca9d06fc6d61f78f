//! The cache as its users see it, on a real Redis.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod allocations;
mod backplane;
mod bytes;
mod failover;
mod invalidation;
mod levels;
mod limits;
mod loads;
mod outage;
mod proxy;
mod server;
mod support;
mod time;
