//! Whether all machines have the same time.

use chrono::{DateTime, TimeDelta, Utc};

use super::check::Check;

/// The time of another machine, asked for at `before` and there at `after`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) whose: &'static str,
    pub(super) before: DateTime<Utc>,
    pub(super) time: DateTime<Utc>,
    pub(super) after: DateTime<Utc>,
}

impl Clock {
    /// How far it is off at least, however long question and answer were under way.
    fn off(&self) -> TimeDelta {
        let late = self.before - self.time;
        let early = self.time - self.after;
        late.max(early).max(TimeDelta::zero())
    }
}

/// Cached answers are no matter of clocks; the times in answers, logs and rows are.
const GOOD: TimeDelta = TimeDelta::seconds(1);
const BAD: TimeDelta = TimeDelta::seconds(30);

pub(super) fn check(clocks: &[Clock]) -> Check {
    const NAME: &str = "clocks";
    let next = "let the machines take their time from NTP (chrony, systemd-timesyncd)";
    let Some(worst) = clocks.iter().max_by_key(|clock| clock.off()) else {
        return Check::unknown(NAME, "nobody could be asked for the time", "see the checks above");
    };
    let (off, whose) = (worst.off(), worst.whose);
    if off <= GOOD {
        let names: Vec<&str> = clocks.iter().map(|clock| clock.whose).collect();
        return Check::ok(NAME, format!("{} and this machine agree", names.join(", ")));
    }
    let found = format!("{whose} is {} s off from this machine", off.num_seconds());
    if off > BAD { Check::bad(NAME, found, next) } else { Check::warn(NAME, found, next) }
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    fn clock(ms: i64) -> Clock {
        let before = Utc::now();
        let after = before + TimeDelta::milliseconds(400);
        Clock { whose: "Redis", before, time: before + TimeDelta::milliseconds(ms), after }
    }

    #[test]
    fn a_clock_is_off_by_what_no_delay_explains() {
        let verdict = |ms| check(&[clock(0), clock(ms)]).verdict;
        for (ms, expected) in [
            (0, Verdict::Ok),
            (400, Verdict::Ok),
            (-1_000, Verdict::Ok),
            (1_400, Verdict::Ok),
            (1_401, Verdict::Warn),
            (-1_001, Verdict::Warn),
            (30_401, Verdict::Bad),
            (-30_001, Verdict::Bad),
        ] {
            assert_eq!(verdict(ms), expected, "{ms} ms");
        }
        assert_eq!(check(&[]).verdict, Verdict::Unknown);
        assert!(check(&[clock(5_000)]).found.contains("4 s"));
    }
}
