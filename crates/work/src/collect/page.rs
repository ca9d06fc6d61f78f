//! A page of a wholesaler, on its way into the catalogue.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use jebi_batch::wholesaler::{Key, WholesaleProduct};
use jebi_db_optimizer::collection::{self, Batch, Collection, Known, Merged, Source, Staged};
use jebi_db_optimizer::{Error as DbError, Pool, Transaction};
use jebi_domain::{AccountId, Pricing};

use super::Collector;
use super::row::{Difference, Row, gone, sku};
use super::tally::Tally;

/// What is collected, by which rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) of: Collection,
    pub(super) pricing: Pricing,
    /// Whether items that are not known become products.
    pub(super) may_create: bool,
}

/// What was read of some items, and when.
pub(super) struct Read<'a> {
    pub(super) products: &'a [WholesaleProduct],
    /// Asked for, and not there.
    pub(super) missing: &'a [Key],
    pub(super) read_at: DateTime<Utc>,
}

/// What differs from what is known, staged where there is anything.
pub(super) struct Compared {
    batch: Option<Batch>,
    /// What is counted already.
    pub(super) tally: Tally,
}

impl Collector {
    /// Compares what was read with what is known. Statements: 1, 1 more where items are new and 1 where several accounts see to
    /// them; and a COPY where anything differs.
    pub(super) async fn compare(
        &self,
        db: &Pool,
        target: &Target,
        read: &Read<'_>,
        at: DateTime<Utc>,
    ) -> Result<Compared, DbError> {
        let Collection { seller, wholesaler, .. } = target.of;
        let rows: Vec<Row<'_>> = read.products.iter().map(Row::new).collect();
        let keys = rows.iter().map(Row::key).chain(read.missing.iter().map(Key::as_str));
        let keys: Vec<String> = keys.map(str::to_owned).collect();
        if keys.is_empty() {
            return Ok(Compared { batch: None, tally: Tally::default() });
        }
        let known = collection::known(db, seller, wholesaler, keys).await?;
        let others = self.others_alive(db, target, &known).await?;
        let new = rows.iter().map(Row::key).filter(|key| !known.contains_key(*key));
        let new: Vec<String> = new.map(|key| sku(wholesaler, key)).collect();
        let taken = match new.is_empty() || !target.may_create {
            true => HashSet::new(),
            false => collection::taken(db, seller, new).await?,
        };
        let is_ours = |known: &Known| !others.contains(&known.account);
        let mut tally = Tally::default();
        let mut staged: Vec<Staged> = Vec::new();
        for row in rows {
            let known = known.get(row.key());
            if known.is_none() && !target.may_create {
                tally.skipped += 1;
                continue;
            }
            if known.is_none() && taken.contains(&sku(wholesaler, row.key())) {
                tally.reject_for(row.key(), "a product of the seller's own has its code");
                continue;
            }
            if known.is_some_and(|known| !is_ours(known)) {
                tally.of_others += 1;
                continue;
            }
            match row.compare(known, target, (read.read_at, at)) {
                Difference::None => tally.unchanged += 1,
                Difference::NoProduct => tally.skipped += 1,
                Difference::Some(row) => {
                    // What is written only beside the catalogue is no change of a product.
                    tally.unchanged += u64::from(!row.changes_offer);
                    staged.push(*row);
                }
            }
        }
        for key in read.missing {
            let known = known.get(key.as_str()).filter(|known| is_ours(known));
            let is_news = |known: &&Known| known.offer_hash != 0 && known.read_at < read.read_at;
            if let Some(known) = known.filter(is_news) {
                staged.push(gone(key.as_str(), wholesaler, known, read.read_at));
                tally.gone += 1;
            }
        }
        if staged.is_empty() {
            return Ok(Compared { batch: None, tally });
        }
        let batch = self.stage.put(seller, at, staged).await?;
        Ok(Compared { batch: Some(batch), tally })
    }

    /// The other accounts that see to some of these items and are in use. Statements: 1; none where there are no others.
    async fn others_alive(
        &self,
        db: &Pool,
        target: &Target,
        known: &HashMap<String, Known>,
    ) -> Result<HashSet<AccountId>, DbError> {
        let others: HashSet<AccountId> = known
            .values()
            .map(|known| known.account)
            .filter(|account| *account != target.of.account)
            .collect();
        if others.is_empty() {
            return Ok(others);
        }
        let accounts = jebi_db_optimizer::accounts::list(db, target.of.seller).await?;
        let alive = accounts.into_iter().filter(|account| account.is_active);
        Ok(alive.map(|account| account.id).filter(|id| others.contains(id)).collect())
    }
}

impl Compared {
    /// Brings what differs into the catalogue, in a transaction of the seller, and counts it; `None` where it has to be compared again,
    /// and nothing be committed. Statements: 3 to 16, as [`collection::merge`]
    /// says, and 1 where products are new; none where nothing differs.
    pub(super) async fn merge(
        &self,
        transaction: &Transaction<'_>,
        target: &Target,
        at: DateTime<Utc>,
    ) -> Result<Option<Merged>, DbError> {
        let Some(batch) = self.batch else { return Ok(Some(Merged::default())) };
        let Collection { wholesaler, account, .. } = target.of;
        let source = Source { wholesaler, account, status: target.pricing.status() };
        let merged = collection::merge(transaction, batch, &source, at).await?;
        if let Some(merged) = merged {
            collection::add_items(transaction, &target.of, merged.created).await?;
        }
        Ok(merged)
    }
}
