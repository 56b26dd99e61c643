//! Certified builds: the report of the build that runs, who must acknowledge it before the first signature, and
//! notices that a build no longer meets the requirements.

use countersign_app::{
    Answer, Build, NewNotice, NewReport, NotDone, NoticeEnd, NoticeRefusal, ReportRefusal,
};
use countersign_domain::{
    Date, ReportId, Role, TimeZone,
    certification::{BuildId, ReportError, ReportFacts, ReportKind, Version},
};
use countersign_store::Stage;
use countersign_testkit::{Browser, PASSPHRASE, Page, Person, TestApp, WRONG_CODE, both};

use crate::prescribing::{fields, ready, send, shown, signing};

const DOCUMENT: &str = "Report R-1: the application records, stores and transmits accurately.\n";

fn build(letter: char) -> BuildId {
    letter.to_string().repeat(64).parse().unwrap()
}

fn new_report(app: &TestApp, name: &str, builds: Vec<BuildId>) -> NewReport {
    let today = Date::at(app.now(), &TimeZone::UTC);
    NewReport {
        facts: ReportFacts {
            name: name.to_owned(),
            kind: ReportKind::Audit,
            auditor: "Example Auditors LLP".to_owned(),
            issued: today.plus_days(-1),
            expires: today.plus_days(10),
        },
        builds,
        document: DOCUMENT.as_bytes().to_vec(),
        by: "Ops".to_owned(),
    }
}

pub(crate) async fn enter(app: &TestApp, name: &str, builds: Vec<BuildId>) -> ReportId {
    let at = app.app.at().unwrap();
    app.app.enter_report(new_report(app, name, builds), at).await.unwrap().done().unwrap().id
}

/// Enters a report that covers the running build, acknowledged and read, past the pages.
pub(crate) async fn report_in_force(app: &TestApp, name: &str) {
    let running = app.app.running();
    let id = enter(app, name, vec![running.id.clone()]).await;
    let (practice, person, now) = (app.practice, app.person.id, app.now());
    app.store
        .write("test_report", move |tx| {
            tx.acknowledge_report(practice, id, &running.id, person, now)?;
            tx.review_report(person, id, now)
        })
        .await
        .unwrap();
}

/// Another server on the same data, of a build that a release manifest lists.
async fn listed(app: &mut TestApp, version: Version, id: BuildId, report: &str) {
    let report = report.to_owned();
    app.restart_with(move |options| {
        options.demonstration = false;
        options.build = Build::Listed { report };
        options.version = version;
        options.build_id = id;
    })
    .await;
    app.app.clock_was_measured(0);
}

fn new_notice(reason: &str, through: Version) -> NewNotice {
    NewNotice {
        source: "Example Provider".to_owned(),
        reason: reason.to_owned(),
        through,
        by: "Ops".to_owned(),
    }
}

async fn sign(app: &TestApp, browser: &mut Browser) -> Page {
    let page = browser.get("/e-prescribing/sign").await;
    let parts = shown(&page);
    send(browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code())).await
}

/// Sends the form of the page of certification, as it stands there.
async fn acknowledge(browser: &mut Browser, path: &str, code: &str) -> Page {
    let page = browser.get(path).await;
    let report = page.value("report");
    let fields = [("report", report.as_str()), ("stepup_token", "any"), ("stepup_passcode", code)];
    browser.post(path, &fields).await
}

async fn designated(app: &mut TestApp) -> (Person, String) {
    let office = app.another_person().await;
    app.give_roles(&office, &[Role::Designated]).await;
    app.give_addresses(&office, "office@lakeside.example").await;
    (office, format!("/practice/{}/certification", app.practice))
}

both! {
    /// A listed build signs only with the report that its manifest names, in force, acknowledged for the practice
    /// with both factors, and read by the practitioner; a new build asks the practice again, a new report both.
    /// Shows: R-1311.102-d, R-1311.300-e, R-1311.300-f, R-1304.06-ef
    async fn a_listed_build_signs_with_its_report_acknowledged_and_read(mut app: TestApp) {
        let (office, place) = designated(&mut app).await;
        app.give_addresses(&app.person, "ada@lakeside.example").await;
        // One that was marked ready before this build ran, and one that can't be.
        ready(&mut app.launched("amoreno").await).await;
        listed(&mut app, Version::new(0, 1, 0), build('a'), "R-1").await;
        let mut browser = app.launched("amoreno").await;
        let path = send(&mut browser, "/e-prescribing/new", &fields()).await.location().to_owned();
        browser.post(&format!("{path}/ready"), &[]).await.says(422, "is not on file, so");
        browser.get("/e-prescribing/sign").await.says(200, "is not on file, so");
        // Another report covers it, and is not the one that the manifest names; and one that covers another build.
        enter(&app, "R-0", vec![build('a')]).await;
        browser.get("/e-prescribing/sign").await.says(200, "is not on file, so");
        let id = enter(&app, "R-1", vec![build('a'), build('b')]).await;
        browser.get("/e-prescribing/sign").await.says(200, "Your practice has not acknowledged");
        let told: Vec<String> = app.messages().await.into_iter().filter(|it| it.kind == "report_entered")
            .map(|it| it.body.unwrap().to).collect();
        assert_eq!(told, ["office@lakeside.example", "office@lakeside.example"]);
        // Shown, and served as it was entered.
        let mut desk = app.signed_in_as(&office).await;
        let page = desk.get(&place).await;
        for text in ["R-1", "Example Auditors LLP", "Audit report", "Not yet. No one can sign until it is.", &"a".repeat(64)] {
            page.says(200, text);
        }
        let document = desk.get(&format!("/portal/certification/{id}")).await;
        assert_eq!((document.status, document.body.as_str()), (200, DOCUMENT));
        assert_eq!(document.header("content-type"), "text/plain; charset=utf-8");
        assert!(document.header("content-disposition").starts_with("attachment"));
        // Not without a right code, and not by somebody who does not set access control.
        acknowledge(&mut desk, &place, WRONG_CODE).await.says(422, "Incorrect passcode");
        browser.get("/e-prescribing/sign").await.says(200, "Your practice has not acknowledged");
        let mut own = app.signed_in().await;
        own.get(&place).await;
        let fields = [("report", id.to_string()), ("stepup_token", "any".to_owned()), ("stepup_passcode", app.code())];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(own.post(&place, &fields).await.status, 404);
        let code = office.phone.code(app.now());
        acknowledge(&mut desk, &place, &code).await.leads_to(&format!("{place}?done=acknowledged"));
        desk.get(&place).await.says(200, "Dr. Ben Okafor");
        // The practitioner's own duty.
        browser.get("/e-prescribing/sign").await.says(200, "First read the audit or certification report");
        own.get("/portal/dashboard").await.says(200, "First read the audit or certification report");
        acknowledge(&mut own, "/portal/certification", "").await.leads_to("/portal/certification?done=read");
        sign(&app, &mut browser).await.leads_to("/e-prescribing?done=signed");
        // Another build under the same report: the practice again, the practitioner not.
        ready(&mut app.launched("amoreno").await).await;
        listed(&mut app, Version::new(0, 1, 0), build('b'), "R-1").await;
        app.clock.advance(31);
        let mut browser = app.launched("amoreno").await;
        browser.get("/e-prescribing/sign").await.says(200, "Your practice has not acknowledged");
        let mut desk = app.signed_in_as(&office).await;
        let code = office.phone.code(app.now());
        acknowledge(&mut desk, &place, &code).await.leads_to(&format!("{place}?done=acknowledged"));
        sign(&app, &mut browser).await.leads_to("/e-prescribing?done=signed");
        // It runs out.
        ready(&mut browser).await;
        app.clock.advance(12 * 86_400);
        app.app.clock_was_measured(0);
        let mut browser = app.launched("amoreno").await;
        browser.get("/e-prescribing/sign").await.says(200, "has expired");
        let events = app.events().await;
        for line in [
            "report_entered success -", "report_acknowledged success -", "report_acknowledged refused passcode_wrong",
            "report_reviewed success -", "prescription_signed success -",
        ] {
            assert!(events.iter().any(|event| event == line), "{line}: {events:?}");
        }
    }

    /// From its commit on nothing is signed: on no server, in no practice, by page or API. The same version, a newer
    /// one that no manifest lists, and a restart don't help; a newer listed one does.
    /// Shows: R-1311.102-gh, R-1311.102-i, R-1311.300-g, R-1311.302-a, R-1311.302-b
    async fn a_notice_of_noncompliance_stops_all_signing_until_a_newer_listed_build_runs(mut app: TestApp) {
        let (_, place) = designated(&mut app).await;
        app.give_addresses(&app.person, "ada@lakeside.example").await;
        let at = app.app.at().unwrap();
        let elsewhere = app.app.create_practice("Harbor Clinic".to_owned(), at).await.unwrap();
        let api = app.api().await;
        let id = app.person.phone.credential.as_str().to_owned();
        assert!(api.check(&id, &app.code()).await.verified());
        app.clock.advance(31);
        let mut browser = app.launched("amoreno").await;
        ready(&mut browser).await;
        let parts = shown(&browser.get("/e-prescribing/sign").await);
        // The notice is entered by another process: this server was not told.
        let other = countersign_app::App::new(
            app.store.clone(),
            app.clock.clone(),
            countersign_testkit::seeded_rng,
            app.app.options().clone(),
        );
        let through = Version::new(0, 1, 0);
        let at = other.at().unwrap();
        other.enter_noncompliance(new_notice("refills are sent wrongly", through), at).await.unwrap().done().unwrap();
        assert!(!api.check(&id, &app.code()).await.verified(), "the very next check");
        app.clock.advance(31);
        send(&mut browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code()))
            .await
            .says(422, "no longer meets the requirements");
        let page = browser.get("/e-prescribing/sign").await;
        page.says(200, "Signing is stopped: this software version no longer meets DEA requirements");
        assert!(page.find("[name=shown]").is_none());
        // A log-in goes on.
        assert!(api.check_for(&id, &app.code(), "login").await.verified());
        // All who set access control are told, and each practice has its record.
        let told = app.messages().await.into_iter().filter(|it| it.kind == "signing_stopped").count();
        assert_eq!(told, 1);
        let stopped = app.database
            .texts("SELECT kind, outcome, actor FROM audit_event WHERE kind IN ('noncompliance_entered', 'signing_stopped')")
            .await;
        assert_eq!(stopped.len(), 3, "{stopped:?}");
        let mut desk = app.signed_in().await;
        desk.get("/portal/certification").await.says(200, "refills are sent wrongly");
        desk.get("/portal/dashboard").await.says(200, "no longer meets the requirements");
        // What does not help: time, a restart, a newer build without a manifest, the same version listed.
        app.clock.advance(3_600);
        let newer = Version::new(0, 1, 1);
        app.restart_with(|options| options.version = newer).await;
        assert_eq!(app.app.watch_certification().await.unwrap(), 0);
        let mut browser = app.launched("amoreno").await;
        browser.get("/e-prescribing/sign").await.says(200, "no longer meets the requirements");
        listed(&mut app, through, build('a'), "R-1").await;
        report_in_force(&app, "R-1").await;
        assert_eq!(app.app.watch_certification().await.unwrap(), 0);
        app.launched("amoreno").await.get("/e-prescribing/sign").await.says(200, "no longer meets the requirements");
        let mut api = app.api().await;
        assert!(!api.check(&id, &app.code()).await.verified());
        // A newer one that a manifest lists, under its own report.
        app.clock.advance(31);
        listed(&mut app, newer, build('c'), "R-2").await;
        report_in_force(&app, "R-2").await;
        assert_eq!(app.app.watch_certification().await.unwrap(), 1);
        assert_eq!(app.app.watch_certification().await.unwrap(), 0);
        let mut browser = app.launched("amoreno").await;
        sign(&app, &mut browser).await.leads_to("/e-prescribing?done=signed");
        app.clock.advance(31);
        api = app.api().await;
        assert!(api.check(&id, &app.code()).await.verified());
        let resumed = app.messages().await.into_iter().filter(|it| it.kind == "signing_resumed").count();
        assert_eq!(resumed, 1);
        // A server of the old build that is still there signs nothing, though the notice has ended.
        app.clock.advance(31);
        listed(&mut app, through, build('a'), "R-1").await;
        app.app.watch_certification().await.unwrap();
        let api = app.api().await;
        assert!(!api.check(&id, &app.code()).await.verified());
        assert_ne!(elsewhere, app.practice);
        assert!(place.starts_with("/practice/"));
    }

    /// Where no manifest lists the newer build, a notice ends by the operator's record of the word that ends it. An
    /// equal notice is entered once; a build that a notice is about neither ends it nor signs afterwards.
    async fn a_notice_ends_on_the_word_that_the_operator_records(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@lakeside.example").await;
        let office = app.another_person().await;
        app.give_roles(&office, &[Role::Designated]).await;
        app.give_addresses(&office, "office@lakeside.example").await;
        let (old, newer) = (Version::new(0, 0, 9), Version::new(0, 1, 0));
        let mut browser = app.launched("amoreno").await;
        ready(&mut browser).await;
        let at = app.app.at().unwrap();
        let first = app.app.enter_noncompliance(new_notice("refills", old), at).await.unwrap().done().unwrap();
        let again = app.app.enter_noncompliance(new_notice("refills", old), at).await.unwrap();
        assert_eq!(again, Answer::Refused(NoticeRefusal::Known));
        assert_eq!(app.app.noncompliance().await.unwrap().len(), 1);
        let second = app.app.enter_noncompliance(new_notice("directions", old), at).await.unwrap().done().unwrap();
        browser.get("/e-prescribing/sign").await.says(200, "no longer meets the requirements");
        assert_eq!(app.app.watch_certification().await.unwrap(), 0, "it does not end by itself");
        let end = |notice| NoticeEnd {
            notice,
            source: "Example Auditor".to_owned(),
            reason: "version 0.1.0 mends it".to_owned(),
            by: "Ops".to_owned(),
        };
        app.restart_with(move |options| options.version = old).await;
        let refused = app.app.end_noncompliance(end(first), at).await.unwrap();
        assert_eq!(refused.done().unwrap_err(), NotDone::Refused(NoticeRefusal::OldBuild { running: old, through: old }));
        app.restart_with(move |options| options.version = newer).await;
        app.app.end_noncompliance(end(first), at).await.unwrap().done().unwrap();
        let refused = app.app.end_noncompliance(end(first), at).await.unwrap();
        assert_eq!(refused.done().unwrap_err(), NotDone::Refused(NoticeRefusal::NotOpen));
        // The other one is still open.
        let mut browser = app.launched("amoreno").await;
        browser.get("/e-prescribing/sign").await.says(200, "no longer meets the requirements");
        app.app.end_noncompliance(end(second), at).await.unwrap().done().unwrap();
        assert!(!app.app.is_noncompliant());
        let mut browser = app.launched("amoreno").await;
        sign(&app, &mut browser).await.leads_to("/e-prescribing?done=signed");
        let kinds = app.database
            .texts("SELECT kind FROM audit_event WHERE outcome = 'success' AND kind IN ('noncompliance_ended', 'signing_resumed') ORDER BY kind")
            .await;
        assert_eq!(kinds, ["noncompliance_ended", "noncompliance_ended", "signing_resumed"]);
        let told = app.database.texts("SELECT kind FROM message WHERE kind = 'signing_resumed'").await;
        assert!(!told.is_empty(), "the practice is told once signing goes on");
        let words = app.database.texts("SELECT ended_by FROM noncompliance_notice").await;
        assert_eq!(words, ["Example Auditor, recorded by Ops", "Example Auditor, recorded by Ops"]);
        // An old build stays what it is.
        app.restart_with(move |options| options.version = old).await;
        app.app.watch_certification().await.unwrap();
        assert!(app.app.is_noncompliant());
    }

    /// What is wrong with a report is named, and a report is never changed.
    async fn a_report_that_is_wrong_is_not_entered(app: TestApp) {
        let at = app.app.at().unwrap();
        let wrong = |change: fn(&mut NewReport)| {
            let mut new = new_report(&app, "R-1", vec![build('a')]);
            change(&mut new);
            new
        };
        for (new, why) in [
            (wrong(|it| it.builds.clear()), ReportError::NoBuild),
            (wrong(|it| it.document.clear()), ReportError::Empty),
            (wrong(|it| it.document = vec![0xff, 0xfe]), ReportError::Format),
            (wrong(|it| it.facts.expires = it.facts.issued.plus_years(2).plus_days(1)), ReportError::TooLong),
        ] {
            let refused = app.app.enter_report(new, at).await.unwrap();
            assert_eq!(refused.done().unwrap_err(), NotDone::Refused(ReportRefusal::Wrong(why)));
        }
        assert!(app.app.reports().await.unwrap().is_empty());
        enter(&app, "R-1", vec![build('a')]).await;
        let again = app.app.enter_report(wrong(|it| it.document = b"another".to_vec()), at).await.unwrap();
        assert_eq!(again.done().unwrap_err(), NotDone::Refused(ReportRefusal::Known));
        let all = app.app.reports().await.unwrap();
        assert_eq!((all.len(), all[0].builds.clone()), (1, vec![build('a')]));
        let (_, document) = app.app.report_document(all[0].id).await.unwrap();
        assert_eq!(document, DOCUMENT.as_bytes());
    }

    /// Whoever enrols reads the report with the terms; the record names it, and a report that came meanwhile is not
    /// taken as read. In a demonstration a made-up report is in force and says that it is.
    async fn the_terms_name_the_report(app: TestApp) {
        let mut browser = app.browser_at(Stage::Enrolling { prescriber: app.person.id }).await;
        let page = browser.get("/enrol").await;
        page.says(200, "No audit or certification report for this build is on file yet");
        assert_eq!(browser.get("/enrol/certification").await.status, 404);
        app.app.install_demo_report(app.app.at().unwrap()).await.unwrap();
        app.app.install_demo_report(app.app.at().unwrap()).await.unwrap();
        let ticked = [("keep", "yes"), ("report", "yes"), ("audit", "yes"), ("certification", "")];
        browser.post("/enrol/terms", &ticked).await.says(422, "The report has changed");
        let page = browser.get("/enrol").await;
        page.says(200, "I have read report MADE-UP-");
        browser.get("/enrol/certification").await.says(200, "FICTIONAL. This is not an audit report.");
        let id = page.value("certification");
        let ticked = [("keep", "yes"), ("report", "yes"), ("audit", "yes"), ("certification", id.as_str())];
        browser.post("/enrol/terms", &ticked).await.leads_to("/enrol");
        let details = app.database
            .texts("SELECT kind, detail, actor FROM audit_event WHERE kind = 'terms_accepted'")
            .await;
        assert!(details[0].contains("report MADE-UP-"), "{details:?}");
        assert_eq!(app.app.reports().await.unwrap().len(), 1, "once");
    }
}
