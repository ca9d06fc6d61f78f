//! Whether an index helps, found out by running what it serves and everything else.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::capture::{self, Captured, captured};
use super::catalogue::{Catalogue, Index};
use super::failure::{Failure, said};
use super::measure::{Measured, measure};
use super::report::{QueryReport, Unmeasured};
use super::session::Session;
use super::workload::{self, Query};
use super::{Progress, Watcher};

/// A statement may read so many times what it read before.
const HARM: f64 = 1.2;
/// So many pages more are no harm whatever they were before: an index that has grown by a level, a row that was changed
/// meanwhile.
const SLACK: u64 = 4;
/// What only the server knows is measured for so long at most, those that read most first.
const BUDGET: Duration = Duration::from_secs(120);
/// How often a suspicion is looked at again, for writers change what is read.
const AGAIN: u32 = 3;

/// The statements of a run, each with what it reads by now.
pub(super) struct Verifier {
    /// Statements that are run again run here: what they set or lock is nobody's.
    client: Client,
    queries: Vec<Query>,
    captured: Captured,
    before: Vec<Measured>,
    now: Vec<Measured>,
    is_behind: bool,
}

impl Verifier {
    /// Takes the statements and measures them.
    pub(super) async fn begin(
        session: &Session,
        catalogue: &Catalogue,
        watcher: &Watcher,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let refused = |error: tokio_postgres::Error| Failure::Refused {
            doing: "take values for the workload".to_owned(),
            said: said(&error),
            left: "no index was changed".to_owned(),
        };
        let client = session.beside().await.map_err(refused)?;
        let mut queries = workload::of_jebi(session).await.map_err(refused)?;
        let mut captured = captured(session, &client, &queries).await;
        capture::named(session, &client, &catalogue.queries, &mut captured)
            .await
            .map_err(refused)?;
        queries.append(&mut captured.queries);
        let mut before = Vec::with_capacity(queries.len());
        let begun = Instant::now();
        for (at, query) in queries.iter().enumerate() {
            if at % 10 == 0 {
                watcher(Progress::Measuring { done: at, total: queries.len() });
            }
            before.push(if stop.is_cancelled() {
                return Err(stopped("measure the workload"));
            } else if query.is_foreign() && begun.elapsed() > BUDGET {
                Measured::NoTime
            } else {
                measure(&client, query).await
            });
        }
        Ok(Self { client, captured, now: before.clone(), queries, before, is_behind: false })
    }

    /// Why an index has to go again, where it has: no query that it serves uses it and reads less for it, or some query reads
    /// more than before. Else what it changes is what later indexes are compared with.
    ///
    /// # Errors
    /// Where the queries that it serves could not be run: then nothing is known of it.
    pub(super) async fn judge(
        &mut self,
        session: &Session,
        index: &Index,
        watcher: &Watcher,
        stop: &CancellationToken,
    ) -> Result<Option<String>, Failure> {
        self.connect(session).await?;
        let parts = session.parts_of(index).await;
        let parts = parts.map_err(|error| cannot_measure(&said(&error)))?;
        let mut after = Vec::with_capacity(self.queries.len());
        for (at, query) in self.queries.iter().enumerate() {
            if at % 10 == 0 {
                watcher(Progress::Measuring { done: at, total: self.queries.len() });
            }
            if stop.is_cancelled() {
                return Err(stopped("judge an index"));
            }
            // What was too slow before is no measure of anything.
            let was_measured =
                self.now[at].plan().is_some() || index.serves.contains(&query.name.as_str());
            if !was_measured {
                after.push(self.now[at].clone());
                continue;
            }
            let mut measured = measure(&self.client, query).await;
            for _ in 0..AGAIN {
                if harm(&self.now[at], &measured, &parts).is_none() {
                    break;
                }
                let again = measure(&self.client, query).await;
                if again.buffers().unwrap_or(u64::MAX) < measured.buffers().unwrap_or(u64::MAX) {
                    measured = again;
                }
            }
            after.push(measured);
        }
        let all = self.queries.iter().zip(&after);
        let served = all.filter(|(query, _)| index.serves.contains(&query.name.as_str()));
        for (_, measured) in served {
            if let Measured::Failed(because) = measured {
                return Err(cannot_measure(because));
            }
        }
        let verdict = self.useless(index, &after, &parts).or_else(|| {
            let all = self.queries.iter().zip(self.now.iter().zip(&after));
            all.filter_map(|(query, (now, after))| {
                harm(now, after, &parts).map(|harm| format!("{} reads {harm}", query.name))
            })
            .next()
        });
        if verdict.is_none() {
            self.now = after;
        }
        Ok(verdict)
    }

    /// Why an index does no good: none of the queries that it serves uses it, or none of them reads less for it.
    fn useless(&self, index: &Index, after: &[Measured], parts: &[String]) -> Option<String> {
        let all = self.queries.iter().zip(self.now.iter().zip(after));
        let served = all.filter(|(query, _)| index.serves.contains(&query.name.as_str()));
        let read = served.filter_map(|(query, (now, after))| {
            Some((query.name.as_str(), now.buffers(), after.plan()?))
        });
        let read: Vec<_> = read.collect();
        let mut names: Vec<&str> = read.iter().map(|(name, ..)| *name).collect();
        names.dedup();
        let names = names.join(", ");
        if read.is_empty() {
            None
        } else if !read.iter().any(|(.., plan)| plan.uses(parts)) {
            Some(format!("no query that it serves uses it ({names})"))
        } else if !read.iter().any(|(_, now, plan)| now.is_none_or(|now| plan.buffers() < now)) {
            Some(format!("no query that it serves reads less for it ({names})"))
        } else {
            None
        }
    }

    /// Statements run on a connection of their own, which may have been lost while an index was built.
    async fn connect(&mut self, session: &Session) -> Result<(), Failure> {
        if self.client.is_closed() {
            let again = session.beside().await;
            self.client = again.map_err(|error| cannot_measure(&said(&error)))?;
        }
        Ok(())
    }

    /// An index was built that is kept in any case: what was measured is to be measured again before it is compared with.
    pub(super) const fn has_changed(&mut self) {
        self.is_behind = true;
    }

    /// Measures again what indexes changed that were not judged.
    pub(super) async fn catch_up(&mut self, session: &Session) -> Result<(), Failure> {
        if self.is_behind {
            self.connect(session).await?;
            for (query, now) in self.queries.iter().zip(&mut self.now) {
                *now = measure(&self.client, query).await;
            }
            self.is_behind = false;
        }
        Ok(())
    }

    pub(super) fn reports(&self) -> Vec<QueryReport> {
        let all = self.queries.iter().zip(self.before.iter().zip(&self.now)).enumerate();
        all.map(|(at, (query, (before, now)))| QueryReport {
            name: query.name.clone(),
            endpoint: query.endpoint.clone(),
            text: query.shown(),
            calls: self.captured.calls.get(&at).copied(),
            before_buffers: before.buffers(),
            after_buffers: now.buffers(),
            before_plan: before.plan().map(crate::Plan::outline),
            after_plan: now.plan().map(crate::Plan::outline),
            because: why_missing(before).or_else(|| why_missing(now)),
        })
        .collect()
    }

    pub(super) fn unmeasured(&self) -> Vec<Unmeasured> {
        let one = |(text, because): &(String, String)| Unmeasured {
            text: text.clone(),
            because: because.clone(),
        };
        self.captured.unmeasured.iter().map(one).collect()
    }

    pub(super) fn capture(&self) -> Option<String> {
        self.captured.because.clone()
    }

    /// Whether something can be said about an index at all.
    pub(super) fn knows(&self, index: &Index) -> bool {
        self.queries.iter().any(|query| index.serves.contains(&query.name.as_str()))
    }
}

fn cannot_measure(because: &str) -> Failure {
    Failure::Refused {
        doing: "run the statements that an index is judged by".to_owned(),
        said: because.to_owned(),
        left: "the index is there, and the next run judges it".to_owned(),
    }
}

fn why_missing(measured: &Measured) -> Option<String> {
    match measured {
        Measured::Read(_) => None,
        Measured::NoTime => Some("there was no time left for it".to_owned()),
        Measured::TimedOut => Some("it took longer than the 5 s that a replay may take".to_owned()),
        Measured::Failed(because) => Some(because.clone()),
    }
}

/// What a statement reads, where that is too much more than before and the index has a part in it. What reads more and does
/// not use it does so for other reasons: rows that were written meanwhile.
fn harm(before: &Measured, after: &Measured, parts: &[String]) -> Option<String> {
    let before = before.buffers()?;
    match after {
        Measured::Read(plan) => {
            let after = plan.buffers();
            (is_harm(before, after) && plan.uses(parts))
                .then(|| format!("{after} buffers, {before} before"))
        }
        Measured::TimedOut => Some(format!("longer than 5 s, {before} buffers before")),
        Measured::NoTime | Measured::Failed(_) => None,
    }
}

fn stopped(doing: &str) -> Failure {
    let left = "what was built before is there; the next run judges what was not judged".to_owned();
    Failure::Stopped { doing: doing.to_owned(), left }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio of counts that are far below 2^53")]
fn is_harm(before: u64, after: u64) -> bool {
    after as f64 > before as f64 * HARM && after > before + SLACK
}

#[cfg(test)]
mod tests {
    use super::is_harm;

    #[test]
    fn harm_is_a_fifth_more_and_some_pages() {
        assert!(!is_harm(4, 8), "a level more of the tree");
        assert!(is_harm(4, 9));
        assert!(!is_harm(100, 120));
        assert!(is_harm(100, 121));
        assert!(!is_harm(100, 3));
    }
}
