//! What a browser carries in place of an API key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead;

/// Seals and opens sessions: each names an API key by its digest and ends at a moment. Nothing is kept of them; a session
/// whose key is revoked is worth nothing.
pub struct SessionKey(aead::LessSafeKey);

const DIGEST: usize = 32;
const FORMAT: &[u8] = b"session 1";

impl SessionKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, key)
            .expect("ChaCha20-Poly1305 takes 32 bytes");
        Self(aead::LessSafeKey::new(key))
    }

    /// A session of the key with this digest, up to a moment in seconds since 1970. A `nonce` is used once.
    ///
    /// # Panics
    /// Never: so little can be sealed.
    #[must_use]
    pub fn seal(&self, digest: [u8; DIGEST], ends_at: u64, nonce: [u8; 12]) -> String {
        let mut body = [&digest[..], &ends_at.to_be_bytes()].concat();
        let once = aead::Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(once, aead::Aad::from(FORMAT), &mut body)
            .expect("40 bytes can be sealed");
        URL_SAFE_NO_PAD.encode([&nonce[..], &body].concat())
    }

    /// The digest that a session names, where it is one of ours and has not ended by `now`, in seconds since 1970.
    #[must_use]
    pub fn open(&self, session: &str, now: u64) -> Option<[u8; DIGEST]> {
        let bytes = URL_SAFE_NO_PAD.decode(session).ok()?;
        let (nonce, body) = bytes.split_at_checked(aead::NONCE_LEN)?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let opened = self.0.open_in_place(nonce, aead::Aad::from(FORMAT), &mut body).ok()?;
        let (digest, ends_at) = opened.split_first_chunk::<DIGEST>()?;
        let ends_at = u64::from_be_bytes(ends_at.try_into().ok()?);
        (now < ends_at).then_some(*digest)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use crate::MasterKey;

    #[test]
    fn a_session_opens_under_its_key_until_it_ends_and_not_when_it_was_changed() {
        let key = MasterKey::from_hex(&"07".repeat(32)).unwrap().session_key();
        let other = MasterKey::from_hex(&"08".repeat(32)).unwrap().session_key();
        let session = key.seal([5; 32], 100, [1; 12]);
        assert_eq!(key.open(&session, 99), Some([5; 32]));
        assert_eq!(key.open(&session, 100), None);
        assert_eq!(other.open(&session, 99), None);
        assert_eq!(format!("{key:?}"), "SessionKey(redacted)");
        for at in 0..session.len() {
            let mut changed = session.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key.open(&changed, 99), None, "{changed}");
        }
        for bad in ["", "A", "가", &session[1..]] {
            assert_eq!(key.open(bad, 0), None);
        }
    }
}
