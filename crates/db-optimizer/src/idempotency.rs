//! One effect and one answer for a request that is sent again.

use diesel::OptionalExtension as _;
use diesel::sql_types::{Binary, Nullable, Text};
use jebi_domain::{Place, SellerKeys};

use crate::random::random;
use crate::{Bind, Error, Statement, Transaction};

/// A request, as its `Idempotency-Key` names it. The same key of another seller or another route is
/// another request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Method and path of the route.
    pub route: &'static str,
    /// The key that the client sent.
    pub key: &'a str,
    /// The body that the client sent.
    pub body: &'a [u8],
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Where the thing that was made is.
    pub location: String,
    /// The body, to the byte.
    pub body: Vec<u8>,
}

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Do it: nobody has within 24 hours. Twins wait until the transaction ends.
    Mine,
    /// It was done: give this answer again.
    Answered(Answer),
    /// The key was used for another body.
    Mismatch,
}

/// Claims a request for the transaction. Where a twin is at work, this waits for its end. Statements: 1
/// for the first, 2 for a repetition.
///
/// # Errors
/// [`Error::Busy`] where the twin takes longer than the lock timeout, [`Error::Query`],
/// [`Error::CorruptRow`].
pub async fn claim(
    transaction: &Transaction<'_>,
    keys: &SellerKeys,
    request: Request<'_>,
) -> Result<Claim, Error> {
    const ACTION: &str = "claim an idempotency key";
    type Row = (Vec<u8>, Option<String>, Option<Vec<u8>>);
    let failed = Error::of(ACTION);
    let fingerprint = keys.fingerprint(request.body).to_vec();
    // The insert comes first: looking before it would let two twins both find nothing.
    let insert = Statement::<()>::new(
        "INSERT INTO idempotency_keys AS known (seller_id, route, key, fingerprint)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (seller_id, route, key) DO UPDATE
             SET fingerprint = excluded.fingerprint, location = NULL, answer = NULL,
                 created_at = now()
             WHERE known.created_at < now() - interval '24 hours'",
        vec![
            Bind::from(keys.seller()),
            Bind::from(request.route),
            Bind::from(request.key),
            Bind::from(fingerprint.clone()),
        ],
    );
    if insert.run(transaction).await.map_err(&failed)? == 1 {
        return Ok(Claim::Mine);
    }
    let known = Statement::<(Binary, Nullable<Text>, Nullable<Binary>)>::new(
        "SELECT fingerprint, location, answer FROM idempotency_keys
         WHERE seller_id = $1 AND route = $2 AND key = $3",
        vec![Bind::from(keys.seller()), Bind::from(request.route), Bind::from(request.key)],
    );
    let known: Option<Row> = known.one(transaction).await.optional().map_err(&failed)?;
    let corrupt = |what| Error::CorruptRow { action: ACTION, what };
    let (first, location, answer) = known.ok_or(corrupt("key"))?;
    if first != fingerprint {
        return Ok(Claim::Mismatch);
    }
    let (location, sealed) = location.zip(answer).ok_or(corrupt("answer"))?;
    let body = keys.open(place(request), &sealed).map_err(|_| corrupt("answer"))?;
    Ok(Claim::Answered(Answer { location, body }))
}

/// Keeps the answer to a claimed request, sealed: it shows the customer. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn keep(
    transaction: &Transaction<'_>,
    keys: &SellerKeys,
    request: Request<'_>,
    answer: &Answer,
) -> Result<(), Error> {
    let statement = Statement::<()>::new(
        "UPDATE idempotency_keys SET location = $1, answer = $2
         WHERE seller_id = $3 AND route = $4 AND key = $5",
        vec![
            Bind::from(answer.location.as_str()),
            Bind::from(keys.seal(place(request), &answer.body, random())),
            Bind::from(keys.seller()),
            Bind::from(request.route),
            Bind::from(request.key),
        ],
    );
    let kept = statement.run(transaction).await;
    kept.map(|_| ()).map_err(Error::of("keep an answer"))
}

fn place(request: Request<'_>) -> Place<'_> {
    Place::AnswerTo(request.key)
}
