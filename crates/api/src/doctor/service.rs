//! The running service: what only it knows.

use std::time::{Duration, Instant};

use awc::Client;
use awc::http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::check::{Check, Verdict};

/// The service has this long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The guide's: requests take less; more than the second is too slow.
const GOOD: Duration = Duration::from_millis(200);
const BAD: Duration = Duration::from_millis(500);
/// The guide's.
const GOOD_HIT_RATE: f64 = 0.8;
/// Fewer questions say nothing about a rate.
const ENOUGH: u64 = 1_000;

/// What an operator's key is needed for.
const ASKED: [&str; 4] = ["n+1", "plans", "pool waits", "hit rate"];
const HOW: &str = "give an operator's key (performance:read) by --key or JEBI_API_KEY";

pub(super) async fn checks(url: Option<&str>, key: Option<&SecretString>) -> Vec<Check> {
    let Some(url) = url else {
        return unknown("it is not known where the service is", "say it by --url or JEBI_URL");
    };
    let service = Service { client: Client::builder().timeout(PATIENCE).finish(), url };
    let mut checks = match service.response_time().await {
        Ok(check) => vec![check],
        Err(why) => {
            let found = format!("no answer from the service at {}: {why}", without_password(url));
            return unknown(&found, "start `jebi serve`, or say where it is by --url or JEBI_URL");
        }
    };
    let Some(key) = key else {
        checks.extend(ASKED.map(|name| Check::unknown(name, "only the service knows", HOW)));
        return checks;
    };
    match service.ask(key, "database").await {
        Ok(figures) => checks.extend(of_database(&figures)),
        Err(why) => checks.extend(ASKED[..3].iter().map(|name| Check::unknown(name, &*why, HOW))),
    }
    checks.push(match service.ask(key, "cache").await {
        Ok(figures) => hit_rate(&figures),
        Err(why) => Check::unknown("hit rate", why, HOW),
    });
    checks
}

fn unknown(found: &str, next: &str) -> Vec<Check> {
    let names = ["response time"].into_iter().chain(ASKED);
    names.map(|name| Check::unknown(name, found, next)).collect()
}

/// As it may be shown.
fn without_password(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}

struct Service<'a> {
    client: Client,
    url: &'a str,
}

impl Service<'_> {
    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }

    /// The middle of some requests, each with a statement in it.
    async fn response_time(&self) -> Result<Check, String> {
        const NAME: &str = "response time";
        const TIMES: usize = 5;
        let mut taken = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let began = Instant::now();
            let answer = self.client.get(self.path("/readyz")).send().await;
            let answer = answer.map_err(|error| error.to_string())?;
            taken.push(began.elapsed());
            if answer.status() != StatusCode::OK {
                let found = format!("/readyz answers {}", answer.status().as_u16());
                return Ok(Check::bad(NAME, found, "do what its answer says"));
            }
        }
        taken.sort_unstable();
        let middle = taken[TIMES / 2];
        let found = format!("{:.1} ms from here, with one statement", middle.as_secs_f64() * 1e3);
        let next = "see which checks above are not ok, and how busy its machine is";
        Ok(match middle {
            middle if middle < GOOD => Check::ok(NAME, found),
            middle if middle < BAD => Check::warn(NAME, found, next),
            _ => Check::bad(NAME, found, next),
        })
    }

    async fn ask(&self, key: &SecretString, what: &str) -> Result<Value, String> {
        /// More tables and indexes than that are a case of their own.
        const LIMIT_BYTES: usize = 16 << 20;
        let url = self.path(&format!("/api/v1/performance/{what}"));
        let asked = self.client.get(url).bearer_auth(key.expose_secret()).send().await;
        let mut answer = asked.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(match answer.status() {
                StatusCode::UNAUTHORIZED => "the service does not know this key".to_owned(),
                StatusCode::FORBIDDEN => "this key is no operator's".to_owned(),
                status => format!("the service answers {}", status.as_u16()),
            });
        }
        answer.json().limit(LIMIT_BYTES).await.map_err(|error| error.to_string())
    }
}

fn of_database(figures: &Value) -> [Check; 3] {
    let pool = &figures["pool"];
    let (waits, refused) = (&pool["waits"], pool["refused"].as_u64().unwrap_or(0));
    let waits = format!(
        "{waits} callers waited for a connection, {:.0} ms at most; {refused} got none",
        pool["longest_wait_ms"].as_f64().unwrap_or(0.0)
    );
    let waits = match refused {
        0 => Check::ok("pool waits", waits),
        _ => Check::warn(
            "pool waits",
            waits,
            "see which statements hold connections long; raise DATABASE_POOL_SIZE up to four times \
             the cores of the database",
        ),
    };
    let has_statistics = figures["statement_statistics"]["available"] == true;
    let plans = if has_statistics {
        advised("plans", figures, "plan_regression", "no statement reads more than it used to")
    } else {
        let text = |name: &str| {
            figures["statement_statistics"][name].as_str().unwrap_or("not told").to_owned()
        };
        Check::unknown("plans", text("reason"), text("next_step"))
    };
    [advised("n+1", figures, "n_plus_one", "no request repeats a statement"), plans, waits]
}

/// The first advice of a kind, which is bad news.
fn advised(name: &'static str, figures: &Value, kind: &str, fine: &str) -> Check {
    let all = figures["advice"].as_array().map_or(&[][..], Vec::as_slice);
    let mut of_kind = all.iter().filter(|advice| advice["kind"] == kind);
    let Some(first) = of_kind.next() else { return Check::ok(name, fine) };
    let text = |field: &str| first[field].as_str().unwrap_or_default().to_owned();
    let more = match of_kind.count() {
        0 => String::new(),
        more => format!(" (and {more} more; GET /performance/database has all)"),
    };
    Check::new(name, Verdict::Bad, text("evidence") + &more, text("action"))
}

fn hit_rate(figures: &Value) -> Check {
    const NAME: &str = "hit rate";
    let (l1, rate) = (&figures["l1"], figures["hit_rate"].as_f64().unwrap_or(0.0));
    let asked = ["hits", "misses"].iter().filter_map(|name| l1[name].as_u64()).sum::<u64>();
    let found = format!("{:.0} % of {asked} answers came without a load", rate * 100.0);
    if asked < ENOUGH {
        return Check::unknown(NAME, found, "ask again after some thousand requests");
    }
    if rate < GOOD_HIT_RATE {
        let next = "see the suggestions of GET /performance/cache";
        return Check::warn(NAME, found, next);
    }
    let saved = figures["compression"]["saved"].as_f64();
    let saved = saved.map_or_else(String::new, |saved| {
        format!("; compression saves {:.0} % in Redis", saved * 100.0)
    });
    Check::ok(NAME, found + &saved)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(figures: &Value) -> Verdict {
        hit_rate(figures).verdict
    }

    #[test]
    fn a_hit_rate_is_judged_once_there_are_enough_answers() {
        let figures = |hits: u64, misses: u64, hit_rate: f64| json!({ "hit_rate": hit_rate, "l1": { "hits": hits, "misses": misses } });
        assert_eq!(verdict(&figures(0, 999, 0.0)), Verdict::Unknown);
        assert_eq!(verdict(&figures(790, 210, 0.79)), Verdict::Warn);
        assert_eq!(verdict(&figures(800, 200, 0.8)), Verdict::Ok);
    }

    #[test]
    fn what_the_service_found_is_told_and_the_rest_counted() {
        let advice = |kind: &str, evidence: &str| json!({ "kind": kind, "evidence": evidence, "action": "act" });
        let mut figures = json!({
            "pool": { "waits": 3, "longest_wait_ms": 7.4, "refused": 0 },
            "statement_statistics": { "available": true },
            "advice": [
                advice("n_plus_one", "first"), advice("n_plus_one", "second"),
                advice("plan_regression", "worse"),
            ],
        });
        let [repeats, plans, waits] = of_database(&figures);
        assert_eq!(repeats.verdict, Verdict::Bad);
        assert!(repeats.found.starts_with("first (and 1 more"), "{}", repeats.found);
        assert_eq!((plans.verdict, plans.found.as_str()), (Verdict::Bad, "worse"));
        assert_eq!(waits.found, "3 callers waited for a connection, 7 ms at most; 0 got none");
        figures["pool"]["refused"] = json!(2);
        figures["statement_statistics"] =
            json!({ "available": false, "reason": "why", "next_step": "do" });
        figures["advice"] = json!([]);
        let verdicts = of_database(&figures).map(|check| check.verdict);
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Unknown, Verdict::Warn]);
    }
}
