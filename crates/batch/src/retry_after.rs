//! `Retry-After`, in all the forms in which it comes.

use std::time::{Duration, SystemTime};

/// How long to wait by a `Retry-After`, which is seconds or a date; `None` for what is neither.
///
/// A date is compared with `date`, the answer's own `Date`, where that can be read: then it does not
/// matter that the two clocks differ. Otherwise with `today`. What has passed is 0. Nothing is
/// bounded here: ten years are ten years, and [`crate::Retry::decide`] does not wait for them.
#[must_use]
pub fn parse_retry_after(value: &str, date: Option<&str>, today: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more than anybody waits.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let from = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(today);
    Some(until.duration_since(from).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::parse_retry_after;

    #[test]
    fn every_form_is_read_and_rubbish_is_none() {
        // 1994-11-06 08:49:37.
        let today = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let ten_years = 10 * 365 * 86_400;
        let table = [
            ("60", Some(60)),
            (" 60 ", Some(60)),
            ("0", Some(0)),
            ("007", Some(7)),
            ("315360000", Some(ten_years)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sat, 06 Nov 2004 08:49:37 GMT", Some(ten_years + 3 * 86_400)),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("1e3", None),
            ("60s", None),
            ("soon", None),
            ("", None),
            ("잠시 후", None),
            ("Sun, 99 Nov 1994 08:50:37 GMT", None),
            ("Wed, 06 Nov 1994 08:50:37", None),
        ];
        for (value, seconds) in table {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(parse_retry_after(value, None, today), expected, "{value:?}");
        }
    }

    #[test]
    fn a_clock_of_ours_that_is_wrong_does_not_matter_where_the_answer_is_dated() {
        let until = "Sun, 06 Nov 1994 08:50:37 GMT";
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let wait = parse_retry_after(until, date, SystemTime::UNIX_EPOCH);
        assert_eq!(wait, Some(Duration::from_mins(1)));
    }
}
