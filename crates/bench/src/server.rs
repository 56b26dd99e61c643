//! Servers as child processes, stopped when they are dropped.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use countersign_store::Database;

use crate::{client::Connection, machine};

/// Longest wait for a server that starts.
const START_MAX: Duration = Duration::from_mins(1);
/// Variables with this prefix would change the server's settings.
const VARIABLES: &str = "COUNTERSIGN_";

/// A child process that is killed with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The data is thrown away with its folder: nothing is gained from an orderly end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// How a server is started: again and again on the same data.
pub(crate) struct Setup {
    binary: PathBuf,
    folder: PathBuf,
    database: Database,
    extra: &'static str,
}

/// A `countersign serve` of our own.
pub(crate) struct Server {
    process: Running,
    /// Address on which it listens.
    pub(crate) address: SocketAddr,
    /// From the start of the process until `/readyz` said yes.
    pub(crate) started_in: Duration,
}

impl Setup {
    /// A server on `database`, its configuration and log in `folder` beside `master.key`. `extra` is
    /// put at the end of the configuration.
    pub(crate) fn new(folder: &Path, database: &Database, extra: &'static str) -> Result<Self> {
        let binary = match env::var_os("COUNTERSIGN_BIN") {
            Some(path) => PathBuf::from(path),
            None => env::current_exe()?.with_file_name("countersign"),
        };
        if !binary.is_file() {
            bail!("{} is not there: build it, or name it in COUNTERSIGN_BIN", binary.display());
        }
        let binary = binary.canonicalize()?;
        Ok(Self { binary, folder: folder.to_owned(), database: database.clone(), extra })
    }

    fn configuration(&self, address: SocketAddr) -> String {
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        let database = match &self.database {
            Database::Sqlite { path } => format!("kind = \"sqlite\"\npath = {}", quoted(path)),
            Database::Postgres { url, .. } => format!("kind = \"postgres\"\nurl = {url:?}"),
        };
        format!(
            "[server]\nlisten = \"{address}\"\npublic_url = \"http://{address}\"\n\n\
             [database]\n{database}\n\n[keys]\nmaster_key_file = {}\n\n{}",
            quoted(&self.folder.join("master.key")),
            self.extra
        )
    }

    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(&self) -> Result<Server> {
        // Free now, and nobody else asks for ports on a machine that is being measured.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = self.folder.join("countersign.toml");
        fs::write(&config, self.configuration(address))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&config, mode)?;
        let log_path = self.folder.join("server.log");
        let log = File::create(&log_path)?;
        let mut command = Command::new(&self.binary);
        command
            .args(["serve".as_ref(), "--config".as_ref(), config.as_os_str()])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with(VARIABLES)) {
                command.env_remove(name);
            }
        }
        let began = Instant::now();
        let child = command.spawn().with_context(|| self.binary.display().to_string())?;
        let mut process = Running(child);
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\n\r\n");
        while began.elapsed() < START_MAX {
            if let Ok(mut connection) = Connection::open(address).await
                && connection.exchange(request.as_bytes()).await.is_ok_and(|a| a.status == 200)
            {
                return Ok(Server { process, address, started_in: began.elapsed() });
            }
            if let Some(status) = process.0.try_wait()? {
                bail!("the server did not start ({status}):\n{}", tail(&log_path));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("the server was not ready after {START_MAX:?}:\n{}", tail(&log_path))
    }

    /// The last lines that the server wrote.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.folder.join("server.log"))
    }
}

fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(20);
    lines.iter().skip(last).flat_map(|line| ["  ", *line, "\n"]).collect()
}

impl Server {
    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        machine::resident_kib(self.process.0.id()).context("the server has ended")
    }
}

/// The echo server of this program, in a process of its own.
pub(crate) struct Echo {
    _process: Running,
    /// Address on which it listens.
    pub(crate) address: SocketAddr,
}

impl Echo {
    /// Starts the process, and reads from it where it listens.
    pub(crate) fn start() -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg("echo-server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the echo server")?;
        let out = child.stdout.take();
        let process = Running(child);
        let mut line = String::new();
        BufReader::new(out.context("the echo server has no output")?).read_line(&mut line)?;
        let address = line.trim().parse().context("the echo server did not say its address")?;
        Ok(Self { _process: process, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_the_database() {
        let address = "127.0.0.1:8700".parse().unwrap();
        let setup = |database| Setup {
            binary: "/x".into(),
            folder: "/a \"b\"".into(),
            database,
            extra: "[limits]\nlogin_per_minute = 10000\n",
        };
        let text = setup(Database::Sqlite { path: "/a/x.db".into() }).configuration(address);
        assert!(text.contains("listen = \"127.0.0.1:8700\""), "{text}");
        assert!(text.contains("path = \"/a/x.db\""), "{text}");
        assert!(text.contains("master_key_file = \"/a \\\"b\\\"/master.key\""), "{text}");
        assert!(text.ends_with("login_per_minute = 10000\n"), "{text}");
        let url = "postgres://postgres@127.0.0.1:5/x".to_owned();
        let text = setup(Database::Postgres { url, connections: 8 }).configuration(address);
        assert!(text.contains("url = \"postgres://postgres@127.0.0.1:5/x\""), "{text}");
    }
}
