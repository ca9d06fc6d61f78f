//! The statements that the server has seen beside those that this program knows by itself: taken from
//! `pg_stat_statements`, where they have no values, and given values of the data.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::types::{Kind, Type};

use super::catalogue::{NamedQuery, qualified};
use super::failure::said;
use super::measure::ask;
use super::session::{OURS, Session};
use super::workload::{Query, Values};
use crate::text::{Token, tokens};
use crate::watch::masked;

/// The most statements of the server that are looked at: those that read most.
const MOST: i64 = 200;

/// What the server has seen.
#[derive(Default)]
pub(super) struct Captured {
    /// Why nothing is known.
    pub(super) because: Option<String>,
    /// How often each of our own statements was sent, by its place in the workload.
    pub(super) calls: HashMap<usize, i64>,
    /// The others that can be run again.
    pub(super) queries: Vec<Query>,
    /// The others that cannot, and why.
    pub(super) unmeasured: Vec<(String, String)>,
}

/// The queries of a catalogue, with values.
pub(super) async fn named(
    session: &Session,
    client: &Client,
    queries: &[NamedQuery],
    found: &mut Captured,
) -> Result<(), tokio_postgres::Error> {
    let tables = Tables::read(session).await?;
    for NamedQuery { name, text } in queries {
        match tables.with_values(session, client, text).await {
            Ok(Sampled { text, values }) => {
                found.queries.extend(values.into_iter().map(|values| Query {
                    name: (*name).to_owned(),
                    endpoint: "the catalogue".to_owned(),
                    text: text.clone(),
                    values: Values::Sampled(values),
                    settings: "",
                }));
            }
            Err(because) => found.unmeasured.push((masked(text), because)),
        }
    }
    Ok(())
}

struct Seen {
    queryid: i64,
    text: String,
    calls: i64,
}

/// Reads what the server has seen of this database. `client` is a connection that may be spoiled.
pub(super) async fn captured(session: &Session, client: &Client, ours: &[Query]) -> Captured {
    let mut found = Captured::default();
    let seen = match seen(session).await {
        Ok(seen) => seen,
        Err(because) => return Captured { because: Some(because), ..found },
    };
    let mut known = HashMap::new();
    for (place, query) in ours.iter().enumerate() {
        if let Ok(Some(queryid)) = queryid(client, query).await {
            known.insert(queryid, place);
        }
    }
    let tables = match Tables::read(session).await {
        Ok(tables) => tables,
        Err(error) => return Captured { because: Some(said(&error)), ..found },
    };
    for Seen { queryid, text, calls } in seen {
        if let Some(place) = known.get(&queryid) {
            found.calls.insert(*place, calls);
            continue;
        }
        match tables.with_values(session, client, &text).await {
            Ok(Sampled { text, values }) => {
                found.queries.extend(values.into_iter().map(|values| Query {
                    name: format!("captured.{queryid}"),
                    endpoint: format!("pg_stat_statements, {calls} calls"),
                    text: text.clone(),
                    values: Values::Sampled(values),
                    settings: "",
                }));
            }
            Err(because) => found.unmeasured.push((masked(&text), because)),
        }
    }
    found
}

async fn seen(session: &Session) -> Result<Vec<Seen>, String> {
    let schema = "SELECT n.nspname::text FROM pg_extension AS e
                  JOIN pg_namespace AS n ON n.oid = e.extnamespace
                  WHERE e.extname = 'pg_stat_statements'";
    let schema = session.rows(schema, &[]).await.map_err(|error| said(&error))?;
    let Some(schema) = schema.first().map(|row| row.get::<_, String>(0)) else {
        return Err("the extension pg_stat_statements is not in this database".to_owned());
    };
    // Our own role's, or all where the role may see them. What reads is replayed; what writes is not.
    let sql = format!(
        "SELECT queryid, query, calls FROM {}
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND userid IN (SELECT oid FROM pg_roles WHERE rolname IN (current_user, 'jebi_service'))
           AND queryid IS NOT NULL AND toplevel AND NOT starts_with(query, $2) AND query ~* '^\\s*(/\\*.*?\\*/\\s*)*(SELECT|WITH)\\M'
         ORDER BY shared_blks_hit + shared_blks_read DESC, calls DESC LIMIT $1",
        qualified(&schema, "pg_stat_statements")
    );
    let rows = session.rows(&sql, &[&MOST, &OURS]).await.map_err(|error| said(&error))?;
    let hidden = format!(
        "SELECT count(*) FILTER (WHERE queryid IS NULL) FROM {}
         WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND userid = (SELECT oid FROM pg_roles WHERE rolname = 'jebi_service')",
        qualified(&schema, "pg_stat_statements")
    );
    let hidden = session.row(&hidden, &[]).await.map_err(|error| said(&error))?;
    if hidden.get::<_, i64>(0) > 0 {
        return Err("this role may not see what the service's role sends; have a superuser \
                    `GRANT pg_read_all_stats` to it"
            .to_owned());
    }
    let seen =
        rows.iter().map(|row| Seen { queryid: row.get(0), text: row.get(1), calls: row.get(2) });
    Ok(seen.collect())
}

/// What the server calls a statement; it is planned for that, and not run.
async fn queryid(client: &Client, query: &Query) -> Result<Option<i64>, tokio_postgres::Error> {
    let explain = format!("EXPLAIN (VERBOSE, FORMAT JSON) {}", query.text);
    let plan = ask(client, &explain, query).await?;
    Ok(plan[0]["Query Identifier"].as_i64())
}

/// The columns of all tables.
struct Tables {
    /// By table: schema and name, and the names of its columns.
    columns: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Tables {
    async fn read(session: &Session) -> Result<Self, tokio_postgres::Error> {
        let sql = "SELECT n.nspname::text, t.relname::text, a.attname::text
                   FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
                   JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
                   WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition
                     AND n.nspname NOT IN ('pg_catalog', 'information_schema')
                     AND n.nspname NOT LIKE 'pg\\_%'";
        let mut columns: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for row in session.rows(sql, &[]).await? {
            columns.entry((row.get(0), row.get(1))).or_default().insert(row.get(2));
        }
        Ok(Self { columns })
    }

    /// The statement with values of rows of the tables that it names, in place of its placeholders: of two rows from anywhere,
    /// and of one with the rarest values that the planner knows, for which an index that promises much may read most. None
    /// where it names no table: it says nothing about indexes.
    async fn with_values(
        &self,
        session: &Session,
        client: &Client,
        text: &str,
    ) -> Result<Sampled, String> {
        let parts = tokens(text);
        let words: BTreeSet<&str> = parts.iter().filter_map(Token::name).collect();
        let named: Vec<_> =
            self.columns.keys().filter(|(_, table)| words.contains(table.as_str())).collect();
        if named.is_empty() {
            return Ok(Sampled { text: String::new(), values: BTreeSet::new() });
        }
        refuse_effects(&parts)?;
        refuse_strangers(session, &words).await?;
        let text = typed_literals(&parts);
        let parts = tokens(&text);
        let prepared = client.prepare(&text).await.map_err(|error| said(&error))?;
        let mut samples: [Vec<Columns>; 3] = Default::default();
        for (schema, table) in named {
            let rows = rows_of(session, schema, table).await.map_err(|error| said(&error))?;
            samples.iter_mut().zip(rows).for_each(|(sample, row)| sample.push(row));
        }
        let kinds = prepared.params();
        let mut values = BTreeSet::new();
        for rows in &samples {
            // A placeholder that stands more than once has the value of its first place.
            let mut of_sample: Vec<Option<String>> = vec![None; kinds.len()];
            for (at, part) in parts.iter().enumerate() {
                let Token::Value(number) = part else { continue };
                let kind = kinds.get(number - 1).ok_or("it has too few types")?;
                let value = sampled(&parts, at, rows);
                of_sample[number - 1].get_or_insert_with(|| literal(value, kind, &parts, at));
            }
            values.insert(of_sample.into_iter().map(Option::unwrap_or_default).collect());
        }
        Ok(Sampled { text, values })
    }
}

/// A statement, and lists of values to run it with.
struct Sampled {
    text: String,
    values: BTreeSet<Vec<String>>,
}

/// Functions that neither PostgreSQL nor this role made: run again by this role, they could do whatever it may.
async fn refuse_strangers(session: &Session, words: &BTreeSet<&str>) -> Result<(), String> {
    const BOOTSTRAP: u32 = 10;
    let names: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let exact: Vec<&str> = words.iter().copied().collect();
    let sql = "SELECT p.proname::text FROM pg_proc AS p
               WHERE (p.proname = ANY ($1) OR p.proname = ANY ($2)) AND p.proowner <> $3
                 AND p.proowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user) LIMIT 1";
    let strangers = session.rows(sql, &[&names, &exact, &BOOTSTRAP]).await;
    match strangers.map_err(|error| said(&error))?.first() {
        Some(row) => Err(format!("it calls {}, which is another role's", row.get::<_, String>(0))),
        None => Ok(()),
    }
}

/// Functions of the server that do something, and locks.
fn refuse_effects(parts: &[Token<'_>]) -> Result<(), String> {
    let parts: Vec<&Token<'_>> = parts.iter().filter(|part| !part.is_blank()).collect();
    // A quoted name is a name, and no word.
    for pair in parts.windows(2) {
        if let (Some(name), "(") = (pair[0].name(), pair[1].text())
            && ["pg_", "dblink", "lo_"].iter().any(|of| name.to_ascii_lowercase().starts_with(of))
        {
            return Err(format!("it calls {name}, which may do more than read"));
        }
    }
    let words: Vec<&str> = parts.iter().map(|part| part.text()).collect();
    for pair in words.windows(2) {
        let (word, next) = (pair[0].to_ascii_lowercase(), pair[1].to_ascii_lowercase());
        if word == "for" && ["update", "share", "no", "key"].contains(&next.as_str()) {
            return Err("it locks rows".to_owned());
        }
    }
    let writes = ["insert", "update", "delete", "merge", "into"];
    match words.iter().find(|word| writes.contains(&word.to_ascii_lowercase().as_str())) {
        Some(_) => Err("it writes".to_owned()),
        None => Ok(()),
    }
}

/// `interval $3`, as constants of a type are written there, is no SQL; `$3::interval` is.
fn typed_literals(parts: &[Token<'_>]) -> String {
    const TYPES: [&str; 6] = ["interval", "date", "timestamp", "timestamptz", "time", "numeric"];
    let mut text = String::new();
    let mut held: Option<&str> = None;
    for part in parts {
        match (part, held) {
            (Token::Value(number), Some(kind)) => {
                text.truncate(text.trim_end().len() - kind.len());
                text.push_str(&format!("${number}::{kind}"));
                held = None;
            }
            (Token::Value(number), None) => text.push_str(&format!("${number}")),
            (part, _) => {
                if !part.is_blank() {
                    let word = part.text();
                    held = TYPES.iter().any(|kind| word.eq_ignore_ascii_case(kind)).then_some(word);
                }
                text.push_str(part.text());
            }
        }
    }
    text
}

/// A row by the names of its columns.
type Columns = serde_json::Map<String, Value>;

/// Two rows, taken from anywhere among the first thousand, and the first of them with the rarest of the frequent values.
async fn rows_of(
    session: &Session,
    schema: &str,
    table: &str,
) -> Result<[Columns; 3], tokio_postgres::Error> {
    let name = qualified(schema, table);
    let anywhere = format!(
        "(SELECT to_jsonb(t) FROM {name} AS t
          OFFSET floor(random() * (SELECT count(*) FROM (SELECT FROM {name} LIMIT 1000) AS few)) LIMIT 1)"
    );
    let rows = session.rows(&format!("{anywhere} UNION ALL {anywhere}"), &[]).await?;
    let mut rows = rows.iter().map(|row| match row.get(0) {
        Value::Object(columns) => columns,
        _ => Columns::new(),
    });
    let first = rows.next().unwrap_or_default();
    let second = rows.next().unwrap_or_else(|| first.clone());
    let rare = "SELECT attname::text, v.values[array_length(v.values, 1)]
                FROM pg_stats CROSS JOIN LATERAL (
                    SELECT most_common_vals::text::text[] AS values) AS v
                WHERE schemaname = $1 AND tablename = $2 AND most_common_vals IS NOT NULL";
    let mut rarest = first.clone();
    for row in session.rows(rare, &[&schema, &table]).await? {
        rarest
            .insert(row.get(0), row.get::<_, Option<String>>(1).map_or(Value::Null, Value::String));
    }
    Ok([first, second, rarest])
}

/// The value of the column that a placeholder is compared with.
fn sampled<'a>(parts: &[Token<'_>], at: usize, rows: &'a [Columns]) -> Option<&'a Value> {
    let before: Vec<&Token<'_>> =
        parts[..at].iter().filter(|part| !part.is_blank()).rev().take(24).collect();
    let column = compared(&before)?;
    rows.iter().find_map(|row| row.get(column)).filter(|value| !value.is_null())
}

/// The column in `column = `, `column IN (…, `, `column = ANY (` and `(column, …) < (…, `, read from the right.
fn compared<'a>(before: &[&Token<'a>]) -> Option<&'a str> {
    let text = |at: usize| before.get(at).map(|part| part.text());
    let mut at = 0;
    // Values of the same list that stand before it.
    let mut place = 0;
    while text(at) == Some(",") {
        place += 1;
        at += 1;
        while let Some(word) = text(at) {
            if word == "," || word == "(" {
                break;
            }
            at += 1;
        }
    }
    let mut is_list = false;
    if text(at) == Some("(") {
        is_list = true;
        at += 1;
    }
    if text(at).is_some_and(|word| word.eq_ignore_ascii_case("any")) {
        at += 1;
    }
    let operator = text(at)?;
    let is_comparison = operator.bytes().all(|byte| b"<>=!~@&|".contains(&byte))
        || ["in", "like", "ilike", "between"]
            .iter()
            .any(|word| operator.eq_ignore_ascii_case(word));
    if !is_comparison {
        return None;
    }
    at += 1;
    if text(at) == Some(")") && is_list {
        // `(a, b) < (…`: the columns from the left.
        let mut columns: Vec<&str> = Vec::new();
        while let Some(part) = before.get(at + 1 + columns.len() * 2) {
            columns.push(part.name()?);
            if text(at + columns.len() * 2) == Some("(") {
                break;
            }
        }
        columns.reverse();
        return columns.get(place).copied();
    }
    before.get(at)?.name()
}

/// A value as PostgreSQL prints one of this type.
fn literal(value: Option<&Value>, kind: &Type, parts: &[Token<'_>], at: usize) -> String {
    let (element, is_array) = match kind.kind() {
        Kind::Array(element) => (element, true),
        _ => (kind, false),
    };
    let word = parts[..at].iter().rev().find(|part| !part.is_blank()).map(Token::text);
    let is_limit = word.is_some_and(|word| word.eq_ignore_ascii_case("limit"));
    let text = match value {
        _ if is_limit => "50".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(values)) if is_array => return listed(values),
        Some(other) => other.to_string(),
        None => default_of(element).to_owned(),
    };
    if is_array { listed(&[Value::String(text)]) } else { text }
}

/// As PostgreSQL prints an array.
fn listed(values: &[Value]) -> String {
    let one = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    format!("{{{}}}", values.iter().map(one).collect::<Vec<_>>().join(","))
}

/// A value for what is compared with no column.
fn default_of(kind: &Type) -> &'static str {
    match *kind {
        Type::BOOL => "true",
        Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC => "1",
        Type::UUID => "00000000-0000-0000-0000-000000000000",
        Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::DATE => "now",
        Type::INTERVAL => "1 day",
        Type::JSON | Type::JSONB => "{}",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the first `$1` is compared with.
    fn column(text: &str) -> Option<String> {
        let parts = tokens(text);
        let at = parts.iter().position(|part| matches!(part, Token::Value(1)))?;
        let before: Vec<_> = parts[..at].iter().filter(|part| !part.is_blank()).rev().collect();
        compared(&before).map(str::to_owned)
    }

    #[test]
    fn the_column_that_a_value_is_compared_with_is_found() {
        for (text, expected) in [
            ("SELECT * FROM t WHERE a = $1", Some("a")),
            ("SELECT * FROM t WHERE t.b >= $1", Some("b")),
            ("SELECT * FROM t WHERE \"Odd one\" = $1", Some("Odd one")),
            ("SELECT * FROM t WHERE a = ANY ($1)", Some("a")),
            ("SELECT * FROM t WHERE a IN ($2, $3, $1)", Some("a")),
            ("SELECT * FROM t WHERE (a, b) < ($1, $2)", Some("a")),
            ("SELECT * FROM t WHERE (a, b) < ($2, $1)", Some("b")),
            ("SELECT * FROM t WHERE c LIKE $1", Some("c")),
            ("SELECT * FROM t WHERE note = ' a = $1 ' AND a = $1", Some("a")),
            ("SELECT * FROM t LIMIT $1", None),
            ("SELECT $1", None),
            ("SELECT f($1)", None),
        ] {
            assert_eq!(column(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn constants_of_a_type_become_sql_again() {
        let text = "SELECT 1 FROM t WHERE at > now() - interval $3 AND note = 'interval $4'";
        assert_eq!(
            typed_literals(&tokens(text)),
            "SELECT 1 FROM t WHERE at > now() - $3::interval AND note = 'interval $4'"
        );
    }

    #[test]
    fn what_does_more_than_read_is_not_run_again() {
        for text in [
            "SELECT pg_terminate_backend($1) FROM t",
            "SELECT * FROM t FOR UPDATE",
            "SELECT * FROM t FOR NO KEY UPDATE",
            "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
            "SELECT * INTO u FROM t",
        ] {
            assert!(refuse_effects(&tokens(text)).is_err(), "{text}");
        }
        let reads = "SELECT 'DELETE', \"update\" FROM t WHERE x = 'pg_sleep(1)'";
        assert_eq!(refuse_effects(&tokens(reads)), Ok(()));
    }
}
