use anyhow::{Context as _, bail};
use chrono::Utc;
use clap::Subcommand as ClapSubcommand;
use jebi_db_optimizer::{random, sellers};
use jebi_domain::{ApiKeyId, Scope, Scopes, Text, api_key, api_key_digest};

use super::admin;

#[derive(Debug, ClapSubcommand)]
pub(super) enum Command {
    /// Add a seller, or a key to one who is there, and print the new key: this once and never again.
    Add {
        /// The seller's name.
        name: String,
        /// What the key may do, such as `orders:read`; once for each scope. Without: all of a seller.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// Allow the scopes of operators beside a seller's. For development only: such a key sees what
        /// is global.
        #[arg(long)]
        allow_operator_scopes: bool,
    },
    /// List every seller's keys. The keys themselves are not stored.
    Keys,
    /// Revoke a key; it is refused within two seconds.
    Revoke {
        /// The key's id, as `jebi seller keys` shows it.
        key_id: ApiKeyId,
    },
}

impl Command {
    #[expect(clippy::print_stdout, reason = "the output of a command")]
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add { name, scopes, allow_operator_scopes } => {
                println!("{}", add(&name, &scopes, allow_operator_scopes).await?);
            }
            Self::Keys => {
                for key in sellers::list_keys(&admin().await?).await? {
                    let state = match key.revoked_at {
                        Some(at) => format!("revoked {}", at.format("%F %T")),
                        None => "good".to_owned(),
                    };
                    let scopes = key.scopes.join(" ");
                    let made = key.created_at.format("%F %T");
                    println!("{}  {}  made {made}  {state}  {scopes}", key.id, key.seller);
                }
            }
            Self::Revoke { key_id } => {
                if !sellers::revoke_key(&admin().await?, key_id).await? {
                    bail!("there is no good key {key_id}; `jebi seller keys` lists them");
                }
                println!("revoked {key_id}");
            }
        }
        Ok(())
    }
}

async fn add(name: &str, scopes: &[Scope], allow_operators: bool) -> anyhow::Result<String> {
    let name = Text::<100>::new(name).context("the seller's name")?;
    let scopes = match scopes {
        [] => Scopes::all_of_a_seller(),
        scopes => scopes.iter().copied().collect(),
    };
    if let Some(scope) = scopes.iter().find(|scope| scope.is_operators() && !allow_operators) {
        bail!("{scope} is an operator's scope; a seller's key must not have it");
    }
    let now = Utc::now();
    let admin = admin().await?;
    let seller = sellers::add(&admin, name.as_str(), now).await?;
    let key = api_key(random());
    let digest = api_key_digest(&key).context("a new key has a digest")?;
    sellers::add_key(&admin, seller.id, scopes, digest, now).await?;
    Ok(key)
}
