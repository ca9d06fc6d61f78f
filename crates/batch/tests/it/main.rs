//! The engine and the HTTP client as their callers see them.

mod accounts;
mod endings;
mod charset;
mod engine;
mod http;
mod memory;
mod outages;
mod retry;
mod server;
mod support;
