use ring::hmac;
use unicode_normalization::UnicodeNormalization as _;

use crate::personal::Customer;
use crate::text::{BadText, Text};

/// What somebody looks for: 1 to 100 characters, with Hangul composed (NFC), as one block is typed on some
/// systems as two or three characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search(String);

impl Search {
    /// Reads what was typed, without the blanks around it.
    ///
    /// # Errors
    /// [`BadText`] for nothing, for too much, and for NUL.
    pub fn new(typed: &str) -> Result<Self, BadText> {
        let composed: String = typed.nfc().collect();
        Text::<100>::new(&composed).map(|text| Self(text.into_string()))
    }

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a single character: too little to look up by pairs.
    #[must_use]
    pub fn is_one_character(&self) -> bool {
        self.0.chars().nth(1).is_none()
    }
}

/// What an order is looked up by: keyed hashes, which tell nothing to anybody without the seller's key.
#[derive(Debug, Clone)]
pub(crate) struct SearchKey(hmac::Key);

impl SearchKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// What an order is found by.
    pub(crate) fn of_order(&self, order_number: &str, customer: &Customer) -> Vec<i64> {
        let mut tokens = vec![self.token("number", &folded(order_number))];
        tokens.extend(customer.name.as_deref().map(|name| self.token("name", &folded(name))));
        if let Some(phone) = customer.phone.as_deref().map(digits) {
            tokens.push(self.token("phone", &phone));
            tokens.extend(last_four(&phone).map(|four| self.token("last four", four)));
        }
        tokens
    }

    /// What somebody may have meant by what they typed.
    pub(crate) fn of_search(&self, search: &Search) -> Vec<i64> {
        let typed = folded(search.as_str());
        let mut tokens = vec![self.token("number", &typed), self.token("name", &typed)];
        let phone = digits(&typed);
        let is_phone = typed.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
        if is_phone && phone.len() == 4 {
            tokens.push(self.token("last four", &phone));
        }
        if is_phone && phone.len() >= 7 {
            tokens.push(self.token("phone", &phone));
        }
        tokens
    }

    fn token(&self, kind: &str, text: &str) -> i64 {
        let tag = hmac::sign(&self.0, format!("{kind}:{text}").as_bytes());
        let first = tag.as_ref().first_chunk::<8>().copied().unwrap_or_default();
        i64::from_be_bytes(first)
    }
}

/// Composed, in lower case, each run of blanks one.
fn folded(text: &str) -> String {
    let composed: String = text.nfc().flat_map(char::to_lowercase).collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The digits of a telephone, with Korea's country code as the 0 that stands for it at home.
fn digits(phone: &str) -> String {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    match digits.strip_prefix("82") {
        Some(rest) if phone.trim_start().starts_with('+') => {
            format!("0{}", rest.trim_start_matches('0'))
        }
        _ => digits,
    }
}

fn last_four(phone: &str) -> Option<&str> {
    (phone.len() >= 8).then(|| &phone[phone.len() - 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decomposed_hangul_is_the_same_search() {
        let decomposed = "\u{110b}\u{1175}\u{110b}\u{1165}\u{1111}\u{1169}\u{11ab}";
        assert_eq!(Search::new(decomposed).unwrap().as_str(), "이어폰");
        assert!(Search::new("\u{1112}\u{1161}\u{11ab}").unwrap().is_one_character());
        assert!(!Search::new("한빛").unwrap().is_one_character());
        assert_eq!(Search::new(" "), Err(BadText::Empty));
        assert_eq!(Search::new(&"가".repeat(101)), Err(BadText::TooLong(100)));
    }

    #[test]
    fn an_order_is_found_by_each_of_its_names_in_any_spelling() {
        let key = SearchKey::new(&[1; 32]);
        let customer = Customer {
            name: Some("홍 길동".to_owned()),
            phone: Some("010-1234-5678".to_owned()),
            ..Customer::default()
        };
        let tokens = key.of_order("A-1", &customer);
        let finds = |typed: &str| {
            let search = Search::new(typed).unwrap();
            key.of_search(&search).iter().any(|token| tokens.contains(token))
        };
        for typed in ["a-1", "홍  길동", "010 1234 5678", "+82 10-1234-5678", "01012345678", "5678"]
        {
            assert!(finds(typed), "{typed}");
        }
        // A country code is one behind a plus alone.
        let others = ["끝 5678", "전화 010-1234-5678", "82 10-1234-5678"];
        for typed in ["A", "길동", "1234", "010-1234", "홍길동", "15678"].into_iter().chain(others)
        {
            assert!(!finds(typed), "{typed}");
        }
        let other = SearchKey::new(&[2; 32]);
        assert!(other.of_order("A-1", &customer).iter().all(|token| !tokens.contains(token)));
    }
}
