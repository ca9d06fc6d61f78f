use crate::word::words;

words! {
    /// Where a job stands.
    pub enum JobState ("state") {
        /// No worker has begun.
        Queued = "queued",
        /// Workers have begun, and are not through.
        Running = "running",
        /// Every item has ended; some may have failed.
        Done = "done",
        /// It was given up after too many attempts.
        Failed = "failed",
        /// It was asked to stop before it was through.
        Cancelled = "cancelled",
    }
}

impl JobState {
    /// Whether nothing of the job changes any more.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Done | Self::Failed | Self::Cancelled => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::JobState;

    #[test]
    fn a_job_has_ended_once_it_neither_waits_nor_runs() {
        let ended: Vec<_> = JobState::ALL.iter().filter(|state| state.is_ended()).collect();
        assert_eq!(ended, [&JobState::Done, &JobState::Failed, &JobState::Cancelled]);
    }
}
