//! The message to the pharmacy says what the signed record says, and records of every format are verified.

use std::collections::BTreeMap;

use countersign_crypto::SigningKey;
use countersign_protocol::{oidc, record};
use countersign_testkit::{both, dea};
use serde_json::{Value, json};

use super::{mark, sign};
use crate::prescribing::{fields, send, with};

both! {
    /// Every element and attribute of the message is what the signed record says, and nothing is left out: one with all that
    /// a prescription can say, and one with as little as may be.
    /// Shows: R-1311.170-e, R-1306.08-d, R-1311.120-b17, R-1311.120-b6
    async fn every_element_of_the_message_equals_the_signed_record(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let full = with(fields(), &[
            ("directions", "One & \"two\" <daily>"), ("days_supply", "30"), ("note", "Call me"),
            ("supervisor", "Dr. Sue O'Neil"), ("supervisor_dea", &dea(77).as_text()),
        ]);
        let first = send(&mut browser, "/e-prescribing/new", &full).await.location().to_owned();
        let id = first.rsplit('/').next().unwrap().to_owned();
        let next = with(full, &[("after", &id), ("earliest_fill", "2026-06-24")]);
        let second = send(&mut browser, "/e-prescribing/new", &next).await.location().to_owned();
        let plain = with(fields(), &[("drug", "Alprazolam"), ("refills", "3")]);
        let third = send(&mut browser, "/e-prescribing/new", &plain).await.location().to_owned();
        for path in [&first, &second, &third] {
            mark(&mut browser, path).await.leads_to("/e-prescribing?done=ready");
        }
        sign(&app, &mut browser, &first).await;
        assert_eq!(app.transmit().await, 3);
        let parcels = app.parcels.lock().unwrap().clone();
        assert_eq!(parcels.len(), 3);
        let keys = app.browser().get("/.well-known/jwks.json").await.body;
        let mut seen = std::collections::BTreeSet::new();
        for parcel in &parcels {
            let parcel: Value = serde_json::from_str(parcel).unwrap();
            let jws = parcel["signed_record"].as_str().unwrap();
            let record = record::verify(jws, keys.as_bytes()).unwrap();
            assert_eq!((&parcel["id"], &parcel["pharmacy"]), (&record["id"], &record["prescription"]["pharmacy"]));
            let said = expected(&record, &key_of(jws));
            let message = elements(parcel["new_rx"].as_str().unwrap());
            assert_eq!(message, said, "every element, and no other");
            seen.extend(said.into_iter().map(|(path, _)| path));
        }
        for (path, _) in TEMPLATE_PATHS {
            assert!(seen.iter().any(|it| it.ends_with(path)), "{path} was tried");
        }
    }
}

/// Which key a record names.
fn key_of(jws: &str) -> String {
    let header = data_encoding::BASE64URL_NOPAD.decode(jws.split('.').next().unwrap().as_bytes());
    let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// The elements and attributes of a message that hold text, each with the path to it, in order.
fn elements(xml: &str) -> Vec<(String, String)> {
    let plain = |text: &str| {
        [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let (mut found, mut path): (Vec<(String, String)>, Vec<&str>) = (Vec::new(), Vec::new());
    let body = xml.split_once("?>").unwrap().1;
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(path.pop(), Some(name), "well-formed");
            assert_eq!(text.trim(), "");
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        path.push(name);
        let here = path.join("/");
        let mut rest = attributes;
        while let Some((name, tail)) = rest.trim_start().split_once("=\"") {
            let (value, tail) = tail.split_once('"').unwrap();
            found.push((format!("{here}@{name}"), plain(value)));
            rest = tail;
        }
        if !text.trim().is_empty() {
            found.push((here, plain(text.trim())));
        }
    }
    assert!(path.is_empty());
    found
}

/// Where in the message each element of it lies, and which text of the record it is: a JSON pointer. What is not empty in the
/// record is there, and nothing else.
const TEMPLATE_PATHS: [(&str, &str); 27] = [
    ("Header/To", "/prescription/pharmacy/ncpdp"),
    ("Header/From", "/practitioner/npi"),
    ("Header/MessageID", "/id"),
    ("Header/SentTime", "/signed_at"),
    ("Header/PrescriberOrderNumber", "/id"),
    (
        "Patient/HumanPatient/Identification/MedicalRecordIdentificationNumberEHR",
        "/prescription/patient/mrn",
    ),
    ("Patient/HumanPatient/Name/FormattedName", "/prescription/patient/name"),
    ("Patient/HumanPatient/DateOfBirth/Date", "/prescription/patient/birth_date"),
    ("Patient/HumanPatient/Address/AddressLine1", "/prescription/patient/address"),
    ("Pharmacy/Identification/NCPDPID", "/prescription/pharmacy/ncpdp"),
    ("Pharmacy/BusinessName", "/prescription/pharmacy/name"),
    ("Prescriber/NonVeterinarian/Identification/DEANumber", "/practitioner/dea"),
    ("Prescriber/NonVeterinarian/Identification/NPI", "/practitioner/npi"),
    ("Prescriber/NonVeterinarian/Name/FormattedName", "/practitioner/name"),
    ("Prescriber/NonVeterinarian/Address/AddressLine1", "/practitioner/address"),
    ("Prescriber/NonVeterinarian/PracticeLocation/BusinessName", "/practitioner/practice"),
    ("Supervisor/NonVeterinarian/Identification/DEANumber", "/prescription/supervisor/dea"),
    ("Supervisor/NonVeterinarian/Name/FormattedName", "/prescription/supervisor/name"),
    ("MedicationPrescribed/DrugDescription", "drug"),
    ("MedicationPrescribed/DrugCoded/DEASchedule/Code", "schedule"),
    ("MedicationPrescribed/Quantity/Value", "/prescription/quantity"),
    ("MedicationPrescribed/Quantity/QuantityUnitOfMeasure/Description", "/prescription/unit"),
    ("MedicationPrescribed/DaysSupply", "/prescription/days_supply"),
    ("MedicationPrescribed/WrittenDate/Date", "/written"),
    ("MedicationPrescribed/NumberOfRefills", "/prescription/refills"),
    ("MedicationPrescribed/Note", "note"),
    ("MedicationPrescribed/Sig/SigText", "/prescription/directions"),
];

/// What a message of this record must say: every element and attribute with its path, in the order of the message.
fn expected(record: &Value, key: &str) -> Vec<(String, String)> {
    let text = |pointer: &str| match record.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        other => panic!("{pointer}: {other:?}"),
    };
    let code: BTreeMap<&str, &str> = [
        ("2", "C48675"),
        ("2N", "C48675"),
        ("3", "C48676"),
        ("3N", "C48676"),
        ("4", "C48677"),
        ("5", "C48679"),
    ]
    .into();
    let value = |what: &str| match what {
        "drug" => ["drug", "strength", "form"]
            .map(|name| text(&format!("/prescription/{name}")))
            .join(" "),
        "schedule" => code[text("/prescription/schedule").as_str()].to_owned(),
        "note" => {
            let of = text("/prescription/series/of");
            let series = match of.as_str() {
                "0" => String::new(),
                of => format!("Series: {} of {of}.", text("/prescription/series/number")),
            };
            [text("/prescription/note"), series].join(" ").trim().to_owned()
        }
        // The number 0 of days says that nothing was said of them.
        "/prescription/days_supply" => {
            Some(text(what)).filter(|days| days != "0").unwrap_or_default()
        }
        pointer => text(pointer),
    };
    let mut found = Vec::new();
    let mut add = |path: &str, value: String| {
        if !value.is_empty() {
            found.push((format!("Message/{path}"), value));
        }
    };
    for name in ["DatatypesVersion", "TransportVersion"] {
        add(&format!("@{name}"), "20170715".to_owned());
    }
    add("@TransactionDomain", "SCRIPT".to_owned());
    for name in ["TransactionVersion", "StructuresVersion", "ECLVersion"] {
        add(&format!("@{name}"), "20170715".to_owned());
    }
    for (path, what) in TEMPLATE_PATHS {
        let whole = match path.strip_prefix("Header/") {
            Some(_) => path.to_owned(),
            None => format!("Body/NewRx/{path}"),
        };
        match path {
            "Header/To" => add("Header/To@Qualifier", "P".to_owned()),
            "Header/From" => add("Header/From@Qualifier", "D".to_owned()),
            _ => {}
        }
        let rx = "Body/NewRx/MedicationPrescribed";
        if path.ends_with("Sig/SigText") {
            for (name, kind) in
                [("earliest_fill", "EffectiveDate"), ("last_fill", "ExpirationDate")]
            {
                let day = text(&format!("/prescription/{name}"));
                if !day.is_empty() {
                    add(&format!("{rx}/OtherMedicationDate/OtherMedicationDate/Date"), day);
                    add(
                        &format!("{rx}/OtherMedicationDate/OtherMedicationDateQualifier"),
                        kind.to_owned(),
                    );
                }
            }
        }
        add(&whole, value(what));
        match path {
            "Header/PrescriberOrderNumber" => {
                add("Header/DigitalSignature@Version", "1.0".to_owned());
                add("Header/DigitalSignature/DigitalSignatureIndicator", "true".to_owned());
            }
            "MedicationPrescribed/Quantity/Value" => {
                add(&format!("{rx}/Quantity/CodeListQualifier"), "38".to_owned());
            }
            "MedicationPrescribed/WrittenDate/Date" => {
                add(&format!("{rx}/Substitutions"), "0".to_owned());
            }
            "MedicationPrescribed/Sig/SigText" => {
                let place = format!("{rx}/ControlledSubstanceSignature");
                add(&format!("{place}@Format"), "JWS".to_owned());
                add(&format!("{place}@KeyID"), key.to_owned());
                add(&format!("{place}@SignedAt"), text("/signed_at"));
                let words = "signed by the practitioner with two factors (21 CFR 1311.140)";
                add(&place, words.to_owned());
            }
            _ => {}
        }
    }
    found.into_iter().map(|(path, value)| (path.replace("Message/@", "Message@"), value)).collect()
}

/// A record stays verifiable under the format in which it was written; an unknown one, and one that was changed, is none.
#[test]
fn records_of_every_format_are_verified() {
    let keys = include_bytes!("../../fixtures/record-keys.json");
    let records =
        [include_str!("../../fixtures/record-1.jws"), include_str!("../../fixtures/record-2.jws")];
    for (at, jws) in records.into_iter().enumerate() {
        let said = record::verify(jws, keys).unwrap();
        assert_eq!(said["format"], format!("countersign-prescription/{}", at + 1));
        let words = record::paragraphs(&said, "", false).concat();
        let dea = ["BM1234563", "AH5006134-012"][at];
        assert!(words.contains(&format!("DEA {dea}, Dr. Ada Moreno")), "{words}");
        assert!(words.contains("Do not fill before: 2026-06-24"), "{words}");
        assert_eq!(words.contains("Series: 2 of 3"), at == 1);
        let (message, signature) = jws.trim().rsplit_once('.').unwrap();
        let other = format!("{message}.{}", signature.chars().rev().collect::<String>());
        assert!(record::verify(&other, keys).is_err());
    }
    let (key, _) = SigningKey::generate().unwrap();
    let keys = json!({ "keys": [oidc::jwk("k", key.verifying_key().point())] }).to_string();
    let payload = countersign_domain::canonical::Json::object([(
        "format",
        "countersign-prescription/3".into(),
    )]);
    let jws = record::sign(&key, "k", "countersign-prescription+jws", &payload).unwrap();
    assert_eq!(record::verify(&jws, keys.as_bytes()), Err(record::RecordError::Kind));
}
