//! Launches with SMART on FHIR, against the stand-in EHR and against what tries to misuse them.

use countersign_testkit::{Browser, EHR_ORIGIN, Page, TestApp, both};

/// The part of an address below its origin.
fn path_of<'a>(url: &'a str, origin: &str) -> &'a str {
    url.strip_prefix(origin).unwrap_or_else(|| panic!("{url} is not at {origin}"))
}

const APP: &str = "https://erx.test";

/// Somebody at the EHR.
async fn at_ehr(app: &TestApp, user: &str) -> Browser {
    let mut browser = Browser::new(app.charts.clone());
    browser.get(&format!("/switch?user={user}")).await;
    browser
}

/// From the chart to the address that brings the code back.
async fn out(app: &TestApp, here: &mut Browser, ehr: &mut Browser, patient: &str) -> String {
    let page = ehr.get(&format!("/patients/{patient}/e-prescribing")).await;
    let page = here.get(path_of(page.location(), APP)).await;
    let cookie = page.header("set-cookie").to_owned();
    assert!(cookie.contains("SameSite=Lax") && cookie.contains("HttpOnly"), "{cookie}");
    let page = ehr.get(path_of(page.location(), EHR_ORIGIN)).await;
    let _ = app;
    path_of(page.location(), APP).to_owned()
}

pub(crate) async fn in_from(app: &TestApp, user: &str, patient: &str) -> (Browser, Page) {
    let (mut here, mut ehr) = (app.browser(), at_ehr(app, user).await);
    let back = out(app, &mut here, &mut ehr, patient).await;
    let page = here.get(&back).await;
    (here, page)
}

both! {
    /// From the chart, through the EHR's authorization server, to the patient in context.
    async fn a_launch_brings_user_and_patient(app: TestApp) {
        let (mut browser, page) = in_from(&app, "amoreno", "p-1001").await;
        page.says(200, "Opening e-Prescribing");
        let page = browser.get("/e-prescribing").await;
        page.says(200, "Marigold Testerly");
        page.says(200, "Dr. Ada Moreno");
        let page = browser.get("/e-prescribing/new").await;
        assert!(page.body.contains("4 Invented Lane, Lincoln NE 68501"), "the address that the EHR says");
        assert!(app.events().await.contains(&"ehr_launched success -".to_owned()), "{:?}", app.events().await);
        // Staff come in as staff, and whoever is not known does not come in.
        let (mut nurse, _) = in_from(&app, "jlee", "p-1002").await;
        nurse.get("/e-prescribing").await.says(200, "Token Management is for prescribers");
        let (_, page) = in_from(&app, "nobody", "p-1002").await;
        page.says(403, "Your EHR user is not linked to an account");
        assert!(app.events().await.contains(&"ehr_launched refused launch_unknown_user".to_owned()));
    }

    /// Two charts in two tabs of one browser: what was opened for one patient writes nothing for the other.
    async fn two_tabs_with_two_patients_are_not_mixed_up(app: TestApp) {
        let (mut browser, mut ehr) = (app.browser(), at_ehr(&app, "amoreno").await);
        let first = out(&app, &mut browser, &mut ehr, "p-1001").await;
        browser.get(&first).await.says(200, "Opening");
        let form = browser.get("/e-prescribing/new").await;
        assert_eq!(form.value("patient"), "p-1001");
        let second = out(&app, &mut browser, &mut ehr, "p-1002").await;
        browser.get(&second).await.says(200, "Opening");
        browser.post("/e-prescribing/new", &[("patient", "p-1001"), ("drug", "Zolpidem tartrate"), ("refills", "0")]).await
            .says(403, "A different patient");
        browser.get("/e-prescribing").await.says(200, "None yet");
        // Two launches at once in one browser: the cookie is the later one's, and the earlier one is refused.
        let first = out(&app, &mut browser, &mut ehr, "p-1001").await;
        let second = out(&app, &mut browser, &mut ehr, "p-1003").await;
        browser.get(&first).await.says(403, "was already used or has expired");
        browser.get(&second).await.says(200, "Opening");
        browser.get("/e-prescribing").await.says(200, "Odalys Mockingham");
    }

    /// A code that comes a second time, in another browser, too late, made up, or refused by the user.
    async fn what_comes_back_is_good_once_and_in_one_browser(app: TestApp) {
        let (mut here, mut ehr) = (app.browser(), at_ehr(&app, "amoreno").await);
        let back = out(&app, &mut here, &mut ehr, "p-1001").await;
        // Somebody else's code, brought into a browser that never set out.
        app.browser().get(&back).await.says(403, "was already used or has expired");
        here.get(&back).await.says(403, "was already used or has expired");
        let back = out(&app, &mut here, &mut ehr, "p-1001").await;
        here.get(&back).await.says(200, "Opening");
        here.get(&back).await.says(403, "was already used or has expired");
        // Nothing stays open after a launch that was refused.
        here.get("/e-prescribing").await.says(403, "Open e-Prescribing from a patient's chart");
        let back = out(&app, &mut here, &mut ehr, "p-1001").await;
        app.clock.advance(61);
        here.get(&back).await.says(403, "The EHR did not respond");
        let back = out(&app, &mut here, &mut ehr, "p-1001").await;
        let state = back.split("state=").nth(1).unwrap();
        here.get(&format!("/smart/callback?code=made-up&state={state}")).await.says(403, "The EHR did not respond");
        let back = out(&app, &mut here, &mut ehr, "p-1001").await;
        let state = back.split("state=").nth(1).unwrap();
        here.get(&format!("/smart/callback?error=access_denied&state={state}")).await.says(403, "already used");
        here.get("/smart/callback?code=x&state=y").await.says(403, "was already used or has expired");
        app.clock.advance(301);
        let events = app.events().await;
        for reason in ["launch_other_browser", "launch_stale", "launch_ehr_refused", "launch_declined"] {
            assert!(events.contains(&format!("ehr_launched refused {reason}")), "{reason}: {events:?}");
        }
    }

    /// An EHR that is not registered is not asked anything; a launch that was used is refused by the EHR.
    async fn only_registered_servers_are_asked(app: TestApp) {
        for iss in ["http://127.0.0.1:22/fhir", "file:///etc/passwd", "", "http://127.0.0.1:8/other"] {
            app.browser().get(&format!("/smart/launch?iss={iss}&launch=x")).await.says(403, "This EHR is not registered");
        }
        let mut ehr = at_ehr(&app, "amoreno").await;
        let page = ehr.get("/patients/p-1001/e-prescribing").await;
        let start = path_of(page.location(), APP).to_owned();
        let mut here = app.browser();
        let page = here.get(&start).await;
        ehr.get(path_of(page.location(), EHR_ORIGIN)).await;
        // The same launch again.
        let page = here.get(&start).await;
        let page = ehr.get(path_of(page.location(), EHR_ORIGIN)).await;
        assert!(page.location().contains("error=invalid_request"), "{}", page.location());
        here.get(path_of(page.location(), APP)).await.says(403, "already used");
        // Somebody else's launch.
        let page = ehr.get("/patients/p-1001/e-prescribing").await;
        let page = here.get(path_of(page.location(), APP)).await;
        let page = at_ehr(&app, "jlee").await.get(path_of(page.location(), EHR_ORIGIN)).await;
        assert!(page.location().contains("error=invalid_request"), "{}", page.location());
        // Standalone: the EHR lets its user choose.
        let mut here = app.browser();
        let page = here.get(&format!("/smart/launch?iss={EHR_ORIGIN}/fhir")).await;
        let page = ehr.get(path_of(page.location(), EHR_ORIGIN)).await;
        page.says(200, "Choose a patient");
        // The second patient.
        let page = ehr.get(&page.addresses("/auth/authorize")[1]).await;
        here.get(path_of(page.location(), APP)).await.says(200, "Opening");
        here.get("/e-prescribing").await.says(200, "Barnaby Samplewick");
    }
}
