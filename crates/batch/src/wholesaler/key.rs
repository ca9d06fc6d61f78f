//! What a wholesaler knows an item by.

use std::fmt;

/// What a wholesaler knows an item by: 1 to 40 letters, digits, `-` and `_`, in ASCII. As it was
/// written: leading zeros count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

impl Key {
    /// A key, blanks around it left out; `None` where it is none.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=40).contains(&text.len()) && text.bytes().all(is_fine)).then(|| Self(text.into()))
    }

    /// A key of digits alone.
    pub(super) fn of_digits(text: &str) -> Option<Self> {
        Self::new(text).filter(|key| key.0.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn a_key_is_short_and_plain() {
        assert_eq!(Key::new(" W1A2B3C\n").unwrap().as_str(), "W1A2B3C");
        assert_eq!(Key::of_digits("00012").unwrap().as_str(), "00012");
        assert!(Key::new(&"1".repeat(40)).is_some());
        for bad in ["", " ", "a b", "가", "1'", "1\0", "<1>", "1,2", &"1".repeat(41)] {
            assert_eq!(Key::new(bad), None, "{bad:?}");
        }
        assert_eq!(Key::of_digits("12a"), None);
        assert_eq!(Key::new(" a-b_1 ").unwrap().to_string(), "a-b_1");
    }
}
