//! The demonstration, and the soft token for the terminal against it.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use serde_json::Value;

use crate::run::{Place, Said, Server, connect, free_ports};

const READY: &str = "Press Ctrl-C to stop";

fn demo(place: &Place, port: u16) -> Server {
    place.start(&["demo", "--data", "data", "--port", &port.to_string()], READY)
}

fn facts(place: &Place) -> Value {
    serde_json::from_slice(&fs::read(place.path("data/demo.json")).unwrap()).unwrap()
}

#[test]
fn a_second_start_keeps_the_data_and_a_reset_takes_only_its_own() {
    let place = Place::new();
    let port = free_ports();
    let server = demo(&place, port);
    let first = facts(&place);
    assert_eq!(first["chart_url"], format!("http://127.0.0.1:{}/patients/p-1001", port + 1));
    assert_eq!(first["eprescribe_url"], format!("http://127.0.0.1:{port}/e-prescribing"));
    assert_eq!(first["portal_url"], format!("http://127.0.0.1:{port}/portal"));
    for name in ["chart_url", "npi", "passphrase", "token_command"] {
        assert!(server.said.contains(first[name].as_str().unwrap()), "{name}: {}", server.said);
    }
    let command = first["token_command"].as_str().unwrap();
    let code = Command::new("sh").args(["-c", command]).output().unwrap();
    let code = String::from_utf8(code.stdout).unwrap();
    assert!(code.trim().len() == 6 && code.trim().bytes().all(|b| b.is_ascii_digit()), "{code:?}");
    assert_eq!(connect(port).send("GET", "/portal/login", "", "").status, 200);
    assert_eq!(connect(port + 1).send("GET", "/patients/p-1001", "", "").status, 200);
    let away = connect(port + 1).send("GET", "/patients/p-1001/e-prescribing", "", "");
    assert_eq!(away.status, 303);
    // Another start on the same ports says so, and harms nothing.
    let twice: Said = place
        .command(&["demo", "--data", "data", "--port", &port.to_string()])
        .output()
        .unwrap()
        .into();
    twice.fails("is in use");
    assert_eq!(server.stop(), 0);

    let server = demo(&place, port);
    assert_eq!(facts(&place), first, "a second start keeps the data");
    assert_eq!(server.stop(), 0);
    for name in place.names("data") {
        let mode = fs::metadata(place.path("data").join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} is open to others: {mode:o}");
    }

    place.write("data/my-notes.txt", "mine");
    let said = place.run(&["demo", "--data", "data", "--reset-only"]).good();
    assert!(said.contains("removed"), "{said}");
    assert_eq!(place.names("data"), ["my-notes.txt"]);
    place.run(&["demo", "--data", "data", "--reset-only"]).fails("not a demonstration folder");
    assert_eq!(place.names("data"), ["my-notes.txt"]);
    let said = place.run(&["demo", "--data", "nowhere", "--reset-only"]).good();
    assert!(said.contains("Nothing to reset"), "{said}");
}

#[test]
fn a_port_in_use_leaves_no_half_made_demonstration() {
    let place = Place::new();
    let port = free_ports();
    let taken = std::net::TcpListener::bind(("127.0.0.1", port + 1)).unwrap();
    let arguments = ["demo".to_owned(), "--port".to_owned(), port.to_string()];
    place.run(&arguments).fails("is in use");
    assert_eq!(place.names("data"), Vec::<String>::new());
    drop(taken);
    assert_eq!(demo(&place, port).stop(), 0);
}

#[test]
fn a_real_installation_is_not_turned_into_a_demonstration() {
    let place = Place::new();
    place.run(&["migrate"]).good();
    let before = place.names("data");
    let arguments = ["demo".to_owned(), "--port".to_owned(), free_ports().to_string()];
    place.run(&arguments).fails("contains a database that is not a demonstration");
    place.run(&["demo", "--reset-only"]).fails("nothing was removed");
    assert_eq!(place.names("data"), before);
}

#[test]
fn a_token_for_the_terminal() {
    let mut place = Place::new();
    let port = free_ports();
    let server = demo(&place, port);
    let url = format!("http://127.0.0.1:{port}");
    let pin = place.write("pin", "correct battery\n").display().to_string();
    let wrong = place.write("wrong", "another battery\n").display().to_string();
    let short = place.write("short", "1234\n").display().to_string();
    place.set("COUNTERSIGN_TOKEN_DIR", place.path("tokens").display().to_string());
    let new = |name: &str, pin: &str| {
        place.run(&["token", "new", "--server", &url, "--name", name, "--pin-file", pin])
    };
    new("laptop", &short).fails("at least 6 characters");
    assert!(!place.path("tokens").exists() || place.names("tokens").is_empty());
    let said = new("laptop", &pin).good();
    assert!(said.contains("CNST"), "{said}");
    // What it says to do next works as it stands.
    let next = said.lines().find(|line| line.contains(" token code ")).unwrap().trim();
    assert!(next.contains(" --dir "), "{next}");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", next]).current_dir("/").env("COUNTERSIGN_TOKEN_PIN", "correct battery");
    let shown = shell.output().unwrap();
    assert!(shown.status.success() && shown.stdout.len() == 7, "{next}: {shown:?}");
    new("laptop", &pin).fails("already exists here");
    let names = place.names("tokens");
    assert_eq!(names.len(), 1);
    let file = place.path("tokens").join(&names[0]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let code = |pin: &str| place.run(&["token", "code", "laptop", "--pin-file", pin]);
    let shown = code(&pin).good();
    assert!(shown.trim().len() == 6 && shown.trim().bytes().all(|b| b.is_ascii_digit()), "{shown}");
    code(&wrong).fails("incorrect PIN");
    code(&place.path("nothing").display().to_string()).fails("does not exist");
    place.run(&["token", "code", "phone", "--pin-file", &pin]).fails("phone");
    let listed = place.run(&["token", "list"]).good();
    assert!(listed.starts_with("laptop") && listed.contains("6 digits every 30 s"), "{listed}");
    assert!(!listed.contains(shown.trim()), "a list shows no code");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    place.run(&["token", "code", "laptop", "--pin-file", &pin]).fails("chmod 600");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    place.run(&["token", "remove", "laptop"]).good();
    assert!(place.names("tokens").is_empty());
    place.run(&["token", "remove", "laptop"]).fails("laptop");
    assert_eq!(server.stop(), 0);
    // Without a server: one line, and nothing is kept.
    let said = place.run(&["token", "new", "--server", &url, "--name", "x", "--pin-file", &pin]);
    assert_eq!((said.code, said.err.lines().count()), (1, 1), "{said:?}");
    assert!(place.names("tokens").is_empty());
    let said = place.run(&[
        "token",
        "new",
        "--server",
        "http://erx.example",
        "--name",
        "x",
        "--pin-file",
        &pin,
    ]);
    said.fails("https");
}
