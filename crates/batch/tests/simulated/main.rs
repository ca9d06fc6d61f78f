//! The engine and the HTTP client against three wholesalers that punish who misbehaves.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "what was measured is worth reading")]

mod bugs;
mod faults;
mod outages;

mod outside;
mod politeness;
mod seller;
mod served;
mod speed;
