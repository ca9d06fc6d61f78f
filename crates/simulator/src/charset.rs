//! The two charsets that are spoken.

use std::borrow::Cow;

use encoding_rs::EUC_KR;
use serde::{Deserialize, Serialize};

/// How text becomes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// CP949, which is what is sent under the name EUC-KR: all 11,172 syllables, not only the 2,350
    /// of KS X 1001.
    EucKr,
}

impl Charset {
    /// The bytes of a text. What the charset lacks becomes a numeric character reference.
    #[must_use]
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::EucKr => EUC_KR.encode(text).0.into_owned(),
        }
    }

    /// The text of bytes. What cannot be read is replaced.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes),
            Self::EucKr => EUC_KR.decode_without_bom_handling(bytes).0,
        }
    }

    /// The other one.
    #[must_use]
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Utf8 => Self::EucKr,
            Self::EucKr => Self::Utf8,
        }
    }

    /// As it stands in a Content-Type.
    #[must_use]
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::EucKr => "EUC-KR",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Charset;

    #[test]
    fn every_syllable_has_two_bytes_and_comes_back() {
        let syllables: String = ('가'..='힣').collect();
        let bytes = Charset::EucKr.encode(&syllables);
        assert_eq!(bytes.len(), 2 * 11_172);
        assert_eq!(bytes, encoding_rs::EUC_KR.encode(&syllables).0.as_ref());
        assert_eq!(Charset::EucKr.decode(&bytes), syllables);
        // Neither is in KS X 1001, whose lead and trail bytes are all above A0.
        assert_eq!(Charset::EucKr.encode("똠뷁"), [0x8c, 0x63, 0x94, 0xee]);
    }
}
