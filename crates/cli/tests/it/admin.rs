//! What an operator does on the command line.

use countersign_domain::Date;
use countersign_store::Database;
use countersign_testkit::{PASSPHRASE, fill, open_store, real_now, write_key_file};

use crate::run::{Place, connect, free_ports};

const NPI: &str = "1234567893";

fn id_of(said: &str) -> String {
    said.trim().rsplit(' ').next().unwrap().to_owned()
}

/// Shows: H-164.312-a2i
#[test]
fn practices_people_and_keys() {
    let place = Place::new();
    place.run(&["migrate"]).good();
    let practice = id_of(&place.run(&["admin", "practice", "--name", "Lakeside Clinic"]).good());
    let said = place.run(&["admin", "practices"]).good();
    assert_eq!(said, format!("{practice}  Lakeside Clinic\n"));
    let good = place.write("good", &format!("{PASSPHRASE}\n")).display().to_string();
    let prescriber = |npi: &str, practice: &str, file: &str| {
        place.run(&[
            "admin",
            "prescriber",
            "--practice",
            practice,
            "--npi",
            npi,
            "--name",
            "Dr. Ada Moreno",
            "--passphrase-file",
            file,
        ])
    };

    for (name, text, why) in [
        ("short", "abc", "at least 14"),
        ("repeated", "passwordpassword", "common"),
        ("own", "moreno lantern wallpaper", "name, NPI or practice"),
        ("npi", "1234567893 lantern wallpaper", "name, NPI or practice"),
        ("guessable", "aaaaaaaaaaaaaaaaaaaa", "guess"),
        ("long", &"x".repeat(200), "at most 128"),
        ("empty", "", "at least 14"),
    ] {
        let file = place.write(name, text).display().to_string();
        let said = prescriber(NPI, &practice, &file);
        if name == "repeated" {
            assert_eq!(said.code, 1, "{said:?}");
        } else {
            said.fails(why);
        }
    }
    let nowhere = "0196f000-0000-7000-8000-000000000000";
    prescriber(NPI, nowhere, &good).fails("not found; list the practices");
    assert_eq!(prescriber("1234567890", &practice, &good).code, 2, "refused as an argument");
    prescriber(NPI, &practice, &place.path("none").display().to_string()).fails("none");
    let open = place.write("open", PASSPHRASE);
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    prescriber(NPI, &practice, &open.display().to_string()).fails("chmod 600");
    // After all of these there is nobody yet.
    let said = prescriber(NPI, &practice, &good).good();
    assert!(said.starts_with("Prescriber "), "{said}");
    prescriber(NPI, &practice, &good).fails("already has an account");

    let staff =
        ["admin", "staff", "--practice", &practice, "--name", "Jamie Lee", "--ehr-user", "jlee"];
    assert!(place.run(&staff).good().starts_with("Staff "));
    place.run(&staff).fails("already has an account in the practice");
    let key = place.run(&["admin", "api-key", "--practice", &practice, "--name", "EHR"]).good();
    assert!(key.starts_with("cs_") && key.trim().len() > 40, "{key}");
    place
        .run(&["admin", "api-key", "--practice", nowhere, "--name", "EHR"])
        .fails("not found; list the practices");
    let listed = place.run(&["admin", "api-keys", "--practice", &practice]).good();
    let (id, name) = listed.trim_end().split_once("  ").unwrap();
    assert_eq!(name, "EHR", "{listed}");
    assert!(!listed.contains(key.trim()), "a key is shown once");
    place.run(&["admin", "api-keys", "--practice", nowhere]).fails("not found; list the practices");
    let said = place.run(&["admin", "revoke-api-key", id]).good();
    assert!(said.starts_with("Revoked."), "{said}");
    let listed = place.run(&["admin", "api-keys", "--practice", &practice]).good();
    assert!(listed.contains("EHR  (revoked "), "{listed}");
    place.run(&["admin", "revoke-api-key", id]).fails("admin api-keys");
    place.run(&["admin", "revoke-api-key", nowhere]).fails("no active key");
    let expired = ["admin", "expired-records", "--practice", &practice];
    assert!(place.run(&expired).good().contains("No records are past their retention period"));
    let remove =
        |count: &str, by: &[&str]| place.run(&[&expired[..], &["--remove", count], by].concat());
    assert_eq!(remove("0", &[]).code, 2, "nobody removes without a name");
    remove("0", &["--by", " "]).fails("--by: ");
    remove("3", &["--by", "Ruth Amari"]).fails("0 records would be removed");
    assert!(
        remove("0", &["--by", "Ruth Amari"]).good().starts_with("0 records and 0 monthly logs")
    );
    place
        .run(&["admin", "expired-records", "--practice", nowhere])
        .fails("not found; list the practices");
    let said = place.run(&["admin", "close-account", NPI]).good();
    assert!(said.starts_with("Account closed."), "{said}");
    place.run(&["admin", "close-account", NPI]).fails("already closed");
    place.run(&["admin", "close-account", "1245319599"]).fails("no account has this NPI");
    // The NPI stays taken: an account is not made anew over a closed one.
    prescriber(NPI, &practice, &good).fails("already has an account");

    let attest = |credential: &str, by: &str| {
        place.run(&["admin", "attest-device", credential, "--class", "phone", "--by", by])
    };
    attest("CNST00000000", "Ruth").fails("no token has this ID");
    attest("CNST00000000", " ").fails("--by: ");
    attest("CNST00000001", "Ruth").fails("A digit is incorrect");
    place.run(&["admin", "disable-token", "CNST00000000"]).fails("no token has this ID");
    place.run(&["admin", "disable-token", "CNST00000001"]).fails("A digit is incorrect");
    place.run(&["admin", "disable-token", "1234567"]).fails("manufacturer");
}

#[test]
fn models_of_tokens() {
    let place = Place::new();
    place.run(&["migrate"]).good();
    let said = place.run(&["admin", "models"]).good();
    assert!(said.contains("none is allowed"), "{said}");
    assert!(place.run(&["doctor"]).out.contains("admin models set"));
    let set = |fips: &str, allow: &str, note: &str, by: &str| {
        place.run(&[
            "admin",
            "models",
            "set",
            "--code",
            "countersign-authenticator",
            "--maker",
            "Countersign",
            "--name",
            "Authenticator",
            "--kind",
            "soft",
            "--fips",
            fips,
            "--allow-signing",
            allow,
            "--note",
            note,
            "--by",
            by,
        ])
    };
    let said = set("none", "yes", "pilot", "Ruth Adler").good();
    assert!(said.contains("no FIPS certificate") && said.contains("on file"), "{said}");
    let said = place.run(&["admin", "models"]).good();
    let row = said.lines().nth(1).unwrap();
    assert!(row.starts_with("countersign-authenticator  Countersign  Authenticator"), "{said}");
    assert!(row.contains("none") && row.contains("yes") && row.ends_with("Ruth Adler"), "{said}");
    assert!(!place.run(&["doctor"]).out.contains("admin models set"));
    set("4816", "no", "recalled", "Ruth Adler").good();
    assert!(place.run(&["admin", "models"]).good().contains("4816"));
    assert_eq!(set("yes", "yes", "x", "Ruth").code, 2, "no certificate");
    assert_eq!(set("none", "maybe", "x", "Ruth").code, 2);
    set("none", "yes", "x", "").fails("your name");
    set("none", "yes", "a\nb", "Ruth").fails("one line");
}

/// Shows: N-24, R-1311.150-a6
#[test]
fn an_emergency_stop_works_at_once_on_a_running_server() {
    const KEY: &str = "cs_emergency";
    let mut place = Place::new();
    std::fs::create_dir(place.path("data")).unwrap();
    write_key_file(&place.path("data/master.key"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = Database::Sqlite { path: place.path("data/countersign.db") };
    let phones = runtime.block_on(async {
        let store = open_store(&database, real_now()).await;
        fill(&store, 2, KEY, real_now()).await
    });
    let port = free_ports();
    place.listen_on(port);
    let server = place.start(&["serve"], "ready");
    let mut wire = connect(port);
    let [stopped, other] = phones.as_slice() else { panic!("two tokens") };
    let now = real_now();
    let mut check = |phone: &countersign_testkit::Phone, steps: i64| {
        wire.check(KEY, phone.credential.as_str(), &phone.code_after(now, steps)).body
    };
    assert_eq!(check(stopped, 0), r#"{"verified":true}"#);
    let id = stopped.credential.as_str();
    let attest = ["admin", "attest-device", id, "--class", "phone", "--by", "Ruth Amari"];
    assert_eq!(place.run(&attest).good(), "Recorded.\n");
    let said = place.run(&["admin", "disable-token", stopped.credential.as_str()]).good();
    assert_eq!(said, "Disabled. Its passcodes no longer work.\n");
    assert_eq!(check(stopped, 1), r#"{"verified":false}"#);
    assert_eq!(check(other, 1), r#"{"verified":true}"#);
    // So does the revocation of a key.
    let practices = place.run(&["admin", "practices"]).good();
    let practice = practices.split_once("  ").unwrap().0;
    let made = ["admin", "api-key", "--practice", practice, "--name", "second"];
    let second = place.run(&made).good();
    let mut status = |key: &str| wire.check(key, other.credential.as_str(), "000000").status;
    assert_eq!(status(second.trim()), 200);
    let listed = place.run(&["admin", "api-keys", "--practice", practice]).good();
    let line = listed.lines().find(|line| line.ends_with("  second")).unwrap();
    place.run(&["admin", "revoke-api-key", line.split_once("  ").unwrap().0]).good();
    assert_eq!((status(second.trim()), status(KEY)), (401, 200));
    // And for good: after a restart too.
    assert_eq!(server.stop(), 0);
    let server = place.start(&["serve"], "ready");
    let mut wire = connect(port);
    let code = stopped.code(real_now());
    let reply = wire.check(KEY, stopped.credential.as_str(), &code);
    assert_eq!(reply.body, r#"{"verified":false}"#);
    assert_eq!(server.stop(), 0);
}

/// Two people at once, one of them a registrant; once.
/// Shows: A10, R-1311.125-a
#[test]
fn a_practice_is_founded_once_by_two_people() {
    let place = Place::new();
    place.run(&["migrate"]).good();
    let practice = id_of(&place.run(&["admin", "practice", "--name", "Lakeside Clinic"]).good());
    let found = |file: &str| {
        place.run(&[
            "admin",
            "found",
            "--practice",
            &practice,
            "--setting",
            "practitioners",
            "--file",
            file,
        ])
    };
    let office = r#"{"given": "Ruth", "family": "Okafor", "email": "ruth@lakeside.example", "phone": "402 555 0102"}"#;
    let last =
        |days: i32| Date::at(real_now(), &"America/Chicago".parse().unwrap()).plus_days(days);
    let (good_until, too_long) = (last(700), last(5 * 366));
    let doctor = |npi: &str, dea: &str, email: &str| {
        format!(
            r#"{{"given": "Ben", "family": "Castillo", "email": "{email}", "npi": "{npi}",
            "dea": ["{dea}", "NE", "2 3 4 5", "{good_until}"], "licence": ["NE", "NE-1", "{good_until}"]}}"#
        )
    };
    let good = doctor("1234567893", "BC1234563", "ben@lakeside.example");
    for (one, two, why) in [
        (office, office.to_owned(), "different people"),
        (office, doctor("1234567893", "BC1234563", "ruth@lakeside.example"), "different people"),
        // One telephone, and so one person; and a last day that no registration has.
        (office, office.replace("ruth", "sam"), "different people"),
        (office, office.replace("ruth", "sam").replace("0102", "0103"), "DEA registration"),
        (
            office,
            good.replace(&good_until.to_string(), &too_long.to_string()),
            "too far in the future",
        ),
        (office, doctor("1234567890", "BC1234563", "ben@lakeside.example"), "npi"),
        (
            office,
            doctor("1234567893", "BC1234560", "ben@lakeside.example"),
            "found.json: second person: dea: number: A character of this DEA number is incorrect",
        ),
        (
            office,
            good.replace("\"NE\", \"2 3", "\"XX\", \"2 3"),
            "dea: state: Enter the two-letter",
        ),
        (office, good.replace("2 3 4 5", "2 3 4 6"), "dea: schedules: Enter schedules as"),
        (
            office,
            good.replace("[\"NE\", \"NE-1\"", "[\"XX\", \"NE-1\""),
            "licence: state: Enter the",
        ),
        (office, doctor("1234567893", "BC1234563", "nowhere"), "email"),
        (office, "{}".to_owned(), "given"),
    ] {
        let file = place.write("found.json", &format!("{{\"people\": [{one}, {two}]}}"));
        found(&file.display().to_string()).fails(why);
    }
    let institution = format!("[\"AH5006135\", \"NE\", \"2 3 4 5\", \"{good_until}\"]");
    let file = place.write(
        "found.json",
        &format!("{{\"people\": [{office}, {good}], \"institution_dea\": {institution}}}"),
    );
    found(&file.display().to_string())
        .fails("found.json: institution_dea: number: A character of this DEA number is incorrect");
    let file = place.write("found.json", &format!("{{\"people\": [{office}, {good}]}}"));
    let said = found(&file.display().to_string()).good();
    assert_eq!(said.matches("/invitation/").count(), 2, "{said}");
    found(&file.display().to_string()).fails("already set up");
    // The rows are whole: the program lists the practice, and the two can begin.
    assert!(place.run(&["admin", "practices"]).good().contains("Lakeside Clinic"));
}

#[test]
fn an_ehr_is_registered_and_its_users_connected() {
    let place = Place::new();
    place.run(&["migrate"]).good();
    let practice = id_of(&place.run(&["admin", "practice", "--name", "Lakeside Clinic"]).good());
    let good = place.write("good", &format!("{PASSPHRASE}\n")).display().to_string();
    place
        .run(&[
            "admin",
            "prescriber",
            "--practice",
            &practice,
            "--npi",
            NPI,
            "--name",
            "Dr. Ada Moreno",
            "--passphrase-file",
            &good,
        ])
        .good();
    let staff = id_of(
        &place
            .run(&["admin", "staff", "--practice", &practice, "--name", "Jamie", "--ehr-user", "j"])
            .good(),
    );
    // A key as `openssl ecparam -name prime256v1 -genkey | openssl ec -pubout` makes it.
    let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAyLsRhKUPE7SGj9MsfCPXS27uyhk\nqQvkdKd+2P1kOfu3foEjsUfTjGuKu+k6YZr6t+b0lHlUhX1Tad5r9l91qw==\n-----END PUBLIC KEY-----\n";
    let key = place.write("ehr.pem", pem).display().to_string();
    let ehr = |key: &str| {
        place.run(&["admin", "ehr", "--practice", &practice, "--name", "EHR", "--public-key", key])
    };
    ehr(&good).fails("not a P-256 public key");
    let id = id_of(&ehr(&key).good());
    let smart = |iss: &str, id: &str| {
        place.run(&["admin", "ehr-smart", id, "--iss", iss, "--client-id", "countersign"])
    };
    smart("http://ehr.example/fhir", &id).fails("https://");
    let nowhere = "0196f000-0000-7000-8000-000000000000";
    smart("https://ehr.example/fhir", nowhere).fails("is not registered");
    let said = smart("https://ehr.example/fhir/", &id).good();
    assert!(said.contains("/smart/launch") && said.contains("/smart/callback"), "{said}");
    // Once more, over what was written; and another EHR does not get the address.
    smart("https://ehr.example/fhir", &id).good();
    let other =
        id_of(&place.run(&["admin", "ehr", "--practice", &practice, "--name", "Two"]).good());
    smart("https://ehr.example/fhir", &other).fails("another EHR has this address");
    let user = |user: &str, who: [&str; 2]| {
        place.run(&["admin", "ehr-user", &id, "--user", user, who[0], who[1]])
    };
    user("Practitioner/7", ["--npi", NPI]).good();
    user("Practitioner/7", ["--npi", NPI]).fails("already linked");
    user("Practitioner/8", ["--staff", &staff]).good();
    user("Practitioner/9", ["--npi", "1000000004"]).fails("prescriber or staff member not found");
    user("Practitioner/9", ["--staff", nowhere]).fails("prescriber or staff member not found");
    // A system of the practice that proves itself with its own key.
    let client = |key: &str, scope: &str| {
        place.run(&[
            "admin",
            "api-client",
            "--practice",
            &practice,
            "--name",
            "EHR",
            "--public-key",
            key,
            "--scope",
            scope,
        ])
    };
    assert_eq!(client(&key, "everything").code, 2, "refused as an argument");
    client(&good, "signing").fails("not a P-256 public key");
    let id = id_of(&client(&key, "signing").good());
    assert!(place.run(&["admin", "api-keys", "--practice", &practice]).good().contains(&id));
    place.run(&["admin", "revoke-api-key", &id]).good();
}

/// What an operator names is read by the rule of every text: a fault names its option, and nothing is written.
#[test]
fn no_name_is_taken_that_can_not_be_seen_or_mixes_alphabets() {
    let mut place = Place::new();
    place.run(&["migrate"]).good();
    let practice = id_of(&place.run(&["admin", "practice", "--name", "Lakeside Clinic"]).good());
    let key = place.write("key.pem", "nothing").display().to_string();
    let at = ["--practice", practice.as_str()];
    let edges: [&[&str]; 8] = [
        &["admin", "practice", "--name"],
        &["admin", "staff", at[0], at[1], "--ehr-user", "jlee", "--name"],
        &["admin", "ehr", at[0], at[1], "--name"],
        &["admin", "api-key", at[0], at[1], "--name"],
        &[
            "admin",
            "api-client",
            at[0],
            at[1],
            "--public-key",
            key.as_str(),
            "--scope",
            "signing",
            "--name",
        ],
        &["admin", "staff", at[0], at[1], "--name", "Jamie Lee", "--ehr-user"],
        &["admin", "expired-records", at[0], at[1], "--remove", "0", "--by"],
        &["admin", "attest-device", "SYMC12345678", "--class", "phone", "--by"],
    ];
    for edge in edges {
        let option = edge.last().unwrap();
        for (bad, why) in [
            ("a\u{202e}b", "U+202E"),
            ("a\nb", "one line"),
            ("a\u{200d}b", "U+200D"),
            ("a\u{e000}b", "U+E000"),
            (" ", "Enter a value"),
            (&"x".repeat(501), "at most"),
        ] {
            let said = place.run(&[edge, &[bad]].concat());
            said.fails(why);
            assert!(said.err.contains(option), "{said:?}");
        }
        if *option != "--ehr-user" {
            place.run(&[edge, &["Lаkeside"]].concat()).fails("two alphabets");
        }
    }
    assert_eq!(place.run(&["admin", "practices"]).good().lines().count(), 1);
    for (person, why) in [
        (r#"{"given": "Ru\u202eth", "family": "Okafor", "email": "r@x.example"}"#, "U+202E"),
        (r#"{"given": "Ru\u0000th", "family": "Okafor", "email": "r@x.example"}"#, "U+0000"),
        (r#"{"given": "Рара", "family": "Okafor", "email": "r@x.example"}"#, "two alphabets"),
        (
            r#"{"given": "Ruth", "family": "Okafor", "email": "r@x.example", "address": "1 Elm\nBox"}"#,
            "one line",
        ),
        (
            r#"{"given": "Ruth", "family": "Okafor", "email": "r@x.example", "licence": ["NE", "NЕ-1", "2031-05-31"]}"#,
            "keyboard",
        ),
    ] {
        let file = place.write("found.json", &format!("{{\"people\": [{person}, {person}]}}"));
        let file = file.display().to_string();
        place
            .run(&["admin", "found", at[0], at[1], "--setting", "institution", "--file", &file])
            .fails(why);
    }
    place.set("COUNTERSIGN_PRACTICE__SUPPORT_NAME", "De\u{202e}sk");
    place.run(&["admin", "practices"]).fails("practice.support_name");
}
