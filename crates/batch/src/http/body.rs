//! Bytes of a body, counted as they come and as they unpack.

use std::io::{self, ErrorKind, Write};

use flate2::write::MultiGzDecoder;

use crate::http::charset::Text;
use crate::http::config::Config;
use crate::http::error::{Error, Kind};

#[derive(Debug)]
pub(super) struct Body {
    wire_bytes: u64,
    max_wire_bytes: u64,
    coding: Coding,
}

#[derive(Debug)]
enum Coding {
    Plain(Sink),
    Gzip(Box<MultiGzDecoder<Sink>>),
}

/// Where unpacked bytes become text. It refuses more of them than are read, in the middle of a
/// piece: of a bomb no more is unpacked than fits.
#[derive(Debug)]
struct Sink {
    text: Text,
    out: String,
    bytes: u64,
    max_bytes: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.max_bytes {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.text.push(bytes, &mut self.out);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Body {
    /// `None` for a coding that was not asked for.
    pub(super) fn new(coding: &str, text: Text, config: &Config) -> Option<Self> {
        let max_bytes = config.max_decoded_bytes;
        let sink = Sink { text, out: String::new(), bytes: 0, max_bytes };
        let coding = match coding {
            "" | "identity" => Coding::Plain(sink),
            "gzip" | "x-gzip" => Coding::Gzip(Box::new(MultiGzDecoder::new(sink))),
            _ => return None,
        };
        Some(Self { wire_bytes: 0, max_wire_bytes: config.max_wire_bytes, coding })
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.wire_bytes += bytes.len() as u64;
        if self.wire_bytes > self.max_wire_bytes {
            return Err(Error::new(Kind::WireTooLarge));
        }
        let fed = match &mut self.coding {
            Coding::Plain(sink) => sink.write_all(bytes),
            Coding::Gzip(unpacker) => unpacker.write_all(bytes),
        };
        fed.map_err(|error| judge(&error))
    }

    /// The body is whole.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        // An empty body is no cut one, whatever it is packed with.
        if let Coding::Gzip(unpacker) = &mut self.coding
            && self.wire_bytes > 0
        {
            unpacker.try_finish().map_err(|error| judge(&error))?;
        }
        let Sink { text, out, .. } = self.sink_mut();
        text.end(out);
        Ok(())
    }

    fn sink(&self) -> &Sink {
        match &self.coding {
            Coding::Plain(sink) => sink,
            Coding::Gzip(unpacker) => unpacker.get_ref(),
        }
    }

    fn sink_mut(&mut self) -> &mut Sink {
        match &mut self.coding {
            Coding::Plain(sink) => sink,
            Coding::Gzip(unpacker) => unpacker.get_mut(),
        }
    }

    pub(super) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.sink_mut().out)
    }

    pub(super) fn replacements(&self) -> u64 {
        self.sink().text.replacements()
    }

    pub(super) fn charset(&self) -> &'static str {
        self.sink().text.charset()
    }

    pub(super) fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    pub(super) fn decoded_bytes(&self) -> u64 {
        self.sink().bytes
    }
}

fn judge(error: &io::Error) -> Error {
    Error::new(match error.kind() {
        ErrorKind::FileTooLarge => Kind::DecodedTooLarge,
        ErrorKind::UnexpectedEof => Kind::BodyCut,
        _ => Kind::Undecodable,
    })
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const TEXT: &str = "{\"name\":\"무선 이어폰\"}";

    fn packed(text: &str) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    }

    fn body(coding: &str, most: (u64, u64)) -> Body {
        let (max_wire_bytes, max_decoded_bytes) = most;
        let config = Config { max_wire_bytes, max_decoded_bytes, ..Config::default() };
        Body::new(coding, Text::new("application/json; charset=utf-8"), &config).unwrap()
    }

    /// The text of a body that comes in pieces of a size, and its bytes: as they came, and unpacked.
    fn read(coding: &str, bytes: &[u8], most: (u64, u64)) -> Result<(String, u64, u64), Kind> {
        let mut body = body(coding, most);
        let mut text = String::new();
        for piece in bytes.chunks(5) {
            body.feed(piece).map_err(|error| error.kind)?;
            text.push_str(&body.take_text());
        }
        body.end().map_err(|error| error.kind)?;
        text.push_str(&body.take_text());
        Ok((text, body.wire_bytes(), body.decoded_bytes()))
    }

    const MUCH: (u64, u64) = (1 << 20, 1 << 20);

    #[test]
    fn a_body_is_read_as_it_comes_or_unpacked() {
        let (text, packed) = (TEXT.to_owned(), packed(TEXT));
        let (plain_bytes, packed_bytes) = (TEXT.len() as u64, packed.len() as u64);
        for coding in ["", "identity"] {
            let read = read(coding, TEXT.as_bytes(), MUCH);
            assert_eq!(read, Ok((text.clone(), plain_bytes, plain_bytes)), "{coding}");
        }
        for coding in ["gzip", "x-gzip"] {
            let read = read(coding, &packed, MUCH);
            assert_eq!(read, Ok((text.clone(), packed_bytes, plain_bytes)), "{coding}");
            assert_eq!(self::read(coding, &[], MUCH), Ok((String::new(), 0, 0)), "{coding}");
        }
        let config = Config::default();
        assert!(Body::new("br", Text::new(""), &config).is_none());
    }

    #[test]
    fn as_many_bytes_are_read_as_were_allowed_and_no_more() {
        let packed = packed(TEXT);
        let (plain_bytes, packed_bytes) = (TEXT.len() as u64, packed.len() as u64);
        for (coding, bytes, wire_bytes) in
            [("", TEXT.as_bytes(), plain_bytes), ("gzip", &packed, packed_bytes)]
        {
            assert!(read(coding, bytes, (wire_bytes, plain_bytes)).is_ok());
            let less_wire = read(coding, bytes, (wire_bytes - 1, plain_bytes));
            assert_eq!(less_wire, Err(Kind::WireTooLarge), "{coding}");
            let less_decoded = read(coding, bytes, (wire_bytes, plain_bytes - 1));
            assert_eq!(less_decoded, Err(Kind::DecodedTooLarge), "{coding}");
        }
    }

    #[test]
    fn what_was_cut_or_does_not_unpack_is_told_apart() {
        let packed = packed(TEXT);
        // Behind what is packed stand eight bytes that check it.
        assert_eq!(read("gzip", &packed[..packed.len() - 9], MUCH), Err(Kind::BodyCut));
        assert_eq!(read("gzip", TEXT.as_bytes(), MUCH), Err(Kind::Undecodable));
    }

    #[test]
    fn a_character_that_was_cut_is_one_that_is_unreadable() {
        let mut body = body("", MUCH);
        body.feed(&"가나".as_bytes()[..5]).unwrap();
        assert_eq!(body.replacements(), 0);
        body.end().unwrap();
        assert_eq!((body.charset(), body.replacements()), ("UTF-8", 1));
        assert_eq!(body.take_text(), "가\u{fffd}");
        assert_eq!(body.take_text(), "");
    }
}
