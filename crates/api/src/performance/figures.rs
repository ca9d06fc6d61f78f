//! Figures for people to read.

#[expect(clippy::cast_precision_loss, reason = "53 bits are enough")]
pub(super) fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

#[expect(clippy::cast_precision_loss, reason = "53 bits are enough")]
pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
