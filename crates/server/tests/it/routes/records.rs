//! Each change leaves its audit record; looking leaves none.

use countersign_testkit::{Api, Backend, PASSPHRASE, TestApp, WRONG_CODE, both};
use http::Method;

use super::{ROUTES, Who::Passphrase, address, open};
use crate::add;

#[tokio::test]
async fn looking_changes_nothing_and_leaves_no_record() {
    let app = TestApp::on(Backend::Sqlite).await;
    let (disabled, _) = app.another_token(&app.person, "Old").await;
    let path = format!("/portal/tokens/{disabled}/disable");
    app.signed_in().await.post(&path, &[("reason", "temporarily_unavailable")]).await;
    let full = app.signed_in().await;
    let passphrase = app.at_passcode().await;
    for (path, list, who) in ROUTES {
        if !list.contains("GET") {
            continue;
        }
        for id in [app.person.token, disabled] {
            let path = address(path, id);
            let launch = ["/launch", "/smart/launch", "/smart/callback"].contains(&path.as_str());
            let mut browser = match who {
                // It ends the session in its browser, so that it gets one of its own.
                _ if launch => app.signed_in().await,
                Passphrase => passphrase.clone(),
                _ => full.clone(),
            };
            let before = app.event_count().await;
            let page = open(&mut browser, Method::GET, &path).await;
            assert!(page.status < 500, "{path}: {}", page.status);
            // A launch is used up by a GET, and that is on record, as is the session that it ended.
            // So is a provider's answer, also one that belongs to nothing.
            let expected = match path.as_str() {
                _ if launch => 2,
                "/proofing/finish" => 1,
                _ => 0,
            };
            assert_eq!(app.event_count().await - before, expected, "{path}");
        }
    }
    for file in ["portal.css", "portal.js", "favicon.svg", "logo.svg"] {
        let page = app.browser().get(&format!("/static/{file}")).await;
        assert_eq!(page.status, 200, "{file}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
    }
}

/// Counts the records of one request.
struct Count<'a> {
    app: &'a TestApp,
    before: i64,
}

impl<'a> Count<'a> {
    async fn from(app: &'a TestApp) -> Self {
        Self { app, before: app.event_count().await }
    }

    #[track_caller]
    fn is(&self, now: i64, records: i64, what: &str) {
        assert_eq!(now - self.before, records, "{what}");
    }
}

/// Runs a request and compares status and number of records.
macro_rules! leaves {
    ($app:expr, $records:literal, $status:literal, $request:expr) => {{
        let count = Count::from(&$app).await;
        let page = $request.await;
        assert_eq!(page.status, $status, "{}: {:.2000}", stringify!($request), page.body);
        count.is(count.app.event_count().await, $records, stringify!($request));
        page
    }};
}

both! {
    /// Shows: R-1311.120-b24, R-1311.150-a1, H-164.312-b
    async fn every_change_leaves_its_record(app: TestApp) {
        let npi = app.person.npi.as_text();
        let id = app.person.token.to_string();
        let launch = format!("/launch?token={}", app.launch("amoreno", |_| {}));
        let mut browser = app.browser();
        leaves!(app, 1, 200, browser.get(&launch));
        leaves!(app, 1, 403, app.browser().get(&launch));

        leaves!(app, 1, 422, app.browser().pass(&npi, "not the right passphrase"));
        leaves!(app, 0, 422, app.browser().pass(&npi, ""));
        leaves!(app, 0, 422, app.browser().pass("12", PASSPHRASE));
        leaves!(app, 1, 303, browser.pass("", PASSPHRASE));
        leaves!(app, 1, 422, browser.passcode(&id, WRONG_CODE));
        leaves!(app, 0, 422, browser.passcode(&id, "12"));
        leaves!(app, 0, 422, browser.passcode("nothing", WRONG_CODE));
        leaves!(app, 1, 422, browser.passcode("any", WRONG_CODE));
        leaves!(app, 1, 303, browser.passcode(&id, &app.code()));

        let mut login = app.at_passcode().await;
        let one = app.person.phone.code_after(app.now(), 1);
        let two = app.person.phone.code_after(app.now(), 2);
        let pair = [("token", id.as_str()), ("passcode1", &one), ("passcode2", &two)];
        let wrong = [("token", id.as_str()), ("passcode1", "111111"), ("passcode2", "222222")];
        leaves!(app, 1, 422, login.post("/portal/login/resync", &wrong));
        leaves!(app, 0, 422, login.post("/portal/login/resync", &wrong[..2]));
        leaves!(app, 1, 303, login.post("/portal/login/resync", &pair));
        let lost = [("token", id.as_str()), ("reason", "lost")];
        leaves!(app, 1, 422, login.post("/portal/login/lost", &lost));
        let enable = [("token", id.as_str()), ("passcode", WRONG_CODE)];
        leaves!(app, 1, 422, login.post("/portal/login/enable", &enable));

        app.clock.advance(90);
        let mut browser = app.signed_in().await;
        let phone = leaves_provisioned(&app).await;
        leaves!(app, 0, 422, add(&mut browser, &phone, "1", &[]));
        leaves!(app, 1, 422, add(&mut browser, &phone, WRONG_CODE, &[]));
        leaves!(app, 1, 303, add(&mut browser, &phone, &phone.code(app.now()), &[]));
        let new = app.token_id(&phone.credential).await;
        let path = |what: &str| format!("/portal/tokens/{new}/{what}");
        leaves!(app, 1, 303, browser.post(&path("name"), &[("name", "Other")]));
        leaves!(app, 0, 422, browser.post(&path("name"), &[("name", "")]));
        leaves!(app, 1, 200, browser.post(&path("test"), &[("passcode", WRONG_CODE)]));
        leaves!(app, 0, 422, browser.post(&path("test"), &[("passcode", "x")]));
        let code = phone.code_after(app.now(), 1);
        leaves!(app, 1, 200, browser.post(&path("test"), &[("passcode", &code)]));
        let one = phone.code_after(app.now(), 5);
        let two = phone.code_after(app.now(), 6);
        leaves!(app, 1, 422, browser.post(&path("resync"), &wrong[1..]));
        let pair = [("passcode1", one.as_str()), ("passcode2", two.as_str())];
        leaves!(app, 1, 303, browser.post(&path("resync"), &pair));
        let off = [("reason", "temporarily_unavailable")];
        leaves!(app, 1, 303, browser.post(&path("disable"), &off));
        let code = phone.code_after(app.now(), 7);
        leaves!(app, 1, 422, browser.post(&path("enable"), &[("passcode", WRONG_CODE)]));
        leaves!(app, 1, 303, browser.post(&path("enable"), &[("passcode", &code)]));

        leaves!(app, 0, 422, browser.post("/portal/passphrase", &[("current", "x")]));
        let changed = [
            ("current", "not the present passphrase"),
            ("new", "copper meadow violin harbor"),
            ("again", "copper meadow violin harbor"),
            ("stepup_token", "any"),
            ("stepup_passcode", "000000"),
        ];
        leaves!(app, 1, 422, browser.post("/portal/passphrase", &changed));
        leaves!(app, 0, 303, browser.post("/portal/phone", &[("intent", "getting")]));
        leaves!(app, 0, 422, browser.post("/portal/phone", &[]));
        // Off by default: as if there were no such page.
        leaves!(app, 0, 404, browser.post("/portal/tokens/other", &[("id", id.as_str())]));

        // With a passcode that confirms: one record for it, one for the change.
        app.clock.advance(301);
        let mut browser = app.signed_in().await;
        app.clock.advance(301);
        let third = app.provision().await;
        let otp = third.code(app.now());
        let none = [("stepup_token", "any"), ("stepup_passcode", "")];
        leaves!(app, 0, 422, add(&mut browser, &third, &otp, &none));
        let bad = [("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)];
        leaves!(app, 2, 422, add(&mut browser, &third, &otp, &bad));
        leaves!(app, 2, 422, browser.post(&path("disable"), &[off[0], bad[0], bad[1]]));
        // The resync above has taught the server that this token is two steps ahead.
        let code = app.person.phone.code_after(app.now(), 2);
        let good = [("stepup_token", id.as_str()), ("stepup_passcode", code.as_str())];
        leaves!(app, 2, 303, browser.post(&path("disable"), &[off[0], good[0], good[1]]));

        // What an integrating system does.
        let api = app.api().await;
        let credential = app.person.phone.credential.to_string();
        leaves!(app, 1, 200, api.check(&credential, WRONG_CODE));
        leaves!(app, 1, 200, api.check("CNST00000000", WRONG_CODE));
        leaves!(app, 0, 422, api.check(&credential, "x"));
        leaves!(app, 1, 401, Api::new(app.router(), None).check(&credential, WRONG_CODE));
        leaves!(app, 1, 200, api.check(&credential, &app.person.phone.code_after(app.now(), 3)));

        leaves!(app, 1, 303, browser.post("/sign-out", &[]));
        leaves!(app, 0, 303, browser.post("/sign-out", &[]));
    }

    /// The code on the page is the code of the record.
    async fn the_support_code_on_the_page_is_that_of_the_record(app: TestApp) {
        let page = app.at_passcode().await.passcode("any", WRONG_CODE).await;
        let code = page.support_code().unwrap().to_owned();
        let sql = format!("SELECT kind, reason FROM audit_event WHERE support = '{code}'");
        assert_eq!(app.database.texts(&sql).await, ["passcode_tried passcode_wrong"]);
    }

    /// No record holds a passcode, a passphrase, a seed, a session or a patient.
    async fn records_hold_no_secret(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        browser.pass("", "not the right passphrase").await;
        browser.pass("", PASSPHRASE).await;
        let code = app.code();
        browser.passcode("any", &code).await.leads_to("/portal/dashboard");
        let phone = app.provision().await;
        let otp = phone.code(app.now());
        add(&mut browser, &phone, &otp, &[("name", "Grandma")]).await;
        let all = app.database.texts("SELECT kind, detail, reason, purpose, support, actor FROM audit_event").await;
        let all = all.join("\n");
        let secrets = [
            code.as_str(), &otp, PASSPHRASE, "not the right", "Lindqvist", "MRN-1001",
            browser.session().unwrap(), phone.credential.as_str(), &app.person.npi.as_text(),
        ];
        for secret in secrets {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
    }
}

async fn leaves_provisioned(app: &TestApp) -> countersign_testkit::Phone {
    let count = Count::from(app).await;
    let phone = app.provision().await;
    count.is(app.event_count().await, 1, "provisioning");
    phone
}
