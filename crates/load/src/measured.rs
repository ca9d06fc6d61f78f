use std::time::Duration;

use jebi_monitor::Histogram;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::client::{Answer, Failure, Level};
use crate::generator::Generator;
use crate::request::Kind;

/// How long answers took: percentiles within 0.78 %.
#[derive(Debug, Clone, Default)]
pub struct Latency {
    histogram: Histogram,
    sum: Duration,
}

impl Latency {
    pub(crate) fn record(&mut self, took: Duration) {
        self.histogram.record(took);
        self.sum += took;
    }

    /// Adds what another has measured.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.merge(&other.histogram);
        self.sum += other.sum;
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.count()
    }

    /// `None` where there are none.
    #[must_use]
    pub fn mean_ms(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum.as_secs_f64() * 1e3 / count as f64)
    }

    /// The latency that a share of all is not above: `0.99` gives the p99.
    #[must_use]
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        self.histogram.quantile(share).map(ms)
    }

    /// The longest.
    #[must_use]
    pub fn max_ms(&self) -> f64 {
        ms(self.histogram.max())
    }

    /// Milliseconds, and how many took that long.
    #[must_use]
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let none = Histogram::default();
        self.histogram.since(&none).map(|(at, count)| (ms(at), count)).collect()
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut figures = serializer.serialize_struct("Latency", 7)?;
        figures.serialize_field("count", &self.count())?;
        figures.serialize_field("mean_ms", &self.mean_ms())?;
        figures.serialize_field("p50_ms", &self.quantile_ms(0.5))?;
        figures.serialize_field("p99_ms", &self.quantile_ms(0.99))?;
        figures.serialize_field("p999_ms", &self.quantile_ms(0.999))?;
        figures.serialize_field("max_ms", &self.max_ms())?;
        // Milliseconds and how many: percentiles of several runs together can be had of these alone.
        figures.serialize_field("histogram", &self.buckets())?;
        figures.end()
    }
}

/// What came of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Answered with 2xx or 304.
    pub ok: u64,
    /// 429 or 503 with `Retry-After`: the service had too much to do, and said so.
    pub refused: u64,
    /// Any other 4xx: the request was wrong.
    pub wrong: u64,
    /// 5xx other than a refusal.
    pub failed: u64,
    /// The connection broke, or the answer did not come or could not be read.
    pub broken: u64,
    /// Answered from the cache.
    pub hits: u64,
    /// Answered from the database.
    pub misses: u64,
}

impl Counts {
    /// All that were sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.ok + self.errors()
    }

    /// All that were sent and are not what was wanted, refusals among them.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.refused + self.wrong + self.failed + self.broken
    }

    /// The share of reads that came from the cache; `None` where no answer says where it came from.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let reads = self.hits + self.misses;
        (reads > 0).then(|| self.hits as f64 / reads as f64)
    }

    fn merge(&mut self, other: &Self) {
        self.ok += other.ok;
        self.refused += other.refused;
        self.wrong += other.wrong;
        self.failed += other.failed;
        self.broken += other.broken;
        self.hits += other.hits;
        self.misses += other.misses;
    }
}

/// What came of the requests of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct KindMeasured {
    /// Which kind.
    #[serde(flatten)]
    pub kind: Kind,
    /// What came of them.
    #[serde(flatten)]
    pub counts: Counts,
    /// How long those that were answered took.
    pub latency: Latency,
}

/// What was answered within one second of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Second {
    /// As wanted.
    pub ok: u64,
    /// Not as wanted.
    pub errors: u64,
    /// The longest that an answer as wanted took, in microseconds.
    pub longest_us: u64,
}

/// The times of a request, from the beginning of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    /// It was to be sent.
    pub(crate) intended: Duration,
    /// It was.
    pub(crate) sent: Duration,
    /// The answer was there.
    pub(crate) ended: Duration,
}

/// What a run has measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// How long it went on.
    pub seconds: f64,
    /// Requests that were to be sent; of a closed loop, that were sent.
    pub intended: u64,
    /// Those of them that nobody was free to send before the end: the service could not keep up. Their latency so far is in
    /// `latency`.
    pub unsent: u64,
    /// What came of the others.
    pub counts: Counts,
    /// Of what was answered as wanted, from when it was to be sent.
    pub latency: Latency,
    /// Of those of them from the cache.
    pub hits: Latency,
    /// Of those from the database.
    pub misses: Latency,
    /// Of refusals, from when the request was really sent: whether the service says no at once.
    pub refusals: Latency,
    /// Bytes of bodies.
    pub body_bytes: u64,
    /// By kind.
    pub kinds: Vec<KindMeasured>,
    /// By second of the run.
    pub by_second: Vec<Second>,
    /// How the generator did.
    pub generator: Generator,
}

impl Measured {
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        let kind = |kind: &Kind| KindMeasured {
            kind: kind.clone(),
            counts: Counts::default(),
            latency: Latency::default(),
        };
        Self {
            seconds: 0.0,
            intended: 0,
            unsent: 0,
            counts: Counts::default(),
            latency: Latency::default(),
            hits: Latency::default(),
            misses: Latency::default(),
            refusals: Latency::default(),
            body_bytes: 0,
            kinds: kinds.iter().map(kind).collect(),
            by_second: vec![],
            generator: Generator::default(),
        }
    }

    pub(crate) fn note(&mut self, kind: usize, done: &Result<Answer, Failure>, when: When) {
        let When { intended, sent, ended: at } = when;
        let took = at.saturating_sub(intended);
        let second = usize::try_from(at.as_secs()).unwrap_or(0);
        if self.by_second.len() <= second {
            self.by_second.resize(second + 1, Second::default());
        }
        let second = &mut self.by_second[second];
        let mut counts = Counts::default();
        match done {
            Ok(Answer { status: 200..=299 | 304, level, .. }) => {
                counts.ok = 1;
                match level {
                    Some(Level::Hit) => counts.hits = 1,
                    Some(Level::Miss) => counts.misses = 1,
                    None => {}
                }
                second.ok += 1;
                let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                second.longest_us = second.longest_us.max(us);
            }
            Ok(Answer { status: 429 | 503, says_when: true, .. }) => counts.refused = 1,
            Ok(Answer { status: 400..=499, .. }) => counts.wrong = 1,
            Ok(_) => counts.failed = 1,
            Err(_) => counts.broken = 1,
        }
        second.errors += counts.errors();
        if counts.refused > 0 {
            self.refusals.record(at.saturating_sub(sent));
        }
        if counts.hits > 0 {
            self.hits.record(took);
        }
        if counts.misses > 0 {
            self.misses.record(took);
        }
        let measured = &mut self.kinds[kind];
        if counts.ok > 0 {
            self.latency.record(took);
            measured.latency.record(took);
        }
        measured.counts.merge(&counts);
        self.counts.merge(&counts);
        self.body_bytes += done.as_ref().map_or(0, |answer| answer.body_bytes as u64);
    }

    /// Notes one that was to be sent and was not, and has waited `so_far`.
    pub(crate) fn note_unsent(&mut self, so_far: Duration) {
        self.unsent += 1;
        self.latency.record(so_far);
    }

    /// Adds another run with the same kinds.
    pub fn merge(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.intended += other.intended;
        self.unsent += other.unsent;
        self.counts.merge(&other.counts);
        self.latency.merge(&other.latency);
        self.hits.merge(&other.hits);
        self.misses.merge(&other.misses);
        self.refusals.merge(&other.refusals);
        self.body_bytes += other.body_bytes;
        for (kind, other) in self.kinds.iter_mut().zip(&other.kinds) {
            kind.counts.merge(&other.counts);
            kind.latency.merge(&other.latency);
        }
        self.by_second.extend_from_slice(&other.by_second);
        self.generator.merge(&other.generator);
    }

    /// Answers as wanted in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.counts.ok as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Why these figures are the generator's more than the service's: a sentence each, none where they are to be trusted.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        self.generator.doubts(&self.latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, says_when: bool, level: Option<Level>) -> Result<Answer, Failure> {
        Ok(Answer { status, level, body_bytes: 10, says_when })
    }

    #[test]
    fn each_answer_is_counted_as_what_it_is() {
        let kinds = [Kind { name: "page".to_owned(), is_write: false }];
        let mut measured = Measured::new(&kinds);
        let at = |seconds| {
            let ended = Duration::from_secs(seconds) + Duration::from_millis(4);
            When { intended: Duration::from_secs(seconds), sent: ended / 2, ended }
        };
        measured.note(0, &answer(200, false, Some(Level::Hit)), at(0));
        measured.note(0, &answer(304, false, Some(Level::Miss)), at(0));
        measured.note(0, &answer(201, false, None), at(2));
        measured.note(0, &answer(503, true, None), at(2));
        measured.note(0, &answer(503, false, None), at(2));
        measured.note(0, &answer(422, false, None), at(2));
        measured.note(0, &Err(Failure::Unreadable), at(2));
        measured.note_unsent(Duration::from_secs(9));
        let expected =
            Counts { ok: 3, refused: 1, wrong: 1, failed: 1, broken: 1, hits: 1, misses: 1 };
        assert_eq!(measured.counts, expected);
        assert_eq!(measured.kinds[0].counts, expected);
        assert_eq!((expected.errors(), expected.hit_rate()), (4, Some(0.5)));
        assert_eq!((measured.latency.count(), measured.kinds[0].latency.count()), (4, 3));
        assert_eq!((measured.hits.count(), measured.misses.count()), (1, 1));
        assert_eq!((measured.refusals.count(), measured.unsent), (1, 1));
        assert_eq!(measured.body_bytes, 60);
        let seconds: Vec<(u64, u64)> =
            measured.by_second.iter().map(|second| (second.ok, second.errors)).collect();
        assert_eq!(seconds, [(2, 0), (0, 0), (1, 4)]);

        let other = measured.clone();
        measured.merge(&other);
        assert_eq!((measured.counts.ok, measured.latency.count()), (6, 8));
        assert!((measured.latency.mean_ms().unwrap() - 2_253.0).abs() < 1e-6);
        assert_eq!(measured.latency.max_ms(), 9_000.0);
        assert_eq!(Latency::default().mean_ms(), None);
    }
}
