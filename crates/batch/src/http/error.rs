//! Every way in which a call fails.

use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use crate::outcome::{Class, Failure};

/// Why there is no answer that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The client could not be made.
    Setup,
    /// Connecting failed.
    Connect,
    /// Connecting took too long.
    ConnectTimeout,
    /// All connections were in use for too long.
    NoConnection,
    /// The request could not be sent as it is, such as to an address of another scheme.
    Unsendable,
    /// Silence for too long, after the request was sent.
    ReadTimeout,
    /// It took too long, though something came now and then.
    TotalTimeout,
    /// The connection ended before the head of the answer.
    Reset,
    /// The body ended before its end.
    BodyCut,
    /// What came is not HTTP.
    Protocol,
    /// More bytes came, or were announced, than are read.
    WireTooLarge,
    /// It unpacks to more bytes than are read.
    DecodedTooLarge,
    /// It does not unpack.
    Undecodable,
    /// Too many characters are unreadable: it is in another charset.
    Charset,
    /// A redirect, which is not followed.
    Redirect(u16),
    /// Another status than 2xx.
    Status(u16),
    /// HTML where JSON or XML was expected, whatever its content type says.
    Html,
    /// Neither the expected format nor HTML.
    WrongFormat,
    /// Nothing where JSON or XML was expected.
    Empty,
}

impl Kind {
    /// What it means for repeating.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Connect | Self::ConnectTimeout | Self::NoConnection => Class::Unreached,
            Self::ReadTimeout | Self::TotalTimeout | Self::Reset | Self::BodyCut => {
                Class::Unanswered
            }
            Self::Status(status) => Class::of_status(status),
            Self::Setup | Self::Unsendable => Class::Rejected,
            Self::Protocol
            | Self::WireTooLarge
            | Self::DecodedTooLarge
            | Self::Undecodable
            | Self::Charset
            | Self::Redirect(_)
            | Self::Html
            | Self::WrongFormat
            | Self::Empty => Class::Unusable,
        }
    }
}

/// A call that failed. Its text holds no address, parameter or body.
#[derive(thiserror::Error)]
#[error("{kind:?}")]
pub struct Error {
    /// Why.
    pub kind: Kind,
    /// How long the other side asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The beginning of the body of an answer that says of itself that it is a failure; at most
    /// 64 KiB. Not for logs: it may say what was sent.
    pub body: String,
    pub(super) source: Option<reqwest::Error>,
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, retry_after, source, .. } = self;
        let mut text = f.debug_struct("Error");
        text.field("kind", kind).field("retry_after", retry_after).field("source", source);
        text.finish_non_exhaustive()
    }
}

impl Error {
    /// A failure of a kind, about which nothing more is known.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, retry_after: None, body: String::new(), source: None }
    }

    pub(super) fn because(self, source: reqwest::Error) -> Self {
        Self { source: Some(source.without_url()), ..self }
    }

    /// A call that failed before the head of an answer.
    pub(super) fn of_head(error: reqwest::Error) -> Self {
        let kind = match () {
            () if error.is_builder() => Kind::Unsendable,
            () if error.is_connect() && error.is_timeout() => Kind::ConnectTimeout,
            () if error.is_connect() => Kind::Connect,
            () if cause::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse) => {
                Kind::Protocol
            }
            () => Kind::Reset,
        };
        Self::new(kind).because(error)
    }

    /// A call that failed in the body of its answer.
    pub(super) fn of_body(error: reqwest::Error) -> Self {
        // Where a chunk should begin there is something else.
        let is_rubbish = |error: &std::io::Error| {
            matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData)
        };
        let is_rubbish = cause::<std::io::Error>(&error).is_some_and(is_rubbish);
        let kind = if is_rubbish { Kind::Protocol } else { Kind::BodyCut };
        Self::new(kind).because(error)
    }
}

fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.filter_map(|error| error.downcast_ref()).last()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.kind.class()).retry_after(error.retry_after).because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_says_whether_something_was_sent_and_whether_it_can_be_used() {
        for (kinds, class) in [
            (&[Kind::Connect, Kind::ConnectTimeout, Kind::NoConnection][..], Class::Unreached),
            (
                &[Kind::ReadTimeout, Kind::TotalTimeout, Kind::Reset, Kind::BodyCut],
                Class::Unanswered,
            ),
            (&[Kind::Setup, Kind::Unsendable, Kind::Status(404)], Class::Rejected),
            (&[Kind::Status(503)], Class::Unavailable),
            (&[Kind::Protocol, Kind::Redirect(302), Kind::Html, Kind::Empty], Class::Unusable),
        ] {
            for kind in kinds {
                assert_eq!(kind.class(), class, "{kind:?}");
            }
        }
    }

    #[test]
    fn an_error_keeps_what_it_was_caused_by() {
        let cause = reqwest::Proxy::all("http://[").unwrap_err();
        let text = cause.to_string();
        let error = Error::new(Kind::Unsendable).because(cause);
        assert_eq!(error.source().map(ToString::to_string), Some(text));
    }

    #[test]
    fn a_failure_knows_the_error_that_it_was_and_neither_shows_the_body() {
        let wait = Some(Duration::from_secs(9));
        let body = "who was it".to_owned();
        let error = Error { retry_after: wait, body, ..Error::new(Kind::Status(429)) };
        assert_eq!(
            format!("{error:?}"),
            "Error { kind: Status(429), retry_after: Some(9s), source: None, .. }"
        );
        let failure = Failure::from(error);
        assert_eq!((failure.class, failure.retry_after), (Class::Busy, wait));
        assert_eq!(failure.to_string(), "busy: Status(429)");
        let cause = failure.cause().and_then(|cause| cause.downcast_ref::<Error>());
        assert_eq!(cause.map(|error| &*error.body), Some("who was it"));
    }
}
