//! Supervisors, and registrations of a hospital with their internal codes.

use countersign_domain::{
    AuthorityId, DeaRegistration, PracticeId, Role, Schedules, access::Setting,
};
use countersign_protocol::record::RECORD_FORMAT;
use countersign_store::{Authority, Paper, Tx};
use countersign_testkit::{Browser, PASSPHRASE, Page, Person, TestApp, both, dea};
use http::Method;
use serde_json::{Value, json};

use super::{SIGN, mark, rules, sign};
use crate::{
    integration::{REQUESTS, System, signature, wanted},
    prescribing::{fields, send, with},
};

both! {
    /// The supervisor of a mid-level practitioner: named where the state wants it, told apart, and never the signer.
    /// Shows: R-1311.135-c
    async fn a_supervisor_is_named_and_never_signs(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        app.restart_with(|options| options.states = rules(&[], &[], &["NE"])).await;
        // A number that begins with M is a mid-level practitioner's.
        let number = dea(0).as_text().replacen('B', "M", 1);
        app.database.execute(&format!("UPDATE authority SET number = '{number}' WHERE kind = 'dea'")).await;
        let mut browser = app.launched("amoreno").await;
        let own = with(fields(), &[("dea", &number)]);
        let path = send(&mut browser, "/e-prescribing/new", &own).await.location().to_owned();
        browser.get(&path).await.says(200, "NE requires the supervisor of a mid-level practitioner");
        mark(&mut browser, &path).await.says(422, "Some information is missing");
        let edit = format!("{path}/edit");
        for (name, dea_number, field) in [
            ("", "BM1234563", "supervisor"), ("Dr. Sue", "BM1234564", "supervisor_dea"), ("Dr. Sue", number.as_str(), "supervisor_dea"),
        ] {
            let page = send(&mut browser, &edit, &with(own.clone(), &[("supervisor", name), ("supervisor_dea", dea_number)])).await;
            assert!(page.field_error(field).is_some(), "{field} {}", page.words());
        }
        send(&mut browser, &edit, &with(own.clone(), &[("supervisor", "dr. ada moreno")])).await.leads_to(&path);
        browser.get(&path).await.says(200, "You can't be your own supervisor");
        send(&mut browser, &edit, &with(own, &[("supervisor", "Dr. Sue O'Neil"), ("supervisor_dea", "BM1234563")])).await.leads_to(&path);
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        browser.get(SIGN).await.says(200, "Supervisor (does not sign) Dr. Sue O'Neil, DEA BM1234563");
        let record = sign(&app, &mut browser, &path).await;
        assert_eq!(record["prescription"]["supervisor"], json!({ "name": "Dr. Sue O'Neil", "dea": "BM1234563" }));
        assert_eq!((&record["practitioner"]["name"], &record["practitioner"]["dea"]), (&json!("Dr. Ada Moreno"), &json!(number)));
        browser.get(&format!("{path}/paper")).await.says(200, "Supervisor (does not sign) Dr. Sue O'Neil");
    }

    /// A hospital's number does not say who signs under it: where the state wants a supervisor, whoever has no number of
    /// their own that says otherwise names one, on a page and through the API.
    async fn under_a_hospitals_number_a_supervisor_is_asked_for(app: TestApp) {
        let mut house = Hospital::of(app).await;
        house.app.restart_with(|options| options.states = rules(&[], &[], &["NE"])).await;
        let (ada, office) = (house.app.person.clone(), house.office.clone());
        let mut desk = house.app.signed_in_as(&office).await;
        house.code(&mut desk, &ada, "012").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        let own = with(fields(), &[("dea", HOSPITAL_DEA)]);
        let mut browser = house.app.launched("amoreno").await;
        let path = send(&mut browser, "/e-prescribing/new", &own).await.location().to_owned();
        browser.get(&path).await.says(200, "NE requires the supervisor of a mid-level practitioner. Under an");
        let mut ehr = System::of(&house.app, "signing").await;
        let token = ehr.token(&house.app, "the-first-of-them").await;
        let mut body = wanted(&house.app);
        body["prescriptions"][0]["dea"] = json!(HOSPITAL_DEA);
        let mut named = body.clone();
        named["prescriptions"][0]["supervisor"] = json!("Dr. Sue O'Neil");
        let mut asked = async |body: &Value, key: &str| {
            let (_, said) = ehr.send(&token, Method::POST, REQUESTS, Some(key), body).await;
            let errors = said["errors"].as_array().cloned().unwrap_or_default();
            errors.iter().any(|it| it["field"] == "supervisor")
        };
        assert!(asked(&body, "k-1").await);
        assert!(!asked(&named, "k-2").await);
        // Their own number says what they are.
        house.own_number(&ada).await;
        for (number, wanted) in [("BM1234563", false), ("MM1234563", true)] {
            let change = format!("UPDATE authority SET number = '{number}' WHERE kind = 'dea' AND person IS NOT NULL");
            house.app.database.execute(&change).await;
            assert_eq!(asked(&body, number).await, wanted, "{number}");
        }
        // Elsewhere nobody is asked.
        house.app.restart_with(|options| options.states = rules(&[], &[], &["TX"])).await;
        let mut browser = house.app.launched("amoreno").await;
        let page = browser.get(&path).await;
        assert!(!page.words().contains("requires the supervisor"), "{}", page.words());
    }

    /// A hospital: its number with the code of each prescriber, on page, record, message, print, API and log; nothing
    /// without a code; and when its registration ends, all its prescribers stop at once.
    /// Shows: R-1306.05-g, R-1311.120-b1ii, R-1311.130-d, R-1311.125-d2
    async fn a_hospitals_number_has_a_code_and_ends_for_everybody(app: TestApp) {
        let house = Hospital::of(app).await;
        let office = house.office.clone();
        let mut desk = house.app.signed_in_as(&office).await;
        let mut second = house.app.signed_in_as(&house.second.clone()).await;
        let (ada, ben) = (house.app.person.clone(), house.ben.clone());
        let number = HOSPITAL_DEA;
        // Nobody has a code: no grant, no number to choose, no signature.
        house.grant(&mut desk, &ada).await.says(422, "First enter this person's internal code");
        let own_number = house.own_number(&ada).await;
        let page = house.grant_under(&mut desk, &ada, own_number).await;
        page.says(422, "First enter this person's internal code");
        let mut browser = house.app.launched("amoreno").await;
        browser.get("/e-prescribing/new").await.says(200, "you have no internal code from the institution");
        for (typed, text) in [("0-12", "letters and digits"), ("1234567890123456", "letters and digits")] {
            let page = house.code(&mut desk, &ada, typed).await;
            assert!(page.field_error("code").unwrap().contains(text), "{}", page.words());
            assert!(page.body.contains(&format!("value=\"{typed}\"")), "what was typed is kept");
        }
        house.code(&mut desk, &ada, "012").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        let page = desk.get(&house.page(&ada)).await;
        page.says(200, "AH5006134-012");
        page.says(200, "Entered by Dr. Ben Okafor");
        let page = house.code(&mut desk, &ben, "012").await;
        assert!(page.field_error("code").unwrap().contains("by another person at this institution"));
        let page = house.code(&mut desk, &office, "013").await;
        assert!(page.field_error("code").unwrap().contains("is not a prescriber here"));
        house.code(&mut desk, &ben, "a12").await.leads_to(&format!("{}?done=saved", house.page(&ben)));
        // With the code alone nobody signs either.
        let own = with(fields(), &[("dea", number)]);
        let path = send(&mut browser, "/e-prescribing/new", &own).await.location().to_owned();
        mark(&mut browser, &path).await.says(422, "not have permission to sign under this DEA number");
        for person in [&ada, &ben] {
            assert_eq!(house.grant(&mut desk, person).await.status, 303);
            house.execute(&mut desk, &mut second).await;
        }
        browser.get(&path).await.says(200, "DEA number AH5006134-012");
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        browser.get(SIGN).await.says(200, "AH5006134-012");
        let record = sign(&house.app, &mut browser, &path).await;
        assert_eq!((&record["practitioner"]["dea"], &record["prescription"]["dea"]), (&json!("AH5006134-012"), &json!("AH5006134-012")));
        assert_eq!(record["format"], RECORD_FORMAT);
        assert_eq!(house.app.transmit().await, 1);
        let parcel = house.app.parcels.lock().unwrap().last().unwrap().clone();
        assert!(parcel.contains("<DEANumber>AH5006134-012</DEANumber>"), "{parcel}");
        browser.get(&format!("{path}/paper")).await.says(200, "DEA number AH5006134-012");
        let mut portal = house.app.signed_in().await;
        let table = portal.post("/portal/prescriptions/export", &[("month", "2026-05"), ("format", "csv")]).await;
        assert!(table.body.contains("\"AH5006134-012\""), "{}", table.body);
        let pages = portal.post_bytes("/portal/prescriptions/export", &[("month", "2026-05"), ("format", "pdf")]).await;
        assert!(String::from_utf8_lossy(&pages).contains("AH5006134-012"));
        // The other one through the API, with and without the code.
        let mut ehr = System::of(&house.app, "prescribers.read signing").await;
        let token = ehr.token(&house.app, "the-first-of-them").await;
        let npi = format!("/api/v1/prescribers/{}", ben.npi.as_text());
        let (_, known) = ehr.send(&token, Method::GET, &npi, None, &Value::Null).await;
        assert_eq!(known["registrations"][0]["number"], "AH5006134-A12", "{known}");
        let body = |number: &str| {
            let mut body = wanted(&house.app);
            (body["npi"], body["prescriptions"][0]["dea"]) = (json!(ben.npi.as_text()), json!(number));
            body
        };
        let (status, answer) = ehr.send(&token, Method::POST, REQUESTS, Some("k-1"), &body("AH5006134-012")).await;
        assert_eq!((status, &answer["errors"][0]["field"]), (422, &json!("dea")), "another's code: {answer}");
        let (_, view) = ehr.send(&token, Method::POST, REQUESTS, Some("k-2"), &body("AH5006134-A12")).await;
        let (_, again) = ehr.send(&token, Method::POST, REQUESTS, Some("k-3"), &body("AH5006134")).await;
        for view in [&view, &again] {
            assert_eq!(view["prescriptions"][0]["content"]["dea"], "AH5006134-A12", "{view}");
        }
        let request = format!("{REQUESTS}/{}", view["id"].as_str().unwrap());
        let sign_path = format!("{request}/signature");
        // Another code: what was ready under the old one is looked at again.
        house.app.clock.advance(30);
        let mut browser = house.app.launched("amoreno").await;
        let path = send(&mut browser, "/e-prescribing/new", &own).await.location().to_owned();
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        let mut desk = house.app.signed_in_as(&office).await;
        house.code(&mut desk, &ada, "014").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        browser.get(SIGN).await.says(200, "internal code after the DEA number has changed");
        let page = house.code(&mut desk, &ben, "012").await;
        assert!(page.field_error("code").is_some(), "a code stays its person's");
        house.code(&mut desk, &ada, "012").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        assert!(browser.get(SIGN).await.find("[name=shown]").is_some());
        // Taken away: at once.
        house.code(&mut desk, &ada, "").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        browser.get(SIGN).await.says(200, "need an internal code");
        assert!(!house.may_sign(&ada).await && house.may_sign(&ben).await);
        house.code(&mut desk, &ada, "012").await.leads_to(&format!("{}?done=saved", house.page(&ada)));
        house.app.clock.advance(30);
        assert!(house.may_sign(&ada).await && house.may_sign(&ben).await);
        // The registration is withdrawn, and then it expires: everybody stops, that very day.
        for (withdrawn, text) in [(true, "registration was withdrawn"), (false, "registration has expired")] {
            house.app.clock.advance(30);
            let token = ehr.token(&house.app, &format!("another-token-{withdrawn}")).await;
            house.end_registration(withdrawn).await;
            browser = house.app.launched("amoreno").await;
            browser.get(SIGN).await.says(200, text);
            let (_, view) = ehr.send(&token, Method::GET, &request, None, &Value::Null).await;
            assert_eq!(view["prescriptions"][0]["hindrance"]["code"], "registration_not_in_force", "{view}");
            let body = signature(&view, PASSPHRASE, &ben.phone.code(house.app.now()));
            let (status, answer) = ehr.send(&token, Method::POST, &sign_path, None, &body).await;
            assert_eq!((status, &answer["code"]), (409, &json!("registration_not_in_force")), "{answer}");
            assert!(!house.may_sign(&ada).await && !house.may_sign(&ben).await);
            if withdrawn {
                house.renew().await;
                house.app.clock.advance(30);
                assert!(house.may_sign(&ada).await && house.may_sign(&ben).await);
            }
        }
        // It is put on record for each of them, and told.
        house.app.app.watch().await.unwrap();
        let events = house.app.events().await;
        assert_eq!(events.iter().filter(|it| *it == "permission_changed success expired").count(), 2, "{events:?}");
        desk = house.app.signed_in_as(&office).await;
        desk.get(&house.page(&ada)).await.says(200, "Suspended: registration or license expired");
        house.app.clock.advance(8 * 86_400);
        house.app.app.watch().await.unwrap();
        let mut portal = house.app.signed_in().await;
        let practice = house.app.practice.to_string();
        let log = portal.post("/portal/prescriptions/export", &[("practice", practice.as_str()), ("month", "2026-05")]).await;
        assert!(log.body.contains("\"AH5006134-012\""), "the monthly log: {}", log.body);
    }
}

const HOSPITAL_DEA: &str = "AH5006134";

/// A hospital with two prescribers who have licenses and no registration of their own, and two who set access control.
struct Hospital {
    app: TestApp,
    office: Person,
    second: Person,
    ben: Person,
    authority: AuthorityId,
}

impl Hospital {
    async fn of(mut app: TestApp) -> Self {
        let (office, second) = (app.another_person().await, app.another_person().await);
        let ben = app.another_person().await;
        let practice = app.practice;
        app.database.execute("DELETE FROM permission").await;
        app.database.execute("DELETE FROM authority WHERE kind = 'dea'").await;
        app.database.execute("UPDATE token SET sign_until = NULL").await;
        let people = [office.id, second.id];
        let now = app.now();
        let authority = app
            .store
            .write("test_hospital", move |tx| {
                let zone = tx.practice(practice)?.unwrap().zone;
                tx.save_practice_rules(practice, Setting::Institution, &zone)?;
                for person in people {
                    tx.end_role(person, practice, Role::Prescriber, now)?;
                }
                let paper = registration();
                let it = Authority {
                    id: AuthorityId::new(now, tx.rng())?,
                    practice,
                    person: None,
                    stops_at: paper.expires().end(&zone),
                    paper,
                    withdrawn: None,
                    warned: None,
                };
                tx.create_authority(&it, now)?;
                Ok(it.id)
            })
            .await
            .unwrap();
        for (person, email) in [(&office, "office@x.example"), (&second, "second@x.example")] {
            app.give_roles(person, &[Role::Administrator, Role::Designated]).await;
            app.give_addresses(person, email).await;
        }
        app.give_addresses(&app.person, "ada@x.example").await;
        app.give_addresses(&ben, "ben@x.example").await;
        Self { app, office, second, ben, authority }
    }

    fn base(&self) -> String {
        format!("/practice/{}", self.app.practice)
    }

    fn page(&self, person: &Person) -> String {
        format!("{}/people/{}", self.base(), person.id)
    }

    async fn code(&self, desk: &mut Browser, person: &Person, code: &str) -> Page {
        let path = format!("{}/code", self.page(person));
        self.app.confirm(desk, &self.office, &path, &[("code", code)]).await
    }

    async fn grant(&self, desk: &mut Browser, person: &Person) -> Page {
        self.grant_under(desk, person, self.authority).await
    }

    /// Enters the hospital's number as somebody's own.
    async fn own_number(&self, person: &Person) -> AuthorityId {
        let (practice, person, now) = (self.app.practice, person.id, self.app.now());
        let write = move |tx: &mut Tx<'_>| {
            let id = AuthorityId::new(now, tx.rng())?;
            let it = tx.authorities(practice, None)?.remove(0);
            tx.create_authority(&Authority { id, person: Some(person), ..it }, now).map(|()| id)
        };
        self.app.store.write("test_own_number", write).await.unwrap()
    }

    async fn grant_under(&self, desk: &mut Browser, person: &Person, id: AuthorityId) -> Page {
        self.app.clock.advance(1);
        let authority = id.to_string();
        let fields = [
            ("registration", authority.as_str()),
            ("verified", "2026-05-25"),
            ("grant_reason", "joined us"),
        ];
        desk.post(&format!("{}/grant", self.page(person)), &fields).await
    }

    /// The second person executes what waits.
    async fn execute(&self, desk: &mut Browser, second: &mut Browser) {
        let page = desk.get(&self.base()).await;
        let href = page.link("[data-hook=waiting] a");
        let page = second.get(&href).await;
        let shown = page.value("shown");
        self.app.clock.advance(30);
        let code = self.second.phone.code(self.app.now());
        let fields = [
            ("shown", shown.as_str()),
            ("passphrase", PASSPHRASE),
            ("stepup_token", "any"),
            ("stepup_passcode", &code),
        ];
        let page = second.post(&href, &fields).await;
        page.leads_to(&format!("{}?done=executed", self.base()));
    }

    /// Whether a passcode of somebody signs at another system of the practice.
    async fn may_sign(&self, person: &Person) -> bool {
        self.app.clock.advance(30);
        let api = self.app.api().await;
        let code = person.phone.code(self.app.now());
        api.check(person.phone.credential.as_str(), &code).await.verified()
    }

    async fn save(&self, change: fn(&mut Authority, countersign_domain::Timestamp)) {
        let (practice, id, now): (PracticeId, _, _) =
            (self.app.practice, self.authority, self.app.now());
        self.app
            .store
            .write("test_registration", move |tx| {
                let mut it = tx.authority(practice, id)?.unwrap();
                change(&mut it, now);
                tx.save_authority(&it)
            })
            .await
            .unwrap();
    }

    async fn end_registration(&self, withdrawn: bool) {
        if withdrawn {
            self.save(|it, now| it.withdrawn = Some(now)).await;
        } else {
            self.save(|it, now| it.stops_at = now).await;
        }
    }

    async fn renew(&self) {
        self.save(|it, _| it.withdrawn = None).await;
    }
}

fn registration() -> Paper {
    Paper::Dea(DeaRegistration {
        number: HOSPITAL_DEA.parse().unwrap(),
        state: "NE".parse().unwrap(),
        schedules: Schedules::ALL,
        expires: "2027-12-31".parse().unwrap(),
        withdrawn: None,
    })
}
