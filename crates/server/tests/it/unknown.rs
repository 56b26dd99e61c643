//! A task that panics after its commit: its outcome is unknown, and it is never said that nothing was changed.

use std::fs;

use countersign_testkit::{Backend, PASSPHRASE, TestApp, wanted};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    prescribing::{ready, send, shown, signing},
    statements::files,
};

/// Panics in the line of the log that follows the commit of a decision of this kind: where the answer is on its
/// way, and the client has not heard of it.
struct PanicAfter(&'static str);

#[derive(Default)]
struct Kind(String, bool);

impl Visit for Kind {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "kind" => value.clone_into(&mut self.0),
            "outcome" => self.1 = value == "success",
            _ => {}
        }
    }
}

impl Subscriber for PanicAfter {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut kind = Kind::default();
        event.record(&mut kind);
        assert!(kind.0 != self.0 || !kind.1, "after the commit of {}", self.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Both databases; on one thread, so that only what runs here panics.
async fn on_both<F: Future<Output = ()>>(test: impl Fn(TestApp) -> F) {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        if wanted(backend) {
            test(TestApp::on(backend).await).await;
        }
    }
}

#[tokio::test]
async fn a_signature_whose_task_panicked_after_its_commit_is_an_unknown_outcome() {
    on_both(|app| async move {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let path = ready(&mut browser).await;
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        let code = app.code();
        let page = {
            let _guard = tracing::subscriber::set_default(PanicAfter("prescription_signed"));
            send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &code)).await
        };
        page.says(504, "We can't tell whether this was completed");
        assert!(!page.words().contains("Nothing was changed"), "{}", page.words());
        // It was done, and the code is used up.
        browser.get(&path).await.says(200, "Signed record");
        let api = app.api().await;
        assert!(!api.check(app.person.phone.credential.as_str(), &code).await.verified());
    })
    .await;
}

#[tokio::test]
async fn a_log_in_and_a_new_passphrase_whose_tasks_panicked_are_unknown_outcomes() {
    on_both(|app| async move {
        let npi = app.person.npi.as_text();
        let page = {
            let _guard = tracing::subscriber::set_default(PanicAfter("passphrase_tried"));
            let fields = [("npi", npi.as_str()), ("passphrase", PASSPHRASE)];
            app.browser().post("/portal/login", &fields).await
        };
        page.says(504, "We can't tell whether this was completed");
        let new = "seven other kettles by the moon";
        let code = app.code();
        let page = {
            let _guard = tracing::subscriber::set_default(PanicAfter("passphrase_changed"));
            let fields = [
                ("current", PASSPHRASE),
                ("new", new),
                ("again", new),
                ("stepup_token", "any"),
                ("stepup_passcode", code.as_str()),
            ];
            app.signed_in().await.post("/portal/passphrase", &fields).await
        };
        page.says(504, "We can't tell whether this was completed");
        // It is the new one from now on.
        let fields = [("npi", npi.as_str()), ("passphrase", new)];
        app.browser().post("/portal/login", &fields).await.leads_to("/portal/login/passcode");
    })
    .await;
}

/// Whatever runs to completion does so by the one function that tells what is unknown.
#[test]
fn no_use_case_spawns_a_task_of_its_own() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../app/src");
    let mut read = 0;
    for path in files(&folder) {
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let spawns = text.contains("tokio::spawn(") || text.contains("task::spawn(");
        assert_eq!(spawns, name == "to_completion.rs", "{name}");
        assert!(!text.contains("map_err(|_| Error::Busy)"), "{name}");
        read += 1;
    }
    assert!(read > 30, "the use cases have moved");
}
