//! What a body is, by its first and its last character: headers lie.

use crate::http::error::Kind;
use crate::http::request::Format;

/// Characters that tell HTML from XML.
const HEAD: usize = 16;

#[derive(Debug)]
pub(super) struct Sniffer {
    expects: Format,
    /// The first characters after blanks, in lower case.
    head: String,
    last: Option<char>,
}

impl Sniffer {
    pub(super) fn new(expects: Format) -> Self {
        Self { expects, head: String::new(), last: None }
    }

    /// Looks at the next piece.
    pub(super) fn look(&mut self, piece: &str) -> Result<(), Kind> {
        let is_blank = |one: char| one.is_ascii_whitespace() || one == '\u{feff}';
        let missing = HEAD - self.head.len().min(HEAD);
        if missing > 0 {
            let begun =
                if self.head.is_empty() { piece.trim_start_matches(is_blank) } else { piece };
            self.head.extend(begun.chars().take(missing).map(|one| one.to_ascii_lowercase()));
        }
        if let Some(last) = piece.trim_end_matches(is_blank).chars().next_back() {
            self.last = Some(last);
        }
        let Some(first) = self.head.chars().next() else { return Ok(()) };
        let is_expected = match self.expects {
            Format::Any => true,
            Format::Json => {
                matches!(first, '{' | '[' | '"' | '-' | '0'..='9' | 't' | 'f' | 'n')
            }
            Format::Xml => first == '<' && !self.is_html(),
        };
        match is_expected {
            true => Ok(()),
            // The first characters may still be on their way.
            false if first == '<' && self.head.len() < HEAD && !self.is_html() => Ok(()),
            false if self.is_html() => Err(Kind::Html),
            false => Err(Kind::WrongFormat),
        }
    }

    /// Judges the whole: a length that lies cuts the end off.
    pub(super) fn end(&self) -> Result<(), Kind> {
        let first = self.head.chars().next();
        let closes = match (self.expects, first) {
            (Format::Any, _) => return Ok(()),
            (Format::Json | Format::Xml, None) => return Err(Kind::Empty),
            (Format::Json, Some('<')) => return Err(Kind::WrongFormat),
            (Format::Json, Some('{')) => '}',
            (Format::Json, Some('[')) => ']',
            (Format::Json, Some('"')) => '"',
            (Format::Json, Some(_)) => return Ok(()),
            (Format::Xml, Some(_)) => '>',
        };
        if self.last == Some(closes) { Ok(()) } else { Err(Kind::BodyCut) }
    }

    fn is_html(&self) -> bool {
        ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| self.head.starts_with(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Kind, Sniffer};

    fn judge(expects: Format, body: &str) -> Result<(), Kind> {
        let judge = |pieces: &[&str]| {
            let mut sniffer = Sniffer::new(expects);
            pieces.iter().try_for_each(|piece| sniffer.look(piece)).and_then(|()| sniffer.end())
        };
        let whole = judge(&[body]);
        let letters = body.char_indices().map(|(at, one)| &body[at..at + one.len_utf8()]);
        assert_eq!(judge(&letters.collect::<Vec<_>>()), whole, "{body:?} letter by letter");
        whole
    }

    #[test]
    fn what_may_still_become_html_is_waited_for_and_no_longer() {
        let look = |piece| Sniffer::new(Format::Json).look(piece);
        assert_eq!(look("<error>12345678"), Ok(()));
        assert_eq!(look("<error>123456789"), Err(Kind::WrongFormat));
        assert_eq!(look("<!doctype htm"), Ok(()));
        assert_eq!(look("<!doctype html"), Err(Kind::Html));
        assert_eq!(look("x"), Err(Kind::WrongFormat));
        let mut sniffer = Sniffer::new(Format::Any);
        (0..9).for_each(|_| assert_eq!(sniffer.look("abcdefg"), Ok(())));
        assert_eq!(sniffer.head, "abcdefgabcdefgab");
    }

    #[test]
    fn a_body_is_what_it_looks_like() {
        let table = [
            (Format::Json, " {\"a\": 1}\n", Ok(())),
            (Format::Json, "[]", Ok(())),
            (Format::Json, "\u{feff} {} \u{feff}", Ok(())),
            (Format::Json, "\"token", Err(Kind::BodyCut)),
            (Format::Json, "[1, 2", Err(Kind::BodyCut)),
            (Format::Xml, " \n", Err(Kind::Empty)),
            (Format::Json, "null", Ok(())),
            (Format::Json, "\"token\"", Ok(())),
            (Format::Json, "{\"a\": [", Err(Kind::BodyCut)),
            (Format::Json, "\r\n<!DOCTYPE HTML><p>", Err(Kind::Html)),
            (Format::Json, "<html>", Err(Kind::Html)),
            (Format::Json, "<error>1</error> and more", Err(Kind::WrongFormat)),
            (Format::Json, "<a/>", Err(Kind::WrongFormat)),
            (Format::Json, "점검 중", Err(Kind::WrongFormat)),
            (Format::Json, " \n", Err(Kind::Empty)),
            (Format::Xml, "<?xml version=\"1.0\"?><a/> ", Ok(())),
            (Format::Xml, "<a><b>", Ok(())),
            (Format::Xml, "<a><b", Err(Kind::BodyCut)),
            (Format::Xml, "<html lang=\"ko\">", Err(Kind::Html)),
            (Format::Xml, "{}", Err(Kind::WrongFormat)),
            (Format::Xml, "", Err(Kind::Empty)),
            (Format::Any, "", Ok(())),
            (Format::Any, "eyJ", Ok(())),
        ];
        for (expects, body, expected) in table {
            assert_eq!(judge(expects, body), expected, "{body:?}");
        }
    }
}
