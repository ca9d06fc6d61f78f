//! A token for a name and a password.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Inner;
use crate::account::AccountConfig;
use crate::http::{Format, Method, Request};
use crate::outcome::Failure;
use crate::wholesaler::error::{Error, unusable};
use crate::wholesaler::session::Fresh;

/// Where a token does not say how long it is good.
const LIFETIME: Duration = Duration::from_hours(1);
const LONGEST: Duration = Duration::from_hours(24 * 90);
/// Longer texts are none.
const MAX_BYTES: usize = 8_000;

pub(super) async fn log_in(client: &Inner) -> Result<Fresh, Error> {
    let credentials = json!({
        "service": "ownerclan",
        "userType": "seller",
        "username": client.login.username.expose(),
        "password": client.login.password.expose(),
    });
    let request = Request::new(Method::POST, client.auth_url.clone(), "auth")
        .body("application/json", credentials.to_string())
        .expects(Format::Any);
    let today = client.line.clock().today();
    client.line.read(AccountConfig::LOGIN, request, |answer| read(&answer.text, today)).await
}

/// The token: bare, in quotes, or in an object.
fn read(text: &str, today: SystemTime) -> Result<Fresh, Failure> {
    let text = text.trim().trim_start_matches('\u{feff}');
    let token = match text.chars().next() {
        Some('"') => serde_json::from_str(text).unwrap_or_default(),
        Some('{') => in_object(text).unwrap_or_default(),
        _ => text.to_owned(),
    };
    if !is_token(&token) {
        return Err(unusable("the answer to a login is no token"));
    }
    let lifetime = lifetime(&token, today);
    Ok(Fresh { token, lifetime })
}

fn in_object(text: &str) -> Option<String> {
    let object: Value = serde_json::from_str(text).ok()?;
    let mut names = ["token", "accessToken", "jwt"].iter();
    names.find_map(|name| object.get(name)?.as_str().map(str::to_owned))
}

fn is_token(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
    let parts: Vec<&str> = text.split('.').collect();
    let is_part = |part: &&str| !part.is_empty() && part.bytes().all(is_fine);
    text.len() <= MAX_BYTES && parts.len() == 3 && parts.iter().all(is_part)
}

#[derive(Deserialize)]
struct Claims {
    iat: Option<f64>,
    exp: Option<f64>,
}

/// How long it is good. From its own two dates: so it makes no difference whether our clock goes as
/// theirs does.
fn lifetime(token: &str, today: SystemTime) -> Duration {
    let payload = token.split('.').nth(1).unwrap_or_default().trim_end_matches('=');
    let claims = URL_SAFE_NO_PAD.decode(payload).ok();
    let claims: Option<Claims> = claims.and_then(|json| serde_json::from_slice(&json).ok());
    let today = today.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = match claims {
        Some(Claims { iat, exp: Some(exp) }) => exp - iat.unwrap_or(today.as_secs_f64()),
        _ => return LIFETIME,
    };
    let lifetime = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    lifetime.clamp(Duration::from_mins(1), LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::Class;

    fn token(claims: &str) -> String {
        format!("eyJh.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    fn seconds(text: &str) -> u64 {
        let today = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        read(text, today).unwrap().lifetime.as_secs()
    }

    #[test]
    fn a_token_is_read_in_all_its_forms() {
        let token = token(r#"{"iat":100,"exp":700}"#);
        for text in [
            token.clone(),
            format!("{token}\n"),
            format!("\"{token}\"\r\n"),
            format!("{{\"accessToken\":\"{token}\"}}"),
            format!("\u{feff}{{\"jwt\":\"{token}\",\"x\":1}}"),
        ] {
            let fresh = read(&text, SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!((fresh.token, fresh.lifetime.as_secs()), (token.clone(), 600), "{text:?}");
        }
    }

    #[test]
    fn how_long_it_is_good_is_read_from_it() {
        assert_eq!(seconds(&token(r#"{"exp":3000}"#)), 2_000);
        assert_eq!(seconds(&token(r#"{"sub":"x"}"#)), 3_600);
        assert_eq!(seconds(&token("no json")), 3_600);
        assert_eq!(seconds(&token(r#"{"iat":700,"exp":100}"#)), 60);
        assert_eq!(seconds(&token(r#"{"iat":0,"exp":1e300}"#)), 60);
    }

    #[test]
    fn what_is_no_token_is_none() {
        let long = format!("a.{}.b", "c".repeat(MAX_BYTES));
        for text in ["", "\"", "{}", "<html>", "a.b", "a..b", "a.b c.d", "a.\r\nx: 1.b", &long] {
            let failure = read(text, SystemTime::UNIX_EPOCH).err().unwrap();
            assert_eq!(failure.class, Class::Unusable, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_a_token_or_a_failure(text in "\\PC*") {
            let _: Result<_, _> = read(&text, SystemTime::UNIX_EPOCH);
        }
    }
}
