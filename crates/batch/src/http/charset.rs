//! Bytes become text: in the charset that is declared, else that of a byte order mark, else UTF-8 where
//! it is that without a fault, else CP949. Where the bytes are cut makes no difference.

use encoding_rs::{Decoder, DecoderResult, EUC_KR, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes in which an XML declaration has to end.
const DECLARATION_BYTES: usize = 256;
/// Bytes, from the first that is not ASCII, by which a charset is guessed.
const GUESS_BYTES: usize = 1_024;

pub(super) struct Text {
    state: State,
    /// What cannot be read yet.
    held: Vec<u8>,
    replacements: u64,
}

enum State {
    /// Looking for a byte order mark or a declaration.
    Start(Option<&'static Encoding>),
    /// Nothing is declared, and only ASCII has come.
    Guess,
    Known(Decoder),
}

impl std::fmt::Debug for Text {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Text({}, {} replaced)", self.charset(), self.replacements)
    }
}

impl Text {
    pub(super) fn new(content_type: &str) -> Self {
        let state = State::Start(declared_in_header(content_type));
        Self { state, held: Vec::new(), replacements: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8], out: &mut String) {
        self.advance(bytes, false, out);
    }

    pub(super) fn end(&mut self, out: &mut String) {
        self.advance(&[], true, out);
    }

    /// Characters that were unreadable.
    pub(super) fn replacements(&self) -> u64 {
        self.replacements
    }

    /// The name of the charset, CP949 going by that of its subset EUC-KR.
    pub(super) fn charset(&self) -> &'static str {
        match &self.state {
            State::Start(declared) => declared.unwrap_or(UTF_8).name(),
            State::Guess => UTF_8.name(),
            State::Known(decoder) => decoder.encoding().name(),
        }
    }

    fn advance(&mut self, bytes: &[u8], is_last: bool, out: &mut String) {
        if let State::Known(decoder) = &mut self.state {
            self.replacements += decode(decoder, bytes, is_last, out);
            return;
        }
        self.held.extend_from_slice(bytes);
        if let State::Start(declared) = self.state {
            let Some(begin) = begin(&self.held, is_last) else { return };
            self.held.drain(..begin.mark_bytes);
            // A mark says what the bytes are, a declaration what somebody meant them to be.
            let encoding = begin.marked.or(declared).or(begin.declared);
            self.state = encoding.map_or(State::Guess, known);
        }
        if let State::Guess = self.state {
            let ascii = self.held.iter().position(|byte| !byte.is_ascii());
            let ascii = self.held.drain(..ascii.unwrap_or(self.held.len()));
            out.extend(ascii.map(char::from));
            if self.held.is_empty() || (self.held.len() < GUESS_BYTES && !is_last) {
                return;
            }
            self.state = known(guess(&self.held[..self.held.len().min(GUESS_BYTES)], is_last));
        }
        let held = std::mem::take(&mut self.held);
        if let State::Known(decoder) = &mut self.state {
            self.replacements += decode(decoder, &held, is_last, out);
        }
    }
}

fn known(encoding: &'static Encoding) -> State {
    State::Known(encoding.new_decoder_without_bom_handling())
}

/// Decodes, and counts what was unreadable.
fn decode(decoder: &mut Decoder, mut bytes: &[u8], is_last: bool, out: &mut String) -> u64 {
    let mut replacements = 0;
    loop {
        let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
        out.reserve(room.unwrap_or(bytes.len()));
        let (result, read) = decoder.decode_to_string_without_replacement(bytes, out, is_last);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return replacements,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => {
                out.push(char::REPLACEMENT_CHARACTER);
                replacements += 1;
            }
        }
    }
}

/// What the first bytes tell.
struct Begin {
    mark_bytes: usize,
    marked: Option<&'static Encoding>,
    declared: Option<&'static Encoding>,
}

/// `None` where more bytes are needed to tell.
fn begin(bytes: &[u8], is_last: bool) -> Option<Begin> {
    let marks: [(&[u8], _); 3] =
        [(b"\xef\xbb\xbf", UTF_8), (b"\xff\xfe", UTF_16LE), (b"\xfe\xff", UTF_16BE)];
    let declaration = b"<?xml";
    let is_begun = |mark: &[u8]| bytes.len() < mark.len() && mark.starts_with(bytes);
    if !is_last && (marks.iter().any(|(mark, _)| is_begun(mark)) || is_begun(declaration)) {
        return None;
    }
    let marked = marks.into_iter().find(|(mark, _)| bytes.starts_with(mark));
    let mark_bytes = marked.map_or(0, |(mark, _)| mark.len());
    let marked = marked.map(|(_, encoding)| encoding);
    let head = &bytes[..bytes.len().min(DECLARATION_BYTES)];
    if marked.is_some() || !head.starts_with(declaration) {
        return Some(Begin { mark_bytes, marked, declared: None });
    }
    match head.windows(2).position(|two| two == b"?>") {
        Some(end) => {
            let declared = declared_in_xml(&String::from_utf8_lossy(&head[..end]));
            Some(Begin { mark_bytes, marked, declared })
        }
        None if is_last || head.len() == DECLARATION_BYTES => {
            Some(Begin { mark_bytes, marked, declared: None })
        }
        None => None,
    }
}

fn declared_in_header(content_type: &str) -> Option<&'static Encoding> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        name.trim().eq_ignore_ascii_case("charset").then(|| label(value))?
    })
}

fn declared_in_xml(declaration: &str) -> Option<&'static Encoding> {
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let encoding = label(value[1..].split(quote).next()?)?;
    // What could be read so far is not in it.
    (encoding != UTF_16LE && encoding != UTF_16BE).then_some(encoding)
}

/// The charset of a name, which are those of browsers, and the names of CP949 that they lack.
fn label(name: &str) -> Option<&'static Encoding> {
    let is_cp949 = ["cp949", "ms949", "uhc", "x-windows-949"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name.trim()));
    if is_cp949 { Some(EUC_KR) } else { Encoding::for_label(name.as_bytes()) }
}

fn guess(bytes: &[u8], is_whole: bool) -> &'static Encoding {
    match std::str::from_utf8(bytes) {
        Ok(_) => UTF_8,
        // A character that is cut by the end of the sample speaks against nothing.
        Err(error) if error.error_len().is_none() && !is_whole => UTF_8,
        Err(_) => EUC_KR,
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    /// All pieces as one text, the charset, and how much was unreadable.
    fn read(content_type: &str, pieces: &[&[u8]]) -> (String, &'static str, u64) {
        let (mut text, mut out) = (Text::new(content_type), String::new());
        pieces.iter().for_each(|piece| text.push(piece, &mut out));
        text.end(&mut out);
        (out, text.charset(), text.replacements())
    }

    fn cp949(text: &str) -> Vec<u8> {
        encoding_rs::EUC_KR.encode(text).0.into_owned()
    }

    #[test]
    fn a_declaration_comes_first_then_a_mark_then_what_the_bytes_are() {
        let text = "<a>똠방각하 뷁</a>";
        let korean = cp949(text);
        let declared = format!("<?xml version='1.0' encoding = \"ks_c_5601-1987\" ?>{text}");
        let marked: String = ["\u{feff}", text].concat();
        let utf_16: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let table: [(&str, &[u8], &str); 9] = [
            ("text/xml; charset=euc-kr", &korean, "EUC-KR"),
            ("text/xml; Charset=\"CP949\"", &korean, "EUC-KR"),
            ("text/xml; charset=x-unknown", &korean, "EUC-KR"),
            ("text/xml", &korean, "EUC-KR"),
            ("", text.as_bytes(), "UTF-8"),
            ("application/json", text.as_bytes(), "UTF-8"),
            ("text/xml; charset=euc-kr", marked.as_bytes(), "UTF-8"),
            ("", marked.as_bytes(), "UTF-8"),
            ("", &utf_16, "UTF-16LE"),
        ];
        for (content_type, bytes, charset) in table {
            assert_eq!(read(content_type, &[bytes]), (text.into(), charset, 0), "{content_type}");
        }
        let read = read("text/xml", &[&cp949(&declared)]);
        assert_eq!(read, (declared, "EUC-KR", 0));
    }

    #[test]
    fn where_the_bytes_are_cut_makes_no_difference() {
        let head = "<?xml version=\"1.0\" encoding=\"euc-kr\"?>".to_owned();
        let long = "<b>선풍기</b> ".repeat(200);
        let texts = [head + "<a>↑=↑가</a>", "\u{feff}가나다".to_owned(), "{}가".to_owned(), long];
        for text in &texts {
            for bytes in [cp949(text), text.clone().into_bytes()] {
                let whole = read("", &[&bytes]);
                let single: Vec<&[u8]> = bytes.chunks(1).collect();
                assert_eq!(read("", &single), whole);
                for at in 0..bytes.len() {
                    let (one, two) = bytes.split_at(at);
                    assert_eq!(read("", &[one, two]), whole, "cut at {at}");
                }
            }
        }
    }

    /// What has come of pieces that are not all, and the charset.
    fn so_far(content_type: &str, pieces: &[&[u8]]) -> (String, &'static str) {
        let (mut text, mut out) = (Text::new(content_type), String::new());
        pieces.iter().for_each(|piece| text.push(piece, &mut out));
        (out, text.charset())
    }

    #[test]
    fn what_can_be_read_is_given_on_and_the_rest_is_held_until_it_can_be_told() {
        let ascii = "{\"name\":\"".to_owned();
        assert_eq!(so_far("", &[ascii.as_bytes()]), (ascii, "UTF-8"));
        let korean = cp949(&"가".repeat(512));
        assert_eq!(so_far("", &[&korean[..1_023]]), (String::new(), "UTF-8"));
        assert_eq!(so_far("", &[&korean]), ("가".repeat(512), "EUC-KR"));
        assert_eq!(so_far("", &[b"\xff\xfe"]), (String::new(), "UTF-16LE"));
        assert_eq!(so_far("", &[b"\xfe\xff\xac\x00"]), ("가".to_owned(), "UTF-16BE"));
        // A declaration ends within so many bytes, or is none.
        let begun = format!("<?xml {}", "a".repeat(250));
        assert_eq!(so_far("", &[&begun.as_bytes()[..255]]), (String::new(), "UTF-8"));
        assert_eq!(so_far("", &[begun.as_bytes()]), (begun.clone(), "UTF-8"));
        assert_eq!(read("", &[&begun.as_bytes()[..255]]).0, begun[..255]);
    }

    #[test]
    fn a_declaration_that_cannot_be_true_is_not_believed() {
        for name in ["utf-16", "utf-16le", "utf-16be", "x-unknown"] {
            let text = format!("<?xml version='1.0' encoding='{name}'?><a>가</a>");
            assert_eq!(read("", &[text.as_bytes()]), (text.clone(), "UTF-8", 0));
        }
        // One that can be is, though the bytes are UTF-8.
        let text = "<?xml version='1.0' encoding='windows-1252'?>é";
        assert_eq!(read("", &[text.as_bytes()]), (text.replace('é', "Ã©"), "windows-1252", 0));
        let half = &"가나".as_bytes()[..5];
        assert_eq!(read("", &[half]).1, "EUC-KR", "all of it is no UTF-8");
    }

    #[test]
    fn a_character_at_the_end_of_the_sample_speaks_against_nothing() {
        let text = "가".repeat(400);
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(256).collect();
        assert_eq!(read("", &pieces), (text.clone(), "UTF-8", 0));
    }

    #[test]
    fn what_is_unreadable_in_each_piece_is_counted() {
        let mut text = Text::new("text/plain; charset=utf-8");
        [&b"a\xff"[..], b"b\xff", b"\xffc"]
            .iter()
            .for_each(|piece| text.push(piece, &mut String::new()));
        assert_eq!(format!("{text:?}"), "Text(UTF-8, 3 replaced)");
    }

    #[test]
    fn what_is_unreadable_is_counted_one_by_one() {
        let (text, _, replaced) = read("text/plain; charset=utf-8", &[&cp949("가나다")]);
        assert_eq!(replaced, text.matches('\u{fffd}').count() as u64);
        assert!(replaced >= 3);
        let half = &cp949("가나다")[..5];
        assert_eq!(read("; charset=cp949", &[half]), ("가나\u{fffd}".into(), "EUC-KR", 1));
        assert_eq!(read("", &[]), (String::new(), "UTF-8", 0));
    }
}
