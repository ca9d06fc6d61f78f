//! The engine and the HTTP client as their callers see them.

mod accounts;
mod charset;
mod endings;
mod engine;
mod http;
mod memory;
mod outages;
mod retry;
mod server;
mod support;
