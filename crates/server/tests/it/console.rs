//! The console of a practice: who may do what there, with how fresh a passcode; what one person alone can't do;
//! and in which order decisions count.

pub(crate) mod changes;
mod decisions;
mod people;
pub(crate) mod registrations;

use countersign_app::{Answer, NewFob};
use countersign_crypto::{HmacAlgorithm, SecretBytes};
use countersign_domain::{
    AuthorityId, CaseId, CredentialId, DeaRegistration, DeadlineId, HoldId, MessageId, Npi, Role,
    access::Setting,
    command::{Command, commands},
    otp::{OtpParams, TokenSeed},
    proofing::{CaseState, Channel},
};
use countersign_store::{
    Authority, CasePurpose, CaseRow, Deadline, Hold, Message, MessageBody, Paper, Stage,
};
use countersign_testkit::{Browser, Page, Person, SeededRng, TestApp, dea, npi};

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
    async fn form(&mut self, change: Command) -> Form {
        self.made += 1;
        let made = self.made;
        let (app, base, person) = (&self.place.app, &self.place.base, self.place.person());
        let (practice, now) = (app.practice, app.now());
        let own = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        match change {
            commands::ENTER_REQUEST => {
                let fields = [
                    ("role", "proofing"),
                    ("give", "yes"),
                    ("unit", "Front"),
                    ("role_reason", "helps"),
                ];
                (format!("{person}/role"), own(&fields))
            }
            commands::TAKE_PERMISSION => {
                let mut office = app.signed_in_as(&self.place.office).await;
                let registration = self.place.registration(&mut office).await;
                let fields = [
                    ("revoked", registration.as_str()),
                    ("cause", "non_compliant"),
                    ("revoke_reason", "Audit"),
                ];
                (format!("{person}/revoke"), own(&fields))
            }
            commands::EXECUTE_REQUEST => {
                let path = self.entered_by(&self.place.office, &format!("Unit {made}")).await;
                let mut office = app.signed_in_as(&self.place.doctor).await;
                let page = office.get(&path).await;
                let shown = page.value("shown");
                (path, own(&[("shown", &shown), ("passphrase", countersign_testkit::PASSPHRASE)]))
            }
            commands::REJECT_REQUEST => {
                let path = self.entered_by(&self.place.office, &format!("Unit {made}")).await;
                (format!("{path}/reject"), own(&[("reject_reason", "Not now")]))
            }
            commands::WITHDRAW_REQUEST => {
                let path =
                    self.entered_by(self.with(Role::Designated), &format!("Unit {made}")).await;
                (format!("{path}/withdraw"), Vec::new())
            }
            commands::ENTER_PAPER => {
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
            commands::NARROW_PAPER => {
                let fields = [
                    ("dea", "BM0000000"),
                    ("dea_state", "NE"),
                    ("schedules", "3 4 5"),
                    ("dea_expires", "2028-01-31"),
                    ("dea_reason", "Less"),
                ];
                (format!("{person}/dea"), own(&fields))
            }
            commands::SET_PRESCRIBER => {
                let victim = format!("{base}/people/{}", self.victims[2].id);
                (
                    format!("{victim}/role"),
                    own(&[("role", "prescriber"), ("give", "no"), ("role_reason", "Left")]),
                )
            }
            commands::INVITE => {
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
            commands::RESEND_INVITATION | commands::REVOKE_INVITATION => {
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
                let end = if change == commands::RESEND_INVITATION { "resend" } else { "revoke" };
                (format!("{base}/invitations/{}/{end}", row.id), Vec::new())
            }
            commands::PROVE_AGAIN => (format!("{person}/prove-again"), Vec::new()),
            commands::PROOF_IN_PERSON | commands::DECIDE_NEAR | commands::AUTHORIZE_ISSUE => {
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
                };
                app.store.write("test_case", move |tx| tx.create_case(&row)).await.unwrap();
                let fields = match change {
                    commands::PROOF_IN_PERSON => own(&[
                        ("decision", "in_person"),
                        ("id_kind", "Passport"),
                        ("id_last_four", "4821"),
                        ("id_expires", "2030-01-01"),
                        ("licence", "yes"),
                        ("registration", "yes"),
                        ("va", "no"),
                    ]),
                    commands::DECIDE_NEAR => own(&[("decision", "near")]),
                    _ => own(&[("decision", "issue")]),
                };
                (format!("{base}/cases/{id}"), fields)
            }
            commands::SET_TIME_ZONE => (
                format!("{base}/rules/zone"),
                own(&[("zone", "America/Chicago"), ("zone_reason", "moved")]),
            ),
            commands::REFUSE_MODEL => {
                let fields = [
                    ("model", "countersign-authenticator"),
                    ("refuse", "yes"),
                    ("model_reason", "Phones only"),
                ];
                (format!("{base}/rules/model"), own(&fields))
            }
            commands::DISABLE_LOST_TOKEN | commands::DISABLE_TOKEN_OF => {
                let (victim, why) = if change == commands::DISABLE_LOST_TOKEN {
                    (&self.victims[0], "stolen")
                } else {
                    (&self.victims[1], "damaged")
                };
                let token = victim.token.to_string();
                let path = format!("{base}/people/{}/disable", victim.id);
                (path, own(&[("token", &token), ("why", why), ("disable_reason", "Called")]))
            }
            commands::SEND_FOB => {
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
                assert_eq!(taken.unwrap(), Answer::Done(1));
                let id = app.token_id(&credential).await.to_string();
                let to = app.person.id.to_string();
                (
                    format!("{base}/fleet/send"),
                    own(&[("fob", &id), ("person", &to), ("how", "parcel")]),
                )
            }
            commands::CLOSE_DEADLINE => {
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
            commands::PRINT_LETTER => {
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
            commands::EXPORT_RECORDS => {
                (format!("{base}/records/export"), own(&[("drug", "oxy"), ("format", "csv")]))
            }
            commands::PLACE_HOLD => {
                (format!("{base}/holds"), own(&[("person", "all"), ("reason", "Case")]))
            }
            commands::LIFT_HOLD => {
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
            commands::SET_INTERNAL_CODE => {
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
            commands::ACKNOWLEDGE_REPORT => {
                let running = app.app.running();
                let report = crate::certification::enter(app, "R-console", vec![running.id]).await;
                (format!("{base}/certification"), own(&[("report", &report.to_string())]))
            }
            other => panic!("no form for {}", other.name),
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
    page.find("[name=stepup_passcode]").is_some()
}
