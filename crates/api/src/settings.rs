//! What the environment says, read once, before the first connection opens.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use jebi_db_optimizer as db;
use jebi_domain::MasterKey;
use secrecy::{ExposeSecret as _, SecretString};

/// A variable of the environment.
struct Variable {
    name: &'static str,
    /// As it would be written; empty where the variable has to be set.
    default: &'static str,
    /// What a readable value is, for the error.
    is: &'static str,
    /// For `docs/settings.md`.
    meaning: &'static str,
}

const LISTEN: Variable = Variable {
    name: "JEBI_LISTEN",
    default: "127.0.0.1:8080",
    is: "an address and a port, like 127.0.0.1:8080",
    meaning: "Where `jebi serve` listens: the API, `/healthz`, `/readyz` and the documentation.",
};
const MASTER_KEY: Variable = Variable {
    name: "JEBI_MASTER_KEY",
    default: "",
    is: "64 hexadecimal digits; make some with `openssl rand -hex 32`",
    meaning: "Seals customers' data and signs cursors. Keep it: without it no customer can be read any \
              more. `cargo xtask dev` makes one; elsewhere `jebi serve` does not start without.",
};
const LOG: Variable = Variable {
    name: "JEBI_LOG",
    default: "info,actix_http=off",
    is: "a filter, like `info` or `jebi_api=debug,warn`",
    meaning: "What is logged, to standard error: as text on a terminal, as JSON lines elsewhere.",
};
const RATE_LIMIT: Variable = Variable {
    name: "JEBI_RATE_LIMIT_PER_MINUTE",
    default: "6000",
    is: "a count",
    meaning: "Requests that one API key may send in a minute; 0 = no limit. `cargo xtask dev` sets 0.",
};
const DATABASE_URL: Variable = Variable {
    name: "DATABASE_URL",
    default: "",
    is: "a URL, like postgres://jebi:password@127.0.0.1:5432/jebi",
    meaning: "The PostgreSQL database (15 or newer, `LC_CTYPE` C.UTF-8 or better). Its user owns the \
              tables; `jebi serve` works under the role `jebi_service`, which owns nothing.",
};
const POOL_SIZE: Variable = Variable {
    name: "DATABASE_POOL_SIZE",
    default: "20",
    is: "a count above 0",
    meaning: "Connections kept open.",
};
const MAX_OVERFLOW: Variable = Variable {
    name: "DATABASE_MAX_OVERFLOW",
    default: "30",
    is: "a count",
    meaning: "More of them under a burst; closed after a minute without work.",
};
const POOL_TIMEOUT: Variable = Variable {
    name: "DATABASE_POOL_TIMEOUT",
    default: "30",
    is: "seconds, above 0",
    meaning: "Seconds that a request waits for a connection; then it is answered 503.",
};

const VARIABLES: &[&Variable] = &[
    &LISTEN,
    &MASTER_KEY,
    &LOG,
    &RATE_LIMIT,
    &DATABASE_URL,
    &POOL_SIZE,
    &MAX_OVERFLOW,
    &POOL_TIMEOUT,
];

/// All that `jebi serve` is told.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What every other key is derived from.
    pub master_key: MasterKey,
    /// What to log.
    pub log: String,
    /// Requests per key and minute; `None` without limit.
    pub rate_limit_per_minute: Option<std::num::NonZeroU32>,
    /// Where PostgreSQL is.
    pub database_url: SecretString,
    /// How many connections to it.
    pub pool: db::Config,
}

/// What is wrong with the environment: one sentence for each variable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct BadSettings(Vec<String>);

/// Looks a variable up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's environment.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Settings {
    /// Reads every setting.
    ///
    /// # Errors
    /// [`BadSettings`] names each variable that is missing or unreadable.
    pub fn from_lookup(lookup: Lookup<'_>) -> Result<Self, BadSettings> {
        let mut reader = Reader { lookup, wrong: vec![] };
        let listen = reader.read(&LISTEN);
        let master_key = reader.read_with(&MASTER_KEY, |text| MasterKey::from_hex(text).ok());
        let log = reader.read(&LOG);
        let rate_limit = reader.read(&RATE_LIMIT);
        let database_url = reader.read::<String>(&DATABASE_URL);
        let size = reader.read_with(&POOL_SIZE, |text| text.parse().ok().filter(|size| *size > 0));
        let overflow = reader.read(&MAX_OVERFLOW);
        let timeout = reader.read_with(&POOL_TIMEOUT, |text| {
            text.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
        });
        let all = || {
            Some(Self {
                listen: listen?,
                master_key: master_key?,
                log: log?,
                rate_limit_per_minute: std::num::NonZeroU32::new(rate_limit?),
                database_url: database_url?.into(),
                pool: db::Config {
                    size: size?,
                    overflow: overflow?,
                    timeout: timeout?,
                    ..db::Config::default()
                },
            })
        };
        all().ok_or(BadSettings(reader.wrong))
    }

    /// A pool of connections to PostgreSQL. Inside a runtime.
    ///
    /// # Errors
    /// [`db::Error::NoConnection`] where the URL cannot be read.
    pub fn connect(&self) -> Result<db::Pool, db::Error> {
        db::Pool::new(self.database_url.expose_secret(), &self.pool)
    }
}

/// What to log, where only that matters: for commands, which tell their own errors.
#[must_use]
pub fn log(lookup: Lookup<'_>) -> String {
    lookup(LOG.name).unwrap_or_else(|| LOG.default.to_owned())
}

/// `DATABASE_URL` alone, for commands that need nothing else.
///
/// # Errors
/// [`BadSettings`] where it is not set.
pub fn database_url(lookup: Lookup<'_>) -> Result<String, BadSettings> {
    let mut reader = Reader { lookup, wrong: vec![] };
    reader.read(&DATABASE_URL).ok_or(BadSettings(reader.wrong))
}

/// `JEBI_MASTER_KEY` alone, for commands that seal but do not serve.
///
/// # Errors
/// [`BadSettings`] where it is not set or no key.
pub fn master_key(lookup: Lookup<'_>) -> Result<MasterKey, BadSettings> {
    let mut reader = Reader { lookup, wrong: vec![] };
    let key = reader.read_with(&MASTER_KEY, |text| MasterKey::from_hex(text).ok());
    key.ok_or(BadSettings(reader.wrong))
}

struct Reader<'a> {
    lookup: Lookup<'a>,
    wrong: Vec<String>,
}

impl Reader<'_> {
    fn read<T: FromStr>(&mut self, variable: &Variable) -> Option<T> {
        self.read_with(variable, |text| text.parse().ok())
    }

    fn read_with<T>(
        &mut self,
        variable: &Variable,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let Variable { name, default, is, .. } = variable;
        let set = (self.lookup)(name).filter(|text| !text.is_empty());
        if set.is_none() && default.is_empty() {
            self.wrong.push(format!("{name} is not set; it is {is}"));
            return None;
        }
        let value = parse(set.as_deref().unwrap_or(default));
        if value.is_none() {
            // A secret that was mistyped is a secret still.
            let shown = match *name {
                "JEBI_MASTER_KEY" | "DATABASE_URL" => String::new(),
                _ => format!("=\"{}\"", set.unwrap_or_default()),
            };
            self.wrong.push(format!("{name}{shown} is not {is}"));
        }
        value
    }
}

/// `docs/settings.md`.
#[must_use]
pub fn documentation() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         Read once, from the environment and from a file `.env` in the working directory; the \
         environment wins. An unset variable takes its default; one that cannot be read stops the \
         start and is named. This page is made from `crates/api/src/settings.rs` by \
         `cargo xtask codegen`, and a test keeps the two together.\n\n\
         | variable | default | meaning |\n|---|---|---|\n",
    );
    for Variable { name, default, is, meaning } in VARIABLES {
        let default =
            if default.is_empty() { "required".to_owned() } else { format!("`{default}`") };
        let _ = writeln!(page, "| `{name}` | {default} | {meaning} Value: {is}. |");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = jebi_db_optimizer::testing::MASTER_KEY;

    fn read(set: &[(&str, &str)]) -> Result<Settings, BadSettings> {
        let lookup = |name: &str| {
            let value = set.iter().find(|(known, _)| *known == name)?.1;
            Some(value.to_owned())
        };
        Settings::from_lookup(&lookup)
    }

    #[test]
    fn the_defaults_are_the_guides() {
        let settings = read(&[("JEBI_MASTER_KEY", KEY), ("DATABASE_URL", "postgres://x")]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!((settings.pool.size, settings.pool.overflow), (20, 30));
        assert_eq!(settings.pool.timeout, Duration::from_secs(30));
        assert_eq!(settings.rate_limit_per_minute.unwrap().get(), 6000);
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once_and_no_secret_shown() {
        let set = [("DATABASE_POOL_SIZE", "many"), ("JEBI_MASTER_KEY", "hunter2")];
        let error = read(&set).unwrap_err().to_string();
        assert_eq!(
            error,
            "JEBI_MASTER_KEY is not 64 hexadecimal digits; make some with `openssl rand -hex 32`; \
             DATABASE_URL is not set; it is a URL, like \
             postgres://jebi:password@127.0.0.1:5432/jebi; \
             DATABASE_POOL_SIZE=\"many\" is not a count above 0"
        );
    }

    #[test]
    fn a_limit_of_zero_is_no_limit() {
        let set = [
            ("JEBI_MASTER_KEY", KEY),
            ("DATABASE_URL", "postgres://x"),
            ("JEBI_RATE_LIMIT_PER_MINUTE", "0"),
        ];
        assert_eq!(read(&set).unwrap().rate_limit_per_minute, None);
    }

    #[test]
    fn no_secret_is_in_the_debug_form() {
        let set = [("JEBI_MASTER_KEY", KEY), ("DATABASE_URL", "postgres://x:sesame@y/z")];
        let shown = format!("{:?}", read(&set).unwrap());
        assert!(!shown.contains("sesame") && !shown.contains(KEY), "{shown}");
    }
}
