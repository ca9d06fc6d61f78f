//! The same simulator without a network, for days that pass in no time.

use std::sync::Arc;
use std::time::Duration;

use crate::control;
use crate::request::SimRequest;
use crate::response::{Broken, Received, SimResponse};
use crate::simulator::Simulator;
use crate::time::Clock;

/// A simulator and the clock that it is asked by. Clones share both.
#[derive(Debug, Clone)]
pub struct InProcess {
    simulator: Arc<Simulator>,
    clock: Clock,
}

/// What came back, and how long it would have taken.
#[derive(Debug)]
pub struct Delivery {
    /// Before the first byte, and until the last at the pace of the script. Nothing has waited for
    /// it: whoever runs the clock may add it.
    pub took: Duration,
    /// The answer, or how it was lost.
    pub outcome: Result<Received, Broken>,
}

impl InProcess {
    /// Asks by this clock.
    #[must_use]
    pub fn new(simulator: Arc<Simulator>, clock: Clock) -> Self {
        Self { simulator, clock }
    }

    /// The simulator.
    #[must_use]
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends a request and takes the answer with its script and, where it is made while it is sent,
    /// its unmade body.
    #[must_use]
    pub fn ask(&self, request: &SimRequest) -> SimResponse {
        if request.path().starts_with(control::PREFIX) {
            return control::answer(&self.simulator, &self.clock, request);
        }
        self.simulator.handle(request, self.clock.now())
    }

    /// Sends a request and receives what a client would.
    #[must_use]
    pub fn send(&self, request: &SimRequest) -> Delivery {
        let response = self.ask(request);
        let script = response.script;
        let outcome = response.receive();
        let bytes = match &outcome {
            Ok(received) => received.body.len(),
            Err(Broken::Truncated(partial) | Broken::Reset(partial)) => partial.body.len(),
            Err(Broken::Silence | Broken::Dropped) => 0,
        };
        let dripped = script.bytes_per_second.map_or(Duration::ZERO, |pace| {
            Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / pace)
        });
        Delivery { took: script.delay + dripped, outcome }
    }
}
