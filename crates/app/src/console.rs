//! What a practice decides in its console, one person at a time: roles that do not decide over signing,
//! the time zone of its deadlines, models of tokens that it does not want. And its founding.

mod founding;

use countersign_domain::{
    Actor, Event, ModelCode, Outcome, PersonId, Purpose, Refusal, Role, TimeZone, Timestamp, Token,
    TokenModel, console::ConsoleChange, enrolment::Stage as Step,
};
use countersign_store::{Authority, CasePurpose, InvitationRow, Session, Tx};

use super::{
    Account, App, At, Confirm, Error, Membership,
    access::{leave, membership, overtake_if_gone},
    enrol::enrolment,
    log,
    notices::{Note, Notice},
    record,
    sign_in::{passcode_event, verify},
    tell_owner,
};

pub use founding::{Founder, FoundingRefusal};

/// Somebody who changes something in the console of a practice: where, in which session, and with which fresh
/// passcode.
#[derive(Clone)]
pub struct Act {
    /// Where, and as what.
    pub membership: Membership,
    /// In which session.
    pub session: Session,
    /// A fresh passcode, where one was asked for.
    pub confirm: Option<Confirm>,
}

/// A prescriber and how their tokens stand.
#[derive(Clone)]
pub struct Fleet {
    /// Who.
    pub person: PersonId,
    /// The tokens that are not disabled for good.
    pub tokens: Vec<Token>,
    /// Until when all of them pause, after wrong codes.
    pub blocked_until: Option<Timestamp>,
    /// The step of the enrolment that is due; `Done` where there is none.
    pub step: Step,
}

/// By which rules a practice works.
#[derive(Clone)]
pub struct Rules {
    /// The models that the operator has judged.
    pub models: Vec<TokenModel>,
    /// Those that the practice does not let sign: model, why, since when, who.
    pub refused: Vec<(ModelCode, String, Timestamp, PersonId)>,
    /// Proofing providers that it accepts: issuer, values that stand for IAL2.
    pub providers: Vec<(String, String)>,
    /// Those that the operator has set up: name, issuer.
    pub offered: Vec<(String, String)>,
    /// Invitations, newest first.
    pub invitations: Vec<InvitationRow>,
}

impl App {
    /// Makes a change in the console, as the table of them says: by somebody with one of its roles, with as fresh a
    /// passcode as it asks for, and with its record, all in one transaction. Roles are read again there, so that one
    /// that was taken meanwhile does nothing any more. The passcode is consumed before `work` begins. Where `work`
    /// finds nothing to change it answers with nothing; where the passcode is missing or refused, nothing is done.
    pub(super) async fn console<T, F>(
        &self,
        act: Act,
        change: ConsoleChange,
        at: At,
        mut work: F,
    ) -> Result<Result<T, Refusal>, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, Event) -> Result<Option<(T, Event)>, countersign_store::Error>
            + Send
            + 'static,
    {
        let rule = change.rule();
        if !rule.allows(&act.membership.roles) {
            return Err(Error::NotFound);
        }
        let (policy, in_doubt, mailer) =
            (self.options.policy, self.in_doubt.clone(), self.mailer());
        let (watch, consumed) = self.in_doubt.watch();
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        let (session, confirm) = (act.session.id, act.confirm);
        let result = self
            .store
            .write(rule.event.code(), move |tx| {
                // Prescriber, then session, then token: the order in which everyone locks.
                let owner = tx.lock_prescriber(by)?;
                let Some(passcode_at) = tx.lock_session(session)? else {
                    return Ok(Err(Error::SignedOut));
                };
                if !membership(tx, by, practice)?.is_some_and(|it| rule.allows(&it.roles)) {
                    return Ok(Err(Error::NotFound));
                }
                let rows = tx.tokens_of(by)?;
                let mut account = Account::new(owner, passcode_at, rows, in_doubt.clone());
                let before = account.clone();
                let mut event = Event::success(rule.event, Actor::Person(by), at.support);
                event.practice = Some(practice);
                if rule.step_up.asks(account.needs_step_up(&policy, at.now)) {
                    let proved = match &confirm {
                        None => Err(Refusal::StepUpNeeded),
                        Some(confirm) => {
                            let proved =
                                verify(&mut account, confirm.chosen, &confirm.code, at, &policy);
                            let (chosen, purpose) = (confirm.chosen, Purpose::Approve);
                            let passcode =
                                passcode_event(&proved, by, practice, chosen, purpose, at);
                            record(tx, &account.noted_browser(passcode, at), at.now)?;
                            consumed.set(account.consumed_since(&before));
                            account.save_changes(&before, by, tx)?;
                            account.tell_new_pause(&before, by, &mailer, tx, at.now)?;
                            proved.map(drop)
                        }
                    };
                    if let Err(refusal) = proved {
                        event.outcome = Outcome::Refused;
                        let event = event.reason(refusal.code());
                        tx.append(&event, at.now)?;
                        return Ok(Ok((Err(refusal), event)));
                    }
                    tx.renew_passcode(session, at.now)?;
                }
                let Some((done, event)) = work(tx, event)? else { return Ok(Err(Error::NotFound)) };
                record(tx, &event, at.now)?;
                tell_owner(&mailer, &event, tx, at.now)?;
                Ok(Ok((Ok(done), event)))
            })
            .await;
        watch.settle(&result);
        let (answer, event) = result??;
        log(&event);
        Ok(answer)
    }

    /// Gives or takes the role that one person may: prescriber. Who no longer prescribes here no longer signs here.
    pub async fn set_prescriber(
        &self,
        act: Act,
        person: PersonId,
        give: bool,
        reason: String,
        at: At,
    ) -> Result<Result<Result<(), Refusal>, Refusal>, Error> {
        let (by, practice, mailer) =
            (act.membership.person, act.membership.practice.id, self.mailer());
        let role = Role::Prescriber;
        self.console(act, ConsoleChange::SetPrescriber, at, move |tx, event| {
            if !tx.is_member(person, practice)? {
                return Ok(None);
            }
            let mut event =
                event.about(practice, person).detail(&format!("{}: {reason}", role.code()));
            let changed = if give {
                tx.give_role(person, practice, role, "", at.now)?
            } else {
                tx.end_role(person, practice, role, at.now)?
            };
            if !changed {
                event.outcome = Outcome::Refused;
                let event = event.reason(Refusal::NoChange.code());
                return Ok(Some((Err(Refusal::NoChange), event)));
            }
            if !give {
                leave(tx, &mailer, person, practice, by, at)?;
                overtake_if_gone(tx, person, practice, at)?;
            }
            Ok(Some((Ok(()), event.reason(if give { "given" } else { "taken" }))))
        })
        .await
    }

    /// By which rules the practice works.
    pub async fn rules(&self, membership: &Membership) -> Result<Rules, Error> {
        let practice = membership.practice.id;
        let offered: Vec<(String, String)> = self
            .options
            .providers
            .iter()
            .map(|(name, client)| (name.clone(), client.issuer.clone()))
            .collect();
        let rules = self
            .store
            .read("rules", move |tx| {
                Ok(Rules {
                    models: tx.token_models()?,
                    refused: tx.refused_models(practice)?,
                    providers: tx.providers(practice)?,
                    invitations: tx.invitations_of(practice, 100)?,
                    offered: offered.clone(),
                })
            })
            .await?;
        Ok(rules)
    }

    /// Counts the deadlines of the practice, and the last days of its registrations, in another time zone. A last
    /// day that stands ends no later for that: what holds longer takes two people.
    pub async fn set_time_zone(
        &self,
        act: Act,
        zone: TimeZone,
        reason: String,
        at: At,
    ) -> Result<Result<(), Refusal>, Error> {
        let (by, practice, mailer) =
            (act.membership.person, act.membership.practice.clone(), self.mailer());
        self.console(act, ConsoleChange::SetTimeZone, at, move |tx, event| {
            tx.save_practice_rules(practice.id, practice.setting, &zone)?;
            for it in tx.all_authorities(practice.id)? {
                let Some(it) = tx.authority(practice.id, it.id)? else { continue };
                let stops_at = it.paper.expires().end(&zone).min(it.stops_at);
                tx.save_authority(&Authority { stops_at, ..it })?;
            }
            let detail = format!("From {} to {}.", practice.zone.name(), zone.name());
            let path = format!("/practice/{}/rules", practice.id);
            let (note, practice) = (Note::ZoneChanged, practice.id);
            let notice = Notice { note, practice, detail: &detail, path: &path };
            mailer.tell_designated(tx, &notice, Some(by), at.now)?;
            Ok(Some(((), event.detail(&format!("time zone {}: {reason}", zone.name())))))
        })
        .await
    }

    /// Lets tokens of a model sign no more in this practice, or again. What the operator forbids stays
    /// forbidden. `false` where it is so already.
    pub async fn refuse_model(
        &self,
        act: Act,
        model: ModelCode,
        refuse: bool,
        reason: String,
        at: At,
    ) -> Result<Result<bool, Refusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.console(act, ConsoleChange::RefuseModel, at, move |tx, event| {
            let why = refuse.then_some(reason.as_str());
            let changed = tx.refuse_model(practice, &model, why, by, at.now)?;
            let how = if refuse { "refused" } else { "allowed" };
            let mut event = event.detail(&format!("model {model} {how}: {reason}"));
            if !changed {
                event.outcome = Outcome::Refused;
                event = event.reason(Refusal::NoChange.code());
            }
            Ok(Some((changed, event)))
        })
        .await
    }

    /// How the people of the practice stand: their tokens, and the step that an enrolment waits for.
    pub async fn fleet(&self, membership: &Membership, at: At) -> Result<Vec<Fleet>, Error> {
        let practice = membership.practice.id;
        let found = self
            .store
            .read("fleet", move |tx| {
                let mut found = Vec::new();
                for person in tx.people_of(practice)? {
                    let Some(it) = enrolment(tx, person.id, practice, at.now)? else { continue };
                    // Whoever has logged in once is through with all but the grant. Those whom the operator
                    // made were proofed as the operator did it.
                    let again = it
                        .case
                        .as_ref()
                        .is_some_and(|case| case.row.purpose == CasePurpose::Passphrase);
                    let step = match (&it.person.passphrase, it.facts.granted) {
                        (Some(_), true) if !again => Step::Done,
                        (Some(_), false) if !again => Step::Access,
                        _ => it.step(),
                    };
                    // Of somebody of another practice too: a token is one person's.
                    let kept = |token: &Token| token.is_active() || token.is_temporarily_disabled();
                    found.push(Fleet {
                        person: person.id,
                        step: if person.closed { Step::Done } else { step },
                        tokens: it.tokens.into_iter().filter(kept).collect(),
                        blocked_until: it
                            .person
                            .failures
                            .in_a_row
                            .blocked_until
                            .filter(|u| at.now < *u),
                    });
                }
                Ok(found)
            })
            .await?;
        Ok(found)
    }
}
