//! The VIP Access protocol over the real router, played by the client side of our own crate. What
//! others' clients make of it shows `scripts/vip-client-test.sh`.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use countersign_app::Vip;
use countersign_crypto::{HmacAlgorithm, SystemRng};
use countersign_domain::{
    CredentialId, Failures, Manufacturer, ModelCode, TokenState,
    otp::{OtpParams, Step},
};
use countersign_provision::vip::{
    TokenModel, VipKeys,
    client::{Ask, ClientError, MovingFactor, Received},
};
use countersign_server::Limits;
use countersign_testkit::{Api, Backend, Phone, Reply, TestApp, WRONG_CODE, wanted};
use http::Method;

use crate::add;

const WORKING: &str = "Your VIP Credential is working correctly";
const SYNCED: &str = "Your VIP Credential is successfully synced";
const OUT_OF_SYNC: &str = "Your VIP credential needs to be sync";
const FORM: &str = "application/x-www-form-urlencoded";

/// A server that speaks the protocol, and a client that holds its keys.
struct Place {
    app: TestApp,
    keys: VipKeys,
    client: Api,
}

impl Place {
    async fn on(backend: Backend) -> Self {
        Self::with(backend, Limits::new(100_000, 100_000)).await
    }

    async fn with(backend: Backend, limits: Limits) -> Self {
        let keys = VipKeys::random(&mut SystemRng).unwrap();
        let vip = Vip {
            path: "/apps/vip".to_owned(),
            keys: VipKeys::from_hex(keys.hmac_hex().expose(), keys.token_hex().expose()).unwrap(),
            clock_tolerance_seconds: 300,
        };
        let app = TestApp::with(backend, limits, |options| options.vip = Some(Arc::new(vip))).await;
        let client = Api::new(app.router(), None);
        Self { app, keys, client }
    }

    fn ask<'a>(&self, model: &'a str) -> Ask<'a> {
        Ask {
            model,
            now: self.app.now(),
            activation_code: "",
            client_id_type: "BOARDID",
            client_id: "test-client-1.0",
            dist_channel: "Tests",
        }
    }

    async fn post(&self, name: &str, kind: &str, body: &str) -> Reply {
        let path = format!("/apps/vip/{name}");
        self.client.send(Method::POST, &path, kind, body.as_bytes().to_vec()).await
    }

    async fn prov(&self, ask: &Ask<'_>) -> Reply {
        // The usual client names no content type.
        self.post("prov", "", &ask.to_xml(&self.keys).unwrap()).await
    }

    async fn provision(&self, model: TokenModel) -> Phone {
        let reply = self.prov(&self.ask(model.code())).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let got = Received::from_xml(reply.body.as_bytes(), &self.keys).unwrap();
        assert_eq!(got.server_time.seconds(), self.app.now().seconds());
        let params = match got.moving_factor {
            MovingFactor::Time => OtpParams::new(HmacAlgorithm::Sha1, 6, 30),
            MovingFactor::Counter(first) => {
                assert_eq!(first, 1);
                OtpParams::event_based(HmacAlgorithm::Sha1, 6)
            }
        };
        let credential = CredentialId::parse(got.credential.as_str(), None).unwrap();
        Phone::new(credential, got.seed, params.unwrap())
    }

    /// The reason code and status of a body that is refused; nothing was made.
    async fn fault(&self, body: &str) -> (u16, String) {
        let reply = self.post("prov", "text/xml", body).await;
        match Received::from_xml(reply.body.as_bytes(), &self.keys) {
            Err(ClientError::Refused { reason_code, .. }) => (reply.status, reason_code),
            other => panic!("{other:?}: {}", reply.body),
        }
    }

    async fn check(&self, credential: &str, code: &str) -> Reply {
        let body = format!("{}&cred={credential}&continue=otp_check", digits("cr", code));
        self.post("otpCheck", FORM, &body).await
    }

    async fn sync(&self, credential: &str, first: &str, second: &str) -> Reply {
        let (first, second) = (digits("cr", first), digits("ncr", second));
        let body = format!("{first}&{second}&cred={credential}&continue=otp_sync");
        self.post("otpSync", FORM, &body).await
    }

    async fn tokens(&self) -> usize {
        self.app.database.texts("SELECT credential FROM token WHERE prescriber IS NULL").await.len()
    }
}

fn digits(name: &str, code: &str) -> String {
    let fields: Vec<String> =
        code.chars().enumerate().map(|(i, digit)| format!("{name}{}={digit}", i + 1)).collect();
    fields.join("&")
}

fn pressed(phone: &Phone, counter: i64) -> String {
    phone.code_of(Step::new(counter))
}

macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($place:ident: Place) $body:block)+) => {$(
        $(#[$doc])*
        mod $name {
            #[allow(unused_imports, reason = "not every test needs what its file imports")]
            use super::*;

            async fn run($place: Place) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run(Place::on(Backend::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if wanted(Backend::Postgres) {
                    run(Place::on(Backend::Postgres).await).await;
                }
            }
        }
    )+};
}

on_both! {
    /// Every model: the seed decrypts, its codes are those of the server, and the token is on record.
    async fn every_model_is_provisioned_and_works(place: Place) {
        for model in TokenModel::ALL {
            let phone = place.provision(model).await;
            assert!(phone.credential.as_str().starts_with(model.code()));
            let token = place.app.token(&phone.credential).await;
            assert_eq!(*token.model(), ModelCode::known(ModelCode::VIP_ACCESS));
            assert_eq!(token.params(), phone.params);
            assert_eq!(token.params().is_event_based(), model == TokenModel::Ubhe);
            let day = place.app.now().plus_seconds(24 * 3_600);
            assert_eq!(token.state(), TokenState::Unassociated { expires: day });
            let code = if model == TokenModel::Ubhe {
                pressed(&phone, 1)
            } else {
                phone.code(place.app.now())
            };
            let reply = place.check(phone.credential.as_str(), &code).await;
            assert!(reply.status == 200 && reply.body.contains(WORKING), "{}", reply.body);
            assert_eq!(reply.headers["cache-control"], "no-store");
        }
        let events = place.app.events().await;
        let count = |line: &str| events.iter().filter(|event| event.starts_with(line)).count();
        assert_eq!(count("token_provisioned success"), 8);
        assert_eq!(count("token_tested success"), 8);
    }

    /// A time-based and an event-based token are added at the portal and used for a passcode check.
    async fn tokens_are_added_and_used(place: Place) {
        let api = place.app.api().await;
        let phone = place.provision(TokenModel::Vsmt).await;
        let mut browser = place.app.signed_in().await;
        let code = phone.code(place.app.now());
        let page = add(&mut browser, &phone, &code, &[]).await;
        page.leads_to("/portal/tokens?done=added");
        assert!(!api.check(phone.credential.as_str(), &code).await.verified());
        place.app.activate(&phone.credential).await;
        place.app.clock.advance(30);
        let code = phone.code(place.app.now());
        assert!(api.check(phone.credential.as_str(), &code).await.verified());

        let fob = place.provision(TokenModel::Ubhe).await;
        let name = [("name", "Button")];
        let page = add(&mut browser, &fob, &pressed(&fob, 0), &name).await;
        let used = page.field_error("otp").unwrap();
        assert!(used.contains("Press the button on the token for a new one"), "{used}");
        let page = add(&mut browser, &fob, &pressed(&fob, 3), &name).await;
        page.leads_to("/portal/tokens?done=added");
        place.app.activate(&fob.credential).await;
        for (counter, right) in [(3, false), (2, false), (5, true), (5, false), (15, true)] {
            let code = pressed(&fob, counter);
            let verified = api.check(fob.credential.as_str(), &code).await.verified();
            assert_eq!(verified, right, "{counter}");
        }
        // Too far ahead, until two codes in a row bring it back.
        assert!(!api.check(fob.credential.as_str(), &pressed(&fob, 60)).await.verified());
        let id = place.app.token_id(&fob.credential).await;
        let codes = [("passcode1", pressed(&fob, 61)), ("passcode2", pressed(&fob, 62))];
        let fields: Vec<(&str, &str)> = codes.iter().map(|(n, c)| (*n, c.as_str())).collect();
        let page = browser.post(&format!("/portal/tokens/{id}/resync"), &fields).await;
        page.leads_to("/portal/tokens?done=resynced");
        assert!(api.check(fob.credential.as_str(), &pressed(&fob, 63)).await.verified());
        browser.get(&format!("/portal/tokens/{id}")).await.says(200, "Button");
    }

    /// A right code is used up by the check, for signing too; a wrong one counts nowhere.
    async fn a_check_uses_up_a_right_code_and_counts_nothing(place: Place) {
        let api = place.app.api().await;
        let phone = place.provision(TokenModel::Symc).await;
        let credential = phone.credential.to_string();
        let code = phone.code(place.app.now());
        assert!(place.check(&credential, &code).await.body.contains(WORKING));
        let again = place.check(&credential, &code).await;
        assert!(again.status == 200 && again.body.contains(OUT_OF_SYNC), "{}", again.body);
        let later = phone.code_after(place.app.now(), 20);
        assert_eq!(place.check(&credential, &later).await.body, again.body, "no oracle of the future");
        assert_eq!(place.check(&credential, WRONG_CODE).await.body, again.body);
        let mut browser = place.app.signed_in().await;
        let page = add(&mut browser, &phone, &code, &[]).await;
        assert!(page.field_error("otp").unwrap().contains("already used"));
        place.app.clock.advance(30);
        let code = phone.code(place.app.now());
        add(&mut browser, &phone, &code, &[]).await.leads_to("/portal/tokens?done=added");

        // Now it is somebody's: a wrong code says no more than an unknown ID, and harms nobody.
        let unknown = place.check("SYMC00000000", WRONG_CODE).await;
        assert_eq!(unknown.status, 200);
        for word in [WORKING, OUT_OF_SYNC, SYNCED] {
            assert!(!unknown.body.contains(word));
        }
        for _ in 0..4 {
            assert_eq!(place.check(&credential, WRONG_CODE).await.body, unknown.body);
        }
        let token = place.app.token(&phone.credential).await;
        assert_eq!(token.failures(), Failures::NONE);
        assert_eq!(place.app.owner_failures().await, Failures::NONE);
        place.app.clock.advance(30);
        let code = phone.code(place.app.now());
        assert!(place.check(&credential, &code).await.body.contains(WORKING));
        assert!(!api.check(&credential, &code).await.verified(), "used up by the check");
        let events = place.app.events().await;
        let tested = |rest: &str| events.contains(&format!("token_tested {rest}"));
        assert!(tested("refused passcode_wrong") && tested("refused passcode_used"), "{events:?}");
        assert!(events.contains(&"request_refused refused vip_credential_unknown".to_owned()));
    }

    /// Two codes bring a token into step, once.
    async fn sync_brings_into_step(place: Place) {
        let phone = place.provision(TokenModel::Sydc).await;
        let credential = phone.credential.to_string();
        let now = place.app.now();
        let (first, second) = (phone.code_after(now, 40), phone.code_after(now, 41));
        let swapped = place.sync(&credential, &second, &first).await;
        assert!(swapped.body.contains(OUT_OF_SYNC));
        assert!(place.sync(&credential, &first, &second).await.body.contains(SYNCED));
        assert!(place.sync(&credential, &first, &second).await.body.contains(OUT_OF_SYNC));
        assert_eq!(place.app.token(&phone.credential).await.drift().current(), 41);
        assert!(place.check(&credential, &phone.code_after(now, 42)).await.body.contains(WORKING));

        let fob = place.provision(TokenModel::Ubhe).await;
        let credential = fob.credential.to_string();
        assert!(place.check(&credential, &pressed(&fob, 50)).await.body.contains(OUT_OF_SYNC));
        let reply = place.sync(&credential, &pressed(&fob, 50), &pressed(&fob, 51)).await;
        assert!(reply.body.contains(SYNCED));
        assert!(place.check(&credential, &pressed(&fob, 52)).await.body.contains(WORKING));
    }

    /// Other people's tokens, paused ones, disabled ones and those that have run out say nothing.
    async fn who_is_not_served(place: Place) {
        let unknown = place.check("SYMC00000000", WRONG_CODE).await;
        // A token with a Symantec ID that did not come by this protocol, once it is somebody's.
        let phone = Api::new(place.app.router(), None).provision(Some("symantec")).await;
        let mut browser = place.app.signed_in().await;
        let code = phone.code(place.app.now());
        add(&mut browser, &phone, &code, &[]).await.leads_to("/portal/tokens?done=added");
        place.app.activate(&phone.credential).await;
        place.app.clock.advance(30);
        let credential = phone.credential.to_string();
        let code = phone.code(place.app.now());
        assert_eq!(place.check(&credential, &code).await.body, unknown.body);
        let api = place.app.api().await;
        assert!(api.check(&credential, &code).await.verified(), "the check did not use it up");

        let late = place.provision(TokenModel::Symz).await;
        place.app.clock.advance(24 * 3_600);
        let code = late.code(place.app.now());
        assert_eq!(place.check(late.credential.as_str(), &code).await.body, unknown.body);
        let next = late.code_after(place.app.now(), 1);
        let reply = place.sync(late.credential.as_str(), &code, &next).await;
        assert_eq!(reply.body, unknown.body);

        let off = place.provision(TokenModel::Vsmb).await;
        let at = place.app.app.at().unwrap();
        place.app.app.emergency_disable(off.credential.clone(), at).await.unwrap().done().unwrap();
        let code = off.code(place.app.now());
        assert_eq!(place.check(off.credential.as_str(), &code).await.body, unknown.body);
    }

    /// Each bad request gets its code of the protocol, and makes nothing.
    async fn bad_requests_are_refused_in_the_protocols_form(place: Place) {
        let good = place.ask("SYMC").to_xml(&place.keys).unwrap();
        let other = VipKeys::random(&mut SystemRng).unwrap();
        let forged = place.ask("SYMC").to_xml(&other).unwrap();
        assert_eq!(place.fault(&forged).await, (403, "4E03".to_owned()));
        let unknown = place.ask("ABCD").to_xml(&place.keys).unwrap();
        assert_eq!(place.fault(&unknown).await, (422, "4E0D".to_owned()));
        let version = good.replacen("Version=\"2.0\"", "Version=\"1.0\"", 1);
        assert_eq!(place.fault(&version).await, (400, "4E04".to_owned()));
        for off in [301, -301] {
            let mut ask = place.ask("SYMC");
            ask.now = ask.now.plus_seconds(off);
            let xml = ask.to_xml(&place.keys).unwrap();
            assert_eq!(place.fault(&xml).await, (403, "4E03".to_owned()), "{off}");
        }
        let bomb = "<!DOCTYPE b [<!ENTITY a \"aaaa\"><!ENTITY c \"&a;&a;&a;\">]>";
        let file = "<!DOCTYPE b [<!ENTITY c SYSTEM \"file:///etc/passwd\">]>";
        for dtd in [bomb, file] {
            let body = good.replace("BOARDID", "&c;");
            let body = match body.split_once("?>") {
                Some((head, rest)) => format!("{head}?>{dtd}{rest}"),
                None => format!("{dtd}{body}"),
            };
            assert_eq!(place.fault(&body).await, (400, "600B".to_owned()));
        }
        let deep = "<a>".repeat(1_000) + &"</a>".repeat(1_000);
        for body in ["", "no xml", &good[..good.len() / 2], &deep] {
            assert_eq!(place.fault(body).await, (400, "600B".to_owned()));
        }
        let large = format!("{good}{}", " ".repeat(17 * 1_024));
        assert_eq!(place.fault(&large).await, (413, "600B".to_owned()));
        assert_eq!(place.tokens().await, 0);

        for form in ["", "cred=SYMC12345678", "a=b&c=d"] {
            assert_eq!(place.post("otpCheck", FORM, form).await.status, 400);
            assert_eq!(place.post("otpSync", FORM, form).await.status, 400);
        }
        let long = "x".repeat(3_000);
        assert_eq!(place.post("otpCheck", FORM, &long).await.status, 413);
        for name in ["prov", "otpCheck", "otpSync"] {
            let path = format!("/apps/vip/{name}");
            for method in [Method::GET, Method::PUT] {
                let reply = place.client.send(method, &path, "", vec![]).await;
                assert_eq!(reply.status, 405);
                assert!(reply.body.contains("600B") && !reply.body.contains("Success"));
            }
        }
    }
}

/// Off by default: the addresses are like any that do not exist.
#[tokio::test]
async fn it_is_off_by_default() {
    let app = TestApp::on(Backend::Sqlite).await;
    let client = Api::new(app.router(), None);
    for name in ["prov", "otpCheck", "otpSync"] {
        let reply = client.send(Method::GET, &format!("/vip/{name}"), "", vec![]).await;
        assert_eq!(reply.status, 404);
        // A post that no page of ours has sent gets no further.
        let there = client.send(Method::POST, &format!("/vip/{name}"), "", vec![]).await;
        let nowhere = client.send(Method::POST, "/no/such/place", "", vec![]).await;
        assert_eq!((there.status, nowhere.status), (403, 403));
    }
}

/// Without Symantec among the makers no model is offered: its tokens could not be added.
#[tokio::test]
async fn no_model_is_offered_without_its_maker() {
    let keys = VipKeys::random(&mut SystemRng).unwrap();
    let vip = Vip {
        path: "/apps/vip".to_owned(),
        keys: VipKeys::from_hex(keys.hmac_hex().expose(), keys.token_hex().expose()).unwrap(),
        clock_tolerance_seconds: 300,
    };
    let app = TestApp::with(Backend::Sqlite, Limits::new(100, 100), |options| {
        options.vip = Some(Arc::new(vip));
        options.manufacturers = vec![Manufacturer::Countersign];
    })
    .await;
    let client = Api::new(app.router(), None);
    let place = Place { app, keys, client };
    let xml = place.ask("SYMC").to_xml(&place.keys).unwrap();
    assert_eq!(place.fault(&xml).await, (422, "4E0D".to_owned()));
}

/// New tokens are limited for all together, and for each address; who has no keys uses up nothing.
#[tokio::test]
async fn provisioning_is_limited() {
    let mut place = Place::with(Backend::Sqlite, Limits::new(100, 4).for_vip(3, 100)).await;
    let forged = place.ask("SYMC").to_xml(&VipKeys::random(&mut SystemRng).unwrap()).unwrap();
    assert_eq!(place.fault(&forged).await.0, 403);
    for _ in 0..3 {
        place.provision(TokenModel::Symc).await;
    }
    let unavailable = (429, "4879".to_owned());
    let xml = place.ask("SYMC").to_xml(&place.keys).unwrap();
    assert_eq!(place.fault(&xml).await, unavailable, "of this address");
    place.client.address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    assert_eq!(place.fault(&xml).await, unavailable, "of all");
    assert_eq!(place.tokens().await, 3);
    let events = place.app.events().await;
    for reason in ["vip_mac_wrong", "provisioning_limit", "vip_provisioning_limit"] {
        assert!(events.contains(&format!("request_refused refused {reason}")), "{reason}");
    }
}

/// Checks and syncs are limited for each address, and for each credential from wherever they come.
#[tokio::test]
async fn checks_are_limited() {
    let mut place = Place::with(Backend::Sqlite, Limits::new(100, 100).for_vip(100, 12)).await;
    let phone = place.provision(TokenModel::Symc).await;
    let credential = phone.credential.to_string();
    for _ in 0..10 {
        assert_eq!(place.check(&credential, WRONG_CODE).await.status, 200);
    }
    let code = phone.code(place.app.now());
    let reply = place.check(&credential, &code).await;
    assert!(reply.status == 429 && !reply.body.contains(WORKING));
    place.client.address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    assert_eq!(place.check(&credential, &code).await.status, 429, "from elsewhere too");
    let other = place.provision(TokenModel::Symc).await;
    let code = other.code(place.app.now());
    assert!(place.check(other.credential.as_str(), &code).await.body.contains(WORKING));
    // What is no form counts too.
    place.client.address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8));
    for _ in 0..12 {
        assert_eq!(place.post("otpCheck", FORM, "a=b").await.status, 400);
    }
    let next = other.code_after(place.app.now(), 1);
    let reply = place.check(other.credential.as_str(), &next).await;
    assert_eq!(reply.status, 429, "of this address");
    assert_eq!(place.sync(other.credential.as_str(), &code, &next).await.status, 429);
    let events = place.app.events().await;
    for reason in ["vip_check_limit", "vip_credential_limit"] {
        assert!(events.contains(&format!("request_refused refused {reason}")), "{reason}");
    }
}
