use chrono::Utc;
use jebi_domain::{AccountId, Platform, SellerId};
use uuid::Uuid;

use super::{Loader, failed};
use crate::Error;
use crate::random::random;

/// A seller's accounts, one of each kind.
#[derive(Debug, Clone)]
pub struct Accounts(Vec<(Platform, AccountId)>);

impl Accounts {
    /// The account of a platform.
    ///
    /// # Panics
    /// Never: there is one of each kind.
    #[must_use]
    pub fn of(&self, platform: Platform) -> AccountId {
        let found = self.0.iter().find(|(known, _)| *known == platform);
        found.map(|(_, account)| *account).expect("there is one of each kind")
    }
}

impl Loader {
    /// The account of the seller's own shop.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn own_shop(&self, seller: SellerId) -> Result<AccountId, Error> {
        let sql = "SELECT id FROM platform_accounts WHERE seller_id = $1 AND kind = 'direct'";
        let row = self.client.query_one(sql, &[&seller.as_uuid()]).await.map_err(failed)?;
        Ok(row.get::<_, Uuid>(0).into())
    }

    /// The seller's accounts, one of each kind; those that are missing are added. Statements: 1 for each kind.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn accounts(&self, seller: SellerId) -> Result<Accounts, Error> {
        let find = "SELECT id FROM platform_accounts WHERE seller_id = $1 AND kind = $2
                    ORDER BY created_at, id LIMIT 1";
        let add =
            "INSERT INTO platform_accounts (id, seller_id, kind, name) VALUES ($1, $2, $3, $3)";
        let mut accounts = Vec::with_capacity(Platform::ALL.len());
        for platform in Platform::ALL {
            let (seller, kind) = (seller.as_uuid(), platform.as_str());
            let found = self.client.query_opt(find, &[&seller, &kind]).await.map_err(failed)?;
            let id = match found {
                Some(row) => row.get(0),
                None => {
                    let id = AccountId::new(Utc::now(), random()).as_uuid();
                    self.client.execute(add, &[&id, &seller, &kind]).await.map_err(failed)?;
                    id
                }
            };
            accounts.push((*platform, id.into()));
        }
        Ok(Accounts(accounts))
    }
}
