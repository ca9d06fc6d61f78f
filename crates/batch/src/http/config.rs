//! The bounds of a client.

use std::time::Duration;

use jebi_domain::Wholesaler;

/// The bounds of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Connections, and with them calls, at once. Default 10.
    pub max_connections: usize,
    /// How long an unused connection is kept. Default 30 s.
    pub keep_alive: Duration,
    /// How long connecting may take, TLS included. Default 5 s.
    pub connect_timeout: Duration,
    /// How long the answer may keep silent, before its head and between pieces. Default 30 s.
    pub read_timeout: Duration,
    /// How long all of it may take, waiting for a connection included; between two pieces the time is
    /// the reader's and does not count. Default 60 s. Longer than `connect_timeout`, so that what this
    /// ends is known to have been sent.
    pub total_timeout: Duration,
    /// Bytes of a body as they come. Default 16 MiB.
    pub max_wire_bytes: u64,
    /// Bytes of a body unpacked. Default 64 MiB.
    pub max_decoded_bytes: u64,
    /// Characters that may be unreadable; more of them mean another charset. Default 16.
    pub max_replacements: u64,
    /// What the client says it is. Default `jebi/` and the version.
    pub user_agent: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 10,
            keep_alive: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_mins(1),
            max_wire_bytes: 16 << 20,
            max_decoded_bytes: 64 << 20,
            max_replacements: 16,
            user_agent: concat!("jebi/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl Config {
    /// What a wholesaler needs: 20, 15 or 25 connections, and the patience its longest answers take.
    #[must_use]
    pub fn of(wholesaler: Wholesaler) -> Self {
        let (max_connections, read_seconds) = match wholesaler {
            // A page of 1,000 items was seen to take minutes.
            Wholesaler::Ownerclan => (20, 300),
            // The whole catalogue is one answer.
            Wholesaler::Zentrade => (15, 60),
            Wholesaler::Domeggook => (25, 30),
        };
        let read_timeout = Duration::from_secs(read_seconds);
        let config = Self {
            max_connections,
            read_timeout,
            total_timeout: read_timeout * 2,
            ..Self::default()
        };
        match wholesaler {
            Wholesaler::Ownerclan | Wholesaler::Domeggook => config,
            Wholesaler::Zentrade => Self {
                // Tens of megabytes of one answer; silence ends it all the same.
                total_timeout: Duration::from_hours(4),
                // Read as a stream, so that its size costs no memory.
                max_wire_bytes: 128 << 20,
                max_decoded_bytes: 256 << 20,
                // Its firewall turns away who does not begin as browsers do.
                user_agent: concat!(
                    "Mozilla/5.0 (compatible; jebi/",
                    env!("CARGO_PKG_VERSION"),
                    ")"
                )
                .to_owned(),
                ..config
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wholesaler_gets_the_patience_its_answers_take() {
        let seconds = Duration::from_secs;
        for (wholesaler, connections, read, total) in [
            (Wholesaler::Ownerclan, 20, seconds(300), seconds(600)),
            (Wholesaler::Zentrade, 15, seconds(60), Duration::from_hours(4)),
            (Wholesaler::Domeggook, 25, seconds(30), seconds(60)),
        ] {
            let config = Config::of(wholesaler);
            assert_eq!(config.max_connections, connections, "{wholesaler}");
            assert_eq!((config.read_timeout, config.total_timeout), (read, total), "{wholesaler}");
            // Otherwise one could not tell what was sent.
            assert!(config.total_timeout > config.connect_timeout);
        }
    }

    #[test]
    fn a_catalogue_that_is_one_file_may_be_large_and_is_asked_for_as_by_a_browser() {
        const MIB: u64 = 1_024 * 1_024;
        let bounds = |config: &Config| (config.max_wire_bytes, config.max_decoded_bytes);
        let file = Config::of(Wholesaler::Zentrade);
        assert_eq!(bounds(&file), (128 * MIB, 256 * MIB));
        assert!(file.user_agent.starts_with("Mozilla/5.0 (compatible; jebi/"));
        let usual = Config::of(Wholesaler::Ownerclan);
        assert_eq!(bounds(&usual), (16 * MIB, 64 * MIB));
        assert!(usual.user_agent.starts_with("jebi/"));
    }
}
