//! Sellers, the keys they knock with, and their accounts.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, Binary, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension as _, Queryable};
use jebi_domain::{AccountId, ApiKeyId, Scopes, SellerId};
use uuid::Uuid;

use crate::random::random;
use crate::{Admin, Bind, Error, Pool, Statement};

type UuidSql = diesel::sql_types::Uuid;

/// A seller, with the salt that their keys hang on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    /// The tenant's id.
    pub id: SellerId,
    /// Goes with the master key into [`jebi_domain::MasterKey::seller_keys`].
    pub key_salt: Vec<u8>,
}

/// What an API key stands for.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Its id, which may be logged.
    pub id: ApiKeyId,
    /// SHA-256 of the key.
    pub digest: Vec<u8>,
    /// Whose it is; nobody's where it is an operator's.
    pub seller: Option<Seller>,
    /// What it may do.
    pub scopes: Scopes,
}

/// An API key as an operator sees it.
#[derive(Debug, Clone, Queryable)]
pub struct KeyEntry {
    /// Its id, to revoke it by.
    pub id: Uuid,
    /// The seller's name; `None` of an operator's.
    pub seller: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// The key with this digest, unless it was revoked. Statements: 1. Reads across sellers: it is what
/// finds the seller.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Query`].
pub async fn find_key(pool: &Pool, digest: [u8; 32]) -> Result<Option<ApiKey>, Error> {
    const ACTION: &str = "look an API key up";
    type Row = (Uuid, Vec<u8>, Vec<String>, Option<Uuid>, Option<Vec<u8>>);
    let statement = key_statement(digest.to_vec());
    let connection = pool.get().await?;
    let found: Option<Row> =
        statement.one(&connection).await.optional().map_err(Error::of(ACTION))?;
    let Some((id, digest, scopes, seller, salt)) = found else { return Ok(None) };
    let scopes = Scopes::parse(scopes.iter().map(String::as_str))
        .map_err(|_| Error::CorruptRow { action: ACTION, what: "scope" })?;
    let seller = seller.zip(salt).map(|(id, key_salt)| Seller { id: id.into(), key_salt });
    Ok(Some(ApiKey { id: id.into(), digest, seller, scopes }))
}

pub(crate) type KeySql = (UuidSql, Binary, Array<Text>, Nullable<UuidSql>, Nullable<Binary>);

pub(crate) fn key_statement(digest: Vec<u8>) -> Statement<KeySql> {
    Statement::new(
        "SELECT k.id, k.digest, k.scopes, s.id, s.key_salt
         FROM api_keys AS k LEFT JOIN sellers AS s ON s.id = k.seller_id
         WHERE k.digest = $1 AND k.revoked_at IS NULL",
        vec![Bind::from(digest)],
    )
}

/// The seller of this id, for work that is done for them. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn of(pool: &Pool, seller: SellerId) -> Result<Option<Seller>, Error> {
    let statement = Statement::<(UuidSql, Binary)>::new(
        "SELECT id, key_salt FROM sellers WHERE id = $1",
        vec![Bind::from(seller)],
    );
    let connection = pool.get().await?;
    let found: Option<(Uuid, Vec<u8>)> =
        statement.one(&connection).await.optional().map_err(Error::of("read a seller"))?;
    Ok(found.map(|(id, key_salt)| Seller { id: id.into(), key_salt }))
}

/// The sellers with most orders, most first; those without any are left out. Statements: 1. Reads across sellers, and nothing of
/// theirs: it finds who asks most.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`].
pub async fn largest(pool: &Pool, most: u16) -> Result<Vec<Seller>, Error> {
    let statement = Statement::<(UuidSql, Binary)>::new(
        "SELECT s.id, s.key_salt
         FROM (
             SELECT seller_id, sum(orders) AS orders
             FROM (
                 SELECT seller_id, orders FROM order_totals WHERE grain = 'all'
                 UNION ALL SELECT seller_id, orders FROM order_total_deltas
             ) AS both_parts
             GROUP BY seller_id
         ) AS t
         JOIN sellers AS s ON s.id = t.seller_id
         WHERE t.orders > 0
         ORDER BY t.orders DESC, s.id
         LIMIT $1",
        vec![Bind::from(i64::from(most))],
    );
    let connection = pool.get().await?;
    let found: Vec<(Uuid, Vec<u8>)> =
        statement.all(&connection).await.map_err(Error::of("find the largest sellers"))?;
    Ok(found.into_iter().map(|(id, key_salt)| Seller { id: id.into(), key_salt }).collect())
}

/// The seller of this name. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn find(admin: &Admin, name: &str) -> Result<Option<Seller>, Error> {
    let statement = Statement::<(UuidSql, Binary)>::new(
        "SELECT id, key_salt FROM sellers WHERE name = $1",
        vec![Bind::from(name)],
    );
    let found: Option<(Uuid, Vec<u8>)> =
        statement.one(admin).await.optional().map_err(Error::of("look a seller up"))?;
    Ok(found.map(|(id, key_salt)| Seller { id: id.into(), key_salt }))
}

/// The seller of this name, who is added with an own shop where there is none yet. Statements: 2.
///
/// # Errors
/// [`Error::Query`].
pub async fn add(admin: &Admin, name: &str, now: DateTime<Utc>) -> Result<Seller, Error> {
    let statement = Statement::<()>::new(
        "WITH added AS (
             INSERT INTO sellers (id, name, key_salt) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO NOTHING
             RETURNING id
         )
         INSERT INTO platform_accounts (id, seller_id, kind, name)
         SELECT $4, id, 'direct', $2 FROM added",
        vec![
            Bind::from(SellerId::new(now, random())),
            Bind::from(name),
            Bind::from(random::<32>().to_vec()),
            Bind::from(AccountId::new(now, random())),
        ],
    );
    statement.run(admin).await.map_err(Error::of("add a seller"))?;
    find(admin, name).await?.ok_or(Error::CorruptRow { action: "add a seller", what: "name" })
}

/// Stores a key, by its digest: a seller's, or an operator's where none is named. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn add_key(
    admin: &Admin,
    seller: Option<SellerId>,
    scopes: Scopes,
    digest: [u8; 32],
    now: DateTime<Utc>,
) -> Result<ApiKeyId, Error> {
    let id = ApiKeyId::new(now, random());
    let owner = seller.map(SellerId::as_uuid);
    let words: Vec<String> = scopes.iter().map(|scope| scope.to_string()).collect();
    let statement = Statement::<()>::new(
        "INSERT INTO api_keys (id, seller_id, digest, scopes) VALUES ($1, $2, $3, $4)",
        vec![Bind::from(id), Bind::from(owner), Bind::from(digest.to_vec()), Bind::from(words)],
    );
    statement.run(admin).await.map_err(Error::of("add an API key"))?;
    Ok(id)
}

/// Revokes a key; `false` where there is no such key that was still good. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn revoke_key(admin: &Admin, key: ApiKeyId) -> Result<bool, Error> {
    let statement = Statement::<()>::new(
        "UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL",
        vec![Bind::from(key)],
    );
    let revoked = statement.run(admin).await.map_err(Error::of("revoke an API key"))?;
    Ok(revoked == 1)
}

/// All keys, the operators' first, then by seller, the oldest first. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn list_keys(admin: &Admin) -> Result<Vec<KeyEntry>, Error> {
    type Row = (UuidSql, Nullable<Text>, Array<Text>, Timestamptz, Nullable<Timestamptz>);
    let statement = Statement::<Row>::new(
        "SELECT k.id, s.name, k.scopes, k.created_at, k.revoked_at
         FROM api_keys AS k LEFT JOIN sellers AS s ON s.id = k.seller_id
         ORDER BY s.name NULLS FIRST, k.created_at",
        vec![],
    );
    statement.all(admin).await.map_err(Error::of("list API keys"))
}
