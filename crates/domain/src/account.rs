use crate::platform::Wholesaler;
use crate::word::words;

words! {
    /// With whom a seller has an account that needs a login.
    pub enum AccountKind ("kind") {
        /// 오너클랜.
        Ownerclan = "ownerclan",
        /// 젠트레이드.
        Zentrade = "zentrade",
        /// 도매꾹.
        Domeggook = "domeggook",
        /// 쿠팡.
        Coupang = "coupang",
        /// 네이버 스마트스토어.
        Naver = "naver",
        /// 11번가.
        ElevenSt = "11st",
    }
}

impl AccountKind {
    /// The wholesaler that it is with, where it is with one.
    #[must_use]
    pub const fn wholesaler(self) -> Option<Wholesaler> {
        match self {
            Self::Ownerclan => Some(Wholesaler::Ownerclan),
            Self::Zentrade => Some(Wholesaler::Zentrade),
            Self::Domeggook => Some(Wholesaler::Domeggook),
            Self::Coupang | Self::Naver | Self::ElevenSt => None,
        }
    }

    /// What it takes to log in, by name: all of these, and nothing else.
    #[must_use]
    pub const fn credentials(self) -> &'static [&'static str] {
        match self {
            Self::Ownerclan => &["username", "password"],
            Self::Zentrade => &["id", "m_skey"],
            Self::Domeggook => &["aid", "id", "pw"],
            Self::Coupang => &["vendor_id", "access_key", "secret_key"],
            Self::Naver => &["client_id", "client_secret"],
            Self::ElevenSt => &["api_key"],
        }
    }

    /// Whether it ships what the seller sells, in place of selling it.
    #[must_use]
    pub const fn is_wholesaler(self) -> bool {
        self.wholesaler().is_some()
    }
}

/// What is wrong with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCredential {
    /// An account of this kind needs it.
    #[error("is missing; an account of this kind needs it")]
    Missing,
    /// An account of this kind has none of this name.
    #[error("is no credential of an account of this kind")]
    Unknown,
    /// Nothing.
    #[error("must not be empty")]
    Empty,
    /// Longer than any that is given out.
    #[error("must have at most {} bytes", Credential::MOST_BYTES)]
    TooLong,
    /// A control character, which no header and no form would carry.
    #[error("must not contain control characters")]
    Control,
}

/// A secret that logs in to an account. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(String);

impl Credential {
    /// The longest known, 11번가's and 네이버's, have below 100.
    pub const MOST_BYTES: usize = 1_000;

    /// The secret as it was given.
    ///
    /// # Errors
    /// [`BadCredential`] says what is wrong with it.
    pub fn new(secret: &str) -> Result<Self, BadCredential> {
        if secret.is_empty() {
            Err(BadCredential::Empty)
        } else if secret.len() > Self::MOST_BYTES {
            Err(BadCredential::TooLong)
        } else if secret.chars().any(char::is_control) {
            Err(BadCredential::Control)
        } else {
            Ok(Self(secret.to_owned()))
        }
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platform;

    #[test]
    fn every_kind_has_credentials_of_distinct_names() {
        for kind in AccountKind::ALL {
            let names = kind.credentials();
            assert!(!names.is_empty());
            assert!(names.iter().enumerate().all(|(at, name)| !names[..at].contains(name)));
        }
    }

    #[test]
    fn it_takes_what_the_other_side_asks_for_to_log_in() {
        assert_eq!(AccountKind::Domeggook.credentials(), ["aid", "id", "pw"]);
        assert_eq!(AccountKind::ElevenSt.credentials(), ["api_key"]);
    }

    #[test]
    fn an_account_is_with_a_wholesaler_or_with_a_platform_that_sells() {
        for kind in AccountKind::ALL {
            let sells = kind.as_str().parse::<Platform>().is_ok();
            assert_eq!(kind.is_wholesaler(), !sells, "{kind}");
            let wholesaler = kind.as_str().parse::<Wholesaler>().ok();
            assert_eq!(kind.wholesaler(), wholesaler, "{kind}");
        }
    }

    #[test]
    fn a_credential_is_bounded_and_not_shown() {
        assert!(Credential::new(&"x".repeat(1_000)).is_ok());
        for (bad, why) in [
            (String::new(), BadCredential::Empty),
            ("x".repeat(1_001), BadCredential::TooLong),
            ("가".repeat(334), BadCredential::TooLong),
            ("a\0".to_owned(), BadCredential::Control),
            ("a\r\nx-admin: 1".to_owned(), BadCredential::Control),
        ] {
            assert_eq!(Credential::new(&bad), Err(why), "{bad:?}");
        }
        let credential = Credential::new("sesame").unwrap();
        assert_eq!(credential.expose(), "sesame");
        assert_eq!(format!("{credential:?}"), "Credential(redacted)");
    }
}
