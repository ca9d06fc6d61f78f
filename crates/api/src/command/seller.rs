use anyhow::{Context as _, bail};
use chrono::Utc;
use clap::Subcommand as ClapSubcommand;
use jebi_db_optimizer::sellers;
use jebi_domain::{ApiKeyId, Scope, Scopes, Text};

use super::{admin, keys};

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
                Ok(())
            }
            Self::Keys => keys::list(|key| key.seller.is_some()).await,
            Self::Revoke { key_id } => keys::revoke(key_id).await,
        }
    }
}

async fn add(name: &str, scopes: &[Scope], allow_operators: bool) -> anyhow::Result<String> {
    let name = Text::<100>::new(name).context("the seller's name")?;
    let scopes = match scopes {
        [] => Scopes::all_of_a_seller(),
        scopes => scopes.iter().copied().collect(),
    };
    if let Some(scope) = scopes.iter().find(|scope| scope.is_operators() && !allow_operators) {
        bail!(
            "{scope} is an operator's scope; a seller's key must not have it; \
             `jebi operator add` makes keys with it"
        );
    }
    let admin = admin().await?;
    let seller = sellers::add(&admin, name.as_str(), Utc::now()).await?;
    keys::add(&admin, Some(seller.id), scopes).await
}
