use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jebi_db_optimizer::accounts::{Account, Sealed};
use jebi_db_optimizer::random;
use jebi_domain::{
    AccountId, AccountKind, BadCredential, Credential, Place, Pricing, ProductStatus, SellerKeys,
    Text,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use uuid::Uuid;

use crate::openapi::one_of;
use crate::problem::{Fault, Faults, Problem};

/// Credentials as they are sent, by name. They have no `Debug`: nothing prints them.
pub(super) type SentCredentials = BTreeMap<String, Value>;

/// The name of an account.
pub(super) type Name = Text<100>;

/// An account. Neither its credentials nor their names are shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct AccountBody {
    id: Uuid,
    /// With whom; `direct` is the seller's own shop.
    #[schema(schema_with = kinds_and_shop)]
    kind: &'static str,
    name: String,
    /// Whether it is used.
    is_active: bool,
    /// How what is collected through it becomes products; of accounts with wholesalers alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<PricingBody>,
    created_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
}

pub(super) fn kinds() -> Schema {
    one_of(AccountKind::ALL.iter().map(|kind| kind.as_str()))
}

fn kinds_and_shop() -> Schema {
    one_of(AccountKind::ALL.iter().map(|kind| kind.as_str()).chain(["direct"]))
}

impl From<Account> for AccountBody {
    fn from(account: Account) -> Self {
        Self {
            id: account.id.as_uuid(),
            kind: account.kind.map_or("direct", AccountKind::as_str),
            name: account.name,
            is_active: account.is_active,
            pricing: account.pricing.map(PricingBody::from),
            created_at: account.created_at,
            changed_at: account.changed_at,
        }
    }
}

/// How what a wholesaler has becomes products. It is followed when a product is collected first; prices are the seller's from
/// then on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Pricing)]
pub(super) struct PricingBody {
    /// On top of the cost, in percent of it. Prices are rounded up to tens of won.
    #[schema(minimum = 0, maximum = 1000)]
    margin_percent: u64,
    /// No product begins with less, in won.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    minimum_price: i64,
    /// What a product begins as.
    #[schema(schema_with = first_statuses)]
    default_status: String,
}

fn first_statuses() -> Schema {
    let can_begin = |status: &&ProductStatus| **status != ProductStatus::Discontinued;
    one_of(ProductStatus::ALL.iter().filter(can_begin).map(|status| status.as_str()))
}

impl From<Pricing> for PricingBody {
    fn from(pricing: Pricing) -> Self {
        Self {
            margin_percent: pricing.margin_percent().into(),
            minimum_price: pricing.minimum_price(),
            default_status: pricing.status().as_str().to_owned(),
        }
    }
}

impl PricingBody {
    /// The rule, where it is one, and where the account is with a wholesaler.
    pub(super) fn check(self, is_wholesaler: bool, faults: &mut Faults) -> Option<Pricing> {
        if !is_wholesaler {
            faults.add("pricing", Fault::unacceptable("is for accounts with wholesalers alone"));
        }
        let within = |most: i64| Fault::unacceptable(format!("must be between 0 and {most}"));
        let margin = u32::try_from(self.margin_percent).ok();
        let margin = margin.filter(|margin| *margin <= Pricing::MOST_MARGIN);
        let margin = margin.ok_or_else(|| within(Pricing::MOST_MARGIN.into()));
        let margin = faults.check("pricing.margin_percent", margin);
        let minimum = Some(self.minimum_price);
        let minimum = minimum.filter(|price| (0..=Pricing::MOST_MINIMUM).contains(price));
        let minimum = minimum.ok_or_else(|| within(Pricing::MOST_MINIMUM));
        let minimum = faults.check("pricing.minimum_price", minimum);
        let status = self.default_status.parse::<ProductStatus>().map_err(Fault::unacceptable);
        let status = faults.check("pricing.default_status", status);
        let ((margin, minimum), status) = margin.zip(minimum).zip(status)?;
        let rule = Pricing::new(margin, minimum, status)
            .ok_or_else(|| Fault::unacceptable("is no status that a product begins with"));
        faults.check("pricing.default_status", rule)
    }
}

pub(super) fn account_id(path: &str) -> Result<AccountId, Problem> {
    path.parse().map_err(|_| Fault::unreadable("is not a UUID").at("account_id"))
}

/// Credentials that were checked, to be sealed for one account.
pub(crate) struct Credentials(Vec<(&'static str, Credential)>);

impl Credentials {
    /// Those of an account of this kind. Each name that is missing (where all are wanted), unknown or bad is a fault of its own.
    pub(crate) fn check(
        kind: AccountKind,
        sent: &BTreeMap<String, String>,
        wants_all: bool,
        mut fault: impl FnMut(&str, BadCredential),
    ) -> Self {
        for name in sent.keys().filter(|name| !kind.credentials().contains(&name.as_str())) {
            fault(name, BadCredential::Unknown);
        }
        let mut checked = Vec::new();
        for name in kind.credentials() {
            match sent.get(*name).map(|secret| Credential::new(secret)) {
                Some(Ok(secret)) => checked.push((*name, secret)),
                Some(Err(bad)) => fault(name, bad),
                None if wants_all => fault(name, BadCredential::Missing),
                None => {}
            }
        }
        Self(checked)
    }

    /// [`Credentials::check`] of a body.
    pub(super) fn of_body(
        kind: AccountKind,
        sent: SentCredentials,
        wants_all: bool,
        faults: &mut Faults,
    ) -> Self {
        // A name that nobody knows may be a secret in the wrong place: a long one is not repeated.
        let field = |name: &str| format!("credentials.{}", &name[..name.floor_char_boundary(50)]);
        let mut texts = BTreeMap::new();
        let mut is_no_text = Vec::new();
        for (name, value) in sent {
            match value {
                Value::String(text) => _ = texts.insert(name, text),
                _ if kind.credentials().contains(&&*name) => is_no_text.push(name),
                // Unknown, whatever its value.
                _ => _ = texts.insert(name, String::new()),
            }
        }
        for name in &is_no_text {
            faults.add(field(name), Fault::unreadable("is no text"));
        }
        Self::check(kind, &texts, wants_all, |name, bad| {
            if !is_no_text.iter().any(|known| known == name) {
                faults.add(field(name), Fault::unacceptable(bad));
            }
        })
    }

    /// Each sealed for this account.
    pub(crate) fn seal(&self, keys: &SellerKeys, account: AccountId) -> Vec<Sealed> {
        let seal = |(name, secret): &(&'static str, Credential)| {
            let place = Place::CredentialOf(account.as_uuid(), name);
            (*name, keys.seal(place, secret.expose().as_bytes(), random()))
        };
        self.0.iter().map(seal).collect()
    }
}
