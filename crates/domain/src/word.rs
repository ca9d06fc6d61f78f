/// A word that is none of an enum's: what was given, and what would have been right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no {what}; known are {known}")]
pub struct UnknownWord {
    /// What the word should have named, such as `status`.
    pub what: &'static str,
    /// The words that are known, comma separated.
    pub known: String,
}

/// An enum whose variants are words of the API and of the database: one spelling, both ways. Where it is used, `serde` is
/// a dependency.
#[macro_export]
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident ($what:literal) {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word that stands for it in the API and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word).ok_or_else(|| {
                    $crate::UnknownWord { what: $what, known: [$($word,)+].join(", ") }
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use crate::{OrderStatus, Platform, UnknownWord};

    #[test]
    fn every_word_reads_back_as_itself() {
        for status in OrderStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert_eq!(serde_json::to_string(&Platform::ElevenSt).unwrap(), r#""11st""#);
        assert_eq!(serde_json::from_str::<Platform>(r#""11st""#).unwrap(), Platform::ElevenSt);
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let error: UnknownWord = "ebay".parse::<Platform>().unwrap_err();
        assert_eq!(error.to_string(), "is no platform; known are coupang, naver, 11st, direct");
    }
}
