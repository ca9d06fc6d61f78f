//! How calls fail, and how items end.

use std::time::Duration;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What kind of failure it was, as far as repeating is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nothing was sent: no connection.
    Unreached,
    /// It was sent, and no whole answer came: a time-out, a reset, a body cut short.
    Unanswered,
    /// Not now: 408, 425, 429.
    Busy,
    /// 503: the other side says that it did nothing.
    Unavailable,
    /// Another 5xx.
    ServerError,
    /// Another 4xx, or whatever else says that the request is wrong.
    Rejected,
    /// An answer that cannot be used: a redirect, too large, not what was announced.
    Unusable,
    /// The caller's own work panicked.
    Panicked,
    /// The run was cancelled.
    Cancelled,
    /// The run's deadline passed.
    DeadlinePassed,
    /// Not tried: the account's breaker is open.
    BreakerOpen,
    /// Not tried: the account, or the API, is stopped until somebody releases it.
    Stopped,
    /// Not tried: too many wait for the API already.
    QueueFull,
    /// Not tried: the account was told to wait, or too many calls of an hour were wrong, and that time
    /// is not over.
    Paused,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Unreached,
        Self::Unanswered,
        Self::Busy,
        Self::Unavailable,
        Self::ServerError,
        Self::Rejected,
        Self::Unusable,
        Self::Panicked,
        Self::Cancelled,
        Self::DeadlinePassed,
        Self::BreakerOpen,
        Self::Stopped,
        Self::QueueFull,
        Self::Paused,
    ];

    /// The class of a status of HTTP that is no success.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            408 | 425 | 429 => Self::Busy,
            400..=499 => Self::Rejected,
            503 => Self::Unavailable,
            500..=599 => Self::ServerError,
            _ => Self::Unusable,
        }
    }

    /// Its name in logs and figures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreached => "unreached",
            Self::Unanswered => "unanswered",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::ServerError => "server_error",
            Self::Rejected => "rejected",
            Self::Unusable => "unusable",
            Self::Panicked => "panicked",
            Self::Cancelled => "cancelled",
            Self::DeadlinePassed => "deadline_passed",
            Self::BreakerOpen => "breaker_open",
            Self::Stopped => "stopped",
            Self::QueueFull => "queue_full",
            Self::Paused => "paused",
        }
    }

    /// Whether the other side was called. Being told to wait is no attempt either, but a call.
    pub(crate) const fn is_call(self) -> bool {
        !matches!(self, Self::BreakerOpen | Self::Stopped | Self::QueueFull | Self::Paused)
    }

    /// Whether it speaks against the other side's health, which is what a breaker counts.
    pub(crate) const fn is_outage(self) -> bool {
        matches!(self, Self::Unreached | Self::Unanswered | Self::Unavailable | Self::ServerError)
    }

    /// Whether it says that we do something wrong, which is what gets a client banned.
    pub(crate) const fn is_our_fault(self) -> bool {
        matches!(self, Self::Rejected | Self::Unusable)
    }
}

/// One attempt that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct Failure {
    /// What kind of failure it was.
    pub class: Class,
    /// How long the other side asks to be left alone.
    pub retry_after: Option<Duration>,
    source: Option<Source>,
}

impl Failure {
    /// A failure of a class.
    #[must_use]
    pub const fn new(class: Class) -> Self {
        Self { class, retry_after: None, source: None }
    }

    /// What it was caused by.
    #[must_use]
    pub fn because(self, source: impl Into<Source>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// How long the other side asks to be left alone.
    #[must_use]
    pub fn retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    /// What it was caused by, to be looked into by `downcast_ref`.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.source.as_deref()
    }

    fn text(&self) -> String {
        match &self.source {
            Some(source) => format!("{}: {source}", self.class.name()),
            None => self.class.name().to_owned(),
        }
    }
}

impl From<Class> for Failure {
    fn from(class: Class) -> Self {
        Self::new(class)
    }
}

/// What its failure means for an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Repeating changes nothing.
    Final,
    /// It was repeated as often as is allowed.
    Exhausted,
    /// Not now: park it. [`Failure::retry_after`] says for how long, where that is known.
    Later,
    /// A write that may have been done: ask the other side before anything is sent again.
    Ambiguous,
    /// The run ended first. Nothing is under way: it can be run again.
    Unfinished,
}

/// Why there is no result for an item.
#[derive(Debug, thiserror::Error)]
#[error("given up ({verdict:?}): {failure}")]
pub struct Error {
    /// What that means for the item.
    pub verdict: Verdict,
    /// The failure that was the last.
    #[source]
    pub failure: Failure,
}

/// How an item ended. Each item that was taken in has one.
#[derive(Debug)]
pub struct Outcome<I, T> {
    /// Its place among the items, from 0.
    pub index: u64,
    /// The item.
    pub item: I,
    /// How often it was tried. Being told to wait is no attempt.
    pub attempts: u32,
    /// How often it waited because it was told to, or because the account was not to be called.
    pub snoozes: u32,
    /// Its result.
    pub result: Result<T, Error>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_status_is_of_one_class() {
        for (statuses, class) in [
            (&[408, 425, 429][..], Class::Busy),
            (&[400, 401, 404, 409, 422, 499], Class::Rejected),
            (&[503], Class::Unavailable),
            (&[500, 501, 502, 504, 599], Class::ServerError),
            (&[0, 199, 200, 204, 301, 304, 399, 600], Class::Unusable),
        ] {
            for status in statuses {
                assert_eq!(Class::of_status(*status), class, "{status}");
            }
        }
    }

    #[test]
    fn a_class_speaks_against_the_other_side_or_against_us_or_against_nobody() {
        let that = |says: fn(Class) -> bool| {
            Class::ALL.into_iter().filter(|class| says(*class)).collect::<Vec<_>>()
        };
        let outages = [Class::Unreached, Class::Unanswered, Class::Unavailable, Class::ServerError];
        assert_eq!(that(Class::is_outage), outages);
        assert_eq!(that(Class::is_our_fault), [Class::Rejected, Class::Unusable]);
        let not_called = [Class::BreakerOpen, Class::Stopped, Class::QueueFull, Class::Paused];
        assert_eq!(that(|class| !class.is_call()), not_called);
        let names: BTreeSet<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        assert_eq!((names.len(), names.contains("unanswered")), (14, true));
    }

    #[test]
    fn a_failure_tells_its_class_its_cause_and_how_long_to_wait() {
        let plain = Failure::from(Class::Busy);
        assert_eq!(
            (plain.class, plain.retry_after, plain.to_string()),
            (Class::Busy, None, "busy".to_owned())
        );
        assert!(plain.cause().is_none());
        let wait = Some(Duration::from_secs(7));
        let told = plain.because("too many").retry_after(wait);
        assert_eq!((told.class, told.retry_after), (Class::Busy, wait));
        assert_eq!(told.to_string(), "busy: too many");
        assert_eq!(told.cause().map(ToString::to_string), Some("too many".to_owned()));
    }

    #[test]
    fn each_class_stands_at_its_place_in_the_list() {
        for (at, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at, "{}", class.name());
        }
    }
}
