use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Declares ids that cannot be taken for one another. Each is a UUIDv7: ids made later sort later,
/// so that new rows land at the end of an index.
macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// An id for a thing that came to be at `created_at`. The instants before 1970 share
            /// its first millisecond.
            #[must_use]
            pub fn new(created_at: DateTime<Utc>, random: [u8; 10]) -> Self {
                let millis = u64::try_from(created_at.timestamp_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// The id as the database knows it.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(id: &str) -> Result<Self, Self::Err> {
                id.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// A seller, the tenant.
    SellerId;
    /// A seller's account at a platform; the own shop is one of kind `direct`.
    AccountId;
    /// An API key.
    ApiKeyId;
    /// An order.
    OrderId;
    /// A product in a seller's catalogue.
    ProductId;
    /// A claim: cancellation, return, exchange, adjustment or write-off.
    ClaimId;
    /// A job: durable background work.
    JobId;
    /// An event, an entry of the audit log or of the price history.
    EventId;
}

impl SellerId {
    /// Stands where a seller stands, in what belongs to no seller but to the installation: the jobs of its operators.
    pub const INSTALLATION: Self = Self(Uuid::nil());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_made_later_sorts_later(
            first in 0_i64..4_000_000_000_000, gap in 1_i64..1_000_000, random: [u8; 10]
        ) {
            let at = |millis| DateTime::from_timestamp_millis(millis).unwrap();
            let earlier = OrderId::new(at(first), [0xff; 10]);
            let later = OrderId::new(at(first + gap), random);
            prop_assert!(earlier < later);
            prop_assert_eq!(later.as_uuid().get_version_num(), 7);
        }
    }

    #[test]
    fn an_instant_before_1970_is_no_panic() {
        let id = OrderId::new(DateTime::from_timestamp_millis(-1).unwrap(), [1; 10]);
        assert!(id.to_string().starts_with("00000000-0000-7"));
    }
}
