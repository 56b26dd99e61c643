//! What a launch does to what is open in the browser: it ends it, before anything of the launch can fail.

use countersign_crypto::sha256;
use countersign_testkit::{PASSPHRASE, both};
use data_encoding::BASE64URL_NOPAD;

both! {
    /// Whatever becomes of a launch, nothing that was open before it stays open: by a link of another site, which
    /// brings no `SameSite=Strict` cookie, by a form of one, and by our own address.
    async fn a_launch_that_is_refused_leaves_nothing_open(app: TestApp) {
        let unknown = app.launch("mallory", |_| {});
        for (way, path) in [
            ("unknown user", format!("/launch?token={unknown}")),
            ("rubbish", "/launch?token=a.b.c".to_owned()),
            ("nothing", "/launch".to_owned()),
            ("unknown EHR", "/smart/launch?iss=https://elsewhere.example/fhir&launch=x".to_owned()),
            ("no EHR", "/smart/launch".to_owned()),
            ("NUL", "/smart/launch?iss=%00".to_owned()),
            ("EHR error", "/smart/callback?error=access_denied&state=x".to_owned()),
            ("made up", "/smart/callback?code=x&state=y".to_owned()),
            ("begun", "/smart/launch?iss=http://127.0.0.1:8/fhir&launch=x".to_owned()),
        ] {
            for elsewhere in [true, false] {
                let mut browser = app.launched("amoreno").await;
                browser.get("/e-prescribing").await.says(200, "Rosa Lindqvist");
                let thief = browser.session().unwrap().to_owned();
                let before = app.event_count().await;
                let page = if elsewhere { browser.get_from_elsewhere(&path).await } else { browser.get(&path).await };
                let words = page.words();
                assert!(page.status == 403 || page.status == 303 && way == "begun", "{way}: {} {words}", page.status);
                for open in ["Rosa Lindqvist", "Moreno", "Token Management"] {
                    assert!(!words.contains(open), "{way}: {words}");
                }
                assert_eq!(browser.session(), None, "{way}");
                assert!(app.event_count().await > before, "{way}: the end of the session is on record");
                browser.get("/e-prescribing").await.says(403, "Open e-Prescribing from a patient's chart");
                browser.get("/portal/tokens").await.leads_to("/portal/login");
                // On the server too: the secret of the session opens nothing any more.
                let mut again = app.browser();
                again.set_session(&thief);
                assert_eq!(again.get("/e-prescribing").await.status, 403, "{way}");
            }
        }
        assert!(app.events().await.contains(&"session_ended success launch_began".to_owned()), "{:?}", app.events().await);
        // A form of another site brings no cookie at all, and still the browser forgets.
        for path in ["/launch", "/smart/launch", "/smart/callback"] {
            let mut browser = app.launched("amoreno").await;
            let page = browser.post_from_elsewhere(path).await;
            assert!((400..500).contains(&page.status) && !page.words().contains("Rosa Lindqvist"));
            assert_eq!(browser.session(), None, "{path}");
            browser.get("/e-prescribing").await.says(403, "Open e-Prescribing");
        }
    }

    /// A launch of somebody else's chart ends the chart and the log-in that were open, and what it opens is its own.
    async fn a_launch_of_another_chart_ends_the_one_before_on_the_server(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        browser.pass("", PASSPHRASE).await.leads_to("/portal/login/passcode");
        browser.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
        let old = browser.session().unwrap().to_owned();
        let launch = app.launch("jlee", |claims| "Zoe Example".clone_into(&mut claims.patient.name));
        browser.get_from_elsewhere(&format!("/launch?token={launch}")).await.says(200, "Opening e-Prescribing");
        browser.get("/e-prescribing").await.says(200, "Zoe Example");
        browser.get("/portal/tokens").await.leads_to("/portal/login");
        let mut thief = app.browser();
        thief.set_session(&old);
        thief.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
        // What finds a session opens none.
        let named = BASE64URL_NOPAD.encode(&sha256(browser.session().unwrap().as_bytes()));
        assert_eq!(browser.cookie("__Host-countersign-open"), Some(named.as_str()));
        let mut stranger = app.browser();
        stranger.set_cookie("__Host-countersign-open", &named);
        assert_eq!(stranger.get("/e-prescribing").await.status, 403);
        stranger.set_cookie("__Host-countersign", &named);
        assert_eq!(stranger.get("/e-prescribing").await.status, 403);
        browser.get("/e-prescribing").await.says(200, "Zoe Example");
    }

    /// Where the database can't end what is open, no launch begins, and the browser forgets all the same.
    async fn a_launch_that_can_not_end_what_is_open_does_not_begin(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        let launch = app.launch("amoreno", |_| {});
        app.database.execute("ALTER TABLE audit_event RENAME TO audit_event_gone").await;
        let page = browser.get_from_elsewhere(&format!("/launch?token={launch}")).await;
        assert_eq!((page.status, browser.session()), (500, None));
        app.database.execute("ALTER TABLE audit_event_gone RENAME TO audit_event").await;
        browser.get_from_elsewhere(&format!("/launch?token={launch}")).await.says(200, "Opening");
    }
}
