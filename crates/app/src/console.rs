//! What a practice decides in its console, one person at a time: roles that do not decide over signing,
//! the time zone of its deadlines, models of tokens that it does not want. And its founding.

mod founding;

use std::convert::Infallible;

use countersign_domain::{
    ModelCode, PersonId, Refusal, Role, TimeZone, Timestamp, Token, TokenModel, command::commands,
    enrolment::Stage as Step,
};
use countersign_store::{Authority, CasePurpose, InvitationRow, Session};

use super::{
    Answer, App, At, Confirm, Error, Membership,
    access::{leave, overtake_if_gone},
    command::{Caller, Decision},
    enrol::enrolment,
    notices::{Note, Notice},
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
    /// Gives or takes the role that one person may: prescriber. Who no longer prescribes here no longer signs here.
    pub async fn set_prescriber(
        &self,
        act: Act,
        person: PersonId,
        give: bool,
        reason: String,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        let role = Role::Prescriber;
        self.run(commands::SET_PRESCRIBER, Caller::Member(Box::new(act)), at, move |cx| {
            if !cx.tx.is_member(person, practice)? {
                return Ok(Decision::NotFound);
            }
            cx.about(person);
            cx.detail(&format!("{}: {reason}", role.code()));
            let tx = &mut *cx.tx;
            let changed = if give {
                tx.give_role(person, practice, role, "", at.now)?
            } else {
                tx.end_role(person, practice, role, at.now)?
            };
            if !changed {
                return Ok(Decision::Refused(Refusal::NoChange));
            }
            if !give {
                leave(tx, cx.mailer, person, practice, by, at)?;
                overtake_if_gone(tx, person, practice, at)?;
            }
            cx.reason(if give { "given" } else { "taken" });
            Ok(Decision::Done(()))
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
    ) -> Result<Answer<(), Infallible>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.clone());
        self.run(commands::SET_TIME_ZONE, Caller::Member(Box::new(act)), at, move |cx| {
            let tx = &mut *cx.tx;
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
            cx.mailer.tell_designated(tx, &notice, Some(by), at.now)?;
            cx.detail(&format!("time zone {}: {reason}", zone.name()));
            Ok(Decision::Done(()))
        })
        .await
    }

    /// Lets tokens of a model sign no more in this practice, or again. What the operator forbids stays
    /// forbidden.
    pub async fn refuse_model(
        &self,
        act: Act,
        model: ModelCode,
        refuse: bool,
        reason: String,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::REFUSE_MODEL, Caller::Member(Box::new(act)), at, move |cx| {
            let why = refuse.then_some(reason.as_str());
            let changed = cx.tx.refuse_model(practice, &model, why, by, at.now)?;
            let how = if refuse { "refused" } else { "allowed" };
            cx.detail(&format!("model {model} {how}: {reason}"));
            Ok(Decision::of(changed.then_some(()).ok_or(Refusal::NoChange)))
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
