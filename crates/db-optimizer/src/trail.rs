//! What every change leaves behind beside itself, in its own transaction: an event on its way out, and an
//! entry of the audit log.

use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use jebi_domain::{EventId, SellerId};
use serde_json::Value;
use uuid::Uuid;

use crate::random::random;
use crate::relay::Happened;
use crate::{Bind, Statement, Transaction};

/// Who makes a change, and when.
#[derive(Debug, Clone)]
pub struct Author {
    /// `key:<id>` for a client of the API.
    pub actor: String,
    /// The request that brought it.
    pub request_id: Option<String>,
    /// Now, in whole microseconds, as PostgreSQL keeps them.
    pub at: DateTime<Utc>,
}

/// Something happened to `aggregate`, which came to `version`. The payload holds no personal data.
pub(crate) fn event(
    transaction: &Transaction<'_>,
    seller: SellerId,
    name: &str,
    (aggregate, version): (Uuid, i64),
    payload: Value,
    at: DateTime<Utc>,
) -> Statement {
    let id = EventId::new(at, random());
    let statement = Statement::new(
        "INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload, occurred_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        vec![
            Bind::from(id),
            Bind::from(seller),
            Bind::from(name),
            Bind::from(aggregate),
            Bind::from(version),
            Bind::from(payload.clone()),
            Bind::from(at),
        ],
    );
    transaction.note(Happened { id, seller, event: name.to_owned(), aggregate, payload });
    statement
}

/// The same happened to many aggregates at once. 1 statement.
pub(crate) fn events(
    transaction: &Transaction<'_>,
    seller: SellerId,
    name: &str,
    aggregates: &[(Uuid, i64)],
    payload: &Value,
    at: DateTime<Utc>,
) -> Statement {
    let ids: Vec<EventId> = aggregates.iter().map(|_| EventId::new(at, random())).collect();
    for (id, (aggregate, _)) in ids.iter().zip(aggregates) {
        let (event, payload) = (name.to_owned(), payload.clone());
        transaction.note(Happened { id: *id, seller, event, aggregate: *aggregate, payload });
    }
    Statement::new(
        "INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload, occurred_at)
         SELECT id, $1, $2, aggregate_id, version, $3, $4
         FROM unnest($5, $6, $7) AS happened (id, aggregate_id, version)",
        vec![
            Bind::from(seller),
            Bind::from(name),
            Bind::from(payload.clone()),
            Bind::from(at),
            Bind::from(ids.into_iter().map(EventId::as_uuid).collect::<Vec<_>>()),
            Bind::from(aggregates.iter().map(|(id, _)| *id).collect::<Vec<_>>()),
            Bind::from(aggregates.iter().map(|(_, version)| *version).collect::<Vec<_>>()),
        ],
    )
}

/// Somebody did `action` to `subject`.
pub(crate) fn audit(
    seller: SellerId,
    action: &str,
    subject: Uuid,
    author: &Author,
    changes: Value,
) -> Statement {
    Statement::new(
        "INSERT INTO audit_log (id, seller_id, actor, action, subject_id, request_id, changes, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        vec![
            Bind::from(EventId::new(author.at, random())),
            Bind::from(seller),
            Bind::from(author.actor.as_str()),
            Bind::from(action),
            Bind::from(subject),
            Bind::from(author.request_id.clone()),
            Bind::from(changes),
            Bind::from(author.at),
        ],
    )
}

/// Sends statements one behind the other without waiting in between, and waits for all of them: a connection
/// that is given back before they ended would be thrown away.
pub(crate) async fn send(
    connection: &AsyncPgConnection,
    statements: Vec<Statement>,
) -> QueryResult<()> {
    let run = statements.into_iter().map(|statement| statement.run(connection));
    futures::future::join_all(run)
        .await
        .into_iter()
        .collect::<QueryResult<Vec<usize>>>()
        .map(|_| ())
}
