//! Workers against a real PostgreSQL; each test has a database of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod child;
mod collect;
mod crashes;
mod fixture;
mod runner;
