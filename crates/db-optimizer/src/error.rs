use std::error::Error as StdError;

use diesel::result::{DatabaseErrorKind, Error as Diesel};
use tokio_postgres::error::SqlState;

/// What can go wrong between the service and PostgreSQL. A row that is not there is no error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection came free, or none could be opened, within the pool's timeout.
    #[error("no connection to PostgreSQL")]
    NoConnection(#[source] Box<dyn StdError + Send + Sync>),
    /// PostgreSQL gave up waiting for a lock or stopped the statement at its time limit.
    #[error("PostgreSQL was too busy to {action}")]
    Busy {
        /// What was being done, as in "list orders".
        action: &'static str,
        /// What PostgreSQL said.
        #[source]
        source: Diesel,
    },
    /// A row with this key exists already.
    #[error("could not {action}: it exists already")]
    Exists {
        /// What was being done.
        action: &'static str,
        /// The name of the unique key.
        key: String,
    },
    /// A statement failed.
    #[error("could not {action}")]
    Query {
        /// What was being done.
        action: &'static str,
        /// What PostgreSQL said.
        #[source]
        source: Diesel,
    },
    /// A row holds what this program never writes: an unknown word, a sealed value of another row,
    /// or a row of another seller.
    #[error("could not {action}: a row has a bad {what}")]
    CorruptRow {
        /// What was being done.
        action: &'static str,
        /// The column.
        what: &'static str,
    },
    /// A bulk load failed; its transaction was rolled back.
    #[error("could not {action}")]
    Copy {
        /// What was being done.
        action: &'static str,
        /// What PostgreSQL said.
        #[source]
        source: Refused,
    },
    /// The schema could not be brought up to date.
    #[error("could not migrate the database")]
    Migrate(#[source] Box<dyn StdError + Send + Sync>),
}

/// What PostgreSQL said to a bulk load, without the row that it said it of: rows hold customers' data.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.as_db_error().map_or_else(|| .0.to_string(), |error| error.message().to_owned()))]
pub struct Refused(pub(crate) tokio_postgres::Error);

impl Refused {
    /// Somebody else wrote the same rows at the same moment: once they are done, it goes well.
    pub(crate) fn is_a_race(&self) -> bool {
        let races = [SqlState::UNIQUE_VIOLATION, SqlState::T_R_DEADLOCK_DETECTED];
        self.0.code().is_some_and(|code| races.contains(code))
    }
}

impl Error {
    /// For `map_err`: the failure of a statement, by what it means to the caller.
    pub(crate) fn of(action: &'static str) -> impl Fn(Diesel) -> Self {
        move |source| match &source {
            Diesel::DatabaseError(DatabaseErrorKind::UniqueViolation, info) => {
                Self::Exists { action, key: info.constraint_name().unwrap_or_default().to_owned() }
            }
            Diesel::DatabaseError(
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
                _,
            ) => Self::NoConnection(Box::new(source)),
            Diesel::DatabaseError(_, info) if says(info.message(), &GONE) => {
                Self::NoConnection(Box::new(source))
            }
            Diesel::DatabaseError(_, info) if says(info.message(), &BUSY) => {
                Self::Busy { action, source }
            }
            _ => Self::Query { action, source },
        }
    }
}

// diesel has no kinds for these and does not hand out SQLSTATE, so that the texts of PostgreSQL's `C` and
// English messages have to do.

/// 57P01 to 57P03: PostgreSQL stops, or ended this connection.
const GONE: [&str; 2] = ["terminating connection", "the database system is"];

/// 55P03, 57014 and 40P01: a lock or a statement took too long, or two waited for each other.
const BUSY: [&str; 3] = ["due to lock timeout", "due to statement timeout", "deadlock detected"];

fn says(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.contains(text))
}

/// An error with its causes in one line: `tokio_postgres` says only "db error" by itself.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
