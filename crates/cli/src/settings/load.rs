//! Reads the configuration file and the environment variables.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::{self, File},
    io::{ErrorKind, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use config::{Config, FileFormat, Source, Value, ValueKind};

use super::{DatabaseUrl, PREFIX, Settings, SettingsError, entries, entry::Entry, sections};
use crate::private_file::explain;

const DEFAULT_FILE: &str = "countersign.toml";
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Variables with our prefix that are no settings; a name that ends in `_` stands for all it begins.
pub(super) const RESERVED: [(&str, &str); 6] = [
    ("COUNTERSIGN_CONFIG", "Path of the configuration file, where `--config` is not given."),
    (
        "COUNTERSIGN_LOG",
        "Log filter for one run, in place of `log.level`, such as `info,countersign_store=debug`.",
    ),
    ("COUNTERSIGN_TOKEN_PIN", "PIN of the tokens that `countersign token` keeps, for scripts."),
    ("COUNTERSIGN_TOKEN_DIR", "Folder in which `countersign token` keeps its tokens."),
    ("COUNTERSIGN_BIN", "The binary that the scripts of the source tree run."),
    ("COUNTERSIGN_TEST_", "Variables of the test suite."),
];

impl Settings {
    /// Reads the file `given` (or that of `COUNTERSIGN_CONFIG`, or `countersign.toml` where there is
    /// one) and the variables, and checks everything. Variables win over the file.
    pub(crate) fn load(given: Option<&Path>) -> Result<Self, SettingsError> {
        Self::load_from(given, Path::new(DEFAULT_FILE), env::vars_os())
    }

    pub(super) fn load_from(
        given: Option<&Path>,
        default: &Path,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let entries = entries();
        let mut faults = Vec::new();
        let variables = read_variables(&entries, variables, &mut faults);
        let (path, needed) = match (given, &variables.file) {
            (Some(path), _) => (path.to_owned(), true),
            (None, Some(path)) => (path.clone(), true),
            (None, None) => (default.to_owned(), false),
        };
        let file = read_file(&path, needed)?;
        let found = file.is_some();
        let source = match file {
            Some(file) => {
                let source = parse_file(&entries, &path, &file.text, &mut faults)?;
                if let Some(fault) = exposed_password(&path, &source, file.mode) {
                    faults.push(fault);
                }
                source
            }
            None => Config::default(),
        };
        if !faults.is_empty() {
            return Err(SettingsError(faults));
        }
        let deserialize = |builder: config::ConfigBuilder<config::builder::DefaultState>| {
            builder.build().and_then(Config::try_deserialize::<Self>)
        };
        // Each source on its own first, so that a fault is reported with the place it stands in.
        let builder = Config::builder().add_source(source);
        if let Err(error) = deserialize(builder.clone()) {
            return Err(format!("{}: {error}", path.display()).into());
        }
        let mut all = builder;
        for (key, (name, value)) in &variables.values {
            let alone = Config::builder()
                .set_override(key, value.clone())
                .map_err(|error| unsettable(&error))?;
            if let Err(error) = deserialize(alone) {
                faults.push(format!("{name}: {error}"));
            }
            all = all.set_override(key, value.clone()).map_err(|error| unsettable(&error))?;
        }
        if !faults.is_empty() {
            return Err(SettingsError(faults));
        }
        let mut settings = deserialize(all).map_err(|error| unsettable(&error))?;
        settings.file = found.then_some(path);
        settings.check()?;
        Ok(settings)
    }
}

struct Variables {
    pub(super) file: Option<PathBuf>,
    /// By key: name of the variable, and its value.
    values: BTreeMap<String, (String, Value)>,
}

fn read_variables(
    entries: &[Entry],
    variables: impl Iterator<Item = (OsString, OsString)>,
    faults: &mut Vec<String>,
) -> Variables {
    let mut read = Variables { file: None, values: BTreeMap::new() };
    for (name, value) in variables {
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) {
            continue;
        }
        if name == "COUNTERSIGN_CONFIG" {
            read.file = (!value.is_empty()).then(|| value.into());
            continue;
        }
        if RESERVED.iter().any(|(r, _)| name == *r || (r.ends_with('_') && name.starts_with(r))) {
            continue;
        }
        let Some(entry) = entries.iter().find(|entry| entry.variable() == name) else {
            faults.push(format!(
                "environment variable {name} is not a setting: correct its name (COUNTERSIGN_SECTION__NAME, see docs/configuration.md) or unset it"
            ));
            continue;
        };
        match value.to_str().ok_or("must be UTF-8 text".to_owned()).and_then(|v| entry.value_of(v))
        {
            Ok(value) => {
                read.values.insert(entry.key(), (name.into_owned(), value));
            }
            Err(fault) => faults.push(format!("{name}: {fault}")),
        }
    }
    read
}

struct ReadFile {
    text: String,
    mode: u32,
}

fn read_file(path: &Path, needed: bool) -> Result<Option<ReadFile>, SettingsError> {
    let failed = |error: &std::io::Error| {
        SettingsError::from(format!("the configuration file {}", explain(path, error)))
    };
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !needed => return Ok(None),
        other => other.map_err(|error| failed(&error))?,
    };
    if metadata.is_dir() {
        let fault = format!("the configuration file {} is a folder: give a file", path.display());
        return Err(fault.into());
    }
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(|error| match error.kind() {
        ErrorKind::InvalidData => {
            format!("{} is not UTF-8 text: save it as UTF-8", path.display()).into()
        }
        _ => failed(&error),
    })?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let fault =
            format!("{} is larger than 256 KiB: check that it is the right file", path.display());
        return Err(fault.into());
    }
    Ok(Some(ReadFile { text, mode: metadata.permissions().mode() & 0o7777 }))
}

fn parse_file(
    entries: &[Entry],
    path: &Path,
    text: &str,
    faults: &mut Vec<String>,
) -> Result<Config, SettingsError> {
    let file = config::File::from_str(text, FileFormat::Toml);
    let source = Config::builder().add_source(file).build().map_err(|error| {
        // First and last line only: between them the parser repeats the line, perhaps a password.
        let message = error.to_string();
        let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("not TOML").to_owned();
        let last = lines.next_back().map(|line| format!(": {line}")).unwrap_or_default();
        SettingsError::from(format!("{}: {first}{last}", path.display()))
    })?;
    let shown = path.display();
    let values = source.collect().map_err(|error| unsettable(&error))?;
    for (section, value) in values {
        let known: Vec<&Entry> = entries.iter().filter(|entry| entry.section == section).collect();
        if known.is_empty() {
            let all: Vec<String> = sections().iter().map(|(name, _)| format!("[{name}]")).collect();
            faults.push(format!(
                "{shown}: unknown section or setting `{section}`; the sections are {}",
                all.join(", ")
            ));
            continue;
        }
        let ValueKind::Table(settings) = value.kind else {
            faults.push(format!("{shown}: `{section}` must be a section: write [{section}]"));
            continue;
        };
        for (name, value) in settings {
            if let Some(entry) = known.iter().find(|entry| entry.name == name) {
                faults.extend(entry.fault_of(&value).map(|fault| format!("{shown}: {fault}")));
                continue;
            }
            let names: Vec<&str> = known.iter().map(|entry| entry.name).collect();
            faults.push(format!(
                "{shown}: unknown setting `{section}.{name}`; [{section}] has {}",
                names.join(", ")
            ));
        }
    }
    faults.sort();
    Ok(source)
}

fn exposed_password(path: &Path, source: &Config, mode: u32) -> Option<String> {
    let url = source.get_string("database.url").ok()?;
    let exposed = mode & 0o044 != 0 && DatabaseUrl(url).has_password();
    exposed.then(|| {
        format!(
            "{0}: database.url contains a password and other accounts can read the file (mode {mode:04o}): run `chmod 600 {0}`, or give the URL in COUNTERSIGN_DATABASE__URL",
            path.display()
        )
    })
}

fn unsettable(error: &config::ConfigError) -> SettingsError {
    error.to_string().replace('\n', " ").into()
}
