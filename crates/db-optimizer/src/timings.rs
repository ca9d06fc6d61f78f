//! How long statements take, told apart by what they do: `sql SELECT orders`.
//!
//! A statement is timed where it is run for a piece of work that is watched ([`repeats::watch`](crate::repeats::watch)),
//! and is a span of its trace where that is sampled.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use diesel::QueryResult;
use diesel::result::Error as Diesel;
use jebi_monitor::{Monitor, Operation, Outcome};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};

use crate::text::{Token, tokens};

/// What the names of these operations begin with.
pub const PREFIX: &str = "sql ";

/// The texts that are remembered with their operation; those of the others are read each time.
const MOST_TEXTS: usize = 4_096;
/// Longer names of tables are cut.
const NAME_BYTES: usize = 48;

/// The operations of statements. Clones share them.
#[derive(Debug, Clone)]
pub struct Timings(Arc<Known>);

#[derive(Debug)]
struct Known {
    monitor: Arc<Monitor>,
    by_text: RwLock<HashMap<u64, Operation>>,
}

impl Timings {
    /// Records into `monitor`.
    #[must_use]
    pub fn new(monitor: Arc<Monitor>) -> Self {
        Self(Arc::new(Known { monitor, by_text: RwLock::default() }))
    }

    /// The operation of a text with this fingerprint.
    pub(crate) fn of(&self, fingerprint: u64, text: &str) -> Operation {
        let known = self.0.by_text.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(operation) = known.get(&fingerprint) {
            return operation.clone();
        }
        drop(known);
        let operation = self.0.monitor.track_operation(&format!("{PREFIX}{}", summary(text)));
        let mut known = self.0.by_text.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST_TEXTS {
            known.insert(fingerprint, operation.clone());
        }
        operation
    }
}

/// A statement that is to be run: where it is recorded.
pub(crate) struct Timing {
    operation: Option<Operation>,
    span: Option<Context>,
}

impl Timing {
    /// Of a text that is recorded as `operation`, and as a span where the trace of the work is sampled.
    pub(crate) fn new(operation: Option<Operation>, text: &str) -> Self {
        Self { operation, span: span(text) }
    }

    /// Runs it.
    pub(crate) async fn run<T>(
        self,
        statement: impl Future<Output = QueryResult<T>>,
    ) -> QueryResult<T> {
        let scope = self.operation.as_ref().map(Operation::scope);
        let result = statement.await;
        if let Some(scope) = scope {
            scope.end(outcome(&result));
        }
        if let (Some(span), Err(error)) = (&self.span, &result) {
            let span = span.span();
            // Not what PostgreSQL says, which may show values.
            span.set_attribute(KeyValue::new("error.type", kind(error)));
            span.set_status(Status::error(kind(error)));
        }
        result
    }
}

/// A key that is taken is an answer.
fn outcome<T>(result: &QueryResult<T>) -> Outcome {
    match result {
        Ok(_) | Err(Diesel::NotFound) => Outcome::Ok,
        Err(error) if kind(error) == "constraint" => Outcome::Refused,
        Err(_) => Outcome::Error,
    }
}

/// What kind of failure it is, in a word.
fn kind(error: &Diesel) -> &'static str {
    use diesel::result::DatabaseErrorKind as Kind;
    match error {
        Diesel::DatabaseError(
            Kind::UniqueViolation
            | Kind::ForeignKeyViolation
            | Kind::CheckViolation
            | Kind::NotNullViolation
            | Kind::ExclusionViolation
            | Kind::RestrictViolation,
            _,
        ) => "constraint",
        Diesel::DatabaseError(Kind::SerializationFailure, _) => "serialization",
        Diesel::DatabaseError(Kind::ClosedConnection, _) => "connection",
        Diesel::NotFound => "not_found",
        _ => "statement",
    }
}

/// A span under that of the work, where that is sampled; it ends with this value.
fn span(text: &str) -> Option<Context> {
    let is_sampled = Context::map_current(|context| {
        context.has_active_span() && context.span().span_context().is_sampled()
    });
    is_sampled.then(|| {
        let summary = summary(text);
        let tracer = global::tracer("jebi");
        let span = tracer
            .span_builder(summary.clone())
            .with_kind(SpanKind::Client)
            .with_attributes([
                KeyValue::new("db.system.name", "postgresql"),
                KeyValue::new("db.query.summary", summary),
                // Without its values: those are bound.
                KeyValue::new("db.query.text", text.to_owned()),
            ])
            .start(&tracer);
        Context::current_with_span(span)
    })
}

/// What a statement does, in two words: `SELECT orders`, `INSERT outbox`, `SELECT set_config`. Of a statement with
/// several parts it is the one that writes, or the table that is read first.
pub(crate) fn summary(text: &str) -> String {
    let tokens: Vec<Token<'_>> =
        tokens(text).into_iter().filter(|token| !token.is_blank()).collect();
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => word.to_ascii_uppercase(),
        _ => String::new(),
    };
    let first = word(0);
    let writes = |at: &usize| matches!(&*word(*at), "INSERT" | "UPDATE" | "DELETE" | "MERGE");
    // `FOR UPDATE` and `ON CONFLICT DO UPDATE` begin no statement.
    let begins = |at: &usize| *at == 0 || !matches!(&*word(*at - 1), "FOR" | "DO" | "NO" | "ON");
    let (verb, from) = match &*first {
        "WITH" => match (0..tokens.len()).filter(begins).find(writes) {
            Some(at) => (word(at), at),
            None => ("SELECT".to_owned(), 0),
        },
        "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" => (first, 0),
        _ => return first,
    };
    let name = |at: usize| tokens.get(at).and_then(Token::name).filter(|name| *name != "LATERAL");
    let named = match &*verb {
        "UPDATE" => name(from + 1),
        _ => (from..tokens.len())
            .filter(|at| matches!(&*word(*at), "FROM" | "INTO"))
            // `extract(epoch FROM a)` reads no table.
            .filter(|at| at.checked_sub(3).is_none_or(|before| word(before) != "EXTRACT"))
            .find_map(|at| name(at + 1)),
    };
    // A function, where no table is named.
    let called = || {
        let is_open = |at: &usize| tokens.get(at + 1) == Some(&Token::Sign("("));
        (from + 1..tokens.len()).filter(is_open).find_map(name)
    };
    match named.or_else(called) {
        Some(name) => format!("{verb} {}", &name[..name.floor_char_boundary(NAME_BYTES)]),
        None => verb,
    }
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn a_statement_is_named_by_its_verb_and_its_table() {
        for (text, expected) in [
            ("SELECT a, count(*) FROM orders AS o WHERE b = $1", "SELECT orders"),
            ("WITH page AS (SELECT * FROM \"jobs\" LIMIT 1) SELECT * FROM page", "SELECT jobs"),
            ("WITH a AS (SELECT 1), b AS (INSERT INTO outbox SELECT 2) SELECT 3", "INSERT outbox"),
            ("SELECT * FROM jobs FOR UPDATE SKIP LOCKED", "SELECT jobs"),
            ("UPDATE orders SET a = 1", "UPDATE orders"),
            ("INSERT INTO t (a) VALUES ($1) ON CONFLICT DO UPDATE SET a = 2", "INSERT t"),
            ("DELETE FROM outbox WHERE id = $1", "DELETE outbox"),
            ("SELECT set_config('a', 'FROM x', true)", "SELECT set_config"),
            ("SELECT a FROM (SELECT b FROM claims) AS c", "SELECT claims"),
            ("SELECT extract(epoch FROM clock_timestamp()) FROM relay", "SELECT relay"),
            ("SELECT extract(epoch FROM created_at) FROM orders", "SELECT orders"),
            ("SELECT $1", "SELECT"),
            ("VACUUM orders", "VACUUM"),
            ("", ""),
        ] {
            assert_eq!(summary(text), expected, "{text}");
        }
    }
}
