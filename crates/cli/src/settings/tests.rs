use std::{env, fs, os::unix::fs::PermissionsExt, path::Path};

use countersign_domain::Manufacturer;

use super::*;
use super::{
    load::RESERVED,
    parse::{check_symantec_prefix, check_vip_path, parse_listen, parse_public_url},
};

const DOCUMENT_HEAD: &str = "\
# Configuration

This page is made from the code by a test. Change `crates/cli/src/settings.rs`, then run
`UPDATE_DOCS=1 cargo test -p countersign settings`.

Every setting has a default, so that no file is needed to begin. Settings come from, the later
winning over the earlier:

1. the defaults below;
2. the file given by `--config`, or by `COUNTERSIGN_CONFIG`, or `countersign.toml` in the working
   folder where there is one;
3. variables: `COUNTERSIGN_`, the section, two underscores, the name, all in capitals. For example
   `COUNTERSIGN_DATABASE__PATH=/srv/countersign/countersign.db` or
   `COUNTERSIGN_MANUFACTURERS__ENABLED=countersign,symantec`.

An unknown setting or variable, a value of the wrong type and a value out of bounds are refused,
each with a line that says what to do, and nothing starts. `countersign serve --check-config` does
only that check. Relative paths start at the working folder.

## Variables that are no settings

| Variable | Meaning |
|---|---|
";

const DOCUMENT_MIDDLE: &str = "
## All settings

As a file, ready to be copied to `countersign.toml`:

```toml
";

/// `docs/configuration.md`.
fn document() -> String {
    let row = |(name, meaning): &(&str, &str)| {
        let all = if name.ends_with('_') { "*" } else { "" };
        format!("| `{name}{all}` | {meaning} |\n")
    };
    let reserved: String = RESERVED.iter().map(row).collect();
    [DOCUMENT_HEAD, &reserved, DOCUMENT_MIDDLE, &Settings::reference(), "```\n"].concat()
}

fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countersign.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    load_path(&path, variables)
}

fn load_path(path: &Path, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::load_from(None, path, variables.iter().map(|(k, v)| ((*k).into(), (*v).into())))
}

fn faults(result: Result<Settings, SettingsError>) -> String {
    let error = result.unwrap_err();
    assert!(error.0.iter().all(|line| !line.contains('\n')), "{error}");
    error.to_string()
}

#[test]
fn the_reference_holds_every_default() {
    let settings = load_text(&Settings::reference(), &[]).unwrap();
    assert!(settings.file.is_some());
    assert_eq!(Settings { file: None, ..settings }, Settings::default());
    Settings::default().check().unwrap();
    assert_eq!(Settings::default().policy().unwrap(), DomainPolicy::STANDARD);
    let lines = Settings::reference();
    for entry in entries() {
        assert!(lines.contains(&format!("\n{} = ", entry.name)), "{}", entry.key());
        let doc = entry.doc.concat();
        assert!(doc.trim().len() > 15 && doc.ends_with('.'), "{} needs a doc line", entry.key());
    }
}

#[test]
fn the_document_is_the_one_in_the_tree() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, document()).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == document(),
        "docs/configuration.md is out of date: UPDATE_DOCS=1 cargo test -p countersign settings"
    );
}

#[test]
fn variables_win_over_the_file_and_the_file_over_defaults() {
    let text =
        "[database]\npath = \"a.db\"\nconnections = 3\n[practice]\nsupport_phone = \"0800 1\"\n";
    let variables = [
        ("COUNTERSIGN_DATABASE__PATH", "b.db"),
        ("COUNTERSIGN_MANUFACTURERS__ENABLED", "countersign, symantec"),
        ("COUNTERSIGN_POLICY__MAX_ACTIVE_TOKENS", "2"),
        ("COUNTERSIGN_PRACTICE__SUPPORT_NAME", "007"),
        ("COUNTERSIGN_LOG__LEVEL", "debug"),
        ("COUNTERSIGN_LOG", "trace"),
        ("COUNTERSIGN_TOKEN_PIN", "x"),
        ("COUNTERSIGN_TEST_ANYTHING", "x"),
        ("OTHER", "x"),
    ];
    let settings = load_text(text, &variables).unwrap();
    assert_eq!(settings.database.path, Path::new("b.db"));
    assert_eq!(settings.database.connections, 3);
    assert_eq!(settings.practice.support_name, "007");
    assert_eq!(settings.practice.support_phone, "0800 1");
    assert_eq!(settings.policy().unwrap().max_active_tokens, 2);
    assert_eq!(settings.log.level, LogLevel::Debug);
    let makers = settings.manufacturers().unwrap();
    assert_eq!(makers, [Manufacturer::Countersign, Manufacturer::Symantec]);
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    let line = faults(load_text("[server]\nlistn = \"x\"\n", &[]));
    assert!(
        line.contains("unknown setting `server.listn`; [server] has listen, public_url"),
        "{line}"
    );
    let line = faults(load_text("[servers]\nlisten = \"x\"\n", &[]));
    assert!(line.contains("`servers`; the sections are [server], [database]"), "{line}");
    let line = faults(load_text("listen = \"x\"\n", &[]));
    assert!(line.contains("`listen`"), "{line}");
    for name in ["COUNTERSIGN_DATABASE_PATH", "COUNTERSIGN_DATABSE__PATH", "COUNTERSIGN_PIN"] {
        let line = faults(load_text("", &[(name, "x")]));
        assert!(line.contains(&format!("{name} is not a setting")), "{line}");
    }
    let both = load_text("[server]\na = 1\nb = 2\n", &[("COUNTERSIGN_X", "1")]).unwrap_err();
    assert_eq!(both.0.len(), 3);
}

#[test]
fn wrong_types_are_refused_not_converted() {
    let cases = [
        ("[policy]\nmax_active_tokens = 4.6", "policy.max_active_tokens must be a whole number"),
        ("[policy]\nmax_active_tokens = true", "whole number"),
        ("[policy]\nmax_active_tokens = \"4\"", "whole number"),
        ("[policy]\nmax_active_tokens = 6", "from 1 to 5, not 6"),
        ("[policy]\nmax_active_tokens = -1", "from 1 to 5, not -1"),
        ("[policy]\nmax_active_tokens = 4294967297", "from 1 to 5"),
        ("[policy]\npassphrase_iterations = 1000", "from 210000 to 10000000"),
        ("[policy]\notpauth = \"yes\"", "policy.otpauth must be true or false"),
        ("[policy]\nlaunch_seconds = 4", "policy.launch_seconds must be from 5 to 300, not 4"),
        ("[practice]\nsupport_phone = 800", "practice.support_phone must be a string in quotes"),
        ("[manufacturers]\nenabled = \"rsa\"", "must be a list"),
        ("[manufacturers]\nenabled = [1]", "must be a list"),
        ("[database]\nkind = \"mysql\"", "one of sqlite, postgres, not \"mysql\""),
        ("[log]\nlevel = \"loud\"", "one of error, warn"),
        ("[vip]\nenabled = \"true\"", "vip.enabled must be true or false"),
        ("[records]\nyears = 1", "records.years must be from 2 to 100, not 1"),
        ("[vip]\nenabled = 1", "vip.enabled must be true or false"),
        ("server = 3", "write [server]"),
        ("[server\n", "line 1"),
        ("[server]\nlisten = 1\nlisten = 2", "line 3"),
    ];
    for (text, expected) in cases {
        let line = faults(load_text(text, &[]));
        assert!(line.contains(expected) && line.contains("countersign.toml: "), "{text}: {line}");
    }
    for (name, value, expected) in [
        ("COUNTERSIGN_POLICY__MAX_ACTIVE_TOKENS", "many", "whole number"),
        ("COUNTERSIGN_POLICY__MAX_ACTIVE_TOKENS", "", "whole number"),
        ("COUNTERSIGN_POLICY__MAX_ACTIVE_TOKENS", "9", "from 1 to 5"),
        ("COUNTERSIGN_DATABASE__KIND", "mysql", "one of sqlite"),
        ("COUNTERSIGN_VIP__ENABLED", "yes", "must be true or false"),
    ] {
        let line = faults(load_text("", &[(name, value)]));
        assert!(line.starts_with(&format!("{name}: ")) && line.contains(expected), "{line}");
    }
}

/// Shows: R-1311.305-b, A19
#[test]
fn a_state_asks_for_more_years_and_not_for_fewer() {
    for (states, expected) in [
        ("NE 5", "records.states: a state can require more years"),
        ("Nebraska", "records.states: \"Nebraska\": write the two letters"),
    ] {
        let line = faults(load_text(&format!("[records]\nstates = [\"{states}\"]\n"), &[]));
        assert!(line.contains(expected), "{line}");
    }
    let settings = load_text("[records]\nstates = [\"NE 7\", \"CT 8\"]\n", &[]).unwrap();
    assert_eq!(settings.retention().unwrap().years("NE".parse().ok()), 7);
}

#[test]
fn every_listed_word_is_taken() {
    for entry in entries() {
        for word in entry.words() {
            // Some words need another setting beside them.
            let more = match *word {
                "postgres" => "\nurl = \"postgres://h/d\"",
                "proxy-protocol" => "\ntrusted_proxies = [\"127.0.0.1\"]",
                _ => "",
            };
            let text = format!("[{}]\n{} = \"{word}\"{more}\n", entry.section, entry.name);
            load_text(&text, &[]).unwrap();
        }
    }
    assert_eq!(LogLevel::Trace.code(), "trace");
}

/// Shows: N-07, H-164.312-e1
#[test]
fn only_loopback_and_sockets_are_listened_on() {
    for good in ["127.0.0.1:8700", "127.1.2.3:1", "[::1]:8700", "unix:/run/c.sock"] {
        assert!(parse_listen(good).is_ok(), "{good}");
    }
    for open in ["0.0.0.0:8700", "[::]:8700", "192.0.2.7:8700", "[::ffff:127.0.0.1]:8700"] {
        assert!(parse_listen(open).unwrap_err().contains("TLS terminator"), "{open}");
    }
    let long = format!("unix:/{}", "x".repeat(107));
    for bad in ["", "localhost:8700", "127.0.0.1", "8700", "unix:", "unix:run/c.sock", &long] {
        assert!(parse_listen(bad).is_err(), "{bad}");
    }
}

#[test]
fn proxies_are_read_or_named_as_wrong() {
    let text = "[server]\ntrusted_proxies = [\"127.0.0.1\", \"10.1.0.0/16\", \"unix\"]\nclient_address = \"proxy-protocol\"\n";
    load_text(text, &[]).unwrap().client_addresses().unwrap();
    let variable = [("COUNTERSIGN_SERVER__TRUSTED_PROXIES", "::1, fd00:1::/32")];
    assert_eq!(load_text("", &variable).unwrap().server.trusted_proxies.len(), 2);
    for (text, expected) in [
        ("trusted_proxies = [\"localhost\"]", "\"localhost\": give an address"),
        ("trusted_proxies = [\"10.1.2.3/8\"]", "starts at 10.0.0.0/8"),
        ("trusted_proxies = [\"0.0.0.0/0\"]", "every address"),
        ("client_address = \"proxy-protocol\"", "no proxy is trusted"),
        ("client_address = \"x-real-ip\"", "one of x-forwarded-for, forwarded, proxy-protocol"),
    ] {
        let line = faults(load_text(&format!("[server]\n{text}\n"), &[]));
        assert!(line.contains(expected), "{text}: {line}");
    }
}

/// Shows: N-07
#[test]
fn the_public_address_is_an_origin_and_https() {
    for (text, origin) in [
        ("http://127.0.0.1:8700", "http://127.0.0.1:8700"),
        ("http://localhost:8700/", "http://localhost:8700"),
        ("http://[::1]:8700", "http://[::1]:8700"),
        ("https://Erx.Example.org:443", "https://erx.example.org"),
    ] {
        let mut settings = Settings::default();
        settings.server.public_url = text.into();
        settings.check().unwrap();
        assert_eq!(settings.public_origin().unwrap(), origin);
    }
    for bad in [
        "",
        "erx.example.org",
        "http://erx.example.org",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "https://erx.example.org/portal",
        "https://erx.example.org/?a=b",
        "https://user@erx.example.org",
        "ftp://127.0.0.1",
    ] {
        assert!(parse_public_url(bad).is_err(), "{bad}");
    }
}

#[test]
fn check_reports_every_fault() {
    let mut settings = Settings::default();
    settings.server.listen = "0.0.0.0:80".into();
    settings.database.path = PathBuf::new();
    settings.database.connections = 0;
    settings.keys.master_key_file = "data/".into();
    settings.practice.support_name = " ".into();
    settings.practice.support_email = "nobody".into();
    settings.manufacturers.enabled = vec!["rsa".into(), "rsa".into()];
    settings.manufacturers.symantec_prefix = "AVT".into();
    settings.policy.token_lock_from = 2;
    let error = settings.check().unwrap_err();
    assert_eq!(error.0.len(), 9, "{error}");
    settings = Settings::default();
    settings.policy.token_disable_at = 5;
    let line = settings.check().unwrap_err().to_string();
    assert!(line.contains("policy.token_disable_at"), "{line}");
    assert!(settings.policy().is_err());
}

#[test]
fn the_bounds_shown_are_those_of_the_domain() {
    let at = |edge: fn((i64, i64)) -> i64| {
        let mut text = String::from("[policy]\n");
        for entry in entries().iter().filter(|entry| entry.section == "policy") {
            // A word has no bounds.
            let Some(bounds) = entry.bounds else { continue };
            text += &[entry.name, " = ", &edge(bounds).to_string(), "\n"].concat();
        }
        load_text(&text, &[])
    };
    at(|(low, _)| low).unwrap();
    at(|(_, high)| high).unwrap();
    assert_eq!(at(|(low, _)| low - 1).unwrap_err().0.len(), 20);
    assert_eq!(at(|(_, high)| high + 1).unwrap_err().0.len(), 20);
}

#[test]
fn the_vip_path_is_its_own() {
    for good in ["/vip", "/a/b-c_D/9"] {
        check_vip_path(good).unwrap();
    }
    let long = "/x".repeat(51);
    for bad in ["", "/", "vip", "/vip/", "//vip", "/v p", "/{x}", "/..", "/v?x", &long] {
        assert!(check_vip_path(bad).unwrap_err().contains("is not a path"), "{bad}");
    }
    for taken in ["/portal", "/api/vip", "/provision"] {
        assert!(check_vip_path(taken).unwrap_err().contains("already in use"), "{taken}");
    }
    let alone = faults(load_text("[vip]\nenabled = true\n", &[]));
    assert!(alone.contains("manufacturers.enabled"), "{alone}");
    let variables = [
        ("COUNTERSIGN_VIP__ENABLED", "true"),
        ("COUNTERSIGN_MANUFACTURERS__ENABLED", "countersign,symantec"),
    ];
    assert!(load_text("", &variables).unwrap().vip.enabled);
    let prefix = check_symantec_prefix("UBHE").unwrap_err();
    assert!(prefix.contains("SYMC") && prefix.matches("UBHE").count() == 1, "{prefix}");
}

#[test]
fn a_password_in_an_open_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    let text = |url: &str| format!("[database]\nkind = \"postgres\"\nurl = \"{url}\"\n");
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    for url in [
        "postgres://app:s3cret@db1:5432,db2:5432/erx",
        "postgres://app:s3/cret@db1/erx",
        "postgresql://db1/erx?user=app&password=s3cret",
        "host=db1,db2 user=app password=s3cret",
    ] {
        fs::write(&path, text(url)).unwrap();
        mode(0o644);
        let line = faults(load_path(&path, &[]));
        assert!(line.contains("chmod 600") && !line.contains("s3"), "{line}");
        mode(0o600);
        let settings = load_path(&path, &[]).unwrap();
        assert_eq!(settings.database.url.expose(), url);
        let shown = format!("{settings:?} {}", serde_json::to_string(&settings).unwrap());
        assert!(!shown.contains("s3"), "{shown}");
    }
    fs::write(&path, text("postgres://app@db1:5432/erx")).unwrap();
    mode(0o644);
    assert!(load_path(&path, &[]).is_ok());
    let secret = [("COUNTERSIGN_DATABASE__URL", "postgres://app:s3cret@db1/erx")];
    assert!(load_path(&path, &secret).is_ok());
    assert!(faults(load_text(&text(""), &[])).contains("database.url is empty"));
    let line = faults(load_text(&text("s3cret"), &[]));
    assert!(line.contains("not valid") && !line.contains("s3"), "{line}");
    let line = faults(load_text("[database]\nurl = \"postgres://h/d\"", &[]));
    assert!(line.contains("kind is sqlite"), "{line}");
    let line = faults(load_text("[database]\nurl = \"postgres://a:s3cret@h/d\" x", &[]));
    assert!(!line.contains("s3"), "{line}");
}

#[test]
fn files_that_are_named_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no.toml");
    assert_eq!(load_path(&missing, &[]).unwrap(), Settings::default());
    let named = [("COUNTERSIGN_CONFIG", missing.to_str().unwrap())];
    assert!(faults(load_path(Path::new("x"), &named)).contains("no.toml"));
    let given = Settings::load_from(Some(&missing), Path::new("x"), std::iter::empty());
    assert!(faults(given).contains("correct the path"));
    assert!(faults(load_path(folder.path(), &[])).contains("is a folder"));
    assert_eq!(load_path(&missing, &[("COUNTERSIGN_CONFIG", "")]).unwrap(), Settings::default());
    let file = folder.path().join("big.toml");
    fs::write(&file, "#".repeat(300_000)).unwrap();
    assert!(faults(load_path(&file, &[])).contains("larger"));
    fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(faults(load_path(&file, &[])).contains("UTF-8"));
}
