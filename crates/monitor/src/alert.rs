//! Rules over measurements, and when they are raised and cleared.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Level, Monitor};

/// Alerts that are remembered, raised ones included.
const RECENT: usize = 256;

/// What a rule looks at. A name that ends in `*` stands for all that begin so, each judged by
/// itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Measurement {
    /// A percentile of an operation in milliseconds, such as 0.95.
    PercentileMs(String, f64),
    /// Failed ones as a share of all of an operation.
    ErrorShare(String),
    /// For how many milliseconds the oldest of an operation has been under way.
    OldestMs(String),
    /// The mean of a gauge, such as a pool's wait or a queue's age.
    Gauge(String),
    /// A share, such as a hit rate.
    Ratio(String),
}

/// On which side of the threshold it is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// More is worse.
    Above,
    /// Less is worse.
    Below,
}

/// When somebody has to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, for programs: `slow_endpoint`.
    pub name: String,
    /// The unit of the threshold: `ms`, `share`.
    pub unit: String,
    /// What it looks at.
    pub measurement: Measurement,
    /// The span that is measured each time.
    pub over: Duration,
    /// On which side it is bad.
    pub direction: Direction,
    /// Beyond this it is raised.
    pub raise_at: f64,
    /// At this or better it is cleared: less than `raise_at` for `Above`, more for `Below`.
    pub clear_at: f64,
    /// How long it must be bad without a break.
    pub raise_after: Duration,
    /// How long it must be good without a break.
    pub clear_after: Duration,
    /// Of fewer than this in the span nothing is concluded but that it is not bad.
    pub min_traffic: u64,
    /// Whether nothing at all is good, as where nobody waits; else it says nothing, as where nobody could look.
    pub is_idle_good: bool,
    /// The likely cause.
    pub cause: String,
    /// What to do next.
    pub next_step: String,
}

impl Rule {
    fn new(name: &str, measurement: Measurement, raise_at: f64, clear_at: f64) -> Self {
        let direction = if raise_at > clear_at { Direction::Above } else { Direction::Below };
        Self {
            name: name.to_owned(),
            unit: match measurement {
                Measurement::PercentileMs(..) | Measurement::OldestMs(_) => "ms",
                Measurement::ErrorShare(_) | Measurement::Ratio(_) => "share",
                Measurement::Gauge(_) => "",
            }
            .to_owned(),
            measurement,
            // Shorter than what must hold: what was bad for a moment is not told.
            over: Duration::from_secs(30),
            direction,
            raise_at,
            clear_at,
            raise_after: Duration::from_secs(45),
            clear_after: Duration::from_mins(1),
            min_traffic: 20,
            is_idle_good: true,
            cause: String::new(),
            next_step: String::new(),
        }
    }

    /// A p95 of queries above 100 ms, until it is below 80 ms.
    #[must_use]
    pub fn slow_query(operations: &str) -> Self {
        let measurement = Measurement::PercentileMs(operations.to_owned(), 0.95);
        Self {
            cause: "A query lacks an index, or its plan has changed".to_owned(),
            next_step: "Look at its plan under slow queries".to_owned(),
            ..Self::new("slow_query", measurement, 100.0, 80.0)
        }
    }

    /// A p95 of endpoints above 500 ms, until it is below 400 ms.
    #[must_use]
    pub fn slow_endpoint(operations: &str) -> Self {
        let measurement = Measurement::PercentileMs(operations.to_owned(), 0.95);
        Self {
            cause: "A query or a call behind the endpoint is slow".to_owned(),
            next_step: "Look at the bottlenecks of the last minutes".to_owned(),
            ..Self::new("slow_endpoint", measurement, 500.0, 400.0)
        }
    }

    /// A hit rate below 80 %, until it is above 85 %.
    #[must_use]
    pub fn low_hit_rate(ratio: &str) -> Self {
        Self {
            min_traffic: 100,
            cause: "Entries are invalidated too often, or do not fit".to_owned(),
            next_step: "Look at invalidations and evictions of the namespace".to_owned(),
            ..Self::new("low_hit_rate", Measurement::Ratio(ratio.to_owned()), 0.8, 0.85)
        }
    }

    /// More than 5 % of an operation fail, until fewer than 2 % do.
    #[must_use]
    pub fn many_errors(operations: &str) -> Self {
        Self {
            cause: "Something the operation needs is failing".to_owned(),
            next_step: "Look at the log for its errors".to_owned(),
            ..Self::new("many_errors", Measurement::ErrorShare(operations.to_owned()), 0.05, 0.02)
        }
    }

    /// Something that has been under way for more than a minute, until nothing is that has been
    /// for 48 s.
    #[must_use]
    pub fn never_ending(operations: &str) -> Self {
        Self {
            raise_after: Duration::ZERO,
            min_traffic: 1,
            cause: "What it waits for does not answer, or it has no timeout".to_owned(),
            next_step: "Look at what runs in PostgreSQL, and at the log since it began".to_owned(),
            ..Self::new(
                "never_ending",
                Measurement::OldestMs(operations.to_owned()),
                60_000.0,
                48_000.0,
            )
        }
    }

    /// A gauge of milliseconds above a limit, until it is a fifth below, for waits of a pool and
    /// ages of a queue.
    #[must_use]
    pub fn long_wait(name: &str, gauge: &str, limit_ms: f64) -> Self {
        Self {
            unit: "ms".to_owned(),
            min_traffic: 1,
            cause: "More comes in than is worked off".to_owned(),
            next_step: "Look at what holds connections or workers".to_owned(),
            ..Self::new(name, Measurement::Gauge(gauge.to_owned()), limit_ms, limit_ms * 0.8)
        }
    }

    /// What makes it no rule, if anything.
    fn fault(&self) -> Option<&'static str> {
        let is_between = match self.direction {
            Direction::Above => self.clear_at < self.raise_at,
            Direction::Below => self.clear_at > self.raise_at,
        };
        if !is_between || !self.raise_at.is_finite() || !self.clear_at.is_finite() {
            return Some("it is to clear where it is better than where it is raised");
        }
        if let Measurement::PercentileMs(_, share) = self.measurement
            && !(0.0..=1.0).contains(&share)
        {
            return Some("a percentile is a share from 0 to 1");
        }
        self.name.is_empty().then_some("it has no name")
    }

    fn is_bad(&self, value: f64) -> bool {
        match self.direction {
            Direction::Above => value > self.raise_at,
            Direction::Below => value < self.raise_at,
        }
    }

    fn is_good(&self, value: f64) -> bool {
        match self.direction {
            Direction::Above => value <= self.clear_at,
            Direction::Below => value >= self.clear_at,
        }
    }
}

/// What was measured at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When, on a clock that goes forward.
    pub at: Duration,
    /// The value, in the unit of the threshold.
    pub value: f64,
    /// Of how many.
    pub traffic: u64,
}

/// How a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleState {
    /// Whether somebody was told.
    pub is_raised: bool,
    /// Since when the opposite has been seen without a break.
    pub turning_since: Option<Duration>,
}

/// What a sample has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It is bad now.
    Raised,
    /// It is good again.
    Cleared,
}

/// Judges one sample. Pure: the same state and sample give the same answer.
#[must_use]
pub fn evaluate(rule: &Rule, state: RuleState, sample: &Sample) -> (RuleState, Option<Change>) {
    let is_known = sample.traffic >= rule.min_traffic && sample.value.is_finite();
    let (turns, after, change) = if state.is_raised {
        let is_good = if is_known { rule.is_good(sample.value) } else { rule.is_idle_good };
        (is_good, rule.clear_after, Change::Cleared)
    } else {
        (is_known && rule.is_bad(sample.value), rule.raise_after, Change::Raised)
    };
    if !turns {
        return (RuleState { turning_since: None, ..state }, None);
    }
    let since = state.turning_since.unwrap_or(sample.at).min(sample.at);
    if sample.at - since < after {
        return (RuleState { turning_since: Some(since), ..state }, None);
    }
    (RuleState { is_raised: !state.is_raised, turning_since: None }, Some(change))
}

/// An alert that was raised, and cleared or not yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The rule's name.
    pub rule: String,
    /// The operation, gauge or ratio.
    pub subject: String,
    /// The unit of value and threshold.
    pub unit: String,
    /// When it was raised, in milliseconds since 1970.
    pub raised_unix_ms: u64,
    /// When it was cleared.
    pub cleared_unix_ms: Option<u64>,
    /// What was measured when it was raised.
    pub value: f64,
    /// What it was measured against.
    pub threshold: f64,
    /// The likely cause.
    pub cause: String,
    /// What to do next.
    pub next_step: String,
}

/// Something to tell somebody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What has happened.
    pub change: Change,
    /// To which alert.
    pub alert: Alert,
}

/// A rule that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRule {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub fault: &'static str,
}

impl std::fmt::Display for BadRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the rule \"{}\" cannot be followed: {}", self.name, self.fault)
    }
}

impl std::error::Error for BadRule {}

/// Rules, how each stands, and the latest alerts.
#[derive(Debug)]
pub struct Alerter {
    rules: Vec<Rule>,
    states: BTreeMap<(String, String), RuleState>,
    /// Causes that are known better than the rule knows them, by rule and subject.
    causes: BTreeMap<(String, String), String>,
    recent: VecDeque<Alert>,
}

impl Alerter {
    /// Rules of which none is raised.
    ///
    /// # Errors
    /// The first rule that would flap or never be raised, and the second of two of one name.
    pub fn new(rules: Vec<Rule>) -> Result<Self, BadRule> {
        for (at, rule) in rules.iter().enumerate() {
            let is_again = rules[..at].iter().any(|before| before.name == rule.name);
            let again = is_again.then_some("another one has its name");
            if let Some(fault) = rule.fault().or(again) {
                return Err(BadRule { name: rule.name.clone(), fault });
            }
        }
        let (states, causes) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { rules, states, causes, recent: VecDeque::new() })
    }

    /// Says why a rule is, or would be, raised for a subject, in place of its likely cause; `None` where nothing more is known
    /// than that. Subjects are to be few: each is remembered.
    pub fn because(&mut self, rule: &str, subject: &str, cause: Option<String>) {
        let of = (rule.to_owned(), subject.to_owned());
        let Some(cause) = cause else {
            self.causes.remove(&of);
            return;
        };
        let is_it = |alert: &&mut Alert| {
            alert.rule == rule && alert.subject == subject && alert.cleared_unix_ms.is_none()
        };
        if let Some(raised) = self.recent.iter_mut().rev().find(is_it) {
            raised.cause.clone_from(&cause);
        }
        self.causes.insert(of, cause);
    }

    /// Takes up what [`Alerter::recent`] gave before a restart: what was raised is not raised
    /// again. Only the latest 256 are kept, and nothing that is raised of a rule that is no more:
    /// nobody would clear it.
    pub fn restore(&mut self, alerts: Vec<Alert>) {
        for alert in alerts {
            let is_raised = alert.cleared_unix_ms.is_none();
            let is_known = self.rules.iter().any(|rule| rule.name == alert.rule);
            if is_known {
                let state = RuleState { is_raised, turning_since: None };
                self.states.insert((alert.rule.clone(), alert.subject.clone()), state);
            }
            if is_known || !is_raised {
                self.recent.push_back(alert);
            }
        }
        self.forget();
    }

    /// The latest alerts, the oldest first; at most 256.
    pub fn recent(&self) -> impl Iterator<Item = &Alert> {
        self.recent.iter()
    }

    /// Judges all rules by what the monitor has measured.
    pub fn evaluate(&mut self, monitor: &Monitor) -> Vec<Event> {
        let (at, unix_ms) = (monitor.elapsed(), monitor.unix_ms());
        let mut events = Vec::new();
        for at_rule in 0..self.rules.len() {
            let measured = measure(&self.rules[at_rule], monitor);
            // What was raised and is not there any more, as after a restart, is idle.
            let is_gone = |subject: &String| measured.iter().all(|(known, _, _)| known != subject);
            let gone: Vec<String> = self.raised(at_rule).filter(|one| is_gone(one)).collect();
            let gone = gone.into_iter().map(|subject| (subject, 0.0, 0));
            for (subject, value, traffic) in measured.into_iter().chain(gone) {
                let sample = Sample { at, value, traffic };
                events.extend(self.judge(at_rule, subject, &sample, unix_ms));
            }
        }
        events
    }

    /// Of what a rule is raised.
    fn raised(&self, at_rule: usize) -> impl Iterator<Item = String> + '_ {
        let rule = &*self.rules[at_rule].name;
        let states =
            self.states.iter().filter(move |((of, _), state)| of == rule && state.is_raised);
        states.map(|((_, subject), _)| subject.clone())
    }

    fn judge(
        &mut self,
        at_rule: usize,
        subject: String,
        sample: &Sample,
        unix_ms: u64,
    ) -> Option<Event> {
        let rule = &self.rules[at_rule];
        let state = self.states.entry((rule.name.clone(), subject.clone())).or_default();
        let (next, change) = evaluate(rule, *state, sample);
        *state = next;
        let change = change?;
        let alert = match change {
            Change::Raised => {
                let known = self.causes.get(&(rule.name.clone(), subject.clone()));
                let alert = Alert {
                    rule: rule.name.clone(),
                    subject,
                    unit: rule.unit.clone(),
                    raised_unix_ms: unix_ms,
                    cleared_unix_ms: None,
                    value: sample.value,
                    threshold: rule.raise_at,
                    cause: known.unwrap_or(&rule.cause).clone(),
                    next_step: rule.next_step.clone(),
                };
                self.recent.push_back(alert.clone());
                self.forget();
                alert
            }
            Change::Cleared => {
                let is_it = |alert: &&mut Alert| {
                    alert.rule == rule.name
                        && alert.subject == subject
                        && alert.cleared_unix_ms.is_none()
                };
                let alert = self.recent.iter_mut().rev().find(is_it)?;
                alert.cleared_unix_ms = Some(unix_ms);
                alert.clone()
            }
        };
        Some(Event { change, alert })
    }

    fn forget(&mut self) {
        while self.recent.len() > RECENT {
            // What is still raised is forgotten last: its end has to be told.
            let cleared = self.recent.iter().position(|alert| alert.cleared_unix_ms.is_some());
            self.recent.remove(cleared.unwrap_or(0));
        }
    }
}

/// What a rule looks at: of which subject, the value, of how many.
fn measure(rule: &Rule, monitor: &Monitor) -> Vec<(String, f64, u64)> {
    let meant = |names: Vec<String>, pattern: &str| {
        let is_meant = |name: &String| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        };
        names.into_iter().filter(is_meant).collect::<Vec<_>>()
    };
    let operations = |pattern: &str| meant(monitor.operations(), pattern);
    let told = |name: String, level: Option<Level>| {
        let level = level.unwrap_or_default();
        (name, level.mean().unwrap_or_default(), level.count)
    };
    match &rule.measurement {
        Measurement::PercentileMs(pattern, share) => {
            let measured = |name: String| {
                let histogram = monitor.histogram(&name, rule.over)?;
                let value = histogram.quantile(*share).unwrap_or_default();
                Some((name, value.as_secs_f64() * 1_000.0, histogram.count()))
            };
            operations(pattern).into_iter().filter_map(measured).collect()
        }
        Measurement::ErrorShare(pattern) => {
            let measured = |name: String| {
                let summary = monitor.summary(&name, rule.over)?;
                let share = (summary.errors as f64 / summary.count.max(1) as f64).min(1.0);
                Some((name, share, summary.count))
            };
            operations(pattern).into_iter().filter_map(measured).collect()
        }
        Measurement::OldestMs(pattern) => {
            let measured = |name: String| {
                let in_flight = monitor.in_flight(&name)?;
                let oldest = in_flight.oldest.unwrap_or_default();
                Some((name, oldest.as_secs_f64() * 1_000.0, in_flight.count))
            };
            operations(pattern).into_iter().filter_map(measured).collect()
        }
        Measurement::Gauge(pattern) => {
            let measured = |name: String| {
                let level = monitor.gauge_level(&name, rule.over);
                told(name, level)
            };
            meant(monitor.levels().0, pattern).into_iter().map(measured).collect()
        }
        Measurement::Ratio(pattern) => {
            let measured = |name: String| {
                let level = monitor.ratio_level(&name, rule.over);
                told(name, level)
            };
            meant(monitor.levels().1, pattern).into_iter().map(measured).collect()
        }
    }
}
