//! Launches from a chart, and the portal without one.

use countersign_app::{AdminRefusal, Answer};
use countersign_testkit::{PASSPHRASE, both, npi};

both! {
    /// A launch works once, soon, unchanged, and here.
    async fn a_launch_is_single_use_timely_and_untampered(app: TestApp) {
        let good = app.launch("amoreno", |_| {});
        let open = |token: String| {
            let mut browser = app.browser();
            async move { browser.get(&format!("/launch?token={token}")).await }
        };
        let page = open(good.clone()).await;
        page.says(200, "Opening e-Prescribing");
        assert!(page.session().is_some());
        let cookie = page.header("set-cookie");
        for part in ["__Host-", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let tampered = {
            let fresh = app.launch("jlee", |_| {});
            let parts: Vec<&str> = fresh.split('.').collect();
            let other = app.launch("amoreno", |_| {});
            let payload = other.split('.').nth(1).unwrap();
            format!("{}.{payload}.{}", parts[0], parts[2])
        };
        let refused = [
            ("used", good),
            ("tampered", tampered),
            ("another audience", app.launch("amoreno", |c| c.aud = "https://other.test".into())),
            ("old", app.launch("amoreno", |c| { c.iat -= 61; c.exp -= 1; })),
            ("expired", app.launch("amoreno", |c| { c.iat -= 60; c.exp -= 60; })),
            ("long", app.launch("amoreno", |c| c.exp += 3_600)),
            ("early", app.launch("amoreno", |c| { c.iat += 60; c.exp += 60; })),
            ("unknown user", app.launch("mallory", |_| {})),
            ("unknown EHR", app.launch("amoreno", |c| {
                c.iss = "0196f000-0000-7000-8000-000000000000".parse().unwrap();
            })),
            ("nothing", String::new()),
            ("rubbish", "a.b.c".to_owned()),
        ];
        for (why, token) in refused {
            let before = app.event_count().await;
            let page = open(token).await;
            assert_eq!(page.status, 403, "{why}");
            assert!(page.session().is_none_or(str::is_empty), "{why}");
            assert_eq!(app.event_count().await - before, 1, "{why}");
        }
    }

    /// A refused launch says what to do: back to the chart where that helps, and else whom to tell.
    async fn a_refused_launch_says_what_to_do(app: TestApp) {
        let mut browser = app.browser();
        let page = browser.get("/launch?token=a.b.c").await;
        page.says(403, "The EHR's link can't be used here");
        page.says(403, "the EHR's link must be fixed first");
        let unknown = app.launch("mallory", |_| {});
        browser.get(&format!("/launch?token={unknown}")).await.says(403, "Your EHR user is not linked to an account");
        let used = app.launch("amoreno", |_| {});
        assert_eq!(app.browser().get(&format!("/launch?token={used}")).await.status, 200);
        let page = browser.get(&format!("/launch?token={used}")).await;
        page.says(403, "This link was already used or has expired");
        page.says(403, "Go back to the patient's chart");
        let page = browser.get("/e-prescribing").await;
        page.says(403, "Open e-Prescribing from a patient's chart");
    }

    /// Who the EHR launched as a prescriber can sign in as nobody else.
    async fn a_launched_npi_is_not_replaced_by_the_form(mut app: TestApp) {
        let other = app.another_person().await;
        let mut browser = app.launched("amoreno").await;
        browser.pass(&other.npi.as_text(), PASSPHRASE).await.leads_to("/portal/login/passcode");
        let page = browser.get("/portal/login/passcode").await;
        page.says(200, "Dr. Ada Moreno");
        assert!(!page.words().contains("Okafor"));
        browser.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
    }

    /// A launched nurse sees the patient, and no way into token management in the menu.
    async fn a_nurse_sees_the_app_and_no_token_management(app: TestApp) {
        let mut browser = app.launched("jlee").await;
        let page = browser.get("/e-prescribing").await;
        page.says(200, "Jamie Lee");
        page.says(200, "For prescribers only");
        browser.get("/portal/tokens").await.leads_to("/portal/login");
    }

    /// A command of the operator that is refused is on record with its reason, and changes nothing.
    async fn what_the_operator_is_refused_is_on_record(app: TestApp) {
        let (at, practice, npi_here) = (app.app.at().unwrap(), app.practice, app.person.npi);
        let made = app.app.create_staff(practice, "Jamie Lee".to_owned(), "jlee".to_owned(), at).await;
        assert_eq!(made.unwrap(), Answer::Refused(AdminRefusal::EhrUserTaken));
        let link = |user: &str, npi| app.app.link_ehr_user(app.ehr, user.to_owned(), Some(npi), None, at);
        let refused = link("amoreno", npi_here).await.unwrap();
        assert_eq!(refused, Answer::Refused(AdminRefusal::EhrUserConnected));
        let refused = link("nobody", npi(999)).await.unwrap();
        assert_eq!(refused, Answer::Refused(AdminRefusal::PersonUnknown));
        let unknown = "0196f000-0000-7000-8000-000000000000".parse().unwrap();
        let (iss, client) = ("https://ehr.example/fhir".to_owned(), "countersign".to_owned());
        let refused = app.app.register_smart(unknown, iss.clone(), client, String::new(), at).await.unwrap();
        assert_eq!(refused, Answer::Refused(AdminRefusal::EhrUnknown));
        assert!(app.app.smart_ehr(&iss).await.unwrap().is_none());
        let sql = "SELECT kind, actor, reason FROM audit_event WHERE outcome = 'refused' ORDER BY kind, reason";
        assert_eq!(
            app.database.texts(sql).await,
            [
                "ehr_registered operator ehr_unknown",
                "ehr_registered operator ehr_user_connected",
                "ehr_registered operator person_unknown",
                "staff_created operator ehr_user_taken",
            ]
        );
    }

    /// A closed account is answered like one that never was; the record says why.
    /// Shows: R-1311.125-d4
    async fn a_closed_account_is_like_none(mut app: TestApp) {
        let other = app.another_person().await;
        let mut full = app.signed_in().await;
        let mut launched = app.launched("amoreno").await;
        let (old, _) = app.another_token(&app.person, "Old").await;
        let path = format!("/portal/tokens/{old}/disable");
        full.post(&path, &[("reason", "lost")]).await.leads_to("/portal/tokens?done=lost");
        let mut strangers = app.signed_in_as(&other).await;
        let api = app.api().await;
        let at = app.app.at().unwrap();
        let close = |npi| app.app.close_account(npi, at);
        let before = app.event_count().await;
        assert_eq!(close(npi(999)).await.unwrap(), Answer::Refused(AdminRefusal::NpiUnknown));
        assert_eq!(close(app.person.npi).await.unwrap(), Answer::Done(()));
        assert_eq!(app.event_count().await - before, 3, "a refusal, the account, and its token");
        assert_eq!(close(app.person.npi).await.unwrap(), Answer::Refused(AdminRefusal::ClosedBefore));

        full.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
        launched.get("/e-prescribing").await.says(403, "Open e-Prescribing from");
        assert_eq!(strangers.get("/portal/tokens").await.status, 200);
        let launch = format!("/launch?token={}", app.launch("amoreno", |_| {}));
        app.browser().get(&launch).await.says(403, "Go back to the patient's chart");
        let credential = app.person.phone.credential.as_str();
        assert!(!api.check(credential, &app.code()).await.verified());
        let theirs = other.phone.code(app.now());
        assert!(api.check(other.phone.credential.as_str(), &theirs).await.verified());
        // What had ended before keeps its reason.
        let sql = "SELECT state_reason FROM token WHERE prescriber IS NOT NULL \
                   AND state <> 'active' ORDER BY state_reason";
        assert_eq!(app.database.texts(sql).await, ["account_closed", "lost"]);

        let closed = app.browser().pass(&app.person.npi.as_text(), PASSPHRASE).await;
        let unknown = app.browser().pass(&npi(998).as_text(), PASSPHRASE).await;
        closed.says(422, "Incorrect NPI or passphrase");
        let same = |page: &countersign_testkit::Page, typed: &str| {
            page.without_support_code().replace(typed, "NPI")
        };
        let (mine, nobodys) = (app.person.npi.as_text(), npi(998).as_text());
        assert_eq!(same(&closed, &mine), same(&unknown, &nobodys));
        let code = closed.support_code().unwrap();
        let sql = format!("SELECT outcome, actor, reason FROM audit_event WHERE support = '{code}'");
        assert_eq!(app.database.texts(&sql).await, ["refused unknown account_closed"]);
        // The tries are counted as for anybody.
        for _ in 0..2 {
            app.browser().pass(&mine, PASSPHRASE).await;
        }
        let page = app.browser().pass(&mine, PASSPHRASE).await;
        page.says(422, "This account is locked until");
    }

    /// The portal without an EHR; a wrong check digit is said beside the field, what was typed kept.
    async fn the_portal_is_reached_directly(app: TestApp) {
        let mut browser = app.browser();
        browser.get("/").await.leads_to("/portal");
        browser.get("/portal").await.leads_to("/portal/login");
        let page = browser.pass("1234567890", "something or other").await;
        assert!(page.field_error("npi").unwrap().contains("digit"));
        assert!(page.body.contains("value=\"1234567890\""));
        assert!(!page.body.contains("something or other"), "a passphrase is never echoed");
        let npi = app.person.npi.as_text();
        browser.pass(&npi, "").await.says(422, "Enter your EPCS passphrase");
        let page = browser.sign_in(&npi, PASSPHRASE, "any", &app.code()).await;
        page.leads_to("/portal/dashboard");
        browser.get("/portal/login").await.leads_to("/portal/dashboard");
        browser.get("/portal/login/passcode").await.leads_to("/portal/dashboard");
    }
}
