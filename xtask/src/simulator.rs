//! The outside systems on localhost, for dev.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::kept::Kept;
use crate::place::Place;
use crate::ports::Turn;
use crate::service::Service;
use crate::watcher::Watcher;
use crate::{http, jebi};

/// What *demo* logs in with, by the kind of account. The simulator takes any name; of passwords this one.
pub(crate) const CREDENTIALS: &[(&str, &[&str])] = &[
    ("ownerclan", &["username=demo", "password=not-a-real-password"]),
    ("zentrade", &["id=demo", "m_skey=00000000000000000000000000000000"]),
    ("domeggook", &["aid=00000000000000000000000000000000", "id=demo", "pw=not-a-real-password"]),
    ("coupang", &["vendor_id=A00000000", "access_key=demo", "secret_key=not-a-real-secret"]),
    ("naver", &["client_id=demo", "client_secret=not-a-real-secret"]),
    ("11st", &["api_key=00000000000000000000000000000000"]),
];

/// Builds the program and tells where it is.
///
/// # Errors
///
/// When it does not compile.
pub(crate) fn build() -> Result<PathBuf> {
    jebi::program("jebi-simulator", "jebi-simulator")
}

/// Starts the simulator and gives the settings that point at it.
///
/// # Errors
///
/// When it does not start.
pub(crate) fn start(
    built: &Path,
    place: &Place,
    kept: &mut Kept,
    watcher: &mut Watcher<'_>,
) -> Result<Vec<(String, String)>> {
    let program = jebi::copy(built, place, "jebi-simulator")?;
    let _turn = Turn::wait()?;
    let port = kept.port("simulator.port", None)?;
    let service = Service {
        name: "simulator".to_owned(),
        program,
        arguments: vec!["--listen".to_owned(), format!("127.0.0.1:{port}")],
        variables: Vec::new(),
        directory: place.path(""),
        log: place.path("simulator.log"),
        user: None,
    };
    watcher.start_until(&service, || Ok(http::is_ok(port, "/_control/")))?;
    let base = format!("http://127.0.0.1:{port}");
    let settings = [
        ("JEBI_SIMULATOR_URL", ""),
        ("OWNERCLAN_API_URL", "/ownerclan/v1/graphql"),
        ("OWNERCLAN_AUTH_URL", "/ownerclan/auth"),
        ("ZENTRADE_BASE_URL", "/zentrade"),
        ("DOMEGGOOK_BASE_URL", "/domeggook"),
    ];
    Ok(settings.map(|(name, path)| (name.to_owned(), format!("{base}{path}"))).into())
}
