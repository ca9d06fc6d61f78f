//! The servers that the service and the tests need: those that were named, else our own.

use anyhow::{Result, bail};

use crate::environment::variable;
use crate::kept::Kept;
use crate::place::{Place, Purpose};
use crate::watcher::Watcher;
use crate::{postgres, record, redis};

/// Where the servers are.
pub(crate) struct Services {
    pub(crate) database: Database,
    pub(crate) redis_url: Option<String>,
    /// The addresses of those started here, for [`OWN_SERVERS`].
    pub(crate) own: Vec<String>,
}

/// The variable of `target/dev/env` that tells its other addresses from those a person chose. Who
/// has sourced the file, perhaps long ago or in another checkout, has not asked to use the servers
/// that ran then.
pub(crate) const OWN_SERVERS: &str = "XTASK_OWN_SERVERS";

/// A database that the service may fill.
pub(crate) struct Database {
    pub(crate) url: String,
    /// Made here, in place of named by `DATABASE_URL`.
    is_own: bool,
}

impl Database {
    /// The address for steps that are remembered as done. Our own server may forget the last
    /// moments before a kill, and what is done must not be among them.
    pub(crate) fn durable_url(&self) -> String {
        if self.is_own {
            format!("{}?options=-c%20synchronous_commit%3Don", self.url)
        } else {
            self.url.clone()
        }
    }

    /// Tells one database from another, also after our own moved to another port.
    pub(crate) fn identity(&self) -> &str {
        if self.is_own { "own" } else { &self.url }
    }
}

/// Finds or starts them.
///
/// # Errors
///
/// When one cannot be had; `dev` alone does without Redis.
pub(crate) fn start(place: &Place, kept: &mut Kept, watcher: &mut Watcher<'_>) -> Result<Services> {
    let named = Named::read()?;
    let mut own = Vec::new();
    let database = match named.database {
        Some(url) => Database { url, is_own: false },
        None => {
            let url = postgres::start(place, kept, watcher)?;
            own.push(url.clone());
            Database { url, is_own: true }
        }
    };
    let redis_url = match named.redis {
        Some(url) => Some(url),
        None => {
            let url = redis::start(place, kept, watcher)?;
            own.extend(url.clone());
            url
        }
    };
    if redis_url.is_none() {
        match place.purpose {
            Purpose::Dev | Purpose::Bench => {
                eprintln!("running without Redis, on memory alone: {}", redis::ADVICE)
            }
            Purpose::Test => bail!("the tests need a Redis: {}", redis::ADVICE),
        }
    }
    Ok(Services { database, redis_url, own })
}

/// Does `work` with servers that nobody has used before, and ends them.
///
/// # Errors
///
/// When they cannot be had, and what `work` fails with.
pub(crate) fn during<T>(purpose: Purpose, work: impl FnOnce(Services) -> Result<T>) -> Result<T> {
    let place = Place::open(purpose)?;
    // Held to the end: a second run would wipe the servers away under the first.
    let _lock = place.lock()?;
    record::end_all(&place)?;
    // What a run before left has no part in this one, and what a kill left may be damaged.
    place.wipe()?;
    let mut kept = Kept::load(&place)?;
    let mut watcher = Watcher::start(&place)?;
    let done = work(start(&place, &mut kept, &mut watcher)?)?;
    watcher.stop()?;
    Ok(done)
}

/// The servers that the caller's environment names.
pub(crate) struct Named {
    pub(crate) database: Option<String>,
    redis: Option<String>,
}

impl Named {
    /// # Errors
    ///
    /// When a variable is not UTF-8.
    pub(crate) fn read() -> Result<Self> {
        let own = variable(OWN_SERVERS)?.unwrap_or_default();
        let chosen = |url: &String| own.split(' ').all(|own| own != url);
        let database = variable("DATABASE_URL")?.filter(chosen);
        let redis = match variable("REDIS_URL")?.filter(chosen) {
            Some(url) => Some(url),
            None => redis_by_parts()?,
        };
        Ok(Self { database, redis })
    }
}

fn redis_by_parts() -> Result<Option<String>> {
    let Some(host) = variable("REDIS_HOST")? else { return Ok(None) };
    let port = variable("REDIS_PORT")?.unwrap_or_else(|| "6379".to_owned());
    let number = variable("REDIS_DB")?.unwrap_or_else(|| "0".to_owned());
    let password = variable("REDIS_PASSWORD")?;
    let login = password.map(|password| format!(":{}@", percent_encoded(&password)));
    Ok(Some(format!("redis://{}{host}:{port}/{number}", login.unwrap_or_default())))
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::percent_encoded;

    #[test]
    fn a_password_cannot_break_the_url() {
        assert_eq!(percent_encoded("a@b/ü"), "a%40b%2F%C3%BC");
        assert_eq!(percent_encoded("plain-1._~"), "plain-1._~");
    }
}
