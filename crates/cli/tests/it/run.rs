//! Starts the binary and listens to it.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use countersign_testkit::KeepAlive;
use tempfile::TempDir;

/// The binary: the one just built, or that of `COUNTERSIGN_BIN`.
pub(crate) fn binary() -> PathBuf {
    env::var_os("COUNTERSIGN_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_countersign").into(), PathBuf::from)
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    /// It went well, and complained of nothing.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// It failed with one clear line that says this.
    #[track_caller]
    pub(crate) fn fails(&self, text: &str) {
        assert_eq!(self.code, 1, "{self:?}");
        let lines: Vec<&str> = self.err.lines().collect();
        assert_eq!(lines.len(), 1, "one line: {self:?}");
        assert!(lines[0].starts_with("countersign: "), "{self:?}");
        assert!(lines[0].contains(text), "expected {text:?}: {self:?}");
        assert!(!self.err.contains("panicked") && self.out.is_empty(), "{self:?}");
    }
}

/// The setting of where a server listens.
pub(crate) const LISTEN: &str = "COUNTERSIGN_SERVER__LISTEN";

/// A folder of its own, in which commands run.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let mut place = Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() };
        // Never where the settings say by default: somebody's server may listen there.
        let socket = place.path("server.sock");
        place.set(LISTEN, format!("unix:{}", socket.display()));
        place
    }

    /// Listens at this port of loopback, under this address.
    pub(crate) fn listen_on(&mut self, port: u16) {
        self.set(LISTEN, format!("127.0.0.1:{port}"));
        self.set("COUNTERSIGN_SERVER__PUBLIC_URL", format!("http://127.0.0.1:{port}"));
    }

    /// Takes a variable away from all commands from here on.
    pub(crate) fn unset(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name);
    }

    /// Sets a variable for all commands from here on.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of mode 0600.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        self.command_of(&binary(), arguments)
    }

    pub(crate) fn command_of<S: AsRef<OsStr>>(&self, program: &Path, arguments: &[S]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("COUNTERSIGN_") {
                command.env_remove(name);
            }
        }
        // A home that holds nothing of whoever runs the tests.
        command.env("HOME", self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Said {
        self.command(arguments).output().unwrap().into()
    }

    /// Starts a server and waits until it says the word.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, arguments: &[S], word: &str) -> Server {
        Server::start(self.command(arguments), word)
    }

    /// The names of what lies in a folder.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Four ports in a row that nobody listens on now: as many as a demonstration takes.
pub(crate) fn free_ports() -> u16 {
    // Each test is a process, and those that start together have neighboring numbers: four ports apart,
    // so that none takes the second port of another between this look and the server's start.
    let first = std::process::id() % 5_000;
    for number in 0..2_000_u32 {
        let port = 11_000 + u16::try_from((first + number * 7) % 5_000).unwrap() * 4;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (port..port + 4).all(free) {
            return port;
        }
    }
    panic!("no free ports");
}

/// A server that runs; stopped at the end.
pub(crate) struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// What it said until it was ready.
    pub(crate) said: String,
}

impl Server {
    fn start(mut command: Command, word: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        let send_too = send.clone();
        // Read to the end, so that a full pipe holds nobody up.
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| drop(send.send(line)));
        });
        std::thread::spawn(move || {
            err.lines().map_while(Result::ok).for_each(|line| drop(send_too.send(line)));
        });
        let mut server = Self { child, lines, said: String::new() };
        while !server.said.contains(word) {
            let line = server.lines.recv_timeout(Duration::from_mins(1));
            let line = line.unwrap_or_else(|_| panic!("no {word:?} in: {}", server.said));
            server.said.push_str(&line);
            server.said.push('\n');
        }
        server
    }

    /// Asks it to stop, as a service manager does; says how it ended.
    pub(crate) fn stop(mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to a server on loopback.
pub(crate) fn connect(port: u16) -> KeepAlive {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    KeepAlive::to(address, &address.to_string()).unwrap()
}
