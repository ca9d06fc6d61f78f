//! The database, as its owner sees it.

use std::thread::available_parallelism;

use chrono::Utc;
use jebi_db_optimizer::watch::{
    self, Advice, Indexes, Known, NoStatistics, Seen, Server, Slow, advise,
};
use jebi_db_optimizer::{Admin, Error, pending_for_owner, relay};

use super::check::{Check, Verdict};
use super::clocks::Clock;
use crate::cached::has_rule;
use crate::settings::Settings;

pub(super) async fn checks(
    admin: &Admin,
    settings: Option<&Settings>,
    clocks: &mut Vec<Clock>,
) -> Result<Vec<Check>, Error> {
    let before = Utc::now();
    let (server, statistics) = watch::server(admin).await?;
    clocks.push(Clock { whose: "PostgreSQL", before, time: server.now, after: Utc::now() });
    let mut checks = vec![
        version(&server),
        letters(&server),
        extensions(statistics),
        random_page_cost(&server),
        autovacuum(&server),
        io_timing(&server),
    ];
    checks.extend(settings.map(|settings| pool_size(&server, settings)));
    let pending = pending_for_owner(admin).await?;
    let is_migrated = pending.is_empty();
    checks.push(migrations(&pending));
    let seen = watch::look_as_owner(admin).await?;
    checks.extend(of_seen(&seen));
    if is_migrated {
        checks.push(rules(&relay::names(admin).await?));
    }
    Ok(checks)
}

fn version(server: &Server) -> Check {
    const NAME: &str = "postgresql";
    let found = format!("version {}.{}", server.version / 10_000, server.version % 10_000);
    if server.version < 150_000 {
        return Check::bad(NAME, found, "upgrade it to 15 or newer");
    }
    Check::ok(NAME, found)
}

fn letters(server: &Server) -> Check {
    const NAME: &str = "lc_ctype";
    let found = format!("encoding {}, LC_CTYPE {}", server.encoding, server.lc_ctype);
    let again = "make the database again from template0 with ENCODING 'UTF8' LC_CTYPE 'C.UTF-8', \
                 and load it from a dump";
    if server.encoding != "UTF8" {
        return Check::bad(NAME, found, again);
    }
    let is_ascii = ["C", "POSIX"].contains(&server.lc_ctype.as_str());
    if is_ascii && server.locale_provider == "c" {
        let found = format!("{found}: nothing but a to z is a letter, and no Korean word is found");
        return Check::bad(NAME, found, again);
    }
    Check::ok(NAME, found)
}

fn extensions(statistics: Result<(), NoStatistics>) -> Check {
    const NAME: &str = "extensions";
    match statistics {
        Ok(()) => Check::ok(NAME, "pg_stat_statements is there"),
        Err(missing) => Check::warn(NAME, missing.to_string(), missing.next_step()),
    }
}

fn random_page_cost(server: &Server) -> Check {
    const NAME: &str = "random_page_cost";
    /// What PostgreSQL sets: right for disks that turn.
    const TURNING: f64 = 4.0;
    let found = server.random_page_cost.to_string();
    if server.random_page_cost < TURNING {
        return Check::ok(NAME, found);
    }
    let found = format!("{found}, which is right for disks that turn: indexes are used too rarely");
    Check::warn(NAME, found, "on SSDs, ALTER DATABASE … SET random_page_cost = 1.1")
}

fn autovacuum(server: &Server) -> Check {
    const NAME: &str = "autovacuum";
    if server.is_autovacuum_on {
        return Check::ok(NAME, "on");
    }
    Check::bad(
        NAME,
        "off: tables grow, and the planner guesses",
        "ALTER SYSTEM SET autovacuum = on",
    )
}

fn io_timing(server: &Server) -> Check {
    const NAME: &str = "track_io_timing";
    if server.is_track_io_timing_on {
        return Check::ok(NAME, "on");
    }
    let found = "off: slow statements do not tell whether they wait for the disk";
    Check::warn(NAME, found, "ALTER SYSTEM SET track_io_timing = on")
}

fn pool_size(server: &Server, settings: &Settings) -> Check {
    const NAME: &str = "pool size";
    /// Measured: 4 times the cores of the database serve most, and more only queue inside PostgreSQL.
    const PER_CORE: usize = 4;
    let (size, overflow) = (settings.pool.size, settings.pool.overflow);
    let room = server.max_connections - server.reserved_connections;
    let found = format!(
        "{size} connections and {overflow} more; PostgreSQL takes {room}, of which {} are open",
        server.open_connections
    );
    if i64::from(size) + i64::from(overflow) + i64::from(settings.connections_beside()) > room {
        let next = "lower DATABASE_MAX_OVERFLOW or raise max_connections: every process of the \
                    service takes as many";
        return Check::bad(NAME, found, next);
    }
    let cores = available_parallelism().map_or(1, usize::from);
    let enough = cores * PER_CORE;
    if server.is_local && size as usize > enough {
        let found = format!("{found}, on {cores} cores");
        let next = format!(
            "set DATABASE_POOL_SIZE={enough}: four times the cores of the database serve most"
        );
        return Check::warn(NAME, found, next);
    }
    Check::ok(NAME, format!("{found}; about four times its cores serve most"))
}

fn migrations(pending: &[String]) -> Check {
    const NAME: &str = "migrations";
    if pending.is_empty() {
        return Check::ok(NAME, "none is missing");
    }
    Check::bad(NAME, format!("missing: {}", pending.join(", ")), "run `jebi migrate`")
}

/// The events that are written and that no rule of the cache knows.
fn rules(events: &[String]) -> Check {
    const NAME: &str = "invalidation rules";
    let written = events.iter().map(String::as_str).chain(relay::NAMES.iter().copied());
    let mut unknown: Vec<&str> = written.filter(|event| !has_rule(event)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    if unknown.is_empty() {
        return Check::ok(NAME, "every event that is written ends the answers that show it");
    }
    let found = format!("no rule says what these events end: {}", unknown.join(", "));
    let next = "upgrade every process to the same version, or stop the program that writes them";
    Check::bad(NAME, found, next)
}

/// What is advised about the database, by check.
fn of_seen(seen: &Seen) -> Vec<Check> {
    let advice = advise(seen, &Known::default());
    let of = |kinds: &[&str]| -> Vec<&Advice> {
        advice.iter().filter(|advice| kinds.contains(&advice.kind)).collect()
    };
    let counted = |indexes: &Indexes| format!("{} indexes, all valid", indexes.all.len());
    let indexes = seen.indexes.as_ref().map_or_else(String::new, counted);
    let invalid = !of(&["invalid_index"]).is_empty();
    let large = seen.indexes.as_ref().is_some_and(Indexes::lacks_large);
    let severe = |is_severe| if is_severe { Verdict::Bad } else { Verdict::Warn };
    vec![
        told("indexes", severe(invalid), &of(&["invalid_index", "duplicate_index"]), &indexes),
        told(
            "foreign keys",
            severe(large),
            &of(&["missing_foreign_key_index"]),
            "each has an index",
        ),
        told("unused indexes", Verdict::Warn, &of(&["unused_index"]), "none above 1 MB"),
        told(
            "tables",
            Verdict::Warn,
            &of(&["sequential_scans", "dead_rows", "no_statistics", "visibility"]),
            "vacuumed, analyzed, and read by index",
        ),
        slow(seen.slow.as_ref(), &of(&["slow_statement"])),
    ]
}

/// The first of some advice, and how many there are.
fn told(name: &'static str, verdict: Verdict, advice: &[&Advice], fine: &str) -> Check {
    let Some(first) = advice.first() else { return Check::ok(name, fine) };
    let more = match advice.len() {
        1 => String::new(),
        count => format!(" (and {} more; GET /performance/database has all)", count - 1),
    };
    Check::new(name, verdict, format!("{}{more}", first.evidence), first.action.clone())
}

fn slow(slow: Option<&Result<Slow, NoStatistics>>, advice: &[&Advice]) -> Check {
    const NAME: &str = "slow statements";
    match slow {
        Some(Err(missing)) => Check::unknown(NAME, missing.to_string(), missing.next_step()),
        Some(Ok(slow)) if slow.hidden > 0 && advice.is_empty() => {
            let found =
                format!("{} statements of other roles are hidden from this one", slow.hidden);
            Check::unknown(NAME, found, "grant pg_read_all_stats to the user of DATABASE_URL")
        }
        Some(Ok(_)) | None => told(NAME, Verdict::Warn, advice, "none above 100 ms"),
    }
}
