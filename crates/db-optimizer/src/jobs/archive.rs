use diesel::sql_types::BigInt;

use crate::{Bind, Error, Pool, Statement};

/// Jobs, and the items that ended, are kept for so many days.
const DAYS: i32 = 14;
/// So many rows are changed by one statement at most: no transaction is long.
const AT_ONCE: i32 = 5_000;

/// Ends the jobs that are to be stopped and whose workers are gone, puts the items of stopped jobs away, and forgets
/// jobs of two weeks ago; says how many rows that were. Statements: 1 for 5,000 rows, and 1 more.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn tidy(pool: &Pool) -> Result<u64, Error> {
    let mut changed = 0;
    loop {
        let statement = Statement::<BigInt>::new(
            "SELECT jebi_tidy_jobs($1, $2)",
            vec![Bind::from(DAYS), Bind::from(AT_ONCE)],
        );
        let connection = pool.get().await?;
        let now: i64 = statement.one(&connection).await.map_err(Error::of("tidy the jobs"))?;
        changed += u64::try_from(now).unwrap_or(0);
        if now < i64::from(AT_ONCE) {
            return Ok(changed);
        }
    }
}

/// Makes room for the items that end in the coming days, and throws those away that ended two weeks ago. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn rotate(pool: &Pool) -> Result<(), Error> {
    let statement =
        Statement::<()>::new("SELECT jebi_rotate_job_items($1)", vec![Bind::from(DAYS)]);
    let connection = pool.get().await?;
    statement.run(&connection).await.map(|_| ()).map_err(Error::of("rotate the ended items"))
}
