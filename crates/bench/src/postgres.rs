//! A database of our own on the `PostgreSQL` that we were told of, made and dropped with its tools.

use std::{env, fs, path::Path, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use crate::stats::float;

/// Rows that each commit of the bare measurement updates and inserts.
pub(crate) const GROUP: u32 = 64;

/// A database that is dropped with this value.
pub(crate) struct OwnDatabase {
    server: String,
    name: String,
    /// Connection URL of the database.
    pub(crate) url: String,
}

impl OwnDatabase {
    /// Makes one on the server of `server`, a connection text in the form of an address.
    pub(crate) fn create(server: &str, purpose: &str) -> Result<Self> {
        let name = format!("countersign_{purpose}_{}", std::process::id());
        let url = with_database(server, &name).context(
            "COUNTERSIGN_TEST_PG_URL is no address of the form postgres://user@host:port/name",
        )?;
        run(tool("createdb").args(["--template=template0", "--encoding=UTF8"]).args([
            "--maintenance-db",
            server,
            name.as_str(),
        ]))?;
        Ok(Self { server: server.to_owned(), name, url })
    }

    /// Brings table statistics up to date and writes out what is dirty, so that neither happens
    /// during a measurement.
    pub(crate) fn settle(&self) -> Result<()> {
        self.sql(&["VACUUM ANALYZE", "CHECKPOINT"])
    }

    fn sql(&self, statements: &[&str]) -> Result<()> {
        let mut psql = tool("psql");
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", &self.url]);
        for statement in statements {
            psql.args(["--command", statement]);
        }
        run(&mut psql).map(drop)
    }

    /// Rows updated and rows inserted a second, each with one of the other kind, when every commit
    /// holds [`GROUP`] of both and two connections commit in turn: what the disk and the server
    /// give to anyone who groups.
    pub(crate) fn group_commit_rate(&self, folder: &Path, time: Duration) -> Result<f64> {
        let rows = 100_000;
        self.sql(&[
            "CREATE TABLE bare_token (id BIGINT PRIMARY KEY, step BIGINT NOT NULL)",
            "CREATE TABLE bare_event (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
             at BIGINT NOT NULL, detail TEXT NOT NULL)",
            &format!(
                "INSERT INTO bare_token SELECT n, 0 FROM generate_series(0, {}) AS n",
                rows - 1
            ),
            "VACUUM ANALYZE bare_token",
            "CHECKPOINT",
        ])?;
        let script = folder.join("group.pgbench");
        fs::write(&script, group_script(rows))?;
        let output = run(tool("pgbench")
            .args(["--no-vacuum", "--protocol=prepared", "--client=2", "--jobs=1"])
            .arg(format!("--time={}", time.as_secs().max(1)))
            .arg("--file")
            .arg(&script)
            .arg(&self.url))?;
        self.sql(&["DROP TABLE bare_token, bare_event"])?;
        let commits = commits_per_second(&output).context("pgbench did not say its rate")?;
        Ok(commits * float(u64::from(GROUP)))
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        // The server may be gone already; then so is the database.
        drop(run(tool("dropdb").args(["--if-exists", "--force"]).args([
            "--maintenance-db",
            self.server.as_str(),
            self.name.as_str(),
        ])));
    }
}

fn group_script(rows: u32) -> String {
    // Each group is a run of neighbors, read in one order, so that two commits never wait in a circle.
    format!(
        "\\set first random(0, {last}) * {GROUP}\n\
         BEGIN;\n\
         UPDATE bare_token SET step = step + 1 WHERE id BETWEEN :first AND :first + {GROUP} - 1;\n\
         INSERT INTO bare_event (at, detail) SELECT n, repeat('x', 120) FROM generate_series(1, {GROUP}) AS n;\n\
         COMMIT;\n",
        last = rows / GROUP - 1
    )
}

fn commits_per_second(output: &str) -> Option<f64> {
    let rate = output.lines().find_map(|line| line.strip_prefix("tps = "))?;
    rate.split_whitespace().next()?.parse().ok()
}

/// A client program of `PostgreSQL`: from the folder that the test scripts name, else from `PATH`.
fn tool(name: &str) -> Command {
    let named =
        env::var_os("COUNTERSIGN_TEST_PG_BIN").map(|folder| PathBuf::from(folder).join(name));
    Command::new(named.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name)))
}

fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("{name} cannot be run"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `url` with another database; `None` where it is no address with a database in it.
fn with_database(url: &str, name: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (address, options) =
        rest.split_once('?').map_or((rest, String::new()), |(a, o)| (a, format!("?{o}")));
    let (authority, _) = address.split_once('/')?;
    Some(format!("{scheme}://{authority}/{name}{options}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_changes() {
        for (url, other) in [
            ("postgres://postgres@127.0.0.1:5/postgres", "postgres://postgres@127.0.0.1:5/x"),
            (
                "postgres://u:p@a:1,b:2/y?sslmode=disable",
                "postgres://u:p@a:1,b:2/x?sslmode=disable",
            ),
        ] {
            assert_eq!(with_database(url, "x").as_deref(), Some(other));
        }
        assert_eq!(with_database("host=a dbname=b", "x"), None);
        assert_eq!(with_database("postgres://a", "x"), None);
    }

    #[test]
    fn the_rate_is_read() {
        let output =
            "latency average = 0.5 ms\ntps = 1234.500000 (without initial connection time)\n";
        assert_eq!(commits_per_second(output), Some(1234.5));
        assert_eq!(commits_per_second("nothing"), None);
    }

    #[test]
    fn a_database_is_made_used_and_dropped() {
        let Ok(server) = env::var("COUNTERSIGN_TEST_PG_URL") else { return };
        let database = OwnDatabase::create(&server, "bench_test").unwrap();
        database.settle().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let rate = database.group_commit_rate(folder.path(), Duration::from_secs(1)).unwrap();
        assert!(rate > 0.0, "{rate}");
        let url = database.url.clone();
        drop(database);
        let gone = tool("psql").args(["--dbname", &url, "--command", "SELECT 1"]).output().unwrap();
        assert!(!gone.status.success());
    }
}
