use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use ring::hmac;
use uuid::Uuid;

use crate::SellerId;
use crate::page::Position;

/// Makes and reads cursors: opaque, versioned, and good for one seller and one filter only.
#[derive(Debug, Clone)]
pub struct CursorKey(hmac::Key);

/// The cursor was changed, or belongs to another seller or another filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list; take next_cursor of a page with the same filter")]
pub struct BadCursor;

const VERSION: u8 = 1;
/// Version, microseconds since 1970, id.
const BODY: usize = 1 + 8 + 16;
/// All of HMAC-SHA256. The whole token is 57 bytes, a multiple of three: no character of its
/// base64 has spare bits that could be changed unnoticed.
const MAC: usize = 32;

impl CursorKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The cursor that points at `position` in the list of `seller` with this `filter`
    /// ([`crate::OrderFilter::canonical`]). 76 characters.
    #[must_use]
    pub fn write(&self, seller: SellerId, filter: &str, position: Position) -> String {
        let mut token = Vec::with_capacity(BODY + MAC);
        token.push(VERSION);
        token.extend(position.created_at.timestamp_micros().to_be_bytes());
        token.extend(position.id.as_bytes());
        let mac = hmac::sign(&self.0, &signed(seller, filter, &token));
        token.extend(mac.as_ref());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The position that [`CursorKey::write`] wrote down.
    ///
    /// # Errors
    /// [`BadCursor`] for everything that it did not write for this seller and filter.
    pub fn read(
        &self,
        seller: SellerId,
        filter: &str,
        cursor: &str,
    ) -> Result<Position, BadCursor> {
        let token = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor)?;
        if token.len() != BODY + MAC {
            return Err(BadCursor);
        }
        let (body, mac) = token.split_at(BODY);
        hmac::verify(&self.0, &signed(seller, filter, body), mac).map_err(|_| BadCursor)?;

        let (version, body) = body.split_first().ok_or(BadCursor)?;
        let (micros, id) = body.split_first_chunk::<8>().ok_or(BadCursor)?;
        let created_at = DateTime::from_timestamp_micros(i64::from_be_bytes(*micros));
        match (*version, created_at, Uuid::from_slice(id)) {
            (VERSION, Some(created_at), Ok(id)) => Ok(Position { created_at, id }),
            _ => Err(BadCursor),
        }
    }
}

fn signed(seller: SellerId, filter: &str, body: &[u8]) -> Vec<u8> {
    [body, seller.as_uuid().as_bytes(), filter.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> CursorKey {
        CursorKey::new(&[1; 32])
    }

    fn seller(n: u128) -> SellerId {
        Uuid::from_u128(n).into()
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back_for_its_seller_and_filter_only(
            micros in -1_000_000_000_000_000_i64..4_000_000_000_000_000, id: u128, filter: String
        ) {
            let position = Position {
                created_at: DateTime::from_timestamp_micros(micros).unwrap(),
                id: Uuid::from_u128(id),
            };
            let cursor = key().write(seller(1), &filter, position);
            prop_assert_eq!(key().read(seller(1), &filter, &cursor), Ok(position));
            prop_assert_eq!(key().read(seller(2), &filter, &cursor), Err(BadCursor));
            prop_assert_eq!(key().read(seller(1), &format!("{filter}x"), &cursor), Err(BadCursor));
            let other_key = CursorKey::new(&[2; 32]);
            prop_assert_eq!(other_key.read(seller(1), &filter, &cursor), Err(BadCursor));
        }

        #[test]
        fn no_text_is_a_panic(cursor: String) {
            prop_assert_eq!(key().read(seller(1), "", &cursor), Err(BadCursor));
        }
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let position = Position { created_at: DateTime::UNIX_EPOCH, id: Uuid::from_u128(42) };
        let cursor = key().write(seller(1), "", position);
        assert_eq!(cursor.len(), 76);
        for at in 0..cursor.len() {
            for replacement in ['A', 'B', '-', '_', '9', '=', ' '] {
                let mut changed = cursor.clone();
                changed.replace_range(at..=at, &replacement.to_string());
                if changed != cursor {
                    assert_eq!(key().read(seller(1), "", &changed), Err(BadCursor), "at {at}");
                }
            }
        }
    }
}
