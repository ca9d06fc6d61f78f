use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use chrono::Utc;
use clap::Subcommand as ClapSubcommand;
use jebi_db_optimizer::accounts::{self, Change, Stored};
use jebi_db_optimizer::{Admin, Author, Pool, random, sellers};
use jebi_domain::{AccountKind, MasterKey, Place, SellerKeys, Text};
use uuid::Uuid;

use super::admin;
use crate::accounts::Credentials;
use crate::settings::{self, Settings, environment};

#[derive(Debug, ClapSubcommand)]
pub(super) enum Command {
    /// Add an account with a wholesaler or a platform, or give the one of the same kind and name new credentials.
    Add {
        /// Whose it is.
        #[arg(long)]
        seller: String,
        /// With whom: ownerclan, zentrade, domeggook, coupang, naver, 11st.
        #[arg(long)]
        kind: AccountKind,
        /// What the seller calls it.
        #[arg(long, default_value = "default")]
        name: String,
        /// What it takes to log in, as NAME=VALUE; once for each. `-` reads such lines from standard input, where the shell
        /// does not remember them.
        #[arg(long = "credential", value_name = "NAME=VALUE", required = true)]
        credentials: Vec<String>,
    },
    /// List a seller's accounts. Credentials are shown by nothing.
    List {
        /// Whose.
        #[arg(long)]
        seller: String,
    },
    /// Seal all credentials under `JEBI_MASTER_KEY` which are still sealed under `JEBI_PREVIOUS_MASTER_KEY`. May run while the
    /// service does, and again.
    Rotate,
}

impl Command {
    #[expect(clippy::print_stdout, reason = "the output of a command")]
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add { seller, kind, name, credentials } => {
                println!("{}", add(&seller, kind, &name, &credentials).await?);
            }
            Self::List { seller } => {
                let (pool, keys) = open(&seller).await?;
                for account in accounts::list(&pool, keys.seller()).await? {
                    let kind = account.kind.map_or("direct", AccountKind::as_str);
                    let state = if account.is_active { "active" } else { "not active" };
                    println!("{}  {kind}  {state}  {}", account.id, account.name);
                }
            }
            Self::Rotate => {
                let (sealed, all) = rotate().await?;
                println!("sealed {sealed} of {all} credentials under the new key");
            }
        }
        Ok(())
    }
}

/// The seller's keys, and a pool that works as the service does.
pub(super) async fn open(seller: &str) -> anyhow::Result<(Pool, SellerKeys)> {
    let master_key = settings::master_key(&environment)?;
    let admin = admin().await?;
    let found = sellers::find(&admin, seller).await?;
    let found = found.with_context(|| {
        format!("there is no seller {seller}; `jebi seller add {seller}` adds one")
    })?;
    let settings = Settings::from_lookup(&environment)?;
    Ok((settings.connect_beside()?, master_key.seller_keys(found.id, &found.key_salt)))
}

async fn add(
    seller: &str,
    kind: AccountKind,
    name: &str,
    given: &[String],
) -> anyhow::Result<String> {
    let name = Text::<100>::new(name).context("the account's name")?;
    let mut wrong = Vec::new();
    let sent = pairs(given)?;
    let credentials =
        Credentials::check(kind, &sent, true, |name, bad| wrong.push(format!("{name} {bad}")));
    if !wrong.is_empty() {
        bail!("{kind}: {}; it takes {}", wrong.join("; "), kind.credentials().join(", "));
    }
    let (pool, keys) = open(seller).await?;
    let author = Author { actor: "operator".to_owned(), request_id: None, at: now() };
    let owner = keys.seller();
    let transaction = pool.begin(owner).await?;
    let sealed = |id| Change { credentials: credentials.seal(&keys, id), ..Change::default() };
    let put = accounts::put(&transaction, owner, kind, name.as_str(), sealed, &author).await?;
    let Some((account, is_new)) = put else {
        bail!("a seller has {} accounts at most; take one away", accounts::MOST);
    };
    transaction.commit().await?;
    let done = if is_new { "added" } else { "has new credentials" };
    Ok(format!("{}  {kind}  {done}", account.id))
}

/// PostgreSQL keeps microseconds.
pub(super) fn now() -> chrono::DateTime<Utc> {
    let now = Utc::now();
    chrono::DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
}

/// `NAME=VALUE`, each name once; `-` stands for the lines of standard input.
fn pairs(given: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut pairs = BTreeMap::new();
    let mut add = |pair: &str| {
        // Not shown: it may be a secret.
        let (name, value) = pair.split_once('=').context("a credential is NAME=VALUE")?;
        let before = pairs.insert(name.to_owned(), value.to_owned());
        ensure!(before.is_none(), "the credential {name} is given twice");
        Ok::<_, anyhow::Error>(())
    };
    for pair in given {
        if pair == "-" {
            std::io::read_to_string(std::io::stdin())?.lines().try_for_each(&mut add)?;
        } else {
            add(pair)?;
        }
    }
    Ok(pairs)
}

/// How many credentials were sealed anew, of how many.
async fn rotate() -> anyhow::Result<(usize, usize)> {
    let master_key = settings::master_key(&environment)?;
    let admin = admin().await?;
    let (mut sealed, mut all) = (0, 0);
    let mut place = (Uuid::nil(), String::new());
    loop {
        let some = accounts::stored_after(&admin, (place.0, &place.1)).await?;
        let Some(last) = some.last() else { return Ok((sealed, all)) };
        place = (last.account, last.name.clone());
        all += some.len();
        for stored in &some {
            sealed += usize::from(reseal(&admin, &master_key, stored).await?);
        }
    }
}

async fn reseal(admin: &Admin, master_key: &MasterKey, stored: &Stored) -> anyhow::Result<bool> {
    let keys = master_key.seller_keys(stored.seller.into(), &stored.key_salt);
    if keys.is_current(&stored.sealed) {
        return Ok(false);
    }
    let of = Place::CredentialOf(stored.account, &stored.name);
    let secret = keys.open(of, &stored.sealed).with_context(|| {
        format!(
            "the credential {} of account {} was sealed under neither JEBI_MASTER_KEY nor \
             JEBI_PREVIOUS_MASTER_KEY",
            stored.name, stored.account
        )
    })?;
    Ok(accounts::reseal(admin, stored, keys.seal(of, &secret, random())).await?)
}
