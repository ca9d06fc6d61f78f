//! What can be set, and what it comes to in bytes.

use std::time::Duration;

use crate::Clock;
use crate::{gauge, operation, window};

/// Bytes of a name that are kept; the rest is cut off.
pub(crate) const NAME_BYTES: usize = 128;

/// How a monitor is built.
#[derive(Debug, Clone)]
pub struct Config {
    /// Names of operations that are told apart; the others are counted as `other`. Default 256.
    pub max_operations: usize,
    /// Gauges and ratios that are kept, each; the others are counted and forgotten. Default 64.
    pub max_gauges: usize,
    /// Bytes for the windows of all operations together. When they are spent, the oldest windows
    /// go first, those of a second before those of a minute. Default 64 MiB.
    pub max_window_bytes: usize,
    /// What makes a bottleneck a warning.
    pub thresholds: Thresholds,
    /// Where the time comes from. Default the machine's.
    pub clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_operations: 256,
            max_gauges: 64,
            max_window_bytes: 64 << 20,
            thresholds: Thresholds::default(),
            clock: Clock::system(),
        }
    }
}

impl Config {
    /// Bytes that a monitor asks of the allocator at most, whatever is recorded in it. The
    /// allocator's own overhead is not in it.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        // A growing queue of windows is for a moment there twice.
        let growing = 2 * window::QUEUE_BYTES;
        let operations = (self.max_operations + 1) * (operation::BYTES + MAP_BYTES);
        let gauges = 2 * self.max_gauges * (gauge::BYTES + MAP_BYTES);
        operations + gauges + self.max_window_bytes + window::SCRATCH_BYTES + growing + 4096
    }
}

/// A name, its place in a map and in a list, each with the room they keep for growth.
const MAP_BYTES: usize = 2 * NAME_BYTES + 4 * 64;

/// When a bottleneck is more than information.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// A p95 from here on is a warning. Default 500 ms.
    pub slow: Duration,
    /// A p95 from here on is critical. Default 2 s.
    pub very_slow: Duration,
    /// A share of the time of all operations from here on makes a warning critical. Default 0.5.
    pub heavy_share: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            slow: Duration::from_millis(500),
            very_slow: Duration::from_secs(2),
            heavy_share: 0.5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_default_comes_to_what_the_readme_says() {
        let megabytes = Config::default().max_bytes() / 1_000_000;
        assert_eq!(megabytes, 101);
    }
}
