//! Signed records in the hands of somebody who has nothing but a file and the published keys.

use countersign_crypto::SigningKey;
use countersign_domain::canonical::Json;
use countersign_protocol::{
    oidc,
    record::{self, RECORD_FORMAT},
};
use serde_json::json;

use crate::run::Place;

fn signed(key: &SigningKey, id: &str, drug: &str) -> String {
    let payload = Json::object([
        ("format", Json::from(RECORD_FORMAT)),
        ("id", Json::from(id)),
        ("signed_at", Json::from("2026-05-25T12:00:00Z")),
        ("practitioner", Json::object([("name", Json::from("Dr. Ada Moreno"))])),
        ("prescription", Json::object([("drug", Json::from(drug)), ("refills", Json::Int(2))])),
    ]);
    record::sign(key, "k1", "countersign-prescription+jws", &payload).unwrap()
}

/// An export that has come to another installation, or to a registrant without one, is verified line by line,
/// and is pages to read and print.
/// Shows: R-1311.305-e, R-1311.305-fg, R-1311.305-h
#[test]
fn an_export_is_verified_and_printed_with_nothing_but_the_keys() {
    let place = Place::new();
    let (key, _) = SigningKey::generate().unwrap();
    let jwks = json!({ "keys": [oidc::jwk("k1", key.verifying_key().point())] }).to_string();
    let keys = place.write("keys.json", &jwks).display().to_string();
    let line = |id: &str, drug: &str, state: &str, disowned: Option<&str>| {
        let record = signed(&key, id, drug);
        json!({ "signed_record": record, "state": state, "disowned": disowned }).to_string()
    };
    let good = [
        line("rx-1", "Alprazolam", "transmitted", None),
        line("rx-2", "Zolpidem tartrate", "printed", Some("2026-05-26 08:00 UTC")),
        line("rx-3", "Pregabalin", "some later word", None),
    ];
    let verify = |name: &str, pdf: &[&str]| {
        let file = place.path(name).display().to_string();
        place.run(&[&["prescription", "verify", &file, "--keys", &keys], pdf].concat())
    };
    place.write("export.jsonl", &format!("{}\n\n{}\n{}\n", good[0], good[1], good[2]));
    assert_eq!(
        verify("export.jsonl", &["--pdf", "pages.pdf"]).good(),
        "All 3 signatures are valid.\n"
    );
    let pages = std::fs::read(place.path("pages.pdf")).unwrap();
    let pages = String::from_utf8_lossy(&pages);
    for text in
        ["Alprazolam", "Sent to the pharmacy", "[since:", "practitioner", "Pregabalin", "rx-2"]
    {
        assert!(pages.contains(text), "{text}");
    }
    // One record alone is printed too.
    place.write("one.jws", &signed(&key, "rx-4", "Tramadol"));
    let said = verify("one.jws", &["--pdf", "one.pdf"]).good();
    assert!(said.starts_with("The signature is valid.") && said.contains("Tramadol"), "{said}");
    assert!(place.path("one.pdf").exists());
    // A line that was changed, or is none, is named, and nothing is printed.
    let (other, _) = SigningKey::generate().unwrap();
    let forged = json!({ "signed_record": signed(&other, "rx-5", "Fentanyl") }).to_string();
    for (name, bad) in [("forged", forged.as_str()), ("none", "{\"id\":\"rx-6\"}"), ("cut", "{")] {
        place.write(name, &format!("{}\n{bad}\n", good[0]));
        verify(name, &["--pdf", "bad.pdf"]).fails("line 2: not valid");
        assert!(!place.path("bad.pdf").exists());
    }
}

/// Records of every format that was ever released are verified and printed.
#[test]
fn records_of_older_formats_are_verified() {
    let place = Place::new();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/tests/fixtures");
    let keys = format!("{fixtures}/record-keys.json");
    for format in [1, 2] {
        let record = format!("{fixtures}/record-{format}.jws");
        let pages = place.path(&format!("{format}.pdf")).display().to_string();
        let said = place
            .run(&["prescription", "verify", &record, "--keys", &keys, "--pdf", &pages])
            .good();
        assert!(said.contains(&format!("countersign-prescription/{format}")), "{said}");
        assert!(String::from_utf8_lossy(&std::fs::read(&pages).unwrap()).contains("Oxycodone"));
    }
}
