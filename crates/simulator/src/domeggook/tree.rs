//! Answers as trees, written as JSON or as XML. The JSON is that of a converter from XML: what
//! stands there once is no list.

use crate::json::Json;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    Text(String),
    Number(i64),
    Object(Vec<(&'static str, Tree)>),
    /// One is written as itself.
    Many(Vec<Tree>),
    /// Always a list.
    List(Vec<Tree>),
}

impl Tree {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// `"true"` or `"false"`.
    pub(super) fn flag(value: bool) -> Self {
        Self::text(if value { "true" } else { "false" })
    }

    /// A number, or the same as text.
    pub(super) fn number(value: i64, is_text: bool) -> Self {
        if is_text { Self::Text(value.to_string()) } else { Self::Number(value) }
    }

    pub(super) fn json(&self) -> Vec<u8> {
        let mut json = Json::default();
        self.write_json(&mut json);
        json.into_bytes()
    }

    fn write_json(&self, json: &mut Json) {
        match self {
            Self::Text(text) => json.text(text),
            Self::Number(number) => json.number(*number),
            Self::Object(fields) => {
                json.object(fields, |(name, _)| name, |(_, value), json| value.write_json(json))
            }
            Self::Many(entries) if entries.len() == 1 => entries[0].write_json(json),
            Self::Many(entries) | Self::List(entries) => {
                json.list(entries, Self::write_json);
            }
        }
    }

    /// In the charset that the declaration names.
    pub(super) fn xml(&self, charset: &str) -> String {
        let mut xml = format!("<?xml version=\"1.0\" encoding=\"{charset}\"?>\n");
        if let Self::Object(fields) = self {
            fields.iter().for_each(|(name, value)| value.write_xml(name, &mut xml));
        }
        xml.push('\n');
        xml
    }

    fn write_xml(&self, name: &str, xml: &mut String) {
        if let Self::Many(entries) | Self::List(entries) = self {
            return entries.iter().for_each(|entry| entry.write_xml(name, xml));
        }
        xml.push_str(&format!("<{name}>"));
        match self {
            Self::Text(text) if name == "title" || text.contains(['<', '&', '>']) => {
                xml.push_str(&format!("<![CDATA[{}]]>", text.replace("]]>", "]] >")));
            }
            Self::Text(text) => xml.push_str(text),
            Self::Number(number) => xml.push_str(&number.to_string()),
            Self::Object(fields) => {
                fields.iter().for_each(|(name, value)| value.write_xml(name, xml));
            }
            Self::Many(_) | Self::List(_) => {}
        }
        xml.push_str(&format!("</{name}>"));
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    fn tree(items: usize) -> Tree {
        let item = Tree::Object(vec![("no", Tree::Number(1)), ("title", Tree::text("무선 <1>"))]);
        let list = Tree::Object(vec![("item", Tree::Many(vec![item; items]))]);
        Tree::Object(vec![("domeggook", Tree::Object(vec![("list", list)]))])
    }

    #[test]
    fn what_stands_once_is_no_list() {
        let json = |items| String::from_utf8(tree(items).json()).unwrap();
        assert_eq!(json(1), r#"{"domeggook":{"list":{"item":{"no":1,"title":"무선 <1>"}}}}"#);
        assert!(json(2).contains(r#""item":[{"no":1,"#));
    }

    #[test]
    fn xml_repeats_the_element() {
        let item = "<item><no>1</no><title><![CDATA[무선 <1>]]></title></item>";
        let expected = format!(
            "<?xml version=\"1.0\" encoding=\"EUC-KR\"?>\n<domeggook><list>{item}{item}</list></domeggook>\n"
        );
        assert_eq!(tree(2).xml("EUC-KR"), expected);
    }
}
