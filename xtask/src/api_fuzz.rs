//! `cargo xtask api-fuzz`: what the OpenAPI document allows, and what it forbids, sent to dev's service.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::{command, environment, import};

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// What an answer may not be: a 5xx, a status, a content type or a body that the document does not know.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Requests for each operation and kind of input
    #[arg(long, default_value_t = 100)]
    examples: u32,
}

/// The answer is that of schemathesis.
///
/// # Errors
///
/// When dev does not run or schemathesis cannot be installed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let settings = import::settings_of_dev()?;
    let setting = |name: &str| {
        let found = settings.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).with_context(|| format!("dev has not set {name}"))
    };
    let tools = environment::checkout().join("target/tools/schemathesis");
    let program = tools.join("bin/schemathesis");
    if !program.is_file() {
        let python = environment::program("python3")?.context("install python3 for api-fuzz")?;
        let made = command::status(Command::new(python).args(["-m", "venv"]).arg(&tools))?;
        ensure!(made.success(), "install python3-venv: python3 makes no environment without it");
        let mut pip = Command::new(tools.join("bin/pip"));
        let installed = command::status(pip.args(["install", "--quiet", SCHEMATHESIS]))?;
        ensure!(installed.success(), "pip cannot install {SCHEMATHESIS}: it says why above");
    }
    let mut fuzz = Command::new(program);
    // It keeps notes where it runs.
    fuzz.current_dir(&tools);
    fuzz.arg("run").arg(format!("{}/api/openapi.json", setting("JEBI_URL")?));
    fuzz.args(["--header", &format!("Authorization: Bearer {}", setting("JEBI_API_KEY")?)]);
    // Without `stateful`, which here infers links between operations that have none and stops at them.
    fuzz.args(["--phases", "examples,coverage,fuzzing"]);
    fuzz.args(["--checks", CHECKS, "--max-examples", &options.examples.to_string()]);
    Ok(command::exit_code(command::status(&mut fuzz)?))
}
