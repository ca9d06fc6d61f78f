//! The service over HTTP, on a real PostgreSQL; each test has a database and a server of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod admission;
mod analytics;
mod app;
mod benchmark;
mod browser;
mod cache;
mod collect;
mod dashboard;
mod database;
mod doctor;
mod documents;
mod door;
mod etags;
mod guards;
mod hostile;
mod http;
mod idempotency;
mod import;
mod jobs;
mod limits;
mod link;
mod listing;
mod matrix;
mod optimize;
mod outside;
mod performance;
mod personal;
mod process;
mod products;
mod proxy;
mod redis;
mod seed;
mod traces;
