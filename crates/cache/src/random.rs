//! Numbers that nobody needs to guess and nobody may meet twice.

use ring::rand::{SecureRandom as _, SystemRandom};

/// 64 random bits.
pub(crate) fn bits() -> [u8; 8] {
    fill()
}

/// As many random bytes.
pub(crate) fn fill<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the machine's source of randomness does not fail");
    bytes
}

/// A number from 0 to 1.
pub(crate) fn share() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 random bits are enough")]
    let share = (u64::from_be_bytes(bits()) >> 11) as f64 / (1_u64 << 53) as f64;
    share
}
