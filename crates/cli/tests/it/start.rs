//! Starting: configuration, keys, files, ports.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::run::{LISTEN, Place, connect, free_ports};

/// What `migrate` says.
const SCHEMA: &str = "The database has schema 16.\n";

/// A place with a sound, empty installation in `data`.
fn installed() -> Place {
    let place = Place::new();
    let said = place.run(&["migrate"]).good();
    assert_eq!(said, SCHEMA);
    assert_eq!(place.names("data"), ["countersign.db", "master.key"]);
    place
}

#[test]
fn version_names_program_and_module() {
    let said = Place::new().run(&["version"]).good();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert_eq!(lines[0], format!("countersign {}", env!("CARGO_PKG_VERSION")));
    assert!(
        lines[1].starts_with("FIPS module: AWS-LC FIPS") || lines[1].contains("FIPS"),
        "{said}"
    );
    assert!(Place::new().run(&["config"]).good().contains("[server]"));
}

#[test]
fn check_config_good_and_bad() {
    let mut place = Place::new();
    // Nothing listens here, and the file is to be heard.
    place.unset(LISTEN);
    assert_eq!(place.run(&["serve", "--check-config"]).good(), "The configuration is valid.\n");
    assert_eq!(place.names("."), Vec::<String>::new(), "a check makes nothing");
    let config = place.run(&["config"]).good();
    place.write("countersign.toml", &config);
    place.run(&["serve", "--check-config"]).good();

    place.write("countersign.toml", "[policy]\nsession_idle_seconds = 1\n");
    place.run(&["serve", "--check-config"]).fails("policy.session_idle_seconds must be from 60");
    place.write("countersign.toml", "[server]\nlistne = \"127.0.0.1:1\"\n");
    place.run(&["serve", "--check-config"]).fails("listne");
    place.write("countersign.toml", "[servre]\n");
    place.run(&["serve", "--check-config"]).fails("servre");
    place.write("countersign.toml", "server = [\n");
    place.run(&["serve", "--check-config"]).fails("countersign.toml");
    place.write("countersign.toml", "[server]\nlisten = \"0.0.0.0:8700\"\n");
    place.run(&["serve", "--check-config"]).fails("server.listen");
    place.run(&["serve", "--check-config", "--config", "nothing.toml"]).fails("nothing.toml");
    fs::remove_file(place.path("countersign.toml")).unwrap();
    place.set("COUNTERSIGN_SERVER__LISTNE", "127.0.0.1:1");
    place.run(&["serve", "--check-config"]).fails("COUNTERSIGN_SERVER__LISTNE");
    assert_eq!(place.names("."), Vec::<String>::new());
}

/// What is wrong with a setting, or with the file that it names, is said with the name of the setting.
#[test]
fn a_wrong_setting_is_named_with_its_file_and_the_true_cause() {
    const GATEWAY: &str = "[transmission]\ngateway_url = \"https://gateway.example/rx\"\ngateway_key_file = \"key\"\n";
    const HOOK: &str =
        "[notices]\nwebhook_url = \"https://hook.example/\"\nwebhook_key_file = \"key\"\n";
    const VIP: &str = "[manufacturers]\nenabled = [\"countersign\", \"symantec\"]\n[vip]\nenabled = true\nhmac_key_file = \"key\"\ntoken_key_file = \"other\"\n";
    const PROVIDER: &str = "[proofing]\nprovider_files = [\"key\"]\n";
    const DRUGS: &str = "[signing]\ndrug_table_file = \"key\"\n";
    const MANIFEST: &str = "[signing]\nrelease_manifest_file = \"manifest\"\n";
    let both = format!("{MANIFEST}release_keys_file = \"key\"\n");
    let time = |text: &str| format!("[signing]\ntime_server = \"{text}\"\n");
    let place = Place::new();
    place.write("manifest", "a.b.c");
    let missing = "No such file or directory";
    // Settings, what the file `key` holds (none: it is not there), and what is said.
    let cases: [(&str, Option<&str>, &[&str]); 22] = [
        (MANIFEST, None, &["signing.release_keys_file is empty", "release_manifest_file is set"]),
        (&both, None, &["signing.release_keys_file: key: ", missing]),
        (&both, Some("{}"), &["signing.release_keys_file: key: not a JSON Web Key Set"]),
        (&both, Some("{\"keys\": []}"), &["signing.release_manifest_file: manifest: not valid: "]),
        (
            "[signing]\nrelease_manifest_file = \"no\"\nrelease_keys_file = \"key\"\n",
            None,
            &["signing.release_manifest_file: no: ", missing],
        ),
        (DRUGS, None, &["signing.drug_table_file: key: ", missing]),
        (DRUGS, Some("4 | A\u{202e}B"), &["signing.drug_table_file: key: line 1: ", "U+202E"]),
        (GATEWAY, None, &["transmission.gateway_key_file: key does not exist"]),
        (GATEWAY, Some("abc"), &["transmission.gateway_key_file: key: ", "64 lowercase hexa"]),
        (HOOK, None, &["notices.webhook_key_file: key does not exist"]),
        (HOOK, Some(""), &["notices.webhook_key_file: key: ", "openssl rand -hex 32"]),
        (VIP, None, &["vip.hmac_key_file: the key file key is missing"]),
        (VIP, Some("abc"), &["vip.hmac_key_file: key does not contain 64 hexadecimal digits"]),
        (PROVIDER, None, &["proofing.provider_files: key does not exist"]),
        (PROVIDER, Some("{\n\"name\": 1}"), &["proofing.provider_files: key: line 2: not JSON"]),
        (
            "[transmission]\npharmacies = [\"9999991 Corner\\u202e\"]\n",
            None,
            &["transmission.pharmacies: ", "name and address: ", "U+202E"],
        ),
        (&time("time.nist.gov"), None, &["signing.time_server: ", "it has no port"]),
        (&time("time.nist.gov:0"), None, &["signing.time_server: ", "not a port from 1 to 65535"]),
        (
            &time("time.nist.gov:+123"),
            None,
            &["signing.time_server: ", "not a port from 1 to 65535"],
        ),
        (&time("ntp://time.nist.gov:123"), None, &["signing.time_server: ", "not a host name"]),
        (&time(":123"), None, &["signing.time_server: ", "not a host name"]),
        (&time("::1:123"), None, &["signing.time_server: ", "not a host name"]),
    ];
    for (settings, held, said) in cases {
        place.write("countersign.toml", settings);
        let _ = fs::remove_file(place.path("key"));
        if let Some(held) = held {
            place.write("key", held);
        }
        let answer = place.run(&["serve", "--check-config"]);
        for part in said {
            answer.fails(part);
            assert_eq!(answer.err.matches(part).count(), 1, "said once: {answer:?}");
        }
    }
    for good in ["time.nist.gov:123", "127.0.0.1:123", "[::1]:123", "ntp:1"] {
        place.write("countersign.toml", &time(good));
        place.run(&["serve", "--check-config"]).good();
    }
}

/// A check of the configuration refuses a socket that no start could make, and makes nothing itself.
#[test]
fn a_socket_that_can_not_be_made_is_refused_before_a_start() {
    let mut place = Place::new();
    place.write("letter", "to my aunt");
    fs::create_dir(place.path("folder")).unwrap();
    let unix = |place: &Place, name: &str| format!("unix:{}", place.path(name).display());
    for (name, why) in [
        ("none/server.sock", "none does not exist: create it"),
        ("letter/server.sock", "cannot listen on"),
        ("letter", "letter is a file: remove it"),
        ("folder", "folder is a folder"),
    ] {
        place.set(LISTEN, unix(&place, name));
        let said = place.run(&["serve", "--check-config"]);
        said.fails(why);
        said.fails("server.listen");
    }
    // Nobody makes a socket there, whatever the account.
    place.set(LISTEN, "unix:/sys/server.sock");
    place.run(&["serve", "--check-config"]).fails("server.listen");
    place.set(LISTEN, unix(&place, "folder/server.sock"));
    place.run(&["serve", "--check-config"]).good();
    assert_eq!(place.names("folder"), Vec::<String>::new());
}

/// A configuration file that a command would not read is refused, and not passed over.
#[test]
fn no_configuration_file_is_passed_over() {
    let place = Place::new();
    let file = place.write("c.toml", "").display().to_string();
    let commands = [&["demo"][..], &["version"], &["config"], &["token", "list"]];
    // A build without the demonstration does not know the first.
    for command in commands.into_iter().skip(usize::from(!cfg!(feature = "demo"))) {
        place
            .run(&[&["--config", &file][..], command].concat())
            .fails("does not read a configuration file");
    }
    assert_eq!(place.names("."), ["c.toml"]);
}

/// What listens on the port of the defaults, such as a demonstration, is in no test's way: none of them can take it.
#[test]
fn no_test_takes_the_port_of_the_defaults() {
    let mut place = Place::new();
    place.set("COUNTERSIGN_LOG", "info");
    let server = place.start(&["serve"], "ready");
    let socket = format!("unix:{}", place.path("server.sock").display());
    assert!(server.said.contains(&socket), "{}", server.said);
    assert_eq!(server.stop(), 0);
    // Nor is a port written down anywhere in them: what listens does so on a port that is free.
    let (bind, free) = (concat!("bind", "("), concat!("127.0.0.1", ":0"));
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<_> = ["cli/tests/it", "server/tests/it", "store/tests/it", "testkit/src"]
        .map(|it| folder.join(it))
        .into();
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                let fixed = line.contains(bind)
                    && line.contains(free.trim_end_matches('0'))
                    && !line.contains(free)
                    && !line.contains("{port}");
                assert!(!fixed, "{}:{}: {line}", path.display(), number + 1);
            }
            read += 1;
        }
    }
    assert!(read > 30, "the tests have moved");
}

#[test]
fn several_faults_are_a_line_each() {
    let place = Place::new();
    place.write("countersign.toml", "[policy]\nlaunch_seconds = 1\nstep_up_seconds = 901\n");
    let said = place.run(&["serve"]);
    assert_eq!((said.code, said.err.lines().count()), (1, 2), "{said:?}");
    assert!(said.err.lines().all(|line| line.contains(": policy.")), "{said:?}");
}

#[test]
fn serves_and_stops_when_told() {
    let mut place = Place::new();
    let port = free_ports();
    place.listen_on(port);
    let server = place.start(&["serve"], "ready");
    let mut wire = connect(port);
    assert_eq!(wire.send("GET", "/readyz", "", "").status, 200);
    assert_eq!(wire.send("GET", "/portal/login", "", "").status, 200);
    assert_eq!(wire.send("GET", "/e-prescribing", "", "").status, 403);
    for name in ["countersign.db", "master.key"] {
        let mode = fs::metadata(place.path("data").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} is open to others: {mode:o}");
    }
    assert_eq!(server.stop(), 0);
    assert!(wire.read().is_none(), "connections end with the server");
}

#[test]
fn a_port_that_is_in_use() {
    let mut place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    place.set(LISTEN, address.clone());
    place.set("COUNTERSIGN_LOG", "error");
    place.run(&["serve"]).fails(&format!("{address} is in use"));
    place.run(&["serve"]).fails("choose another address in server.listen");
    drop(taken);
    // What was made meanwhile is whole.
    assert_eq!(place.run(&["migrate"]).good(), SCHEMA);
}

#[test]
fn an_address_that_cannot_be_had() {
    let mut place = Place::new();
    place.set("COUNTERSIGN_LOG", "error");
    place.write("letter", "to my aunt");
    std::os::unix::net::UnixListener::bind(place.path("taken.sock")).unwrap();
    let unix = |place: &Place, name: &str| format!("unix:{}", place.path(name).display());
    for (name, why, what_to_do) in [
        ("none/server.sock", "none does not exist", "create it"),
        ("letter", "letter is a file", "remove it"),
        ("letter/server.sock", "cannot listen on", "choose another address"),
    ] {
        let address = unix(&place, name);
        place.set(LISTEN, address.clone());
        let said = place.run(&["serve"]);
        said.fails(why);
        said.fails(what_to_do);
        said.fails("server.listen");
        assert!(!place.path("data").exists(), "{address}: nothing is made");
    }
    // The socket of a server that is gone is no hindrance; that of one that answers is.
    let _open = std::os::unix::net::UnixListener::bind(place.path("open.sock")).unwrap();
    place.set(LISTEN, unix(&place, "open.sock"));
    place.run(&["serve"]).fails("open.sock is in use");
    place.set(LISTEN, unix(&place, "taken.sock"));
    place.set("COUNTERSIGN_LOG", "info");
    assert_eq!(place.start(&["serve"], "ready").stop(), 0);
}

#[test]
fn a_master_key_that_is_missing_wrong_or_open() {
    let place = installed();
    let key = place.path("data/master.key");
    let right = fs::read_to_string(&key).unwrap();

    fs::remove_file(&key).unwrap();
    for command in [vec!["serve"], vec!["migrate"], vec!["admin", "practices"]] {
        place.run(&command).fails("restore it from your backup");
        assert!(!key.exists(), "{command:?} made a new key beside old data");
    }
    place.write("data/master.key", &"ab".repeat(32));
    place.run(&["serve"]).fails("holds another key");
    place.write("data/master.key", "hello\n");
    place.run(&["serve"]).fails("64 hexadecimal digits");
    place.write("data/master.key", &right);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    place.run(&["serve"]).fails("chmod 600");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(place.run(&["migrate"]).good(), SCHEMA);
}

#[test]
fn a_file_that_is_no_database() {
    let place = installed();
    let path = place.path("data/countersign.db");
    let text = "this is a letter to my aunt, and no database at all\n".repeat(100);
    fs::write(&path, &text).unwrap();
    for command in [vec!["serve"], vec!["migrate"], vec!["admin", "practices"]] {
        place.run(&command).fails("not a SQLite database");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{command:?}");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    place.run(&["serve"]).fails("data/countersign.db");
}

#[test]
fn a_data_folder_that_cannot_be_written() {
    let mut place = Place::new();
    // A file where a folder should be: refused for every account.
    place.write("file", "x");
    place
        .set("COUNTERSIGN_DATABASE__PATH", place.path("file/countersign.db").display().to_string());
    place.run(&["serve"]).fails("file");

    // Mode bits hold nobody back who is root: then run as somebody else.
    let root = fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(1) == Some("0"));
    let mut place = installed();
    // The socket lies where that somebody may make one.
    let sockets = tempfile::tempdir().unwrap();
    fs::set_permissions(sockets.path(), fs::Permissions::from_mode(0o777)).unwrap();
    place.set(LISTEN, format!("unix:{}", sockets.path().join("server.sock").display()));
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(place.folder.path(), open.clone()).unwrap();
    let program = place.path("countersign");
    fs::copy(crate::run::binary(), &program).unwrap();
    let run = |arguments: &[&str]| {
        use std::os::unix::process::CommandExt as _;
        let mut command = place.command_of(&program, arguments);
        if root {
            command.uid(65_534).gid(65_534);
        }
        crate::run::Said::from(command.output().unwrap())
    };
    // A new installation in a folder that takes no files.
    fs::create_dir(place.path("locked")).unwrap();
    fs::set_permissions(place.path("locked"), fs::Permissions::from_mode(0o555)).unwrap();
    place.write("locked.toml", "[database]\npath = \"locked/countersign.db\"\n[keys]\nmaster_key_file = \"locked/master.key\"\n");
    fs::set_permissions(place.path("locked.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    run(&["serve", "--config", "locked.toml"]).fails("locked");
    assert_eq!(place.names("locked"), Vec::<String>::new());
    // An old one that has become read-only.
    if root {
        fs::set_permissions(place.path("data"), fs::Permissions::from_mode(0o755)).unwrap();
        let chown = std::process::Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(place.path("data"))
            .status();
        assert!(chown.unwrap().success());
    }
    run(&["migrate"]).good();
    for name in ["data/countersign.db", "data/master.key"] {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o400)).unwrap();
    }
    fs::set_permissions(place.path("data"), fs::Permissions::from_mode(0o555)).unwrap();
    let before = place.names("data");
    run(&["serve"]).fails("read-only");
    assert_eq!(place.names("data"), before);
    fs::set_permissions(place.path("data"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn migrate_twice_and_never_backward() {
    let place = installed();
    assert_eq!(place.run(&["migrate"]).good(), SCHEMA);
    let database = rusqlite_of(&place);
    database
        .execute_batch(
            "INSERT INTO schema_version (version, name, checksum, applied) VALUES (99, 'later', 'x', 0)",
        )
        .unwrap();
    drop(database);
    for command in [vec!["serve"], vec!["migrate"], vec!["admin", "practices"]] {
        place.run(&command).fails("made by a newer version");
    }
    let database = rusqlite_of(&place);
    database
        .execute_batch(
            "DELETE FROM schema_version WHERE version = 99; UPDATE schema_version SET checksum = 'x'",
        )
        .unwrap();
    drop(database);
    place.run(&["migrate"]).fails("is not the one this program has");
}

fn rusqlite_of(place: &Place) -> countersign_testkit::Connection {
    countersign_testkit::Connection::open(place.path("data/countersign.db")).unwrap()
}

#[test]
fn an_operator_command_does_not_make_an_installation() {
    let place = Place::new();
    let said = place.run(&["admin", "practices"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(!place.path("data/countersign.db").exists(), "{said:?}");
    assert!(!place.path("data/master.key").exists(), "{said:?}");
}

#[test]
fn doctor_says_what_is_wrong_and_what_to_do() {
    let place = installed();
    let said = place.run(&["doctor"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    for name in ["FIPS module", "time", "master key file", "data folder", "database", "schema"] {
        assert!(said.out.lines().any(|line| line.contains(name)), "{name}: {}", said.out);
    }
    assert!(!said.out.contains("FAIL"), "{}", said.out);
    fs::set_permissions(place.path("data/master.key"), fs::Permissions::from_mode(0o666)).unwrap();
    let said = place.run(&["doctor"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("FAIL") && said.out.contains("chmod 600"), "{}", said.out);
    fs::set_permissions(place.path("data/master.key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(place.path("data/countersign.db"), "no database\n".repeat(100)).unwrap();
    let said = place.run(&["doctor"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("To do:"), "{}", said.out);
    // It looks and touches nothing.
    let empty = Place::new();
    let said = empty.run(&["doctor"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(empty.names("."), Vec::<String>::new());
}
