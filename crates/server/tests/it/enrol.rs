//! From an invitation to somebody who may sign; identity proofing on both roads; the way back when the last
//! token is gone; and what abuse gets.

pub(crate) mod administration;
pub(crate) mod invitations;
pub(crate) mod proofing;
pub(crate) mod recovery;

use countersign_domain::{PersonId, Role, access::Setting};
use countersign_testkit::{Browser, ISSUER, PASSPHRASE, Page, Person, Phone, TestApp, npi};
use http::Request;
use tower::ServiceExt as _;

/// Words that nobody else here has.
const NEW_PASSPHRASE: &str = "copper lantern over nine rivers";

/// A practice whose office invites: administrator and registrant, somebody who proofs, somebody of another
/// unit who authorizes.
pub(crate) struct House {
    app: TestApp,
    office: Person,
    doctor: Person,
    pub(crate) proofer: Person,
    issuer: Person,
    base: String,
}

impl House {
    pub(crate) async fn of(mut app: TestApp, setting: Setting) -> Self {
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

    pub(crate) async fn at_desk(&self, person: &Person) -> Browser {
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

    pub(crate) async fn invite(&self, change: &[(&str, &str)]) -> Page {
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
        // The page of a change that is over has none.
        let shown = page.find("[name=shown]").map_or_else(String::new, |it| it.value());
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
    pub(crate) async fn begin(&self) -> Browser {
        let link = self.link("invitation").await;
        let mut browser = self.app.browser();
        browser.get(&link).await.says(200, "Lakeside Clinic invites you");
        browser.post(&link, &[]).await.leads_to("/enrol");
        browser.get("/enrol").await.says(200, "I will keep my token under my sole control");
        browser
            .post("/enrol/terms", &[("keep", "yes"), ("report", "yes"), ("audit", "yes")])
            .await
            .leads_to("/enrol");
        browser.get("/enrol").await.says(200, "Your information");
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
        let away = leads_on_to(&page);
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
        browser.get(&leads_on_to(&landed)).await
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

    pub(crate) async fn case(&self, by: &mut Browser) -> String {
        let page = by.get(&format!("{}/cases", self.base)).await;
        page.link("[data-hook=cases] a")
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
        let registration = page.value("registration");
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
    let list = page.hook("waiting");
    list.all("a").last().unwrap().attribute("href").unwrap().to_owned()
}

/// Where a page goes on to by itself.
fn leads_on_to(page: &Page) -> String {
    let refresh = page.one("meta[http-equiv=refresh]");
    refresh.attribute("content").unwrap().strip_prefix("0;url=").unwrap().to_owned()
}

const SEEN: [(&str, &str); 6] = [
    ("decision", "in_person"),
    ("id_kind", "Passport"),
    ("id_last_four", "4821"),
    ("id_expires", "2030-01-01"),
    ("licence", "yes"),
    ("registration", "yes"),
];
