//! The first reading of a file: what the second has to know beforehand.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use jebi_db_optimizer::bulk::NewProduct;

use super::retail::{Row, Rows};

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// All rows, the broken ones among them.
    pub(super) rows: u64,
    /// The number of the last good row of each invoice.
    pub(super) last_rows: HashMap<String, u64>,
    products: HashMap<String, Seen>,
}

/// What is known of a product.
#[derive(Debug)]
struct Seen {
    first: DateTime<Utc>,
    /// Each description, how often it stands there, and in which row first.
    descriptions: HashMap<String, (u64, u64)>,
}

impl Survey {
    pub(super) fn of(mut rows: Rows) -> anyhow::Result<Self> {
        let mut survey = Self::default();
        while let Some(row) = rows.next()? {
            if let Ok(row) = row {
                survey.note(row);
            }
            survey.rows += 1;
        }
        Ok(survey)
    }

    fn note(&mut self, row: Row) {
        let product = self
            .products
            .entry(row.sku)
            .or_insert_with(|| Seen { first: row.at, descriptions: HashMap::new() });
        product.first = product.first.min(row.at);
        if let Some(description) = row.description {
            product.descriptions.entry(description).or_insert((0, self.rows)).0 += 1;
        }
        self.last_rows.insert(row.invoice, self.rows);
    }

    /// Every product, by its most frequent description (of two the one that came first), or by its code
    /// where it has none.
    pub(super) fn products(&self) -> Vec<NewProduct> {
        let name = |sku: &str, seen: &Seen| {
            let most = seen
                .descriptions
                .iter()
                .max_by_key(|(_, (times, first))| (*times, std::cmp::Reverse(*first)));
            most.map_or_else(|| sku.to_owned(), |(description, _)| description.clone())
        };
        self.products
            .iter()
            .map(|(sku, seen)| NewProduct {
                sku: sku.clone(),
                name: name(sku, seen),
                created_at: seen.first,
            })
            .collect()
    }
}
