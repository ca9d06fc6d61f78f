//! A session, for what is private.

use std::time::Duration;

use super::Inner;
use super::answer;
use crate::account::AccountConfig;
use crate::http::{Format, Method, Request};
use crate::outcome::Failure;
use crate::wholesaler::error::{Error, unusable};
use crate::wholesaler::fields::{Fields, is_true};
use crate::wholesaler::session::Fresh;

const MODE: &str = "setLogin";
const DAY: Duration = Duration::from_hours(24);
/// Sessions are texts of some length.
const MAX_BYTES: usize = 1_000;

pub(super) async fn log_in(client: &Inner) -> Result<Fresh, Error> {
    let login = &client.login;
    let form = [
        ("id", login.id.expose()),
        ("pw", login.pw.expose()),
        ("loginKeep", "on"),
        ("userAgent", concat!("jebi/", env!("CARGO_PKG_VERSION"))),
        // Where the user is, who is nobody but this service.
        ("ip", "127.0.0.1"),
        ("device", "Third Party"),
    ];
    let request = Request::new(Method::POST, client.url(), MODE)
        .form(client.parameters(MODE, "4.1").into_iter().chain(form))
        .expects(Format::Json);
    client
        .line
        .read(AccountConfig::LOGIN, request, |answer| read(answer::body(&answer.text)?))
        .await
}

fn read(json: &str) -> Result<Fresh, Failure> {
    let mut fields = Fields::parse(json).map_err(|_| unusable("no login"))?;
    let is_done = fields.take("result").as_ref().is_some_and(is_true);
    let session = fields.word("sId").ok().flatten();
    let is_fine =
        |text: &String| text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
    let token = session.filter(|session| is_done && is_fine(session));
    let token = token.ok_or_else(|| unusable("the answer to a login is no session"))?;
    // In days. What is not told is short.
    let days =
        fields.number("loginKeepTime").ok().flatten().and_then(|days| u32::try_from(days).ok());
    let lifetime = days.map_or(DAY / 2, |days| DAY * days.clamp(1, 90));
    Ok(Fresh { token, lifetime })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_gives_a_session_and_says_for_how_long() {
        let fresh = read(r#"{"result":"TRUE","sId":"s-1","loginKeepTime":"30"}"#).unwrap();
        assert_eq!((fresh.token.as_str(), fresh.lifetime), ("s-1", DAY * 30));
        assert_eq!(read(r#"{"result":"true","sId":"s-1"}"#).unwrap().lifetime, DAY / 2);
        for json in [
            "[]",
            r#"{"result":"true"}"#,
            r#"{"result":"false","sId":"s-1"}"#,
            r#"{"result":"true","sId":"a b"}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
