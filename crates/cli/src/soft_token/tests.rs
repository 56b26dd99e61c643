use std::{net::TcpListener, os::unix::fs::PermissionsExt, path::Path, thread};

use countersign_crypto::{SecretBytes, SecretText, SystemRng};
use countersign_domain::{CredentialId, DeviceClass};
use countersign_provision::native::ProvisionRequest;

use super::{pin::Pin, server::Credential, *};

/// RFC 6238's SHA-256 seed of appendix B, in Base32.
const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA";
const PIN: &str = "plum anchor violet";

fn fixed() -> Timestamp {
    Timestamp::from_seconds(1_111_111_109)
}

fn pin(text: &str) -> Pin {
    Pin::new(SecretText::new(text.to_owned())).unwrap()
}

fn credential() -> Credential {
    Credential {
        id: CredentialId::parse("CNST12345674", None).unwrap(),
        params: OtpParams::OWN,
        seed: TokenSeed::new(SecretBytes::new(
            data_encoding::BASE32_NOPAD.decode(SEED.as_bytes()).unwrap(),
        ))
        .unwrap(),
        expires: None,
    }
}

fn keep(folder: &Path, name: &str, id: &str) -> PathBuf {
    let credential = Credential { id: CredentialId::parse(id, None).unwrap(), ..credential() };
    let stored = StoredToken::seal(name, &credential, &pin(PIN)).unwrap();
    let path = folder.join(format!("{id}.json"));
    private_file::create(&path, &serde_json::to_vec_pretty(&stored).unwrap()).unwrap();
    path
}

fn pin_file(folder: &Path) -> PinSource {
    let path = folder.join("pin");
    private_file::create(&path, format!("{PIN}\r\nsecond line\n").as_bytes()).unwrap();
    PinSource { pin_file: Some(path) }
}

fn fail<T>(result: anyhow::Result<T>) -> String {
    format!("{:#}", result.err().unwrap())
}

/// What was asked, and the seed that was agreed.
type Asked = (Vec<String>, Option<TokenSeed>);

/// How a request is answered.
enum Reply {
    Fixed(&'static str, String),
    /// As the protocol has it, with this ID.
    Credential(&'static str),
    /// The same by somebody who knows another seed.
    Impostor(&'static str),
}

/// Answers one request after the other; gives back what was asked, and the seed that was agreed.
fn server(answers: Vec<Reply>) -> (String, thread::JoinHandle<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (mut asked, mut agreed) = (Vec::new(), None);
        for reply in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut chunk = [0; 2_048];
            // The small requests of this client come whole once their JSON object has ended.
            while !(request.ends_with(b"}")
                || request.starts_with(b"GET") && request.ends_with(b"\r\n\r\n"))
            {
                let read = stream.read(&mut chunk).unwrap();
                request.extend_from_slice(&chunk[..read]);
            }
            let request = String::from_utf8(request).unwrap();
            let (status, body) = match reply {
                Reply::Fixed(status, body) => (status, body),
                Reply::Credential(id) | Reply::Impostor(id) => {
                    let body = request.split_once("\r\n\r\n").unwrap().1;
                    let asked = ProvisionRequest::from_json(body.as_bytes()).unwrap();
                    assert_eq!(asked.device_class, DeviceClass::Terminal);
                    let id = CredentialId::parse(id, None).unwrap();
                    let expires = Timestamp::from_micros(1_111_197_509_000_000);
                    let (mut answer, seed) = asked.answer(id.clone(), fixed(), expires).unwrap();
                    if matches!(reply, Reply::Impostor(_)) {
                        answer.confirmation =
                            asked.answer(id, fixed(), expires).unwrap().0.confirmation;
                    }
                    agreed = Some(seed);
                    ("201 Created", answer.to_json())
                }
            };
            asked.push(request);
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
        (asked, agreed)
    });
    (address, asked)
}

fn time_answer(offset_ms: i64) -> Reply {
    let time = fixed().micros() / 1_000 + offset_ms;
    Reply::Fixed("200 OK", format!("{{\"unix_time_ms\":{time}}}"))
}

fn new_arguments(folder: &Path, server: String, name: &str) -> NewToken {
    NewToken {
        server,
        name: name.parse().unwrap(),
        family: Family::Countersign,
        pairing_code: None,
        pin: PinSource { pin_file: Some(folder.join("pin")) },
        folder: TokenFolder { dir: Some(folder.join("tokens")) },
    }
}

#[test]
fn a_new_token_is_kept_sealed_and_shows_the_right_passcode() {
    let folder = tempfile::tempdir().unwrap();
    pin_file(folder.path());
    let (address, asked) = server(vec![time_answer(-42_500), Reply::Credential("CNST12345674")]);
    let arguments = new_arguments(folder.path(), address, "my phone");
    let mut out = Vec::new();
    new_token(&arguments, fixed, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("CNST 1234 5674") && out.contains("code 'my phone'"), "{out}");
    assert!(out.contains("42 s ahead of the server"), "{out}");
    assert!(out.contains("discards the credential at 2005-03-19 01:58 UTC"), "{out}");
    let (asked, agreed) = asked.join().unwrap();
    let agreed = agreed.unwrap();
    assert!(asked[0].starts_with("GET /provision/v1/time "), "{asked:?}");
    assert!(asked[1].starts_with("POST /provision/v1/credentials "), "{asked:?}");
    assert!(asked[1].to_lowercase().contains("content-type: application/json"), "{asked:?}");

    let path = folder.path().join("tokens/CNST12345674.json");
    let text = fs::read_to_string(&path).unwrap();
    for shown in [&out, &text] {
        let base32 = data_encoding::BASE32_NOPAD.encode(agreed.expose());
        assert!(!shown.contains(&base32), "{shown}");
        assert!(!shown.contains(PIN));
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

    let stored = find_token(path.parent().unwrap(), None).unwrap();
    let (seed, params) = stored.open(&pin(PIN)).unwrap();
    assert_eq!(seed.expose(), agreed.expose());
    let code = passcode(&agreed, &params, params.step_at(fixed()));
    let shown = format!("{} {}   (1 s left)", &code[..3], &code[3..]);
    assert_eq!(code_line(&seed, params, fixed()), shown);

    let arguments = new_arguments(folder.path(), "http://127.0.0.1:1".into(), "my phone");
    let line = fail(new_token(&arguments, fixed, &mut Vec::new()));
    assert!(line.contains("already exists here"), "{line}");
}

#[test]
fn what_the_server_says_is_shown_and_nothing_is_kept() {
    let problem = r#"{"type":"about:blank","title":"Too many","detail":"Wait a minute.\u001b[2J","status":429}"#;
    let fixed_reply = |status, body: &str| Reply::Fixed(status, body.to_owned());
    let cases = [
        (vec![fixed_reply("404 Not Found", "<html>")], "returned 404"),
        (vec![fixed_reply("200 OK", "{}")], "invalid response"),
        (vec![fixed_reply("302 Found", "")], "returned 302"),
        (
            vec![time_answer(0), fixed_reply("429 Too Many Requests", problem)],
            "rejected the request: Wait a minute. [2J",
        ),
        (vec![time_answer(0), Reply::Credential("SYMC12345674")], "invalid response"),
        (vec![time_answer(0), Reply::Impostor("CNST12345674")], "nothing was saved"),
        (vec![time_answer(0), fixed_reply("201 Created", r#"{"seed":"x"}"#)], "invalid response"),
        (
            vec![time_answer(0), fixed_reply("201 Created", &"x".repeat(100_000))],
            "invalid response",
        ),
    ];
    for (answers, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        pin_file(folder.path());
        let (address, asked) = server(answers);
        let line = fail(new_token(
            &new_arguments(folder.path(), address.clone(), "phone"),
            fixed,
            &mut Vec::new(),
        ));
        asked.join().unwrap();
        assert!(line.contains(expected) && line.contains(&address), "{line}");
        assert!(!line.contains(['\n', '\u{1b}']), "{line}");
        assert_eq!(fs::read_dir(folder.path().join("tokens")).unwrap().count(), 0);
    }
}

#[test]
fn addresses_over_which_a_seed_would_be_read_are_refused() {
    for (address, expected) in [
        ("http://erx.example.org", "use https"),
        ("http://192.0.2.1:8700", "use https"),
        ("http://localhost.example.org", "use https"),
        ("erx.example.org", "give an address such as"),
        ("file:///etc/passwd", "give an address such as"),
        ("https://erx.example.org/portal", "without a path or user: https://erx.example.org"),
        ("https://user@erx.example.org", "without a path or user"),
    ] {
        let line = fail(Server::at(address));
        assert!(line.contains(expected), "{address}: {line}");
    }
    for address in ["http://127.0.0.1:8700", "http://localhost:8700/", "http://[::1]:8700"] {
        assert!(Server::at(address).is_ok(), "{address}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let server = Server::at(&format!("http://127.0.0.1:{port}")).unwrap();
    let line = fail(server.clock_offset_ms(fixed));
    assert!(line.contains("can't be reached") && line.contains("check the address"), "{line}");
}

#[test]
fn the_seal_holds_against_another_pin_name_id_or_setting() {
    let folder = tempfile::tempdir().unwrap();
    let path = keep(folder.path(), "phone", "CNST12345674");
    let stored = StoredToken::read(&path).unwrap();
    assert!(fail(stored.open(&pin("plum anchor violin"))).contains("incorrect PIN"));
    let text = fs::read_to_string(&path).unwrap();
    let other_id =
        CredentialId::random(countersign_domain::TokenKind::OtpSoft, &mut SystemRng).unwrap();
    for (from, to) in [
        ("\"phone\"", "\"other\""),
        ("CNST12345674", other_id.as_str()),
        ("SHA256", "SHA1"),
        ("\"digits\": 6", "\"digits\": 8"),
        ("\"period\": 30", "\"period\": 60"),
        ("210000", "210001"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let changed = StoredToken::read(&path).unwrap();
        assert!(fail(changed.open(&pin(PIN))).contains("was changed"), "{to}");
    }
    for (from, to, expected) in [
        ("210000", "1000", "damaged"),
        ("210000", "4000000000", "damaged"),
        ("\"version\": 1", "\"version\": 2", "newer version"),
        ("\"version\": 1", "\"version\": 0", "damaged"),
        ("\"digits\": 6", "\"digits\": 5", "damaged"),
        ("\"salt\": \"", "\"salt\": \"AAAA", "damaged"),
        ("{", "", "damaged"),
        ("{", "{\"more\": 1,", "damaged"),
    ] {
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        assert!(fail(StoredToken::read(&path)).contains(expected), "{to}");
    }
    fs::write(&path, text).unwrap();
    assert!(StoredToken::read(&path).unwrap().open(&pin(PIN)).is_ok());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(fail(StoredToken::read(&path)).contains("chmod 600"));
}

#[test]
fn one_token_needs_no_name_and_more_do() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    assert!(fail(find_token(dir, None)).contains("token new --server URL"));
    assert!(fail(find_token(&dir.join("no"), Some("x"))).contains("is empty"));
    keep(dir, "phone", "CNST12345674");
    assert_eq!(find_token(dir, None).unwrap().name, "phone");
    keep(dir, "desk top", "SYMC26070843");
    assert_eq!(find_token(dir, Some("desk top")).unwrap().credential_id, "SYMC26070843");
    assert_eq!(find_token(dir, Some("symc 2607 0843")).unwrap().name, "desk top");
    assert!(fail(find_token(dir, None)).contains("give one of these names: 'desk top', phone"));
    assert!(fail(find_token(dir, Some("no"))).contains("available: 'desk top', phone"));
    keep(dir, "phone", "SYMC26070844");
    assert!(fail(find_token(dir, Some("phone"))).contains("give the credential ID"));
    assert_eq!(find_token(dir, Some("SYMC26070844")).unwrap().name, "phone");
    fs::write(dir.join("broken.json"), "{}").unwrap();
    assert!(find_token(dir, Some("desk top")).is_ok(), "a damaged file stops no other token");
}

#[test]
fn list_and_remove() {
    let folder = tempfile::tempdir().unwrap();
    let place = || TokenFolder { dir: Some(folder.path().into()) };
    let listed = || {
        let mut out = Vec::new();
        let result = list_tokens(&place(), &mut out);
        (String::from_utf8(out).unwrap(), result)
    };
    assert!(listed().0.contains("No tokens in"));
    let path = keep(folder.path(), "phone", "CNST12345674");
    keep(folder.path(), "fob", "FT1234567890");
    let (out, result) = listed();
    result.unwrap();
    assert_eq!(
        out,
        "fob    FT 1234 5678 90  6 digits every 30 s\nphone  CNST 1234 5674  6 digits every 30 s\n"
    );
    let remove = |confirm: fn(&str) -> anyhow::Result<bool>, yes| {
        let arguments = RemoveToken { name: "phone".into(), yes, folder: place() };
        let mut out = Vec::new();
        remove_token(&arguments, confirm, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(
        remove(|what| Ok(what != "phone (CNST 1234 5674)"), false).contains("Nothing was removed")
    );
    assert!(path.exists());
    assert!(remove(|_| panic!("must not ask"), true).contains("disable CNST 1234 5674"));
    assert!(!path.exists());
    private_file::create(&folder.path().join("broken.json"), b"{}").unwrap();
    let (out, result) = listed();
    assert!(out.contains("fob") && fail(result).contains("broken.json is damaged"));
}

#[test]
fn code_for_a_pipe_is_digits_only() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("tokens");
    private_file::create_folder(&dir).unwrap();
    keep(&dir, "phone", "CNST12345674");
    let mut arguments = ShowCode {
        name: None,
        watch: false,
        plain: false,
        sign: None,
        pin: pin_file(folder.path()),
        folder: TokenFolder { dir: Some(dir) },
    };
    let code = |arguments: &ShowCode, terminal| {
        let mut out = Vec::new();
        show_code(arguments, terminal, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let digits = code(&arguments, false);
    assert!(digits.len() == 7 && digits.trim().bytes().all(|b| b.is_ascii_digit()), "{digits}");
    assert!(code(&arguments, true).ends_with(" s left)\n"));
    arguments.plain = true;
    assert_eq!(code(&arguments, true).len(), 7);
    // For a number of what is signed: 8 digits, other ones for another number.
    let signing = ["1234 5678", "12345679"].map(|number| {
        arguments.sign = Some(number.to_owned());
        code(&arguments, true)
    });
    assert!(signing.iter().all(|code| code.len() == 9) && signing[0] != signing[1]);
    arguments.sign = Some("1234".to_owned());
    assert!(fail(show_code(&arguments, true, &mut Vec::new())).contains("8-digit"));
}

#[test]
fn watching_shows_each_second_and_each_new_code() {
    let Credential { seed, params, .. } = credential();
    let run = |plain| {
        let (mut out, mut waits) = (Vec::new(), Vec::new());
        let mut time = fixed().micros() + 250_000;
        let mut times = [time, time + 750_000, time + 1_750_000].into_iter();
        let mut clock = || {
            time = times.next().unwrap();
            Timestamp::from_micros(time)
        };
        let mut wait = |left: Duration| {
            waits.push(left.as_millis());
            if waits.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        watch(&seed, params, plain, &mut out, &mut clock, &mut wait).unwrap();
        assert_eq!(waits, [750, 1_000, 1_000]);
        String::from_utf8(out).unwrap()
    };
    let shown = run(false);
    assert!(shown.starts_with("\r084 774   (1 s left)\u{1b}[K\r"), "{shown:?}");
    assert!(shown.contains("(30 s left)") && shown.ends_with("(29 s left)\u{1b}[K"), "{shown:?}");
    let plain = run(true);
    assert!(plain.starts_with("084774\n") && plain.lines().count() == 2, "{plain:?}");
}

#[test]
fn pins_have_six_characters_and_private_files() {
    let refused = |text: &str| fail(Pin::new(SecretText::new(text.to_owned())));
    assert!(refused("12345").contains("at least 6 characters"));
    assert!(refused("ééééé").contains("at least 6 characters"));
    assert!(refused(&"x".repeat(129)).contains("128 bytes"));
    assert!(refused("12345\t6").contains("invalid character"));
    let folder = tempfile::tempdir().unwrap();
    let source = pin_file(folder.path());
    assert_eq!(source.read(true).unwrap().0.expose(), PIN);
    let path = source.pin_file.clone().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(fail(source.read(false)).starts_with("PIN file: "));
    assert!(fail(Pin::from_file(&folder.path().join("no"))).contains("does not exist"));
    assert!(fail(Pin::from_file(folder.path())).contains("not a regular file"));
    assert!(fail(Pin::from_file(Path::new("/dev/null"))).contains("at least 6"));
}

#[test]
fn an_open_folder_is_refused_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = new_arguments(folder.path(), "http://127.0.0.1:1".into(), "phone");
    let dir = folder.path().join("tokens");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    let line = fail(new_token(&arguments, fixed, &mut Vec::new()));
    assert!(line.contains("chmod 700"), "{line}");
}

#[test]
fn words_for_people() {
    assert_eq!(clock_warning(3_000), None);
    assert!(clock_warning(-3_001).unwrap().contains("3 s ahead of"));
    assert!(clock_warning(90_000).unwrap().contains("90 s behind"));
    assert_eq!(quoted("it's"), r"'it'\''s'");
    assert_eq!(quoted("-x"), "'-x'");
    let id = CredentialId::parse("AVT123456789", None).unwrap();
    assert_eq!(grouped_id(&id), "AVT 1234 5678 9");
}
