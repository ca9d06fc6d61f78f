//! Why a stream ends before its end.

use crate::outcome::{self, Class, Failure};

/// Why a stream ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call failed, and was repeated as often as that makes sense.
    #[error("{api}: {source}")]
    Call {
        /// Which.
        api: &'static str,
        /// How, and what that means.
        source: outcome::Error,
    },
    /// The list goes on and on without anything new: a cursor that does not advance, pages that are
    /// all the same.
    #[error("{0} does not get on")]
    Stuck(&'static str),
    /// A checkpoint of another stream, or of another wholesaler.
    #[error("the checkpoint belongs to another stream")]
    ForeignCheckpoint,
    /// A window that ends before it begins.
    #[error("the window ends before it begins")]
    BadWindow,
}

impl Error {
    /// What it is as far as repeating is concerned.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Call { source, .. } => source.failure.class,
            Self::Stuck(_) => Class::Unusable,
            Self::ForeignCheckpoint | Self::BadWindow => Class::Rejected,
        }
    }
}

/// What a wholesaler says about a call that it did not do. Its words, cut and made harmless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {message}")]
pub struct Refusal {
    /// A code, where it has one.
    pub code: String,
    /// A sentence.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(code: &str, message: &str) -> Self {
        Self { code: harmless(code), message: harmless(message) }
    }

    pub(super) fn of(self, class: Class) -> Failure {
        Failure::new(class).because(self)
    }
}

/// An answer that is not in the shape that was agreed on.
pub(super) fn unusable(why: &'static str) -> Failure {
    Failure::new(Class::Unusable).because(why)
}

/// Nothing of it begins a line of a log, or fills one.
fn harmless(text: &str) -> String {
    text.chars().take(200).map(|one| if one.is_control() { ' ' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Verdict;

    #[test]
    fn an_error_is_of_the_class_of_what_failed() {
        let failure = Failure::new(Class::Busy);
        let source = outcome::Error { verdict: Verdict::Later, failure };
        assert_eq!(Error::Call { api: "items", source }.class(), Class::Busy);
        assert_eq!(Error::Stuck("items").class(), Class::Unusable);
        assert_eq!(Error::ForeignCheckpoint.class(), Class::Rejected);
        assert_eq!(Error::BadWindow.class(), Class::Rejected);
    }

    #[test]
    fn what_a_wholesaler_says_fills_no_log_and_begins_no_line_of_it() {
        let refusal = Refusal::new("E\n1", &format!("no\r{}", "가".repeat(300)));
        assert_eq!(refusal.code, "E 1");
        assert_eq!(refusal.message, format!("no {}", "가".repeat(197)));
        let failure = refusal.clone().of(Class::Rejected);
        assert_eq!(failure.class, Class::Rejected);
        let cause = failure.cause().and_then(|cause| cause.downcast_ref::<Refusal>());
        assert_eq!(cause, Some(&refusal));
        let failure = unusable("no list");
        assert_eq!(failure.to_string(), "unusable: no list");
    }
}
