//! Refills and schedules by state.

use std::sync::Arc;

use countersign_domain::controlled::Table;
use countersign_testkit::both;
use http::Method;
use serde_json::json;

use super::{SIGN, mark, rules, sign};
use crate::{
    integration::{REQUESTS, System, wanted},
    prescribing::{fields, send, with},
};

both! {
    /// Schedule V has the refills that are authorized, unless the state of the DEA number says less; III and IV end after
    /// six months; and a state may have a drug in a stricter schedule.
    /// Shows: R-1306.12-a, R-1306.22
    async fn refills_and_schedules_are_those_of_the_state(mut app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let five = with(fields(), &[("drug", "Something new"), ("schedule", "5"), ("refills", "11")]);
        let mut browser = app.launched("amoreno").await;
        let page = send(&mut browser, "/e-prescribing/new", &five).await;
        let path = page.location().to_owned();
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        let page = browser.get(SIGN).await;
        page.says(200, "Refills 11");
        assert!(!page.words().contains("Do not fill after"));
        // The state of the number limits it from now on: what was ready can't be signed.
        app.restart_with(|options| {
            options.states = rules(&["NE 5 180"], &[], &[]);
            options.drugs = Arc::new("3N | Testosterone\n2N | Testosterone | NE\n".parse::<Table>().unwrap());
        }).await;
        let mut browser = app.launched("amoreno").await;
        browser.get(SIGN).await.says(200, "Some information is missing");
        browser.get(&path).await.says(200, "In NE, C-V prescriptions have at most 5 refills.");
        let page = send(&mut browser, "/e-prescribing/new", &five).await;
        assert_eq!(page.field_error("refills").as_deref(), Some("In NE, C-V prescriptions have at most 5 refills."));
        let edit = format!("{path}/edit");
        send(&mut browser, &edit, &with(five.clone(), &[("refills", "5")])).await.leads_to(&format!("{path}?done=unmarked"));
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        browser.get(SIGN).await.says(200, "Do not fill after Nov 21, 2026");
        let record = sign(&app, &mut browser, &path).await;
        assert_eq!(record["prescription"]["last_fill"], "2026-11-21");
        // IV, everywhere: six months, counted from the day of issue.
        app.clock.advance(86_400);
        let mut browser = app.launched("amoreno").await;
        let four = with(fields(), &[("drug", "Another"), ("schedule", "4"), ("refills", "5")]);
        let path = send(&mut browser, "/e-prescribing/new", &four).await.location().to_owned();
        mark(&mut browser, &path).await.leads_to("/e-prescribing?done=ready");
        let record = sign(&app, &mut browser, &path).await;
        assert_eq!((&record["written"], &record["prescription"]["last_fill"]), (&json!("2026-05-26"), &json!("2026-11-26")));
        browser.get(&format!("{path}/paper")).await.says(200, "Do not fill after Nov 26, 2026");
        // A stricter schedule of the state: found for its number, and a looser one is refused.
        app.clock.advance(30);
        let drug = |schedule: &'static str, refills: &'static str| {
            with(fields(), &[("drug", "testosterone"), ("schedule", schedule), ("refills", refills)])
        };
        for looser in ["3N", "4"] {
            let page = send(&mut browser, "/e-prescribing/new", &drug(looser, "0")).await;
            let error = page.field_error("schedule").unwrap();
            assert!(error.contains("In NE, where the DEA number is registered, this drug is C-IIN."), "{error}");
        }
        let page = send(&mut browser, "/e-prescribing/new", &drug("", "1")).await;
        assert_eq!(page.field_error("refills").as_deref(), Some("C-II prescriptions can't have refills (21 CFR 1306.12)."));
        for chosen in ["", "2N"] {
            let path = send(&mut browser, "/e-prescribing/new", &drug(chosen, "0")).await.location().to_owned();
            browser.get(&path).await.says(200, "Schedule C-IIN");
            browser.post(&format!("{path}/cancel"), &[]).await;
        }
        // The same through the API.
        let mut ehr = System::of(&app, "signing").await;
        let token = ehr.token(&app, "the-first-of-them").await;
        for (schedule, refills, drug, field) in [
            ("5", 6, "Something new", Some("refills")), ("5", 5, "Something new", None),
            ("3N", 0, "Testosterone", Some("schedule")), ("", 0, "Testosterone", None), ("", 1, "Testosterone", Some("refills")),
        ] {
            let mut body = wanted(&app);
            let rx = &mut body["prescriptions"][0];
            (rx["schedule"], rx["refills"], rx["drug"]) = (json!(schedule), json!(refills), json!(drug));
            let (status, said) = ehr.send(&token, Method::POST, REQUESTS, Some(&format!("k-{schedule}-{refills}-{drug}")), &body).await;
            match field {
                Some(field) => assert_eq!((status, &said["errors"][0]["field"]), (422, &json!(field)), "{said}"),
                None => assert_eq!(status, 201, "{said}"),
            }
        }
    }
}
