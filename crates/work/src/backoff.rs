use std::time::Duration;

/// How long an item waits that failed `failures` times before: anything up to twice as long as the time before, so that
/// what failed together does not come back together. `random` is below 1.
pub(crate) fn delay(first: Duration, most: Duration, failures: i32, random: f64) -> Duration {
    let doublings = u32::try_from(failures).unwrap_or(0).min(30);
    first.saturating_mul(1 << doublings).min(most).mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_delay_doubles_up_to_the_most() {
        let wait = |failures| delay(Duration::from_secs(2), Duration::from_mins(5), failures, 0.5);
        let waits = [-1, 0, 1, 5, 7, 8, 400].map(|failures| wait(failures).as_secs());
        assert_eq!(waits, [1, 1, 2, 32, 128, 150, 150]);
    }

    proptest! {
        #[test]
        fn a_delay_grows_and_stays_below_the_most(failures in 0_i32..1_000, random in 0.0..1.0) {
            let (first, most) = (Duration::from_secs(2), Duration::from_mins(5));
            let wait = delay(first, most, failures, random);
            prop_assert!(wait <= most);
            let doubled = 2.0 * 2_f64.powi(failures.min(20));
            prop_assert!(wait.as_secs_f64() <= doubled * random + 1e-6);
        }
    }
}
