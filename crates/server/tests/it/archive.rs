//! The archive: what a practitioner and a practice find in it, what leaves it, and that nothing in it changes.

use countersign_app::{Answer, RemovalRefusal, Removed, Search};
use countersign_domain::{
    PersonId, PracticeId, PrescriptionId, Role, Timestamp,
    prescription::{Content, Patient, Prescription, State},
    retention::Retention,
};
use countersign_protocol::record;
use countersign_store::{PrescriptionRow, SignedRecord, Stage, Tx};
use countersign_testkit::{Browser, TestApp, WRONG_CODE, both};
use data_encoding::BASE64URL_NOPAD;

use crate::{
    prescribing::{fields, signed, with},
    statements::scan_sources,
};

/// How many e-mails of a kind there are.
async fn emails(app: &TestApp, kind: &str) -> usize {
    let all = app.messages().await;
    all.iter().filter(|it| it.kind == kind && it.channel.code() == "email").count()
}

/// Puts a record into the archive as an older version of the program wrote it, or another one did.
async fn archive(
    app: &TestApp,
    practice: PracticeId,
    person: PersonId,
    signed: Timestamp,
    dea: &str,
    state: &str,
) {
    let said = serde_json::json!({ "practitioner": { "dea": dea, "dea_state": state } });
    let jws = format!("e30.{}.AA", BASE64URL_NOPAD.encode(said.to_string().as_bytes()));
    let write = move |tx: &mut Tx<'_>| {
        let id = PrescriptionId::new(signed, tx.rng())?;
        let content = Content {
            patient: Patient::default(),
            drug: String::new(),
            strength: String::new(),
            form: String::new(),
            schedule: None,
            quantity: None,
            unit: String::new(),
            directions: String::new(),
            days_supply: None,
            refills: 0,
            earliest_fill: None,
            last_fill: None,
            series: None,
            note: String::new(),
            pharmacy: None,
            dea: None,
            internal_code: None,
            supervisor: None,
        };
        let it =
            Prescription { prescriber: person, content, state: State::Transmitted { at: signed } };
        let by = String::new();
        tx.create_prescription(&PrescriptionRow {
            id,
            practice,
            it,
            created: signed,
            changed: signed,
            by,
        })?;
        tx.archive(&SignedRecord {
            prescription: id,
            practice,
            prescriber: person,
            signed,
            key_id: "k".to_owned(),
            jws: jws.clone(),
        })
    };
    app.store.write("test_archive", write).await.unwrap();
}

both! {
    /// The practitioner's own log, by month, sorted, as a file that verifies elsewhere; a month that is over
    /// is kept as it was given out; and "this one is not mine".
    /// Shows: R-1304.06-a, R-1311.102-j, R-1311.120-b27i, R-1311.120-b27ii, R-1311.120-b27iii, R-1311.120-b27iv, R-1311.120-b27v, R-1311.305-c, R-1311.305-h, R-1311.150-c2, A17
    async fn a_practitioner_reads_their_log_and_disowns_what_is_not_theirs(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let ben = app.another_person().await;
        app.give_roles(&ben, &[Role::Designated]).await;
        app.give_addresses(&ben, "ben@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let path = signed(&app, &mut browser, &fields()).await;
        app.clock.advance(30);
        signed(&app, &mut browser, &with(fields(), &[("drug", "Alprazolam"), ("note", "=1+1"), ("directions", "=HYPERLINK(\"x\")")])).await;
        let mut portal = app.signed_in().await;
        let page = portal.get("/portal/prescriptions").await;
        page.says(200, "Signed prescriptions, May 2026");
        page.says(200, "Oxycodone hydrochloride 5 mg, 30 tablets");
        let at = |page: &str, what: &str| page.find(what).unwrap();
        assert!(at(&page.body, "Oxycodone") < at(&page.body, "Alprazolam"));
        let page = portal.get("/portal/prescriptions?sort=drug").await;
        assert!(at(&page.body, "Oxycodone") > at(&page.body, "Alprazolam"));
        portal.get("/portal/prescriptions?month=2024-06").await.says(200, "None this month");
        assert_eq!(portal.get("/portal/prescriptions?month=xx").await.status, 404);
        // What leaves is on record, is no formula, and verifies with nothing of ours.
        let before = app.event_count().await;
        let table = portal.post("/portal/prescriptions/export", &[("month", "2026-05"), ("format", "csv")]).await;
        assert_eq!(app.event_count().await, before + 1);
        assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
        assert!(table.body.starts_with("signed_at,") && table.body.lines().count() == 3, "{}", table.body);
        assert!(table.body.contains("\"'=HYPERLINK(\"\"x\"\")\""), "{}", table.body);
        let lines = portal.post("/portal/prescriptions/export", &[("month", "2026-05"), ("format", "jsonl")]).await;
        let pages = portal.post_bytes("/portal/prescriptions/export", &[("month", "2026-05"), ("format", "pdf")]).await;
        let pages = String::from_utf8_lossy(&pages);
        assert!(pages.starts_with("%PDF-") && pages.contains("Signed prescriptions of Dr. Ada Moreno, 2026-05    1 of 1"));
        assert!(pages.contains("Oxycodone hydrochloride 5 mg") && pages.contains("Rosa Lindqvist"));
        let keys = app.browser().get("/.well-known/jwks.json").await.body;
        for line in lines.body.lines() {
            let said: serde_json::Value = serde_json::from_str(line).unwrap();
            let record = record::verify(said["signed_record"].as_str().unwrap(), keys.as_bytes()).unwrap();
            assert_eq!(record["id"], said["id"]);
        }
        // The month is over: its log is made once, told, and stays as it was.
        let watch = async |app: &TestApp| { app.app.watch().await.unwrap(); };
        watch(&app).await;
        assert!(app.messages().await.iter().all(|it| it.kind != "monthly_log"), "the month is not over");
        app.clock.advance(8 * 86_400);
        watch(&app).await;
        watch(&app).await;
        assert_eq!(emails(&app, "monthly_log").await, 1);
        let mut portal = app.signed_in().await;
        let practice = app.practice.to_string();
        let log = [("practice", practice.as_str()), ("month", "2026-05")];
        let first = portal.post("/portal/prescriptions/export", &log).await;
        assert_eq!(first.body, table.body);
        // "This one is not mine."
        let id = path.rsplit('/').next().unwrap().to_owned();
        let report = format!("/portal/prescriptions/{id}/not-mine");
        portal.post(&report, &[("month", "2026-05")]).await.leads_to("/portal/prescriptions?month=2026-05&done=disowned");
        portal.post(&report, &[("month", "2026-05")]).await.leads_to("/portal/prescriptions?month=2026-05&done=disowned");
        portal.get("/portal/prescriptions?month=2026-05").await.says(200, "Reported");
        let events = app.events().await;
        assert_eq!(events.iter().filter(|it| **it == "prescription_disowned refused not_mine").count(), 1, "once");
        let mut console = app.signed_in_as(&ben).await;
        let due = console.get(&format!("/practice/{practice}/due")).await;
        due.says(200, "reported as not issued by the prescriber");
        due.says(200, "call the pharmacy");
        let record = format!("/practice/{practice}/records?patient={id}");
        assert!(due.body.contains(&record));
        console.get(&record).await.says(200, "One every six hours. C-II, refills: 0. Corner Pharmacy");
        let mut browser = app.launched("amoreno").await;
        browser.get(&path).await.says(200, "Reported as not issued by the prescriber");
        assert!(app.messages().await.iter().any(|it| it.kind == "prescription_disowned"));
        // Somebody else's is not there for anybody but its practitioner.
        assert_eq!(console.post(&report, &[]).await.status, 404);
        assert_eq!(console.post("/portal/prescriptions/export", &log).await.status, 404);
        let again = portal.post("/portal/prescriptions/export", &log).await;
        assert_eq!(again.body, first.body, "byte for byte, whatever happened since");
    }

    /// A log at which nobody has looked for a week is told once, to its practitioner and to those who administer;
    /// one that was looked at is not. Months in which no server ran have theirs too.
    /// Shows: R-1311.120-b27i, R-1311.120-b27ii
    async fn a_log_that_nobody_looks_at_is_told(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let ben = app.another_person().await;
        app.give_roles(&ben, &[Role::Designated]).await;
        app.give_addresses(&ben, "ben@x.example").await;
        let mut browser = app.launched("amoreno").await;
        signed(&app, &mut browser, &fields()).await;
        let told = async |app: &TestApp| {
            app.app.watch().await.unwrap();
            emails(app, "log_unseen").await
        };
        let logs = async |app: &TestApp| emails(app, "monthly_log").await;
        // Made on the first of June; a week later nobody has looked.
        app.clock.advance(7 * 86_400);
        assert_eq!((told(&app).await, logs(&app).await), (0, 1));
        app.clock.advance(7 * 86_400 - 60);
        assert_eq!(told(&app).await, 0);
        app.clock.advance(120);
        assert_eq!(told(&app).await, 2, "the practitioner, and the one who is designated");
        assert_eq!(told(&app).await, 2, "once");
        // Whoever looks is not reminded, and two months without a server lose no log.
        let mut browser = app.launched("amoreno").await;
        signed(&app, &mut browser, &fields()).await;
        app.clock.advance(70 * 86_400);
        assert_eq!((told(&app).await, logs(&app).await), (2, 2), "June, though it is August");
        let mut portal = app.signed_in().await;
        let page = portal.get("/portal/prescriptions").await;
        page.says(200, "Not reviewed yet");
        let page = portal.get("/portal/prescriptions?month=2026-06").await;
        page.says(200, "Oxycodone hydrochloride 5 mg");
        app.clock.advance(8 * 86_400);
        assert_eq!(told(&app).await, 2);
    }

    /// Nothing is removed before its time, nothing that is held, and what is removed is on record, record by
    /// record.
    /// Shows: R-1311.305-b, A19, R-1304.06-g
    async fn records_are_kept_for_their_time_and_longer_where_they_are_held(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let ben = app.another_person().await;
        app.give_roles(&ben, &[Role::Administrator]).await;
        let carol = app.another_person().await;
        app.give_roles(&carol, &[Role::Designated]).await;
        app.give_addresses(&carol, "carol@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let path = signed(&app, &mut browser, &fields()).await;
        let id = path.rsplit('/').next().unwrap().to_owned();
        let over = async |app: &TestApp| {
            let found = app.app.over_records(app.practice, app.app.at().unwrap()).await.unwrap();
            found.iter().map(|it| it.id.to_string()).collect::<Vec<_>>()
        };
        // As many as the list has: somebody has looked at it.
        let remove = async |app: &TestApp| {
            // Something happens, so that the trail says what day it is.
            app.launched("amoreno").await;
            let (at, count) = (app.app.at().unwrap(), over(app).await.len());
            let wrong = app.app.remove_over(app.practice, count + 1, "Ruth Amari".to_owned(), at).await.unwrap();
            assert_eq!(wrong, Answer::Refused(RemovalRefusal::Count(count)));
            let removed = app.app.remove_over(app.practice, count, "Ruth Amari".to_owned(), at).await.unwrap().done().unwrap();
            (removed.records, removed.logs)
        };
        let console = async |app: &TestApp| app.signed_in_as(&ben).await;
        let at = format!("/practice/{}", app.practice);
        let mut desk = console(&app).await;
        desk.get(&format!("{at}/records")).await.says(200, "May 25, 2032");
        app.clock.advance(8 * 86_400);
        app.app.watch().await.unwrap();
        // The last day, in the time zone of the practice, counts.
        app.clock.advance(2_184 * 86_400);
        assert!(over(&app).await.is_empty());
        let quiet = app.app.remove_over(app.practice, 0, "Ruth Amari".to_owned(), app.app.at().unwrap()).await.unwrap();
        assert!(matches!(quiet, Answer::Refused(RemovalRefusal::Clock(_))), "nothing was on record for six years: is the clock right?");
        assert_eq!(remove(&app).await, (0, 0));
        app.clock.advance(86_400);
        assert_eq!(over(&app).await, std::slice::from_ref(&id));
        // Held, it stays; without a reason nothing is held.
        let mut desk = console(&app).await;
        let page = desk.post(&format!("{at}/holds"), &[("reason", " ")]).await;
        assert!(page.field_error("reason").is_some() && page.field_error("person").is_some());
        page.says(422, "2 fields need attention");
        let ada = app.person.id.to_string();
        let before = app.event_count().await;
        app.confirm(&mut desk, &ben, &format!("{at}/holds"), &[("person", &ada), ("reason", "State v. X")]).await
            .leads_to(&format!("{at}/holds?done=held"));
        assert_eq!(app.event_count().await, before + 2, "the passcode, and the hold");
        let told = app.messages().await.into_iter().find(|it| it.kind == "hold_changed").expect("carol is told");
        assert!(!told.body.unwrap().text.contains("State v. X"), "the reason may name a patient");
        let details = app.database.texts("SELECT COALESCE(detail, '') FROM audit_event").await;
        assert!(details.iter().all(|it| !it.contains("State v. X")), "and stands in no record of the trail");
        assert!(over(&app).await.is_empty());
        assert_eq!(remove(&app).await, (0, 0));
        desk.get(&format!("{at}/records")).await.says(200, "Held");
        let page = desk.get(&format!("{at}/holds")).await;
        page.says(200, "State v. X");
        let lift = page.addresses(&format!("{at}/holds/")).remove(0);
        let hold = lift.strip_suffix("/lift").unwrap().rsplit('/').next().unwrap().to_owned();
        let why = format!("why-{hold}");
        // A session alone lifts nothing: the reason, then a fresh passcode.
        let page = desk.post(&lift, &[]).await;
        assert!(page.field_error(&why).is_some());
        desk.post(&lift, &[(&why, "Case closed")]).await.says(200, "Passcode from that token");
        let lifting = |code: &str| vec![(why.clone(), "Case closed".to_owned()), ("stepup_token".to_owned(), "any".to_owned()), ("stepup_passcode".to_owned(), code.to_owned())];
        let send = async |desk: &mut Browser, path: &str, form: Vec<(String, String)>| {
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            desk.post(path, &form).await
        };
        send(&mut desk, &lift, lifting(WRONG_CODE)).await.says(422, "Incorrect passcode");
        app.clock.advance(60);
        assert_eq!(remove(&app).await, (0, 0), "still held");
        let code = ben.phone.code(app.now());
        send(&mut desk, &lift, lifting(&code)).await.leads_to(&format!("{at}/holds?done=lifted"));
        assert_eq!(send(&mut desk, &lift, lifting(&code)).await.status, 404, "once");
        desk.get(&format!("{at}/holds")).await.says(200, "Case closed");
        let events = app.events().await;
        for (event, times) in [("hold_placed success", 1), ("hold_lifted success", 1), ("hold_lifted refused passcode_wrong", 1)] {
            assert_eq!(events.iter().filter(|it| it.starts_with(event)).count(), times, "{event}");
        }
        assert_eq!(over(&app).await, std::slice::from_ref(&id));
        // Those without the role see no holds and place none; another practice's are not there.
        let mut other = app.signed_in().await;
        assert_eq!(other.get(&format!("{at}/holds")).await.status, 404);
        assert_eq!(other.post(&format!("{at}/holds"), &[("reason", "x")]).await.status, 404);
        assert_eq!(other.post(&lift, &[(&why, "x")]).await.status, 404);
        // The record goes now; the log goes once its whole month is over.
        assert_eq!(remove(&app).await, (1, 0));
        assert_eq!(remove(&app).await, (0, 0));
        assert!(over(&app).await.is_empty());
        let left = app.database.texts("SELECT state FROM prescription").await;
        assert!(left.is_empty(), "{left:?}");
        desk.get(&format!("{at}/records")).await.says(200, "No prescriptions found");
        app.clock.advance(7 * 86_400);
        assert_eq!(remove(&app).await, (0, 1));
        assert!(app.messages().await.iter().any(|it| it.kind == "records_removed"));
        let events = app.events().await;
        assert_eq!(events.iter().filter(|it| it.starts_with("record_removed success")).count(), 2);
    }

    /// The longer law wins, whatever is entered later; a state that nobody knows is the one with the longest time;
    /// an archive goes in parts; nobody lifts a hold on their own records; what is disowned stays, and so does what
    /// another practice has.
    /// Shows: R-1311.305-b, A19
    async fn the_longer_law_wins_and_nothing_else_goes(mut app: TestApp) {
        let states = ["NE 7".parse().unwrap(), "TX 8".parse().unwrap()];
        app.restart_with(|options| options.retention = Retention::new(6, &states).unwrap()).await;
        let ben = app.another_person().await;
        app.give_roles(&ben, &[Role::Administrator, Role::Prescriber]).await;
        app.give_roles(&app.person, &[Role::Designated]).await;
        let (ada, at) = (app.person.id, app.app.at().unwrap());
        let elsewhere = app.app.create_practice("Elsewhere".to_owned(), at).await.unwrap();
        let years = |years: i64| app.now().plus_seconds(-years * 31_557_600 - 86_400 * 2);
        let own = countersign_testkit::dea(0).as_text();
        for (practice, person, age, dea, state) in [
            (app.practice, ada, 6, "BX0000000", "IL"),
            (app.practice, ada, 6, "BX0000000", "NE"),
            (app.practice, ada, 7, "BX0000000", "NE"),
            (app.practice, ada, 7, "BX0000000", ""),
            (app.practice, ada, 8, "BX0000000", ""),
            (app.practice, ada, 6, own.as_str(), ""),
            (app.practice, ada, 7, own.as_str(), ""),
            (app.practice, ben.id, 20, "BX0000000", "IL"),
            (elsewhere, ada, 20, "BX0000000", "IL"),
        ] {
            archive(&app, practice, person, years(age), dea, state).await;
        }
        let over = async |app: &TestApp| app.app.over_records(app.practice, app.app.at().unwrap()).await.unwrap().len();
        assert_eq!(over(&app).await, 5, "IL of 6, NE of 7, unknown of 8, our own of 7 (Nebraska), and Ben's");
        // A number that is entered with another state makes nothing older shorter.
        for _ in 0..250 {
            archive(&app, app.practice, ada, years(9), "BX0000000", "IL").await;
        }
        assert_eq!(over(&app).await, 255);
        let page = async |desk: &mut Browser, path: String, form: &[(&str, &str)]| desk.post(&path, form).await;
        let holds = format!("/practice/{}/holds", app.practice);
        let mut desk = app.signed_in_as(&ben).await;
        let me = ben.id.to_string();
        app.confirm(&mut desk, &ben, &holds, &[("person", &me), ("reason", "Case")]).await.leads_to(&format!("{holds}?done=held"));
        assert_eq!(over(&app).await, 254);
        let lift = desk.get(&holds).await.addresses(&format!("{holds}/")).remove(0);
        let id = lift.strip_suffix("/lift").unwrap().rsplit('/').next().unwrap().to_owned();
        app.clock.advance(60);
        let (why, code) = (format!("why-{id}"), ben.phone.code(app.now()));
        let form = [(why.as_str(), "Done"), ("stepup_token", "any"), ("stepup_passcode", &code)];
        page(&mut desk, format!("{holds}/{id}/lift"), &form).await.says(422, "your own records");
        // Everybody's are held: nothing goes. Lifted by somebody else, all but what is disowned goes.
        app.confirm(&mut desk, &ben, &holds, &[("person", "all"), ("reason", "Case")]).await.leads_to(&format!("{holds}?done=held"));
        assert_eq!(over(&app).await, 0);
        let disowned = {
            let desk = app.app.membership(ben.id, app.practice).await.unwrap();
            app.app.search_records(&desk, Search::default(), app.app.at().unwrap()).await.unwrap()
        };
        let disowned = disowned.iter().find(|it| it.it.record.prescriber == ada && it.text("/practitioner/dea_state") == "IL").unwrap();
        let mut theirs = app.browser_at(Stage::Full { prescriber: ada, passcode_at: app.now() }).await;
        let not_mine = format!("/portal/prescriptions/{}/not-mine", disowned.it.record.prescription);
        theirs.post(&not_mine, &[]).await.leads_to("/portal/prescriptions?month=&done=disowned");
        app.store.write("lift", {
            let (practice, now) = (app.practice, app.now());
            move |tx| {
                for hold in tx.holds(practice)? {
                    tx.lift_hold(practice, hold.id, ada, "Done", now)?;
                }
                Ok(())
            }
        }).await.unwrap();
        assert_eq!(over(&app).await, 254);
        let removed = app.app.remove_over(app.practice, 254, "Ruth Amari".to_owned(), app.app.at().unwrap()).await.unwrap();
        assert_eq!(removed, Answer::Done(Removed { records: 254, logs: 0 }));
        let left = app.database.texts("SELECT key_id FROM signed_record").await;
        assert_eq!(left.len(), 5, "three that are young, what is disowned, and the other practice's");
    }

    /// The practice searches by prescriber, patient, drug and day; those without the role see nothing.
    /// Shows: R-1311.305-c, R-1311.305-d
    async fn a_practice_finds_its_records(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let ben = app.another_person().await;
        let carol = app.another_person().await;
        app.give_roles(&ben, &[Role::Administrator]).await;
        app.give_roles(&carol, &[Role::Proofing]).await;
        let mut browser = app.launched("amoreno").await;
        signed(&app, &mut browser, &fields()).await;
        let mut console = app.signed_in_as(&ben).await;
        let at = format!("/practice/{}/records", app.practice);
        console.get(&at).await.says(200, "Oxycodone hydrochloride 5 mg");
        for (query, found) in [
            ("patient=rosa", true), ("patient=mrn-1001", true), ("patient=nobody", false), ("drug=oxy", true), ("drug=codeine", false),
            ("from=2026-05-25&to=2026-05-25", true), ("from=2026-05-26", false), ("to=2026-05-24", false),
        ] {
            let page = console.get(&format!("{at}?{query}")).await;
            assert_eq!(page.body.contains("Oxycodone"), found, "{query}");
        }
        let ada = format!("{at}?person={}", app.person.id);
        console.get(&ada).await.says(200, "Oxycodone");
        let nobody = console.get(&format!("{at}?person={}", ben.id)).await;
        assert!(!nobody.body.contains("Oxycodone"));
        let page = console.get(&format!("{at}?from=2026-05-25&to=2026-05-24")).await;
        assert!(page.field_error("to").is_some() && !page.body.contains("No prescriptions found"));
        let page = console.get(&format!("{at}?from=soon")).await;
        assert!(page.field_error("from").is_some() && page.body.contains("value=\"soon\""));
        let table = console.post(&format!("{at}/export"), &[("drug", "oxy"), ("format", "csv")]).await;
        assert_eq!(table.body.lines().count(), 2);
        assert!(app.events().await.iter().any(|it| it.starts_with("records_exported success")));
        let mut other = app.signed_in_as(&carol).await;
        assert_eq!(other.get(&at).await.status, 404);
        assert_eq!(other.post(&format!("{at}/export"), &[]).await.status, 404);
    }
}

/// A statement that may name a table of the archive in another way than to read it or to add to it.
struct Allowed {
    /// In which file.
    place: &'static str,
    /// What it does.
    begins: &'static str,
    /// What it must say besides.
    says: &'static [&'static str],
}

/// Each stands in its place once. That somebody has looked at a log, or was told of it, is no part of what was given
/// out.
const ALLOWED: [Allowed; 6] = [
    Allowed {
        place: "store/src/archive/monthly_logs.rs",
        begins: "UPDATE MONTHLY_LOG SET SEEN = $4 WHERE",
        says: &["AND SEEN IS NULL"],
    },
    Allowed {
        place: "store/src/archive/monthly_logs.rs",
        begins: "UPDATE MONTHLY_LOG SET TOLD = $4 WHERE",
        says: &["AND TOLD IS NULL"],
    },
    Allowed {
        place: "postgres/0009_holds.sql",
        begins: "UPDATE MONTHLY_LOG SET TOLD = MADE WHERE",
        says: &["TOLD IS NULL"],
    },
    Allowed {
        place: "sqlite/0009_holds.sql",
        begins: "UPDATE MONTHLY_LOG SET TOLD = MADE WHERE",
        says: &["TOLD IS NULL"],
    },
    Allowed {
        place: "store/src/archive/monthly_logs.rs",
        begins: "DELETE FROM MONTHLY_LOG WHERE",
        says: &["AND MONTH < $4", "AND NOT EXISTS SELECT H.ID FROM LEGAL_HOLD H WHERE"],
    },
    Allowed {
        place: "store/src/archive.rs",
        begins: "DELETE FROM SIGNED_RECORD WHERE",
        says: &[
            "AND SIGNED < $2",
            "AND NOT EXISTS SELECT D.AT FROM DISOWNED D WHERE",
            "AND NOT EXISTS SELECT H.ID FROM LEGAL_HOLD H WHERE",
        ],
    },
];

/// No statement of the program, nor of a migration, changes a signed record, a log that was given out, or what was said
/// of a record; and each statement that removes one stands in the one place that looks at time and holds.
/// Shows: R-1311.120-b19, R-1311.120-b28, R-1311.305-a, R-1311.305-b
#[test]
fn nothing_that_is_archived_is_changed_or_removed_before_its_time() {
    let mut expected: Vec<&Allowed> = ALLOWED.iter().collect();
    for table in ["signed_record", "monthly_log", "disowned"] {
        let scan = scan_sources(table);
        assert!(scan.read >= 100 && scan.named.len() >= 3, "files have moved: {:?}", scan.named);
        let insert = format!("INSERT INTO {table} ");
        let texts = scan.named.iter().map(|path| std::fs::read_to_string(path).unwrap());
        let inserts: usize = texts.map(|text| text.matches(&insert).count()).sum();
        assert_eq!(inserts, 1, "{table}: each is written in one place");
        for (path, it) in scan.found.iter().filter(|(_, it)| it.is_sql()) {
            let statement = format!("{} {}", it.before, it.rest);
            let known = expected.iter().position(|known| {
                path.ends_with(known.place)
                    && statement.contains(known.begins)
                    && known.says.iter().all(|part| statement.contains(part))
            });
            let Some(known) = known else { panic!("{}: {statement}", path.display()) };
            expected.remove(known);
        }
    }
    let gone: Vec<&str> = expected.iter().map(|it| it.begins).collect();
    assert!(gone.is_empty(), "no longer there: {gone:?}");
}
