//! What can be set, before the start and while it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use jebi_domain::Wholesaler;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalogue::Oddity;

/// What can be set, before the start and while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The same seed gives the same bytes. Default 1.
    pub seed: u64,
    /// How many items each wholesaler begins with. Default 1,200 each, of which more
    /// than 1,000 are on sale everywhere; at most 10,000,000.
    pub items: PerWholesaler<u64>,
    /// Whether prices, stock and the items themselves change as time passes. Default no.
    pub drift: bool,
    /// About how long a description is. Default 200.
    pub description_bytes: usize,
    /// Whether limits of calls are enforced. Default yes.
    pub enforce_limits: bool,
    /// So many times faster does time pass for the limits: × 50 gives a fast test the same rules.
    /// Default 1.
    pub scale: u32,
    /// What every account has paid in, in won. Default 100,000,000.
    pub balance: i64,
    /// From an order to its dispatch, in seconds. Default one day.
    pub ship_after_seconds: u64,
    /// How long a token or a session is good, in seconds. Default 30 days.
    pub token_seconds: u64,
    /// Where the documents leave a choice.
    pub quirks: Quirks,
    /// Items with something wrong, by their number.
    pub oddities: PerWholesaler<BTreeMap<u64, Oddity>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            items: PerWholesaler { ownerclan: 1_200, zentrade: 1_200, domeggook: 1_200 },
            drift: false,
            description_bytes: 200,
            enforce_limits: true,
            scale: 1,
            balance: 100_000_000,
            ship_after_seconds: 24 * 60 * 60,
            token_seconds: 30 * 24 * 60 * 60,
            quirks: Quirks::default(),
            oddities: PerWholesaler::default(),
        }
    }
}

impl Settings {
    /// The same with so many items each.
    #[must_use]
    pub fn with_items(self, items: u64) -> Self {
        let items = PerWholesaler { ownerclan: items, zentrade: items, domeggook: items };
        Self { items, ..self }
    }

    /// The same with what a JSON text says in place of what it names.
    ///
    /// # Errors
    ///
    /// When it names what is not there or gives what is none.
    pub fn patched(&self, patch: Value) -> Result<Self, serde_json::Error> {
        let mut merged = serde_json::to_value(self)?;
        merge(&mut merged, patch);
        serde_json::from_value(merged)
    }

    pub(crate) fn ship_after(&self) -> Duration {
        Duration::from_secs(self.ship_after_seconds)
    }

    pub(crate) fn token_lifetime(&self) -> Duration {
        Duration::from_secs(self.token_seconds)
    }
}

fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch,
    }
}

/// One value for each wholesaler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerWholesaler<T> {
    /// 오너클랜.
    pub ownerclan: T,
    /// 젠트레이드.
    pub zentrade: T,
    /// 도매꾹.
    pub domeggook: T,
}

impl<T> PerWholesaler<T> {
    /// That of one.
    #[must_use]
    pub fn of(&self, wholesaler: Wholesaler) -> &T {
        match wholesaler {
            Wholesaler::Ownerclan => &self.ownerclan,
            Wholesaler::Zentrade => &self.zentrade,
            Wholesaler::Domeggook => &self.domeggook,
        }
    }
}

/// Where the documents leave a choice: each is one that a client must be able to live with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// How Ownerclan writes a token.
    pub token_form: TokenForm,
    /// How Ownerclan says that a token has expired.
    pub expired_token: ExpiredToken,
    /// What Ownerclan does with a page of more than 1,000.
    pub oversized_page: OversizedPage,
    /// What `metadata` of an item of Ownerclan is.
    pub metadata: Form,
    /// Whether a page of Ownerclan's history ends with an event that it holds already, as some do.
    pub repeated_events: bool,
    /// What a number of Domeggook is: a number, or text.
    pub numbers: Form,
    /// What Domeggook's `list` is when nothing is found.
    pub empty_list: EmptyList,
    /// Whether Domeggook's errors stand below `domeggook`.
    pub errors_below_root: bool,
    /// Whether the charset stands in the Content-Type.
    pub declares_charset: bool,
    /// Whether Zentrade's firewall turns away clients whose User-Agent is no browser's.
    pub firewall: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            token_form: TokenForm::Raw,
            expired_token: ExpiredToken::Status,
            oversized_page: OversizedPage::Capped,
            metadata: Form::Mixed,
            repeated_events: true,
            numbers: Form::Mixed,
            empty_list: EmptyList::Text,
            errors_below_root: false,
            declares_charset: true,
            firewall: true,
        }
    }
}

/// How a token is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenForm {
    /// The bare text.
    Raw,
    /// In double quotes, with a line break.
    Quoted,
    /// A JSON object with a field `token`.
    Object,
}

/// How a token that has expired is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiredToken {
    /// 401.
    Status,
    /// 200 with an error of GraphQL.
    Errors,
}

/// What becomes of a page that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OversizedPage {
    /// It is cut to the largest.
    Capped,
    /// It is an error.
    Refused,
}

/// Which of two forms a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// What it is.
    Native,
    /// The same as text.
    Text,
    /// Now this, now that: always the same of the same item.
    Mixed,
}

impl Form {
    /// Whether it is text this time.
    pub(crate) fn is_text(self, chance: u64) -> bool {
        match self {
            Self::Native => false,
            Self::Text => true,
            Self::Mixed => chance.is_multiple_of(2),
        }
    }
}

/// What stands for a list of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyList {
    /// `""`.
    Text,
    /// `[]`.
    List,
    /// It is not there.
    Absent,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{EmptyList, PerWholesaler, Settings};
    use crate::catalogue::Oddity;

    #[test]
    fn a_patch_changes_what_it_names() {
        let patch = json!({
            "items": { "zentrade": 5 },
            "quirks": { "empty_list": "absent" },
            "oddities": { "domeggook": { "3": "many_options" } },
        });
        let patched = Settings::default().patched(patch).unwrap();
        let items = PerWholesaler { ownerclan: 1_200, zentrade: 5, domeggook: 1_200 };
        assert_eq!(patched.items, items);
        assert_eq!(patched.quirks.empty_list, EmptyList::Absent);
        assert_eq!(patched.oddities.domeggook.get(&3), Some(&Oddity::ManyOptions));
        assert_eq!(patched.seed, 1);
    }

    #[test]
    fn what_is_not_there_cannot_be_set() {
        assert!(Settings::default().patched(json!({ "itms": 1 })).is_err());
        assert!(Settings::default().patched(json!({ "quirks": { "metadata": 1 } })).is_err());
    }
}
