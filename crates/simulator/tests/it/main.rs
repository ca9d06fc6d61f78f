//! The wholesalers as a client sees them: in the same process with a clock that stands, and over
//! sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod binary;
mod control;
mod domeggook;
mod drift;
mod faults;
mod limits;
mod memory;
mod orders;
mod ownerclan;
mod shape;
mod sockets;
mod support;
mod walks;
mod zentrade;
