//! What comes back, read within its bounds.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use tokio::sync::OwnedSemaphorePermit;

use crate::clock::Clock;
use crate::http::body::Body;
use crate::http::charset::Text;
use crate::http::config::Config;
use crate::http::error::{Error, Kind};
use crate::http::request::Format;
use crate::http::sniff::Sniffer;
use crate::http::transport::Incoming;

/// Bytes of a failure's body that are kept.
const EXCERPT_BYTES: usize = 64 << 10;

/// A whole answer with a status of 2xx.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub text: String,
    /// Which charset the body was read in.
    pub charset: &'static str,
    /// Characters of it that were unreadable, and stand there as U+FFFD.
    pub replacements: u64,
    /// Bytes of the body as they came.
    pub wire_bytes: u64,
    /// Bytes of the body unpacked.
    pub decoded_bytes: u64,
}

/// An answer with a status of 2xx that is being read.
#[derive(Debug)]
pub struct Reading {
    incoming: Incoming,
    config: Arc<Config>,
    clock: Clock,
    /// How long it may still be waited for.
    left: Duration,
    body: Body,
    sniffer: Option<Sniffer>,
    is_at_end: bool,
    _place: OwnedSemaphorePermit,
}

impl Reading {
    pub(super) fn new(
        incoming: Incoming,
        config: Arc<Config>,
        clock: Clock,
        deadline: Duration,
        place: OwnedSemaphorePermit,
        expects: Format,
    ) -> Result<Self, Error> {
        let header = |name| {
            let value = incoming.headers.get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let announced: Option<u64> = header(CONTENT_LENGTH).parse().ok();
        if announced.is_some_and(|length| length > config.max_wire_bytes) {
            return Err(Error::new(Kind::WireTooLarge));
        }
        let coding = header(CONTENT_ENCODING).trim().to_ascii_lowercase();
        let text = Text::new(header(CONTENT_TYPE));
        let body =
            Body::new(&coding, text, &config).ok_or_else(|| Error::new(Kind::Undecodable))?;
        // Nothing is all there is to say of 204 and 205.
        let is_empty = matches!(incoming.status, 204 | 205);
        let sniffer = (!is_empty).then(|| Sniffer::new(expects));
        let left = deadline.saturating_sub(clock.now());
        let is_at_end = false;
        Ok(Self { incoming, config, clock, left, body, sniffer, is_at_end, _place: place })
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.incoming.status
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.incoming.headers
    }

    /// The next piece of the text, never empty; `None` at its end. After an error nothing comes.
    ///
    /// # Errors
    /// See [`Kind`]: the body is cut short, too slow, too large, or not what was expected.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        while !self.is_at_end {
            let began = self.clock.now();
            let silent = began.saturating_add(self.config.read_timeout);
            let deadline = began.saturating_add(self.left);
            let chunk = self.clock.before(silent.min(deadline), self.incoming.body.next()).await;
            self.left = deadline.saturating_sub(self.clock.now());
            let fed = match chunk {
                Some(Some(Ok(bytes))) => self.body.feed(&bytes),
                Some(None) => {
                    self.is_at_end = true;
                    self.body.end()
                }
                Some(Some(Err(error))) => Err(error),
                None if silent < deadline => Err(Error::new(Kind::ReadTimeout)),
                None => Err(Error::new(Kind::TotalTimeout)),
            };
            let piece = fed.and_then(|()| self.piece());
            match piece {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Ok(Some(piece)),
                Err(error) => {
                    self.is_at_end = true;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// The text that has come, checked.
    fn piece(&mut self) -> Result<String, Error> {
        let piece = self.body.take_text();
        if self.body.replacements() > self.config.max_replacements {
            return Err(Error::new(Kind::Charset));
        }
        let Some(sniffer) = &mut self.sniffer else { return Ok(piece) };
        let judged = match sniffer.look(&piece) {
            Ok(()) if self.is_at_end => sniffer.end(),
            judged => judged,
        };
        judged.map_err(Error::new).map(|()| piece)
    }

    pub(super) async fn whole(mut self) -> Result<Answer, Error> {
        let mut text = String::new();
        while let Some(piece) = self.next().await? {
            text.push_str(&piece);
        }
        Ok(Answer {
            status: self.status(),
            text,
            charset: self.body.charset(),
            replacements: self.body.replacements(),
            wire_bytes: self.body.wire_bytes(),
            decoded_bytes: self.body.decoded_bytes(),
            headers: std::mem::take(&mut self.incoming.headers),
        })
    }

    /// The beginning of the text, as far as it can be read.
    pub(super) async fn excerpt(mut self) -> String {
        let mut text = String::new();
        while let Ok(Some(piece)) = self.next().await {
            text.push_str(&piece);
            if text.len() >= EXCERPT_BYTES {
                text.truncate(text.floor_char_boundary(EXCERPT_BYTES));
                break;
            }
        }
        text
    }
}
