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
