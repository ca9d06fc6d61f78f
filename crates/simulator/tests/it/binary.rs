//! The program: what it prints, that it serves, how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// Ended with the test, whatever happens.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already where all went well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jebi-simulator"));
    let command = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    Program(command.spawn().unwrap())
}

/// The lines up to the one with the base, and the base.
fn urls(program: &mut Program) -> (Vec<String>, String) {
    let mut lines = Vec::new();
    let stdout = BufReader::new(program.0.stdout.take().unwrap());
    for line in stdout.lines() {
        lines.push(line.unwrap());
        if let Some(base) = lines.last().unwrap().strip_prefix("JEBI_SIMULATOR_URL=") {
            let base = base.to_owned();
            return (lines, base);
        }
    }
    panic!("it ended after {lines:?}");
}

#[test]
fn it_prints_where_it_is_serves_and_ends_on_sigterm() {
    let mut program = start(&["--items", "5", "--drift", "--scale", "50", "--enforce-limits"]);
    let (lines, base) = urls(&mut program);
    let expected = [
        format!("OWNERCLAN_API_URL={base}/ownerclan/v1/graphql"),
        format!("OWNERCLAN_AUTH_URL={base}/ownerclan/auth"),
        format!("ZENTRADE_BASE_URL={base}/zentrade"),
        format!("DOMEGGOOK_BASE_URL={base}/domeggook"),
        format!("JEBI_SIMULATOR_URL={base}"),
    ];
    assert_eq!(lines, expected);
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).unwrap();
    let request = b"GET /_control/settings HTTP/1.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    for part in ["\"ownerclan\":5", "\"drift\":true", "\"scale\":50", "\"enforce_limits\":true"] {
        assert!(answer.contains(part), "{part} is not in {answer}");
    }
    let id = program.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(program.0.wait().unwrap().success());
}

#[test]
fn a_port_that_is_taken_is_said_in_one_sentence() {
    let mut first = start(&[]);
    let (_, base) = urls(&mut first);
    let mut second = start(&["--listen", base.strip_prefix("http://").unwrap()]);
    assert!(!second.0.wait().unwrap().success());
    let mut error = String::new();
    second.0.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.starts_with("error: cannot listen on 127.0.0.1:"), "{error}");
    assert_eq!(error.lines().count(), 1);
}
