//! `cargo xtask test`: every test of the workspace, with servers of its own.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::place::Purpose;
use crate::{browser, command, services, soak};

/// The answer is that of `cargo test`, whose words are the last ones on standard output.
///
/// # Errors
///
/// When the servers cannot be set up or cargo not be run.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode> {
    services::during(Purpose::Test, |services| {
        let browser = if tests_service(arguments) { browser::find_or_install()? } else { None };
        let mut tests = command::cargo(["test"]);
        // Together with `-p`, cargo would still take all of them.
        tests.args((!names_packages(arguments)).then_some("--workspace"));
        tests.args(arguments).env("DATABASE_URL", services.database.url);
        tests.envs(services.redis_url.map(|url| ("REDIS_URL", url)));
        tests.envs(browser.map(|browser| (browser::VARIABLE, browser)));
        let mut status = command::status(&mut tests)?;
        // A run of chosen tests has chosen these too, or not.
        if status.success() && arguments.is_empty() {
            status = command::status(&mut command::cargo(soak::SHUTTLE))?;
        }
        Ok(command::exit_code(status))
    })
}

/// Whether the tests of the service are among them, which look at pages.
fn tests_service(arguments: &[OsString]) -> bool {
    !names_packages(arguments)
        || arguments.iter().any(|argument| argument.to_string_lossy().contains("jebi-api"))
}

fn names_packages(arguments: &[OsString]) -> bool {
    let of_cargo = arguments.iter().take_while(|argument| *argument != "--");
    of_cargo.filter_map(|argument| argument.to_str()).any(|argument| {
        argument == "--package" || argument.starts_with("--package=") || argument.starts_with("-p")
    })
}

#[cfg(test)]
mod tests {
    use super::names_packages;

    #[test]
    fn a_package_is_named_before_the_dashes_only() {
        let names =
            |words: &[&str]| names_packages(&words.iter().map(Into::into).collect::<Vec<_>>());
        assert!(names(&["-p", "jebi-api"]));
        assert!(names(&["--release", "--package=jebi-api"]));
        assert!(!names(&["--release", "--", "-p"]));
        assert!(!names(&[]));
    }
}
