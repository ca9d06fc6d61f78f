//! Texts of statements without what was typed into them.
//!
//! `pg_stat_statements` replaces values, but not all: those of utility statements such as `CREATE ROLE … PASSWORD '…'`
//! it keeps, and those of any statement whose entry was thrown away while it ran.

/// The statements whose texts are shown; of all others the first word is.
const SHOWN: [&str; 7] = ["select", "insert", "update", "delete", "merge", "with", "values"];
/// So much of a text is shown.
const SHOWN_BYTES: usize = 1_000;

/// The text in one line, without comments, with `?` for each string and number.
pub(crate) fn masked(text: &str) -> String {
    let mut line = without_values(text);
    line.truncate(line.trim_end().len());
    let first = line.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let is_shown = SHOWN.iter().any(|known| first.eq_ignore_ascii_case(known));
    // Where a backslash escapes a quote depends on a setting of the session that wrote it.
    if !is_shown || text.contains('\\') {
        return format!("{} …", first.to_ascii_uppercase());
    }
    line.truncate(line.floor_char_boundary(SHOWN_BYTES));
    line
}

/// The text of any statement or message, with `?` for each string and number.
pub(crate) fn without_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let last = out.chars().next_back();
        let is_in_word = last.is_some_and(is_of_word);
        rest = if let Some(comment) = rest.strip_prefix("--") {
            space(&mut out);
            after(comment, "\n")
        } else if let Some(comment) = rest.strip_prefix("/*") {
            space(&mut out);
            after_comment(comment)
        } else if next == '\'' {
            // A letter before it says how it is to be read: E'…', U&'…'. The next quote of '' begins a string again.
            out.push('?');
            after(&rest[1..], "'")
        } else if next == '"' {
            let (name, rest) = split_after(&rest[1..], "\"");
            out.push('"');
            out.push_str(name);
            rest
        } else if let Some(tag) = dollar_tag(rest).filter(|_| !is_in_word) {
            out.push('?');
            after(&rest[tag.len()..], tag)
        } else if next.is_ascii_digit() && !is_in_word && last != Some('$') {
            out.push('?');
            rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_')
        } else if next.is_whitespace() {
            space(&mut out);
            rest.trim_start()
        } else {
            out.push(next);
            &rest[next.len_utf8()..]
        };
    }
    out
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn space(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

/// What follows `end`; nothing where there is none.
fn after<'a>(text: &'a str, end: &str) -> &'a str {
    split_after(text, end).1
}

fn split_after<'a>(text: &'a str, end: &str) -> (&'a str, &'a str) {
    match text.find(end) {
        Some(at) => text.split_at(at + end.len()),
        None => (text, ""),
    }
}

/// Comments of this kind nest.
fn after_comment(text: &str) -> &str {
    let (mut depth, mut rest) = (1, text);
    while depth > 0 {
        let Some(at) = rest.find("/*").into_iter().chain(rest.find("*/")).min() else { return "" };
        if rest[at..].starts_with("/*") {
            depth += 1;
        } else {
            depth -= 1;
        }
        rest = &rest[at + 2..];
    }
    rest
}

/// `$tag$` at the beginning.
fn dollar_tag(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('$')?;
    let end = inside.find('$')?;
    let is_tag =
        inside[..end].chars().all(is_of_word) && !inside.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| &text[..end + 2])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_normalized_text_stays_and_values_go() {
        for (text, expected) in [
            ("SELECT a\n  FROM t1 WHERE b = $1", "SELECT a FROM t1 WHERE b = $1"),
            ("select 'x', 12, 1.5e3, t2.c3, \"Col 4\"", "select ?, ?, ?, t2.c3, \"Col 4\""),
            ("SELECT 'it''s me', 7", "SELECT ??, ?"),
            ("SELECT $$sesame$$, $tag$sesame$tag$ FROM t", "SELECT ?, ? FROM t"),
            ("SELECT /* sesame /* sesame */ */ 1 -- sesame\n FROM t", "SELECT ? FROM t"),
            ("WITH a AS (SELECT 0x1F) SELECT * FROM a", "WITH a AS (SELECT ?) SELECT * FROM a"),
            ("SELECT 'never closed sesame", "SELECT ?"),
            ("", " …"),
        ] {
            assert_eq!(masked(text), expected, "{text}");
        }
    }

    #[test]
    fn of_a_statement_that_is_no_query_only_the_first_word_is_shown() {
        for (text, expected) in [
            ("CREATE ROLE r PASSWORD 'sesame'", "CREATE …"),
            ("  alter user sesame password 'x'", "ALTER …"),
            ("SET jebi.seller_id = 'sesame'", "SET …"),
            ("COPY (SELECT sesame) TO STDOUT", "COPY …"),
            (r"SELECT 'a\' sesame '", "SELECT …"),
        ] {
            assert_eq!(masked(text), expected, "{text}");
        }
    }

    /// Pieces of statements, each closed.
    const PIECES: [&str; 12] =
        ["a", " ", "1", "$1", "(", ", ", "''", "'x'", "\"Col ' 4\"", "$$ ' $$", "/* ' */", "E'x'"];

    proptest! {
        /// Whatever stands around a string and in it, and however it is quoted.
        #[test]
        fn no_string_is_ever_shown(
            before in proptest::collection::vec(proptest::sample::select(&PIECES), 0..8),
            inside in "[^'$\\\\*/]{0,12}",
            kind in 0..4,
        ) {
            let (before, secret) = (before.join(" "), format!("{inside}sesame{inside}"));
            let quoted = match kind {
                0 => format!("'{secret}'"),
                1 => format!("$$ {secret} $$"),
                2 => format!("$a1${secret}$a1$"),
                _ => format!("/* {secret} */"),
            };
            let shown = masked(&format!("SELECT {before} {quoted} FROM t"));
            prop_assert!(!shown.contains("sesame"), "{}", shown);
        }
    }
}
