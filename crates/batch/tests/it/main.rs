//! The engine and the HTTP client as their callers see them.

mod accounts;
mod endings;
mod engine;
mod memory;
mod outages;
mod retry;
mod support;
