//! Follows the plans of a running service's statements.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use diesel::sql_types::{BigInt, Text};

use super::masked::masked;
use super::regressions::{Counter, Regression, Regressions};
use super::statistics::{Extension, NoStatistics, find, readable};
use crate::{Bind, Error, Pool, Statement};

/// What samples of the statements of one database have shown. Clones share it.
#[derive(Clone, Default)]
pub struct Plans(Arc<Mutex<Followed>>);

#[derive(Default)]
struct Followed {
    regressions: Regressions,
    /// Of the statements that are in `regressions`.
    texts: Vec<(i64, String)>,
    missing: Option<NoStatistics>,
}

impl Plans {
    /// The regressions of now, each with its text without values.
    ///
    /// # Errors
    /// [`NoStatistics`] where the last sample could not be taken.
    pub fn regressions(&self) -> Result<Vec<(Regression, String)>, NoStatistics> {
        let followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(missing) = followed.missing {
            return Err(missing);
        }
        let text = |id: i64| followed.texts.iter().find(|(known, _)| *known == id);
        let with_text = |found: Regression| {
            let text = text(found.query_id).map_or_else(String::new, |(_, text)| text.clone());
            (found, text)
        };
        Ok(followed.regressions.current().into_iter().map(with_text).collect())
    }

    /// Takes a sample and gives the regressions that it shows for the first time, with their texts. Statements: 2, and 1
    /// more where there is any.
    ///
    /// # Errors
    /// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
    pub async fn sample(&self, pool: &Pool) -> Result<Vec<(Regression, String)>, Error> {
        let connection = pool.get().await?;
        let extension = match find(&connection).await? {
            Ok(extension) => extension,
            Err(missing) => return Ok(self.note(Err(missing))),
        };
        let counters: Vec<(i64, i64, i64)> =
            match readable(counters_statement(&extension).all(&connection).await)? {
                Ok(counters) => counters,
                Err(missing) => return Ok(self.note(Err(missing))),
            };
        let counters: Vec<Counter> = counters
            .into_iter()
            .map(|(query_id, calls, buffers)| Counter { query_id, calls, buffers })
            .collect();
        let news = self.note(Ok(&counters));
        if news.is_empty() {
            return Ok(news);
        }
        let ids = news.iter().map(|(found, _)| found.query_id).collect();
        let texts = texts_statement(&extension, ids).all(&connection).await;
        let texts: Vec<(i64, String)> = readable(texts)?.unwrap_or_default();
        Ok(self.name(news, &texts))
    }

    fn note(&self, counters: Result<&[Counter], NoStatistics>) -> Vec<(Regression, String)> {
        let mut followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        followed.missing = counters.err();
        let news = followed.regressions.add(Utc::now(), counters.unwrap_or_default());
        news.into_iter().map(|found| (found, String::new())).collect()
    }

    fn name(
        &self,
        news: Vec<(Regression, String)>,
        texts: &[(i64, String)],
    ) -> Vec<(Regression, String)> {
        let mut followed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let current = followed.regressions.current();
        followed.texts.retain(|(id, _)| current.iter().any(|found| found.query_id == *id));
        let name = |(found, _): (Regression, String)| {
            let text = texts.iter().find(|(id, _)| *id == found.query_id);
            let text = text.map_or_else(String::new, |(_, text)| masked(text));
            followed.texts.push((found.query_id, text.clone()));
            (found, text)
        };
        news.into_iter().map(name).collect()
    }
}

/// The statements that read most, without their texts, which lie in a file.
fn counters_statement(extension: &Extension) -> Statement<(BigInt, BigInt, BigInt)> {
    let schema = &extension.schema;
    Statement::new(
        format!(
            "SELECT s.queryid, sum(s.calls)::bigint,
                    sum(s.shared_blks_hit + s.shared_blks_read)::bigint
             FROM {schema}.pg_stat_statements(false) AS s
             JOIN pg_database AS d ON d.oid = s.dbid
             WHERE d.datname = current_database() AND s.queryid IS NOT NULL
             GROUP BY s.queryid
             ORDER BY 3 DESC
             LIMIT 1000"
        ),
        vec![],
    )
}

fn texts_statement(extension: &Extension, ids: Vec<i64>) -> Statement<(BigInt, Text)> {
    let schema = &extension.schema;
    Statement::new(
        format!(
            "SELECT queryid, min(query) FROM {schema}.pg_stat_statements
             WHERE queryid = ANY($1) AND query IS NOT NULL GROUP BY queryid"
        ),
        vec![Bind::BigInts(ids)],
    )
}
