//! All accounts of a process, by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jebi_monitor::Monitor;

use crate::account::{Account, AccountConfig, AccountStats};
use crate::clock::Clock;

/// The accounts of a process. What one of them does is not felt by the others.
#[derive(Debug)]
pub struct Accounts {
    clock: Clock,
    monitor: Arc<Monitor>,
    all: Mutex<BTreeMap<String, Account>>,
}

impl Accounts {
    /// No accounts yet. What their calls take is recorded in the monitor, each under its name.
    #[must_use]
    pub fn new(clock: &Clock, monitor: Arc<Monitor>) -> Self {
        Self { clock: clock.clone(), monitor, all: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account of that name, which is opened by the first call; later ones get it as it is.
    /// Names appear in logs and figures: no secrets.
    #[must_use]
    pub fn open(&self, name: &str, config: AccountConfig) -> Account {
        let mut all = self.all();
        if let Some(known) = all.get(name) {
            return known.clone();
        }
        let account = Account::new(name, config, &self.clock, &self.monitor);
        all.insert(name.to_owned(), account.clone());
        account
    }

    /// The account of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Account> {
        self.all().get(name).cloned()
    }

    /// Forgets an account, as when it was deleted or is to get another configuration. Who still has
    /// it goes on with it as it was.
    pub fn close(&self, name: &str) {
        self.all().remove(name);
    }

    /// How each stands, by name.
    #[must_use]
    pub fn stats(&self) -> Vec<AccountStats> {
        let all: Vec<Account> = self.all().values().cloned().collect();
        all.iter().map(Account::stats).collect()
    }
}
