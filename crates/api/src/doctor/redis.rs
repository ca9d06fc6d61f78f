//! The Redis that processes share.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use redis::{Client, RedisResult};
use secrecy::ExposeSecret as _;

use super::check::Check;
use super::clocks::Clock;
use crate::settings::Settings;

pub(super) async fn checks(settings: &Settings, clocks: &mut Vec<Clock>) -> Vec<Check> {
    const NAME: &str = "redis";
    let Some(url) = &settings.redis_url else {
        let found = "none is configured; each process caches for itself";
        return vec![Check::ok(NAME, found)];
    };
    match ask(url.expose_secret()).await {
        // No causes: they may have the URL in them, and the URL a password.
        Err(_) => {
            let next = "see that it runs, and look at REDIS_URL";
            vec![Check::bad(NAME, "it does not answer", next)]
        }
        Ok((info, clock)) => {
            clocks.push(clock);
            vec![version(&info), memory(&info)]
        }
    }
}

/// What it says of itself, and its time.
async fn ask(url: &str) -> RedisResult<(HashMap<String, String>, Clock)> {
    let mut connection = Client::open(url)?.get_multiplexed_async_connection().await?;
    let before = Utc::now();
    let (seconds, microseconds): (i64, u32) =
        redis::cmd("TIME").query_async(&mut connection).await?;
    let time = DateTime::from_timestamp(seconds, microseconds * 1_000).unwrap_or_default();
    let clock = Clock { whose: "Redis", before, time, after: Utc::now() };
    let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
    let pairs = info.lines().filter_map(|line| line.split_once(':'));
    Ok((pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect(), clock))
}

fn version(info: &HashMap<String, String>) -> Check {
    let version = info.get("redis_version").map_or("", String::as_str);
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < (6, 2) {
        return Check::bad("redis", format!("version {version}"), "upgrade it to 6.2 or newer");
    }
    Check::ok("redis", format!("version {version}"))
}

fn memory(info: &HashMap<String, String>) -> Check {
    const NAME: &str = "redis memory";
    let next = "CONFIG SET maxmemory-policy allkeys-lfu, and the same in its configuration";
    let (Some(policy), Some(most)) = (info.get("maxmemory_policy"), info.get("maxmemory")) else {
        return Check::unknown(NAME, "it does not tell its maxmemory-policy", next);
    };
    let found = match most.as_str() {
        "0" => format!("maxmemory-policy {policy}, no maxmemory"),
        most => format!("maxmemory-policy {policy}, maxmemory {most} bytes"),
    };
    if policy.starts_with("allkeys-") || most == "0" {
        return Check::ok(NAME, found);
    }
    // Full, it takes no invalidations, and no process reads it any more.
    Check::warn(NAME, found, next)
}
