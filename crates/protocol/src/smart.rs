//! The app's side of SMART App Launch 2: what an EHR says of itself, where a launch is sent, and what comes
//! back. Nothing here knows HTTP; whoever calls carries what is asked.

use countersign_domain::{Timestamp, normalized, prescription::longest, shown_line};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    launch::{LaunchPatient, check_name},
    oidc::{challenge, query},
};

/// What we ask for: who it is, and the patient whose chart is open. Nothing else is read.
const SCOPE: &str = "openid fhirUser patient/Patient.rs";

/// What an EHR says of itself (SMART App Launch 2, `.well-known/smart-configuration`).
#[derive(Debug, Clone, Deserialize)]
pub struct Configuration {
    /// Who signs its ID tokens.
    #[serde(default)]
    pub issuer: String,
    /// Where its keys are.
    #[serde(default)]
    pub jwks_uri: String,
    /// Where the browser is sent.
    pub authorization_endpoint: String,
    /// Where a code is exchanged.
    pub token_endpoint: String,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
}

impl Configuration {
    /// Where it lies.
    pub fn address(iss: &str) -> String {
        format!("{iss}/.well-known/smart-configuration")
    }

    /// Reads it. Its addresses must be as safe as that of the FHIR server, and it must know PKCE.
    pub fn read(iss: &str, body: &[u8]) -> Option<Self> {
        let found: Self = serde_json::from_slice(body).ok()?;
        let safe = |url: &&String| {
            url.bytes().all(|byte| byte.is_ascii_graphic())
                && (url.starts_with("https://")
                    || (iss.starts_with("http://") && url.starts_with("http://")))
        };
        let all =
            [&found.issuer, &found.jwks_uri, &found.authorization_endpoint, &found.token_endpoint];
        let pkce = found.code_challenge_methods_supported.iter().any(|method| method == "S256");
        (pkce && all.iter().all(safe)).then_some(found)
    }
}

/// Where the browser is sent. Without a `launch` the EHR lets its user choose the patient.
pub fn authorization_url(
    configuration: &Configuration,
    client_id: &str,
    redirect_uri: &str,
    iss: &str,
    launch: Option<&str>,
    (state, nonce, verifier): (&str, &str, &str),
) -> String {
    let mut url = configuration.authorization_endpoint.clone();
    url.push(if url.contains('?') { '&' } else { '?' });
    let how = if launch.is_some() { "launch" } else { "launch/patient" };
    let (scope, challenge) = (format!("{how} {SCOPE}"), challenge(verifier));
    let fields = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("scope", &scope),
        ("state", state),
        ("aud", iss),
        ("launch", launch.unwrap_or_default()),
        ("nonce", nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    url + &query(&fields)
}

/// The answer to a code.
#[derive(Deserialize)]
pub struct Granted {
    /// Opens the FHIR server.
    pub access_token: String,
    /// Who it is.
    #[serde(default)]
    pub id_token: String,
    /// Whose chart is open.
    #[serde(default)]
    pub patient: String,
}

/// Whether a text can be the logical ID of a resource (FHIR R4, `id`).
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// The user as our table of EHR users has it: the reference without the server's own address.
pub fn user_of(iss: &str, fhir_user: &str) -> String {
    let own = fhir_user.strip_prefix(iss).and_then(|rest| rest.strip_prefix('/'));
    own.unwrap_or(fhir_user).to_owned()
}

/// Patient and address of a FHIR R4 `Patient` with this ID; else the code of what is wrong with it.
///
/// The name is taken as it is or not at all, since it goes onto signed prescriptions: in normalization form C, with
/// one space between words. The address is the user's to look at and to change.
pub fn patient_of(
    id: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(LaunchPatient, String), &'static str> {
    const UNREADABLE: &str = "launch_patient_unreadable";
    let said: Value = serde_json::from_slice(body).map_err(|_| UNREADABLE)?;
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned()
    };
    if text(&said, "resourceType") != "Patient" || text(&said, "id") != id {
        return Err(UNREADABLE);
    }
    let list = |name: &str| said.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let of_use = |all: &[Value], uses: [&str; 2]| {
        uses.iter()
            .find_map(|wanted| all.iter().find(|it| text(it, "use") == *wanted))
            .or_else(|| all.first())
            .cloned()
    };
    let names = list("name");
    let name = of_use(&names, ["official", "usual"]).ok_or(UNREADABLE)?;
    let mut full = text(&name, "text");
    if full.is_empty() {
        let given = name.get("given").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut parts: Vec<&str> = given.iter().filter_map(Value::as_str).collect();
        let family = text(&name, "family");
        parts.push(&family);
        full = parts.join(" ");
    }
    let full = normalized(&full);
    if !full.is_empty() && check_name(&full).is_err() {
        return Err("launch_patient_name");
    }
    let is_mrn = |it: &&Value| {
        let codes = it.pointer("/type/coding").and_then(Value::as_array);
        codes.is_some_and(|codes| codes.iter().any(|coding| text(coding, "code") == "MR"))
    };
    let numbers = list("identifier");
    let mrn = numbers.iter().find(is_mrn).map(|it| text(it, "value")).unwrap_or_default();
    let addresses = list("address");
    let address =
        of_use(&addresses, ["home", "work"]).map(|it| address_of(&it)).unwrap_or_default();
    let patient = LaunchPatient {
        id: id.to_owned(),
        name: full,
        birth_date: text(&said, "birthDate"),
        mrn: if mrn.is_empty() { id.chars().take(32).collect() } else { mrn },
    };
    if patient.wrong_field(now).is_some() {
        return Err(UNREADABLE);
    }
    Ok((patient, address))
}

fn address_of(address: &Value) -> String {
    let text = |name: &str| address.get(name).and_then(Value::as_str).unwrap_or_default();
    let lines = address.get("line").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut parts: Vec<String> =
        lines.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let place = [text("city"), text("state"), text("postalCode")];
    let place: Vec<&str> = place.into_iter().filter(|part| !part.is_empty()).collect();
    if !place.is_empty() {
        parts.push(place.join(" "));
    }
    let whole = if parts.is_empty() { text("text").to_owned() } else { parts.join(", ") };
    shown_line(&whole, longest("address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ISS: &str = "https://ehr.example/fhir";

    #[test]
    fn a_configuration_is_as_safe_as_its_server_and_knows_pkce() {
        let good = json!({
            "issuer": ISS, "jwks_uri": "https://ehr.example/keys",
            "authorization_endpoint": "https://ehr.example/a", "token_endpoint": "https://ehr.example/t",
            "code_challenge_methods_supported": ["S256"], "capabilities": ["launch-ehr"],
        });
        let read = |value: &Value| Configuration::read(ISS, value.to_string().as_bytes());
        let it = read(&good).unwrap();
        for (field, bad) in [
            ("token_endpoint", json!("http://ehr.example/t")),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("jwks_uri", json!("")),
            ("code_challenge_methods_supported", json!(["plain"])),
        ] {
            let mut other = good.clone();
            other[field] = bad;
            assert!(read(&other).is_none(), "{field}");
        }
        let url = authorization_url(&it, "cs", "https://us/x?y", ISS, Some("abc"), ("s", "n", "v"));
        assert!(url.starts_with("https://ehr.example/a?response_type=code&client_id=cs&redirect_uri=https%3A%2F%2Fus%2Fx%3Fy&scope=launch%20openid%20fhirUser%20patient%2FPatient.rs"), "{url}");
        assert!(
            url.contains(
                "&aud=https%3A%2F%2Fehr.example%2Ffhir&launch=abc&nonce=n&code_challenge="
            )
        );
        let alone = authorization_url(&it, "cs", "x", ISS, None, ("s", "n", "v"));
        assert!(alone.contains("scope=launch%2Fpatient%20openid") && !alone.contains("&launch="));
    }

    #[test]
    fn a_patient_is_read_with_the_name_that_counts() {
        let body = json!({
            "resourceType": "Patient", "id": "p-1", "birthDate": "1971-03-14",
            "identifier": [{ "value": "x" }, { "type": { "coding": [{ "code": "MR" }] }, "value": "M-1" }],
            "name": [{ "use": "nickname", "text": "Mari" }, { "use": "official", "given": ["Marigold", "A."], "family": "Testerly" }],
            "address": [{ "use": "old", "text": "gone" }, { "use": "home", "line": ["4 Test Lane"], "city": "Lincoln", "state": "NE", "postalCode": "68502" }],
        });
        // 2026-05-25 00:00 UTC.
        let now = Timestamp::from_seconds(1_779_667_200);
        let (patient, address) = patient_of("p-1", body.to_string().as_bytes(), now).unwrap();
        assert_eq!((patient.name.as_str(), patient.mrn.as_str()), ("Marigold A. Testerly", "M-1"));
        assert_eq!(address, "4 Test Lane, Lincoln NE 68502");
        for (field, bad) in [
            ("id", json!("p-2")),
            ("resourceType", json!("Group")),
            ("birthDate", json!("1971")),
            ("birthDate", json!("2026-05-26")),
            ("birthDate", json!("2999-01-01")),
            ("name", json!([])),
        ] {
            let mut other = body.clone();
            other[field] = bad;
            let read = patient_of("p-1", other.to_string().as_bytes(), now);
            assert_eq!(read.err(), Some("launch_patient_unreadable"), "{field}");
        }
        let with = |name: &str, line: &str| {
            let mut other = body.clone();
            other["name"] = json!([{ "text": name }]);
            other["address"] = json!([{ "line": [line] }]);
            patient_of("p-1", other.to_string().as_bytes(), now).map(|(it, at)| (it.name, at))
        };
        // Names are written in many ways; what is not seen or turns the order is in none of them.
        assert_eq!(
            with("  Jose\u{301}\tNu\u{f1}ez ", "1 \u{202e}Lane\nBox 2"),
            Ok(("José Nuñez".to_owned(), "1 \u{fffd}Lane Box 2".to_owned()))
        );
        assert_eq!(with("علی\u{200c}رضا", "x").unwrap().0, "علی\u{200c}رضا");
        for bad in [
            "Ada\u{202e}x",
            "Ada\0",
            "Ada\u{200c}x",
            "Ada\u{e000}",
            "\u{410}da Testerly",
            &"x".repeat(129),
        ] {
            assert_eq!(with(bad, "x"), Err("launch_patient_name"), "{bad:?}");
        }
        assert!(is_id("p-1.A") && !is_id("") && !is_id("../x") && !is_id("a/b"));
        assert_eq!(user_of(ISS, "https://ehr.example/fhir/Practitioner/7"), "Practitioner/7");
        assert_eq!(user_of(ISS, "Practitioner/7"), "Practitioner/7");
        assert_ne!(user_of(ISS, "https://ehr.example/fhirPractitioner/7"), "Practitioner/7");
        assert_ne!(user_of(ISS, "https://other.example/fhir/Practitioner/7"), "Practitioner/7");
    }
}
