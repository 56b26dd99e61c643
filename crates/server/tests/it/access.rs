//! Who may sign: two people, each in their own time; what a loss takes away at once; activation over two
//! channels; and the practices beside one another.

use countersign_domain::{PracticeId, Role, access::Cause};
use countersign_store::{Stage, Store};
use countersign_testkit::{Browser, PASSPHRASE, Page, Person, TestApp, WRONG_CODE, both};

use crate::add;

/// The people of a practice: somebody who enters (without a registration that counts for it) and a
/// registrant who executes. The prescriber of the fixture is the holder.
pub(crate) struct Place {
    pub(crate) app: TestApp,
    pub(crate) office: Person,
    pub(crate) doctor: Person,
    pub(crate) base: String,
}

impl Place {
    pub(crate) async fn of(mut app: TestApp) -> Self {
        let (office, doctor) = (app.another_person().await, app.another_person().await);
        for (person, email) in
            [(&office, "office@lakeside.example"), (&doctor, "doctor@lakeside.example")]
        {
            app.give_roles(person, &[Role::Administrator, Role::Designated]).await;
            app.give_addresses(person, email).await;
        }
        let holder = app.person.clone();
        app.give_addresses(&holder, "ada@lakeside.example").await;
        // The office has no registration of its own.
        let office_id = hex(office.id.as_bytes());
        app.database
            .execute(&format!(
                "UPDATE authority SET stops_at = 0 WHERE person = {}",
                blob(&app, &office_id)
            ))
            .await;
        let base = format!("/practice/{}", app.practice);
        Self { app, office, doctor, base }
    }

    pub(crate) fn person(&self) -> String {
        format!("{}/people/{}", self.base, self.app.person.id)
    }

    pub(crate) async fn registration(&self, browser: &mut Browser) -> String {
        let page = browser.get(&self.person()).await;
        page.says(200, "DEA registration");
        let select = page.body.split("id=\"registration\"").nth(1).unwrap();
        select.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// Enters a grant or a revocation; answers with the address of its page.
    pub(crate) async fn enter(
        &self,
        by: &mut Browser,
        path: &str,
        fields: &[(&str, &str)],
    ) -> String {
        // The newest of those that wait is this one.
        self.app.clock.advance(1);
        let page = by.post(&format!("{}/{path}", self.person()), fields).await;
        assert_eq!(page.status, 303, "{}", page.words());
        self.waiting(by).await
    }

    /// The address of the newest change that waits: the list begins with the oldest.
    pub(crate) async fn waiting(&self, by: &mut Browser) -> String {
        self.all_waiting(by).await.pop().unwrap()
    }

    /// The addresses of all changes that wait, as the console lists them.
    pub(crate) async fn all_waiting(&self, by: &mut Browser) -> Vec<String> {
        let page = by.get(&self.base).await;
        let list = page.body.split("id=\"waiting\"").nth(1).unwrap();
        let list = list.split("</section>").next().unwrap();
        let links = list.split("href=\"").skip(1);
        links.map(|it| it.split('"').next().unwrap().to_owned()).collect()
    }

    pub(crate) async fn grant(&self, by: &mut Browser) -> String {
        let registration = self.registration(by).await;
        let today = "2026-05-25";
        let fields = [
            ("registration", registration.as_str()),
            ("verified", today),
            ("grant_reason", "Token is back"),
        ];
        self.enter(by, "grant", &fields).await
    }

    pub(crate) async fn execute(&self, by: &mut Browser, person: &Person, request: &str) -> Page {
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

    pub(crate) async fn may_sign(&self) -> bool {
        let code = self.app.code();
        let api = self.app.api().await;
        api.check(self.app.person.phone.credential.as_str(), &code).await.verified()
    }

    pub(crate) async fn report_lost(&self) {
        let mut browser = self.app.at_passcode().await;
        let id = self.app.person.token.to_string();
        let fields = [("token", id.as_str()), ("reason", "lost"), ("confirmation", "DISABLE")];
        let page = browser.post("/portal/login/lost", &fields).await;
        assert_eq!(page.status, 303, "{}", page.words());
    }

    pub(crate) async fn notices(&self, kind: &str) -> Vec<String> {
        let all = self.app.messages().await;
        let of = all.into_iter().filter(|it| it.kind == kind);
        let mut to: Vec<String> = of.map(|it| it.body.unwrap().to).collect();
        to.sort();
        to
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A blob in the SQL of the database at hand.
pub(crate) fn blob(app: &TestApp, hex: &str) -> String {
    if app.database.url().is_some() {
        format!("decode('{hex}', 'hex')")
    } else {
        format!("x'{hex}'")
    }
}

both! {
    /// One enters, another executes; neither alone gets anything done.
    /// Shows: R-1311.125-c1, R-1311.125-c2, R-1311.120-b4, R-1311.120-b5, R-1311.120-b23ii, R-1311.120-b23iv, R-1311.150-a4, A9
    async fn a_grant_takes_two_people(app: TestApp) {
        let place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        assert!(place.may_sign().await);
        // Taken away on one person's word, at once.
        let registration = place.registration(&mut office).await;
        let fields = [
            ("revoked", registration.as_str()),
            ("cause", "non_compliant"),
            ("revoke_reason", "Audit finding"),
        ];
        let confirm = place.enter(&mut office, "revoke", &fields).await;
        place.app.clock.advance(30);
        assert!(!place.may_sign().await, "one report is enough");
        // Who entered it can't confirm it, and whoever has no registration neither.
        office.get(&confirm).await.says(200, "Another person must do this");
        let page = place.execute(&mut office, &place.office, &confirm).await;
        page.says(422, "Another person must do this");
        place.execute(&mut doctor, &place.doctor, &confirm).await
            .leads_to(&format!("{}?done=confirmed", place.base));

        let request = place.grant(&mut office).await;
        place.app.clock.advance(30);
        assert!(!place.may_sign().await, "entered is not granted");
        let page = doctor.get(&request).await;
        page.says(200, "Token is back");
        page.says(200, "2026-05-25");
        // A wrong passphrase spends no passcode, a wrong passcode grants nothing, nor does another page.
        let code = place.doctor.phone.code(place.app.now());
        let shown = page.body.split("name=\"shown\" value=\"").nth(1).unwrap();
        let shown = shown.split('"').next().unwrap().to_owned();
        let send = |shown: String, passphrase: &'static str, code: String| {
            vec![("shown", shown), ("passphrase", passphrase.to_owned()),
                 ("stepup_token", "any".to_owned()), ("stepup_passcode", code)]
        };
        for (shown, passphrase, code, text) in [
            (shown.clone(), "not the right passphrase", code.clone(), "not your present passphrase"),
            (shown.clone(), PASSPHRASE, WRONG_CODE.to_owned(), "not right"),
            ("00".repeat(32), PASSPHRASE, code.clone(), "has changed since"),
            (String::new(), PASSPHRASE, code.clone(), "has changed since"),
        ] {
            let fields = send(shown, passphrase, code);
            let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
            doctor.post(&request, &fields).await.says(422, text);
        }
        assert!(!place.may_sign().await);
        let fields = send(shown, PASSPHRASE, code);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        doctor.post(&request, &fields).await.leads_to(&format!("{}?done=executed", place.base));
        place.app.clock.advance(30);
        assert!(place.may_sign().await);
        // Once.
        let page = place.execute(&mut doctor, &place.doctor, &request).await;
        page.says(422, "no longer open");
        doctor.get(&place.base).await.says(200, "May sign");
        assert_eq!(place.notices("permission_granted").await, ["+14025550100", "ada@lakeside.example"]);
        let said = place.app.events().await;
        for line in [
            "request_entered success -", "request_executed success -", "request_executed refused same_person",
            "request_executed refused passphrase_wrong", "request_executed refused request_changed",
            "permission_changed success granted", "permission_changed success non_compliant",
        ] {
            assert!(said.iter().any(|event| event == line), "{line}: {said:?}");
        }
    }

    /// The holder grants nothing to themselves; a rogue administrator and a colleague without
    /// registration get nowhere together.
    /// Shows: R-1311.125-a, R-1311.125-b
    async fn nobody_gets_round_the_second_person(app: TestApp) {
        let mut place = Place::of(app).await;
        place.report_lost().await;
        let clerk = place.app.another_person().await;
        place.app.give_roles(&clerk, &[Role::Designated]).await;
        place.app.give_addresses(&clerk, "clerk@lakeside.example").await;
        let clerk_id = blob(&place.app, &hex(clerk.id.as_bytes()));
        place.app.database.execute(&format!("DELETE FROM authority WHERE person = {clerk_id} AND kind = 'licence'")).await;
        place.app.database.execute(&format!("UPDATE authority SET stops_at = 0 WHERE person = {clerk_id}")).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut colleague = place.app.signed_in_as(&clerk).await;
        let request = place.grant(&mut office).await;
        let page = place.execute(&mut colleague, &clerk, &request).await;
        page.says(422, "Only a practitioner with a DEA registration in force");
        assert!(!place.may_sign().await);
        // A reason and a day are asked for, and the holder can't enter it.
        let registration = place.registration(&mut office).await;
        for (verified, reason, field) in [
            ("2026-05-25", "", "grant_reason"),
            ("2026-13-01", "x", "verified"),
            ("2026-05-26", "x", "verified"),
            ("2026-01-01", "x", "verified"),
        ] {
            let fields = [("registration", registration.as_str()), ("verified", verified), ("grant_reason", reason)];
            let page = office.post(&format!("{}/grant", place.person()), &fields).await;
            assert_eq!(page.status, 422);
            assert!(page.field_error(field).is_some(), "{field} {}", page.words());
        }
        let holder = place.app.person.clone();
        place.app.give_roles(&holder, &[Role::Designated]).await;
        let (_, second) = place.app.another_token(&holder, "Second phone").await;
        let mut own = place.app.signed_in_as(&holder).await;
        let fields = [("registration", registration.as_str()), ("verified", "2026-05-25"), ("grant_reason", "me")];
        let page = own.post(&format!("{}/grant", place.person()), &fields).await;
        page.says(422, "Nobody grants a permission to themselves");
        let code = second.code(place.app.now());
        let page = own.get(&request).await;
        page.says(200, "Nobody grants a permission to themselves");
        let fields = [("shown", ""), ("passphrase", PASSPHRASE), ("stepup_token", "any"), ("stepup_passcode", code.as_str())];
        own.post(&request, &fields).await.says(422, "Nobody grants a permission to themselves");
        // The doctor turns it down; then nobody executes it.
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let reject = format!("{request}/reject");
        let page = doctor.post(&reject, &[("reject_reason", " ")]).await;
        assert!(page.field_error("reject_reason").is_some());
        place.app.confirm(&mut doctor, &place.doctor, &reject, &[("reject_reason", "Not now")]).await
            .leads_to(&format!("{}?done=rejected", place.base));
        let page = place.execute(&mut doctor, &place.doctor, &request).await;
        page.says(422, "no longer open");
    }

    /// A change that waits for a second person is not entered a second time, by whomever and for whatever reason; once it
    /// is withdrawn or overtaken it can be. What still takes something away is never refused for that.
    async fn the_same_change_waits_only_once(app: TestApp) {
        const WAITS: &str = "The same change already waits for a second person";
        let place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let here = place.person();
        // A registration that lasts longer.
        let dea = format!("{here}/dea");
        let longer = |last: &'static str| [
            ("dea", "BM0000000"), ("dea_state", "NE"), ("schedules", "2 2N 3 3N 4 5"), ("dea_expires", last), ("dea_reason", "Renewed"),
        ];
        let entered = format!("{}?done=entered", place.base);
        place.app.confirm(&mut office, &place.office, &dea, &longer("2029-05-31")).await.leads_to(&entered);
        place.app.confirm(&mut office, &place.office, &dea, &longer("2029-05-31")).await.says(422, WAITS);
        place.app.confirm(&mut doctor, &place.doctor, &dea, &longer("2029-05-31")).await.says(422, WAITS);
        place.app.confirm(&mut office, &place.office, &dea, &longer("2029-04-30")).await.leads_to(&entered);
        // A license, however its number is written.
        let license = |number: &'static str| [
            ("licence_state", "NE"), ("licence", number), ("licence_expires", "2028-05-31"), ("licence_reason", "New"),
        ];
        let licence = format!("{here}/licence");
        let first = place.app.confirm(&mut office, &place.office, &licence, &license("MD-7771")).await;
        if first.location() == entered {
            for same in ["md-7771", "MD 7771", "MD7771"] {
                place.app.confirm(&mut office, &place.office, &licence, &license(same)).await.says(422, WAITS);
            }
        } else {
            panic!("{} {}", first.status, first.words());
        }
        // A role.
        let role = |unit: &'static str, reason: &'static str| [
            ("role", "proofing"), ("give", "yes"), ("unit", unit), ("role_reason", reason),
        ];
        place.enter(&mut office, "role", &role("Front", "helps")).await;
        office.post(&format!("{here}/role"), &role("Front", "still helps")).await.says(422, WAITS);
        office.post(&format!("{here}/role"), &role("front", "helps")).await.says(422, WAITS);
        doctor.post(&format!("{here}/role"), &role("Front", "helps")).await.says(422, WAITS);
        place.enter(&mut office, "role", &role("Back", "helps")).await;
        // A grant, whatever day is given.
        place.report_lost().await;
        let registration = place.registration(&mut office).await;
        let first = place.grant(&mut office).await;
        let told = place.notices("request_waiting").await.len();
        let waiting = place.all_waiting(&mut office).await.len();
        let grant = [("registration", registration.as_str()), ("verified", "2026-05-24"), ("grant_reason", "Once more")];
        for by in [&mut office, &mut doctor] {
            by.post(&format!("{here}/grant"), &grant).await.says(422, WAITS);
        }
        assert_eq!(place.all_waiting(&mut office).await.len(), waiting);
        assert_eq!(place.notices("request_waiting").await.len(), told, "nobody is told again");
        assert!(place.app.events().await.contains(&"request_entered refused waits_already".to_owned()));
        // Withdrawn, it can be entered again.
        office.post(&format!("{first}/withdraw"), &[]).await.leads_to(&format!("{}?done=withdrawn", place.base));
        let second = place.grant(&mut office).await;
        // A report closes the grant that waits; the same report has nothing more to take, until another grant waits.
        let left = [("revoked", registration.as_str()), ("cause", "left"), ("revoke_reason", "Gone")];
        place.enter(&mut office, "revoke", &left).await;
        doctor.get(&second).await.says(200, "Closed by a newer decision");
        doctor.post(&format!("{here}/revoke"), &left).await.says(422, WAITS);
        place.app.clock.advance(1);
        let third = place.grant(&mut office).await;
        place.enter(&mut doctor, "revoke", &left).await;
        doctor.get(&third).await.says(200, "Closed by a newer decision");
    }

    /// Two people who enter one change at the same moment: one of them is told that it waits.
    async fn race_of_two_people_to_enter_one_change(app: TestApp) {
        let place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let path = format!("{}/role", place.person());
        for round in 0..5 {
            let unit = format!("Unit {round}");
            let fields = [("role", "proofing"), ("give", "yes"), ("unit", unit.as_str()), ("role_reason", "helps")];
            let (one, other) = tokio::join!(office.post(&path, &fields), doctor.post(&path, &fields));
            let mut answers = [one.status, other.status];
            answers.sort_unstable();
            assert_eq!(answers, [303, 422], "{} {}", one.words(), other.words());
        }
        assert_eq!(place.all_waiting(&mut office).await.len(), 5);
    }

    /// A loss takes the permission, not only the token; it is told, and its clock runs.
    /// Shows: R-1311.102-b, R-1311.125-d1, A7, A8, N-24
    async fn a_loss_suspends_the_permission_everywhere(app: TestApp) {
        let place = Place::of(app).await;
        let (_, second) = place.app.another_token(&place.app.person, "Second phone").await;
        let api = place.app.api().await;
        assert!(api.check(second.credential.as_str(), &second.code(place.app.now())).await.verified());
        place.report_lost().await;
        place.app.clock.advance(30);
        let code = second.code(place.app.now());
        assert!(!api.check(second.credential.as_str(), &code).await.verified(), "the other token signs no more");
        let told = place.notices("loss_for_designated").await;
        assert_eq!(told, ["doctor@lakeside.example", "office@lakeside.example"]);
        assert_eq!(place.notices("loss_reported").await, ["+14025550100", "ada@lakeside.example"]);
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let page = doctor.get(&place.base).await;
        page.says(200, "Look at a reported loss");
        page.says(200, "Suspended, to be confirmed");
        // Monday, Memorial Day: counting begins on Tuesday and ends with it, New York's midnight.
        page.says(200, "2026-05-27 04:00 UTC");
        let confirm = place.waiting(&mut doctor).await;
        place.execute(&mut doctor, &place.doctor, &confirm).await
            .leads_to(&format!("{}?done=confirmed", place.base));
        let page = doctor.get(&format!("{}/due", place.base)).await;
        let id = page.body.split("/due/").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let done = format!("{}/due/{id}", place.base);
        // What the law wants done is not noted as done without a word.
        let page = doctor.post(&done, &[("note", " ")]).await;
        page.says(422, "Say what was done");
        page.says(422, "must know of a loss within one business day");
        place.app.confirm(&mut doctor, &place.doctor, &done, &[("note", "Spoke with her")]).await
            .leads_to(&format!("{}/due?done=noted", place.base));
        assert_eq!(doctor.post(&done, &[("note", "again")]).await.status, 404);
        doctor.get(&format!("{}/due", place.base)).await.says(200, "Spoke with her");
        // The doctor enters, and the office has no registration: it takes the other way round.
        let mut office = place.app.signed_in_as(&place.office).await;
        let request = place.grant(&mut office).await;
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &request).await
            .leads_to(&format!("{}?done=executed", place.base));
        let code = second.code(place.app.now());
        assert!(api.check(second.credential.as_str(), &code).await.verified());
    }

    /// A token that was added logs in, and signs only after a code that came another way.
    /// Shows: R-1311.105-c, A6, N-19
    async fn a_new_token_signs_after_its_activation(app: TestApp) {
        let place = Place::of(app).await;
        let mut browser = place.app.signed_in().await;
        let new = place.app.provision().await;
        add(&mut browser, &new, &new.code(place.app.now()), &[]).await.leads_to("/portal/tokens?done=added");
        let id = place.app.token_id(&new.credential).await;
        let here = format!("/portal/tokens/{id}/activate");
        let send = format!("/portal/tokens/{id}/activation-code");
        let api = place.app.api().await;
        place.app.clock.advance(30);
        assert!(!api.check(new.credential.as_str(), &new.code(place.app.now())).await.verified());
        browser.get("/portal/tokens").await.says(200, "log-in only: not activated for signing");
        browser.get(&here).await.says(200, "Text message or call to •••• 0100");
        browser.post(&here, &[("code", "ABCD1234")]).await.says(422, "Ask for a code first");
        browser.post(&send, &[("channel", "email")]).await.says(422, "no code can be sent");
        browser.post(&send, &[("channel", "phone")]).await.leads_to(&here);
        browser.post(&send, &[("channel", "phone")]).await.says(422, "Wait a minute");
        let code_of = |text: &str| {
            let tail = text.split("Clinic: ").nth(1).unwrap();
            tail.split('\n').next().unwrap().to_owned()
        };
        let sent = place.app.messages().await;
        let text = sent.iter().find(|it| it.kind == "code_text").unwrap().body.clone().unwrap();
        assert_eq!(text.to, "+14025550100");
        let first = code_of(&text.text);
        for _ in 0..5 {
            browser.post(&here, &[("code", "AAAA AAAA")]).await.says(422, "not the code");
        }
        browser.post(&here, &[("code", &first)]).await.says(422, "too often");
        place.app.clock.advance(60);
        browser.post(&send, &[("channel", "phone")]).await.leads_to(&here);
        let second = {
            let sent = place.app.messages().await;
            code_of(&sent.iter().find(|it| it.kind == "code_text").unwrap().body.as_ref().unwrap().text)
        };
        // Ten minutes later it has run out.
        place.app.clock.advance(600);
        let mut browser = place.app.signed_in().await;
        browser.post(&here, &[("code", &second)]).await.says(422, "has run out");
        // A letter lasts; somebody prints it, once.
        browser.post(&send, &[("channel", "post")]).await.leads_to(&here);
        let mut office = place.app.signed_in_as(&place.office).await;
        let letters = format!("{}/letters", place.base);
        let page = office.get(&letters).await;
        let letter = page.body.split(&format!("{letters}/")).nth(1).unwrap();
        let letter = format!("{letters}/{}", letter.split('"').next().unwrap());
        let page = place.app.confirm(&mut office, &place.office, &letter, &[]).await;
        page.says(200, "12 Elm Street");
        let code = page.body.split("Your code for").nth(1).unwrap().split("Type it").next().unwrap();
        let code = code.lines().map(str::trim).find(|line| line.len() == 9).unwrap().to_owned();
        assert_eq!(office.post(&letter, &[]).await.status, 404, "it opens once");
        place.app.clock.advance(9 * 86_400);
        let mut browser = place.app.signed_in().await;
        let typed = code.to_lowercase();
        browser.post(&here, &[("code", &typed)]).await.leads_to("/portal/tokens?done=activated");
        browser.get("/portal/tokens?done=activated").await.says(200, "activated for signing");
        assert!(api.check(new.credential.as_str(), &new.code(place.app.now())).await.verified());
        browser.post(&here, &[("code", &typed)]).await.says(422, "Nothing to activate");
        assert_eq!(place.notices("token_activated").await, ["+14025550100", "ada@lakeside.example"]);
        assert_eq!(place.notices("token_added").await.len(), 2);
    }

    /// The link of a notice stops everything, once, and not by being opened.
    /// Shows: N-19
    async fn this_was_not_me(app: TestApp) {
        let place = Place::of(app).await;
        let mut browser = place.app.signed_in().await;
        let new = place.app.provision().await;
        add(&mut browser, &new, &new.code(place.app.now()), &[]).await.leads_to("/portal/tokens?done=added");
        let sent = place.app.messages().await;
        let text = sent.iter().find(|it| it.kind == "token_added").unwrap().body.clone().unwrap().text;
        let link = text.split("/not-me/").nth(1).unwrap().split('\n').next().unwrap();
        let link = format!("/not-me/{link}");
        let mut stranger = place.app.browser();
        stranger.get(&link).await.says(200, "Dr. Ada Moreno");
        browser.get("/portal/tokens").await.says(200, "2 of 5 active");
        stranger.post(&link, &[]).await.says(200, "Everything is stopped");
        browser.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
        place.app.clock.advance(30);
        assert!(!place.may_sign().await);
        stranger.post(&link, &[]).await.says(422, "does not work");
        assert_eq!(stranger.get("/not-me/x").await.status, 404);
        // The owner turns the own token on again; signing takes two people.
        let mut owner = place.app.at_passcode().await;
        let id = place.app.person.token.to_string();
        let code = place.app.code();
        let fields = [("token", id.as_str()), ("passcode", code.as_str())];
        owner.post("/portal/login/enable", &fields).await.leads_to("/portal/login/passcode?done=enabled");
        place.app.clock.advance(30);
        assert!(!place.may_sign().await);
    }

    /// Expiry: a warning a month before, and on the day signing stops by itself, on record.
    /// Shows: R-1311.125-d2
    async fn an_expiry_is_watched(app: TestApp) {
        let place = Place::of(app).await;
        let id = blob(&place.app, &hex(place.app.person.id.as_bytes()));
        let end = place.app.now().plus_seconds(20 * 86_400);
        place.app.database.execute(&format!(
            "UPDATE authority SET stops_at = {} WHERE person = {id} AND kind = 'dea'", end.micros()
        )).await;
        let refresh = place.app.person.id;
        place.app.store.write("test_refresh", move |tx| tx.refresh_signing(refresh)).await.unwrap();
        place.app.app.watch().await.unwrap();
        place.app.app.watch().await.unwrap();
        assert_eq!(place.notices("expires_soon").await.len(), 4, "the holder at both, and two who are designated");
        assert!(place.may_sign().await);
        place.app.clock.advance(20 * 86_400);
        assert!(!place.may_sign().await, "before anybody has looked");
        place.app.app.watch().await.unwrap();
        let changed = place.app.events().await;
        assert!(changed.contains(&"permission_changed success expired".to_owned()), "{changed:?}");
        let told = place.notices("expired").await.len();
        place.app.app.watch().await.unwrap();
        assert_eq!(place.notices("expired").await.len(), told, "once");
        // Renewed, it takes two people; and signing takes two again.
        let mut office = place.app.signed_in_as(&place.office).await;
        let page = office.get(&place.person()).await;
        page.says(200, "Expired");
        let fields = [("dea", "BM0000000"), ("dea_state", "NE"), ("schedules", "2 2N 3 3N 4 5"), ("dea_expires", "2029-05-31"), ("dea_reason", "Renewed")];
        place.app.confirm(&mut office, &place.office, &format!("{}/dea", place.person()), &fields).await
            .leads_to(&format!("{}?done=entered", place.base));
        office.get(&place.person()).await.says(200, "Expired");
        let renewal = place.waiting(&mut office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &renewal).await.leads_to(&format!("{}?done=executed", place.base));
        office.get(&place.person()).await.says(200, "last day 2029-05-31");
        assert!(!place.may_sign().await);
        let bad = [("dea", "BM0000001"), ("dea_state", "XX"), ("schedules", "9"), ("dea_expires", "soon")];
        let page = office.post(&format!("{}/dea", place.person()), &bad).await;
        for field in ["dea", "dea_state", "schedules", "dea_expires"] {
            assert!(page.field_error(field).is_some(), "{field}");
        }
        assert!(page.body.contains("value=\"BM0000001\""), "what was typed is kept");
    }

    /// One credential, a permission for each DEA number: one taken leaves the other.
    /// Shows: A12, R-1311.135-b
    async fn each_dea_number_has_its_own_permission(app: TestApp) {
        let place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let first = place.registration(&mut office).await;
        let second = countersign_testkit::dea(900).as_text();
        let fields = [("dea", second.as_str()), ("dea_state", "NE"), ("schedules", "4 5"), ("dea_expires", "2029-05-31"), ("dea_reason", "A second one")];
        place.app.confirm(&mut office, &place.office, &format!("{}/dea", place.person()), &fields).await
            .leads_to(&format!("{}?done=saved", place.person()));
        let page = office.get(&place.person()).await;
        page.says(200, "May not sign");
        let select = page.body.split("id=\"registration\"").nth(1).unwrap().split("</select>").next().unwrap();
        let other = select.split("value=\"").skip(1).map(|it| it.split('"').next().unwrap().to_owned()).find(|id| *id != first).unwrap();
        let fields = [("registration", other.as_str()), ("verified", "2026-05-25"), ("grant_reason", "Second number")];
        let request = place.enter(&mut office, "grant", &fields).await;
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &request).await.leads_to(&format!("{}?done=executed", place.base));
        let fields = [("revoked", first.as_str()), ("cause", "withdrawn"), ("revoke_reason", "Returned")];
        place.enter(&mut office, "revoke", &fields).await;
        place.app.clock.advance(30);
        assert!(place.may_sign().await, "under the other number");
        let page = office.get(&place.person()).await;
        page.says(200, "Suspended: registration or licence withdrawn");
        let fields = [("revoked", other.as_str()), ("cause", "withdrawn"), ("revoke_reason", "Returned too")];
        place.enter(&mut office, "revoke", &fields).await;
        place.app.clock.advance(30);
        assert!(!place.may_sign().await);
    }

    /// A token is its owner's in every practice where they prescribe: one replay state, and a permission
    /// for each place.
    /// Shows: A11, A16
    async fn a_second_practice_checks_the_same_token(app: TestApp) {
        let place = Place::of(app).await;
        let elsewhere = other_practice(&place.app.store, &place.app).await;
        let at = place.app.app.at().unwrap();
        let key = place.app.app.create_api_key(elsewhere, "EHR there".to_owned(), at).await.unwrap();
        let there = countersign_testkit::Api::new(place.app.router(), Some(key));
        let here = place.app.api().await;
        let credential = place.app.person.phone.credential.clone();
        let id = credential.as_str();
        let check = async |api: &countersign_testkit::Api, purpose: &str| {
            api.check_for(id, &place.app.code(), purpose).await.verified()
        };
        assert!(!check(&there, "login").await, "not one of theirs");
        assert!(check(&here, "login").await, "and the code is not spent by it");
        let (person, now) = (place.app.person.id, place.app.now());
        place.app.store.write("test_join", move |tx| {
            tx.give_role(person, elsewhere, Role::Prescriber, "", now).map(drop)
        }).await.unwrap();
        assert!(!check(&there, "login").await, "used here, it is used there");
        place.app.clock.advance(30);
        assert!(check(&there, "login").await);
        assert!(!check(&here, "login").await, "and the other way round");
        place.app.clock.advance(30);
        assert!(!check(&there, "sign").await, "no permission there");
        place.app.clock.advance(30);
        let dea = countersign_testkit::dea(901);
        place.app.app.install_demo_permission(elsewhere, person, dea, at).await.unwrap();
        assert!(check(&there, "sign").await);
        // A loss reaches both.
        place.report_lost().await;
        place.app.clock.advance(30);
        assert!(!check(&there, "sign").await && !check(&here, "sign").await);
        let deadlines = place.app.store.read("test_due", move |tx| tx.deadlines(elsewhere, 9)).await.unwrap();
        assert_eq!(deadlines.len(), 1);
    }

    /// Another practice's console is not there, whoever asks, with real identifiers.
    /// Shows: A11
    async fn another_practice_is_not_found(app: TestApp) {
        let mut place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let registration = place.registration(&mut office).await;
        let request = place.enter(&mut office, "revoke", &[
            ("revoked", registration.as_str()),
            ("cause", Cause::Left.code()),
            ("revoke_reason", "x"),
        ]).await;
        let elsewhere = other_practice(&place.app.store, &place.app).await;
        let stranger = place.app.another_person().await;
        let (id, now) = (stranger.id, place.app.now());
        place.app.store.write("test_move", move |tx| {
            for role in Role::ALL {
                tx.give_role(id, elsewhere, role, "", now)?;
            }
            Ok(())
        }).await.unwrap();
        let mut browser = place.app.signed_in_as(&stranger).await;
        browser.get(&format!("/practice/{elsewhere}")).await.says(200, "Riverside");
        let id = request.rsplit('/').next().unwrap().to_owned();
        let before = place.app.event_count().await;
        for path in ["", "/due", "/letters", "/people/{person}", "/requests/{request}", "/invite", "/cases", "/cases/{request}", "/rules", "/fleet"] {
            for practice in [place.app.practice, elsewhere] {
                let path = path.replace("{person}", &place.app.person.id.to_string()).replace("{request}", &id);
                if practice == elsewhere && matches!(path.as_str(), "" | "/due" | "/letters" | "/invite" | "/cases" | "/rules" | "/fleet") {
                    continue;
                }
                let page = browser.get(&format!("/practice/{practice}{path}")).await;
                assert_eq!(page.status, 404, "{practice}{path}");
            }
        }
        for path in ["/due/{id}", "/people/{person}/grant", "/people/{person}/revoke", "/people/{person}/dea",
            "/people/{person}/licence", "/people/{person}/end", "/people/{person}/code", "/people/{person}/role", "/people/{person}/disable", "/people/{person}/prove-again",
            "/cases/{id}", "/invitations/{id}/resend", "/invitations/{id}/revoke", "/requests/{request}", "/requests/{request}/reject", "/requests/{request}/withdraw", "/letters/{id}"] {
            for practice in [place.app.practice, elsewhere] {
                let path = path.replace("{person}", &place.app.person.id.to_string())
                    .replace("{request}", &id).replace("{id}", &id);
                let page = browser.post(&format!("/practice/{practice}{path}"), &[]).await;
                assert_eq!(page.status, 404, "{practice}{path}");
            }
        }
        assert_eq!(place.app.event_count().await, before);
        // The prescriber of the place has no console either; the console is no way to a passcode-less session.
        let mut holder = place.app.signed_in().await;
        assert_eq!(holder.get(&place.base).await.status, 404);
        let mut half = place.app.browser_at(Stage::Passphrase { prescriber: place.office.id }).await;
        half.get(&place.base).await.leads_to("/portal/login/passcode");
    }
}

async fn other_practice(store: &Store, app: &TestApp) -> PracticeId {
    let now = app.now();
    store
        .write("test_practice", move |tx| {
            let id = PracticeId::new(now, tx.rng())?;
            tx.create_practice(id, "Riverside", now)?;
            Ok(id)
        })
        .await
        .unwrap()
}
