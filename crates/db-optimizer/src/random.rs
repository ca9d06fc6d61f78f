use ring::rand::{SecureRandom as _, SystemRandom};

/// Random bytes from the operating system: for ids, nonces, salts and keys.
///
/// # Panics
/// Where the operating system has no randomness to give; nothing can be kept secret then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}
