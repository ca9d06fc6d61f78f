use crate::word::{UnknownWord, words};

words! {
    /// What an API key may do.
    pub enum Scope ("scope") {
        /// Read orders, with phone and address masked.
        OrdersRead = "orders:read",
        /// See phones, e-mail and postal addresses in the orders that may be read.
        OrdersContact = "orders:contact",
        /// Create and change orders.
        OrdersWrite = "orders:write",
        /// Read products.
        ProductsRead = "products:read",
        /// Change products.
        ProductsWrite = "products:write",
        /// Read what the service measures about itself: an operator's scope.
        PerformanceRead = "performance:read",
        /// Start benchmarks and optimizations: an operator's scope.
        PerformanceAdmin = "performance:admin",
    }
}

impl Scope {
    /// Whether it shows or changes what is global, and therefore belongs to operators' keys.
    #[must_use]
    pub const fn is_operators(self) -> bool {
        matches!(self, Self::PerformanceRead | Self::PerformanceAdmin)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u32);

impl Scopes {
    /// Everything that one seller's key may do.
    #[must_use]
    pub fn all_of_a_seller() -> Self {
        Scope::ALL.iter().copied().filter(|scope| !scope.is_operators()).collect()
    }

    /// Whether `scope` is in the set.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The scopes of the set, in the order of declaration.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.contains(*scope))
    }

    /// The set that `words` name.
    ///
    /// # Errors
    /// [`UnknownWord`] for a word that is no scope.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownWord> {
        words.into_iter().map(str::parse::<Scope>).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_is_named_twice_is_in_the_set() {
        let scopes = Scopes::parse(["orders:read", "orders:read", "products:read"]).unwrap();
        assert!(scopes.iter().eq([Scope::OrdersRead, Scope::ProductsRead]));
        assert_eq!(Scopes::default().iter().count(), 0);
    }

    #[test]
    fn a_sellers_scopes_hold_nothing_of_the_operators() {
        let scopes = Scopes::all_of_a_seller();
        assert!(scopes.contains(Scope::OrdersContact));
        assert!(!scopes.contains(Scope::PerformanceRead));
        assert_eq!(scopes.iter().count(), 5);
        assert_eq!(Scopes::parse(scopes.iter().map(Scope::as_str)), Ok(scopes));
    }
}
