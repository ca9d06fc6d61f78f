//! How fresh what was collected is, and what went wrong with it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use jebi_db_optimizer::collection::{Age, Trouble};
use serde::Serialize;
use utoipa::ToSchema;

use crate::monitoring::{Monitoring, Seen};

/// How old what is known of a wholesaler's prices and stocks is, over all items of all accounts in use.
#[derive(Serialize, ToSchema)]
#[schema(as = Freshness)]
pub(crate) struct FreshnessBody {
    #[schema(examples("ownerclan"))]
    wholesaler: &'static str,
    accounts: u64,
    items: u64,
    /// Half of the items are known as they were so long ago, or later.
    age_p50_seconds: f64,
    /// 99 of a hundred.
    age_p99_seconds: f64,
    /// All of them.
    age_max_seconds: f64,
    /// What the schedules promise of the p99; absent where they follow no changes.
    promised_seconds: Option<u64>,
}

/// An account whose last collection came to nothing, or did less than all. What was known stays as it is.
#[derive(Serialize, ToSchema)]
#[schema(as = CollectionTrouble)]
pub(crate) struct TroubleBody {
    #[schema(examples("zentrade 0199f4c0-0000-7000-8000-000000000000"))]
    account: String,
    why: String,
    since: DateTime<Utc>,
    /// How many items it sees to.
    items: u64,
    /// Every price and stock of them is of then, or of later; absent where that is not known.
    current_as_of: Option<DateTime<Utc>>,
}

/// What is known of collections.
#[derive(Serialize, ToSchema)]
#[schema(as = Collected)]
pub(crate) struct CollectedBody {
    /// Of each wholesaler that something was collected from. Looked at every five seconds.
    freshness: Vec<FreshnessBody>,
    /// At most 100, the latest first.
    troubles: Vec<TroubleBody>,
    /// Why none of it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl CollectedBody {
    pub(crate) fn of(monitoring: &Monitoring, seen: &Seen) -> Self {
        let (collected, reason) = match &seen.collected {
            Ok(collected) => (Some(collected), None),
            Err(reason) => (None, Some(*reason)),
        };
        let freshness = |age: &Age| FreshnessBody::of(age, monitoring.promise(age.wholesaler));
        Self {
            freshness: collected.iter().flat_map(|seen| seen.ages.iter().map(freshness)).collect(),
            troubles: collected
                .iter()
                .flat_map(|seen| seen.troubles.iter().map(TroubleBody::from))
                .collect(),
            reason,
        }
    }
}

impl FreshnessBody {
    fn of(age: &Age, promised: Option<Duration>) -> Self {
        let seconds = |age: Duration| (age.as_secs_f64() * 10.0).round() / 10.0;
        Self {
            wholesaler: age.wholesaler.as_str(),
            accounts: age.accounts,
            items: age.items,
            age_p50_seconds: seconds(age.p50),
            age_p99_seconds: seconds(age.p99),
            age_max_seconds: seconds(age.most),
            promised_seconds: promised.map(|promised| promised.as_secs()),
        }
    }
}

impl From<&Trouble> for TroubleBody {
    fn from(trouble: &Trouble) -> Self {
        Self {
            account: format!("{} {}", trouble.wholesaler(), trouble.account()),
            why: trouble.why.clone(),
            since: trouble.at,
            items: trouble.items(),
            current_as_of: trouble.current_as_of,
        }
    }
}
