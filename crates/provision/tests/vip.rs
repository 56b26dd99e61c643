//! The VIP Access protocol from both sides, and what is thrown at it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "these are tests"
)]

use countersign_crypto::{SecretBytes, SystemRng};
use countersign_domain::{
    Timestamp,
    otp::{OtpParams, TokenSeed, passcode},
};
use countersign_provision::vip::{
    AuthenticRequest, Fault, Issued, REQUEST_MAX_BYTES, Refusal, SharedSecretRequest, TokenModel,
    VipCredentialId, VipKeys,
    client::{Ask, ClientError, MovingFactor, Received},
};
use data_encoding::HEXLOWER;
use proptest::prelude::*;

const NOW: i64 = 1_795_567_688;

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

fn keys() -> VipKeys {
    VipKeys::random(&mut SystemRng).unwrap()
}

fn ask(model: &str) -> Ask<'_> {
    Ask {
        model,
        now: now(),
        activation_code: "",
        client_id_type: "BOARDID",
        client_id: "test-client-1.0",
        dist_channel: "Tests",
    }
}

fn accept(body: &str, keys: &VipKeys) -> Result<AuthenticRequest, Refusal> {
    SharedSecretRequest::parse(body.as_bytes())?.authenticate(keys)
}

fn fault(body: &str, keys: &VipKeys) -> Fault {
    accept(body, keys).map(|_| ()).expect_err(body).fault()
}

fn seed(bytes: &[u8]) -> TokenSeed {
    TokenSeed::new(SecretBytes::new(bytes.to_vec())).unwrap()
}

fn issue(
    request: &AuthenticRequest,
    seed: &TokenSeed,
    keys: &VipKeys,
) -> (VipCredentialId, String) {
    let credential = VipCredentialId::random(request.model(), &mut SystemRng).unwrap();
    let issued =
        Issued { credential: &credential, seed, now: now(), expires: now().plus_seconds(86_400) };
    let answer = request.answer(&issued, keys, &mut SystemRng).unwrap();
    (credential, answer)
}

#[test]
fn every_model_is_provisioned() {
    let keys = keys();
    for model in TokenModel::ALL {
        let request = accept(&ask(model.code()).to_xml(&keys).unwrap(), &keys).unwrap();
        assert_eq!((request.model(), request.client_time()), (model, now()));
        assert_eq!(request.id().as_str(), NOW.to_string());
        let (credential, answer) = issue(&request, &seed(&[7; 20]), &keys);
        let received = Received::from_xml(answer.as_bytes(), &keys).unwrap();
        assert_eq!(received.credential, credential);
        assert_eq!(received.seed.expose(), [7; 20]);
        assert_eq!(received.server_time, now());
        assert_eq!(received.expiry, "2026-11-26T00:48:08.000Z");
        let expected =
            if model.is_event_based() { MovingFactor::Counter(1) } else { MovingFactor::Time };
        assert_eq!(received.moving_factor, expected);
        // One key in 256 happens to leave a padding that looks right; the seed is not ours even then.
        let other = Received::from_xml(answer.as_bytes(), &self::keys());
        assert!(!other.is_ok_and(|it| it.seed.expose() == [7; 20]), "other keys");
    }
}

/// The published sample: its secret and vector, under a key of our own.
#[test]
fn the_published_sample_under_our_own_key() {
    let keys = VipKeys::from_hex(&"5a".repeat(32), &"a5".repeat(16)).unwrap();
    let answer = include_str!("sample_answer.xml");
    let received = Received::from_xml(answer.as_bytes(), &keys).unwrap();
    assert_eq!(received.credential.as_str(), "SYMC26070843");
    assert_eq!(HEXLOWER.encode(received.seed.expose()), "5a716544d977675d22121f37c7763622f0135c69");
    let params = OtpParams::new(countersign_crypto::HmacAlgorithm::Sha1, 6, 30).unwrap();
    let step = params.step_at(Timestamp::from_seconds(1_412_030_064));
    assert_eq!(passcode(&received.seed, &params, step), "111332");
}

#[test]
fn each_refusal_is_read_by_a_client() {
    let keys = keys();
    let good = ask("SYMC").to_xml(&keys).unwrap();
    let request = accept(&good, &keys).unwrap();
    for (fault, code, message) in [
        (Fault::Malformed, "600B", "Malformed request"),
        (Fault::Version, "4E04", "Unsupported service protocol version"),
        (Fault::NotAuthorized, "4E03", "Authorization failed"),
        (Fault::Clock, "4E03", "Client clock differs too much from the server clock"),
        (Fault::Model, "4E0D", "Unsupported token model"),
        (Fault::Internal, "4E01", "Internal error"),
        (Fault::Unavailable, "4879", "The service is temporarily unavailable"),
    ] {
        let told =
            ClientError::Refused { reason_code: code.to_owned(), message: message.to_owned() };
        for refusal in [request.refuse(fault), Refusal::unread(fault)] {
            assert_eq!(Received::from_xml(refusal.to_xml().as_bytes(), &keys).unwrap_err(), told);
        }
        let id = format!("RequestId=\"{NOW}\"");
        assert!(request.refuse(fault).to_xml().contains(&id));
    }
    assert_eq!(fault(&ask("AVT").to_xml(&keys).unwrap(), &keys), Fault::Model);
    assert_eq!(fault(&ask("symc").to_xml(&keys).unwrap(), &keys), Fault::Model);
    assert_eq!(fault(&good, &self::keys()), Fault::NotAuthorized);
    assert_eq!(fault(&ask("AVT").to_xml(&self::keys()).unwrap(), &keys), Fault::NotAuthorized);
    let later = good.replace("Version=\"2.0\"", "Version=\"3.0\"");
    assert_eq!(fault(&later, &keys), Fault::Version);
}

#[test]
fn a_clock_is_within_the_tolerance_or_refused() {
    let keys = keys();
    let request = accept(&ask("SYMC").to_xml(&keys).unwrap(), &keys).unwrap();
    for off in [-300, -1, 0, 300] {
        assert!(request.check_clock(now().plus_seconds(off), 300).is_ok());
    }
    for (off, tolerance) in [(-301, 300), (301, 300), (1, 0), (0, -1), (i64::MIN, 1_000_000)] {
        let refusal = request.check_clock(now().plus_seconds(off), tolerance).unwrap_err();
        assert_eq!(refusal.fault(), Fault::Clock);
    }
}

#[test]
fn a_credential_of_another_model_or_length_is_not_answered() {
    let keys = keys();
    let request = accept(&ask("SYMC").to_xml(&keys).unwrap(), &keys).unwrap();
    let fault_of = |credential: &str, length: usize| {
        let (credential, seed) = (credential.parse().unwrap(), seed(&vec![1; length]));
        let issued = Issued { credential: &credential, seed: &seed, now: now(), expires: now() };
        request.answer(&issued, &keys, &mut SystemRng).map(|_| ()).map_err(|r| r.fault())
    };
    assert_eq!(fault_of("SYMC00000001", 20), Ok(()));
    assert_eq!(fault_of("VSST00000001", 20), Err(Fault::Internal));
    assert_eq!(fault_of("SYMC00000001", 32), Err(Fault::Internal));
}

#[test]
fn an_older_client_with_more_to_say_is_understood() {
    let keys = keys();
    let xml = Ask { activation_code: "ABC-123", ..ask("VSST") }.to_xml(&keys).unwrap();
    let xml = xml.replace(
        "<Extension",
        "\n  <DeviceId><Manufacturer>M</Manufacturer><SerialNo>1</SerialNo></DeviceId>\n  <Extension",
    );
    let xml =
        xml.replace("<ClientTimestamp", "<ClientInfo><os>o</os></ClientInfo><ClientTimestamp");
    let request = accept(&xml, &keys).unwrap();
    assert_eq!(request.activation_code(), Some("ABC-123"));
    let plain = accept(&ask("VSST").to_xml(&keys).unwrap(), &keys).unwrap();
    assert_eq!(plain.activation_code(), None);
}

#[test]
fn a_wrong_bit_anywhere_in_the_mac_is_refused() {
    let keys = keys();
    let good = ask("SYMC").to_xml(&keys).unwrap();
    let from = good.find("<Data>").unwrap() + 6;
    let data = &good[from..from + 44];
    let mac = data_encoding::BASE64.decode(data.as_bytes()).unwrap();
    for bit in 0..mac.len() * 8 {
        let mut bent = mac.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        let bent = good.replace(data, &data_encoding::BASE64.encode(&bent));
        assert_eq!(fault(&bent, &keys), Fault::NotAuthorized, "bit {bit}");
    }
    for (from, to) in [
        ("BOARDID", "BOARDIE"),
        ("test-client-1.0", "test-client-1.1"),
        (">Tests<", ">Test<"),
        ("Id=\"1795567688\"", "Id=\"1795567689\""),
        ("<ClientTimestamp>1795567688", "<ClientTimestamp>1795567689"),
    ] {
        assert!(good.contains(from));
        assert_eq!(fault(&good.replace(from, to), &keys), Fault::NotAuthorized, "{to}");
    }
}

#[test]
fn whatever_is_not_the_protocol_is_malformed() {
    let keys = keys();
    let good = ask("SYMC").to_xml(&keys).unwrap();
    assert!(accept(&good, &keys).is_ok());
    let elements = [
        "TokenModel",
        "OtpAlgorithm",
        "SharedSecretDeliveryMethod",
        "AppHandle",
        "ClientIDType",
        "ClientID",
        "DistChannel",
        "ClientTimestamp",
        "Data",
    ];
    for name in elements {
        let gone = good.replace(&format!("<{name}>"), "<X>").replace(&format!("</{name}>"), "</X>");
        let gone = gone.replace(&format!("<{name} "), "<X ");
        assert_ne!(gone, good);
        assert_eq!(fault(&gone, &keys), Fault::Malformed, "without {name}");
    }
    for (name, value) in [
        ("TokenModel", "SYMC"),
        ("ActivationCode", ""),
        ("SharedSecretDeliveryMethod", "HTTPS"),
        ("ClientID", "test-client-1.0"),
        ("ClientTimestamp", "1795567688"),
    ] {
        let one = format!("<{name}>{value}</{name}>");
        assert!(good.contains(&one), "{one}");
        assert_eq!(fault(&good.replace(&one, &one.repeat(2)), &keys), Fault::Malformed, "{name}");
        let nested = format!("<{name}><{name}>{value}</{name}></{name}>");
        assert_eq!(fault(&good.replace(&one, &nested), &keys), Fault::Malformed, "{name}");
        let marked = format!("<{name} a=\"b\">{value}</{name}>");
        assert_eq!(fault(&good.replace(&one, &marked), &keys), Fault::Malformed, "{name}");
        let foreign = format!("<{name} xmlns=\"urn:other\">{value}</{name}>");
        assert_eq!(fault(&good.replace(&one, &foreign), &keys), Fault::Malformed, "{name}");
        let long = format!("<{name}>{}</{name}>", "1".repeat(200));
        assert_eq!(fault(&good.replace(&one, &long), &keys), Fault::Malformed, "{name}");
        let parted = format!("<{name}>{value}<!-- x --></{name}>");
        assert_eq!(fault(&good.replace(&one, &parted), &keys), Fault::Malformed, "{name}");
    }
    for (from, to) in [
        ("2006/08/vipservice", "2006/09/vipservice"),
        ("HMAC-SHA1-TRUNC-6DIGITS", "HMAC-SHA256-TRUNC-6DIGITS"),
        (">HTTPS<", ">SMS<"),
        ("extVersion=\"auth\"", "extVersion=\"none\""),
        ("vip:ProvisionInfoType", "vip:OtherType"),
        ("vip:ProvisionInfoType", "xsi:ProvisionInfoType"),
        ("xsi:type=", "type="),
        ("<ClientTimestamp>1", "<ClientTimestamp>-1"),
        ("<ClientTimestamp>1", "<ClientTimestamp>01"),
        ("<ClientTimestamp>1", "<ClientTimestamp> 1"),
        (" Id=\"1795567688\"", ""),
        (" Id=\"1795567688\"", " Id=\"\""),
        (" Id=\"1795567688\"", " Id=\"a&quot;b\""),
        (" Version=\"2.0\"", ""),
        ("<GetSharedSecret ", "<GetSharedSecret a=\"b\" "),
        ("GetSharedSecret", "GetSharedSecrets"),
        ("test-client", "t&eacute;st"),
        ("test-client", "t\u{e9}st"),
        ("test-client", "&#10;"),
        ("</ClientID>", "</ClientID>stray"),
        ("<Data>", "<Data>="),
    ] {
        assert!(good.contains(from), "{from}");
        assert_eq!(fault(&good.replace(from, to), &keys), Fault::Malformed, "{to}");
    }
}

#[test]
fn bombs_depth_and_size_are_refused() {
    let keys = keys();
    let good = ask("SYMC").to_xml(&keys).unwrap();
    let (head, body) = good.split_at(good.find("<GetSharedSecret").unwrap());
    let bomb = format!(
        "{head}<!DOCTYPE b [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY c \"&a;&a;&a;&a;&a;&a;\">]>{}",
        body.replace("test-client-1.0", "&c;")
    );
    assert_eq!(fault(&bomb, &keys), Fault::Malformed);
    let external = format!(
        "{head}<!DOCTYPE b [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>{}",
        body.replace("test-client-1.0", "&a;")
    );
    assert_eq!(fault(&external, &keys), Fault::Malformed);
    assert_eq!(fault(&format!("{head}<!DOCTYPE b>{body}"), &keys), Fault::Malformed);
    for filler in ["<DeviceId>".repeat(1_000), "<DeviceId/>".repeat(1_000), " ".repeat(1_000_000)] {
        let body = body.replace("<Extension", &format!("{filler}<Extension"));
        assert_eq!(fault(&format!("{head}{body}"), &keys), Fault::Malformed);
    }
    let deep = "<a>".repeat(5_000) + &"</a>".repeat(5_000);
    assert_eq!(fault(&deep, &keys), Fault::Malformed);
    let large = vec![b'<'; 10_000_000];
    assert_eq!(SharedSecretRequest::parse(&large).unwrap_err().fault(), Fault::Malformed);
    let fits = format!("{good}{}", " ".repeat(REQUEST_MAX_BYTES - good.len()));
    assert!(accept(&fits, &keys).is_ok());
    assert_eq!(fault(&format!("{fits} "), &keys), Fault::Malformed);
}

#[test]
fn nothing_secret_is_shown() {
    let keys = keys();
    let good = ask("SYMC").to_xml(&keys).unwrap();
    let parsed = SharedSecretRequest::parse(good.as_bytes()).unwrap();
    assert_eq!(format!("{parsed:?}"), "SharedSecretRequest");
    let request = parsed.authenticate(&keys).unwrap();
    assert_eq!(format!("{request:?}"), "AuthenticRequest");
    let (_, first) = issue(&request, &seed(&[7; 20]), &keys);
    let (_, second) = issue(&request, &seed(&[7; 20]), &keys);
    let cipher = |xml: &str| {
        let from = xml.find("<Cipher>").unwrap() + 8;
        xml[from..xml.find("</Cipher>").unwrap()].to_owned()
    };
    assert_ne!(cipher(&first), cipher(&second), "the vector is fresh each time");
    let bad = good.replace("test-client-1.0", "evil\"&lt;script&gt;");
    let refusal = accept(&bad, &keys).unwrap_err().to_xml();
    assert!(!refusal.contains("evil") && !refusal.contains("script"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_request_and_answer_comes_back(
        model in 0usize..8, seconds in 1i64..99_999_999_999, bytes: [u8; 20],
        code in "[ -~]{0,64}", kind in "[ -~]{0,128}", client in "[ -~]{0,128}", channel in "[ -~]{0,128}",
    ) {
        let keys = keys();
        let model = TokenModel::ALL[model];
        let ask = Ask {
            model: model.code(), now: Timestamp::from_seconds(seconds), activation_code: &code,
            client_id_type: &kind, client_id: &client, dist_channel: &channel,
        };
        let request = accept(&ask.to_xml(&keys).unwrap(), &keys).unwrap();
        prop_assert_eq!(request.model(), model);
        prop_assert_eq!(request.client_time().seconds(), seconds);
        prop_assert_eq!(request.activation_code().unwrap_or_default(), code.as_str());
        let (credential, answer) = issue(&request, &seed(&bytes), &keys);
        let received = Received::from_xml(answer.as_bytes(), &keys).unwrap();
        prop_assert_eq!(received.credential, credential);
        prop_assert_eq!(received.seed.expose(), bytes);
    }

    #[test]
    fn what_is_cut_off_is_refused(cut in 1usize..900) {
        let keys = VipKeys::from_hex(&"5a".repeat(32), &"a5".repeat(16)).unwrap();
        let good = ask("SYMC").to_xml(&keys).unwrap();
        let length = good.len().saturating_sub(cut);
        prop_assert_eq!(fault(&good[..length], &keys), Fault::Malformed);
    }

    #[test]
    fn one_changed_byte_is_refused_or_means_the_same(at in 0usize..900, byte: u8) {
        let keys = VipKeys::from_hex(&"5a".repeat(32), &"a5".repeat(16)).unwrap();
        let mut body = ask("SYMC").to_xml(&keys).unwrap().into_bytes();
        let at = at % body.len();
        body[at] = byte;
        if let Ok(Ok(request)) = SharedSecretRequest::parse(&body).map(|r| r.authenticate(&keys)) {
            prop_assert_eq!(request.client_time(), now());
            prop_assert_eq!(request.id().as_str(), NOW.to_string());
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[<>/a-zA-Z\"'=&;!?:\\[\\] -]{0,200}") {
        let keys = VipKeys::from_hex(&"5a".repeat(32), &"a5".repeat(16)).unwrap();
        for body in [bytes.as_slice(), text.as_bytes()] {
            prop_assert!(SharedSecretRequest::parse(body).is_err());
            prop_assert!(Received::from_xml(body, &keys).is_err());
        }
    }
}
