//! What goes wrong, by order: what it is, which calls it meets, what it does to an answer.

mod bomb;
mod rule;
mod spoil;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use rule::{FaultRule, FaultStatus, When};
pub(crate) use rule::{Faults, Met};
pub(crate) use spoil::spoil;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is served, and the answer begins so much later.
    Latency {
        /// Milliseconds.
        ms: u64,
        /// Up to so many milliseconds more, evenly spread.
        #[serde(default)]
        jitter_ms: u64,
    },
    /// It is served, and the body comes at this pace.
    Drip {
        /// Bytes a second; at least 1.
        bytes_per_second: u64,
    },
    /// It is served, and the connection is closed inside the body.
    Truncate {
        /// Bytes of the body that are sent.
        after_bytes: u64,
    },
    /// It is served, and the connection is reset.
    Reset {
        /// Bytes of the body that are sent; with 0 not even the head is.
        after_bytes: u64,
    },
    /// It is served, and the connection is closed without an answer: an order is placed, and
    /// nobody is told.
    AcceptThenDrop,
    /// It is not served; nothing is answered, and the connection stays open.
    BlackHole,
    /// It is served under a `Content-Length` that is wrong by so much.
    LyingLength {
        /// What is added to the true length.
        by: i64,
    },
    /// It is not served but answered so.
    Answer {
        /// The status code.
        status: u16,
        /// Headers, such as `Retry-After` or `Location`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body, in UTF-8.
        #[serde(default)]
        body: String,
    },
    /// It is served in the other charset than the one that is declared.
    WrongCharset,
    /// It is not served but answered 200 with a page for people.
    Html {
        /// What the header says that it is.
        #[serde(default = "html")]
        content_type: String,
    },
    /// It is not served but answered 200 with nothing.
    Empty,
    /// It is not served but answered by a few bytes of gzip that become so many.
    GzipBomb {
        /// Bytes after decoding, in whole MiB.
        mib: u64,
    },
    /// It is not served but answered by XML whose entities become 10⁹ times their text, and ask for
    /// a file.
    XmlBomb,
    /// The account's tokens are void from now on, this one included.
    TokenRevoked,
    /// Lists begin so many entries later, or earlier, than the page asked for.
    ShiftPages {
        /// Entries.
        by: i64,
    },
    /// The cursor after the page is the one before it, and there is more.
    StuckCursor,
    /// Totals are wrong by so much, or where there are none there is always more.
    LyingTotals {
        /// What is added to the number of items.
        by: i64,
    },
    /// Only the first items are there.
    ShrunkCatalogue {
        /// How many.
        to: u64,
    },
}

fn html() -> String {
    "text/html".to_owned()
}

/// What a served answer is to say that is not so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Distortion {
    pub(crate) shift: i64,
    pub(crate) is_stuck: bool,
    pub(crate) lie: Option<i64>,
    pub(crate) shrunk_to: Option<u64>,
}

impl Distortion {
    pub(crate) fn of(faults: &[Fault]) -> Self {
        let mut distortion = Self::default();
        for fault in faults {
            match fault {
                Fault::ShiftPages { by } => distortion.shift += by,
                Fault::StuckCursor => distortion.is_stuck = true,
                Fault::LyingTotals { by } => distortion.lie = Some(*by),
                Fault::ShrunkCatalogue { to } => distortion.shrunk_to = Some(*to),
                _ => {}
            }
        }
        distortion
    }

    /// The place of the first entry of a page.
    pub(crate) fn shifted(self, first: u64) -> u64 {
        first.saturating_add_signed(self.shift)
    }
}
