//! Where one product ends and the next begins, found while the text comes in.
//!
//! Only what decides that is looked at: the root, CDATA, comments, and the ends of products. So a
//! product that is broken inside costs itself alone, and one that is too large is passed over without
//! being held.

use std::fmt;

/// The text of a product that is larger is not held.
const MAX_BYTES: usize = 2 << 20;
/// The text before the root, and between products.
const MAX_BETWEEN_BYTES: usize = 16 << 10;

/// A part of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// An element, whole.
    Element(String),
    /// An element that is too large: its begin.
    TooLarge(String),
}

/// Why it is no list of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoList(pub(super) &'static str);

impl fmt::Display for NoList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NoList {}

/// The elements of a name below `zentrade`, one by one.
#[derive(Debug)]
pub(super) struct Frames {
    name: &'static str,
    text: String,
    /// So much of the text is done with. It goes when the next piece comes: once for all products of
    /// a piece, not with each of them.
    from: usize,
    /// So much of the text has been looked at.
    at: usize,
    state: State,
    /// The begin of an element that is too large to be held.
    begin: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeRoot,
    Between,
    /// Of an element that is closed by itself, nothing more comes.
    Whole,
    Inside,
    InCdata,
    InComment,
    Ended,
}

impl Frames {
    pub(super) fn new(name: &'static str) -> Self {
        let (text, state) = (String::new(), State::BeforeRoot);
        Self { name, text, from: 0, at: 0, state, begin: None }
    }

    pub(super) fn push(&mut self, piece: &str) {
        self.let_go();
        self.text.push_str(piece);
    }

    /// Whether the root has been closed.
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// The next element, where it has come whole.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, NoList> {
        loop {
            let goes_on = match self.state {
                State::BeforeRoot => self.before_root()?,
                State::Between => self.between()?,
                State::Whole => return Ok(Some(self.cut(self.at))),
                State::InCdata => self.skip_past("]]>"),
                State::InComment => self.skip_past("-->"),
                State::Inside => {
                    if let Some(frame) = self.inside() {
                        return Ok(Some(frame));
                    }
                    self.state != State::Inside
                }
                State::Ended => {
                    self.from = self.text.len();
                    return Ok(None);
                }
            };
            if !goes_on {
                self.bound()?;
                return Ok(None);
            }
        }
    }

    /// Passes the declaration and comments up to the root. False where more has to come.
    fn before_root(&mut self) -> Result<bool, NoList> {
        let rest = self.text[self.from..]
            .trim_start_matches(|one: char| one.is_whitespace() || one == '\u{feff}');
        let ends = if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<!D") || rest.starts_with("<!d") {
            // Nobody needs one, and entities are defined there.
            return Err(NoList("a document type"));
        } else {
            // The begin of any of these has none.
            ">"
        };
        let Some(end) = rest.find(ends) else { return Ok(false) };
        let (head, rest) = rest.split_at(end + ends.len());
        let from = self.text.len() - rest.len();
        if ends == ">" {
            let is_root = name_of(head) == "zentrade";
            if !is_root {
                return Err(NoList("another root"));
            }
            let is_empty = head.ends_with("/>");
            self.state = if is_empty { State::Ended } else { State::Between };
        }
        self.from = from;
        Ok(true)
    }

    /// Passes blanks and comments up to the next element, or to the end.
    fn between(&mut self) -> Result<bool, NoList> {
        let rest = self.text[self.from..].trim_start();
        self.from = self.text.len() - rest.len();
        if rest.starts_with("<!--") {
            let Some(end) = rest.find("-->") else { return Ok(false) };
            self.from += end + 3;
            return Ok(true);
        }
        let Some(end) = rest.find('>') else { return Ok(false) };
        let head = &rest[..=end];
        if name_of(head) == self.name {
            self.state = if head.ends_with("/>") { State::Whole } else { State::Inside };
            self.at = self.from + end + 1;
            return Ok(true);
        }
        if name_of(head) == "/zentrade" {
            self.state = State::Ended;
            return Ok(true);
        }
        Err(NoList("something else between products"))
    }

    /// Looks for the end of an element. None where that has not come, or where CDATA begins.
    fn inside(&mut self) -> Option<Frame> {
        const CDATA: &str = "<![CDATA[";
        while let Some(found) = self.text[self.at..].find('<') {
            let begin = self.at + found;
            let rest = &self.text[begin..];
            self.at = begin;
            if rest.starts_with(CDATA) {
                (self.at, self.state) = (begin + CDATA.len(), State::InCdata);
                return None;
            }
            if rest.starts_with("<!--") {
                (self.at, self.state) = (begin + 4, State::InComment);
                return None;
            }
            if CDATA.starts_with(rest) || "<!--".starts_with(rest) {
                return None;
            }
            if rest.starts_with("</") {
                let end = rest.find('>')?;
                if name_of(&rest[..=end]).strip_prefix('/') == Some(self.name) {
                    return Some(self.cut(begin + end + 1));
                }
            }
            self.at = begin + 1;
        }
        self.at = self.text.len();
        None
    }

    /// Goes on behind a mark. False where it has not come.
    fn skip_past(&mut self, mark: &str) -> bool {
        if let Some(found) = self.text[self.at..].find(mark) {
            self.at += found + mark.len();
            self.state = State::Inside;
            return true;
        }
        // The mark may have begun.
        let kept = self.text.len().saturating_sub(mark.len());
        self.at = self.at.max(self.text.floor_char_boundary(kept));
        false
    }

    /// The element that ends here.
    fn cut(&mut self, end: usize) -> Frame {
        let begin = std::mem::replace(&mut self.from, end);
        self.state = State::Between;
        match self.begin.take() {
            Some(begin) => Frame::TooLarge(begin),
            None => Frame::Element(self.text[begin..end].to_owned()),
        }
    }

    fn let_go(&mut self) {
        self.text.drain(..self.from);
        self.at = self.at.saturating_sub(self.from);
        self.from = 0;
    }

    /// Lets go of what is too much.
    fn bound(&mut self) -> Result<(), NoList> {
        let held = self.text.len() - self.from;
        match self.state {
            State::BeforeRoot | State::Between if held > MAX_BETWEEN_BYTES => {
                Err(NoList("something endless between products"))
            }
            State::Inside | State::InCdata | State::InComment
                if self.begin.is_some() || held > MAX_BYTES =>
            {
                if self.begin.is_none() {
                    let begin = self.text.floor_char_boundary(self.from + 1_000);
                    self.begin = Some(self.text[self.from..begin].to_owned());
                }
                self.from = self.at;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The name of a tag, `/` included where it closes.
fn name_of(tag: &str) -> &str {
    let tag = tag.trim_start_matches('<');
    let end =
        tag.char_indices().skip(1).find(|(_, one)| one.is_whitespace() || matches!(one, '>' | '/'));
    end.map_or(tag, |(end, _)| &tag[..end])
}

#[cfg(test)]
mod tests;
