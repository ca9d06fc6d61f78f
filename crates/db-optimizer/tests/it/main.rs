//! Against a real PostgreSQL; each test has a database of its own.

mod bulk;
mod fixture;
mod pages;
mod plans;
mod pool;
mod schema;
mod totals;
mod writes;
