//! One process to be run: all that the watcher must know, on one line.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::user::User;

/// A program with its surroundings.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) directory: PathBuf,
    pub(crate) log: PathBuf,
    /// Whom it runs as; the caller when none.
    pub(crate) user: Option<User>,
}

impl Service {
    /// # Errors
    ///
    /// When a path is not UTF-8.
    pub(crate) fn to_line(&self) -> Result<String> {
        let user = self.user.as_ref().map(|user| (&user.name, user.uid, user.gid));
        let Self { name, program, arguments, variables, directory, log, user: _ } = self;
        Ok(serde_json::to_string(&(name, program, arguments, variables, directory, log, user))?)
    }

    /// # Errors
    ///
    /// When the line is not one of `to_line`.
    pub(crate) fn from_line(line: &str) -> Result<Self> {
        let (name, program, arguments, variables, directory, log, user) =
            serde_json::from_str(line).context("this is not a service")?;
        let user: Option<(String, u32, u32)> = user;
        let user = user.map(|(name, uid, gid)| User { name, uid, gid });
        Ok(Self { name, program, arguments, variables, directory, log, user })
    }

    /// Starts it, apart from the terminal: its output goes to its log, and a Ctrl-C reaches only
    /// the caller, who ends it in good order.
    ///
    /// # Errors
    ///
    /// When the log cannot be written or the program not be run.
    pub(crate) fn start(&self) -> Result<Child> {
        let log = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = command_as(&self.program, self.user.as_ref(), &self.directory);
        command
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        command.spawn().with_context(|| format!("cannot run {}", self.program.display()))
    }
}

/// A command of that user, in a folder that the user can enter.
pub(crate) fn command_as(program: &Path, user: Option<&User>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::Service;
    use crate::user::User;

    #[test]
    fn a_service_survives_the_way_to_the_watcher() {
        let service = Service {
            name: "redis".to_owned(),
            program: PathBuf::from("/usr/bin/redis-server"),
            arguments: vec!["--save".to_owned(), String::new()],
            variables: vec![("QUOTED".to_owned(), "it's\n\"so\"".to_owned())],
            directory: PathBuf::from("/var/tmp"),
            log: PathBuf::from("/var/tmp/redis.log"),
            user: Some(User { name: "nobody".to_owned(), uid: 65534, gid: 65534 }),
        };
        let line = service.to_line().unwrap();
        assert!(!line.contains('\n'));
        let arrived = Service::from_line(&line).unwrap();
        assert_eq!(arrived.to_line().unwrap(), line);
        assert_eq!(arrived.user.unwrap().uid, 65534);
    }
}
