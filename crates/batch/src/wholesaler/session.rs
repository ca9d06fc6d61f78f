//! What a login gives, kept until shortly before it ends. One login at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::wholesaler::error::Error;

/// A session with a wholesaler, or none yet.
pub(super) struct Session {
    clock: Clock,
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
    pub(super) fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), held: Mutex::new(None) }
    }

    /// The token that is held, or the one of a new login. Who comes meanwhile waits for that one.
    pub(super) async fn token(
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
    pub(super) async fn forget(&self, token: &str) {
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
        let (session, logins) = (Session::new(&clock), Cell::new(0));
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
