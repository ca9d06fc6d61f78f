//! What is sent back, and how badly.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::charset::Charset;
use crate::flight::Flight;

/// An answer: what is in it, and the script by which it goes over the wire.
#[derive(Debug)]
pub struct SimResponse {
    /// The status code.
    pub status: u16,
    /// Names and values. There is no `Content-Length`: whoever sends it knows the body.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// How it is sent.
    pub script: Script,
    /// Whether it answers a mistake of the caller's.
    pub(crate) is_mistake: bool,
    /// The call is under way until this is dropped.
    pub(crate) flight: Option<Flight>,
}

impl SimResponse {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        let (body, script) = (Body::Whole(body.into()), Script::default());
        Self { status, headers, body, script, is_mistake: false, flight: None }
    }

    /// Text in a charset that the header declares.
    pub(crate) fn text(status: u16, kind: &str, charset: Charset, text: &str) -> Self {
        let content_type = format!("{kind}; charset={}", charset.label());
        Self::new(status, &content_type, charset.encode(text))
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// What a client in the same process gets: the whole answer or what was left of it.
    ///
    /// # Errors
    ///
    /// When the script ends it before its end.
    pub fn receive(self) -> Result<Received, Broken> {
        let Self { status, headers, body, script, .. } = self;
        let (limit, broken): (_, fn(Partial) -> Broken) = match script.end {
            End::Complete => {
                return Ok(Received { status, headers, body: body.into_bytes() });
            }
            End::Silence => return Err(Broken::Silence),
            End::Dropped => return Err(Broken::Dropped),
            End::Truncated { after_bytes } => (after_bytes, Broken::Truncated),
            End::Reset { after_bytes } => (after_bytes, Broken::Reset),
            End::LyingLength { by } => {
                let mut body = body.into_bytes();
                let told = (body.len() as u64).saturating_add_signed(by);
                if told > body.len() as u64 {
                    return Err(Broken::Truncated(Partial { status, headers, body }));
                }
                body.truncate(usize::try_from(told).unwrap_or(usize::MAX));
                return Ok(Received { status, headers, body });
            }
        };
        let mut body = body.into_bytes();
        body.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Err(broken(Partial { status, headers, body }))
    }
}

/// A body, whole or made while it is sent.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// Piece by piece, so that no size needs memory.
    Pieces(Box<dyn Iterator<Item = Vec<u8>> + Send>),
}

impl Body {
    /// All of it in memory.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Pieces(pieces) => pieces.flatten().collect(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Pieces(_) => f.write_str("Pieces"),
        }
    }
}

/// How an answer goes over the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Script {
    /// Before the first byte.
    pub delay: Duration,
    /// The pace of the body, where it has one.
    pub bytes_per_second: Option<NonZeroU64>,
    /// How it ends.
    pub end: End,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// As it should.
    #[default]
    Complete,
    /// The connection is closed after so many bytes of the body.
    Truncated {
        /// Bytes of the body that are sent.
        after_bytes: u64,
    },
    /// The connection is reset (RST) after so many bytes of the body; without any, before the head.
    Reset {
        /// Bytes of the body that are sent.
        after_bytes: u64,
    },
    /// The connection is closed and nothing is sent.
    Dropped,
    /// Nothing is sent, and the connection stays open.
    Silence,
    /// All is sent under a `Content-Length` that is wrong by so much, and the connection is closed.
    LyingLength {
        /// What is added to the true length.
        by: i64,
    },
}

/// What arrived whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The status code.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What arrived of an answer that did not end as it should.
pub type Partial = Received;

/// How an answer was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// No byte came, and none will: only a timeout ends this.
    #[error("no answer, and the connection stays open")]
    Silence,
    /// The connection was closed without an answer.
    #[error("the connection was closed without an answer")]
    Dropped,
    /// The body ended early.
    #[error("the connection was closed inside the body")]
    Truncated(Partial),
    /// The connection was reset.
    #[error("the connection was reset")]
    Reset(Partial),
}
