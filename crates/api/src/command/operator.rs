use anyhow::bail;
use clap::Subcommand as ClapSubcommand;
use jebi_domain::{ApiKeyId, Scope};

use super::{admin, keys};

#[derive(Debug, ClapSubcommand)]
pub(super) enum Command {
    /// Print a new key for an operator, to log in to the dashboard and read figures: this once and never again. It has no
    /// seller and sees nobody's data.
    Add {
        /// What the key may do: `performance:read`, `performance:admin`; once for each scope. Without: both.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<Scope>,
    },
    /// List the operators' keys. The keys themselves are not stored.
    Keys,
    /// Revoke a key; it is refused within two seconds.
    Revoke {
        /// The key's id, as `jebi operator keys` shows it.
        key_id: ApiKeyId,
    },
}

impl Command {
    #[expect(clippy::print_stdout, reason = "the output of a command")]
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Add { scopes } => {
                if let Some(scope) = scopes.iter().find(|scope| !scope.is_operators()) {
                    bail!("{scope} is a seller's scope; `jebi seller add` makes keys with it");
                }
                let all = || Scope::ALL.iter().copied().filter(|scope| scope.is_operators());
                let scopes = match &*scopes {
                    [] => all().collect(),
                    scopes => scopes.iter().copied().collect(),
                };
                println!("{}", keys::add(&admin().await?, None, scopes).await?);
                Ok(())
            }
            Self::Keys => keys::list(|key| key.seller.is_none()).await,
            Self::Revoke { key_id } => keys::revoke(key_id).await,
        }
    }
}
