//! JSON that is written as it is made, so that a page costs its bytes and no tree.

/// A JSON text under construction.
#[derive(Debug, Default)]
pub(crate) struct Json {
    text: Vec<u8>,
}

/// Stands in a text for half of a surrogate pair, which no Rust text can hold.
pub(crate) const LONE_SURROGATE: char = '\u{e000}';

impl Json {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.text
    }

    pub(crate) fn null(&mut self) {
        self.raw("null");
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    pub(crate) fn number(&mut self, value: i64) {
        self.raw(&value.to_string());
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.text.push(b'"');
        for character in value.chars() {
            match character {
                '"' => self.raw("\\\""),
                '\\' => self.raw("\\\\"),
                '\n' => self.raw("\\n"),
                '\r' => self.raw("\\r"),
                '\t' => self.raw("\\t"),
                LONE_SURROGATE => self.raw("\\ud83d"),
                ..' ' => self.raw(&format!("\\u{:04x}", u32::from(character))),
                _ => self.raw(character.encode_utf8(&mut [0; 4])),
            }
        }
        self.text.push(b'"');
    }

    pub(crate) fn maybe_text(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    pub(crate) fn maybe_number(&mut self, value: Option<i64>) {
        match value {
            Some(value) => self.number(value),
            None => self.null(),
        }
    }

    /// `[…]`, each entry written by the closure.
    pub(crate) fn list<T>(
        &mut self,
        entries: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Self),
    ) {
        self.text.push(b'[');
        for (place, entry) in entries.into_iter().enumerate() {
            if place > 0 {
                self.text.push(b',');
            }
            write(entry, self);
        }
        self.text.push(b']');
    }

    pub(crate) fn texts<T: AsRef<str>>(&mut self, entries: impl IntoIterator<Item = T>) {
        self.list(entries, |entry, json| json.text(entry.as_ref()));
    }

    /// `{…}`, each value written by the closure.
    pub(crate) fn object<T>(
        &mut self,
        entries: impl IntoIterator<Item = T>,
        name: impl Fn(&T) -> &str,
        mut write: impl FnMut(T, &mut Self),
    ) {
        self.text.push(b'{');
        for (place, entry) in entries.into_iter().enumerate() {
            if place > 0 {
                self.text.push(b',');
            }
            self.text(name(&entry));
            self.text.push(b':');
            write(entry, self);
        }
        self.text.push(b'}');
    }

    /// What was written elsewhere.
    pub(crate) fn append(&mut self, other: Self) {
        self.text.extend(other.text);
    }

    /// What is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.text.extend_from_slice(json.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn what_is_written_reads_back() {
        let text = "\"무선\\ \u{0}\u{1f}\n\t뷁😀";
        let mut json = Json::default();
        json.object(["a", "b"], |name| name, |_, json| json.texts([text, ""]));
        let value: serde_json::Value = serde_json::from_slice(&json.into_bytes()).unwrap();
        assert_eq!(value, serde_json::json!({ "a": [text, ""], "b": [text, ""] }));
    }

    #[test]
    fn half_a_surrogate_pair_can_be_sent() {
        let mut json = Json::default();
        json.text("a\u{e000}");
        assert_eq!(json.into_bytes(), br#""a\ud83d""#);
    }
}
