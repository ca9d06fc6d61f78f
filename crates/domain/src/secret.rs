use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{aead, digest, hkdf, hmac};
use uuid::Uuid;

use crate::SellerId;
use crate::cursor::CursorKey;
use crate::personal::Customer;
use crate::search::{Search, SearchKey};
use crate::session::SessionKey;

/// `JEBI_MASTER_KEY`: 256 bits from which every other key is derived (HKDF-SHA256, RFC 5869).
pub struct MasterKey {
    root: hkdf::Prk,
    id: [u8; 4],
    /// The key before this one, which opens what was sealed under it.
    previous: Option<Box<MasterKey>>,
}

/// The master key is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits")]
pub struct BadMasterKey;

impl MasterKey {
    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`BadMasterKey`] for anything else.
    pub fn from_hex(text: &str) -> Result<Self, BadMasterKey> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(BadMasterKey);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| BadMasterKey)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| BadMasterKey)?;
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"jebi").extract(&bytes);
        let id = expand(&root, &[b"key id"]);
        Ok(Self { root, id: [id[0], id[1], id[2], id[3]], previous: None })
    }

    /// The same after a change of keys: what `previous` has sealed still opens, and what is sealed from now on is sealed under
    /// this one. Hashes stay those of `previous`: what is stored is found by them.
    #[must_use]
    pub fn after(mut self, previous: Self) -> Self {
        self.previous = Some(Box::new(previous));
        self
    }

    /// The key that signs cursors.
    #[must_use]
    pub fn cursor_key(&self) -> CursorKey {
        CursorKey::new(&expand(&self.root, &[b"cursor"]))
    }

    /// The key of browsers' sessions.
    #[must_use]
    pub fn session_key(&self) -> SessionKey {
        SessionKey::new(&expand(&self.root, &[b"session"]))
    }

    /// Signs and encrypts what a cache keeps outside the process.
    #[must_use]
    pub fn cache_secret(&self) -> [u8; 32] {
        expand(&self.root, &[b"cache"])
    }

    /// The keys of one seller. They hang on the seller's `salt` as well: when the salt is erased,
    /// what was sealed under it is gone for good.
    ///
    /// # Panics
    /// Never: the cipher takes keys of this length.
    #[must_use]
    pub fn seller_keys(&self, seller: SellerId, salt: &[u8]) -> SellerKeys {
        let id = seller.as_uuid();
        let first = self.previous.as_deref().unwrap_or(self);
        let hashing = expand(&first.root, &[b"fingerprint", id.as_bytes(), salt]);
        let searching = expand(&first.root, &[b"search", id.as_bytes(), salt]);
        SellerKeys {
            seller,
            searching: SearchKey::new(&searching),
            sealing: self.sealing_key(seller, salt),
            previous: self.previous.as_ref().map(|previous| previous.sealing_key(seller, salt)),
            hashing: hmac::Key::new(hmac::HMAC_SHA256, &hashing),
        }
    }

    fn sealing_key(&self, seller: SellerId, salt: &[u8]) -> SealingKey {
        let id = seller.as_uuid();
        let key = expand(&self.root, &[b"personal data", id.as_bytes(), salt]);
        let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &key)
            .expect("ChaCha20-Poly1305 takes 32 bytes");
        SealingKey { master_id: self.id, key: aead::LessSafeKey::new(key) }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(redacted)")
    }
}

fn expand(root: &hkdf::Prk, info: &[&[u8]]) -> [u8; 32] {
    let mut key = [0; 32];
    root.expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .expect("HKDF-SHA256 gives 32 bytes");
    key
}

/// What hides one seller's data: a sealing key and a fingerprint key.
pub struct SellerKeys {
    seller: SellerId,
    sealing: SealingKey,
    previous: Option<SealingKey>,
    hashing: hmac::Key,
    searching: SearchKey,
}

/// What seals one seller's data under one master key.
struct SealingKey {
    master_id: [u8; 4],
    key: aead::LessSafeKey,
}

/// A sealed value that does not belong where it was found, or that was sealed under another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open here: it was moved, changed, or sealed under another key")]
pub struct NotOurs;

/// What a sealed value is bound to besides its seller: elsewhere it does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The customer of the order or claim with this id.
    CustomerOf(Uuid),
    /// The answer stored for an idempotency key.
    AnswerTo(&'a str),
    /// The credential of this name of the account with this id.
    CredentialOf(Uuid, &'a str),
}

impl SellerKeys {
    /// Bytes that sealing adds: format, key id, nonce and tag.
    pub const OVERHEAD: usize = 1 + 4 + aead::NONCE_LEN + 16;

    const FORMAT: u8 = 1;

    /// Seals `plaintext` with ChaCha20-Poly1305 (RFC 8439). A `nonce` is used once: twelve random
    /// bytes, which for one seller's key stay distinct up to some billion values.
    ///
    /// # Panics
    /// For a plaintext beyond 256 GiB, the cipher's limit.
    #[must_use]
    pub fn seal(&self, place: Place<'_>, plaintext: &[u8], nonce: [u8; 12]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plaintext.len() + Self::OVERHEAD);
        sealed.push(Self::FORMAT);
        sealed.extend(self.sealing.master_id);
        sealed.extend(nonce);
        let mut body = plaintext.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        self.sealing
            .key
            .seal_in_place_append_tag(nonce, self.bound_to(place), &mut body)
            .expect("the plaintext is far below 256 GiB");
        sealed.append(&mut body);
        sealed
    }

    /// Opens what [`SellerKeys::seal`] sealed for the same seller and place.
    ///
    /// # Errors
    /// [`NotOurs`] for everything else.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, NotOurs> {
        let rest = sealed.strip_prefix(&[Self::FORMAT]).ok_or(NotOurs)?;
        let (master_id, rest) = rest.split_first_chunk::<4>().ok_or(NotOurs)?;
        let mut keys = [Some(&self.sealing), self.previous.as_ref()].into_iter().flatten();
        let sealing = keys.find(|key| key.master_id == *master_id).ok_or(NotOurs)?;
        let (nonce, body) = rest.split_at_checked(aead::NONCE_LEN).ok_or(NotOurs)?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOurs)?;
        let mut body = body.to_vec();
        let plaintext = sealing
            .key
            .open_in_place(nonce, self.bound_to(place), &mut body)
            .map_err(|_| NotOurs)?
            .len();
        body.truncate(plaintext);
        Ok(body)
    }

    /// Whether a value was sealed under the master key of now, and not under the one before.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(1..5) == Some(&self.sealing.master_id[..])
    }

    /// Seals the customer of an order or claim.
    #[must_use]
    pub fn seal_customer(&self, of: Uuid, customer: &Customer, nonce: [u8; 12]) -> Vec<u8> {
        self.seal(Place::CustomerOf(of), &customer.to_plaintext(), nonce)
    }

    /// Opens the customer of an order or claim.
    ///
    /// # Errors
    /// [`NotOurs`] where it was sealed for another one, or for another seller.
    pub fn open_customer(&self, of: Uuid, sealed: &[u8]) -> Result<Customer, NotOurs> {
        let plaintext = self.open(Place::CustomerOf(of), sealed)?;
        Customer::from_plaintext(&plaintext).ok_or(NotOurs)
    }

    /// The seller whose keys they are.
    #[must_use]
    pub const fn seller(&self) -> SellerId {
        self.seller
    }

    /// What an order is found by: the hashes of its number and of its buyer's name and telephone.
    #[must_use]
    pub fn search_tokens_of(&self, order_number: &str, customer: &Customer) -> Vec<i64> {
        self.searching.of_order(order_number, customer)
    }

    /// The hashes of what somebody may have meant by what they typed.
    #[must_use]
    pub fn search_tokens_for(&self, search: &Search) -> Vec<i64> {
        self.searching.of_search(search)
    }

    /// A keyed hash: equal for equal bytes of this seller, and no help to anybody who guesses.
    #[must_use]
    pub fn fingerprint(&self, bytes: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.hashing, bytes);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(tag.as_ref());
        fingerprint
    }

    fn bound_to(&self, place: Place<'_>) -> aead::Aad<Vec<u8>> {
        let seller = self.seller.as_uuid();
        aead::Aad::from(match place {
            Place::CustomerOf(id) => [b"customer", &seller.as_bytes()[..], id.as_bytes()].concat(),
            Place::AnswerTo(key) => [b"answerto", &seller.as_bytes()[..], key.as_bytes()].concat(),
            Place::CredentialOf(account, name) => {
                let parts = [seller.as_bytes(), account.as_bytes(), name.as_bytes()];
                [b"credntls", &parts.concat()[..]].concat()
            }
        })
    }
}

impl fmt::Debug for SellerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SellerKeys(redacted)")
    }
}

/// An API key as its owner sees it: `jebi_` and 256 bits, base64url.
#[must_use]
pub fn api_key(random: [u8; 32]) -> String {
    format!("jebi_{}", URL_SAFE_NO_PAD.encode(random))
}

/// What is stored of an API key: SHA-256. The key has 256 random bits, so that no slow hash is
/// needed. `None` for what cannot be a key.
#[must_use]
pub fn api_key_digest(key: &str) -> Option<[u8; 32]> {
    let random = URL_SAFE_NO_PAD.decode(key.strip_prefix("jebi_")?).ok()?;
    if random.len() != 32 {
        return None;
    }
    let mut stored = [0; 32];
    stored.copy_from_slice(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
    Some(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seller(n: u128) -> SellerId {
        Uuid::from_u128(n).into()
    }

    fn master() -> MasterKey {
        MasterKey::from_hex(&"ab".repeat(32)).unwrap()
    }

    #[test]
    fn a_customer_opens_in_its_own_order_only() {
        let keys = master().seller_keys(seller(1), b"salt");
        let order = Uuid::from_u128(7);
        let customer = Customer { name: Some("홍길동".to_owned()), ..Customer::default() };
        let sealed = keys.seal_customer(order, &customer, [9; 12]);
        assert_eq!(keys.open_customer(order, &sealed), Ok(customer));

        let elsewhere = Uuid::from_u128(8);
        assert_eq!(keys.open_customer(elsewhere, &sealed), Err(NotOurs));
        let other = master().seller_keys(seller(2), b"salt");
        assert_eq!(other.open_customer(order, &sealed), Err(NotOurs));
        let resalted = master().seller_keys(seller(1), b"erased");
        assert_eq!(resalted.open_customer(order, &sealed), Err(NotOurs));
        assert_eq!(keys.open(Place::AnswerTo(""), &sealed), Err(NotOurs));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let keys = master().seller_keys(seller(1), b"salt");
        let place = Place::AnswerTo("key");
        let sealed = keys.seal(place, b"an answer", [3; 12]);
        assert_eq!(sealed.len(), 9 + SellerKeys::OVERHEAD);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys.open(place, &changed), Err(NotOurs));
        }
        for length in 0..sealed.len() {
            assert_eq!(keys.open(place, &sealed[..length]), Err(NotOurs));
        }
    }

    #[test]
    fn a_credential_opens_for_its_seller_account_and_name_only() {
        let keys = master().seller_keys(seller(1), b"salt");
        let (account, elsewhere) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let place = Place::CredentialOf(account, "password");
        let sealed = keys.seal(place, b"sesame", [9; 12]);
        assert_eq!(keys.open(place, &sealed), Ok(b"sesame".to_vec()));
        for other in [
            Place::CredentialOf(elsewhere, "password"),
            Place::CredentialOf(account, "passwor"),
            Place::CredentialOf(account, "passwordx"),
            Place::CustomerOf(account),
        ] {
            assert_eq!(keys.open(other, &sealed), Err(NotOurs), "{other:?}");
        }
        let other = master().seller_keys(seller(2), b"salt");
        assert_eq!(other.open(place, &sealed), Err(NotOurs));
    }

    #[test]
    fn after_a_change_of_keys_what_was_sealed_opens_and_is_found_and_new_values_are_under_the_new_one()
     {
        let new = || MasterKey::from_hex(&"cd".repeat(32)).unwrap();
        let (before, place) = (master().seller_keys(seller(1), b"salt"), Place::AnswerTo("k"));
        let old = before.seal(place, b"old", [1; 12]);
        let after = new().after(master()).seller_keys(seller(1), b"salt");
        let fresh = after.seal(place, b"new", [2; 12]);
        assert_eq!(after.open(place, &old), Ok(b"old".to_vec()));
        assert_eq!((after.is_current(&old), after.is_current(&fresh)), (false, true));
        assert_eq!(before.open(place, &fresh), Err(NotOurs));
        assert_eq!(after.fingerprint(b"x"), before.fingerprint(b"x"));
        let alone = new().seller_keys(seller(1), b"salt");
        assert_eq!(alone.open(place, &fresh), Ok(b"new".to_vec()));
        assert_eq!(alone.open(place, &old), Err(NotOurs));
    }

    #[test]
    fn what_is_derived_hangs_on_the_master_key_and_a_fingerprint_on_the_bytes_as_well() {
        let other = MasterKey::from_hex(&"cd".repeat(32)).unwrap();
        assert_ne!(master().cache_secret(), other.cache_secret());
        assert_eq!(master().cache_secret(), master().cache_secret());
        let keys = master().seller_keys(seller(1), b"salt");
        assert_ne!(keys.fingerprint(b"x"), keys.fingerprint(b"y"));
        assert_ne!(keys.fingerprint(b"x"), other.seller_keys(seller(1), b"salt").fingerprint(b"x"));
        let neighbour = master().seller_keys(seller(2), b"salt");
        assert_ne!(keys.fingerprint(b"x"), neighbour.fingerprint(b"x"));
    }

    #[test]
    fn an_order_is_found_under_the_keys_of_its_seller_alone() {
        let keys = master().seller_keys(seller(1), b"salt");
        let customer = Customer { name: Some("홍길동".to_owned()), ..Customer::default() };
        let order = keys.search_tokens_of("A-1", &customer);
        let finds = |keys: &SellerKeys, typed: &str| {
            let tokens = keys.search_tokens_for(&Search::new(typed).unwrap());
            tokens.iter().any(|token| order.contains(token))
        };
        assert!(finds(&keys, "a-1") && finds(&keys, "홍길동") && !finds(&keys, "A-2"));
        let other = master().seller_keys(seller(2), b"salt");
        assert!(!finds(&other, "a-1") && !finds(&other, "홍길동"));
    }

    #[test]
    fn a_master_key_is_64_hexadecimal_digits() {
        for bad in ["", "ab", &"ab".repeat(31), &"ab".repeat(33), &"zz".repeat(32), &"a".repeat(63)]
        {
            assert!(MasterKey::from_hex(bad).is_err(), "{bad:?}");
        }
        assert_eq!(format!("{:?}", master()), "MasterKey(redacted)");
        let keys = master().seller_keys(seller(1), b"salt");
        assert_eq!(format!("{keys:?}"), "SellerKeys(redacted)");
    }

    #[test]
    fn an_api_key_has_one_spelling() {
        let key = api_key([7; 32]);
        assert!(api_key_digest(&key).is_some());
        assert_ne!(api_key_digest(&key), api_key_digest(&api_key([8; 32])));
        for bad in ["", "jebi_", &key[5..], &format!("{key}A"), &key[..key.len() - 1]] {
            assert_eq!(api_key_digest(bad), None, "{bad:?}");
        }
    }
}
