//! When items change: each once in every round, at a place of its own.
//!
//! The place of item `k` in a round is `k` with its 32 bits in reverse, changed by XOR with a number of the
//! round, as a fraction of the round's length. So the place follows from the item by arithmetic, and
//! the item from the place; the items below any power of two are spread evenly; and more items
//! move no other's place.

use crate::random::mix;
use crate::time::{DAY_MS, Time};

/// Whether a catalogue changes, and since when. Switched off it stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Drift {
    /// It has never changed.
    #[default]
    Never,
    /// It changes, and began at this moment.
    Since(Time),
    /// It has changed for so many milliseconds since the moment, and is still now.
    Stopped(Time, u64),
}

impl Drift {
    /// Begins, or goes on. What had changed before a pause then seems to have changed later by the
    /// length of the pause.
    #[must_use]
    pub(crate) fn on(self, now: Time) -> Self {
        match self {
            Self::Never => Self::Since(now),
            Self::Since(_) => self,
            Self::Stopped(_, elapsed) => {
                Self::Since(now - std::time::Duration::from_millis(elapsed))
            }
        }
    }

    #[must_use]
    pub(crate) fn off(self, now: Time) -> Self {
        match self {
            Self::Since(began) => Self::Stopped(began, self.elapsed(now)),
            Self::Never | Self::Stopped(..) => self,
        }
    }

    /// Milliseconds for which it has changed.
    pub(crate) fn elapsed(self, at: Time) -> u64 {
        let since = |began: Time| u64::try_from(at.since(began).as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::Never => 0,
            Self::Since(began) => since(began),
            Self::Stopped(began, elapsed) => since(began).min(elapsed),
        }
    }

    /// The moment at which it has changed for so many milliseconds.
    pub(super) fn moment(self, elapsed: u64) -> Time {
        match self {
            Self::Never => Time::from_unix_ms(0),
            Self::Since(began) | Self::Stopped(began, _) => {
                began + std::time::Duration::from_millis(elapsed)
            }
        }
    }
}

/// A kind of change and how often it comes: once for every item in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rhythm {
    /// Shared by rhythms that follow one another.
    salt: u64,
    round_ms: u64,
    /// Behind the rhythm of the same salt.
    lag_ms: u64,
}

const fn rhythm(salt: u64, round_days_tenths: i64, lag_days: i64) -> Rhythm {
    let round_ms = (round_days_tenths * DAY_MS / 10).unsigned_abs();
    Rhythm { salt, round_ms, lag_ms: (lag_days * DAY_MS).unsigned_abs() }
}

/// 90,000 a day of a million items.
pub(super) const PRICE: Rhythm = rhythm(1, 111, 0);
/// 60,000 a day of a million items.
pub(super) const STOCK: Rhythm = rhythm(2, 167, 0);
/// 5,000 a day of a million items go.
pub(super) const DOWN: Rhythm = rhythm(3, 2_000, 0);
/// … and come back after a day.
pub(super) const UP: Rhythm = rhythm(3, 2_000, 1);

/// The place of a change in its rhythm: the round above, the place in it below.
pub(super) type Ordinal = u64;

impl Rhythm {
    /// How often it has come for an item.
    pub(super) fn count(self, number: u64, elapsed: u64) -> u64 {
        let Some(elapsed) = elapsed.checked_sub(self.lag_ms) else { return 0 };
        let round = elapsed / self.round_ms;
        let place = u64::from(low(number).reverse_bits() ^ self.shuffle(round));
        round + u64::from(self.reached((round << 32) | place) <= elapsed)
    }

    /// When an item's change of a turn came, turns counted from 1.
    pub(super) fn moment(self, number: u64, turn: u64) -> u64 {
        let round = turn.saturating_sub(1);
        let place = u64::from(low(number).reverse_bits() ^ self.shuffle(round));
        self.reached((round << 32) | place) + self.lag_ms
    }

    /// All changes from a moment on: when, where in the rhythm, which item, for which time.
    pub(super) fn from(
        self,
        elapsed: u64,
        size: u64,
    ) -> impl Iterator<Item = (u64, Ordinal, u64, u64)> {
        let bits = bits(size);
        // One of the steps that have passed may have its moment now.
        (self.passed(elapsed, size).saturating_sub(1)..).filter_map(move |step| {
            let (round, place) = (step >> bits, step & ((1 << bits) - 1));
            let number = reverse(place ^ (u64::from(self.shuffle(round)) >> (32 - bits)), bits);
            let ordinal = self.ordinal(step, bits);
            let at = self.reached(ordinal) + self.lag_ms;
            (number < size && at >= elapsed).then_some((at, ordinal, number, round + 1))
        })
    }

    /// Steps of the rhythm that have passed, those of numbers beyond the size included.
    pub(super) fn passed(self, elapsed: u64, size: u64) -> u64 {
        let Some(elapsed) = elapsed.checked_sub(self.lag_ms) else { return 0 };
        let bits = bits(size);
        let steps = (u128::from(elapsed) << bits) / u128::from(self.round_ms);
        let step = u64::try_from(steps).unwrap_or(u64::MAX);
        step + u64::from(self.reached(self.ordinal(step, bits)) <= elapsed)
    }

    fn ordinal(self, step: u64, bits: u32) -> Ordinal {
        let (round, place) = (step >> bits, step & ((1 << bits) - 1));
        let below = u64::from(self.shuffle(round)) & ((1 << (32 - bits)) - 1);
        (round << 32) | (place << (32 - bits)) | below
    }

    /// Never 0: nothing has changed at the beginning.
    fn reached(self, ordinal: Ordinal) -> u64 {
        let at = (u128::from(ordinal) * u128::from(self.round_ms)) >> 32;
        u64::try_from(at).unwrap_or(u64::MAX - 1) + 1
    }

    fn shuffle(self, round: u64) -> u32 {
        low(mix(self.salt, &[round]))
    }
}

fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).expect("the upper half is masked")
}

/// Bits of the numbers below a size.
fn bits(size: u64) -> u32 {
    size.max(1).next_power_of_two().trailing_zeros().min(32)
}

fn reverse(place: u64, bits: u32) -> u64 {
    u64::from(low(place).reverse_bits()) >> (32 - bits)
}
