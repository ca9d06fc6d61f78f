//! `target/dev/env`: all that a second process needs to join what `dev` runs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{environment, files};

/// In the checkout also where dev's data are not, so that one path serves everybody.
pub(crate) fn path() -> PathBuf {
    environment::checkout().join("target/dev/env")
}

/// Writes the file, to be sourced by a shell; only its owner can read it.
///
/// # Errors
///
/// When it cannot be written.
pub(crate) fn write(variables: &[(String, String)]) -> Result<()> {
    let path = path();
    let folder = path.parent().context("target/dev/env has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lines = variables.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value)));
    files::write_private(&path, &lines.collect::<String>())
}

/// What `write` wrote last; none when it never did.
///
/// # Errors
///
/// When the file cannot be read.
pub(crate) fn read() -> Result<Option<Vec<(String, String)>>> {
    let text = files::read(&path())?;
    Ok(text.map(|text| text.lines().filter_map(parse).collect()))
}

fn parse(line: &str) -> Option<(String, String)> {
    let (name, quoted) = line.strip_prefix("export ")?.split_once('=')?;
    let value = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    Some((name.to_owned(), value.replace(r"'\''", "'")))
}

/// A word that every POSIX shell reads as this very text.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{parse, quoted};

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["plain", "", "it's $HOME `id` \"x\"\n\\ & ; #", "''"] {
            let script = format!("printf %s {}", quoted(text));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }

    #[test]
    fn a_line_is_read_back() {
        let line = format!("export NAME={}", quoted("it's = 'so'"));
        assert_eq!(parse(&line), Some(("NAME".to_owned(), "it's = 'so'".to_owned())));
    }
}
