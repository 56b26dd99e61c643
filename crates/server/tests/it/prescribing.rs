//! From a draft to a signed record that anybody can verify: who writes, who marks, who signs, and what
//! stands in the way.

mod blockers;
pub(crate) mod signing;
pub(crate) mod transmission;

use countersign_testkit::{Browser, PASSPHRASE, Page, TestApp};

/// The fields of a prescription that lacks nothing.
pub(crate) fn fields() -> Vec<(&'static str, String)> {
    let dea = countersign_testkit::dea(0).as_text();
    [
        ("drug", "Oxycodone hydrochloride"),
        ("strength", "5 mg"),
        ("form", "Tablet"),
        ("schedule", ""),
        ("quantity", "30"),
        ("unit", "tablets"),
        ("refills", "0"),
        ("directions", "One every six hours"),
        ("earliest_fill", ""),
        ("patient", "p-1001"),
        ("address", "4 Birch Lane, Lincoln NE 68502"),
        ("note", ""),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.to_owned()))
    .chain([("pharmacy", "9999991".to_owned()), ("dea", dea)])
    .collect()
}

pub(crate) async fn send(
    browser: &mut Browser,
    path: &str,
    fields: &[(&'static str, String)],
) -> Page {
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post(path, &fields).await
}

pub(crate) fn with(
    mut fields: Vec<(&'static str, String)>,
    changes: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    for (name, value) in changes {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some(field) => (*value).clone_into(&mut field.1),
            None => fields.push((name, (*value).to_owned())),
        }
    }
    fields
}

/// The hidden parts of the page of signing.
pub(crate) fn shown(page: &Page) -> (String, String) {
    (page.value("shown"), page.value("shown_at"))
}

pub(crate) fn signing(
    shown: &(String, String),
    passphrase: &str,
    code: &str,
) -> Vec<(&'static str, String)> {
    vec![
        ("shown", shown.0.clone()),
        ("shown_at", shown.1.clone()),
        ("passphrase", passphrase.to_owned()),
        ("stepup_token", "any".to_owned()),
        ("stepup_passcode", code.to_owned()),
    ]
}

/// Writes one and marks it ready; its address.
pub(crate) async fn ready(browser: &mut Browser) -> String {
    let page = send(browser, "/e-prescribing/new", &fields()).await;
    assert_eq!(page.status, 303, "{}", page.words());
    let path = page.location().to_owned();
    browser.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
    path
}

/// Writes one that lacks nothing; its address.
pub(crate) async fn written(browser: &mut Browser) -> String {
    let page = send(browser, "/e-prescribing/new", &fields()).await;
    assert_eq!(page.status, 303, "{}", page.words());
    page.location().to_owned()
}

/// Writes one, marks it ready and signs it; its address.
pub(crate) async fn signed(
    app: &TestApp,
    browser: &mut Browser,
    fields: &[(&'static str, String)],
) -> String {
    let page = send(browser, "/e-prescribing/new", fields).await;
    let path = page.location().to_owned();
    browser.post(&format!("{path}/ready"), &[]).await.leads_to("/e-prescribing?done=ready");
    let parts = shown(&browser.get("/e-prescribing/sign").await);
    send(browser, "/e-prescribing/sign", &signing(&parts, PASSPHRASE, &app.code()))
        .await
        .leads_to("/e-prescribing?done=signed");
    path
}
