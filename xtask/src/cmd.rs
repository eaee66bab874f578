//! Programs run in the workspace, echoed before they start.

use std::{
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use crate::error::Failed;

/// One program to run, from the folder of the workspace.
pub(crate) struct Cmd {
    command: Command,
    shown: String,
}

impl Cmd {
    /// The cargo that runs this chore.
    pub(crate) fn cargo(root: &Path) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut cmd = Self::new(root, &cargo);
        cmd.shown = "cargo".to_owned();
        cmd
    }

    /// `program`, found on the path unless it is one.
    pub(crate) fn new(root: &Path, program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program.as_ref());
        command.current_dir(root);
        Self { command, shown: program.as_ref().to_string_lossy().into_owned() }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.shown.push(' ');
            self.shown.push_str(&arg.as_ref().to_string_lossy());
            self.command.arg(arg);
        }
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.shown = format!("{name}={value:?} {}", self.shown);
        self.command.env(name, value);
        self
    }

    /// Runs to the end, output to the terminal.
    pub(crate) fn run(mut self) -> Result<(), Failed> {
        println!("$ {}", self.shown);
        let status = self.command.status().map_err(|error| self.not_started(&error))?;
        self.check(status)
    }

    /// Runs to the end in silence; whether it succeeded. A program that is not there did not.
    pub(crate) fn succeeds(mut self) -> bool {
        let quiet = self.command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    /// Runs to the end; every line of its standard output is printed and then handed to `see`.
    pub(crate) fn run_seeing(mut self, mut see: impl FnMut(&str)) -> Result<(), Failed> {
        println!("$ {}", self.shown);
        let spawned = self.command.stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| self.not_started(&error))?;
        let stdout = child.stdout.take().expect("standard output was asked for as a pipe");
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        // Tests may print bytes that are not UTF-8; they must not stop the run.
        while reader.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            see(text.trim_end());
            line.clear();
        }
        let status = child.wait().map_err(|error| self.not_started(&error))?;
        self.check(status)
    }

    fn check(&self, status: std::process::ExitStatus) -> Result<(), Failed> {
        if status.success() {
            return Ok(());
        }
        Err(Failed::new(format!("`{}` ended with {status}", self.shown)))
    }

    fn not_started(&self, error: &std::io::Error) -> Failed {
        Failed::new(format!("`{}` did not start: {error}", self.shown))
    }
}
