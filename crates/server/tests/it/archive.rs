//! The archive: what a practitioner and a practice find in it, what leaves it, and that nothing in it changes.

use countersign_domain::Role;
use countersign_server::record;
use countersign_testkit::{TestApp, both};

use crate::prescribing::{fields, signed, with};

both! {
    /// The practitioner's own log, by month, sorted, as a file that verifies elsewhere; a month that is over
    /// is kept as it was given out; and "this one is not mine".
    /// Shows: R-1304.06-a, R-1311.102-j, R-1311.120-b27i, R-1311.120-b27ii, R-1311.120-b27iii, R-1311.120-b27iv-v, R-1311.305-c, R-1311.305-h, R-1311.150-c2, A17
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
        page.says(200, "Signed prescriptions, 2026-05");
        page.says(200, "Oxycodone hydrochloride 5 mg, 30 tablets");
        let at = |page: &str, what: &str| page.find(what).unwrap();
        assert!(at(&page.body, "Oxycodone") < at(&page.body, "Alprazolam"));
        let page = portal.get("/portal/prescriptions?sort=drug").await;
        assert!(at(&page.body, "Oxycodone") > at(&page.body, "Alprazolam"));
        portal.get("/portal/prescriptions?month=2024-06").await.says(200, "None in this month");
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
        let told = app.messages().await.into_iter().filter(|it| it.kind == "monthly_log" && it.channel.code() == "email");
        assert_eq!(told.count(), 1);
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
        console.get(&format!("/practice/{practice}/due")).await.says(200, "its practitioner disowns");
        assert!(app.messages().await.iter().any(|it| it.kind == "prescription_disowned"));
        // Somebody else's is not there for anybody but its practitioner.
        assert_eq!(console.post(&report, &[]).await.status, 404);
        assert_eq!(console.post("/portal/prescriptions/export", &log).await.status, 404);
        let again = portal.post("/portal/prescriptions/export", &log).await;
        assert_eq!(again.body, first.body, "byte for byte, whatever happened since");
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

/// No statement of the program changes or removes a signed record, a log that was given out, or what was said
/// of a record.
/// Shows: R-1311.120-b19, R-1311.120-b28, R-1311.305-a, R-1311.305-b
#[test]
fn nothing_that_is_archived_is_changed_or_removed() {
    let mut seen = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../store/src")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        for table in ["signed_record", "monthly_log", "disowned"] {
            seen += text.matches(&format!("INSERT INTO {table} ")).count();
            for word in ["UPDATE", "DELETE FROM", "DROP TABLE"] {
                assert!(!text.contains(&format!("{word} {table}")), "{word} {table}");
            }
        }
    }
    assert_eq!(seen, 3, "each is written in one place");
}
