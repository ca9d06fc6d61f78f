//! The accounts of a seller with wholesalers and platforms, and their credentials, which are sealed before they come here.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension as _, Queryable};
use diesel_async::AsyncPgConnection;
use jebi_domain::{AccountId, AccountKind, Pricing, SellerId};
use serde_json::json;
use uuid::Uuid;

use crate::random::random;
use crate::trail::{Author, audit, send};
use crate::{Admin, Bind, Error, Pool, Statement, Transaction};

type UuidSql = diesel::sql_types::Uuid;

/// An account, without what it takes to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account.
    pub id: AccountId,
    /// With whom; `None` for the seller's own shop, which needs no login.
    pub kind: Option<AccountKind>,
    /// What the seller calls it.
    pub name: String,
    /// Whether it is used.
    pub is_active: bool,
    /// How what is collected through it becomes products; of wholesalers alone.
    pub pricing: Option<Pricing>,
    /// Rises with every change.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub changed_at: DateTime<Utc>,
}

/// A credential as it is stored: its name, and its value sealed.
pub type Sealed = (&'static str, Vec<u8>);

/// What is to change about an account; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// What the seller calls it.
    pub name: Option<String>,
    /// Whether it is used.
    pub is_active: Option<bool>,
    /// How what is collected through it becomes products; of wholesalers alone.
    pub pricing: Option<Pricing>,
    /// Those that are replaced.
    pub credentials: Vec<Sealed>,
}

/// A seller has so many accounts at most.
pub const MOST: usize = 100;

const fn table(kind: Option<AccountKind>) -> &'static str {
    match kind {
        Some(kind) if kind.is_wholesaler() => "wholesaler_accounts",
        Some(_) | None => "platform_accounts",
    }
}

/// The accounts of a seller, the oldest first; at most 1,000. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn list(pool: &Pool, seller: SellerId) -> Result<Vec<Account>, Error> {
    all(&*pool.get().await?, seller).await
}

async fn all(connection: &AsyncPgConnection, seller: SellerId) -> Result<Vec<Account>, Error> {
    const ACTION: &str = "list accounts";
    let statement = Statement::<RowSql>::new(
        format!("{} ORDER BY created_at, id LIMIT 1000", select("")),
        vec![Bind::from(seller)],
    );
    let rows: Vec<Row> = statement.all(connection).await.map_err(Error::of(ACTION))?;
    rows.into_iter().map(|row| row.assemble(ACTION, seller)).collect()
}

/// The account of this id, where it is the seller's. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn find(pool: &Pool, seller: SellerId, id: AccountId) -> Result<Option<Account>, Error> {
    one(&*pool.get().await?, seller, id).await
}

async fn one(
    connection: &AsyncPgConnection,
    seller: SellerId,
    id: AccountId,
) -> Result<Option<Account>, Error> {
    const ACTION: &str = "read an account";
    let statement =
        Statement::<RowSql>::new(select("AND id = $2"), vec![Bind::from(seller), Bind::from(id)]);
    let row: Option<Row> = statement.one(connection).await.optional().map_err(Error::of(ACTION))?;
    row.map(|row| row.assemble(ACTION, seller)).transpose()
}

/// Lets nobody else change the seller's accounts until the transaction ends: they are changed one after the other. 1 statement.
async fn hold(
    transaction: &Transaction<'_>,
    seller: SellerId,
    action: &'static str,
) -> Result<(), Error> {
    // Each seller has a shop of their own, and one. Orders are made in it meanwhile.
    let shop = Statement::<()>::new(
        "SELECT id FROM platform_accounts WHERE seller_id = $1 AND kind = 'direct'
         FOR NO KEY UPDATE",
        vec![Bind::from(seller)],
    );
    shop.run(transaction).await.map_err(Error::of(action))?;
    Ok(())
}

/// The account of this id, where it is the seller's, kept from other writers until the transaction ends. Statements: 2.
///
/// # Errors
/// [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn lock(
    transaction: &Transaction<'_>,
    seller: SellerId,
    id: AccountId,
) -> Result<Option<Account>, Error> {
    hold(transaction, seller, "read an account").await?;
    one(transaction, seller, id).await
}

/// Adds an account with all its credentials, or gives the one of the same kind and name what is new; and whether it was added.
/// `None` where the seller has [`MOST`] already.
/// Statements: 5; 2 where it was there and nothing differs.
///
/// # Errors
/// [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn put(
    transaction: &Transaction<'_>,
    seller: SellerId,
    kind: AccountKind,
    name: &str,
    change: impl FnOnce(AccountId) -> Change,
    author: &Author,
) -> Result<Option<(Account, bool)>, Error> {
    const ACTION: &str = "add an account";
    hold(transaction, seller, ACTION).await?;
    let accounts = all(transaction, seller).await?;
    let known = accounts.iter().find(|known| known.kind == Some(kind) && known.name == name);
    if let Some(known) = known {
        let change = change(known.id);
        let account = update(transaction, seller, known.clone(), change, author).await?;
        return Ok(Some((account, false)));
    }
    if accounts.len() >= MOST {
        return Ok(None);
    }
    let id = AccountId::new(author.at, random());
    let Change { is_active, pricing, credentials, .. } = change(id);
    let is_active = is_active.unwrap_or(true);
    let pricing = kind.is_wholesaler().then(|| pricing.unwrap_or_default());
    let mut binds = vec![
        Bind::from(id),
        Bind::from(seller),
        Bind::from(kind.as_str()),
        Bind::from(name),
        Bind::from(is_active),
        Bind::from(author.at),
    ];
    let (columns, values) = match pricing {
        None => ("", ""),
        Some(pricing) => {
            binds.extend(priced(pricing));
            (", margin_percent, minimum_price, default_status", ", $7, $8, $9")
        }
    };
    let mut statements = vec![Statement::new(
        format!(
            "INSERT INTO {} (id, seller_id, kind, name, is_active, created_at, changed_at{columns})
             VALUES ($1, $2, $3, $4, $5, $6, $6{values})",
            table(Some(kind))
        ),
        binds,
    )];
    let names: Vec<&str> = credentials.iter().map(|(name, _)| *name).collect();
    let changes = json!({ "kind": kind.as_str(), "credentials": names });
    statements.push(audit(seller, "account:added", id.as_uuid(), author, changes));
    statements.push(seal(seller, id, credentials));
    send(transaction, statements).await.map_err(Error::of(ACTION))?;
    let account = Account {
        id,
        kind: Some(kind),
        name: name.to_owned(),
        is_active,
        pricing,
        version: 1,
        created_at: author.at,
        changed_at: author.at,
    };
    Ok(Some((account, true)))
}

/// Changes an account that was read under [`lock`]. Statements: 2, 3 with credentials; none where nothing differs.
///
/// # Errors
/// [`Error::Exists`] where another one has the name, [`Error::Query`].
pub async fn update(
    transaction: &Transaction<'_>,
    seller: SellerId,
    account: Account,
    change: Change,
    author: &Author,
) -> Result<Account, Error> {
    let name = change.name.unwrap_or_else(|| account.name.clone());
    let is_active = change.is_active.unwrap_or(account.is_active);
    let mut changed = Vec::new();
    changed.extend((name != account.name).then_some("name"));
    changed.extend((is_active != account.is_active).then_some("is_active"));
    let pricing = account.pricing.map(|known| change.pricing.unwrap_or(known));
    changed.extend((pricing != account.pricing).then_some("pricing"));
    let names: Vec<&str> = change.credentials.iter().map(|(name, _)| *name).collect();
    changed.extend((!names.is_empty()).then_some("credentials"));
    if changed.is_empty() {
        return Ok(account);
    }
    let mut binds = vec![
        Bind::from(seller),
        Bind::from(account.id),
        Bind::from(name.as_str()),
        Bind::from(is_active),
        Bind::from(author.at),
    ];
    let columns = match pricing {
        None => "",
        Some(pricing) => {
            binds.extend(priced(pricing));
            ", margin_percent = $6, minimum_price = $7, default_status = $8"
        }
    };
    let mut statements = vec![
        Statement::new(
            format!(
                "UPDATE {} SET name = $3, is_active = $4, version = version + 1,
                        changed_at = $5{columns}
                 WHERE seller_id = $1 AND id = $2",
                table(account.kind)
            ),
            binds,
        ),
        audit(
            seller,
            "account:changed",
            account.id.as_uuid(),
            author,
            json!({ "changed": changed, "credentials": names }),
        ),
    ];
    if !change.credentials.is_empty() {
        statements.push(seal(seller, account.id, change.credentials));
    }
    send(transaction, statements).await.map_err(Error::of("change an account"))?;
    let version = account.version + 1;
    Ok(Account { name, is_active, pricing, version, changed_at: author.at, ..account })
}

/// The columns of a rule, in their order.
fn priced(pricing: Pricing) -> [Bind; 3] {
    [
        Bind::from(i32::try_from(pricing.margin_percent()).unwrap_or(i32::MAX)),
        Bind::from(pricing.minimum_price()),
        Bind::from(pricing.status().as_str()),
    ]
}

/// Whether the seller had an account of this id and took it away. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn was_removed(
    transaction: &Transaction<'_>,
    seller: SellerId,
    id: AccountId,
) -> Result<bool, Error> {
    let from = |table| {
        format!(
            "EXISTS (SELECT FROM {table}
                     WHERE seller_id = $1 AND id = $2 AND deleted_at IS NOT NULL)"
        )
    };
    let statement = Statement::<Bool>::new(
        format!("SELECT {} OR {}", from("platform_accounts"), from("wholesaler_accounts")),
        vec![Bind::from(seller), Bind::from(id)],
    );
    statement.one(transaction).await.map_err(Error::of("read an account"))
}

/// Takes an account away that was read under [`lock`]: its credentials are erased, and what names it goes on to. Statements: 3.
///
/// # Errors
/// [`Error::Query`].
pub async fn remove(
    transaction: &Transaction<'_>,
    seller: SellerId,
    account: &Account,
    author: &Author,
) -> Result<(), Error> {
    let own = || vec![Bind::from(seller), Bind::from(account.id)];
    let statements = vec![
        Statement::new(
            format!(
                "UPDATE {} SET is_active = false, version = version + 1, changed_at = $3,
                        deleted_at = $3
                 WHERE seller_id = $1 AND id = $2",
                table(account.kind)
            ),
            [own(), vec![Bind::from(author.at)]].concat(),
        ),
        Statement::new(
            "DELETE FROM account_credentials WHERE seller_id = $1 AND account_id = $2",
            own(),
        ),
        audit(seller, "account:removed", account.id.as_uuid(), author, json!({})),
    ];
    send(transaction, statements).await.map_err(Error::of("take an account away"))
}

/// What it takes to log in to an account of the seller's, sealed, by name; empty for one that there is not. Statements: 1.
///
/// # Errors
/// [`Error::NoConnection`], [`Error::Busy`], [`Error::Query`], [`Error::CorruptRow`].
pub async fn credentials(
    pool: &Pool,
    seller: SellerId,
    account: AccountId,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    const ACTION: &str = "read credentials";
    let statement = Statement::<(UuidSql, Text, Binary)>::new(
        "SELECT seller_id, name, sealed FROM account_credentials
         WHERE seller_id = $1 AND account_id = $2 ORDER BY name",
        vec![Bind::from(seller), Bind::from(account)],
    );
    let connection = pool.get().await?;
    let rows: Vec<(Uuid, String, Vec<u8>)> =
        statement.all(&connection).await.map_err(Error::of(ACTION))?;
    if rows.iter().any(|(whose, _, _)| SellerId::from(*whose) != seller) {
        return Err(Error::CorruptRow { action: ACTION, what: "seller_id" });
    }
    Ok(rows.into_iter().map(|(_, name, sealed)| (name, sealed)).collect())
}

/// A credential of anybody, to be sealed anew.
#[derive(Debug, Clone, Queryable)]
pub struct Stored {
    /// Whose account.
    pub seller: Uuid,
    /// What the seller's keys are derived from.
    pub key_salt: Vec<u8>,
    /// The account.
    pub account: Uuid,
    /// The credential's name.
    pub name: String,
    /// Its value.
    pub sealed: Vec<u8>,
}

/// Credentials of all sellers, a thousand after the one of this account and name. Statements: 1. Reads across sellers, as the
/// owner of the tables.
///
/// # Errors
/// [`Error::Query`].
pub async fn stored_after(admin: &Admin, place: (Uuid, &str)) -> Result<Vec<Stored>, Error> {
    type Sql = (UuidSql, Binary, UuidSql, Text, Binary);
    let statement = Statement::<Sql>::new(
        "SELECT c.seller_id, s.key_salt, c.account_id, c.name, c.sealed
         FROM account_credentials AS c JOIN sellers AS s ON s.id = c.seller_id
         WHERE (c.account_id, c.name) > ($1, $2) ORDER BY c.account_id, c.name LIMIT 1000",
        vec![Bind::from(place.0), Bind::from(place.1)],
    );
    statement.all(admin).await.map_err(Error::of("read credentials"))
}

/// Stores a credential as it is sealed anew, where it is still what was read; whether it was. Statements: 1.
///
/// # Errors
/// [`Error::Query`].
pub async fn reseal(admin: &Admin, stored: &Stored, sealed: Vec<u8>) -> Result<bool, Error> {
    let statement = Statement::<()>::new(
        "UPDATE account_credentials SET sealed = $4
         WHERE account_id = $1 AND name = $2 AND seller_id = $3 AND sealed = $5",
        vec![
            Bind::from(stored.account),
            Bind::from(stored.name.as_str()),
            Bind::from(stored.seller),
            Bind::from(sealed),
            Bind::from(stored.sealed.clone()),
        ],
    );
    Ok(statement.run(admin).await.map_err(Error::of("seal a credential anew"))? == 1)
}

fn seal(seller: SellerId, account: AccountId, credentials: Vec<Sealed>) -> Statement {
    let (names, sealed): (Vec<String>, Vec<Vec<u8>>) =
        credentials.into_iter().map(|(name, sealed)| (name.to_owned(), sealed)).unzip();
    Statement::new(
        "INSERT INTO account_credentials (account_id, name, seller_id, sealed)
         SELECT $1, name, $2, sealed FROM unnest($3, $4) AS given (name, sealed)
         ON CONFLICT (account_id, name, seller_id) DO UPDATE SET sealed = EXCLUDED.sealed",
        vec![Bind::from(account), Bind::from(seller), Bind::from(names), Bind::from(sealed)],
    )
}

/// The accounts of the seller `$1` that were not taken away, of both tables.
fn select(more: &str) -> String {
    let columns = "id, seller_id, kind, name, is_active, version, created_at, changed_at";
    let from = |table, rule| {
        format!(
            "SELECT {columns}, {rule} FROM {table}
             WHERE seller_id = $1 AND deleted_at IS NULL {more}"
        )
    };
    format!(
        "{} UNION ALL {}",
        from("platform_accounts", "NULL::integer, NULL::bigint, NULL::text"),
        from("wholesaler_accounts", "margin_percent, minimum_price, default_status")
    )
}

type RowSql = (
    UuidSql,
    UuidSql,
    Text,
    Text,
    Bool,
    BigInt,
    Timestamptz,
    Timestamptz,
    Nullable<Integer>,
    Nullable<BigInt>,
    Nullable<Text>,
);

#[derive(Queryable)]
struct Row {
    id: Uuid,
    seller: Uuid,
    kind: String,
    name: String,
    is_active: bool,
    version: i64,
    created_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    margin_percent: Option<i32>,
    minimum_price: Option<i64>,
    default_status: Option<String>,
}

impl Row {
    fn assemble(self, action: &'static str, seller: SellerId) -> Result<Account, Error> {
        let corrupt = |what| Error::CorruptRow { action, what };
        if SellerId::from(self.seller) != seller {
            return Err(corrupt("seller_id"));
        }
        let kind = match &*self.kind {
            "direct" => None,
            kind => Some(kind.parse().map_err(|_| corrupt("kind"))?),
        };
        let rule = self.margin_percent.zip(self.minimum_price).zip(self.default_status.as_deref());
        let pricing = rule.map(|((margin, minimum), status)| {
            let margin = u32::try_from(margin).ok();
            let rule = margin.zip(status.parse().ok());
            rule.and_then(|(margin, status)| Pricing::new(margin, minimum, status))
                .ok_or_else(|| corrupt("pricing"))
        });
        let pricing = pricing.transpose()?;
        let Self { name, is_active, version, created_at, changed_at, .. } = self;
        let id = self.id.into();
        Ok(Account { id, kind, name, is_active, pricing, version, created_at, changed_at })
    }
}
