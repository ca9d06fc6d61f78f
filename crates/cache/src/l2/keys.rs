use crate::key::Id;

/// The names of what lies in Redis. One hash tag, so that all lies in one slot of a cluster.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) prefix: Vec<u8>,
}

impl Keys {
    pub(super) fn of(&self, kind: &[u8], name: &[u8]) -> Vec<u8> {
        [&self.prefix, kind, name].concat()
    }

    pub(super) fn value(&self, slot: Id) -> Vec<u8> {
        self.of(b"v:", &slot.0)
    }

    pub(super) fn generation(&self, id: Id) -> Vec<u8> {
        self.of(b"g:", &id.0)
    }

    /// How often something in a scope has changed.
    pub(super) fn changed(&self, scope: Id) -> Vec<u8> {
        self.of(b"t:", &scope.0)
    }

    pub(super) fn waiters(&self, slot: Id) -> Vec<u8> {
        self.of(b"w:", &slot.0)
    }

    pub(super) fn leases(&self, slot: Id) -> Vec<u8> {
        self.of(b"l:", &slot.0)
    }

    /// All messages.
    pub(super) fn messages(&self) -> Vec<u8> {
        self.of(b"messages", b"")
    }

    /// Up to when everything was reported.
    pub(super) fn beat(&self) -> Vec<u8> {
        self.of(b"beat", b"")
    }

    /// What one process is told alone.
    pub(super) fn node(&self, node: &str) -> Vec<u8> {
        self.of(b"n:", node.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_names_begin_alike_and_none_is_that_of_something_else() {
        let keys = Keys { prefix: b"{jebi}:".to_vec() };
        let of_id = [Keys::value, Keys::generation, Keys::changed, Keys::waiters, Keys::leases];
        let ids = [Id([1; 16]), Id([2; 16])];
        let mut names = vec![keys.messages(), keys.beat(), keys.node("a"), keys.node("b")];
        names.extend(of_id.iter().flat_map(|of| ids.map(|id| of(&keys, id))));
        assert!(names.iter().all(|name| name.starts_with(b"{jebi}:")), "{names:?}");
        let distinct: BTreeSet<&Vec<u8>> = names.iter().collect();
        assert_eq!(distinct.len(), 14, "{names:?}");
    }
}
