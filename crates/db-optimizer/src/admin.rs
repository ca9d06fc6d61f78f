use std::ops::{Deref, DerefMut};

use diesel_async::{AsyncConnection as _, AsyncPgConnection};

use crate::Error;

/// A connection as the database's owner, for what an operator does from the command line: migrations,
/// sellers and their keys. The service itself never opens one.
pub struct Admin(AsyncPgConnection);

impl Admin {
    /// Connects as the role that the URL names.
    ///
    /// # Errors
    /// [`Error::NoConnection`].
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let connection = AsyncPgConnection::establish(url).await;
        connection.map(Self).map_err(|error| Error::NoConnection(Box::new(error)))
    }

    pub(crate) fn into_inner(self) -> AsyncPgConnection {
        self.0
    }
}

impl Deref for Admin {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.0
    }
}

impl DerefMut for Admin {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.0
    }
}
