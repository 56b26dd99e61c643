//! Each change leaves its audit record; looking leaves none.

use std::collections::{BTreeMap, BTreeSet};

use countersign_domain::command::{COMMANDS, Command, Guard, commands};
use countersign_testkit::{Answered, Api, Backend, PASSPHRASE, Record, TestApp, WRONG_CODE, both};
use data_encoding::HEXLOWER;
use http::Method;

use super::{ROUTES, Who::Passphrase, address, open};
use crate::{
    access, add, api, archive, certification, console, enrol, flow, integration, models,
    prescribing, requirements,
};

#[tokio::test]
async fn looking_changes_nothing_and_leaves_no_record() {
    let app = TestApp::on(Backend::Sqlite).await;
    let (disabled, _) = app.another_token(&app.person, "Old").await;
    let path = format!("/portal/tokens/{disabled}/disable");
    app.signed_in().await.post(&path, &[("reason", "temporarily_unavailable")]).await;
    let full = app.signed_in().await;
    let passphrase = app.at_passcode().await;
    for (path, list, who) in ROUTES {
        if !list.contains("GET") {
            continue;
        }
        for id in [app.person.token, disabled] {
            let path = address(path, id);
            let launch = ["/launch", "/smart/launch", "/smart/callback"].contains(&path.as_str());
            let mut browser = match who {
                // It ends the session in its browser, so that it gets one of its own.
                _ if launch => app.signed_in().await,
                Passphrase => passphrase.clone(),
                _ => full.clone(),
            };
            let before = app.event_count().await;
            let page = open(&mut browser, Method::GET, &path).await;
            assert!(page.status < 500, "{path}: {}", page.status);
            // A launch is used up by a GET, and that is on record, as is the session that it ended.
            // So is a provider's answer, also one that belongs to nothing.
            let expected = match path.as_str() {
                _ if launch => 2,
                "/proofing/finish" => 1,
                _ => 0,
            };
            assert_eq!(app.event_count().await - before, expected, "{path}");
        }
    }
    for file in ["portal.css", "portal.js", "favicon.svg", "logo.svg"] {
        let page = app.browser().get(&format!("/static/{file}")).await;
        assert_eq!(page.status, 200, "{file}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
    }
}

/// Whose name a record bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Who is signed in, or enrolls, did it.
    Session,
    /// There is no session yet: the record is about a person.
    About,
    /// A system with a key did it, or the server itself.
    System,
}

/// The routes that change something, with the commands that they lead to: a change leaves the record of one of them.
const COMMANDS_OF: [(&str, By, &[Command]); 75] = [
    ("/e-prescribing/new", By::Session, &[commands::SAVE_DRAFT]),
    ("/e-prescribing/sign", By::Session, &[commands::SIGN_PRESCRIPTIONS]),
    ("/e-prescribing/rx/{id}/edit", By::Session, &[commands::SAVE_DRAFT]),
    ("/e-prescribing/rx/{id}/ready", By::Session, &[commands::MARK_READY]),
    ("/e-prescribing/rx/{id}/cancel", By::Session, &[commands::CANCEL_PRESCRIPTION]),
    ("/e-prescribing/rx/{id}/send-again", By::Session, &[commands::SEND_PRESCRIPTION_AGAIN]),
    ("/e-prescribing/rx/{id}/print", By::Session, &[commands::PRINT_PRESCRIPTION]),
    ("/sign-out", By::Session, &[commands::SIGN_OUT]),
    ("/portal/login", By::About, &[commands::SIGN_IN]),
    ("/portal/login/passcode", By::Session, &[commands::PROVE_PASSCODE]),
    ("/portal/login/resync", By::Session, &[commands::RESYNC_TOKEN]),
    ("/portal/login/lost", By::Session, &[commands::REPORT_TOKEN_LOST]),
    ("/portal/login/enable", By::Session, &[commands::ENABLE_TOKEN]),
    ("/portal/recovery", By::Session, &[commands::BEGIN_RECOVERY]),
    ("/portal/recovery/code", By::Session, &[commands::SEND_CASE_CODE]),
    ("/portal/recovery/confirm", By::Session, &[commands::TAKE_CASE_CODE]),
    ("/portal/recovery/tokens", By::Session, &[commands::ADD_FIRST_TOKEN]),
    ("/portal/forgot", By::About, &[commands::BEGIN_RESET]),
    ("/portal/forgot/code", By::Session, &[commands::END_RESET]),
    ("/portal/addresses", By::Session, &[commands::CHANGE_ADDRESSES]),
    ("/portal/addresses/{way}/code", By::Session, &[commands::SEND_ADDRESS_CODE]),
    ("/portal/addresses/{way}/confirm", By::Session, &[commands::CONFIRM_ADDRESS]),
    ("/invitation/{link}", By::About, &[commands::FOLLOW_INVITATION, commands::JOIN_PRACTICE]),
    ("/invitation/{link}/again", By::About, &[commands::ASK_INVITATION_AGAIN]),
    ("/enrol/terms", By::Session, &[commands::ACCEPT_TERMS]),
    ("/enrol/data", By::Session, &[commands::SAVE_PERSONAL_DATA]),
    ("/enrol/code", By::Session, &[commands::SEND_CASE_CODE]),
    ("/enrol/confirm", By::Session, &[commands::TAKE_CASE_CODE]),
    ("/enrol/tokens", By::Session, &[commands::ADD_FIRST_TOKEN]),
    ("/enrol/passphrase", By::Session, &[commands::CHOOSE_PASSPHRASE]),
    ("/portal/certification", By::Session, &[commands::REVIEW_REPORT]),
    ("/portal/tokens", By::Session, &[commands::ADD_TOKEN, commands::REPLACE_TOKEN]),
    ("/portal/pairings", By::Session, &[commands::START_PAIRING]),
    ("/portal/tokens/other", By::Session, &[commands::EXPORT_SEED]),
    ("/portal/passphrase", By::Session, &[commands::CHANGE_PASSPHRASE]),
    ("/portal/prescriptions/export", By::Session, &[commands::EXPORT_OWN_RECORDS]),
    ("/portal/prescriptions/{id}/not-mine", By::Session, &[commands::DISOWN_RECORD]),
    ("/portal/tokens/{id}/name", By::Session, &[commands::RENAME_TOKEN]),
    (
        "/portal/tokens/{id}/disable",
        By::Session,
        &[commands::DISABLE_TOKEN, commands::REPORT_TOKEN_LOST],
    ),
    ("/portal/tokens/{id}/enable", By::Session, &[commands::ENABLE_TOKEN]),
    ("/portal/tokens/{id}/test", By::Session, &[commands::TEST_TOKEN]),
    ("/portal/tokens/{id}/resync", By::Session, &[commands::RESYNC_TOKEN]),
    ("/portal/tokens/{id}/activate", By::Session, &[commands::ACTIVATE_TOKEN]),
    ("/portal/tokens/{id}/activation-code", By::Session, &[commands::SEND_ACTIVATION_CODE]),
    ("/not-me/{link}", By::About, &[commands::REPUDIATE]),
    ("/practice/{practice}/due/{id}", By::Session, &[commands::CLOSE_DEADLINE]),
    ("/practice/{practice}/invite", By::Session, &[commands::INVITE]),
    ("/practice/{practice}/invitations/{id}/resend", By::Session, &[commands::RESEND_INVITATION]),
    ("/practice/{practice}/invitations/{id}/revoke", By::Session, &[commands::REVOKE_INVITATION]),
    (
        "/practice/{practice}/cases/{id}",
        By::Session,
        &[commands::PROOF_IN_PERSON, commands::AUTHORIZE_ISSUE, commands::DECIDE_NEAR],
    ),
    ("/practice/{practice}/rules/zone", By::Session, &[commands::SET_TIME_ZONE]),
    ("/practice/{practice}/rules/model", By::Session, &[commands::REFUSE_MODEL]),
    ("/practice/{practice}/rules/provider", By::Session, &[commands::ENTER_REQUEST]),
    ("/practice/{practice}/records/export", By::Session, &[commands::EXPORT_RECORDS]),
    ("/practice/{practice}/holds", By::Session, &[commands::PLACE_HOLD]),
    ("/practice/{practice}/holds/{id}/lift", By::Session, &[commands::LIFT_HOLD]),
    ("/practice/{practice}/fleet/send", By::Session, &[commands::SEND_FOB]),
    (
        "/practice/{practice}/people/{id}/role",
        By::Session,
        &[commands::ENTER_REQUEST, commands::SET_PRESCRIBER],
    ),
    (
        "/practice/{practice}/people/{id}/disable",
        By::Session,
        &[commands::DISABLE_TOKEN_OF, commands::DISABLE_LOST_TOKEN],
    ),
    ("/practice/{practice}/people/{id}/prove-again", By::Session, &[commands::PROVE_AGAIN]),
    ("/practice/{practice}/people/{id}/grant", By::Session, &[commands::ENTER_REQUEST]),
    ("/practice/{practice}/people/{id}/revoke", By::Session, &[commands::TAKE_PERMISSION]),
    (
        "/practice/{practice}/people/{id}/dea",
        By::Session,
        &[commands::ENTER_PAPER, commands::NARROW_PAPER],
    ),
    (
        "/practice/{practice}/people/{id}/licence",
        By::Session,
        // What holds longer or for more is entered as a change.
        &[commands::ENTER_PAPER, commands::NARROW_PAPER, commands::ENTER_REQUEST],
    ),
    ("/practice/{practice}/people/{id}/end", By::Session, &[commands::NARROW_PAPER]),
    ("/practice/{practice}/people/{id}/code", By::Session, &[commands::SET_INTERNAL_CODE]),
    ("/practice/{practice}/requests/{id}", By::Session, &[commands::EXECUTE_REQUEST]),
    ("/practice/{practice}/requests/{id}/reject", By::Session, &[commands::REJECT_REQUEST]),
    ("/practice/{practice}/certification", By::Session, &[commands::ACKNOWLEDGE_REPORT]),
    ("/practice/{practice}/requests/{id}/withdraw", By::Session, &[commands::WITHDRAW_REQUEST]),
    ("/practice/{practice}/letters/{id}", By::Session, &[commands::PRINT_LETTER]),
    ("/api/v1/passcode-checks", By::About, &[commands::CHECK_PASSCODE]),
    ("/api/v1/signing-requests", By::About, &[commands::REQUEST_SIGNING]),
    ("/api/v1/signing-requests/{id}/signature", By::About, &[commands::SIGN_REQUEST]),
    ("/provision/v1/credentials", By::System, &[commands::PROVISION_TOKEN]),
];

/// Routes that leave no record when they have done their work.
const WITHOUT: [&str; 4] = [
    // A choice between two ways.
    "/portal/phone",
    // On the way to a provider; its answer is on record at `/proofing/finish`.
    "/portal/recovery/provider",
    "/enrol/provider",
    // An access token for a system; what is done with it is on record.
    "/api/v1/token",
];

/// Runs the body of a test, and answers with its practice and what its requests left.
async fn followed<F: Future<Output = ()>>(
    run: impl FnOnce(TestApp) -> F,
) -> (String, Vec<Answered>) {
    followed_on(TestApp::on(Backend::Sqlite).await, run).await
}

/// The same, on a server with options of its own.
async fn followed_on<F: Future<Output = ()>>(
    mut app: TestApp,
    run: impl FnOnce(TestApp) -> F,
) -> (String, Vec<Answered>) {
    let trail = app.follow();
    let practice = HEXLOWER.encode(app.practice.as_bytes());
    run(app).await;
    (practice, trail.answered())
}

/// Every form that changes something, in tests that walk through all of them: one record at least is of the kind that
/// belongs to the form, in its practice, under the name of who sent it.
/// Shows: R-1311.120-b24, R-1311.150-a1, H-164.312-b
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_leaves_its_record() {
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut good: BTreeSet<&str> = BTreeSet::new();
    let walks = [
        followed(flow::adding::the_article_from_launch_to_a_new_token_that_signs_in::run).await,
        followed(flow::disabling::a_lost_token_is_reported_with_the_passphrase_alone::run).await,
        followed(flow::disabling::only_temporarily_unavailable_is_reversible::run).await,
        followed(flow::disabling::the_last_token_and_back_by_its_own_code::run).await,
        followed(flow::managing::a_token_is_renamed::run).await,
        followed(flow::managing::a_test_of_a_token_does_not_count_against_it::run).await,
        followed(flow::passcodes::two_codes_resynchronise::run).await,
        followed(flow::passphrase::the_passphrase_is_changed_by_its_owner_alone::run).await,
        followed(flow::sessions::sign_out_ends_it_on_the_server::run).await,
        followed(enrol::invitations::an_invited_prescriber_enrols_by_an_outside_provider::run).await,
        followed(enrol::invitations::an_invitation_is_followed_once_and_goes_on_elsewhere::run).await,
        followed(enrol::proofing::an_institution_proofs_in_person_and_another_unit_issues::run).await,
        followed(enrol::recovery::a_lost_phone_comes_back_by_proofing::run).await,
        followed(enrol::recovery::a_forgotten_passphrase_takes_two_tokens_or_proofing::run).await,
        followed(enrol::recovery::changed_addresses_are_told_to_the_old_ones::run).await,
        followed(enrol::administration::a_practice_looks_after_itself::run).await,
        followed(access::activation::a_new_token_signs_after_its_activation::run).await,
        followed(access::losses::this_was_not_me::run).await,
        followed(api::a_pairing_code_works_once::run).await,
        followed(prescribing::signing::staff_write_and_the_practitioner_alone_signs::run).await,
        followed(prescribing::transmission::what_could_not_be_sent_is_told_and_printed_or_sent_again::run).await,
        followed(requirements::each_act_on_a_prescription_leaves_a_record_of_its_kind::run).await,
        followed(archive::a_practitioner_reads_their_log_and_disowns_what_is_not_theirs::run).await,
        followed(archive::records_are_kept_for_their_time_and_longer_where_they_are_held::run).await,
        followed(archive::a_practice_finds_its_records::run).await,
        followed(certification::a_listed_build_signs_with_its_report_acknowledged_and_read::run).await,
        followed(integration::a_system_has_a_prescription_signed::run).await,
        followed(api::a_right_code_is_verified_once_for_any_purpose::run).await,
        followed(console::changes::every_change_once).await,
        followed(console::registrations::a_registration_is_extended_by_two_and_narrowed_at_once::run).await,
        followed(each_form_leaves_as_many_records_as_it_should::run).await,
        followed_on(models::with_other_apps(Backend::Sqlite).await, models::another_app_takes_the_seed_once).await,
    ];
    for (practice, answered) in &walks {
        for request in answered.iter().filter(|it| it.method == "POST" && it.status < 400) {
            // A report of a prescription that is not theirs is on record as one that was refused.
            let counts = |it: &&Record| it.success || it.kind == "prescription_disowned";
            for record in request.records.iter().filter(counts) {
                let by = if record.actor.is_some() && record.actor == request.person {
                    "session"
                } else if record.person.is_some() {
                    "about"
                } else {
                    "system"
                };
                let place =
                    if record.practice.as_ref() == Some(practice) { "" } else { " elsewhere" };
                let line = format!("{} {by}{place}", record.kind);
                seen.entry(request.route.clone()).or_default().insert(line);
                let rule = COMMANDS_OF.iter().find(|(route, _, commands)| {
                    let kinds = || commands.iter().map(|command| command.event.code());
                    *route == request.route && kinds().any(|kind| kind == record.kind)
                });
                let Some((route, wanted, _)) = rule else { continue };
                let who = match wanted {
                    By::Session => by == "session",
                    By::About => record.person.is_some(),
                    By::System => true,
                };
                if who && place.is_empty() {
                    good.insert(route);
                }
            }
        }
    }
    let all = ROUTES
        .iter()
        .filter(|(path, methods, _)| methods.contains("POST") && !WITHOUT.contains(path));
    let missing: Vec<String> = all
        .filter(|(path, ..)| !good.contains(path))
        .map(|(path, ..)| format!("{path}: {:?}", seen.get(*path)))
        .collect();
    assert!(
        missing.is_empty(),
        "no record of the right kind, practice and person:\n{}",
        missing.join("\n")
    );
}

/// Commands that no form leads to, with what does.
const WITHOUT_A_FORM: [(Command, &str); 7] = [
    (commands::OPEN_LAUNCH, "GET /launch and /smart/callback: the EHR sends the browser"),
    (commands::END_BEFORE_LAUNCH, "the same, before"),
    (commands::END_PROOFING, "GET /proofing/finish: the provider sends the browser"),
    (commands::BEGIN_PROOFING, "POST /enrol/provider and /portal/recovery/provider"),
    (commands::NOTE_IDENTIFIERS_SHOWN, "a page that shows numbers in full"),
    (commands::CHECK_UNAUTHENTICATED, "the interface of VIP Access"),
    (commands::RESYNC_UNAUTHENTICATED, "the same"),
];

/// Whatever changes something is a command, and every command but those of the operator and of the server is led to by
/// a route. That a route runs the command which stands beside it, `every_change_leaves_its_record` shows by its record.
#[test]
fn every_route_that_changes_anything_leads_to_a_command() {
    for (path, methods, _) in ROUTES {
        let listed = COMMANDS_OF.iter().any(|(route, ..)| *route == path);
        if methods.contains("POST") && !WITHOUT.contains(&path) {
            assert!(listed, "{path} leads to no command");
        }
    }
    let led: BTreeSet<&str> = COMMANDS_OF
        .iter()
        .flat_map(|(_, _, commands)| commands.iter().map(|command| command.name))
        .chain(WITHOUT_A_FORM.iter().map(|(command, _)| command.name))
        .collect();
    for command in COMMANDS {
        let inside = matches!(command.may, Guard::Operator | Guard::System);
        assert_eq!(led.contains(command.name), !inside, "{}", command.name);
    }
}

/// Counts the records of one request.
struct Count<'a> {
    app: &'a TestApp,
    before: i64,
}

impl<'a> Count<'a> {
    async fn from(app: &'a TestApp) -> Self {
        Self { app, before: app.event_count().await }
    }

    #[track_caller]
    fn is(&self, now: i64, records: i64, what: &str) {
        assert_eq!(now - self.before, records, "{what}");
    }
}

/// Runs a request and compares status and number of records.
macro_rules! leaves {
    ($app:expr, $records:literal, $status:literal, $request:expr) => {{
        let count = Count::from(&$app).await;
        let page = $request.await;
        assert_eq!(page.status, $status, "{}: {:.2000}", stringify!($request), page.body);
        count.is(count.app.event_count().await, $records, stringify!($request));
        page
    }};
}

both! {
    /// How many records the forms of signing in and of token management leave, done or refused, none twice.
    /// Shows: R-1311.120-b24, R-1311.150-a1, H-164.312-b
    async fn each_form_leaves_as_many_records_as_it_should(app: TestApp) {
        let npi = app.person.npi.as_text();
        let id = app.person.token.to_string();
        let launch = format!("/launch?token={}", app.launch("amoreno", |_| {}));
        let mut browser = app.browser();
        leaves!(app, 1, 200, browser.get(&launch));
        leaves!(app, 1, 403, app.browser().get(&launch));

        leaves!(app, 1, 422, app.browser().pass(&npi, "not the right passphrase"));
        leaves!(app, 0, 422, app.browser().pass(&npi, ""));
        leaves!(app, 0, 422, app.browser().pass("12", PASSPHRASE));
        leaves!(app, 1, 303, browser.pass("", PASSPHRASE));
        leaves!(app, 1, 422, browser.passcode(&id, WRONG_CODE));
        leaves!(app, 0, 422, browser.passcode(&id, "12"));
        leaves!(app, 0, 422, browser.passcode("nothing", WRONG_CODE));
        leaves!(app, 1, 422, browser.passcode("any", WRONG_CODE));
        leaves!(app, 1, 303, browser.passcode(&id, &app.code()));

        let mut login = app.at_passcode().await;
        let one = app.person.phone.code_after(app.now(), 1);
        let two = app.person.phone.code_after(app.now(), 2);
        let pair = [("token", id.as_str()), ("passcode1", &one), ("passcode2", &two)];
        let wrong = [("token", id.as_str()), ("passcode1", "111111"), ("passcode2", "222222")];
        leaves!(app, 1, 422, login.post("/portal/login/resync", &wrong));
        leaves!(app, 0, 422, login.post("/portal/login/resync", &wrong[..2]));
        leaves!(app, 1, 303, login.post("/portal/login/resync", &pair));
        let lost = [("token", id.as_str()), ("reason", "lost")];
        leaves!(app, 1, 422, login.post("/portal/login/lost", &lost));
        let enable = [("token", id.as_str()), ("passcode", WRONG_CODE)];
        leaves!(app, 1, 422, login.post("/portal/login/enable", &enable));

        app.clock.advance(90);
        let mut browser = app.signed_in().await;
        let phone = leaves_provisioned(&app).await;
        leaves!(app, 0, 422, add(&mut browser, &phone, "1", &[]));
        leaves!(app, 1, 422, add(&mut browser, &phone, WRONG_CODE, &[]));
        leaves!(app, 1, 303, add(&mut browser, &phone, &phone.code(app.now()), &[]));
        let new = app.token_id(&phone.credential).await;
        let path = |what: &str| format!("/portal/tokens/{new}/{what}");
        leaves!(app, 1, 303, browser.post(&path("name"), &[("name", "Other")]));
        leaves!(app, 0, 422, browser.post(&path("name"), &[("name", "")]));
        leaves!(app, 1, 200, browser.post(&path("test"), &[("passcode", WRONG_CODE)]));
        leaves!(app, 0, 422, browser.post(&path("test"), &[("passcode", "x")]));
        let code = phone.code_after(app.now(), 1);
        leaves!(app, 1, 200, browser.post(&path("test"), &[("passcode", &code)]));
        let one = phone.code_after(app.now(), 5);
        let two = phone.code_after(app.now(), 6);
        leaves!(app, 1, 422, browser.post(&path("resync"), &wrong[1..]));
        let pair = [("passcode1", one.as_str()), ("passcode2", two.as_str())];
        leaves!(app, 1, 303, browser.post(&path("resync"), &pair));
        let off = [("reason", "temporarily_unavailable")];
        leaves!(app, 1, 303, browser.post(&path("disable"), &off));
        let code = phone.code_after(app.now(), 7);
        leaves!(app, 1, 422, browser.post(&path("enable"), &[("passcode", WRONG_CODE)]));
        leaves!(app, 1, 303, browser.post(&path("enable"), &[("passcode", &code)]));

        leaves!(app, 0, 422, browser.post("/portal/passphrase", &[("current", "x")]));
        let changed = [
            ("current", "not the present passphrase"),
            ("new", "copper meadow violin harbor"),
            ("again", "copper meadow violin harbor"),
            ("stepup_token", "any"),
            ("stepup_passcode", "000000"),
        ];
        leaves!(app, 1, 422, browser.post("/portal/passphrase", &changed));
        leaves!(app, 0, 303, browser.post("/portal/phone", &[("intent", "getting")]));
        leaves!(app, 0, 422, browser.post("/portal/phone", &[]));
        // Off by default: as if there were Page not found.
        leaves!(app, 0, 404, browser.post("/portal/tokens/other", &[("id", id.as_str())]));

        // With a passcode that confirms: one record for it, one for the change.
        app.clock.advance(301);
        let mut browser = app.signed_in().await;
        app.clock.advance(301);
        let third = app.provision().await;
        let otp = third.code(app.now());
        let none = [("stepup_token", "any"), ("stepup_passcode", "")];
        leaves!(app, 0, 422, add(&mut browser, &third, &otp, &none));
        let bad = [("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)];
        leaves!(app, 2, 422, add(&mut browser, &third, &otp, &bad));
        leaves!(app, 2, 422, browser.post(&path("disable"), &[off[0], bad[0], bad[1]]));
        // The resync above has taught the server that this token is two steps ahead.
        let code = app.person.phone.code_after(app.now(), 2);
        let good = [("stepup_token", id.as_str()), ("stepup_passcode", code.as_str())];
        leaves!(app, 2, 303, browser.post(&path("disable"), &[off[0], good[0], good[1]]));

        // What an integrating system does.
        let api = app.api().await;
        let credential = app.person.phone.credential.to_string();
        leaves!(app, 1, 200, api.check(&credential, WRONG_CODE));
        leaves!(app, 1, 200, api.check("CNST00000000", WRONG_CODE));
        leaves!(app, 0, 422, api.check(&credential, "x"));
        leaves!(app, 1, 401, Api::new(app.router(), None).check(&credential, WRONG_CODE));
        leaves!(app, 1, 200, api.check(&credential, &app.person.phone.code_after(app.now(), 3)));

        leaves!(app, 1, 303, browser.post("/sign-out", &[]));
        leaves!(app, 0, 303, browser.post("/sign-out", &[]));
    }

    /// The code on the page is the code of the record.
    async fn the_support_code_on_the_page_is_that_of_the_record(app: TestApp) {
        let page = app.at_passcode().await.passcode("any", WRONG_CODE).await;
        let code = page.support_code().unwrap().to_owned();
        let sql = format!("SELECT kind, reason FROM audit_event WHERE support = '{code}'");
        assert_eq!(app.database.texts(&sql).await, ["passcode_tried passcode_wrong"]);
    }

    /// No record holds a passcode, a passphrase, a seed, a session or a patient.
    async fn records_hold_no_secret(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        browser.pass("", "not the right passphrase").await;
        browser.pass("", PASSPHRASE).await;
        let code = app.code();
        browser.passcode("any", &code).await.leads_to("/portal/dashboard");
        let phone = app.provision().await;
        let otp = phone.code(app.now());
        add(&mut browser, &phone, &otp, &[("name", "Grandma")]).await;
        let all = app.database.texts("SELECT kind, detail, reason, purpose, support, actor FROM audit_event").await;
        let all = all.join("\n");
        let secrets = [
            code.as_str(), &otp, PASSPHRASE, "not the right", "Lindqvist", "MRN-1001",
            browser.session().unwrap(), phone.credential.as_str(), &app.person.npi.as_text(),
        ];
        for secret in secrets {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
    }
}

async fn leaves_provisioned(app: &TestApp) -> countersign_testkit::Phone {
    let count = Count::from(app).await;
    let phone = app.provision().await;
    count.is(app.event_count().await, 1, "provisioning");
    phone
}
