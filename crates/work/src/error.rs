use jebi_db_optimizer as db;

/// Why a handler could not write.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another worker has the items, or the job has ended: nothing was committed, and there is nothing left to do.
    #[error("the lease was lost")]
    Lost,
    /// PostgreSQL did not do it.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// Why a handler gave up. It is told of every item that it did not end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The attempt failed, for this reason; it is shown to clients, and holds no personal data.
    Because(String),
    /// What is needed is away for now. No failed attempt.
    Away,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            // Nobody asks any more.
            Error::Lost => Self::Away,
            Error::Db(error) => error.into(),
        }
    }
}

impl From<db::Error> for Failure {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::NoConnection(_) => Self::Away,
            // What it says names what was done, never rows.
            db::Error::Busy { .. }
            | db::Error::Exists { .. }
            | db::Error::Query { .. }
            | db::Error::CorruptRow { .. }
            | db::Error::Copy { .. }
            | db::Error::Migrate(_) => Self::Because(error.to_string()),
        }
    }
}
