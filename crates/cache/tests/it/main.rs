//! The cache as its users see it, on a real Redis.

mod levels;
mod loads;
mod support;
