//! A Redis (or Valkey) of this checkout's own, in memory only.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::kept::Kept;
use crate::place::Place;
use crate::ports::Turn;
use crate::service::Service;
use crate::user::User;
use crate::watcher::Watcher;
use crate::{apt, environment};

/// Starts the server and tells where it is; none when there is none and none can be installed.
///
/// # Errors
///
/// When it does not start.
pub(crate) fn start(
    place: &Place,
    kept: &mut Kept,
    watcher: &mut Watcher<'_>,
) -> Result<Option<String>> {
    let Some(program) = find_or_install()? else { return Ok(None) };
    let user = User::for_services(kept)?;
    let directory = place.service_directory("redis", user.as_ref())?;

    let _turn = Turn::wait()?;
    let port = kept.port("redis.port", None)?;
    let service = Service {
        name: "redis".to_owned(),
        program,
        arguments: arguments(port, directory.display().to_string()),
        variables: Vec::new(),
        directory,
        log: place.path("redis.log"),
        user,
    };
    watcher.start_until(&service, || Ok(answers(port).unwrap_or(false)))?;
    Ok(Some(format!("redis://127.0.0.1:{port}/0")))
}

/// What to tell somebody who has none.
pub(crate) const ADVICE: &str = "install it, on Debian and Ubuntu with `apt-get install \
    redis-server`, on macOS with `brew install redis`";

fn find_or_install() -> Result<Option<PathBuf>> {
    match find()? {
        None if apt::install(&["redis-server"])? => find(),
        found => Ok(found),
    }
}

fn find() -> Result<Option<PathBuf>> {
    match environment::program("redis-server")? {
        None => environment::program("valkey-server"),
        found => Ok(found),
    }
}

fn arguments(port: u16, directory: String) -> Vec<String> {
    let mut arguments = vec!["--port".to_owned(), port.to_string(), "--dir".to_owned(), directory];
    let fixed = [
        ["--bind", "127.0.0.1"],
        ["--protected-mode", "yes"],
        ["--save", ""],
        ["--appendonly", "no"],
        ["--maxmemory", "256mb"],
        ["--maxmemory-policy", "allkeys-lru"],
    ];
    arguments.extend(fixed.concat().iter().map(|word| (*word).to_owned()));
    arguments
}

fn answers(port: u16) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    connection.write_all(b"PING\r\n")?;
    let mut answer = [0; 5];
    connection.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG")
}
