use std::time::Duration;

use super::Breaker;

/// How Redis is reached and used.
#[derive(Debug, Clone)]
pub struct Redis {
    pub(super) url: String,
    pub(super) prefix: String,
    pub(super) connections: u32,
    pub(super) deadline: Duration,
    pub(super) lease: Duration,
    pub(super) breaker: Breaker,
    pub(super) messages: u32,
}

impl Redis {
    /// The Redis at an address like `redis://127.0.0.1:6379/0`.
    #[must_use]
    pub fn url(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "jebi".to_owned(),
            connections: 2,
            deadline: Duration::from_millis(100),
            lease: Duration::from_secs(2),
            breaker: Breaker::default(),
            messages: 10_000,
        }
    }

    /// Begins every key, so that several caches share one Redis. Default `jebi`.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Connections that all calls share. Default 2.
    #[must_use]
    pub fn connections(self, connections: u32) -> Self {
        Self { connections: connections.max(1), ..self }
    }

    /// How long a call may take; a longer one is a miss. Default 100 ms.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// How long a process that died while it loaded a value keeps the others from loading it. Default 2 s; one
    /// that lives renews it.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// When calls of a failing Redis stop.
    #[must_use]
    pub fn breaker(self, breaker: Breaker) -> Self {
        Self { breaker, ..self }
    }

    /// How many messages are kept for processes that were cut off: one that missed more gives up all it holds.
    /// Default 10,000.
    #[must_use]
    pub fn messages(self, messages: u32) -> Self {
        Self { messages, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_is_used_as_was_said() {
        let usual = Redis::url("redis://127.0.0.1:6379/0");
        assert_eq!((&*usual.url, &*usual.prefix), ("redis://127.0.0.1:6379/0", "jebi"));
        assert_eq!((usual.connections, usual.messages), (2, 10_000));
        assert_eq!(
            (usual.deadline, usual.lease),
            (Duration::from_millis(100), Duration::from_secs(2))
        );
        let breaker = Breaker { failures: 9, ..Breaker::default() };
        let said = usual
            .prefix("shop")
            .connections(7)
            .deadline(Duration::from_secs(1))
            .lease(Duration::from_secs(3))
            .breaker(breaker)
            .messages(5);
        assert_eq!((&*said.url, &*said.prefix), ("redis://127.0.0.1:6379/0", "shop"));
        assert_eq!((said.connections, said.messages, said.breaker), (7, 5, breaker));
        assert_eq!((said.deadline, said.lease), (Duration::from_secs(1), Duration::from_secs(3)));
        assert_eq!(said.connections(0).connections, 1);
    }
}
