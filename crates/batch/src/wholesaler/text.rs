//! Texts as wholesalers write them: kept inert, bounded, and refused where they came broken.

use jebi_domain::{BadText, Text};

use crate::wholesaler::product::{Reason, WholesaleProduct};

/// A short text; `None` where nothing is written.
pub(super) fn short<const MAX: usize>(
    text: &str,
    what: &'static str,
) -> Result<Option<Text<MAX>>, Reason> {
    legible(text, what)?;
    match Text::new(text) {
        Ok(text) => Ok(Some(text)),
        Err(BadText::Empty) => Ok(None),
        Err(BadText::TooLong(_)) => Err(Reason::TooLarge(what)),
        Err(BadText::Control) => Err(Reason::Malformed(what)),
    }
}

/// A description; `None` where nothing is written.
pub(super) fn description(text: String) -> Result<Option<String>, Reason> {
    const WHAT: &str = "description";
    if text.len() > WholesaleProduct::MAX_DESCRIPTION_BYTES {
        return Err(Reason::TooLarge(WHAT));
    }
    legible(&text, WHAT)?;
    let trimmed = text.trim();
    Ok(match trimmed.len() {
        0 => None,
        length if length == text.len() => Some(text),
        _ => Some(trimmed.to_owned()),
    })
}

/// Whether it is the address of an image.
pub(super) fn is_image(text: &str) -> bool {
    let is_address = text.starts_with("https://") || text.starts_with("http://");
    let is_plain = |character: char| !character.is_control() && !character.is_whitespace();
    is_address && text.len() <= 2_000 && text.chars().all(is_plain)
}

/// PostgreSQL stores no NUL; U+FFFD stands where bytes were unreadable, and nobody knows for what.
pub(super) fn legible(text: &str, what: &'static str) -> Result<(), Reason> {
    if text.contains(['\0', char::REPLACEMENT_CHARACTER]) {
        return Err(Reason::Malformed(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_broken_is_refused() {
        assert_eq!(short::<9>(" 뷁\n", "name").unwrap().unwrap().as_str(), "뷁");
        assert_eq!(short::<9>(" ", "name"), Ok(None));
        assert_eq!(short::<9>("a\0", "name"), Err(Reason::Malformed("name")));
        assert_eq!(short::<9>("a\u{fffd}", "name"), Err(Reason::Malformed("name")));
        assert_eq!(short::<2>("가나다", "name"), Err(Reason::TooLarge("name")));
        assert_eq!(description(" <p>x</p> ".to_owned()).unwrap().unwrap(), "<p>x</p>");
        assert_eq!(description("<p>x</p>".to_owned()).unwrap().unwrap(), "<p>x</p>");
        assert_eq!(description(" \n".to_owned()), Ok(None));
        assert_eq!(description("a\0".to_owned()), Err(Reason::Malformed("description")));
        let long = "x".repeat(WholesaleProduct::MAX_DESCRIPTION_BYTES);
        assert_eq!(description(long.clone()), Ok(Some(long)));
        let long = "x".repeat(WholesaleProduct::MAX_DESCRIPTION_BYTES + 1);
        assert_eq!(description(long), Err(Reason::TooLarge("description")));
    }

    #[test]
    fn an_image_is_an_address_of_the_web() {
        assert!(is_image("http://img.example.com/a.jpg?x=1&y=가"));
        let long = format!("https://{}", "a".repeat(1_992));
        assert!(is_image(&long));
        for bad in [
            "",
            "a.jpg",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://a b",
            "https://a\u{7}",
            &format!("{long}a"),
        ] {
            assert!(!is_image(bad), "{bad:?}");
        }
    }
}
