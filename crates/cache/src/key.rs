//! What an entry is found by: namespace, scope, and the bytes of the caller's key.

use std::hash::{Hash, Hasher};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// Whose entry it is. Invalidation reaches one scope or all of a namespace; a tenant is the usual scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scope(u128);

impl Scope {
    /// For entries that belong to nobody in particular.
    pub const SHARED: Self = Self(0);

    /// The scope with this number, a tenant's UUID for example.
    #[must_use]
    pub const fn new(number: u128) -> Self {
        Self(number)
    }
}

/// A key of a namespace. Two keys are the same exactly where scope and written bytes are.
///
/// ```
/// use jebi_cache::{CacheKey, KeyBytes, Scope};
///
/// struct PageKey<'a> {
///     seller: u128,
///     filter: &'a str,
///     page: u64,
/// }
///
/// impl CacheKey for PageKey<'_> {
///     fn scope(&self) -> Scope {
///         Scope::new(self.seller)
///     }
///     fn write(&self, bytes: &mut KeyBytes) {
///         bytes.str(self.filter).u64(self.page);
///     }
/// }
/// ```
pub trait CacheKey {
    /// Whose entry it is.
    fn scope(&self) -> Scope;

    /// Writes what tells the key from others of its namespace. No allocation up to 120 bytes.
    fn write(&self, bytes: &mut KeyBytes);

    /// The tags that are known before the value is. Tags that only the loader knows are given to
    /// [`crate::Load::add_tag`].
    fn tags(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
}

/// A key of no tenant.
impl CacheKey for u64 {
    fn scope(&self) -> Scope {
        Scope::SHARED
    }

    fn write(&self, bytes: &mut KeyBytes) {
        bytes.u64(*self);
    }
}

/// A key of no tenant.
impl CacheKey for str {
    fn scope(&self) -> Scope {
        Scope::SHARED
    }

    fn write(&self, bytes: &mut KeyBytes) {
        bytes.str(self);
    }
}

impl<K: CacheKey + ?Sized> CacheKey for &K {
    fn scope(&self) -> Scope {
        (**self).scope()
    }

    fn write(&self, bytes: &mut KeyBytes) {
        (**self).write(bytes);
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        (**self).tags()
    }
}

const INLINE: usize = 120;
/// A longer key is kept as its digest: keys are never more of the memory than values.
const LONGEST: usize = 512;

/// The bytes of a key, written field by field. A text carries its length, so that no two rows of
/// fields are written alike.
#[derive(Debug)]
pub struct KeyBytes {
    inline: [u8; INLINE],
    len: usize,
    /// All of the key, once it has outgrown `inline`.
    spilled: Vec<u8>,
}

impl KeyBytes {
    #[inline]
    pub(crate) fn of<K: CacheKey + ?Sized>(key: &K) -> Self {
        let mut bytes = Self { inline: [0; INLINE], len: 0, spilled: Vec::new() };
        key.write(&mut bytes);
        if bytes.spilled.len() > LONGEST {
            bytes.digest();
        }
        bytes
    }

    #[cold]
    fn digest(&mut self) {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.spilled);
        // No short key is as long as a digest behind a length that no text has.
        self.spilled = [&u64::MAX.to_be_bytes(), digest.as_ref()].concat();
    }

    /// The key in a namespace.
    #[inline]
    pub(crate) fn in_namespace(&self, namespace: u16, scope: Scope) -> KeyRef<'_> {
        let bytes = self.as_slice();
        // Behind the bytes are zeros, as in a key that is kept.
        let short = if bytes.len() <= SHORT { self.inline.first_chunk() } else { None };
        KeyRef { scope, head: Head::new(namespace, bytes.len()), bytes, short }
    }

    /// A whole number.
    #[inline]
    pub fn u64(&mut self, number: u64) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    /// A whole number, or a UUID.
    #[inline]
    pub fn u128(&mut self, number: u128) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    /// A text of any length and any characters.
    #[inline]
    pub fn str(&mut self, text: &str) -> &mut Self {
        self.u64(text.len() as u64).raw(text.as_bytes())
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.len + bytes.len();
        match self.inline.get_mut(self.len..end) {
            Some(place) if self.spilled.is_empty() => {
                place.copy_from_slice(bytes);
                self.len = end;
            }
            Some(_) | None => self.spill(bytes),
        }
        self
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if self.spilled.is_empty() {
            self.spilled.extend_from_slice(&self.inline[..self.len]);
        }
        self.spilled.extend_from_slice(bytes);
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.spilled.is_empty() { &self.inline[..self.len] } else { &self.spilled }
    }
}

/// Keys up to this long are kept in place, and compared and hashed as so many bytes, however long they are:
/// most keys are, and a hit calls nothing for them and has nowhere else to look.
const SHORT: usize = 32;

/// A key that is looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRef<'a> {
    scope: Scope,
    head: Head,
    pub(crate) bytes: &'a [u8],
    /// The same with zeros behind them, where they are short.
    short: Option<&'a [u8; SHORT]>,
}

/// A key that is kept. Takes one cache line.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) scope: Scope,
    head: Head,
    bytes: Kept,
}

const _: () = assert!(size_of::<Key>() <= 64);

/// Namespace and length in one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head(u64);

#[derive(Debug, Clone)]
enum Kept {
    Short([u8; SHORT]),
    Long(Box<[u8]>),
}

impl Head {
    #[inline]
    fn new(namespace: u16, len: usize) -> Self {
        Self(u64::from(namespace) << 48 | len as u64)
    }

    #[inline]
    fn namespace(self) -> usize {
        usize::from(u16::try_from(self.0 >> 48).unwrap_or(u16::MAX))
    }

    #[inline]
    fn len(self) -> usize {
        usize::from(u16::try_from(self.0 & 0xffff).unwrap_or(u16::MAX))
    }
}

impl KeyRef<'_> {
    pub(crate) fn to_key(self) -> Key {
        let bytes = match self.short {
            Some(short) => Kept::Short(*short),
            None => Kept::Long(self.bytes.into()),
        };
        Key { scope: self.scope, head: self.head, bytes }
    }
}

impl Key {
    #[inline]
    pub(crate) fn borrow(&self) -> KeyRef<'_> {
        let (bytes, short) = match &self.bytes {
            Kept::Short(bytes) => (bytes.get(..self.head.len()).unwrap_or(bytes), Some(bytes)),
            Kept::Long(bytes) => (&**bytes, None),
        };
        KeyRef { scope: self.scope, head: self.head, bytes, short }
    }

    pub(crate) fn namespace(&self) -> usize {
        self.head.namespace()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.borrow().bytes
    }
}

impl Hash for KeyRef<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.scope.0);
        state.write_u64(self.head.0);
        match self.short {
            Some(short) => {
                let (words, _) = short.as_chunks();
                words.iter().for_each(|word| state.write_u64(u64::from_ne_bytes(*word)));
            }
            None => state.write(self.bytes),
        }
    }
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrow().hash(state);
    }
}

impl quick_cache::Equivalent<Key> for KeyRef<'_> {
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        self.head == key.head
            && self.scope == key.scope
            && match (self.short, &key.bytes) {
                (Some(one), Kept::Short(other)) => one == other,
                (None, Kept::Long(other)) => *self.bytes == **other,
                (Some(_), Kept::Long(_)) | (None, Kept::Short(_)) => false,
            }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        quick_cache::Equivalent::equivalent(&self.borrow(), other)
    }
}

impl Eq for Key {}

/// The name of a key or of a tag outside the process: the same in every process that has the secret, and
/// telling nothing to one that has not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Id(pub(crate) [u8; 16]);

impl std::fmt::Debug for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Makes [`Id`]s, and signs and encrypts what is stored outside.
#[derive(Clone)]
pub(crate) struct Secret {
    /// Names are made on every look-up, six and more: by `SipHash`, which takes a tenth of the time of an HMAC and is as
    /// little to be guessed without its key.
    naming: [u8; 16],
    mac: hmac::Key,
    cipher: LessSafeKey,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Secret {
    pub(crate) fn new(secret: &[u8]) -> Self {
        let mac = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = hmac::sign(&mac, b"encrypt");
        let cipher = UnboundKey::new(&AES_256_GCM, derived.as_ref());
        let naming = short(hmac::sign(&mac, b"name").as_ref());
        let cipher = LessSafeKey::new(cipher.expect("an HMAC-SHA256 is a key's 32 bytes"));
        Self { naming, mac, cipher }
    }

    /// Encrypts `bytes` for a slot: a random nonce, and behind it the bytes and their tag.
    pub(crate) fn encrypt(&self, slot: Id, bytes: &[u8]) -> Option<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = crate::random::fill();
        let mut sealed = Vec::with_capacity(NONCE_LEN + bytes.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(bytes);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let body = &mut sealed[NONCE_LEN..];
        let tag = self.cipher.seal_in_place_separate_tag(nonce, Aad::from(slot.0), body).ok()?;
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    /// What [`Secret::encrypt`] was given.
    pub(crate) fn decrypt(&self, slot: Id, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let len = self.cipher.open_in_place(nonce, Aad::from(slot.0), &mut body).ok()?.len();
        body.truncate(len);
        Some(body)
    }

    /// All entries of a namespace.
    pub(crate) fn namespace(&self, name: &str) -> Id {
        self.id(b"namespace", &[name.as_bytes()])
    }

    /// All entries of a scope in a namespace.
    pub(crate) fn scope(&self, namespace: Id, scope: Scope) -> Id {
        self.id(b"scope", &[&namespace.0, &scope.0.to_be_bytes()])
    }

    /// The entries that carry a tag, within a scope.
    pub(crate) fn tag(&self, scope: Id, tag: &str) -> Id {
        self.id(b"tag", &[&scope.0, tag.as_bytes()])
    }

    /// One entry.
    pub(crate) fn key(&self, scope: Id, key: &[u8]) -> Id {
        self.id(b"key", &[&scope.0, key])
    }

    /// Where one entry is stored, by the shape of its value: releases with different shapes do not
    /// meet.
    pub(crate) fn slot(&self, key: Id, schema: u32) -> Id {
        self.id(b"slot", &[&key.0, &schema.to_be_bytes()])
    }

    /// Signs bytes for the slot they are stored in.
    pub(crate) fn sign(&self, slot: Id, parts: &[&[u8]]) -> Id {
        let mut context = hmac::Context::with_key(&self.mac);
        context.update(b"value");
        context.update(&slot.0);
        parts.iter().for_each(|part| context.update(part));
        Id(short(context.sign().as_ref()))
    }

    fn id(&self, kind: &[u8], parts: &[&[u8]]) -> Id {
        let mut hasher = SipHasher24::new_with_key(&self.naming);
        for part in std::iter::once(&kind).chain(parts) {
            hasher.write(&(part.len() as u64).to_be_bytes());
            hasher.write(part);
        }
        Id(hasher.finish128().as_bytes())
    }
}

/// The first half of a digest.
fn short(digest: &[u8]) -> [u8; 16] {
    digest.first_chunk().copied().expect("a SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;
    use proptest::prelude::*;

    struct Texts<'a>(&'a [String]);

    impl CacheKey for Texts<'_> {
        fn scope(&self) -> Scope {
            Scope::SHARED
        }

        fn write(&self, bytes: &mut KeyBytes) {
            self.0.iter().for_each(|text| {
                bytes.str(text);
            });
        }
    }

    proptest! {
        #[test]
        fn different_texts_are_different_keys(
            a in prop::collection::vec("[a:*\n]{0,90}", 0..4),
            b in prop::collection::vec("[a:*\n]{0,90}", 0..4),
        ) {
            let (one, other) = (KeyBytes::of(&Texts(&a)), KeyBytes::of(&Texts(&b)));
            prop_assert_eq!(a == b, one.as_slice() == other.as_slice());
            let one = one.in_namespace(1, Scope::SHARED);
            let other = other.in_namespace(1, Scope::SHARED);
            let kept = other.to_key();
            prop_assert_eq!(a == b, quick_cache::Equivalent::equivalent(&one, &kept));
            prop_assert_eq!(kept.bytes(), other.bytes);
            let hash = |key: &dyn Fn(&mut DefaultHasher)| {
                let mut hasher = DefaultHasher::new();
                key(&mut hasher);
                hasher.finish()
            };
            prop_assert_eq!(hash(&|hasher| other.hash(hasher)), hash(&|hasher| kept.hash(hasher)));
        }
    }

    fn kept(namespace: u16, scope: u128, text: &str) -> Key {
        KeyBytes::of(text).in_namespace(namespace, Scope::new(scope)).to_key()
    }

    #[test]
    fn a_key_is_kept_as_it_was_written_whatever_room_that_takes() {
        for length in [0, 1, 24, 25, 112, 113, 504] {
            let text = "x".repeat(length);
            let written = [&(length as u64).to_be_bytes()[..], text.as_bytes()].concat();
            let key = kept(7, 9, &text);
            assert_eq!((key.bytes(), key.namespace(), key.scope), (&written[..], 7, Scope::new(9)));
        }
        assert_eq!(kept(7, 9, &"x".repeat(505)).bytes().len(), 40);
    }

    #[test]
    fn what_is_written_behind_a_long_text_belongs_to_the_key() {
        let texts = |last: &str| {
            let texts = ["x".repeat(60), "x".repeat(90), last.to_owned()];
            KeyBytes::of(&Texts(&texts)).as_slice().to_vec()
        };
        assert_eq!(texts("a").len(), 60 + 90 + 1 + 3 * 8);
        assert_ne!(texts("a"), texts("b"));
    }

    #[test]
    fn numbers_are_written_in_full_and_a_reference_is_what_it_refers_to() {
        struct Numbers;
        impl CacheKey for Numbers {
            fn scope(&self) -> Scope {
                Scope::new(5)
            }

            fn write(&self, bytes: &mut KeyBytes) {
                bytes.u64(1).u128(2);
            }

            fn tags(&self) -> impl Iterator<Item = &str> {
                ["one", "two"].into_iter()
            }
        }
        let written = [&1_u64.to_be_bytes()[..], &2_u128.to_be_bytes()].concat();
        assert_eq!(KeyBytes::of(&Numbers).as_slice(), written);
        assert_eq!(KeyBytes::of(&&Numbers).as_slice(), written);
        assert_eq!(<&Numbers as CacheKey>::scope(&&Numbers), Scope::new(5));
        assert!(<&Numbers as CacheKey>::tags(&&Numbers).eq(["one", "two"]));
        assert_eq!(KeyBytes::of(&7_u64).as_slice(), 7_u64.to_be_bytes());
        assert_eq!((7_u64.scope(), 7_u64.tags().count()), (Scope::SHARED, 0));
        assert_eq!(("x".scope(), Scope::new(0)), (Scope::SHARED, Scope::SHARED));
    }

    #[test]
    fn a_key_is_one_of_its_namespace_and_scope_alone() {
        let hash = |key: &Key| {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            hasher.finish()
        };
        for text in ["a".to_owned(), "a".repeat(100)] {
            let (key, longer) = (kept(1, 1, &text), format!("{text}a"));
            assert!(key == kept(1, 1, &text));
            for other in [kept(2, 1, &text), kept(1, 2, &text), kept(1, 1, &longer)] {
                assert!(key != other, "{other:?}");
                assert_ne!(hash(&key), hash(&other), "{other:?}");
            }
        }
    }

    #[test]
    fn what_is_encrypted_opens_in_its_slot_and_is_another_text_each_time() {
        let (secret, other) = (Secret::new(b"one"), Secret::new(b"other"));
        let slot = |n| Id([n; 16]);
        let [first, second] = [1, 1].map(|n| secret.encrypt(slot(n), b"a value").expect("small"));
        assert_ne!(first, second);
        assert_eq!(first.len(), 7 + NONCE_LEN + 16);
        assert_eq!(secret.decrypt(slot(1), &first), Some(b"a value".to_vec()));
        assert_eq!(secret.decrypt(slot(1), &second), Some(b"a value".to_vec()));
        assert_eq!(secret.decrypt(slot(2), &first), None);
        assert_eq!(other.decrypt(slot(1), &first), None);
        assert_eq!(secret.decrypt(slot(1), &first[..NONCE_LEN - 1]), None);
    }

    #[test]
    fn a_signature_covers_the_slot_and_all_parts() {
        let (secret, slot) = (Secret::new(b"one"), |n| Id([n; 16]));
        let signature = secret.sign(slot(1), &[b"a", b"b"]);
        assert_eq!(secret.sign(slot(1), &[b"ab"]), signature);
        for other in [
            secret.sign(slot(2), &[b"a", b"b"]),
            secret.sign(slot(1), &[b"a"]),
            secret.sign(slot(1), &[b"a", b"c"]),
            Secret::new(b"other").sign(slot(1), &[b"a", b"b"]),
        ] {
            assert_ne!(other, signature);
        }
    }

    #[test]
    fn an_id_is_shown_in_hexadecimal_and_a_secret_not_at_all() {
        let id = Id([0, 1, 0xab, 0xff, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(format!("{id:?}"), "0001abff0405060708090a0b0c0d0e0f");
        assert_eq!(format!("{:?}", Secret::new(b"sesame")), "Secret(redacted)");
    }

    #[test]
    fn a_key_of_a_megabyte_is_kept_in_forty_bytes() {
        let (long, longer) = ("x".repeat(1 << 20), "x".repeat((1 << 20) + 1));
        let (long, longer) = (KeyBytes::of(long.as_str()), KeyBytes::of(longer.as_str()));
        assert_eq!(long.as_slice().len(), 40);
        assert_ne!(long.as_slice(), longer.as_slice());
    }

    #[test]
    fn names_outside_the_process_depend_on_the_secret() {
        let (one, other) = (Secret::new(b"one"), Secret::new(b"other"));
        let namespace = one.namespace("orders");
        assert_ne!(namespace, other.namespace("orders"));
        assert_ne!(one.scope(namespace, Scope::new(1)), one.scope(namespace, Scope::new(2)));
        assert_ne!(one.tag(namespace, "a"), one.key(namespace, b"a"));
        assert_ne!(one.tag(namespace, "a"), one.tag(namespace, "b"));
        assert_ne!(one.key(namespace, b"a"), one.key(namespace, b"b"));
        assert_ne!(one.slot(namespace, 1), one.slot(namespace, 2));
        assert_eq!(one.slot(namespace, 1), Secret::new(b"one").slot(namespace, 1));
    }
}
