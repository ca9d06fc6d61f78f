//! Tokens and sessions. Their signature tells a forged one from ours and protects nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::random::mix;
use crate::time::Time;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    #[serde(rename = "sub")]
    pub(crate) account: String,
    /// Seconds since 1970.
    #[serde(rename = "iat")]
    pub(crate) issued: i64,
    #[serde(rename = "exp")]
    pub(crate) expires: i64,
    #[serde(rename = "jti")]
    number: u64,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadToken {
    NotOurs,
    Expired,
    Revoked,
}

/// The tokens of one system.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    issued: Mutex<Issued>,
}

#[derive(Debug, Default)]
struct Issued {
    next: u64,
    /// The tokens of an account below this number are void.
    void_below: BTreeMap<String, u64>,
}

impl Tokens {
    pub(crate) fn issue(&self, account: &str, now: Time, lifetime: Duration) -> Grant {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.next += 1;
        Grant {
            account: account.to_owned(),
            issued: now.unix_seconds(),
            expires: (now + lifetime).unix_seconds(),
            number: issued.next,
        }
    }

    /// Makes all tokens void that an account has had until now.
    pub(crate) fn revoke(&self, account: &str) {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let next = issued.next + 1;
        issued.void_below.insert(account.to_owned(), next);
    }

    /// Whose token it is.
    pub(crate) fn check(&self, seed: u64, token: &str, now: Time) -> Result<Grant, BadToken> {
        let grant = read(seed, token).ok_or(BadToken::NotOurs)?;
        if now.unix_seconds() >= grant.expires {
            return Err(BadToken::Expired);
        }
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let is_void =
            issued.void_below.get(&grant.account).is_some_and(|void| grant.number < *void);
        if is_void { Err(BadToken::Revoked) } else { Ok(grant) }
    }
}

/// A grant as a JWT.
pub(crate) fn write(seed: u64, grant: &Grant) -> String {
    let payload = serde_json::to_string(grant).expect("it is texts and numbers");
    let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = signature(seed, &signed);
    format!("{signed}.{signature}")
}

/// What a JWT says, when it is ours.
pub(crate) fn read(seed: u64, token: &str) -> Option<Grant> {
    let (signed, given) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    if header != HEADER || signature(seed, signed) != given {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// `{"alg":"HS256","typ":"JWT"}`.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

fn signature(seed: u64, signed: &str) -> String {
    let words: Vec<u64> = signed.bytes().map(u64::from).collect();
    let halves = [mix(seed, &words), mix(!seed, &words)];
    URL_SAFE_NO_PAD.encode(halves.map(u64::to_be_bytes).concat())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BadToken, Tokens, write};
    use crate::time::Clock;

    #[test]
    fn a_token_is_good_until_it_expires_or_is_revoked() {
        let (tokens, now) = (Tokens::default(), Clock::BEGINNING);
        let grant = tokens.issue("demo", now, Duration::from_mins(1));
        let token = write(7, &grant);
        let last = now + Duration::from_secs(59);
        assert_eq!(tokens.check(7, &token, last), Ok(grant));
        let late = now + Duration::from_mins(1);
        assert_eq!(tokens.check(7, &token, late), Err(BadToken::Expired));
        tokens.revoke("demo");
        assert_eq!(tokens.check(7, &token, now), Err(BadToken::Revoked));
        let next = write(7, &tokens.issue("demo", now, Duration::from_mins(1)));
        assert!(tokens.check(7, &next, now).is_ok());
    }

    #[test]
    fn a_token_that_was_touched_is_not_ours() {
        let tokens = Tokens::default();
        let token = write(7, &tokens.issue("demo", Clock::BEGINNING, Duration::from_mins(1)));
        let touched = token.replacen('.', ".e", 1);
        for bad in [&touched, "", "a.b.c", &token[1..]] {
            assert_eq!(tokens.check(7, bad, Clock::BEGINNING), Err(BadToken::NotOurs), "{bad}");
        }
        assert_eq!(tokens.check(8, &token, Clock::BEGINNING), Err(BadToken::NotOurs));
    }
}
