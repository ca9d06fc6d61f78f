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
