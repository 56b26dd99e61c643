//! The console of a practice: who may do what there, with how fresh a passcode; what one person alone can't do;
//! and in which order decisions count.

use std::fmt::Write as _;

use countersign_app::NewFob;
use countersign_crypto::{HmacAlgorithm, SecretBytes};
use countersign_domain::{
    AuthorityId, CaseId, CredentialId, DeaRegistration, DeadlineId, HoldId, MessageId, Npi,
    PersonId, Role,
    access::{Permission, Setting},
    console::{CONSOLE_CHANGES, ConsoleChange, StepUp},
    otp::{OtpParams, TokenSeed},
    proofing::Channel,
};
use countersign_store::{
    Authority, CasePurpose, CaseRow, CaseState, Deadline, Hold, Message, MessageBody, Paper,
    Profile, Stage,
};
use countersign_testkit::{Browser, Page, Person, SeededRng, TestApp, WRONG_CODE, both, dea, npi};

use crate::access::Place;

/// One person for each role, and the others who are needed.
struct Cast {
    place: Place,
    by_role: Vec<(Role, Person)>,
    victims: Vec<Person>,
    made: u32,
}

type Form = (String, Vec<(String, String)>);

impl Cast {
    async fn of(app: TestApp) -> Self {
        let mut place = Place::of(app).await;
        let mut by_role = Vec::new();
        for (role, email) in [
            (Role::Prescriber, "prescriber@roles.example"),
            (Role::Administrator, "administrator@roles.example"),
            (Role::Designated, "designated@roles.example"),
            (Role::Proofing, "proofing@roles.example"),
            (Role::Issuing, "issuing@roles.example"),
        ] {
            let person = place.app.another_person().await;
            place.app.give_addresses(&person, email).await;
            let (id, practice, now) = (person.id, place.app.practice, place.app.now());
            let give = place.app.store.write("test_role", move |tx| {
                tx.give_role(id, practice, role, role.code(), now).map(drop)
            });
            give.await.unwrap();
            by_role.push((role, person));
        }
        let mut victims = Vec::new();
        for email in ["one@victims.example", "two@victims.example", "three@victims.example"] {
            let person = place.app.another_person().await;
            place.app.give_addresses(&person, email).await;
            victims.push(person);
        }
        let practice = place.app.practice;
        let rules = place.app.store.write("test_rules", move |tx| {
            let zone = tx.practice(practice)?.unwrap().zone;
            tx.save_practice_rules(practice, Setting::Institution, &zone)
        });
        rules.await.unwrap();
        Self { place, by_role, victims, made: 0 }
    }

    fn with(&self, role: Role) -> &Person {
        &self.by_role.iter().find(|(of, _)| *of == role).unwrap().1
    }

    /// A session whose last passcode is old.
    async fn stale(&self, person: &Person) -> Browser {
        let passcode_at = self.place.app.now().plus_seconds(-600);
        self.place.app.browser_at(Stage::Full { prescriber: person.id, passcode_at }).await
    }

    async fn entered_by(&self, person: &Person, unit: &str) -> String {
        let mut by = self.place.app.signed_in_as(person).await;
        let fields =
            [("role", "issuing"), ("give", "yes"), ("unit", unit), ("role_reason", "helps")];
        self.place.enter(&mut by, "role", &fields).await
    }

    /// A form for a change, with all that it needs to be there.
    async fn form(&mut self, change: ConsoleChange) -> Form {
        self.made += 1;
        let made = self.made;
        let (app, base, person) = (&self.place.app, &self.place.base, self.place.person());
        let (practice, now) = (app.practice, app.now());
        let own = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        match change {
            ConsoleChange::EnterRequest => {
                let fields = [
                    ("role", "proofing"),
                    ("give", "yes"),
                    ("unit", "Front"),
                    ("role_reason", "helps"),
                ];
                (format!("{person}/role"), own(&fields))
            }
            ConsoleChange::TakePermission => {
                let mut office = app.signed_in_as(&self.place.office).await;
                let registration = self.place.registration(&mut office).await;
                let fields = [
                    ("revoked", registration.as_str()),
                    ("cause", "non_compliant"),
                    ("revoke_reason", "Audit"),
                ];
                (format!("{person}/revoke"), own(&fields))
            }
            ConsoleChange::ExecuteRequest => {
                let path = self.entered_by(&self.place.office, &format!("Unit {made}")).await;
                let mut office = app.signed_in_as(&self.place.doctor).await;
                let page = office.get(&path).await;
                let shown = page.body.split("name=\"shown\" value=\"").nth(1).unwrap();
                let shown = shown.split('"').next().unwrap();
                (path, own(&[("shown", shown), ("passphrase", countersign_testkit::PASSPHRASE)]))
            }
            ConsoleChange::RejectRequest => {
                let path = self.entered_by(&self.place.office, &format!("Unit {made}")).await;
                (format!("{path}/reject"), own(&[("reject_reason", "Not now")]))
            }
            ConsoleChange::WithdrawRequest => {
                let path =
                    self.entered_by(self.with(Role::Designated), &format!("Unit {made}")).await;
                (format!("{path}/withdraw"), Vec::new())
            }
            ConsoleChange::EnterPaper => {
                let number = dea(900 + made).as_text();
                let fields = [
                    ("dea", number.as_str()),
                    ("dea_state", "NE"),
                    ("schedules", "4 5"),
                    ("dea_expires", "2028-01-31"),
                    ("dea_reason", "New"),
                ];
                (format!("{person}/dea"), own(&fields))
            }
            ConsoleChange::NarrowPaper => {
                let fields = [
                    ("dea", "BM0000000"),
                    ("dea_state", "NE"),
                    ("schedules", "3 4 5"),
                    ("dea_expires", "2028-01-31"),
                    ("dea_reason", "Less"),
                ];
                (format!("{person}/dea"), own(&fields))
            }
            ConsoleChange::SetPrescriber => {
                let victim = format!("{base}/people/{}", self.victims[2].id);
                (
                    format!("{victim}/role"),
                    own(&[("role", "prescriber"), ("give", "no"), ("role_reason", "Left")]),
                )
            }
            ConsoleChange::Invite => {
                let number = npi(9_000 + made).as_text();
                let email = format!("new{made}@x.example");
                let fields = [
                    ("role", "prescriber"),
                    ("given", "Grace"),
                    ("family", "Lindholm"),
                    ("email", email.as_str()),
                    ("npi", number.as_str()),
                ];
                (format!("{base}/invite"), own(&fields))
            }
            ConsoleChange::ResendInvitation | ConsoleChange::RevokeInvitation => {
                let number = npi(9_000 + made).as_text();
                let email = format!("new{made}@x.example");
                let fields = [
                    ("role", "prescriber"),
                    ("given", "Grace"),
                    ("family", "Lindholm"),
                    ("email", email.as_str()),
                    ("npi", number.as_str()),
                ];
                let mut office = app.signed_in_as(&self.place.office).await;
                office
                    .post(&format!("{base}/invite"), &fields)
                    .await
                    .leads_to(&format!("{base}?done=invited"));
                let rows = app
                    .store
                    .read("test_invitations", move |tx| tx.invitations_of(practice, 100))
                    .await
                    .unwrap();
                let name: Npi = number.parse().unwrap();
                let id = app
                    .store
                    .read("test_invited", move |tx| tx.person_by_name(&name.into()))
                    .await
                    .unwrap()
                    .unwrap()
                    .id;
                let row = rows.iter().find(|row| row.person == id).unwrap();
                let end =
                    if change == ConsoleChange::ResendInvitation { "resend" } else { "revoke" };
                (format!("{base}/invitations/{}/{end}", row.id), Vec::new())
            }
            ConsoleChange::ProveAgain => (format!("{person}/prove-again"), Vec::new()),
            ConsoleChange::ProofInPerson
            | ConsoleChange::DecideNear
            | ConsoleChange::AuthorizeIssue => {
                let id = CaseId::new(now, &mut SeededRng).unwrap();
                let row = CaseRow {
                    id,
                    practice,
                    person: app.person.id,
                    purpose: CasePurpose::Recovery,
                    opened: now,
                    state: CaseState::Open,
                    evidence: None,
                    near: None,
                    address_confirmed: None,
                    issue: None,
                    complete_at: None,
                    window_until: None,
                };
                app.store.write("test_case", move |tx| tx.create_case(&row)).await.unwrap();
                let fields = match change {
                    ConsoleChange::ProofInPerson => own(&[
                        ("decision", "in_person"),
                        ("id_kind", "Passport"),
                        ("id_last_four", "4821"),
                        ("id_expires", "2030-01-01"),
                        ("licence", "yes"),
                        ("registration", "yes"),
                        ("va", "no"),
                    ]),
                    ConsoleChange::DecideNear => own(&[("decision", "near")]),
                    _ => own(&[("decision", "issue")]),
                };
                (format!("{base}/cases/{id}"), fields)
            }
            ConsoleChange::SetTimeZone => (
                format!("{base}/rules/zone"),
                own(&[("zone", "America/Chicago"), ("zone_reason", "moved")]),
            ),
            ConsoleChange::RefuseModel => {
                let fields = [
                    ("model", "countersign-authenticator"),
                    ("refuse", "yes"),
                    ("model_reason", "Phones only"),
                ];
                (format!("{base}/rules/model"), own(&fields))
            }
            ConsoleChange::DisableLostToken | ConsoleChange::DisableToken => {
                let (victim, why) = if change == ConsoleChange::DisableLostToken {
                    (&self.victims[0], "stolen")
                } else {
                    (&self.victims[1], "damaged")
                };
                let token = victim.token.to_string();
                let path = format!("{base}/people/{}/disable", victim.id);
                (path, own(&[("token", &token), ("why", why), ("disable_reason", "Called")]))
            }
            ConsoleChange::SendFob => {
                let serial = format!("AVT1234{:05}", 56_700 + made);
                let fob = NewFob {
                    credential: CredentialId::parse(&serial, None).unwrap(),
                    params: OtpParams::new(HmacAlgorithm::Sha1, 6, 30).unwrap(),
                    seed: TokenSeed::new(SecretBytes::new(vec![7; 20])).unwrap(),
                    ends: now.plus_seconds(400 * 86_400),
                };
                let (credential, at) = (fob.credential.clone(), app.app.at().unwrap());
                let model = "countersign-terminal".parse().unwrap();
                let taken = app
                    .app
                    .import_fobs(practice, model, "Box".into(), "Ruth".into(), vec![fob], at)
                    .await;
                assert_eq!(taken.unwrap(), Ok(1));
                let id = app.token_id(&credential).await.to_string();
                let to = app.person.id.to_string();
                (
                    format!("{base}/fleet/send"),
                    own(&[("fob", &id), ("person", &to), ("how", "parcel")]),
                )
            }
            ConsoleChange::CloseDeadline => {
                let id = DeadlineId::new(now, &mut SeededRng).unwrap();
                let it = Deadline {
                    id,
                    practice,
                    person: None,
                    kind: "loss_reported".to_owned(),
                    discovered: now,
                    due: now.plus_seconds(86_400),
                    done: None,
                    note: String::new(),
                };
                app.store.write("test_due", move |tx| tx.create_deadline(&it)).await.unwrap();
                (format!("{base}/due/{id}"), own(&[("note", "Looked at")]))
            }
            ConsoleChange::PrintLetter => {
                let id = MessageId::new(now, &mut SeededRng).unwrap();
                let it = Message {
                    id,
                    practice,
                    person: Some(app.person.id),
                    kind: "code_letter".to_owned(),
                    channel: Channel::Post,
                    body: Some(MessageBody {
                        to: "Dr. Ada Moreno".to_owned(),
                        subject: "Your code".to_owned(),
                        text: "ABCD 1234".to_owned(),
                    }),
                    created: now,
                    next_try: now,
                    tries: 0,
                    done: None,
                    outcome: String::new(),
                };
                app.store.write("test_letter", move |tx| tx.create_message(&it)).await.unwrap();
                (format!("{base}/letters/{id}"), Vec::new())
            }
            ConsoleChange::ExportRecords => {
                (format!("{base}/records/export"), own(&[("drug", "oxy"), ("format", "csv")]))
            }
            ConsoleChange::PlaceHold => {
                (format!("{base}/holds"), own(&[("person", "all"), ("reason", "Case")]))
            }
            ConsoleChange::LiftHold => {
                let id = HoldId::new(now, &mut SeededRng).unwrap();
                let placed = (now, app.person.id);
                let it = Hold {
                    id,
                    practice,
                    person: None,
                    reason: "Case".to_owned(),
                    placed,
                    lifted: None,
                };
                app.store.write("test_hold", move |tx| tx.place_hold(&it)).await.unwrap();
                (format!("{base}/holds/{id}/lift"), own(&[(format!("why-{id}").as_str(), "Over")]))
            }
            ConsoleChange::SetInternalCode => {
                let registration = Authority {
                    id: AuthorityId::new(now, &mut SeededRng).unwrap(),
                    practice,
                    person: None,
                    paper: Paper::Dea(DeaRegistration {
                        number: dea(77),
                        state: "NE".parse().unwrap(),
                        schedules: "2 2N 3 3N 4 5".parse().unwrap(),
                        expires: "2027-05-31".parse().unwrap(),
                        withdrawn: None,
                    }),
                    stops_at: now.plus_seconds(300 * 86_400),
                    withdrawn: None,
                    warned: None,
                };
                app.store
                    .write("test_institution", move |tx| tx.create_authority(&registration, now))
                    .await
                    .unwrap();
                (format!("{person}/code"), own(&[("code", "012")]))
            }
            ConsoleChange::AcknowledgeReport => {
                let running = app.app.running();
                let report = crate::certification::enter(app, "R-console", vec![running.id]).await;
                (format!("{base}/certification"), own(&[("report", &report.to_string())]))
            }
        }
    }

    async fn successes(&self, kind: &str) -> usize {
        let start = format!("{kind} success");
        self.place.app.events().await.iter().filter(|it| it.starts_with(&start)).count()
    }
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Whether a page asks for a passcode.
fn asks(page: &Page) -> bool {
    page.body.contains("name=\"stepup_passcode\"")
}

/// The table as the documentation has it.
fn table() -> String {
    let mut text = "# Changes in the console\n\nMade from `crates/domain/src/console.rs` by `UPDATE_DOCS=1 cargo test -p countersign-server \
        console_changes`. The server looks there before it does anything.\n\n\
        Another role than these finds nothing; what is missing or refused is on record as the same event. \
        Two people make what is entered as a change: one enters, another executes with passphrase and passcode.\n\n\
        | Change | Roles | Passcode | On record as |\n|---|---|---|---|\n"
        .to_owned();
    for rule in &CONSOLE_CHANGES {
        let roles: Vec<&str> = rule.roles.iter().map(|role| role.label()).collect();
        let event = rule.event.code();
        writeln!(
            text,
            "| {} | {} | {} | `{event}` |",
            rule.what,
            roles.join(", "),
            rule.step_up.label()
        )
        .unwrap();
    }
    text
}

#[test]
fn console_changes_are_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/console-changes.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, table()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), table(), "run it with UPDATE_DOCS=1");
}

both! {
    /// Each change of the console, with each role, in a session whose last passcode is old.
    /// Shows: R-1311.125-a, R-1311.130-b1, H-164.312-a1
    async fn every_change_asks_for_its_role_and_its_passcode(app: TestApp) {
        let mut cast = Cast::of(app).await;
        for rule in &CONSOLE_CHANGES {
            let (kind, what) = (rule.event.code(), rule.what);
            let (path, fields) = cast.form(rule.change).await;
            let fields = borrowed(&fields);
            let before = cast.successes(kind).await;
            for role in Role::ALL {
                let person = cast.with(role).clone();
                if !rule.allows(&[role]) {
                    // Not even with a passcode.
                    let mut by = cast.place.app.signed_in_as(&person).await;
                    let page = cast.place.app.confirm(&mut by, &person, &path, &fields).await;
                    let refused = page.status == 404 || page.status == 422 && rule.change == ConsoleChange::ExecuteRequest;
                    assert!(refused, "{what}, {role:?}: {} {}", page.status, page.words());
                } else if rule.step_up != StepUp::Never {
                    let mut by = cast.stale(&person).await;
                    let page = by.post(&path, &fields).await;
                    assert!(asks(&page), "{what}, {role:?}: {} {}", page.status, page.words());
                    // What was typed goes along.
                    for (name, value) in fields.iter().filter(|(name, _)| !matches!(*name, "passphrase" | "decision")) {
                        assert!(page.body.contains(*value) && page.body.contains(*name), "{what}: {name} is lost");
                        // And is seen: what the passcode is for.
                        if name.ends_with("reason") {
                            assert!(page.words().contains(*value), "{what}: {name} is not shown: {}", page.words());
                        }
                    }
                    // A passcode that is not right does nothing either. A few of them: they are counted.
                    let few = [ConsoleChange::EnterRequest, ConsoleChange::RefuseModel, ConsoleChange::PlaceHold];
                    if role == rule.roles[0] && few.contains(&rule.change) {
                        let mut wrong = fields.clone();
                        wrong.extend([("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)]);
                        let page = by.post(&path, &wrong).await;
                        assert!(page.status == 422 && asks(&page), "{what}, {role:?}: {}", page.words());
                    }
                }
                // A session that is fresh is enough only where the table says so.
                if rule.allows(&[role]) && rule.step_up == StepUp::Always {
                    let mut by = cast.place.app.signed_in_as(&person).await;
                    let page = by.post(&path, &fields).await;
                    assert!(asks(&page), "{what}, {role:?}: {} {}", page.status, page.words());
                }
            }
            assert_eq!(cast.successes(kind).await, before, "{what}: nothing was done");
            let decides = matches!(
                rule.change,
                ConsoleChange::ProofInPerson | ConsoleChange::DecideNear | ConsoleChange::AuthorizeIssue
            );
            if decides {
                continue;
            }
            let person = cast.with(rule.roles[0]).clone();
            let mut by = cast.stale(&person).await;
            let page = if rule.step_up == StepUp::Never {
                by.post(&path, &fields).await
            } else {
                cast.place.app.confirm(&mut by, &person, &path, &fields).await
            };
            assert!(matches!(page.status, 200 | 303) && !asks(&page), "{what}: {} {}", page.status, page.words());
            assert_eq!(cast.successes(kind).await, before + 1, "{what}: done, and on record");
        }
    }

    /// A role that was taken after the page was loaded does nothing any more; and nobody prints a letter of their own,
    /// by whatever account.
    async fn a_role_that_is_gone_does_nothing(app: TestApp) {
        let mut cast = Cast::of(app).await;
        let (path, _) = cast.form(ConsoleChange::PrintLetter).await;
        let twin = cast.with(Role::Administrator).clone();
        let (id, now) = (twin.id, cast.place.app.now());
        cast.place.app.store.write("test_twin", move |tx| {
            let person = tx.person(id)?.unwrap();
            let mut profile = tx.profile(&person)?.unwrap();
            profile.emails.push("Ada+work@lakeside.example".to_owned());
            tx.save_profile(&person, &profile, now)
        }).await.unwrap();
        let mut by = cast.place.app.signed_in_as(&twin).await;
        let page = cast.place.app.confirm(&mut by, &twin, &path, &[]).await;
        assert_eq!(page.status, 404, "the account of the person whom the letter is for: {}", page.words());
        let issuer = cast.with(Role::Issuing).clone();
        let mut by = cast.place.app.signed_in_as(&issuer).await;
        let (gone, practice) = (issuer.id, cast.place.app.practice);
        cast.place.app.store.write("test_gone", move |tx| {
            tx.end_role(gone, practice, Role::Issuing, now).map(drop)
        }).await.unwrap();
        let page = cast.place.app.confirm(&mut by, &issuer, &path, &[]).await;
        assert_eq!(page.status, 404);
    }

    /// What lasts longer or covers more takes two people, none of them its holder; what is narrower, shorter or
    /// ended works at once.
    /// Shows: R-1311.125-d2, R-1311.125-d3
    async fn a_registration_is_extended_by_two_and_narrowed_at_once(app: TestApp) {
        let place = Place::of(app).await;
        let holder = place.app.person.clone();
        place.app.give_roles(&holder, &[Role::Designated]).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let form = |schedules: &'static str, last: &'static str| [
            ("dea", "BM0000000"), ("dea_state", "NE"), ("schedules", schedules), ("dea_expires", last), ("dea_reason", "Letter of the DEA"),
        ];
        let path = format!("{}/dea", place.person());
        // The licence stands in nobody's way here.
        let blob = crate::access::blob(&place.app, &crate::access::hex(holder.id.as_bytes()));
        let far = place.app.now().plus_seconds(5 * 365 * 86_400).micros();
        place.app.database.execute(&format!("UPDATE authority SET stops_at = {far} WHERE person = {blob} AND kind = 'licence'")).await;
        let row = async || place.app.database.texts("SELECT schedules || ', ' || expires FROM authority WHERE number = 'BM0000000'").await;
        let until = async || place.app.token(&holder.phone.credential).await.sign_until;
        let first = (row().await, until().await);
        // No date that no registration has.
        for last in ["2099-12-31", "2029-08-26"] {
            let page = place.app.confirm(&mut office, &place.office, &path, &form("2 2N 3 3N 4 5", last)).await;
            assert!(page.field_error("dea_expires").unwrap().contains("36 months"), "{}", page.words());
        }
        // Entered, it waits; nothing has moved, and the others are told.
        place.app.confirm(&mut office, &place.office, &path, &form("2 2N 3 3N 4 5", "2029-05-31")).await
            .leads_to(&format!("{}?done=entered", place.base));
        assert_eq!((row().await, until().await), first);
        assert!(place.notices("request_waiting").await.contains(&"doctor@lakeside.example".to_owned()));
        let renewal = place.waiting(&mut office).await;
        office.get(&renewal).await.says(200, "Another person must do this");
        place.app.clock.advance(30);
        let mut own = place.app.signed_in_as(&holder).await;
        place.execute(&mut own, &holder, &renewal).await.says(422, "own registration or licence");
        let page = doctor.get(&renewal).await;
        page.says(200, "BM0000000: NE, schedules 2 2N 3 3N 4 5, last day 2029-05-31");
        place.execute(&mut doctor, &place.doctor, &renewal).await.leads_to(&format!("{}?done=executed", place.base));
        assert_eq!(row().await, ["2 2N 3 3N 4 5, 2029-05-31"]);
        assert!(until().await > first.1);
        let said = place.app.database.texts("SELECT detail FROM audit_event WHERE kind = 'authority_changed' ORDER BY at DESC").await;
        assert!(said[0].contains("2028-04-24 -> NE") && said[0].contains("2029-05-31") && !said[0].contains("BM0000000"), "{said:?}");
        assert_eq!(place.notices("paper_changed").await.iter().filter(|to| to.as_str() == "ada@lakeside.example").count(), 1);
        // Narrower and shorter works at once, and `sign_until` follows.
        let at_once = until().await;
        place.app.confirm(&mut office, &place.office, &path, &form("4 5", "2029-01-31")).await
            .leads_to(&format!("{}?done=saved", place.person()));
        assert_eq!(row().await, ["4 5, 2029-01-31"]);
        assert!(until().await < at_once);
        place.app.confirm(&mut office, &place.office, &path, &form("4 5", "2029-01-31")).await.says(422, "It says that already");
        // Both at once: what is narrower works, the rest waits. The holder enters it, and does not approve it.
        place.app.clock.advance(30);
        let mut own = place.app.signed_in_as(&holder).await;
        place.app.confirm(&mut own, &holder, &path, &form("3 5", "2029-05-31")).await
            .leads_to(&format!("{}?done=narrowed", place.person()));
        assert_eq!(row().await, ["5, 2029-01-31"]);
        let wider = place.waiting(&mut office).await;
        place.app.clock.advance(30);
        place.execute(&mut own, &holder, &wider).await.says(422, "Another person must do this");
        // Changed meanwhile, it is not executed: it would undo what is newer.
        place.app.confirm(&mut office, &place.office, &path, &form("5", "2028-12-31")).await
            .leads_to(&format!("{}?done=saved", place.person()));
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &wider).await.says(422, "Something newer was decided");
        assert_eq!(row().await, ["5, 2028-12-31"]);
        // A licence of the state that is new would carry the permission further: two people as well.
        let licence = [("licence_state", "NE"), ("licence", "NE-999"), ("licence_expires", "2031-05-31"), ("licence_reason", "A new one")];
        place.app.confirm(&mut office, &place.office, &format!("{}/licence", place.person()), &licence).await
            .leads_to(&format!("{}?done=entered", place.base));
        let none = place.app.database.texts("SELECT number FROM authority WHERE number = 'NE-999'").await;
        assert!(none.is_empty(), "{none:?}");
        // Ended: at once, with what rests on it.
        assert!(place.may_sign().await);
        let page = office.get(&place.person()).await;
        let list = page.body.split("id=\"ended\"").nth(1).unwrap();
        let option = list.split("<option").find(|it| it.contains("DEA registration BM")).unwrap();
        let id = option.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let end = [("ended", id.as_str()), ("end_reason", "Revoked by the DEA")];
        place.app.confirm(&mut office, &place.office, &format!("{}/end", place.person()), &end).await
            .leads_to(&format!("{}?done=ended", place.person()));
        place.app.clock.advance(30);
        assert!(!place.may_sign().await && until().await.is_none());
        office.get(&place.person()).await.says(200, "Suspended: registration or licence withdrawn");
        // In force again takes two.
        place.app.confirm(&mut office, &place.office, &path, &form("5", "2028-12-31")).await
            .leads_to(&format!("{}?done=entered", place.base));
        office.get(&place.person()).await.says(200, "Withdrawn");
    }

    /// The institution's own registration too: extended by two, ended by one with all that is signed under it; and a
    /// grant is executed only while the registration says what it said.
    /// Shows: R-1311.125-d3
    async fn the_institutions_own_registration_takes_two_as_well(app: TestApp) {
        let place = Place::of(app).await;
        place.app.clock.advance(1);
        let (practice, holder, now) = (place.app.practice, place.app.person.id, place.app.now());
        let number = dea(950);
        let id = AuthorityId::new(now, &mut SeededRng).unwrap();
        place.app.store.write("test_institution", move |tx| {
            let zone = tx.practice(practice)?.unwrap().zone;
            let expires = "2028-03-31".parse().unwrap();
            let (state, schedules) = ("NE".parse().unwrap(), "2 3 4 5".parse().unwrap());
            let paper = Paper::Dea(DeaRegistration { number, state, schedules, expires, withdrawn: None });
            let stops_at = paper.expires().end(&zone);
            let it = Authority { id, practice, person: None, paper, stops_at, withdrawn: None, warned: None };
            tx.create_authority(&it, now)?;
            tx.set_internal_code(practice, holder, Some(&"012".parse().unwrap()), holder, now)?;
            let granted = Permission::Granted { since: now, self_executed: false };
            tx.save_permission(holder, practice, id, &granted)
        }).await.unwrap();
        let text = number.as_text();
        let row = async || place.app.database.texts(&format!("SELECT schedules || ', ' || expires FROM authority WHERE number = '{text}'")).await;
        let form = |schedules: &'static str, last: &'static str| [
            ("dea", text.as_str()), ("dea_state", "NE"), ("schedules", schedules), ("dea_expires", last), ("dea_reason", "Renewed"),
        ];
        let path = format!("{}/dea", place.person());
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        place.app.confirm(&mut office, &place.office, &path, &form("2 3 4 5", "2029-03-31")).await
            .leads_to(&format!("{}?done=entered", place.base));
        assert_eq!(row().await, ["2 3 4 5, 2028-03-31"]);
        let renewal = place.waiting(&mut office).await;
        doctor.get(&renewal).await.says(200, "The institution");
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &renewal).await.leads_to(&format!("{}?done=executed", place.base));
        assert_eq!(row().await, ["2 3 4 5, 2029-03-31"], "one row, and nobody's own");
        // A grant that waits was entered for what the registration said then.
        let registration = place.registration(&mut office).await;
        let fields = [("revoked", registration.as_str()), ("cause", "non_compliant"), ("revoke_reason", "Audit")];
        place.enter(&mut office, "revoke", &fields).await;
        let grant = place.grant(&mut office).await;
        let narrower = [("dea", "BM0000000"), ("dea_state", "NE"), ("schedules", "4 5"), ("dea_expires", "2028-01-31"), ("dea_reason", "Less")];
        place.app.confirm(&mut office, &place.office, &path, &narrower).await.leads_to(&format!("{}?done=saved", place.person()));
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &grant).await.says(422, "Something newer was decided");
        // Ended: everybody's permission under it goes at once.
        let end = [("ended", id.to_string()), ("end_reason", "Surrendered".to_owned())];
        let end = end.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert!(place.may_sign().await, "under the institution's number");
        place.app.confirm(&mut office, &place.office, &format!("{}/end", place.person()), &end).await
            .leads_to(&format!("{}?done=ended", place.person()));
        place.app.clock.advance(30);
        assert!(!place.may_sign().await);
    }

    /// One person with two accounts is not two, whatever the order of the addresses, now or until a while ago; and
    /// whoever has confirmed no address is nobody.
    /// Shows: R-1311.125-c1, R-1311.120-b4
    async fn two_accounts_of_one_person_are_one(app: TestApp) {
        let place = Place::of(app).await;
        place.report_lost().await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let request = place.grant(&mut office).await;
        let profile = async |id: PersonId, emails: &'static [&'static str], phone: &'static str, confirmed: bool| {
            let now = place.app.now();
            place.app.store.write("test_profile", move |tx| {
                let person = tx.person(id)?.unwrap();
                let profile = Profile {
                    emails: emails.iter().map(|it| (*it).to_owned()).collect(),
                    phone: phone.to_owned(),
                    phone_confirmed: confirmed.then_some(now.micros()),
                    ..Profile::default()
                };
                tx.save_profile(&person, &profile, now)
            }).await.unwrap();
        };
        let (one, two) = (place.office.id, place.doctor.id);
        let try_it = async |doctor: &mut Browser| {
            place.app.clock.advance(30);
            place.execute(doctor, &place.doctor, &request).await
        };
        // The second address of one is the first of the other, in other letters.
        profile(one, &["office@lakeside.example", "ruth.amari@home.example"], "+14025550701", true).await;
        profile(two, &["RuthAmari+x@Home.Example", "doctor@lakeside.example"], "+14025550702", true).await;
        try_it(&mut doctor).await.says(422, "share an address");
        // Given up a moment ago, it still tells; after a year it does no more.
        profile(two, &["doctor@lakeside.example"], "+14025550702", true).await;
        try_it(&mut doctor).await.says(422, "share an address");
        let forget = async || {
            let now = place.app.now().plus_seconds(366 * 86_400);
            place.app.store.write("test_forget", move |tx| tx.purge(now).map(drop)).await.unwrap();
        };
        forget().await;
        doctor.get(&request).await.says(200, "mean exactly what stands above");
        // One telephone.
        profile(two, &["doctor@lakeside.example"], "+14025550701", true).await;
        try_it(&mut doctor).await.says(422, "share an address");
        // Another person, of whom no code has come back.
        profile(two, &["doctor@lakeside.example"], "+14025550702", false).await;
        forget().await;
        try_it(&mut doctor).await.says(422, "confirm your telephone or postal address");
        profile(two, &["doctor@lakeside.example"], "+14025550702", true).await;
        try_it(&mut doctor).await.leads_to(&format!("{}?done=executed", place.base));
    }

    /// After a loss, a new grant; then the older suspension is confirmed: the record alone. And what was entered
    /// before a loss gives nothing back.
    /// Shows: R-1311.125-d1, A7, A8
    async fn an_older_decision_undoes_no_newer_one(app: TestApp) {
        let place = Place::of(app).await;
        let (_, second) = place.app.another_token(&place.app.person, "Second phone").await;
        let api = place.app.api().await;
        let may = async || {
            place.app.clock.advance(30);
            api.check(second.credential.as_str(), &second.code(place.app.now())).await.verified()
        };
        place.report_lost().await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let grant = place.grant(&mut office).await;
        let waiting = place.all_waiting(&mut doctor).await;
        assert_eq!(waiting.last(), Some(&grant), "the suspension stands above the grant");
        let suspension = waiting[0].clone();
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &grant).await.leads_to(&format!("{}?done=executed", place.base));
        assert!(may().await);
        place.execute(&mut doctor, &place.doctor, &suspension).await.leads_to(&format!("{}?done=confirmed", place.base));
        assert!(may().await, "the newer grant stands");
        let said = place.app.events().await;
        assert!(said.contains(&"request_executed success record_only".to_owned()), "{said:?}");
        // A grant that waits is closed by a loss that comes after it.
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let registration = place.registration(&mut office).await;
        let fields = [("revoked", registration.as_str()), ("cause", "non_compliant"), ("revoke_reason", "Audit")];
        place.enter(&mut office, "revoke", &fields).await;
        let old = place.grant(&mut office).await;
        place.app.clock.advance(1);
        let fields = [("revoked", registration.as_str()), ("cause", "left"), ("revoke_reason", "Gone")];
        place.enter(&mut office, "revoke", &fields).await;
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &old).await.says(422, "no longer open");
        assert!(!may().await);
        doctor.get(&old).await.says(200, "Closed by a newer decision");
        // The same with a role: given and taken since, the older giving is over.
        let fields = [("role", "proofing"), ("give", "yes"), ("unit", "Front"), ("role_reason", "x")];
        let given = place.enter(&mut office, "role", &fields).await;
        doctor.get(&given).await.says(200, "mean exactly what stands above");
        let (id, practice, now) = (place.app.person.id, place.app.practice, place.app.now());
        place.app.store.write("test_given", move |tx| {
            tx.give_role(id, practice, Role::Proofing, "Front", now.plus_seconds(1))?;
            tx.end_role(id, practice, Role::Proofing, now.plus_seconds(2)).map(drop)
        }).await.unwrap();
        doctor.get(&given).await.says(200, "Something newer was decided");
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &given).await.says(422, "Something newer was decided");
    }

    /// "The report was a mistake": a reason, a passcode, what is due is settled, and signing takes two again. Whoever
    /// entered a change withdraws it.
    /// Shows: A8, R-1311.102-b, R-1311.120-b23ii, R-1311.150-a4, R-1311.150-c1
    async fn a_report_can_be_a_mistake_and_an_entry_withdrawn(app: TestApp) {
        let place = Place::of(app).await;
        let (_, second) = place.app.another_token(&place.app.person, "Second phone").await;
        let api = place.app.api().await;
        let may = async || {
            place.app.clock.advance(30);
            api.check(second.credential.as_str(), &second.code(place.app.now())).await.verified()
        };
        place.report_lost().await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let report = place.waiting(&mut doctor).await;
        doctor.get(&report).await.says(200, "The report was a mistake");
        let reason = [("reject_reason", "It was in the other coat")];
        place.app.confirm(&mut doctor, &place.doctor, &format!("{report}/reject"), &reason).await
            .leads_to(&format!("{}?done=mistaken", place.base));
        assert!(!may().await, "it gives nothing back");
        doctor.get(&place.person()).await.says(200, "Suspended. Not confirmed: a new grant by two is needed");
        doctor.get(&format!("{}/due", place.base)).await.says(200, "It was in the other coat");
        let practice = place.app.practice;
        let due = place.app.store.read("test_due", move |tx| tx.deadlines(practice, 9)).await.unwrap();
        assert!(due.iter().all(|it| it.done.is_some()));
        let said = place.app.events().await;
        for line in ["request_rejected success -", "permission_changed success report_mistaken", "deadline_done success -"] {
            assert!(said.iter().any(|event| event == line), "{line}: {said:?}");
        }
        // Entered and withdrawn by who entered it, and by nobody else.
        let mut office = place.app.signed_in_as(&place.office).await;
        let first = place.grant(&mut office).await;
        doctor.post(&format!("{first}/withdraw"), &[]).await.says(422, "Only the person who entered it");
        office.get(&first).await.says(200, "Withdraw it");
        office.post(&format!("{first}/withdraw"), &[]).await.leads_to(&format!("{}?done=withdrawn", place.base));
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &first).await.says(422, "no longer open");
        assert!(place.app.events().await.contains(&"request_withdrawn success -".to_owned()));
        let again = place.grant(&mut office).await;
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &again).await.leads_to(&format!("{}?done=executed", place.base));
        assert!(may().await);
        // What works already is not withdrawn.
        let registration = place.registration(&mut office).await;
        let fields = [("revoked", registration.as_str()), ("cause", "left"), ("revoke_reason", "Gone")];
        let taken = place.enter(&mut office, "revoke", &fields).await;
        office.post(&format!("{taken}/withdraw"), &[]).await.says(422, "works already");
        let id = place.app.person.id;
        let stands = place.app.store.read("test_permission", move |tx| tx.permissions_of(id)).await.unwrap();
        assert!(stands.iter().all(|(_, row)| matches!(row.permission, Permission::Revoked { .. })));
    }

    /// The two who check NPI and DEA number see them, and that goes on record; nobody else does. A name with letters
    /// of two scripts is pointed out.
    /// Shows: R-1311.125-b
    async fn who_checks_a_number_sees_it_in_full(app: TestApp) {
        let mut place = Place::of(app).await;
        let clerk = place.app.another_person().await;
        place.app.give_roles(&clerk, &[Role::Administrator]).await;
        let number = place.app.person.npi.as_text();
        let shown = async |app: &TestApp| {
            app.database.texts("SELECT detail FROM audit_event WHERE kind = 'identifiers_shown' AND outcome = 'success'").await.len()
        };
        let mut browser = place.app.signed_in_as(&clerk).await;
        let page = browser.get(&place.person()).await;
        assert!(!page.body.contains("BM0000000") && !page.body.contains(&number), "{}", page.words());
        assert_eq!(shown(&place.app).await, 0);
        let mut office = place.app.signed_in_as(&place.office).await;
        let page = office.get(&place.person()).await;
        assert!(page.body.contains("BM0000000") && page.body.contains(&number), "{}", page.words());
        assert_eq!(shown(&place.app).await, 1);
        place.report_lost().await;
        let request = place.grant(&mut office).await;
        let before = shown(&place.app).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let page = doctor.get(&request).await;
        assert!(page.body.contains("BM0000000") && page.body.contains(&number), "{}", page.words());
        assert_eq!(shown(&place.app).await, before + 1);
        let page = browser.get(&request).await;
        assert!(!page.body.contains("BM0000000") && !page.body.contains(&number), "{}", page.words());
        assert!(!page.body.contains("letters of different scripts"));
        let blob = crate::access::blob(&place.app, &crate::access::hex(place.app.person.id.as_bytes()));
        place.app.database.execute(&format!("UPDATE prescriber SET name = 'Dr. \u{410}da Moreno' WHERE id = {blob}")).await;
        doctor.get(&request).await.says(200, "letters of different scripts");
        doctor.get(&place.person()).await.says(200, "letters of different scripts");
    }

    /// Whoever opens records and letters is named by two people, also by way of an invitation.
    async fn an_administrator_takes_two_people(app: TestApp) {
        let place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let fields = [
            ("role", "administrator"), ("given", "Mona"), ("family", "Reyes"), ("email", "mona@x.example"),
            ("phone", "402 555 0177"),
        ];
        place.app.clock.advance(1);
        office.post(&format!("{}/invite", place.base), &fields).await.leads_to(&format!("{}?done=invited", place.base));
        let name = "mona@x.example".parse().unwrap();
        let mona = place.app.store.read("test_mona", move |tx| tx.person_by_name(&name)).await.unwrap().unwrap().id;
        let roles = async || place.app.store.read("test_roles", move |tx| tx.roles_of(mona)).await.unwrap().len();
        assert_eq!(roles().await, 0);
        let request = place.waiting(&mut doctor).await;
        doctor.get(&request).await.says(200, "Mona Reyes: gets the role");
        place.execute(&mut office, &place.office, &request).await.says(422, "Another person must do this");
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &request).await.leads_to(&format!("{}?done=executed", place.base));
        assert_eq!(roles().await, 1);
    }
}
