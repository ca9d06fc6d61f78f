//! API keys, whose ever they are.

use anyhow::{Context as _, bail};
use chrono::Utc;
use jebi_db_optimizer::sellers::KeyEntry;
use jebi_db_optimizer::{Admin, random, sellers};
use jebi_domain::{ApiKeyId, Scopes, SellerId, api_key, api_key_digest};

use super::admin;

/// A new key, which is stored nowhere.
pub(super) async fn add(
    admin: &Admin,
    seller: Option<SellerId>,
    scopes: Scopes,
) -> anyhow::Result<String> {
    let key = api_key(random());
    let digest = api_key_digest(&key).context("a new key has a digest")?;
    sellers::add_key(admin, seller, scopes, digest, Utc::now()).await?;
    Ok(key)
}

/// Prints the keys of those who are meant, a line each.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(super) async fn list(is_meant: fn(&KeyEntry) -> bool) -> anyhow::Result<()> {
    for key in sellers::list_keys(&admin().await?).await?.iter().filter(|key| is_meant(key)) {
        let state = match key.revoked_at {
            Some(at) => format!("revoked {}", at.format("%F %T")),
            None => "good".to_owned(),
        };
        let (scopes, made) = (key.scopes.join(" "), key.created_at.format("%F %T"));
        let whose = key.seller.as_deref().unwrap_or("operator");
        println!("{}  {whose}  made {made}  {state}  {scopes}", key.id);
    }
    Ok(())
}

/// Revokes a key; it is refused within two seconds.
#[expect(clippy::print_stdout, reason = "the output of a command")]
pub(super) async fn revoke(key: ApiKeyId) -> anyhow::Result<()> {
    if !sellers::revoke_key(&admin().await?, key).await? {
        bail!("there is no good key {key}; `jebi seller keys` and `jebi operator keys` list them");
    }
    println!("revoked {key}");
    Ok(())
}
