//! A service under test: killed when the test ends, however it ends.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

/// A running service, and where it listens.
pub(crate) struct Service {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Service {
    /// Starts it and waits until it says that it listens.
    pub(crate) fn start(mut command: Command) -> Service {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        let address = said.trim().rsplit(' ').next().unwrap().to_owned();
        Service { child, address }
    }
}

impl Service {
    /// Asks it to end, and waits until it has; whatever it started ends with it.
    pub(crate) fn terminate(&mut self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
