//! From an invitation to somebody who may sign; identity proofing on both roads; the way back when the last
//! token is gone; and what abuse gets.

use countersign_app::{ImportRefusal, NewFob};
use countersign_crypto::{HmacAlgorithm, SecretBytes};
use countersign_domain::{
    CredentialId, PersonId, PracticeId, Role,
    access::Setting,
    otp::{OtpParams, TokenSeed},
};
use countersign_testkit::{
    Browser, ISSUER, PASSPHRASE, Page, Person, Phone, SeededRng, TestApp, WRONG_CODE, both, npi,
};
use http::Request;
use tower::ServiceExt as _;

/// Words that nobody else here has.
const NEW_PASSPHRASE: &str = "copper lantern over nine rivers";

/// A practice whose office invites: administrator and registrant, somebody who proofs, somebody of another
/// unit who authorizes.
struct House {
    app: TestApp,
    office: Person,
    doctor: Person,
    proofer: Person,
    issuer: Person,
    base: String,
}

impl House {
    async fn of(mut app: TestApp, setting: Setting) -> Self {
        let mut people = Vec::new();
        for email in ["office@x.example", "doctor@x.example", "proof@x.example", "issue@x.example"]
        {
            let person = app.another_person().await;
            app.give_addresses(&person, email).await;
            people.push(person);
        }
        let [office, doctor, proofer, issuer]: [Person; 4] = people.try_into().unwrap();
        app.give_roles(&office, &[Role::Administrator, Role::Designated]).await;
        app.give_roles(&doctor, &[Role::Designated]).await;
        let (practice, now) = (app.practice, app.now());
        let (one, two) = (proofer.id, issuer.id);
        app.store
            .write("test_house", move |tx| {
                tx.give_role(one, practice, Role::Proofing, "Credentialing", now)?;
                tx.give_role(two, practice, Role::Issuing, "Security", now)?;
                let zone = tx.practice(practice)?.unwrap().zone;
                tx.save_practice_rules(practice, setting, &zone)
            })
            .await
            .unwrap();
        app.give_addresses(&app.person, "ada@x.example").await;
        let base = format!("/practice/{practice}");
        Self { app, office, doctor, proofer, issuer, base }
    }

    async fn at_desk(&self, person: &Person) -> Browser {
        self.app.signed_in_as(person).await
    }

    /// The newest message of a kind: to whom, and its text.
    async fn message(&self, kind: &str) -> (String, String) {
        let all = self.app.messages().await;
        let body = all.into_iter().find(|it| it.kind == kind).unwrap().body.unwrap();
        (body.to, body.text)
    }

    async fn count(&self, kind: &str) -> usize {
        self.app.messages().await.iter().filter(|it| it.kind == kind).count()
    }

    async fn link(&self, kind: &str) -> String {
        let (_, text) = self.message(kind).await;
        let tail = text.split("/invitation/").nth(1).unwrap();
        format!("/invitation/{}", tail.split_whitespace().next().unwrap())
    }

    async fn code(&self) -> String {
        let (_, text) = self.message("code_text").await;
        text.split("Clinic: ").nth(1).unwrap().split('\n').next().unwrap().to_owned()
    }

    async fn invite(&self, change: &[(&str, &str)]) -> Page {
        let mut office = self.at_desk(&self.office).await;
        let npi = npi(9_000).as_text();
        let mut fields = vec![
            ("role", "prescriber"),
            ("given", "Grace"),
            ("family", "Lindholm"),
            ("email", "grace@x.example"),
            ("phone", "402 555 0111"),
            ("npi", npi.as_str()),
            ("dea", "BL4005129"),
            ("dea_state", "NE"),
            ("schedules", "2 3 4 5"),
            ("dea_expires", "2028-05-31"),
            ("licence_state", "NE"),
            ("licence", "NE-1002"),
            ("licence_expires", "2028-05-31"),
        ];
        for (name, value) in change {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some(field) => field.1 = value,
                None => fields.push((name, value)),
            }
        }
        office.post(&format!("{}/invite", self.base), &fields).await
    }

    /// Two people put the provider of the tests on the list.
    async fn accept_provider(&self) {
        let mut office = self.at_desk(&self.office).await;
        let fields = [
            ("provider", ISSUER),
            ("give", "yes"),
            ("accepted", "demo-ial2 other"),
            ("provider_reason", "Contract signed"),
        ];
        office
            .post(&format!("{}/rules/provider", self.base), &fields)
            .await
            .leads_to(&format!("{}?done=entered", self.base));
        let mut doctor = self.at_desk(&self.doctor).await;
        self.execute_newest(&mut doctor, &self.doctor).await;
    }

    async fn execute_newest(&self, by: &mut Browser, person: &Person) {
        let page = by.get(&self.base).await;
        let request = newest_waiting(&page);
        let page = self.execute(by, person, &request).await;
        let done = ["executed", "confirmed"].map(|done| format!("{}?done={done}", self.base));
        assert!(done.iter().any(|done| page.location() == done), "{}", page.words());
        self.app.clock.advance(30);
    }

    async fn execute(&self, by: &mut Browser, person: &Person, request: &str) -> Page {
        let page = by.get(request).await;
        let shown = page.body.split("name=\"shown\" value=\"").nth(1);
        let shown = shown.map_or("", |rest| rest.split('"').next().unwrap()).to_owned();
        let code = person.phone.code(self.app.now());
        let fields = [
            ("shown", shown.as_str()),
            ("passphrase", PASSPHRASE),
            ("stepup_token", "any"),
            ("stepup_passcode", &code),
        ];
        by.post(request, &fields).await
    }

    /// Follows the newest invitation, up to the proofing.
    async fn begin(&self) -> Browser {
        let link = self.link("invitation").await;
        let mut browser = self.app.browser();
        browser.get(&link).await.says(200, "Lakeside Clinic invites you");
        browser.post(&link, &[]).await.leads_to("/enrol");
        browser.get("/enrol").await.says(200, "I keep my token in my hands alone");
        browser
            .post("/enrol/terms", &[("keep", "yes"), ("report", "yes"), ("audit", "yes")])
            .await
            .leads_to("/enrol");
        browser.get("/enrol").await.says(200, "Your data");
        let data = [
            ("born", "1979-02-03"),
            ("email", "grace@x.example"),
            ("phone", "402 555 0111"),
            ("address", ""),
        ];
        browser.post("/enrol/data", &data).await.leads_to("/enrol");
        browser
    }

    /// Goes to the provider as one of its people, and comes back.
    async fn go_to_provider(&self, browser: &mut Browser, action: &str, person: &str) -> Page {
        let page = browser.post(action, &[("issuer", ISSUER)]).await;
        assert_eq!(page.status, 200, "{}", page.words());
        let away = page.body.split("content=\"0;url=").nth(1).unwrap().split('"').next().unwrap();
        let away = away.replace("&#38;", "&").replace("&amp;", "&");
        let choice = away.strip_prefix(ISSUER).unwrap().replace("/authorize?", "/authorize/as?");
        let request = Request::get(format!("{choice}&person={person}"))
            .body(axum::body::Body::empty())
            .unwrap();
        let answer = self.app.provider.clone().oneshot(request).await.unwrap();
        let back = answer.headers()["location"].to_str().unwrap().to_owned();
        let back = back.strip_prefix("https://erx.test").unwrap().to_owned();
        // The redirect comes without the cookie; the page it lands on goes on with it.
        let landed = self.app.browser().get(&back).await;
        landed.says(200, "Identity proofing");
        let on = landed.body.split("content=\"0;url=").nth(1).unwrap().split('"').next().unwrap();
        browser.get(&on.replace("&#38;", "&").replace("&amp;", "&")).await
    }

    async fn confirm_by_phone(&self, browser: &mut Browser, action: &str) -> Page {
        // The newest message is the one that is read.
        self.app.clock.advance(1);
        let page = browser.post(&format!("{action}/code"), &[("channel", "phone")]).await;
        assert_eq!(page.status, 303, "{}", page.words());
        let code = self.code().await;
        browser.post(&format!("{action}/confirm"), &[("code", &code)]).await
    }

    async fn add_token(&self, browser: &mut Browser, action: &str) -> (Phone, Page) {
        let phone = self.app.provision().await;
        let code = phone.code(self.app.now());
        let fields = [
            ("manufacturer", ""),
            ("issuer", "built_in"),
            ("token_type", ""),
            ("name", "New phone"),
            ("credential_id", phone.credential.as_str()),
            ("otp", code.as_str()),
        ];
        let page = browser.post(action, &fields).await;
        (phone, page)
    }

    async fn case(&self, by: &mut Browser) -> String {
        let page = by.get(&format!("{}/cases", self.base)).await;
        let list = page
            .body
            .split("class=\"token-list\"")
            .nth(1)
            .unwrap_or_else(|| panic!("{}", page.words()));
        list.split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    async fn decide(&self, by: &Person, more: &[(&str, &str)]) -> Page {
        let mut browser = self.at_desk(by).await;
        let case = self.case(&mut browser).await;
        let code = by.phone.code(self.app.now());
        let mut fields = vec![("stepup_token", "any"), ("stepup_passcode", code.as_str())];
        fields.extend(more);
        let page = browser.post(&case, &fields).await;
        self.app.clock.advance(30);
        page
    }

    async fn person_id(&self, number: u32) -> PersonId {
        let name = npi(number).into();
        self.app
            .store
            .read("test_person", move |tx| tx.person_by_name(&name))
            .await
            .unwrap()
            .unwrap()
            .id
    }

    async fn granted(&self, person: PersonId) {
        let mut office = self.at_desk(&self.office).await;
        let here = format!("{}/people/{person}", self.base);
        let page = office.get(&here).await;
        let select = page.body.split("id=\"registration\"").nth(1).unwrap();
        let registration =
            select.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let fields = [
            ("registration", registration.as_str()),
            ("verified", "2026-05-25"),
            ("grant_reason", "New here"),
        ];
        office
            .post(&format!("{here}/grant"), &fields)
            .await
            .leads_to(&format!("{}?done=entered", self.base));
        let mut doctor = self.at_desk(&self.doctor).await;
        self.execute_newest(&mut doctor, &self.doctor).await;
    }
}

/// The address of the newest change that waits: the list begins with the oldest.
fn newest_waiting(page: &Page) -> String {
    let list = page.body.split("id=\"waiting\"").nth(1).unwrap();
    let list = list.split("</section>").next().unwrap();
    list.rsplit("href=\"").next().unwrap().split('"').next().unwrap().to_owned()
}

const SEEN: [(&str, &str); 6] = [
    ("decision", "in_person"),
    ("id_kind", "Passport"),
    ("id_last_four", "4821"),
    ("id_expires", "2030-01-01"),
    ("licence", "yes"),
    ("registration", "yes"),
];

both! {
    /// The whole road by an outside provider: nothing is skipped by an address, another person's reply and
    /// a weak one count for nothing, a near match goes to a person.
    /// Shows: R-1311.105-a1, R-1311.105-b, R-1311.102-d, A4, A5, N-21, N-28
    async fn an_invited_prescriber_enrols_by_an_outside_provider(app: TestApp) {
        let house = House::of(app, Setting::Practitioners).await;
        house.invite(&[]).await.leads_to(&format!("{}?done=invited", house.base));
        assert_eq!(house.message("invitation").await.0, "grace@x.example");
        let mut browser = house.begin().await;
        browser.get("/enrol").await.says(200, "Your practice accepts no proofing provider yet");
        assert_eq!(browser.post("/enrol/provider", &[("issuer", ISSUER)]).await.status, 404, "not on the list");
        house.accept_provider().await;
        // Later steps answer with the one that is due, and do nothing.
        let (_, page) = house.add_token(&mut browser, "/enrol/tokens").await;
        page.leads_to("/enrol");
        let new = [("new", NEW_PASSPHRASE), ("again", NEW_PASSPHRASE)];
        browser.post("/enrol/passphrase", &new).await.leads_to("/enrol");
        browser.get("/enrol").await.says(200, "Prove your identity with Test provider");
        for page in ["/portal/dashboard", "/portal/tokens", "/portal/login", "/portal/addresses"] {
            browser.get(page).await.leads_to("/enrol");
        }
        // Somebody else, nobody, and an answer that was not asked for.
        house.go_to_provider(&mut browser, "/enrol/provider", "other").await.says(422, "another person");
        house.go_to_provider(&mut browser, "/enrol/provider", "nobody").await.says(422, "did not confirm");
        browser.get("/proofing/finish?state=made-up&code=x").await.says(422, "belongs to no proofing");
        browser.get("/enrol").await.says(200, "Prove your identity with Test provider");
        // Written otherwise: a person looks at it, and never the person themselves or the office.
        house.go_to_provider(&mut browser, "/enrol/provider", "near").await.leads_to("/enrol?done=proofed");
        let page = browser.get("/enrol?done=proofed").await;
        page.says(200, "Your identity is not confirmed yet: your name or address is written differently there");
        assert!(!page.words().contains("Your identity is confirmed"), "{}", page.words());
        assert_eq!(house.decide(&house.office, &[("decision", "near")]).await.status, 404);
        let mut proofer = house.at_desk(&house.proofer).await;
        let case = house.case(&mut proofer).await;
        // Whoever decides is not spoken to as if they were the applicant.
        let page = proofer.get(&case).await;
        page.says(200, "Birgit");
        page.says(200, "Compare the two below");
        for words in ["Your name", "your identity", "You, with"] {
            assert!(!page.words().contains(words), "{words}: {}", page.words());
        }
        let wrong = [("decision", "near"), ("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)];
        proofer.post(&case, &wrong).await.says(422, "not right");
        assert_eq!(house.decide(&house.proofer, &[("decision", "near")]).await.status, 303);
        // Nobody of the practice proofs in person where an outside provider must.
        house.decide(&house.proofer, &SEEN).await.says(422, "nothing to decide");
        // The code to the address: wrong ones count.
        browser.post("/enrol/code", &[("channel", "post")]).await.says(422, "no code can be sent");
        browser.post("/enrol/code", &[("channel", "phone")]).await.leads_to("/enrol");
        browser.post("/enrol/confirm", &[("code", "AAAAAAAA")]).await.says(422, "not the code");
        let code = house.code().await;
        browser.post("/enrol/confirm", &[("code", &code)]).await.leads_to("/enrol?done=code");
        assert_eq!(house.count("case_complete").await, 2);
        // The quarter of an hour runs out; a new code opens it again.
        house.app.clock.advance(600);
        browser.get("/enrol").await.says(200, "Your token");
        house.app.clock.advance(300);
        browser.get("/enrol").await.says(200, "Confirm that it is you");
        house.add_token(&mut browser, "/enrol/tokens").await.1.leads_to("/enrol");
        house.confirm_by_phone(&mut browser, "/enrol").await.leads_to("/enrol?done=code");
        browser.get("/enrol").await.says(200, "Your token");
        let (phone, page) = house.add_token(&mut browser, "/enrol/tokens").await;
        page.leads_to("/enrol?done=added");
        browser.get("/enrol").await.says(200, "Add a second token now?");
        let (_, page) = house.add_token(&mut browser, "/enrol/tokens").await;
        page.leads_to("/enrol?done=added");
        for (new, again, text) in [("short", "short", "14"), (NEW_PASSPHRASE, "other words altogether", "not the same")] {
            browser.post("/enrol/passphrase", &[("new", new), ("again", again)]).await.says(422, text);
        }
        browser.post("/enrol/passphrase", &new).await.leads_to("/portal/login?ended=enrolled");
        house.app.clock.advance(30);
        let npi = npi(9_000).as_text();
        browser.pass(&npi, NEW_PASSPHRASE).await.leads_to("/portal/login/passcode");
        browser.passcode("any", &phone.code(house.app.now())).await.leads_to("/portal/dashboard");
        browser.get("/portal/dashboard").await.says(200, "waits for its activation");
        browser.get("/portal/approval").await.says(200, "Waiting for access approval");
        // The proofed phone carries the activation, and two people grant.
        let token = house.app.token_id(&phone.credential).await;
        house.app.clock.advance(60);
        let path = format!("/portal/tokens/{token}");
        browser.post(&format!("{path}/activation-code"), &[("channel", "phone")]).await.leads_to(&format!("{path}/activate"));
        let code = house.code().await;
        browser.post(&format!("{path}/activate"), &[("code", &code)]).await.leads_to("/portal/tokens?done=activated");
        let api = house.app.api().await;
        house.app.clock.advance(30);
        assert!(!api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        house.granted(house.person_id(9_000).await).await;
        assert!(api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        browser.get("/portal/approval").await.says(200, "All is done");
        let said = house.app.events().await;
        for line in [
            "person_invited success -", "invitation_accepted success -", "terms_accepted success -", "profile_saved success -",
            "case_opened success -", "identity_proofed refused proofing_other_person", "identity_proofed refused proofing_declined",
            "identity_proofed refused proofing_unknown", "identity_proofed success -", "near_match_decided success -",
            "address_confirmed refused code_wrong", "address_confirmed success -", "case_closed success -",
            "token_added refused window_over", "token_added success proofed", "passphrase_chosen success -",
            "provider_changed success given",
        ] {
            assert!(said.iter().any(|event| event == line), "{line}: {said:?}");
        }
    }

    /// An institution: in person, and another hand of another unit authorizes.
    /// Shows: R-1311.110-a, R-1311.110-a1, R-1311.110-a2, R-1311.110-a3, R-1311.110-a45, R-1311.110-b, R-1311.110-e, R-1304.06-b
    async fn an_institution_proofs_in_person_and_another_unit_issues(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        house.invite(&[]).await.leads_to(&format!("{}?done=invited", house.base));
        let mut browser = house.begin().await;
        let page = browser.get("/enrol").await;
        page.says(200, "Show your photo ID in person");
        page.says(200, "The word of the unit that authorizes tokens");
        page.says(200, "Who can act now");
        // Each point is asked for beside its field.
        let none = [("decision", "in_person"), ("id_last_four", "21"), ("id_expires", "soon")];
        let page = house.decide(&house.proofer, &none).await;
        for field in ["id_kind", "id_last_four", "id_expires", "licence", "registration"] {
            assert!(page.field_error(field).is_some(), "{field} {}", page.words());
        }
        let mut veteran = SEEN.to_vec();
        veteran.push(("va", "open"));
        assert_eq!(house.decide(&house.proofer, &veteran).await.status, 303);
        browser.get("/enrol").await.says(200, "Your appointment");
        assert_eq!(house.decide(&house.proofer, &SEEN).await.status, 303);
        house.decide(&house.issuer, &[("decision", "issue")]).await.says(422, "not complete yet");
        house.confirm_by_phone(&mut browser, "/enrol").await.leads_to("/enrol?done=code");
        // The one who proofed may not issue, whatever role they get.
        let (id, practice, now) = (house.proofer.id, house.app.practice, house.app.now());
        house.app.store.write("test_role", move |tx| {
            tx.give_role(id, practice, Role::Issuing, "Security", now).map(drop)
        }).await.unwrap();
        house.decide(&house.proofer, &[("decision", "issue")]).await.says(422, "Another person of another unit");
        assert_eq!(house.decide(&house.issuer, &[("decision", "issue")]).await.status, 303);
        let (phone, page) = house.add_token(&mut browser, "/enrol/tokens").await;
        page.leads_to("/enrol?done=added");
        let new = [("new", NEW_PASSPHRASE), ("again", NEW_PASSPHRASE)];
        browser.post("/enrol/passphrase", &new).await.leads_to("/portal/login?ended=enrolled");
        // What was seen stays on record, without the number.
        let mut proofer = house.at_desk(&house.proofer).await;
        let case = house.case(&mut proofer).await;
        let page = proofer.get(&case).await;
        page.says(200, "Passport, •••• 4821");
        page.says(200, "(Security)");
        house.app.clock.advance(30);
        let npi = npi(9_000).as_text();
        browser.pass(&npi, NEW_PASSPHRASE).await.leads_to("/portal/login/passcode");
        browser.passcode("any", &phone.code(house.app.now())).await.leads_to("/portal/dashboard");
    }

    /// The link: once, replaced by a newer one, taken back; and the way on from another device.
    async fn an_invitation_is_followed_once_and_goes_on_elsewhere(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        // What is wrong stands beside its field, and what was typed is kept.
        let page = house.invite(&[("npi", "1234567890"), ("dea", "BL4005120"), ("email", "no address"), ("given", "")]).await;
        for field in ["npi", "dea", "email", "given"] {
            assert!(page.field_error(field).is_some(), "{field}");
        }
        assert!(page.body.contains("value=\"Lindholm\""));
        house.invite(&[]).await.leads_to(&format!("{}?done=invited", house.base));
        let first = house.link("invitation").await;
        let mut office = house.at_desk(&house.office).await;
        let page = office.get(&house.base).await;
        page.says(200, "Grace Lindholm");
        let id = page.body.split("/invitations/").nth(1).unwrap().split('/').next().unwrap().to_owned();
        house.app.clock.advance(60);
        office.post(&format!("{}/invitations/{id}/resend", house.base), &[]).await.leads_to(&format!("{}?done=resent", house.base));
        let second = house.link("invitation").await;
        let mut browser = house.app.browser();
        browser.get(&first).await.says(404, "replaced by a newer one");
        browser.post(&first, &[]).await.says(422, "replaced by a newer one");
        browser.get("/invitation/none").await.says(404, "does not work");
        // Opening it changes nothing; sending the form does, once.
        browser.get(&second).await.says(200, "Begin");
        browser.get(&second).await.says(200, "Begin");
        browser.post(&second, &[]).await.leads_to("/enrol");
        browser.post("/enrol/terms", &[("keep", "yes"), ("report", "yes")]).await.says(422, "tick it");
        browser.post("/enrol/terms", &[("keep", "yes"), ("report", "yes"), ("audit", "yes")]).await.leads_to("/enrol");
        let mut phone = house.app.browser();
        phone.get(&second).await.says(404, "g•••@x.example");
        phone.post(&second, &[]).await.says(422, "each works once");
        house.app.clock.advance(60);
        phone.post(&format!("{second}/again"), &[]).await.leads_to(&format!("{second}?done=sent"));
        phone.post(&format!("{second}/again"), &[]).await.leads_to(&format!("{second}?done=sent"));
        assert_eq!(house.count("invitation").await, 3, "one new link, and not before a minute has passed");
        let third = house.link("invitation").await;
        phone.post(&third, &[]).await.leads_to("/enrol");
        phone.get("/enrol").await.says(200, "Your data");
        browser.get("/enrol").await.leads_to("/portal/login?ended=1");
        let bad = [("born", "yesterday"), ("email", "grace@x.example"), ("phone", ""), ("address", "")];
        let page = phone.post("/enrol/data", &bad).await;
        assert!(page.field_error("born").is_some() && page.field_error("phone").is_some());
        // Taken back: the session of the enrolment ends with it.
        house.app.confirm(&mut office, &house.office, &format!("{}/invitations/{id}/revoke", house.base), &[]).await
            .leads_to(&format!("{}?done=taken-back", house.base));
        phone.get("/enrol").await.leads_to("/portal/login?ended=1");
        phone.get(&third).await.says(404, "taken back");
        phone.get("/portal/login?ended=enrolling").await.says(200, "Open the link of your invitation again");
        assert_eq!(office.post(&format!("{}/invitations/{id}/revoke", house.base), &[]).await.status, 404);
        // A new one runs out by itself after thirty days.
        house.app.clock.advance(1);
        house.invite(&[]).await.leads_to(&format!("{}?done=invited", house.base));
        let fourth = house.link("invitation").await;
        house.app.clock.advance(30 * 86_400);
        phone.get(&fourth).await.says(404, "has run out");
        // Whoever is here is not invited again.
        let mut house = house;
        house.app.clock.advance(-30 * 86_400);
        let here = house.doctor.npi.as_text();
        house.invite(&[("npi", &here)]).await.says(422, "in your practice already");
        // Somebody with an account elsewhere joins with it.
        let elsewhere = house.app.another_person().await;
        house.app.give_addresses(&elsewhere, "own@y.example").await;
        let id = elsewhere.id;
        house.app.clock.advance(1);
        house.app.store.write("test_leave", move |tx| {
            for (practice, member) in tx.roles_of(id)? {
                tx.end_role(id, practice, member.role, member.since)?;
            }
            Ok(())
        }).await.unwrap();
        let npi = elsewhere.npi.as_text();
        house.invite(&[("npi", &npi), ("email", "typed@by.example")]).await.leads_to(&format!("{}?done=invited", house.base));
        assert_eq!(house.message("invitation").await.0, "own@y.example", "not where the office says");
        let link = house.link("invitation").await;
        house.app.browser().get(&link).await.says(200, "You have an account already");
        house.app.browser().post(&link, &[]).await.leads_to("/portal/login");
        let mut other = house.at_desk(&house.doctor).await;
        other.post(&link, &[]).await.says(422, "replaced by a newer one");
        let mut own = house.at_desk(&elsewhere).await;
        own.get(&link).await.says(200, "Join Lakeside Clinic");
        own.post(&link, &[]).await.leads_to("/portal/dashboard?done=joined");
    }

    /// The worst day: the only token gone, a proofing, a new token once in a quarter of an hour, and the
    /// permission only by two people.
    /// Shows: N-19, N-22, N-24, A7, R-1311.102-b
    async fn a_lost_phone_comes_back_by_proofing(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let id = house.app.person.token.to_string();
        let npi = house.app.person.npi.as_text();
        let mut browser = house.app.browser();
        browser.get("/portal/login?lost=1").await.says(200, "First say who you are");
        let fields = [("npi", npi.as_str()), ("passphrase", PASSPHRASE), ("then", "lost")];
        browser.post("/portal/login", &fields).await.leads_to("/portal/login/lost");
        let page = browser.get("/portal/login/lost").await;
        page.says(200, "It is your only token");
        let lost = [("token", id.as_str()), ("reason", "lost"), ("confirmation", "DISABLE")];
        browser.post("/portal/login/lost", &lost).await.leads_to("/portal/no-token?done=lost");
        browser.get("/portal/no-token?done=lost").await.says(200, "Begin identity proofing");
        // Nothing but proofing is offered, and none of the later steps works.
        house.add_token(&mut browser, "/portal/recovery/tokens").await.1.says(422, "time for adding a token is over");
        browser.post("/portal/recovery", &[]).await.leads_to("/portal/no-token");
        assert_eq!(house.count("recovery_begun").await, 2, "told at both addresses");
        browser.get("/portal/no-token").await.says(200, "Show your photo ID in person");
        house.confirm_by_phone(&mut browser, "/portal/recovery").await.leads_to("/portal/no-token?done=code");
        assert_eq!(house.decide(&house.proofer, &SEEN).await.status, 303);
        assert_eq!(house.decide(&house.issuer, &[("decision", "issue")]).await.status, 303);
        let page = browser.get("/portal/no-token").await;
        page.says(200, "a fob from the drawer");
        // The first code wrong: what was typed is kept, the window stays.
        let (phone, page) = house.add_token(&mut browser, "/portal/recovery/tokens").await;
        page.leads_to("/portal/login/passcode?done=recovered");
        let (_, page) = house.add_token(&mut browser, "/portal/recovery/tokens").await;
        page.leads_to("/portal/login/passcode");
        house.app.clock.advance(30);
        browser.passcode("any", &phone.code(house.app.now())).await.leads_to("/portal/dashboard");
        // Log-in is back; signing takes activation and two people.
        house.app.activate(&phone.credential).await;
        house.app.clock.advance(30);
        let api = house.app.api().await;
        assert!(!api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        let mut doctor = house.at_desk(&house.doctor).await;
        house.execute_newest(&mut doctor, &house.doctor).await;
        house.granted(house.app.person.id).await;
        assert!(api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        // The case is used up: a second loss needs a second proofing.
        let id = house.app.token_id(&phone.credential).await.to_string();
        let mut browser = house.app.at_passcode().await;
        let lost = [("token", id.as_str()), ("reason", "stolen"), ("confirmation", "DISABLE")];
        browser.post("/portal/login/lost", &lost).await.leads_to("/portal/no-token?done=lost");
        house.add_token(&mut browser, "/portal/recovery/tokens").await.1.says(422, "time for adding a token is over");
        browser.get("/portal/no-token").await.says(200, "Begin identity proofing");
    }

    /// Left at home is no loss: the token's own code turns it on again, and the permission stays.
    async fn a_token_left_at_home_is_no_loss(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let mut browser = house.app.signed_in().await;
        let id = house.app.person.token;
        let fields = [("reason", "temporarily_unavailable"), ("confirmation", "DISABLE")];
        browser.post(&format!("/portal/tokens/{id}/disable"), &fields).await.leads_to("/portal/tokens?done=disabled");
        browser.get("/portal/tokens?done=disabled").await.leads_to("/portal/no-token?done=disabled");
        browser.get("/portal/no-token").await.says(200, "Turn a token back on");
        let api = house.app.api().await;
        assert!(!api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        house.app.clock.advance(30);
        let mut half = house.app.at_passcode().await;
        let (id, code) = (id.to_string(), house.app.code());
        half.post("/portal/login/enable", &[("token", &id), ("passcode", &code)]).await.leads_to("/portal/login/passcode?done=enabled");
        house.app.clock.advance(30);
        assert!(api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        assert_eq!(house.count("loss_reported").await, 0);
    }

    /// With the passphrase alone: a case, which tells the owner, and nothing more. With the phone alone: not
    /// even that.
    /// Shows: N-18, N-22
    async fn one_factor_alone_gets_nothing(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let mut thief = house.app.at_passcode().await;
        // There is an active token, so there is no recovery to begin.
        thief.post("/portal/recovery", &[]).await.leads_to("/portal/login/passcode");
        let id = house.app.person.token.to_string();
        let lost = [("token", id.as_str()), ("reason", "lost"), ("confirmation", "DISABLE")];
        thief.post("/portal/login/lost", &lost).await.leads_to("/portal/no-token?done=lost");
        thief.post("/portal/recovery", &[]).await.leads_to("/portal/no-token");
        // The code goes to the owner's own telephone.
        thief.post("/portal/recovery/code", &[("channel", "phone")]).await.leads_to("/portal/no-token");
        assert_eq!(house.message("code_text").await.0, "+14025550100");
        for _ in 0..5 {
            thief.post("/portal/recovery/confirm", &[("code", "AAAAAAAA")]).await.says(422, "not the code");
        }
        thief.post("/portal/recovery/confirm", &[("code", "AAAAAAAA")]).await.says(422, "too often");
        house.add_token(&mut thief, "/portal/recovery/tokens").await.1.says(422, "time for adding a token is over");
        for page in ["/portal/addresses", "/portal/passphrase", "/portal/tokens", "/enrol"] {
            let page = thief.get(page).await;
            assert_eq!(page.status, 303, "{}", page.words());
        }
        let (_, text) = house.message("recovery_begun").await;
        assert!(text.contains("/not-me/"), "{text}");
        // The phone alone: a name and two codes of one token reset nothing.
        let house_two = house;
        let owner = &house_two.doctor;
        let (npi, one) = (owner.npi.as_text(), owner.phone.code(house_two.app.now()));
        house_two.app.clock.advance(30);
        let two = owner.phone.code(house_two.app.now());
        let mut finder = house_two.app.browser();
        let fields = [("npi", npi.as_str()), ("first", &two), ("second", &one), ("channel", "phone")];
        finder.post("/portal/forgot", &fields).await.says(422, "That did not match");
        finder.get("/portal/forgot/code").await.leads_to("/portal/forgot");
    }

    /// A rogue administrator alone, and with a colleague who is no registrant; and with a stolen session.
    /// Shows: R-1311.130-a, R-1311.130-b2
    async fn rogue_staff_get_nowhere(app: TestApp) {
        let house = House::of(app, Setting::Practitioners).await;
        let mut office = house.at_desk(&house.office).await;
        let here = format!("{}/people/{}", house.base, house.office.id);
        // No role that decides over signing alone, and none for oneself.
        for role in ["designated", "proofing", "issuing"] {
            let fields = [("role", role), ("give", "yes"), ("unit", "Mine"), ("role_reason", "because")];
            let page = office.post(&format!("{here}/role"), &fields).await;
            assert_eq!(page.status, 422, "{role}: {}", page.words());
            assert!(page.field_error("role").is_some());
        }
        // For somebody else it takes a second person, a registrant.
        let clerk = format!("{}/people/{}", house.base, house.issuer.id);
        let fields = [("role", "proofing"), ("give", "yes"), ("unit", "Front office"), ("role_reason", "helps")];
        office.post(&format!("{clerk}/role"), &fields).await.leads_to(&format!("{}?done=entered", house.base));
        let mut second = house.at_desk(&house.issuer).await;
        second.get(&house.base).await.says(200, "gets the role");
        let mut own = house.at_desk(&house.issuer).await;
        let page = own.get(&house.base).await;
        let request = newest_waiting(&page);
        house.execute(&mut own, &house.issuer, &request).await.says(422, "not one of the people");
        // Nor does a made-up DEA number, which passes its check digit, make a registrant of the colleague.
        let (clerk_id, practice, now) = (house.issuer.id, house.app.practice, house.app.now());
        house.app.store.write("test_clerk", move |tx| {
            tx.give_role(clerk_id, practice, Role::Designated, "", now)?;
            for it in tx.authorities(practice, Some(clerk_id))? {
                tx.save_authority(&countersign_store::Authority { stops_at: now, ..it })?;
            }
            Ok(())
        }).await.unwrap();
        let typed = countersign_testkit::dea(777).as_text();
        let paper = [("dea", typed.as_str()), ("dea_state", "NE"), ("schedules", "2 3"), ("dea_expires", "2029-05-31"), ("dea_reason", "x")];
        house.app.confirm(&mut office, &house.office, &format!("{clerk}/dea"), &paper).await.leads_to(&format!("{clerk}?done=saved"));
        house.app.clock.advance(30);
        house.execute(&mut own, &house.issuer, &request).await.says(422, "Only a practitioner with a DEA registration in force");
        // A stolen session of the administrator: no passphrase, no code, nothing executed or decided.
        let mut stolen = house.at_desk(&house.office).await;
        let fields = [("shown", ""), ("passphrase", ""), ("stepup_token", "any"), ("stepup_passcode", "")];
        assert_eq!(stolen.post(&request, &fields).await.status, 422);
        assert_eq!(stolen.get("/portal/addresses").await.status, 200);
        let moved = [("email", "thief@x.example"), ("phone", "402 555 0199"), ("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)];
        stolen.post("/portal/addresses", &moved).await.says(422, "not right");
        // It invites somebody made up: who gets no further than the proofing.
        house.invite(&[("email", "thief@x.example"), ("phone", "402 555 0199")]).await.leads_to(&format!("{}?done=invited", house.base));
        let mut browser = house.begin().await;
        house.confirm_by_phone(&mut browser, "/enrol").await.leads_to("/enrol?done=code");
        house.add_token(&mut browser, "/enrol/tokens").await.1.leads_to("/enrol");
        browser.get("/enrol").await.says(200, "What is missing");
        // With the doctor it is done, as the rule has it; and taken again the same way.
        house.app.clock.advance(30);
        let mut doctor = house.at_desk(&house.doctor).await;
        house.execute(&mut doctor, &house.doctor, &request).await.leads_to(&format!("{}?done=executed", house.base));
        house.app.clock.advance(30);
        office.get(&clerk).await.says(200, "Proofs identities (Front office)");
        let fields = [("role", "proofing"), ("give", "no"), ("role_reason", "left")];
        office.post(&format!("{clerk}/role"), &fields).await.leads_to(&format!("{}?done=entered", house.base));
        let said = house.app.events().await;
        assert!(said.contains(&"role_changed success given".to_owned()), "{said:?}");
    }

    /// A forgotten passphrase: two tokens and a code to what was confirmed; or proofing again by a link to
    /// one's own address. Never by an administrator's hand.
    /// Shows: N-23, A20
    async fn a_forgotten_passphrase_takes_two_tokens_or_proofing(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let npi = house.app.person.npi.as_text();
        let (_, second) = house.app.another_token(&house.app.person, "Second phone").await;
        let mut browser = house.app.browser();
        browser.get("/portal/forgot").await.says(200, "Only one token, or none?");
        let now = house.app.now();
        let (one, two) = (house.app.code(), second.code(now));
        let nobody = countersign_testkit::npi(77).as_text();
        for (name, first, other) in [(nobody.as_str(), one.as_str(), two.as_str()), (npi.as_str(), WRONG_CODE, WRONG_CODE)] {
            let fields = [("npi", name), ("first", first), ("second", other), ("channel", "phone")];
            browser.post("/portal/forgot", &fields).await.says(422, "That did not match");
        }
        // A stranger who knows the NPI uses up no try of its tokens, and no code.
        assert_eq!(house.app.owner_failures().await.count, 0);
        let bad = [("npi", "12"), ("first", "1"), ("second", ""), ("channel", "email")];
        let page = browser.post("/portal/forgot", &bad).await;
        for field in ["npi", "first", "second", "channel"] {
            assert!(page.field_error(field).is_some(), "{field}");
        }
        let fields = [("npi", npi.as_str()), ("first", &one), ("second", &two), ("channel", "phone")];
        browser.post("/portal/forgot", &fields).await.leads_to("/portal/forgot/code");
        browser.get("/portal/forgot").await.leads_to("/portal/forgot/code");
        browser.get("/portal/forgot/code").await.says(200, "to your telephone");
        browser.get("/portal/dashboard").await.leads_to("/portal/forgot/code");
        let code = house.code().await;
        let send = |code: &str| vec![("code", code.to_owned()), ("new", NEW_PASSPHRASE.to_owned()), ("again", NEW_PASSPHRASE.to_owned())];
        let fields = send("AAAAAAAA");
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        browser.post("/portal/forgot/code", &fields).await.says(422, "not the code");
        let fields = send(&code);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        browser.post("/portal/forgot/code", &fields).await.leads_to("/portal/login?ended=reset");
        assert_eq!(house.count("passphrase_changed").await, 2);
        browser.pass(&npi, PASSPHRASE).await.says(422, "do not match");
        browser.pass(&npi, NEW_PASSPHRASE).await.leads_to("/portal/login/passcode");
        // With less than that: the practice sends a link to the addresses on record, and learns nothing.
        let mut office = house.at_desk(&house.office).await;
        let here = format!("{}/people/{}", house.base, house.app.person.id);
        house.app.confirm(&mut office, &house.office, &format!("{here}/prove-again"), &[]).await.leads_to(&format!("{here}?done=asked"));
        let own = format!("{}/people/{}", house.base, house.office.id);
        house.app.confirm(&mut office, &house.office, &format!("{own}/prove-again"), &[]).await.leads_to(&format!("{own}?done=not-asked"));
        assert_eq!(house.message("prove_again").await.0, "ada@x.example");
        assert_eq!(house.message("prove_again_told").await.0, "+14025550100");
        let link = house.link("prove_again").await;
        let mut owner = house.app.browser();
        owner.post(&link, &[]).await.leads_to("/enrol");
        // This account was made before there were terms and data: they come first.
        owner.post("/enrol/terms", &[("keep", "yes"), ("report", "yes"), ("audit", "yes")]).await.leads_to("/enrol");
        let data = [("born", "1975-04-12"), ("email", "ada@x.example"), ("phone", "402 555 0100"), ("address", "")];
        owner.post("/enrol/data", &data).await.leads_to("/enrol");
        house.confirm_by_phone(&mut owner, "/enrol").await.leads_to("/enrol?done=code");
        let new = [("new", "another nine lanterns over rivers"), ("again", "another nine lanterns over rivers")];
        owner.post("/enrol/passphrase", &new).await.leads_to("/enrol");
        assert_eq!(house.decide(&house.proofer, &SEEN).await.status, 303);
        assert_eq!(house.decide(&house.issuer, &[("decision", "issue")]).await.status, 303);
        owner.get("/enrol").await.says(200, "Choose a passphrase");
        owner.post("/enrol/passphrase", &new).await.leads_to("/portal/login?ended=enrolled");
        owner.pass(&npi, NEW_PASSPHRASE).await.says(422, "do not match");
        owner.pass(&npi, "another nine lanterns over rivers").await.leads_to("/portal/login/passcode");
    }

    /// New addresses are told to the old ones, and carry no code before one came back.
    /// Shows: N-19, A6
    async fn changed_addresses_are_told_to_the_old_ones(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let mut browser = house.app.signed_in().await;
        browser.get("/portal/addresses").await.says(200, "Confirmed");
        let fields = [
            ("email", "new@x.example"), ("email2", ""), ("phone", "402 555 0177"), ("address", "9 Oak Road, Omaha NE"),
            ("stepup_token", "any"),
        ];
        let mut without = fields.to_vec();
        without.push(("stepup_passcode", WRONG_CODE));
        browser.post("/portal/addresses", &without).await.says(422, "not right");
        assert_eq!(house.count("addresses_changed").await, 0);
        let code = house.app.code();
        let mut with = fields.to_vec();
        with.push(("stepup_passcode", &code));
        browser.post("/portal/addresses", &with).await.leads_to("/portal/addresses?done=saved");
        let all = house.app.messages().await;
        let mut told: Vec<String> = all.iter().filter(|it| it.kind == "addresses_changed").map(|it| it.body.clone().unwrap().to).collect();
        told.sort();
        assert_eq!(told, ["+14025550100", "ada@x.example", "new@x.example"]);
        // The new telephone carries an activation code only when a code of its own came back.
        let new = house.app.provision().await;
        house.app.clock.advance(30);
        crate::add(&mut browser, &new, &new.code(house.app.now()), &[]).await.leads_to("/portal/tokens?done=added");
        let path = format!("/portal/tokens/{}", house.app.token_id(&new.credential).await);
        browser.post(&format!("{path}/activation-code"), &[("channel", "phone")]).await.says(422, "of yours is confirmed here");
        browser.post("/portal/addresses/phone/code", &[]).await.leads_to("/portal/addresses");
        browser.post("/portal/addresses/phone/code", &[]).await.says(422, "Wait a minute");
        assert_eq!(house.message("code_text").await.0, "+14025550177");
        browser.post("/portal/addresses/phone/confirm", &[("code_phone", "AAAAAAAA")]).await.says(422, "not the code");
        let code = house.code().await;
        browser.post("/portal/addresses/phone/confirm", &[("code_phone", &code)]).await.leads_to("/portal/addresses?done=confirmed");
        assert_eq!(browser.post("/portal/addresses/email/code", &[]).await.status, 404);
        browser.post(&format!("{path}/activation-code"), &[("channel", "phone")]).await.leads_to(&format!("{path}/activate"));
    }

    /// What one person of a practice does in its console: a colleague's token, a role, models, time zone.
    /// Shows: R-1311.125-d4, R-1311.102-gh
    async fn a_practice_looks_after_itself(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let mut office = house.at_desk(&house.office).await;
        let here = format!("{}/people/{}", house.base, house.app.person.id);
        let rules = format!("{}/rules", house.base);
        // A model that this practice does not want: its tokens sign no more, also those that are there.
        let api = house.app.api().await;
        assert!(api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        let model = "countersign-terminal";
        office.get(&rules).await.says(200, "Allowed");
        for (value, reason, field) in [(model, "", "model_reason"), ("none", "x", "model")] {
            let fields = [("model", value), ("refuse", "yes"), ("model_reason", reason)];
            let page = office.post(&format!("{rules}/model"), &fields).await;
            assert!(page.field_error(field).is_some(), "{field} {}", page.words());
        }
        let fields = [("model", model), ("refuse", "yes"), ("model_reason", "Phones only")];
        house.app.confirm(&mut office, &house.office, &format!("{rules}/model"), &fields).await.leads_to(&format!("{rules}?done=saved"));
        office.post(&format!("{rules}/model"), &fields).await.says(422, "It is so already");
        office.get(&rules).await.says(200, "Phones only");
        house.app.clock.advance(30);
        assert!(!api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        let fields = [("model", model), ("refuse", "no"), ("model_reason", "Again")];
        house.app.confirm(&mut office, &house.office, &format!("{rules}/model"), &fields).await.leads_to(&format!("{rules}?done=saved"));
        house.app.clock.advance(30);
        assert!(api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        // The time zone, in which days end.
        let bad = [("zone", "Mars/Olympus"), ("zone_reason", "moved")];
        assert!(office.post(&format!("{rules}/zone"), &bad).await.field_error("zone").is_some());
        let good = [("zone", "America/Chicago"), ("zone_reason", "moved")];
        house.app.confirm(&mut office, &house.office, &format!("{rules}/zone"), &good).await.leads_to(&format!("{rules}?done=saved"));
        // A role opens records and letters: it takes two; and nobody is the last administrator to go.
        let role = |role: &'static str, give: &'static str| [("role", role), ("give", give), ("role_reason", "duty")];
        house.app.clock.advance(1);
        office.post(&format!("{here}/role"), &role("administrator", "yes")).await.leads_to(&format!("{}?done=entered", house.base));
        let mut second = house.at_desk(&house.doctor).await;
        house.execute_newest(&mut second, &house.doctor).await;
        office.post(&format!("{here}/role"), &role("administrator", "yes")).await.says(422, "It is so already");
        house.app.clock.advance(1);
        office.post(&format!("{here}/role"), &role("administrator", "no")).await.leads_to(&format!("{}?done=entered", house.base));
        house.execute_newest(&mut second, &house.doctor).await;
        let own = format!("{}/people/{}", house.base, house.office.id);
        office.post(&format!("{own}/role"), &role("administrator", "no")).await.says(422, "Nobody else would have this role");
        // The fleet at a glance.
        let page = office.get(&format!("{}/fleet", house.base)).await;
        page.says(200, "with one token only");
        page.says(200, "Dr. Ada Moreno");
        // A colleague's token: disabled with a reason, told to its owner; never added.
        let token = house.app.person.token.to_string();
        let page = office.post(&format!("{here}/disable"), &[("token", &token), ("why", ""), ("disable_reason", "")]).await;
        assert!(page.field_error("why").is_some() && page.field_error("disable_reason").is_some());
        let fields = [("token", token.as_str()), ("why", "stolen"), ("disable_reason", "Called from the station")];
        office.post(&format!("{here}/disable"), &fields).await.leads_to(&format!("{here}?done=lost"));
        house.app.clock.advance(30);
        assert!(!api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        assert_eq!(house.count("loss_reported").await, 2);
        assert_eq!(office.post(&format!("{here}/disable"), &fields).await.status, 422, "once");
        // Who no longer prescribes here no longer signs here.
        let gone = format!("{}/people/{}", house.base, house.doctor.id);
        house.app.confirm(&mut office, &house.office, &format!("{gone}/role"), &role("prescriber", "no")).await.leads_to(&format!("{gone}?done=saved"));
        let code = house.doctor.phone.code(house.app.now());
        assert!(!api.check(house.doctor.phone.credential.as_str(), &code).await.verified());
        let said = house.app.events().await;
        for line in ["policy_changed success -", "role_changed success given", "role_changed success taken", "permission_changed success left"] {
            assert!(said.iter().any(|event| event == line), "{line}: {said:?}");
        }
    }

    /// A fob: from the delivery to the drawer, by post to its owner, in use, and at the end of its life.
    /// Shows: N-25
    async fn a_fob_from_the_delivery_to_its_end(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let at = house.app.app.at().unwrap();
        let ends = at.now.plus_seconds(40 * 86_400);
        let fob = |serial: &str, byte: u8| NewFob {
            credential: CredentialId::parse(serial, None).unwrap(),
            params: OtpParams::new(HmacAlgorithm::Sha1, 6, 30).unwrap(),
            seed: TokenSeed::new(SecretBytes::new(vec![byte; 20])).unwrap(),
            ends,
        };
        let import = async |model: &str, fobs: Vec<NewFob>| {
            let (practice, model) = (house.app.practice, model.parse().unwrap());
            house.app.app.import_fobs(practice, model, "Box 1".into(), "Ruth".into(), fobs, at).await.unwrap()
        };
        let model = "countersign-terminal";
        assert!(matches!(import("nobodys", vec![fob("AVT123456789", 1)]).await, Err(ImportRefusal::Model(_))));
        assert_eq!(import(model, vec![fob("AVT123456789", 1), fob("AVT123456788", 2)]).await, Ok(2));
        // A delivery with one that is known: nothing of it is taken.
        assert!(matches!(import(model, vec![fob("AVT123456787", 3), fob("AVT123456789", 1)]).await, Err(ImportRefusal::Known(_))));
        let mut office = house.at_desk(&house.office).await;
        let fleet = format!("{}/fleet", house.base);
        let page = office.get(&fleet).await;
        page.says(200, "2 fobs in the drawer");
        page.says(200, "A month");
        let bad = office.post(&format!("{fleet}/send"), &[("how", "")]).await;
        for field in ["fob", "person", "how"] {
            assert!(bad.field_error(field).is_some(), "{field}");
        }
        let select = page.body.split("id=\"fob\"").nth(1).unwrap();
        let serial = "AVT1••••6789";
        let option = select.split("<option").find(|it| it.contains("6789")).unwrap_or_else(|| panic!("{serial}: {select}"));
        let id = option.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let owner = house.app.person.id.to_string();
        let fields = [("fob", id.as_str()), ("person", owner.as_str()), ("how", "parcel 77")];
        office.post(&format!("{fleet}/send"), &fields).await.leads_to(&format!("{fleet}?done=sent"));
        office.get(&fleet).await.says(200, "Sent to Dr. Ada Moreno, parcel 77");
        // Its owner adds it like any other.
        let phone = fob("AVT123456789", 1);
        let phone = Phone::new(phone.credential, phone.seed, phone.params);
        let mut browser = house.app.signed_in().await;
        crate::add(&mut browser, &phone, &phone.code(house.app.now()), &[("manufacturer", "symantec")]).await
            .leads_to("/portal/tokens?done=added");
        office.get(&fleet).await.says(200, "In use by Dr. Ada Moreno");
        office.post(&format!("{fleet}/send"), &fields).await.says(422, "in use, or not in your stock");
        house.app.activate(&phone.credential).await;
        let api = house.app.api().await;
        house.app.clock.advance(30);
        assert!(api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        // One of another practice's stock is answered like one that nobody knows.
        let (practice, now) = (PracticeId::new(at.now, &mut SeededRng).unwrap(), at.now);
        house.app.store.write("test_practice", move |tx| tx.create_practice(practice, "Elsewhere", now)).await.unwrap();
        let theirs = fob("AVT123456786", 4);
        let foreign = Phone::new(theirs.credential.clone(), theirs.seed.clone(), theirs.params);
        let taken = house.app.app.import_fobs(practice, model.parse().unwrap(), "Box".into(), "Sam".into(), vec![theirs], at).await;
        assert_eq!(taken.unwrap(), Ok(1));
        let page = crate::add(&mut browser, &foreign, &foreign.code(house.app.now()), &[("manufacturer", "symantec")]).await;
        assert!(page.field_error("credential_id").is_some(), "{}", page.words());
        // At the end of its life it signs no more, to the second; then it is disabled, and its owner told.
        house.app.clock.advance(40 * 86_400);
        assert!(!api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        assert!(api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        house.app.app.watch().await.unwrap();
        let mut browser = house.app.signed_in().await;
        browser.get("/portal/history").await.says(200, "Past its end of life");
        assert_eq!(house.count("token_disabled").await, 2);
        // What nobody has added is kept, however many days have passed.
        house.app.app.purge().await.unwrap();
        let mut office = house.at_desk(&house.office).await;
        office.get(&fleet).await.says(200, "At its end of life");
    }
}
