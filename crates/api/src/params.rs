//! Query parameters, strictly: each is known, stands once, and is UTF-8 once its escapes are undone.

use std::borrow::Cow;

use jebi_domain::{At, CursorKey, PageNumber, PageSize, SellerId};

use crate::problem::{Fault, Faults, Problem};

/// The parameters of a request, taken one by one.
#[derive(Debug)]
pub(crate) struct Params<'a> {
    sent: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(crate) faults: Faults,
}

impl<'a> Params<'a> {
    pub(crate) fn of(query: &'a str) -> Self {
        let mut params = Self { sent: vec![], faults: Faults::default() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = unescaped(name) else {
                params.faults.add("query", Fault::unreadable("has a name that is not UTF-8"));
                continue;
            };
            match unescaped(value) {
                None => {
                    params.faults.add(name, Fault::unreadable("has escapes that are not UTF-8"))
                }
                Some(value) if value.contains('\0') => {
                    params
                        .faults
                        .add(name, Fault::unreadable("must not contain the NUL character"));
                }
                Some(_) if params.sent.iter().any(|(known, _)| *known == name) => {
                    params.faults.add(name, Fault::unreadable("stands more than once"));
                }
                Some(value) => params.sent.push((name, value)),
            }
        }
        params
    }

    /// The value of `name` as `read` understands it; `None` where it was not sent or is wrong.
    pub(crate) fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let at = self.sent.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.sent.swap_remove(at);
        self.faults.check(name, read(&value))
    }

    /// Whether `name` was sent and is still there to take.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.sent.iter().any(|(known, _)| known == name)
    }

    /// `page_size`, or what a list shows without.
    pub(crate) fn take_page_size(&mut self, default: PageSize) -> PageSize {
        let size = self.take("page_size", |text| {
            let size = PageSize::new(count(text)?);
            size.ok_or_else(|| Fault::unacceptable("must be between 1 and 100"))
        });
        size.unwrap_or(default)
    }

    /// `page` or `cursor`, for the list of `seller` with this filter; the first page without either.
    pub(crate) fn take_place(
        &mut self,
        cursors: &CursorKey,
        seller: SellerId,
        filter: &str,
        size: PageSize,
    ) -> At {
        if self.has("cursor") && self.has("page") {
            let fault = Fault::unacceptable("does not go with cursor; send one of them");
            self.faults.add("page", fault);
        }
        let page = self.take("page", |text| {
            let most = PageNumber::MAX_SKIP;
            PageNumber::new(count(text)?, size).ok_or_else(|| {
                Fault::unacceptable(format!("must be at least 1, and behind at most {most} rows"))
            })
        });
        let after = self
            .take("cursor", |text| cursors.read(seller, filter, text).map_err(Fault::unreadable));
        after.map_or_else(|| At::Page(page.unwrap_or(PageNumber::first())), At::After)
    }

    /// A parameter that is `true` or `false`; absent is `false`.
    pub(crate) fn take_flag(&mut self, name: &'static str) -> bool {
        self.take_flag_or(name, false)
    }

    /// The same where a flag that was not sent is `default`.
    pub(crate) fn take_flag_or(&mut self, name: &'static str, default: bool) -> bool {
        let flag = self.take(name, |text| {
            text.parse().map_err(|_| Fault::unreadable("is neither true nor false"))
        });
        flag.unwrap_or(default)
    }

    /// Refuses what was wrong, and by name what nobody asked for.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.sent) {
            self.faults.add(name, Fault::unacceptable("is not a parameter of this list"));
        }
        self.faults.finish()
    }
}

/// A count, as large as it may be written; what is beyond a `u64` is beyond every bound.
pub(crate) fn count(text: &str) -> Result<u64, Fault> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.strip_prefix('-') {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Err(Fault::unacceptable("must not be negative"))
            }
            _ => Err(Fault::unreadable("is not a whole number")),
        };
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// Undoes `+` and `%41`; `None` for a broken escape and for bytes that are not UTF-8.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                let digits = std::str::from_utf8(digits).ok()?;
                // `from_str_radix` alone would take "+f".
                digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_strictly() {
        assert_eq!(unescaped("a+b%20c%EC%9D%B4").as_deref(), Some("a b c이"));
        for bad in ["%", "%2", "%zz", "%+f", "%ff", "%ec%9d", "%c0%80"] {
            assert_eq!(unescaped(bad), None, "{bad}");
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused_by_name() {
        let mut params = Params::of("page=1&page=2&colour=red");
        assert_eq!(params.take("page", |value| Ok(value.to_owned())).as_deref(), Some("1"));
        let problem = params.finish().unwrap_err().to_string();
        assert_eq!(problem, "page stands more than once; colour is not a parameter of this list");
    }
}
