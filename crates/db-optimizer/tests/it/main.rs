//! Against a real PostgreSQL; each test has a database of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bulk;
mod catalogue;
mod collection;
mod fixture;
mod jobs;
mod large;
mod optimize;
mod pages;
mod plans;
mod pool;
mod relay;
mod repeats;
mod schema;
mod totals;
mod watch;
mod writes;
