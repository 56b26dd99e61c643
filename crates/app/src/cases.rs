//! Cases of identity proofing: what is missing, who may say so, and the quarter of an hour that a complete
//! one opens. Also the road back for somebody whose last token is gone.

use countersign_crypto::{random_array, sha256};
use countersign_domain::{
    Actor, CaseId, Date, Event, EventKind, Npi, Outcome, PersonId, PracticeId, Purpose, Role,
    Standing, Timestamp,
    access::Setting,
    console::ConsoleChange,
    identity::{Difference, Identity, Match, PersonName, compare},
    proofing::{
        Assurance, Case, CaseRefusal, Channel, Evidence, InPerson, Missing, PhotoId, Provider,
        missing,
    },
    shown_line,
};
use countersign_protocol::oidc::{
    self, Client, Discovery, IdClaims, KeySet, OidcError, TokenAnswer,
};
use countersign_store::{
    CasePurpose, CaseRow, CaseState, EvidenceRow, Person, Profile, ProofingTry, Session, Stage, Tx,
};
use data_encoding::BASE64URL_NOPAD;

use super::{
    App, Asked, At, Confirm, Desk, Error, Hindrance,
    activation::{About, channels, on_the_way, put_on_record, put_on_the_way, take_code, typed},
    notices::{Mailer, Note, Notice},
    record,
    sign_in::{passcode_event, verify},
};
use crate::outbound::{Call, Fault};

/// How long a complete case lets a token be added, in seconds: a quarter of an hour.
pub const WINDOW_SECONDS: i64 = 900;
/// How long somebody may be at a provider, in seconds.
const AWAY_SECONDS: i64 = 3_600;

/// A case as pages show it.
#[derive(Clone)]
pub struct CaseView {
    /// Its row.
    pub row: CaseRow,
    /// What it still needs; empty once it is complete.
    pub missing: Vec<Missing>,
    /// The name of whom it is about.
    pub name: String,
    /// The ways on which a code can go: way, and masked where to.
    pub ways: Vec<(Channel, String)>,
    /// The code that is on its way, and until when it is good.
    pub sent: Option<(Channel, Timestamp)>,
    /// How what the provider says differs.
    pub differences: Vec<Difference>,
    /// By which rule the practice proofs.
    pub setting: Setting,
    /// Providers that the practice accepts and that are set up here: issuer and name.
    pub providers: Vec<(String, String)>,
    /// Who can act: role and name.
    pub helpers: Vec<(Role, String)>,
}

/// What the credentialing office has seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The kind of photo ID.
    pub id_kind: String,
    /// The last four characters of its number.
    pub id_last_four: String,
    /// Its last day.
    pub id_expires: Date,
    /// State authority was looked at and is in force.
    pub licence: bool,
    /// The registration was looked at and is in force.
    pub registration: bool,
    /// Privileges under the institution's registration.
    pub privileges: bool,
    /// For Veterans Affairs: the appointment was confirmed.
    pub va_confirmed: Option<bool>,
}

/// What somebody decides on in a case.
#[derive(Debug, Clone)]
pub enum Decision {
    /// The person was seen.
    InPerson(Seen),
    /// A near match is this person.
    Near,
    /// A near match is somebody else: what the provider said is put away.
    NotNear,
    /// A credential may be issued.
    Issue,
}

/// Why what a provider answered does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyRefusal {
    /// Nobody was sent there from here, or too long ago.
    #[error("That answer belongs to no proofing that was begun here. Begin it again.")]
    Stale,
    /// The person, or the provider, gave up.
    #[error("The provider did not confirm your identity. You can try again, or ask your practice.")]
    Declined,
    /// The provider can't be reached.
    #[error("The provider can't be reached now. Nothing is lost: try again in a few minutes.")]
    NotReached,
    /// Its answer can't be trusted.
    #[error("The provider's answer can't be used ({}). Ask your practice.", .0.code())]
    Answer(OidcError),
    /// It vouches too weakly.
    #[error("The provider confirmed your identity too weakly. Choose its full identity check.")]
    Weak,
    /// It speaks of somebody else.
    #[error("The provider spoke of another person. Prove your own identity there.")]
    Other,
}

impl ReplyRefusal {
    const fn code(&self) -> &'static str {
        match self {
            Self::Stale => "proofing_unknown",
            Self::Declined => "proofing_declined",
            Self::NotReached => "provider_not_reached",
            Self::Answer(error) => error.code(),
            Self::Weak => "proofing_weak",
            Self::Other => "proofing_other_person",
        }
    }
}

/// Stable code of a refusal, for records.
const fn refusal_code(refusal: CaseRefusal) -> &'static str {
    match refusal {
        CaseRefusal::OwnCase => "own_case",
        CaseRefusal::SameHand => "same_hand",
        CaseRefusal::NotComplete => "case_not_complete",
        CaseRefusal::NothingToDecide => "no_change",
    }
}

impl App {
    /// Opens a case for somebody whose last token is gone, and who has proved the passphrase. One that is
    /// open already goes on.
    pub async fn begin_recovery(
        &self,
        session: &Session,
        person: PersonId,
        at: At,
    ) -> Result<(), Error> {
        let (session, mailer) = (session.id, self.mailer());
        let done = self
            .store
            .write("begin_recovery", move |tx| {
                tx.lock_prescriber(person)?;
                if tx.lock_session(session)?.is_none() {
                    return Ok(None);
                }
                let Some(who) = tx.person(person)? else { return Ok(None) };
                if tx.tokens_of(person)?.iter().any(|row| row.token.is_active()) {
                    return Ok(Some(()));
                }
                open_case(tx, &mailer, &who, who.practice, CasePurpose::Recovery, at)?;
                Ok(Some(()))
            })
            .await?;
        done.ok_or(Error::SignedOut)
    }

    /// The case of somebody that is under way, or is complete and not used up.
    pub async fn own_case(&self, person: PersonId, at: At) -> Result<Option<CaseView>, Error> {
        let found = self
            .store
            .read("own_case", move |tx| {
                let row = current_case(tx, person)?;
                row.map(|row| case_view(tx, row, at.now)).transpose()
            })
            .await?;
        Ok(found.map(|view| self.with_names(view)))
    }

    /// The names of the providers are the operator's.
    pub(super) fn with_names(&self, mut view: CaseView) -> CaseView {
        let clients = &self.options.providers;
        view.providers.retain_mut(|(issuer, name)| {
            let client = clients.iter().find(|(_, client)| client.issuer == *issuer);
            if let Some((known, _)) = client {
                name.clone_from(known);
            }
            client.is_some()
        });
        view
    }

    /// Sends a code to an address on record, about the case that is under way.
    pub async fn send_case_code(
        &self,
        session: &Session,
        person: PersonId,
        channel: Channel,
        at: At,
    ) -> Result<Result<(), Hindrance>, Error> {
        let mailer = self.mailer();
        self.about_code("send_case_code", session, person, move |tx, who| {
            let Some(case) = current_case(tx, person)? else { return Ok(None) };
            let profile = tx.profile(who)?.unwrap_or_default();
            let ways = ways(&case, &profile);
            let (subject, practice) = (*case.id.as_bytes(), case.practice);
            let about = About { subject, practice, kind: "address" };
            let result = put_on_the_way(tx, &mailer, who, &profile, &ways, about, channel, at)?;
            let event = Event::success(EventKind::CodeSent, Actor::Person(person), at.support)
                .about(practice, person)
                .detail(channel.code());
            put_on_record(tx, &result, event, at.now)?;
            Ok(Some(result))
        })
        .await
    }

    /// Takes the code that went to an address on record. In a complete case it opens the quarter of an hour
    /// again.
    pub async fn take_case_code(
        &self,
        session: &Session,
        person: PersonId,
        code: &str,
        at: At,
    ) -> Result<Result<(), Hindrance>, Error> {
        let (mailer, code) = (self.mailer(), typed(code));
        self.about_code("take_case_code", session, person, move |tx, who| {
            let Some(mut case) = current_case(tx, person)? else { return Ok(None) };
            let result = take_code(tx, person, case.id.as_bytes(), &code, at.now)?;
            let mut event =
                Event::success(EventKind::AddressConfirmed, Actor::Person(person), at.support)
                    .about(case.practice, person);
            if let Ok(sent) = &result {
                event = event.detail(sent.channel.code());
                confirm_address(tx, who, sent.channel, at.now)?;
                case.address_confirmed = Some(at.now);
                if case.state == CaseState::Complete {
                    case.window_until = Some(at.now.plus_seconds(WINDOW_SECONDS));
                }
            }
            put_on_record(tx, &result, event, at.now)?;
            settle(tx, &mailer, who, &mut case, at)?;
            Ok(Some(result.map(drop)))
        })
        .await
    }

    /// Where somebody is sent to be proofed. Asks the provider for its description first.
    pub async fn begin_proofing(
        &self,
        session: &Session,
        person: PersonId,
        issuer: &str,
        at: At,
    ) -> Result<Result<String, ReplyRefusal>, Error> {
        let found = self.options.providers.iter().find(|(_, client)| client.issuer == issuer);
        let Some((_, client)) = found.cloned() else { return Err(Error::NotFound) };
        let discovery = match self.discover(&client).await {
            Ok(discovery) => discovery,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut secrets = [String::new(), String::new(), String::new()];
        for secret in &mut secrets {
            let bytes: [u8; 32] = random_array((self.rng)().as_mut())?;
            *secret = BASE64URL_NOPAD.encode(&bytes);
        }
        let [state, nonce, verifier] = secrets;
        let redirect = self.redirect_uri();
        let url =
            oidc::authorization_url(&discovery, &client, &redirect, &state, &nonce, &verifier);
        let (session, hash) = (session.id, sha256(state.as_bytes()));
        let done = self
            .store
            .write("begin_proofing", move |tx| {
                let Some(case) = current_case(tx, person)? else { return Ok(false) };
                let listed = tx.providers(case.practice)?;
                if case.state != CaseState::Open
                    || !listed.iter().any(|(known, _)| *known == client.issuer)
                {
                    return Ok(false);
                }
                let it = ProofingTry {
                    issuer: client.issuer.clone(),
                    nonce: nonce.clone(),
                    verifier: verifier.clone(),
                };
                let expires = at.now.plus_seconds(AWAY_SECONDS);
                tx.begin_proofing_try(&hash, &case, session, &it, expires)?;
                Ok(true)
            })
            .await?;
        if done { Ok(Ok(url)) } else { Err(Error::NotFound) }
    }

    fn redirect_uri(&self) -> String {
        format!("{}/proofing/return", self.options.public_url)
    }

    async fn discover(&self, client: &Client) -> Result<Discovery, ReplyRefusal> {
        let url = Discovery::address(&client.issuer);
        let body = self.ask(Call::get(&url)).await?;
        Discovery::read(&client.issuer, &body).map_err(ReplyRefusal::Answer)
    }

    async fn ask(&self, call: Call<'_>) -> Result<Vec<u8>, ReplyRefusal> {
        self.outbound.call(call).await.map_err(|fault| {
            tracing::warn!(%fault, "a proofing provider did not answer");
            match fault {
                Fault::Refused(_) => ReplyRefusal::Declined,
                Fault::NotSetUp | Fault::NotReached(_) => ReplyRefusal::NotReached,
            }
        })
    }

    /// Takes what a provider's redirect brought back: exchanges the code, checks the ID token, compares
    /// who it speaks of with who was invited.
    pub async fn end_proofing(
        &self,
        session: &Session,
        person: PersonId,
        state: &str,
        code: &str,
        at: At,
    ) -> Result<Result<(), ReplyRefusal>, Error> {
        let (session, hash) = (session.id, sha256(state.as_bytes()));
        let begun = self
            .store
            .write("end_proofing_try", move |tx| tx.end_proofing_try(&hash, session, at.now))
            .await?;
        let demonstration = self.options.demonstration;
        let answer = match &begun {
            None => Err(ReplyRefusal::Stale),
            Some(_) if code.is_empty() => Err(ReplyRefusal::Declined),
            Some((_, _, it)) => self.exchange(it, code, at.now).await,
        };
        // What the provider of a demonstration says counts nowhere else.
        let answer = answer.and_then(|claims| {
            if claims.demonstration && !demonstration {
                Err(ReplyRefusal::Weak)
            } else {
                Ok(claims)
            }
        });
        let (case, practice) = match &begun {
            Some((case, practice, _)) => (Some(*case), *practice),
            None => (None, self.prescriber(person).await?.practice),
        };
        let issuer = begun.map(|(_, _, it)| it.issuer).unwrap_or_default();
        let mailer = self.mailer();
        let done = self
            .store
            .write("end_proofing", move |tx| {
                tx.lock_prescriber(person)?;
                let mut event =
                    Event::success(EventKind::IdentityProofed, Actor::Person(person), at.support)
                        .about(practice, person)
                        .detail(&issuer);
                let result = match (&answer, case) {
                    (Ok(claims), Some(case)) => {
                        take_reply(tx, &mailer, practice, case, person, &issuer, claims, at)?
                    }
                    (Err(refusal), _) => Err(refusal.clone()),
                    (Ok(_), None) => Err(ReplyRefusal::Stale),
                };
                if let Err(refusal) = &result {
                    event.outcome = Outcome::Refused;
                    event = event.reason(refusal.code());
                }
                tx.append(&event, at.now)?;
                Ok(result)
            })
            .await?;
        Ok(done)
    }

    async fn exchange(
        &self,
        it: &ProofingTry,
        code: &str,
        now: Timestamp,
    ) -> Result<IdClaims, ReplyRefusal> {
        let found = self.options.providers.iter().find(|(_, client)| client.issuer == it.issuer);
        let Some((_, client)) = found else { return Err(ReplyRefusal::Stale) };
        let discovery = self.discover(client).await?;
        let redirect = self.redirect_uri();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect.as_str()),
            ("code_verifier", it.verifier.as_str()),
        ];
        let basic = Some((client.id.as_str(), client.secret.0.as_str()));
        let url = discovery.token_endpoint.as_str();
        let body = self.ask(Call { url, form: Some(&form), basic, bearer: None }).await?;
        let answer = TokenAnswer::read(&body).map_err(ReplyRefusal::Answer)?;
        let url = discovery.jwks_uri.as_str();
        let keys = self.ask(Call::get(url)).await?;
        let keys = KeySet::read(&keys).map_err(ReplyRefusal::Answer)?;
        oidc::verify(&answer.id_token, &keys, client, &it.nonce, now).map_err(ReplyRefusal::Answer)
    }

    /// The cases of a practice, newest first.
    pub async fn cases(&self, desk: &Desk, at: At) -> Result<Vec<CaseView>, Error> {
        let practice = desk.practice.id;
        let found = self
            .store
            .read("cases", move |tx| {
                let rows = tx.cases_of(practice, 100)?;
                rows.into_iter().map(|row| case_view(tx, row, at.now)).collect()
            })
            .await?;
        Ok(found)
    }

    /// One case of a practice.
    pub async fn case(&self, desk: &Desk, id: CaseId, at: At) -> Result<CaseView, Error> {
        let practice = desk.practice.id;
        let found = self
            .store
            .read("case", move |tx| {
                let row = tx.case(practice, id)?;
                row.map(|row| case_view(tx, row, at.now)).transpose()
            })
            .await?;
        found.map(|view| self.with_names(view)).ok_or(Error::NotFound)
    }

    /// Decides on a case, with a fresh passcode: an open screen decides nothing.
    pub async fn decide_case(
        &self,
        session: &Session,
        desk: &Desk,
        id: CaseId,
        decision: Decision,
        confirm: Confirm,
        at: At,
    ) -> Result<Asked<Result<(), CaseRefusal>>, Error> {
        let policy = self.options.policy;
        let rule = match decision {
            Decision::InPerson(_) => ConsoleChange::ProofInPerson,
            Decision::Near | Decision::NotNear => ConsoleChange::DecideNear,
            Decision::Issue => ConsoleChange::AuthorizeIssue,
        }
        .rule();
        if !rule.allows(&desk.roles) {
            return Err(Error::NotFound);
        }
        let (person, practice, mailer) = (desk.person, desk.practice.clone(), self.mailer());
        let session = session.id;
        let done = self
            .decide("decide_case", person, session, at.now, move |account, tx| {
                let mut event = Event::success(rule.event, Actor::Person(person), at.support);
                event.practice = Some(practice.id);
                let Some(row) = tx.case(practice.id, id)? else {
                    event.outcome = Outcome::Refused;
                    return Ok((Ok(None), event.reason("case_unknown")));
                };
                event.prescriber = Some(row.person);
                let proved = verify(account, confirm.chosen, &confirm.code, at, &policy);
                let passcode = passcode_event(
                    &proved,
                    person,
                    practice.id,
                    confirm.chosen,
                    Purpose::Approve,
                    at,
                );
                record(tx, &account.noted_browser(passcode, at), at.now)?;
                if let Err(refusal) = proved {
                    event.outcome = Outcome::Refused;
                    let event = event.reason(refusal.code());
                    return Ok((Ok(Some(Asked::NotConfirmed(refusal))), event));
                }
                tx.renew_passcode(session, at.now)?;
                let result = decided(tx, &mailer, &practice, row, &decision, person, at)?;
                if let Err(refusal) = &result {
                    event.outcome = Outcome::Refused;
                    event = event.reason(refusal_code(*refusal));
                }
                if let Decision::NotNear = decision {
                    event = event.detail("another person");
                }
                Ok((Ok(Some(Asked::Done(result))), event))
            })
            .await?;
        done.ok_or(Error::NotFound)
    }
}

/// Does what somebody decided.
fn decided(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    practice: &countersign_store::Practice,
    mut row: CaseRow,
    decision: &Decision,
    person: PersonId,
    at: At,
) -> Result<Result<(), CaseRefusal>, countersign_store::Error> {
    if row.state != CaseState::Open {
        return Ok(Err(CaseRefusal::NothingToDecide));
    }
    let by = tx.acting(person, practice.id, at.now)?;
    let unit = unit_of(tx, practice.id, person, decision)?;
    let today = Date::at(at.now, &practice.zone);
    let mut case = domain_case(tx, &row, at.now)?;
    let result = match decision {
        Decision::InPerson(_) if practice.setting == Setting::Practitioners => {
            // Outside institutions an outside provider proofs, and nobody else (21 CFR 1311.105).
            Err(CaseRefusal::NothingToDecide)
        }
        Decision::InPerson(seen) => {
            let evidence = EvidenceRow::InPerson {
                by: person.to_string(),
                unit,
                id_kind: seen.id_kind.clone(),
                id_last_four: seen.id_last_four.clone(),
                id_expires: seen.id_expires.to_string(),
                licence: seen.licence,
                registration: seen.registration,
                privileges: seen.privileges,
                va_confirmed: seen.va_confirmed,
                at: at.now.micros(),
            };
            let what = in_person(tx, practice.id, &evidence, at.now)?;
            let what = what.ok_or_else(|| Tx::broken("evidence that is none"))?;
            case.proof_in_person(what).map(|()| {
                row.evidence = Some(evidence);
                row.issue = None;
            })
        }
        Decision::Near => {
            case.accept_near_match(&by, at.now).map(|()| row.near = Some((person, at.now)))
        }
        Decision::NotNear => case.accept_near_match(&by, at.now).map(|()| {
            row.evidence = None;
            row.near = None;
        }),
        Decision::Issue => case
            .authorize_issue(&by, &unit, today)
            .map(|()| row.issue = case.issue.map(|(by, unit)| (by.person, unit))),
    };
    if result.is_ok() {
        let who = tx.person(row.person)?.ok_or_else(|| Tx::broken("a case of nobody"))?;
        settle(tx, mailer, &who, &mut row, at)?;
    }
    Ok(result)
}

/// The unit in which somebody does what they decide.
fn unit_of(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    person: PersonId,
    decision: &Decision,
) -> Result<String, countersign_store::Error> {
    let role = if let Decision::Issue = decision { Role::Issuing } else { Role::Proofing };
    let members = tx.roles_of(person)?;
    let found = members.into_iter().find(|(place, it)| *place == practice && it.role == role);
    Ok(found.map(|(_, member)| member.unit).unwrap_or_default())
}

/// Takes what a provider said, if it vouches enough and speaks of this person.
#[expect(clippy::too_many_arguments, reason = "each is a fact of the reply")]
fn take_reply(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    practice: PracticeId,
    case: CaseId,
    person: PersonId,
    issuer: &str,
    claims: &IdClaims,
    at: At,
) -> Result<Result<(), ReplyRefusal>, countersign_store::Error> {
    let Some(mut row) = tx.case(practice, case)?.filter(|row| row.person == person) else {
        return Ok(Err(ReplyRefusal::Stale));
    };
    let Some(who) = tx.person(person)? else { return Ok(Err(ReplyRefusal::Stale)) };
    let provider = provider(tx, practice, issuer)?;
    let weak = provider.is_none_or(|it| it.assurance(claims.assurance()) < Assurance::Ial2);
    if row.state != CaseState::Open {
        return Ok(Err(ReplyRefusal::Stale));
    }
    if weak {
        return Ok(Err(ReplyRefusal::Weak));
    }
    let clip = |text: &str| shown_line(text, 200);
    let evidence = EvidenceRow::Provider {
        issuer: issuer.to_owned(),
        subject: clip(&claims.sub),
        assurance: clip(claims.assurance()),
        proofed: Profile {
            given: clip(&claims.given_name),
            middle: clip(&claims.middle_name),
            family: clip(&claims.family_name),
            born: clip(&claims.birthdate),
            address: clip(&claims.address.formatted),
            ..Profile::default()
        },
        npi: clip(&claims.npi),
        at: at.now.micros(),
    };
    let kept = CaseRow { evidence: Some(evidence), near: None, ..row.clone() };
    let seen = domain_case(tx, &kept, at.now)?;
    if matches!(seen.evidence, Some(Evidence::Provider { identity: Match::Other, .. })) {
        // Nothing of another person is kept.
        return Ok(Err(ReplyRefusal::Other));
    }
    row = kept;
    settle(tx, mailer, &who, &mut row, at)?;
    Ok(Ok(()))
}

fn provider(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    issuer: &str,
) -> Result<Option<Provider>, countersign_store::Error> {
    let listed = tx.providers(practice)?.into_iter().find(|(known, _)| known == issuer);
    Ok(listed.map(|(issuer, accepted)| Provider {
        issuer,
        accepted: accepted.split_whitespace().map(str::to_owned).collect(),
    }))
}

/// Notes that a code went to an address and came back.
pub(super) fn confirm_address(
    tx: &mut Tx<'_>,
    who: &Person,
    channel: Channel,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    let Some(mut profile) = tx.profile(who)? else { return Ok(()) };
    match channel {
        Channel::Phone => profile.phone_confirmed = Some(now.micros()),
        Channel::Post => profile.address_confirmed = Some(now.micros()),
        Channel::Email | Channel::Portal => {}
    }
    tx.save_profile(who, &profile, now)
}

/// The newest case of somebody that was not given up or used up.
pub(super) fn current_case(
    tx: &mut Tx<'_>,
    person: PersonId,
) -> Result<Option<CaseRow>, countersign_store::Error> {
    Ok(tx.cases_for(person)?.into_iter().find(|case| case.state != CaseState::Closed))
}

/// Opens a case, unless one of that purpose is under way; whoever can act is told.
pub(super) fn open_case(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    who: &Person,
    practice: PracticeId,
    purpose: CasePurpose,
    at: At,
) -> Result<(), countersign_store::Error> {
    if current_case(tx, who.id)?.is_some_and(|case| case.purpose == purpose) {
        return Ok(());
    }
    let id = CaseId::new(at.now, tx.rng())?;
    tx.create_case(&CaseRow {
        id,
        practice,
        person: who.id,
        purpose,
        opened: at.now,
        state: CaseState::Open,
        evidence: None,
        near: None,
        address_confirmed: None,
        issue: None,
        complete_at: None,
        window_until: None,
    })?;
    let event = Event::success(EventKind::CaseOpened, Actor::Person(who.id), at.support)
        .about(practice, who.id)
        .detail(purpose.code());
    tx.append(&event, at.now)?;
    let path = format!("/practice/{practice}/cases/{id}");
    let notice = Notice { note: Note::CaseOpened, practice, detail: &who.name, path: &path };
    mailer.tell_roles(tx, &notice, &[Role::Proofing, Role::Issuing], Some(who.id), at.now)?;
    if purpose != CasePurpose::Enrolment {
        // Whoever has the passphrase, or an e-mail account, may not be its owner.
        let notice = Notice { note: Note::RecoveryBegun, path: "/portal/login", ..notice };
        mailer.tell(tx, who, &notice, &[], at.now)?;
    }
    Ok(())
}

/// Writes a case; where nothing is missing any more it is complete, and opens the quarter of an hour.
fn settle(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    who: &Person,
    row: &mut CaseRow,
    at: At,
) -> Result<(), countersign_store::Error> {
    if row.state == CaseState::Open {
        let case = domain_case(tx, row, at.now)?;
        let zone = tx.practice(row.practice)?.ok_or_else(|| Tx::broken("no practice"))?.zone;
        if missing(&case, Date::at(at.now, &zone)).is_empty() {
            row.state = CaseState::Complete;
            row.complete_at = Some(at.now);
            row.window_until = Some(at.now.plus_seconds(WINDOW_SECONDS));
            let event = Event::success(EventKind::CaseClosed, Actor::System, at.support)
                .about(row.practice, row.person)
                .detail(&format!("{}: complete", row.purpose.code()));
            tx.append(&event, at.now)?;
            let path =
                if row.purpose == CasePurpose::Recovery { "/portal/login" } else { "/enrol" };
            let practice = row.practice;
            let notice = Notice { note: Note::CaseComplete, practice, detail: "", path };
            mailer.tell(tx, who, &notice, &[], at.now)?;
        }
    }
    tx.save_case(row)
}

/// The ways on which a code about a case can go: at a first enrolment to what was invited, later only to
/// what was confirmed before.
fn ways(case: &CaseRow, profile: &Profile) -> Vec<(Channel, String)> {
    channels(profile, case.purpose != CasePurpose::Enrolment)
}

/// A case with what pages show beside it.
pub(super) fn case_view(
    tx: &mut Tx<'_>,
    row: CaseRow,
    now: Timestamp,
) -> Result<CaseView, countersign_store::Error> {
    let who = tx.person(row.person)?.ok_or_else(|| Tx::broken("a case of nobody"))?;
    let practice = tx.practice(row.practice)?.ok_or_else(|| Tx::broken("no practice"))?;
    let case = domain_case(tx, &row, now)?;
    let mut missing = match row.state {
        CaseState::Open => missing(&case, Date::at(now, &practice.zone)),
        CaseState::Complete | CaseState::Closed => Vec::new(),
    };
    if practice.setting == Setting::Practitioners {
        // An outside provider will issue by its own rules; no unit here is waited for.
        missing.retain(|it| *it != Missing::Issue);
    }
    let differences = match &case.evidence {
        Some(Evidence::Provider { identity: Match::Near(found), .. }) => found.clone(),
        _ => Vec::new(),
    };
    let profile = tx.profile(&who)?.unwrap_or_default();
    let mut helpers = Vec::new();
    for member in tx.roles_in(practice.id)? {
        let acts = match member.role {
            Role::Proofing => true,
            // Whoever proofed in person does not issue, nor does anybody of that unit (21 CFR 1311.110(b)).
            Role::Issuing => match &row.evidence {
                Some(EvidenceRow::InPerson { by, unit, .. }) => {
                    *by != member.person.to_string()
                        && !unit.trim().eq_ignore_ascii_case(member.unit.trim())
                }
                _ => true,
            },
            _ => false,
        };
        if acts && member.ended.is_none() && member.person != row.person {
            let name = tx.person(member.person)?.map(|found| found.name).unwrap_or_default();
            helpers.push((member.role, name));
        }
    }
    let providers = tx.providers(practice.id)?;
    Ok(CaseView {
        sent: on_the_way(tx, row.person, row.id.as_bytes(), now)?,
        ways: ways(&row, &profile),
        name: who.name,
        missing,
        differences,
        setting: practice.setting,
        providers: providers.into_iter().map(|(issuer, _)| (issuer.clone(), issuer)).collect(),
        helpers,
        row,
    })
}

/// A case as the rules see it, with the people as they are now.
fn domain_case(
    tx: &mut Tx<'_>,
    row: &CaseRow,
    now: Timestamp,
) -> Result<Case, countersign_store::Error> {
    let who = tx.person(row.person)?.ok_or_else(|| Tx::broken("a case of nobody"))?;
    let roles = tx.roles_of(row.person)?;
    let evidence = match &row.evidence {
        None => None,
        Some(EvidenceRow::Provider { issuer, assurance, proofed, npi, .. }) => {
            let known = tx.profile(&who)?.unwrap_or_default();
            let listed = provider(tx, row.practice, issuer)?;
            let assurance = listed.as_ref().map_or(Assurance::Lower, |it| it.assurance(assurance));
            let invited = identity(&known, who.sign_in.npi());
            let proofed = identity(proofed, npi.parse().ok());
            let identity = compare(&invited, &proofed);
            Some(Evidence::Provider { assurance, listed: listed.is_some(), identity })
        }
        Some(seen @ EvidenceRow::InPerson { .. }) => {
            in_person(tx, row.practice, seen, now)?.map(Evidence::InPerson)
        }
    };
    let issue = match &row.issue {
        Some((by, unit)) => Some((tx.acting(*by, row.practice, now)?, unit.clone())),
        None => None,
    };
    Ok(Case {
        subject: tx.acting(row.person, row.practice, now)?,
        prescribes: roles.iter().any(|(_, member)| member.role == Role::Prescriber),
        evidence,
        near_match_accepted: row.near,
        address_confirmed: row.address_confirmed.is_some(),
        issue,
    })
}

fn identity(of: &Profile, npi: Option<Npi>) -> Identity {
    Identity {
        name: PersonName {
            given: of.given.clone(),
            middle: of.middle.clone(),
            family: of.family.clone(),
            suffix: of.suffix.clone(),
        },
        born: of.born.parse().ok(),
        npi,
        address: Some(of.address.clone()).filter(|address| !address.is_empty()),
    }
}

fn in_person(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    seen: &EvidenceRow,
    now: Timestamp,
) -> Result<Option<InPerson>, countersign_store::Error> {
    let EvidenceRow::InPerson {
        by,
        unit,
        id_kind,
        id_last_four,
        id_expires,
        licence,
        registration,
        privileges,
        va_confirmed,
        ..
    } = seen
    else {
        return Ok(None);
    };
    let (Ok(by), Ok(expires)) = (by.parse::<PersonId>(), id_expires.parse::<Date>()) else {
        return Ok(None);
    };
    let standing = |good: bool| if good { Standing::Good } else { Standing::Withdrawn };
    Ok(Some(InPerson {
        by: tx.acting(by, practice, now)?,
        unit: unit.clone(),
        photo_id: PhotoId { kind: id_kind.clone(), last_four: id_last_four.clone(), expires },
        licence: standing(*licence),
        registration: registration.then_some(Standing::Good),
        privileges: *privileges,
        va_confirmed: *va_confirmed,
    }))
}

/// Whether a session may add a first token now: its case is complete, its quarter of an hour runs.
pub(super) fn window(
    tx: &mut Tx<'_>,
    person: PersonId,
    stage: Stage,
    now: Timestamp,
) -> Result<Option<CaseRow>, countersign_store::Error> {
    let Some(case) = current_case(tx, person)? else { return Ok(None) };
    let fits = match stage {
        Stage::Enrolling { .. } => case.purpose != CasePurpose::Recovery,
        Stage::Passphrase { .. } | Stage::Full { .. } => case.purpose == CasePurpose::Recovery,
        Stage::Launched | Stage::Resetting { .. } => false,
    };
    let open =
        case.state == CaseState::Complete && case.window_until.is_some_and(|until| now < until);
    Ok(Some(case).filter(|_| fits && open))
}
