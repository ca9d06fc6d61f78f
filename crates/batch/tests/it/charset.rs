//! All 11,172 syllables of Hangul in CP949, through a socket.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use encoding_rs::EUC_KR;
use jebi_batch::Clock;
use jebi_batch::http::{Client, Config};

use crate::server::{Server, chunked, ok};

/// FNV-1a of the table that `iconv -f UTF-8 -t CP949` of glibc 2.36 makes of the syllables.
const DIGEST: u64 = 0x82b7_463a_bede_ea79;

fn syllables() -> String {
    ('가'..='힣').collect()
}

/// The same by a program that has nothing to do with ours; `None` where it is not there.
fn by_iconv(text: &str) -> Option<Vec<u8>> {
    let mut iconv = Command::new("iconv");
    iconv.args(["-f", "UTF-8", "-t", "CP949"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut iconv = match iconv.spawn() {
        Ok(iconv) => iconv,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => panic!("{error}"),
    };
    iconv.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = iconv.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

fn digest(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[tokio::test]
async fn all_syllables_arrive_as_iconv_wrote_them_also_cut_at_every_byte() {
    let text = syllables();
    let bytes = EUC_KR.encode(&text).0.into_owned();
    assert_eq!((text.chars().count(), bytes.len()), (11_172, 2 * 11_172));
    assert_eq!(digest(&bytes), DIGEST);
    if let Some(expected) = by_iconv(&text) {
        assert!(bytes == expected, "iconv writes other bytes");
    }
    let client = Client::new(Config::default(), &Clock::system()).unwrap();
    for headers in ["content-type: text/plain; charset=euc-kr\r\n", ""] {
        for answer in
            [ok(headers, &bytes), chunked(headers, &bytes, 1), chunked(headers, &bytes, 3)]
        {
            let answer = client.send(Server::saying(answer).get()).await.unwrap();
            assert!(answer.text == text, "declared by {headers:?}");
            assert_eq!((answer.charset, answer.replacements), ("EUC-KR", 0));
        }
    }
}
