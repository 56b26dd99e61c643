//! Who may sign: two people, each in their own time; what a loss takes away at once; activation over two
//! channels; and the practices beside one another.

pub(crate) mod activation;
mod grants;
pub(crate) mod losses;
mod practices;

use countersign_domain::Role;
use countersign_testkit::{Browser, PASSPHRASE, Page, Person, TestApp};

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
        page.value("registration")
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
        let list = page.html();
        let links = list.all("[data-hook=waiting] a");
        links.iter().map(|link| link.attribute("href").unwrap().to_owned()).collect()
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
