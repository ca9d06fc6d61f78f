//! The sellers whom `dev` sets up.

use anyhow::{Context, Result};

use crate::kept::Kept;

/// A seller with sample orders.
pub(crate) struct Seller {
    pub(crate) name: &'static str,
    /// The variable of `target/dev/env` that holds its key.
    pub(crate) variable: &'static str,
    /// Below `data/`.
    pub(crate) orders: &'static str,
    pub(crate) scopes: &'static [&'static str],
    /// Has the scopes that belong to no seller, too.
    pub(crate) is_operator: bool,
}

/// *demo* has the real orders and, for trying everything out with one key, the operator's scopes;
/// *other* shows that one seller sees nothing of another.
pub(crate) const DEMO: Seller = Seller {
    name: "demo",
    variable: "JEBI_API_KEY",
    orders: "online_retail.csv.zst",
    scopes: &[
        "orders:read",
        "orders:contact",
        "orders:write",
        "products:read",
        "products:write",
        "performance:read",
        "performance:admin",
    ],
    is_operator: true,
};

pub(crate) const OTHER: Seller = Seller {
    name: "other",
    variable: "JEBI_API_KEY_OTHER",
    orders: "other.csv",
    scopes: &["orders:read", "orders:contact", "orders:write", "products:read", "products:write"],
    is_operator: false,
};

impl Seller {
    /// # Errors
    ///
    /// When `dev` has never run to its end.
    pub(crate) fn key<'a>(&self, kept: &'a Kept) -> Result<&'a str> {
        kept.get(self.variable).with_context(|| {
            format!("seller {} has no key: run `cargo xtask dev --fresh`", self.name)
        })
    }
}
