//! The engine and the HTTP client as their callers see them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what was measured is worth reading")]

mod accounts;
mod bounds;
mod charset;
mod endings;
mod engine;
mod http;
mod memory;
mod outages;
mod retry;
mod server;
mod support;
mod wholesalers;
