//! An element of XML, flat: `price@buyprice`, `prdtname`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value};

use crate::wholesaler::fields::Fields;
use crate::wholesaler::product::Reason;

/// Elements in one another.
const MAX_DEPTH: usize = 6;
/// Attributes and texts.
const MAX_FIELDS: usize = 200;

/// The attributes of an element and of those inside it, and their texts, trimmed. What stands there
/// twice cannot be told apart and is refused.
pub(super) fn read(xml: &str) -> Result<Fields, Reason> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().allow_dangling_amp = true;
    let mut flat = Flat::default();
    loop {
        match reader.read_event().map_err(|_| Reason::Unreadable)? {
            Event::Start(start) => flat.open(&start)?,
            Event::Empty(start) => {
                flat.open(&start)?;
                flat.close()?;
            }
            Event::End(_) => {
                flat.close()?;
                if flat.path.is_empty() {
                    break;
                }
            }
            Event::Text(text) => flat.add(&text.xml10_content())?,
            Event::CData(text) => flat.add_cdata(&text.xml10_content())?,
            Event::GeneralRef(reference) => flat.add(&resolved(&reference)?)?,
            Event::Comment(_) => {}
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) => return Err(Reason::Unreadable),
            Event::Eof => return Err(Reason::Unreadable),
        }
        if flat.path.is_empty() {
            break;
        }
    }
    let fields = flat.fields.into_iter().map(|(name, text)| (name, Value::String(text)));
    Ok(Fields::new(Map::from_iter(fields)))
}

/// What stands for a character. Nothing else is looked up, least of all a file.
fn resolved(reference: &BytesRef<'_>) -> Result<String, Reason> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| Reason::Unreadable)? {
        return Ok(character.to_string());
    }
    let name = reference.xml10_content();
    let character = quick_xml::escape::resolve_predefined_entity(&name);
    character.map(str::to_owned).ok_or(Reason::Unreadable)
}

#[derive(Default)]
struct Flat {
    fields: BTreeMap<String, String>,
    path: Vec<Level>,
}

#[derive(Default)]
struct Level {
    /// The names on the way, without that of the root.
    name: String,
    text: String,
    has_cdata: bool,
    /// There is text beside the CDATA.
    has_text: bool,
}

impl Flat {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Reason> {
        if self.path.len() >= MAX_DEPTH {
            return Err(Reason::TooLarge("depth"));
        }
        let name = start.name();
        let name = name.as_ref();
        let name = match self.path.last() {
            None => String::new(),
            Some(level) if level.name.is_empty() => name.to_owned(),
            Some(level) => format!("{}/{name}", level.name),
        };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| Reason::Unreadable)?;
            let value = match attribute.normalized_value(XmlVersion::Explicit1_0) {
                Ok(value) => value.into_owned(),
                // A raw `&`, as addresses have them.
                Err(_) => attribute.value.clone().into_owned(),
            };
            self.put(format!("{name}@{}", attribute.key.as_ref()), value)?;
        }
        self.path.push(Level { name, ..Level::default() });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Reason> {
        let level = self.path.pop().ok_or(Reason::Unreadable)?;
        // CDATA that ends too early leaves its rest outside: nobody knows what was meant.
        if level.has_cdata && level.has_text {
            return Err(Reason::Malformed("CDATA"));
        }
        let text = level.text.trim();
        if text.is_empty() {
            return Ok(());
        }
        let name = if level.name.is_empty() { "text".to_owned() } else { level.name };
        self.put(name, text.to_owned())
    }

    fn add(&mut self, text: &str) -> Result<(), Reason> {
        let Some(level) = self.path.last_mut() else { return Err(Reason::Unreadable) };
        level.has_text |= !text.trim().is_empty();
        level.text.write_str(text).map_err(|_| Reason::Unreadable)
    }

    fn add_cdata(&mut self, text: &str) -> Result<(), Reason> {
        let Some(level) = self.path.last_mut() else { return Err(Reason::Unreadable) };
        level.has_cdata = true;
        level.text.write_str(text).map_err(|_| Reason::Unreadable)
    }

    fn put(&mut self, name: String, value: String) -> Result<(), Reason> {
        if self.fields.len() >= MAX_FIELDS {
            return Err(Reason::TooLarge("fields"));
        }
        match self.fields.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(Reason::Contradictory("fields")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn flat(xml: &str) -> Result<Value, Reason> {
        read(xml).and_then(Fields::rest).map(Value::Object)
    }

    #[test]
    fn an_element_is_flat() {
        let xml = "<product code='1'>\n <name>\n <![CDATA[ 컵 &amp; 받침  ]]>\n</name>\
            <price buyprice=\"1,200\"/><a><b x='1'>2 &lt; &#51;</b></a></product>";
        let expected = json!({
            "@code": "1", "name": "컵 &amp; 받침", "price@buyprice": "1,200",
            "a/b@x": "1", "a/b": "2 < 3",
        });
        assert_eq!(flat(xml), Ok(expected));
    }

    #[test]
    fn raw_ampersands_are_taken_as_they_are() {
        let xml = "<p><img url=\"https://a/?b=1&c=2\"/><n>A & B</n></p>";
        assert_eq!(flat(xml), Ok(json!({ "img@url": "https://a/?b=1&c=2", "n": "A & B" })));
    }

    #[test]
    fn what_is_broken_is_refused() {
        for (xml, reason) in [
            ("", Reason::Unreadable),
            ("<p>", Reason::Unreadable),
            ("<p></q>", Reason::Unreadable),
            ("<p><![CDATA[</p>", Reason::Unreadable),
            ("<p><n><![CDATA[접시 ]]> 세트]]></n></p>", Reason::Malformed("CDATA")),
            ("<p>&file;</p>", Reason::Unreadable),
            ("<p x='1' x='2'/>", Reason::Unreadable),
            ("<p><n>1</n><n>2</n></p>", Reason::Contradictory("fields")),
            ("<p><a><a><a><a><a><a/></a></a></a></a></a></p>", Reason::TooLarge("depth")),
        ] {
            assert_eq!(flat(xml), Err(reason), "{xml}");
        }
        let deep = "<p><a><a><a><a><a>1</a></a></a></a></a></p>";
        assert_eq!(flat(deep), Ok(json!({ "a/a/a/a/a": "1" })));
        assert_eq!(flat("<p>1 <!-- -->2</p>"), Ok(json!({ "text": "1 2" })));
        let enough: String = (0..200).map(|at| format!("<a{at} x=''/>")).collect();
        assert!(flat(&format!("<p>{enough}</p>")).is_ok());
        let many: String = (0..201).map(|at| format!("<a{at} x=''/>")).collect();
        assert_eq!(flat(&format!("<p>{many}</p>")), Err(Reason::TooLarge("fields")));
    }

    proptest! {
        #[test]
        fn any_text_is_an_element_or_a_reason(
            text in "(<p>|</p>|<n x=\"|\"|/>|<!\\[CDATA\\[|\\]\\]>|&amp;|&#0;|&#x110000;|&|[ -~가]){0,20}",
        ) {
            let _: Result<_, _> = flat(&format!("<p>{text}</p>"));
        }
    }
}
