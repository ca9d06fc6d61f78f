use std::fmt;

/// Text of 1 to `MAX` characters that PostgreSQL can store and a person can read: no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text<const MAX: usize>(String);

/// Why a text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// Nothing, or nothing but blanks.
    #[error("must not be empty")]
    Empty,
    /// More characters than the field holds.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// NUL, which PostgreSQL cannot store, or another control character but tab and line feed.
    #[error("must not contain control characters")]
    Control,
}

impl<const MAX: usize> Text<MAX> {
    /// The text with blanks trimmed at both ends.
    ///
    /// # Errors
    /// [`BadText`] says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, BadText> {
        let text = text.trim();
        if text.is_empty() {
            Err(BadText::Empty)
        } else if text.chars().nth(MAX).is_some() {
            Err(BadText::TooLong(MAX))
        } else if text.contains(is_control) {
            Err(BadText::Control)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The characters, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

fn is_control(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r')
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters_not_bytes() {
        let text = Text::<3>::new(" 이어폰 ").unwrap();
        assert_eq!((text.as_str(), &*text.to_string()), ("이어폰", "이어폰"));
        assert_eq!(Text::<3>::new("이어폰들"), Err(BadText::TooLong(3)));
    }

    #[test]
    fn blanks_and_nul_are_refused() {
        assert_eq!(Text::<9>::new("  "), Err(BadText::Empty));
        assert_eq!(Text::<9>::new("a\0b"), Err(BadText::Control));
        assert_eq!(Text::<9>::new("a\u{1b}[1m"), Err(BadText::Control));
        assert!(Text::<9>::new("a\n\tb").is_ok());
    }
}
