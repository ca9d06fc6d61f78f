//! The wholesalers as sellers' accounts see them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use jebi_batch::http::{Client, Config, Transport, Url};
use jebi_batch::wholesaler::{
    Catalogue, Domeggook, DomeggookLogin, Line, Market, Ownerclan, OwnerclanLogin, Zentrade,
    ZentradeLogin,
};
use jebi_batch::{AccountConfig, Accounts, Clock, Retry};
use jebi_db_optimizer::accounts::{self, Account};
use jebi_db_optimizer::{Error as DbError, Pool, sellers};
use jebi_domain::{
    AccountId, AccountKind, Credential, MasterKey, Place, SellerId, SellerKeys, Wholesaler,
};

use crate::addresses::Addresses;

/// A worker waits no longer for a wholesaler that is down or asks to be left alone: the job brings the work back, and
/// meanwhile the worker does something else.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// An account that was not used for so long is forgotten, with its login: no rate of a wholesaler counts more than a day.
const KEPT: Duration = Duration::from_hours(24);

/// The accounts' ways to the wholesalers. One in a process: the rates, the breaker and the login of an account are
/// those of all jobs that use it.
pub struct Outside {
    accounts: Arc<Accounts>,
    clock: Clock,
    master_key: Arc<MasterKey>,
    addresses: Addresses,
    /// What each account may do.
    allowed: fn(Wholesaler) -> AccountConfig,
    /// What calls go out by in place of sockets.
    transport: Option<Arc<dyn Transport>>,
    catalogues: Mutex<HashMap<AccountId, Opened>>,
}

/// A catalogue, and what it was made of.
struct Opened {
    catalogue: Arc<dyn Catalogue>,
    version: i64,
    credentials: Credentials,
    /// On the clock.
    used: Duration,
}

/// Why an account cannot be called.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unready {
    #[error("the account is not there any more")]
    Gone,
    #[error("the account is not in use; set is_active to use it")]
    Inactive,
    #[error("accounts of this kind have no catalogue")]
    NoWholesaler,
    #[error("the account's credentials cannot be opened; send them again")]
    Sealed,
    #[error("the wholesaler's address is no URL; see the settings")]
    Address,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Outside {
    /// Nothing is called yet.
    #[must_use]
    pub fn new(
        accounts: Arc<Accounts>,
        clock: &Clock,
        master_key: Arc<MasterKey>,
        addresses: Addresses,
    ) -> Self {
        let catalogues = Mutex::default();
        let clock = clock.clone();
        let (allowed, transport) = (AccountConfig::of, None);
        Self { accounts, clock, master_key, addresses, allowed, transport, catalogues }
    }

    /// The same with accounts that may do something else than [`AccountConfig::of`] says: for wholesalers that are our own.
    #[must_use]
    pub fn allowing(self, allowed: fn(Wholesaler) -> AccountConfig) -> Self {
        Self { allowed, ..self }
    }

    /// The same with calls that go out by this and not by sockets: to wholesalers in this process.
    #[must_use]
    pub fn over(self, transport: Arc<dyn Transport>) -> Self {
        Self { transport: Some(transport), ..self }
    }

    /// A seller's account and its catalogue, with the login that it has. Statements: 1, and 2 more where the account
    /// is new or was changed. One whose credentials are new is released, where it had stopped itself.
    pub(crate) async fn catalogue(
        &self,
        db: &Pool,
        seller: SellerId,
        account: AccountId,
    ) -> Result<(Account, Arc<dyn Catalogue>), Unready> {
        let Some(account) = accounts::find(db, seller, account).await? else {
            self.forget(account);
            return Err(Unready::Gone);
        };
        if !account.is_active {
            return Err(Unready::Inactive);
        }
        if let Some(catalogue) = self.known(&account, None) {
            return Ok((account, catalogue));
        }
        let credentials = self.credentials(db, seller, &account).await?;
        if let Some(catalogue) = self.known(&account, Some(&credentials)) {
            return Ok((account, catalogue));
        }
        let catalogue = self.open(&account, &credentials)?;
        let (version, used) = (account.version, self.clock.now());
        let opened = Opened { catalogue: Arc::clone(&catalogue), version, credentials, used };
        let mut all = self.lock();
        if all.insert(account.id, opened).is_some() {
            // What it was stopped for may have been its credentials.
            let called = self.accounts.find(&name(catalogue.wholesaler(), account.id));
            called.iter().for_each(jebi_batch::Account::release);
        }
        // Accounts are taken away by other processes too; nobody is told.
        all.retain(|id, opened| {
            let is_kept = used.saturating_sub(opened.used) < KEPT;
            if !is_kept {
                self.accounts.close(&name(opened.catalogue.wholesaler(), *id));
            }
            is_kept
        });
        drop(all);
        Ok((account, catalogue))
    }

    /// The time of the day, as the accounts' clock shows it; in whole microseconds, as PostgreSQL keeps them.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let now = DateTime::<Utc>::from(self.clock.today());
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    /// The catalogue that is open already, for the account as it is: of its version, or of its credentials.
    fn known(&self, account: &Account, of: Option<&Credentials>) -> Option<Arc<dyn Catalogue>> {
        let mut all = self.lock();
        let opened = all.get_mut(&account.id)?;
        if opened.version != account.version && of != Some(&opened.credentials) {
            return None;
        }
        (opened.version, opened.used) = (account.version, self.clock.now());
        Some(Arc::clone(&opened.catalogue))
    }

    fn forget(&self, account: AccountId) {
        if let Some(opened) = self.lock().remove(&account) {
            self.accounts.close(&name(opened.catalogue.wholesaler(), account));
        }
    }

    /// What logs in, by name.
    async fn credentials(
        &self,
        db: &Pool,
        seller: SellerId,
        account: &Account,
    ) -> Result<Credentials, Unready> {
        let owner = sellers::of(db, seller).await?.ok_or(Unready::Gone)?;
        let sealed = accounts::credentials(db, seller, account.id).await?;
        let keys = self.master_key.seller_keys(seller, &owner.key_salt);
        let opened = sealed.into_iter().map(|(name, sealed)| {
            let secret = unseal(&keys, account.id, &name, &sealed)?;
            Some((name, secret))
        });
        opened.collect::<Option<_>>().map(Credentials).ok_or(Unready::Sealed)
    }

    fn open(&self, account: &Account, of: &Credentials) -> Result<Arc<dyn Catalogue>, Unready> {
        let wholesaler = account.kind.and_then(AccountKind::wholesaler);
        let wholesaler = wholesaler.ok_or(Unready::NoWholesaler)?;
        let config = Config::of(wholesaler);
        let client = match &self.transport {
            None => Client::new(config, &self.clock),
            Some(transport) => Client::over(Arc::clone(transport), config, &self.clock),
        };
        let client = client.expect("the user agent is one of ours");
        let called = self.accounts.open(&name(wholesaler, account.id), (self.allowed)(wholesaler));
        let retry = Retry { max_wait: MAX_WAIT, ..Retry::default() };
        let line = Line::new(client, called, &self.clock).with_retry(retry);
        let addresses = &self.addresses;
        Ok(match wholesaler {
            Wholesaler::Ownerclan => {
                let login = OwnerclanLogin {
                    username: of.take("username")?,
                    password: of.take("password")?,
                };
                let (api, auth) = (url(&addresses.ownerclan_api)?, url(&addresses.ownerclan_auth)?);
                Arc::new(Ownerclan::new(line, login, api, auth))
            }
            Wholesaler::Zentrade => {
                let login = ZentradeLogin { id: of.take("id")?, m_skey: of.take("m_skey")? };
                Arc::new(Zentrade::new(line, login, url(&addresses.zentrade)?))
            }
            Wholesaler::Domeggook => {
                let login =
                    DomeggookLogin { aid: of.take("aid")?, id: of.take("id")?, pw: of.take("pw")? };
                Arc::new(Domeggook::new(line, login, url(&addresses.domeggook)?, Market::default()))
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, Opened>> {
        self.catalogues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an account is called in figures: by its kind and its id, not by whose it is.
fn name(wholesaler: Wholesaler, account: AccountId) -> String {
    format!("{} {}", wholesaler.as_str(), account.as_uuid())
}

#[derive(PartialEq, Eq)]
struct Credentials(HashMap<String, Credential>);

impl Credentials {
    fn take(&self, name: &str) -> Result<Credential, Unready> {
        self.0.get(name).cloned().ok_or(Unready::Sealed)
    }
}

fn unseal(keys: &SellerKeys, account: AccountId, name: &str, sealed: &[u8]) -> Option<Credential> {
    let secret = keys.open(Place::CredentialOf(account.as_uuid(), name), sealed).ok()?;
    Credential::new(std::str::from_utf8(&secret).ok()?).ok()
}

fn url(text: &str) -> Result<Url, Unready> {
    text.parse().map_err(|_| Unready::Address)
}
