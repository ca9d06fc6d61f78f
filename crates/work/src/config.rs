use std::time::Duration;

/// How a runner works.
#[derive(Debug, Clone)]
pub struct Config {
    /// Claims that are worked on at once.
    pub workers: usize,
    /// How long items are this runner's own. One that is dead, or stopped for longer, has lost them.
    pub lease: Duration,
    /// How often leases are extended, and how late a job that is to be stopped hears of it.
    pub beat: Duration,
    /// How late work is found that another process enqueued, or that comes due.
    pub poll: Duration,
    /// A seller who has so many items under lease, in all processes, gets no more.
    pub cap: i32,
    /// At a stop, handlers have this long to end; then they are aborted. Either way, what they did not end is handed back.
    pub grace: Duration,
    /// How long an item waits after its first failed attempt, at most. After each further one twice as long.
    pub first_delay: Duration,
    /// How long it waits at most.
    pub most_delay: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 4,
            lease: Duration::from_secs(30),
            beat: Duration::from_secs(2),
            poll: Duration::from_millis(250),
            cap: 100,
            grace: Duration::from_secs(5),
            first_delay: Duration::from_secs(2),
            most_delay: Duration::from_mins(5),
        }
    }
}
