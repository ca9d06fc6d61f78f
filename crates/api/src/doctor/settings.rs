//! What the environment says.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::check::Check;
use crate::cached::LIFETIMES;
use crate::settings::{BadSettings, Settings};

pub(super) fn readable(read: &Result<Settings, BadSettings>) -> Check {
    match read {
        Ok(_) => Check::ok("settings", "all can be read"),
        Err(error) => Check::bad(
            "settings",
            error.to_string(),
            "give doctor the environment of the service; docs/settings.md has all settings",
        ),
    }
}

/// Where the service listens, as this machine reaches it.
pub(super) fn url(settings: &Settings) -> String {
    let mut address = settings.listen;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    format!("http://{address}")
}

pub(super) fn lifetimes(settings: &Settings) -> Check {
    /// A person who waits for what a colleague did does not wait longer.
    const MOST: Duration = Duration::from_secs(10);
    let (fresh, stale) = LIFETIMES;
    let staleness = settings.max_staleness;
    let found = format!(
        "answers are kept for {} s, and {} s more while PostgreSQL is away; what another process \
         changed shows within {} ms",
        fresh.as_secs(),
        stale.as_secs(),
        staleness.as_millis()
    );
    if staleness > MOST {
        return Check::warn("cache lifetime", found, "lower JEBI_CACHE_MAX_STALENESS_MS");
    }
    Check::ok("cache lifetime", found)
}

pub(super) fn compression(settings: &Settings) -> Check {
    const NAME: &str = "compression";
    let level = settings.compression.level;
    match (level, &settings.redis_url) {
        (_, None) => Check::ok(NAME, "nothing is sent to Redis; bodies over 1 kB go out as gzip"),
        (0, Some(_)) => Check::warn(
            NAME,
            "values go to Redis as they are",
            "set CACHE_COMPRESSION_ENABLED=true and CACHE_COMPRESSION_LEVEL from 1 to 9",
        ),
        (level, Some(_)) => {
            let from = settings.compression.threshold_bytes;
            Check::ok(NAME, format!("level {level} for values of {from} bytes and more"))
        }
    }
}
