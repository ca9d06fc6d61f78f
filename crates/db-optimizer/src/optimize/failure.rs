use tokio_postgres::error::SqlState;

/// Why a run stopped, or could not do one of its steps: what happened, what was left, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server does not answer.
    #[error(
        "PostgreSQL cannot be reached: {0}; see that DATABASE_URL is right and the server runs"
    )]
    Unreachable(String),
    /// The server went away in the middle and did not come back.
    #[error(
        "PostgreSQL went away while {doing}, and did not come back within {waited_seconds} s: {left}; run it again"
    )]
    WentAway {
        /// What was being done.
        doing: String,
        /// How long it was waited for.
        waited_seconds: u64,
        /// What is there now, as far as it is known.
        left: String,
    },
    /// The server or the role writes nothing.
    #[error(
        "PostgreSQL is read-only ({0}), and nothing was changed; give the address of the primary"
    )]
    ReadOnly(&'static str),
    /// The server is too old.
    #[error("PostgreSQL {0} is too old, and nothing was changed; it takes 15 or newer")]
    TooOld(String),
    /// The role may not build what is missing.
    #[error(
        "{role} may not {what}, and nothing was changed; connect as {owner}, or as a member of that role"
    )]
    NoRight {
        /// Who is connected.
        role: String,
        /// What was refused.
        what: String,
        /// Who may.
        owner: String,
    },
    /// A table of the catalogue is not there.
    #[error("there is no table {0}, and nothing was changed; run `jebi migrate` first")]
    NoTable(String),
    /// The name of an index belongs to something else.
    #[error(
        "{name} is the name of {what} already, and was left as it is; rename or drop that first"
    )]
    NameTaken {
        /// The wanted index.
        name: String,
        /// What has its name.
        what: String,
    },
    /// Somebody held a lock, or an old snapshot, for too long.
    #[error("could not {doing}: {holder}; {left}; run it again once that has ended")]
    Locked {
        /// What was being done.
        doing: String,
        /// Who holds it.
        holder: String,
        /// What is there now.
        left: String,
    },
    /// Another run was working all the time.
    #[error(
        "another run has been working for {0} s, and nothing was changed by this one; wait for it"
    )]
    Busy(u64),
    /// The disk is full.
    #[error(
        "could not {doing}: the server's disk is full ({said}); {left}; make room and run it again"
    )]
    DiskFull {
        /// What was being done.
        doing: String,
        /// What PostgreSQL said.
        said: String,
        /// What is there now.
        left: String,
    },
    /// PostgreSQL refused a statement.
    #[error("could not {doing}: {said}; {left}")]
    Refused {
        /// What was being done.
        doing: String,
        /// What PostgreSQL said.
        said: String,
        /// What is there now.
        left: String,
    },
    /// Somebody stopped the run.
    #[error("stopped while it was to {doing}: {left}")]
    Stopped {
        /// What was being done.
        doing: String,
        /// What is there now.
        left: String,
    },
    /// The connection was lost, and another run began before there was a new one.
    #[error(
        "another run began while this one had lost its connection, to {doing}: {left}; run it again"
    )]
    Overtaken {
        /// What was being done.
        doing: String,
        /// What is there now.
        left: String,
    },
    /// There is no such run to take back.
    #[error("there is no run {0} that changed anything; see the list of `jebi optimize --runs`")]
    NoRun(String),
    /// It was taken back before.
    #[error("run {0} was taken back already, and nothing was changed")]
    TakenBack(String),
}

/// What an error of PostgreSQL means to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The connection is gone, or the server goes down.
    Gone,
    /// A lock was not free in time, or two waited for each other: it may go well the next time.
    Locked,
    /// Somebody cancelled the statement.
    Cancelled,
    DiskFull,
    /// It would be refused again.
    Refused,
}

impl Cause {
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(code) = error.code() else { return Self::Gone };
        match *code {
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::IDLE_SESSION_TIMEOUT
            | SqlState::CONNECTION_FAILURE => Self::Gone,
            SqlState::LOCK_NOT_AVAILABLE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::OBJECT_IN_USE => Self::Locked,
            SqlState::QUERY_CANCELED => Self::Cancelled,
            SqlState::DISK_FULL => Self::DiskFull,
            _ => Self::Refused,
        }
    }
}

/// What was said, with its causes, in one line.
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => crate::error::chain(error),
    }
}
