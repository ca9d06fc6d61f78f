//! When somebody is told, and of what.

use std::time::Duration;

use jebi_db_optimizer::timings;
use jebi_monitor::Rule;

use super::endpoints::HTTP;
use super::sample::{CACHE, COLLECTED, POOL_WAIT_MS, PRICE_AGE, QUEUE_AGE_MS, REDIS};

/// A pool that lets callers wait so long in the mean is too small, or held by something slow.
const POOL_WAIT_LIMIT_MS: f64 = 100.0;
/// Work that is due and that nobody takes for so long is late.
const QUEUE_AGE_LIMIT_MS: f64 = 60_000.0;

pub(super) fn all() -> Vec<Rule> {
    let told = |rule: Rule, cause: &str, next_step: &str| Rule {
        cause: cause.to_owned(),
        next_step: next_step.to_owned(),
        ..rule
    };
    let (http, sql) = (format!("{HTTP}*"), format!("{}*", timings::PREFIX));
    vec![
        told(
            Rule::slow_endpoint(&http),
            "a statement behind it is slow, or it waits for a connection",
            "look at the slow queries and the pool on the dashboard; run `jebi doctor`",
        ),
        told(
            Rule::slow_query(&sql),
            "it lacks an index, its plan has changed, or it waits for a lock",
            "look at its plan under slow queries; run `jebi optimize --dry-run`",
        ),
        told(
            Rule::many_errors(&http),
            "something that it needs fails",
            "look at /readyz, and in the log for the request ids of its failures",
        ),
        told(
            Rule::low_hit_rate(&format!("{CACHE}*")),
            "entries do not fit, or are ended by writes before they are asked for again",
            "look at entries and invalidations of the namespace; see JEBI_CACHE_MAX_ENTRIES",
        ),
        Rule {
            // Callers who had to wait at all.
            min_traffic: 5,
            ..told(
                Rule::long_wait("pool_wait", POOL_WAIT_MS, POOL_WAIT_LIMIT_MS),
                "all connections are in use: there are too few, or something holds them for long",
                "look at the slow queries; then see DATABASE_POOL_SIZE and DATABASE_MAX_OVERFLOW",
            )
        },
        Rule {
            // Looked at every five seconds; while PostgreSQL is away nobody knows.
            min_traffic: 1,
            is_idle_good: false,
            ..told(
                Rule::long_wait("queue_age", QUEUE_AGE_MS, QUEUE_AGE_LIMIT_MS),
                "more jobs come in than are worked off, or no worker runs",
                "see that a worker runs (`jebi worker`, JEBI_WORKERS), and look at the jobs",
            )
        },
        Rule {
            // Looked at every second.
            min_traffic: 1,
            raise_after: Duration::from_secs(15),
            ..told(
                Rule {
                    name: "redis_away".to_owned(),
                    raise_at: 0.5,
                    clear_at: 0.9,
                    ..Rule::low_hit_rate(REDIS)
                },
                "Redis does not answer, or too late; every process caches for itself",
                "see that Redis runs at REDIS_URL; look at /readyz",
            )
        },
        Rule {
            // Looked at every five seconds; while PostgreSQL is away nobody knows.
            min_traffic: 1,
            is_idle_good: false,
            unit: "share".to_owned(),
            ..told(
                // Of what is promised.
                Rule::long_wait("old_prices", &format!("{PRICE_AGE}*"), 1.0),
                "changes are not followed as the schedule says: calls fail, or there are too many",
                "look at the wholesalers on the dashboard; see JEBI_FOLLOW_SCHEDULE and JEBI_COLLECTORS",
            )
        },
        Rule {
            min_traffic: 1,
            is_idle_good: false,
            raise_after: Duration::from_secs(10),
            ..told(
                Rule {
                    name: "collection_fails".to_owned(),
                    raise_at: 0.999_999,
                    clear_at: 1.0,
                    ..Rule::low_hit_rate(&format!("{COLLECTED}*"))
                },
                "a wholesaler refuses, sends nothing that can be read, or less than it had",
                "look at the wholesalers on the dashboard, or at /api/v1/performance/wholesaler-apis; what was \
                 known stays as it is",
            )
        },
        told(
            Rule::never_ending(&http),
            "what it waits for does not answer",
            "look in pg_stat_activity for what runs, and in the log for what began then",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use jebi_monitor::Alerter;

    use super::all;

    #[test]
    fn they_can_be_followed_and_each_says_why_and_what_to_do() {
        assert!(Alerter::new(all()).is_ok());
        for rule in all() {
            assert!(!rule.cause.is_empty() && !rule.next_step.is_empty(), "{}", rule.name);
            assert!(["ms", "share"].contains(&&*rule.unit), "{}", rule.name);
        }
    }
}
