//! SQL cut into the pieces that matter for finding its placeholders: what stands inside quotes and comments is no
//! placeholder, whatever it looks like.

/// A piece. Together they are the whole text again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A word, as it stands.
    Word(&'a str),
    /// `"…"`, with its quotes.
    Quoted(&'a str),
    /// `'…'`, `E'…'` or `$tag$…$tag$`.
    Text(&'a str),
    /// `$7`.
    Value(usize),
    /// An operator, whole, or one other character.
    Sign(&'a str),
    /// Blanks and comments.
    Blank(&'a str),
}

impl<'a> Token<'a> {
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self, Self::Blank(_))
    }

    /// As it stands; nothing for a placeholder.
    pub(crate) fn text(&self) -> &'a str {
        match self {
            Self::Word(text)
            | Self::Quoted(text)
            | Self::Text(text)
            | Self::Sign(text)
            | Self::Blank(text) => text,
            Self::Value(_) => "",
        }
    }

    /// The name of a column or a table, where it may be one. A quote inside a quoted name stays doubled.
    pub(crate) fn name(&self) -> Option<&'a str> {
        match self {
            Self::Word(text) => Some(text),
            Self::Quoted(text) => text.strip_prefix('"')?.strip_suffix('"'),
            Self::Text(_) | Self::Value(_) | Self::Sign(_) | Self::Blank(_) => None,
        }
    }
}

/// Cuts a text into pieces. What is not closed goes on to the end.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (token, length) = next(rest);
        found.push(token);
        rest = &rest[length..];
    }
    found
}

fn next(rest: &str) -> (Token<'_>, usize) {
    let bytes = rest.as_bytes();
    fn whole<'a>(
        rest: &'a str,
        length: usize,
        make: fn(&'a str) -> Token<'a>,
    ) -> (Token<'a>, usize) {
        (make(&rest[..length]), length)
    }
    match bytes[0] {
        b'\'' => whole(rest, quoted(rest, 0, b'\'', false), Token::Text),
        b'e' | b'E' if bytes.get(1) == Some(&b'\'') => {
            whole(rest, quoted(rest, 1, b'\'', true), Token::Text)
        }
        b'"' => whole(rest, quoted(rest, 0, b'"', false), Token::Quoted),
        b'-' if rest.starts_with("--") => {
            whole(rest, rest.find('\n').map_or(rest.len(), |end| end + 1), Token::Blank)
        }
        b'/' if rest.starts_with("/*") => whole(rest, comment(rest), Token::Blank),
        b'$' => dollar(rest),
        byte if byte.is_ascii_whitespace() => {
            let length = rest.bytes().take_while(u8::is_ascii_whitespace).count();
            whole(rest, length, Token::Blank)
        }
        byte if is_of_word(byte) => {
            let length = rest.bytes().take_while(|byte| is_of_word(*byte) || *byte == b'$').count();
            whole(rest, length, Token::Word)
        }
        byte if is_of_operator(byte) => {
            let length = rest.bytes().take_while(|byte| is_of_operator(*byte)).count();
            whole(rest, length, Token::Sign)
        }
        _ => whole(rest, 1, Token::Sign),
    }
}

/// Also every byte of a character that is not ASCII.
const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

const fn is_of_operator(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'=' | b'!' | b'~' | b'@' | b'&' | b'|' | b'#' | b'%' | b'^')
}

/// The end of what is quoted from `from` on; a doubled quote is one inside.
fn quoted(rest: &str, from: usize, quote: u8, with_backslash: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut at = from + 1;
    while at < bytes.len() {
        if with_backslash && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    rest.len()
}

/// Comments lie inside each other.
fn comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// `$7`, or `$tag$ … $tag$`.
fn dollar(rest: &str) -> (Token<'_>, usize) {
    let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
    if let Ok(number) = rest[1..=digits].parse::<usize>()
        && number > 0
    {
        return (Token::Value(number), digits + 1);
    }
    let tag = rest[1..].bytes().take_while(|byte| is_of_word(*byte)).count();
    if rest.as_bytes().get(1 + tag) == Some(&b'$') {
        let open = &rest[..tag + 2];
        let end = rest[open.len()..].find(open).map_or(rest.len(), |at| at + open.len() * 2);
        return (Token::Text(&rest[..end]), end);
    }
    (Token::Sign(&rest[..1]), 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str) -> Vec<usize> {
        tokens(text)
            .iter()
            .filter_map(|token| match token {
                Token::Value(number) => Some(*number),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn only_placeholders_are_placeholders() {
        for (text, expected) in [
            ("SELECT $1, '$2', \"$3\", $4", vec![1, 4]),
            ("SELECT 'it''s $1' , $2", vec![2]),
            ("SELECT E'it\\'s $1' , $2", vec![2]),
            ("SELECT $$ $1 $$ , $tag$ $2; $tag$, $3", vec![3]),
            ("SELECT 1 -- $1\n + $2", vec![2]),
            ("SELECT 1 /* $1 /* $2 */ $3 */ + $4", vec![4]),
            ("SELECT a$1, 상품$2 FROM t WHERE b=$3", vec![3]),
            ("SELECT '; $1", vec![]),
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text(text in "[a-z0-9 $'\"/*;\\\\\n상é=<>-]{0,40}") {
            let again: String = tokens(&text)
                .iter()
                .map(|token| match token {
                    Token::Value(number) => format!("${number}"),
                    other => other.text().to_owned(),
                })
                .collect();
            // A placeholder may be written with zeroes in front.
            prop_assert_eq!(again.replace('0', ""), text.replace('0', ""));
        }
    }
}
