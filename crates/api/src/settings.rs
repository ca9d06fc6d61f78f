//! What the environment says, read once, before the first connection opens.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jebi_cache::{Builder, Cache, Compression, L1, Redis};
use jebi_db_optimizer as db;
use jebi_domain::MasterKey;
use jebi_work::{Addresses, Schedules};
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
const PREVIOUS_MASTER_KEY: Variable = Variable {
    name: "JEBI_PREVIOUS_MASTER_KEY",
    default: "",
    is: "64 hexadecimal digits",
    meaning: "The master key before this one, while anything is sealed under it: what it has sealed still opens, and orders \
              are still found. `jebi account rotate` seals all credentials under `JEBI_MASTER_KEY`; customers' data stay \
              under the key they were sealed by.",
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
const WORKERS: Variable = Variable {
    name: "JEBI_WORKERS",
    default: "4",
    is: "a count, 100 at most",
    meaning: "How many claims of jobs a process works on at once, of up to 20 items each. 0 = `jebi serve` \
              leaves them to `jebi worker`, which does nothing else.",
};
const COLLECTORS: Variable = Variable {
    name: "JEBI_COLLECTORS",
    default: "16",
    is: "a count above 0, 1000 at most",
    meaning: "How many accounts with wholesalers a process calls at once, beside the other jobs: who waits for one holds up no \
              other. Nothing is called where `JEBI_WORKERS` is 0.",
};
const WALK_SCHEDULE: Variable = Variable {
    name: "JEBI_WALK_SCHEDULE",
    default: "0 3 * * *",
    is: "five fields of cron, like `0 3 * * *`, or `off`",
    meaning: "When wholesalers' catalogues are read again, as far as they were asked for, in the time of Korea. Accounts are \
              spread over the first quarter of the time in between. `cargo xtask dev` sets `off`, here and in the next.",
};
const FOLLOW_SCHEDULE: Variable = Variable {
    name: "JEBI_FOLLOW_SCHEDULE",
    default: "*/10 * * * *",
    is: "five fields of cron, like `*/10 * * * *`, or `off`",
    meaning: "When it is read what has changed at the wholesalers; at Zentrade, which tells no changes, everything, at most once an \
              hour. Prices and stocks are promised to be no older than the longest time in between, and a quarter of an hour.",
};

const PERFORMANCE_LOG: Variable = Variable {
    name: "JEBI_PERFORMANCE_LOG",
    default: "performance_optimization.log",
    is: "a path, or `off`",
    meaning: "Where alerts are written as they are raised and cleared, and a line each minute; put aside at 10 MB, \
              five are kept. Alerts are remembered by it over a restart. Several processes may share it.",
};

const OTLP_ENDPOINT: Variable = Variable {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    default: "",
    is: "a URL, like http://127.0.0.1:4318",
    meaning: "The OpenTelemetry collector that gets traces and metrics, by OTLP over HTTP (protobuf). Headers and \
              times are as `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT` and \
              `OTEL_METRIC_EXPORT_INTERVAL` say, which the exporter reads itself.",
};
const OTLP_SAMPLED: Variable = Variable {
    name: "OTEL_TRACES_SAMPLER_ARG",
    default: "0.01",
    is: "a share from 0 to 1",
    meaning: "Which share of the requests is traced, of those whose caller does not say so by `traceparent`.",
};

const OWNERCLAN_API: Variable = Variable {
    name: "OWNERCLAN_API_URL",
    default: "https://api.ownerclan.com/v1/graphql",
    is: "a URL",
    meaning: "Where 오너클랜's GraphQL is. `cargo xtask dev` names the simulator, here and in the next three.",
};
const OWNERCLAN_AUTH: Variable = Variable {
    name: "OWNERCLAN_AUTH_URL",
    default: "https://auth.ownerclan.com/auth",
    is: "a URL",
    meaning: "Where 오너클랜 gives tokens.",
};
const ZENTRADE_BASE: Variable = Variable {
    name: "ZENTRADE_BASE_URL",
    default: "https://www.zentrade.co.kr",
    is: "a URL",
    meaning: "Where 젠트레이드 is, without the path of a call.",
};
const DOMEGGOOK_BASE: Variable = Variable {
    name: "DOMEGGOOK_BASE_URL",
    default: "https://domeggook.com",
    is: "a URL",
    meaning: "Where 도매꾹 is, without the path of a call.",
};

const REDIS_URL: Variable = Variable {
    name: "REDIS_URL",
    default: "",
    is: "a URL, like redis://:password@127.0.0.1:6379/0",
    meaning: "The Redis that processes share; wins over the four variables below. Without it and \
              `REDIS_HOST` each process caches for itself.",
};
const REDIS_HOST: Variable = Variable {
    name: "REDIS_HOST",
    default: "",
    is: "a name or an address",
    meaning: "Where Redis is, in place of `REDIS_URL`.",
};
const REDIS_PORT: Variable =
    Variable { name: "REDIS_PORT", default: "6379", is: "a port", meaning: "With `REDIS_HOST`." };
const REDIS_DB: Variable = Variable {
    name: "REDIS_DB",
    default: "0",
    is: "a number",
    meaning: "The number of the database, with `REDIS_HOST`.",
};
const REDIS_PASSWORD: Variable = Variable {
    name: "REDIS_PASSWORD",
    default: "",
    is: "a password",
    meaning: "With `REDIS_HOST`; none where it is not set.",
};
const REDIS_PREFIX: Variable = Variable {
    name: "JEBI_REDIS_PREFIX",
    default: "jebi",
    is: "a text",
    meaning: "Begins every key in Redis: one for each database where several share a Redis.",
};
const COMPRESSION: Variable = Variable {
    name: "CACHE_COMPRESSION_ENABLED",
    default: "true",
    is: "true or false",
    meaning: "Whether values are made smaller in Redis.",
};
const COMPRESSION_THRESHOLD: Variable = Variable {
    name: "CACHE_COMPRESSION_THRESHOLD",
    default: "1024",
    is: "a count of bytes",
    meaning: "Shorter values stay as they are.",
};
const COMPRESSION_LEVEL: Variable = Variable {
    name: "CACHE_COMPRESSION_LEVEL",
    default: "6",
    is: "a number from 0 to 9",
    meaning: "0 = off, 1 to 3 = lz4, 4 to 9 = zstd, in rising strength. Values that become less than a \
              tenth smaller stay as they are.",
};
const CACHE_BYTES: Variable = Variable {
    name: "JEBI_CACHE_MAX_BYTES",
    default: "67108864",
    is: "a count of bytes above 0",
    meaning: "What a process keeps of answers, at most.",
};
const CACHE_ENTRIES: Variable = Variable {
    name: "JEBI_CACHE_MAX_ENTRIES",
    default: "1000",
    is: "a count above 0",
    meaning: "How many answers a process keeps, at most.",
};
const CACHE_STALENESS: Variable = Variable {
    name: "JEBI_CACHE_MAX_STALENESS_MS",
    default: "2000",
    is: "milliseconds, 1000 to 60000",
    meaning: "How old, at most, an answer is that another process has changed. What this process \
              changed is never old.",
};

const VARIABLES: &[&Variable] = &[
    &LISTEN,
    &MASTER_KEY,
    &PREVIOUS_MASTER_KEY,
    &LOG,
    &RATE_LIMIT,
    &DATABASE_URL,
    &POOL_SIZE,
    &MAX_OVERFLOW,
    &POOL_TIMEOUT,
    &WORKERS,
    &COLLECTORS,
    &WALK_SCHEDULE,
    &FOLLOW_SCHEDULE,
    &PERFORMANCE_LOG,
    &OTLP_ENDPOINT,
    &OTLP_SAMPLED,
    &OWNERCLAN_API,
    &OWNERCLAN_AUTH,
    &ZENTRADE_BASE,
    &DOMEGGOOK_BASE,
    &REDIS_URL,
    &REDIS_HOST,
    &REDIS_PORT,
    &REDIS_DB,
    &REDIS_PASSWORD,
    &REDIS_PREFIX,
    &COMPRESSION,
    &COMPRESSION_THRESHOLD,
    &COMPRESSION_LEVEL,
    &CACHE_BYTES,
    &CACHE_ENTRIES,
    &CACHE_STALENESS,
];

/// Those that need not be set and have no default.
const OPTIONAL: &[&str] = &[
    PREVIOUS_MASTER_KEY.name,
    OTLP_ENDPOINT.name,
    REDIS_URL.name,
    REDIS_HOST.name,
    REDIS_PASSWORD.name,
];
/// Those whose values are shown nowhere.
const SECRET: &[&str] = &[
    MASTER_KEY.name,
    PREVIOUS_MASTER_KEY.name,
    DATABASE_URL.name,
    REDIS_URL.name,
    REDIS_PASSWORD.name,
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
    /// How many claims of jobs are worked on at once.
    pub workers: usize,
    /// How many accounts with wholesalers are called at once.
    pub collectors: usize,
    /// When wholesalers are collected from without being asked to.
    pub schedules: Schedules,
    /// Where alerts are written, if anywhere.
    pub performance_log: Option<PathBuf>,
    /// Where traces and metrics are sent, if anywhere.
    pub otlp: Option<Otlp>,
    /// Where the wholesalers are.
    pub addresses: Addresses,
    /// Where Redis is, if anywhere.
    pub redis_url: Option<SecretString>,
    /// What every key there begins with.
    pub redis_prefix: String,
    /// How values are made smaller there.
    pub compression: Compression,
    /// What a process keeps.
    pub l1: L1,
    /// How old an answer may be that another process has changed.
    pub max_staleness: Duration,
}

/// A collector of OpenTelemetry.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    /// Where it listens, without the path of a signal.
    pub endpoint: String,
    /// Which share of the requests is traced.
    pub sampled: f64,
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
        let master_key = reader.master_key();
        let log = reader.read(&LOG);
        let rate_limit = reader.read(&RATE_LIMIT);
        let database_url = reader.read::<String>(&DATABASE_URL);
        let size = reader.read_with(&POOL_SIZE, |text| text.parse().ok().filter(|size| *size > 0));
        let overflow = reader.read(&MAX_OVERFLOW);
        let timeout = reader.read_with(&POOL_TIMEOUT, |text| {
            text.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
        });
        let workers =
            reader.read_with(&WORKERS, |text| text.parse().ok().filter(|workers| *workers <= 100));
        let collectors = reader.read_with(&COLLECTORS, |text| {
            text.parse().ok().filter(|collectors| (1..=1_000).contains(collectors))
        });
        let schedule = |text: &str| match text {
            "off" => Some(None),
            cron => cron.parse().ok().map(Some),
        };
        let walks = reader.read_with(&WALK_SCHEDULE, schedule);
        let follows = reader.read_with(&FOLLOW_SCHEDULE, schedule);
        let performance_log = reader
            .read_with(&PERFORMANCE_LOG, |path| Some((path != "off").then(|| PathBuf::from(path))));
        let otlp = reader.otlp();
        let addresses = reader.addresses();
        let redis_url = reader.redis_url();
        let redis_prefix = reader.read(&REDIS_PREFIX);
        let is_compressed: Option<bool> = reader.read(&COMPRESSION);
        let threshold_bytes = reader.read(&COMPRESSION_THRESHOLD);
        let level = reader
            .read_with(&COMPRESSION_LEVEL, |text| text.parse().ok().filter(|level| *level <= 9));
        let above_0 = |text: &str| text.parse().ok().filter(|count| *count > 0);
        let max_bytes = reader.read_with(&CACHE_BYTES, above_0);
        let max_entries = reader.read_with(&CACHE_ENTRIES, above_0);
        let max_staleness = reader.read_with(&CACHE_STALENESS, |text| {
            // The relay is taken over within a second.
            let ms = text.parse().ok().filter(|ms| (1_000..=60_000).contains(ms));
            ms.map(Duration::from_millis)
        });
        let all = || {
            Some(Self {
                workers: workers?,
                collectors: collectors?,
                schedules: Schedules { walks: walks?, follows: follows? },
                performance_log: performance_log?,
                otlp: otlp?,
                addresses: addresses?,
                redis_url: redis_url?,
                redis_prefix: redis_prefix?,
                compression: Compression {
                    threshold_bytes: threshold_bytes?,
                    level: if is_compressed? { level? } else { 0 },
                },
                l1: L1 { max_bytes: max_bytes?, max_entries: max_entries? },
                max_staleness: max_staleness?,
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

    /// Two connections beside the pool, for what must not wait for requests nor for each other. Inside a runtime.
    ///
    /// # Errors
    /// [`db::Error::NoConnection`] where the URL cannot be read.
    pub fn connect_beside(&self) -> Result<db::Pool, db::Error> {
        let second = Duration::from_secs(1);
        let config = db::Config {
            size: 1,
            overflow: 1,
            timeout: second,
            statement_timeout: second * 5,
            lock_timeout: second,
            ..db::Config::default()
        };
        db::Pool::new(self.database_url.expose_secret(), &config)
    }

    /// Connections for jobs, which requests do not wait for: one for each claim that is worked on, of those that wait for
    /// wholesalers most of the time a few, and for each of the two runners one for claims and one for heart-beats. Inside a
    /// runtime.
    ///
    /// # Errors
    /// [`db::Error::NoConnection`] where the URL cannot be read.
    pub fn connect_for_work(&self) -> Result<db::Pool, db::Error> {
        let config = db::Config { size: 1, overflow: self.hands(), ..self.pool.clone() };
        db::Pool::new(self.database_url.expose_secret(), &config)
    }

    /// How many connections jobs take at once, beside the first.
    fn hands(&self) -> u32 {
        /// So many collectors write at once.
        const WRITING: usize = 8;
        let hands = self.workers + self.collectors.min(WRITING);
        u32::try_from(hands).unwrap_or(u32::MAX).saturating_add(3)
    }

    /// How many connections a process that serves opens at most beside the pool of requests: two each for events, for watching and
    /// for benchmarks; those of jobs; and one for each COPY of a collector.
    #[must_use]
    pub fn connections_beside(&self) -> u32 {
        const PAIRS: u32 = 3 * 2;
        const COPIES: u32 = 4;
        if self.workers == 0 { PAIRS } else { PAIRS + 1 + self.hands() + COPIES }
    }

    /// A cache without its namespaces.
    #[must_use]
    pub fn cache(&self) -> Builder {
        let builder = Cache::builder()
            .l1(self.l1)
            .compression(self.compression)
            .max_staleness(self.max_staleness)
            .secret(self.master_key.cache_secret());
        match &self.redis_url {
            Some(url) => builder.redis(Redis::url(url.expose_secret()).prefix(&self.redis_prefix)),
            None => builder,
        }
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
    reader.master_key().ok_or(BadSettings(reader.wrong))
}

struct Reader<'a> {
    lookup: Lookup<'a>,
    wrong: Vec<String>,
}

impl Reader<'_> {
    /// `REDIS_URL`, or what its parts come to; `Some(None)` without either.
    fn redis_url(&mut self) -> Option<Option<SecretString>> {
        let set = |variable: &Variable| (self.lookup)(variable.name).filter(|set| !set.is_empty());
        if let Some(url) = set(&REDIS_URL) {
            return Some(Some(url.into()));
        }
        let (Some(host), password) = (set(&REDIS_HOST), set(&REDIS_PASSWORD)) else {
            return Some(None);
        };
        let password =
            password.map_or_else(String::new, |password| format!(":{}@", escaped(&password)));
        let (port, db): (u16, u32) = (self.read(&REDIS_PORT)?, self.read(&REDIS_DB)?);
        Some(Some(format!("redis://{password}{host}:{port}/{db}").into()))
    }

    /// The master key, after the one before it where that is set.
    fn master_key(&mut self) -> Option<MasterKey> {
        let key = self.read_with(&MASTER_KEY, |text| MasterKey::from_hex(text).ok());
        let set = (self.lookup)(PREVIOUS_MASTER_KEY.name).filter(|set| !set.is_empty());
        if set.is_none() {
            return key;
        }
        let previous =
            self.read_with(&PREVIOUS_MASTER_KEY, |text| MasterKey::from_hex(text).ok())?;
        Some(key?.after(previous))
    }

    /// Where a collector is, `Some(None)` where none is named.
    fn otlp(&mut self) -> Option<Option<Otlp>> {
        let sampled = self.read_with(&OTLP_SAMPLED, |text| {
            text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
        });
        let set = (self.lookup)(OTLP_ENDPOINT.name).filter(|set| !set.is_empty());
        if set.is_none() {
            return sampled.map(|_| None);
        }
        let endpoint = self.url(&OTLP_ENDPOINT);
        Some(Some(Otlp { endpoint: endpoint?, sampled: sampled? }))
    }

    fn addresses(&mut self) -> Option<Addresses> {
        let (api, auth) = (self.url(&OWNERCLAN_API), self.url(&OWNERCLAN_AUTH));
        let (zentrade, domeggook) = (self.url(&ZENTRADE_BASE), self.url(&DOMEGGOOK_BASE));
        Some(Addresses {
            ownerclan_api: api?,
            ownerclan_auth: auth?,
            zentrade: zentrade?,
            domeggook: domeggook?,
        })
    }

    fn url(&mut self, variable: &Variable) -> Option<String> {
        self.read_with(variable, |text| {
            let is_url = text.starts_with("http://") || text.starts_with("https://");
            is_url.then(|| text.trim_end_matches('/').to_owned())
        })
    }

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
            let shown = match SECRET.contains(name) {
                true => String::new(),
                false => format!("=\"{}\"", set.unwrap_or_default()),
            };
            self.wrong.push(format!("{name}{shown} is not {is}"));
        }
        value
    }
}

/// As it may stand in a URL.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
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
        let default = match default.is_empty() {
            true if OPTIONAL.contains(name) => "none".to_owned(),
            true => "required".to_owned(),
            false => format!("`{default}`"),
        };
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
    fn redis_is_named_whole_or_in_parts_or_not_at_all() {
        let url = |set: &[(&str, &str)]| {
            let needed = [("JEBI_MASTER_KEY", KEY), ("DATABASE_URL", "postgres://x")];
            let set: Vec<_> = needed.iter().chain(set).copied().collect();
            read(&set).unwrap().redis_url.map(|url| url.expose_secret().to_owned())
        };
        assert_eq!(url(&[]), None);
        let parts = [("REDIS_HOST", "cache"), ("REDIS_PASSWORD", "a:b/c"), ("REDIS_DB", "3")];
        assert_eq!(url(&parts).unwrap(), "redis://:a%3Ab%2Fc@cache:6379/3");
        let both = [("REDIS_HOST", "cache"), ("REDIS_URL", "redis://other")];
        assert_eq!(url(&both).unwrap(), "redis://other");
    }

    #[test]
    fn compression_can_be_off_in_two_ways() {
        let level = |set: &[(&str, &str)]| {
            let needed = [("JEBI_MASTER_KEY", KEY), ("DATABASE_URL", "postgres://x")];
            let set: Vec<_> = needed.iter().chain(set).copied().collect();
            read(&set).unwrap().compression.level
        };
        assert_eq!(level(&[]), 6);
        assert_eq!(level(&[("CACHE_COMPRESSION_ENABLED", "false")]), 0);
        assert_eq!(level(&[("CACHE_COMPRESSION_LEVEL", "0")]), 0);
    }

    #[test]
    fn no_secret_is_in_the_debug_form() {
        let set = [("JEBI_MASTER_KEY", KEY), ("DATABASE_URL", "postgres://x:sesame@y/z")];
        let shown = format!("{:?}", read(&set).unwrap());
        assert!(!shown.contains("sesame") && !shown.contains(KEY), "{shown}");
    }
}
