//! What a login gives, kept until shortly before it ends. One login at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::http::{self, Kind};
use crate::wholesaler::error::{Error, Refusal};

/// The token is not good, says an answer of 200.
#[derive(Debug, thiserror::Error)]
#[error("unauthorized: {0}")]
pub(super) struct Unauthorized(pub(super) Refusal);

/// A session with a wholesaler, or none yet.
pub(super) struct Session {
    clock: Clock,
    /// What else says that a token is not good.
    statuses: &'static [u16],
    held: Mutex<Option<Held>>,
}

struct Held {
    token: Arc<str>,
    until: Duration,
}

/// What a login gave.
pub(super) struct Fresh {
    pub(super) token: String,
    pub(super) lifetime: Duration,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(redacted)")
    }
}

impl Session {
    pub(super) fn new(clock: &Clock, statuses: &'static [u16]) -> Self {
        Self { clock: clock.clone(), statuses, held: Mutex::new(None) }
    }

    /// A call with a token. One that turns out void is renewed once.
    pub(super) async fn call<T, L, C>(
        &self,
        log_in: impl Fn() -> L,
        call: impl Fn(Arc<str>) -> C,
    ) -> Result<T, Error>
    where
        L: Future<Output = Result<Fresh, Error>>,
        C: Future<Output = Result<T, Error>>,
    {
        let mut is_renewed = false;
        loop {
            let token = self.token(log_in()).await?;
            match call(token.clone()).await {
                Err(error) if self.is_void(&error) => {
                    self.forget(&token).await;
                    if is_renewed {
                        return Err(error);
                    }
                    is_renewed = true;
                }
                result => return result,
            }
        }
    }

    /// Whether a call failed because its token was not good: said with a status, or with 200.
    fn is_void(&self, error: &Error) -> bool {
        let Error::Call { source, .. } = error else { return false };
        let Some(cause) = source.failure.cause() else { return false };
        let status = cause.downcast_ref().map(|error: &http::Error| error.kind);
        let is_said = |kind| matches!(kind, Kind::Status(code) if self.statuses.contains(&code));
        cause.is::<Unauthorized>() || status.is_some_and(is_said)
    }

    /// The token that is held, or the one of a new login. Who comes meanwhile waits for that one.
    async fn token(
        &self,
        log_in: impl Future<Output = Result<Fresh, Error>>,
    ) -> Result<Arc<str>, Error> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some(held) = held.as_ref().filter(|held| now < held.until) {
            return Ok(held.token.clone());
        }
        let Fresh { token, lifetime } = log_in.await?;
        // Renewed while it is good, and so that no call finds it void on its way.
        let left = (lifetime / 10).min(Duration::from_hours(1));
        let until = now.saturating_add(lifetime).saturating_sub(left);
        let token: Arc<str> = token.into();
        *held = Some(Held { token: token.clone(), until });
        Ok(token)
    }

    /// A token that is not good any more. Another one, which somebody has got meanwhile, stays.
    async fn forget(&self, token: &str) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| *held.token == *token) {
            *held = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::future::join_all;

    use super::*;

    #[test]
    fn many_who_come_at_once_share_one_login() {
        let clock = Clock::manual();
        let (session, logins) = (Session::new(&clock, &[401]), Cell::new(0));
        let token = async || {
            let log_in = async {
                logins.set(logins.get() + 1);
                clock.wait(Duration::from_secs(2)).await;
                let token = format!("token {}", logins.get());
                Ok(Fresh { token, lifetime: Duration::from_mins(10) })
            };
            session.token(log_in).await.unwrap().to_string()
        };
        assert_eq!(clock.run(join_all([token(), token(), token()])), ["token 1"; 3]);
        // Of ten minutes nine are used.
        clock.advance(Duration::from_mins(9) - Duration::from_secs(3));
        assert_eq!(clock.run(token()), "token 1");
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.run(token()), "token 2");
        clock.run(session.forget("token 1"));
        assert_eq!(clock.run(token()), "token 2");
        clock.run(session.forget("token 2"));
        assert_eq!((clock.run(token()), logins.get()), ("token 3".to_owned(), 3));
    }
}
