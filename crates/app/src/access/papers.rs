//! Registrations and licenses: entered, widened, narrowed and ended.

use countersign_domain::{
    Actor, AuthorityId, Date, Event, Outcome, PersonId, Refusal,
    access::{AccessRefusal, Cause},
    command::commands,
};
use countersign_store::{Authority, Paper, Practice, Tx};

use super::{
    Decided,
    requests::{Wanted, put_request},
    revocation::take_unsupported,
};
use crate::{
    Act, Answer, App, At, Error,
    command::{Caller, Decision},
    notices::{Mailer, Note, Notice},
};

/// A registration or a licence as the console enters it.
#[derive(Debug, Clone)]
pub struct NewPaper {
    /// Whose; none for the institution's own.
    pub person: Option<PersonId>,
    /// What it is.
    pub paper: Paper,
    /// Why, in words.
    pub reason: String,
}

/// What became of a registration or licence that was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaperDone {
    /// It stands so now: it is new, nothing rests on it, or it is narrower than it was.
    Saved,
    /// Another person must approve it.
    Waits,
    /// What was narrower stands now, and another person must approve the rest.
    SavedAndWaits,
    /// What was narrower stands now, and the rest was not entered.
    SavedAlone(AccessRefusal),
}

impl App {
    /// Enters a registration or a licence. What is new and on which nothing rests stands at once, and so does what
    /// is narrower or shorter than it was; what holds longer or for more waits for another person.
    pub async fn enter_paper(
        &self,
        act: Act,
        it: NewPaper,
        at: At,
    ) -> Result<Answer<PaperDone, AccessRefusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.clone());
        let (place, paper) = (practice.id, it.paper.clone());
        let known = self
            .store
            .read("known_papers", move |tx| {
                let all = tx.authorities(place, it.person)?;
                Ok(all.iter().any(|known| known.paper.is_same(&paper)))
            })
            .await?;
        let change = if known { commands::NARROW_PAPER } else { commands::ENTER_PAPER };
        self.run(change, Caller::Member(Box::new(act)), at, move |cx| {
            if let Some(person) = it.person
                && !cx.tx.belongs(person, practice.id)?
            {
                return Ok(Decision::NotFound);
            }
            let event = cx.event.clone();
            let put = put_paper(cx.tx, cx.mailer, &practice, by, &it, event, at)?;
            let Some((done, event)) = put else { return Ok(Decision::NotFound) };
            cx.event = event;
            Ok(Decision::of(done))
        })
        .await
    }

    /// Ends a registration or a licence at once: it was withdrawn, suspended or given up (21 CFR 1311.125(d)(3)).
    /// The permissions that rest on it are taken away; a second person confirms the record.
    pub async fn end_paper(
        &self,
        act: Act,
        person: Option<PersonId>,
        id: AuthorityId,
        reason: String,
        at: At,
    ) -> Result<Answer<(), Refusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::NARROW_PAPER, Caller::Member(Box::new(act)), at, move |cx| {
            let found = cx.tx.authority(practice, id)?;
            let of = |it: &Authority| it.person.is_none() || it.person == person;
            let Some(known) = found.filter(of) else { return Ok(Decision::NotFound) };
            cx.about(known.person);
            if known.withdrawn.is_some() {
                return Ok(Decision::Refused(Refusal::NoChange));
            }
            let (tx, mailer) = (&mut *cx.tx, cx.mailer);
            let ended = Authority { withdrawn: Some(at.now), ..known.clone() };
            tx.save_authority(&ended)?;
            let (actor, cause) = (Actor::Person(by), Cause::Withdrawn);
            take_unsupported(tx, mailer, &ended, cause, actor, true, at)?;
            say_paper(tx, mailer, &ended, by, at)?;
            cx.detail(&changed_paper(&ended.paper, &known.says(), &ended.says(), &reason));
            Ok(Decision::Done(()))
        })
        .await
    }
}

/// What a change of a registration or licence was, for its record: before and after.
pub(super) fn changed_paper(paper: &Paper, before: &str, after: &str, reason: &str) -> String {
    let before = if before.is_empty() { "none" } else { before };
    format!("{}: {before} -> {after}. {reason}", paper.label())
}

/// What a registration or license says, such as `Paper::says` gives it, as a page shows it: with the date in words.
pub fn paper_in_words(says: &str) -> String {
    let Some((before, rest)) = says.split_once(", last day ") else { return says.to_owned() };
    let (day, after) = rest.split_at_checked(10).unwrap_or((rest, ""));
    let day = day.parse().map_or_else(|_| day.to_owned(), Date::text);
    format!("{before}, expires {day}{after}")
}

/// Tells the holder and those who set access control of a change of a registration or licence.
pub(super) fn say_paper(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    it: &Authority,
    by: PersonId,
    at: At,
) -> Result<(), countersign_store::Error> {
    let owner = it.person.map(|id| tx.person(id)).transpose()?.flatten();
    let whose = owner.as_ref().map_or("The institution", |person| &person.name);
    let detail = format!("{whose}: {}, {}", it.paper.label(), paper_in_words(&it.says()));
    let (note, practice) = (Note::PaperChanged, it.practice);
    let notice = Notice { note, practice, detail: &detail, path: "/portal" };
    if let Some(person) = &owner {
        mailer.inform(tx, person, &notice, at.now)?;
    }
    mailer.tell_designated(tx, &notice, it.person.or(Some(by)), at.now).map(drop)
}

/// Writes a registration or licence as far as one person may, and enters a change for the rest.
fn put_paper(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    practice: &Practice,
    by: PersonId,
    it: &NewPaper,
    mut event: Event,
    at: At,
) -> Result<Decided<PaperDone>, countersign_store::Error> {
    event.prescriber = it.person;
    let stops_at = |paper: &Paper| paper.expires().end(&practice.zone);
    let known = tx.authorities(practice.id, it.person)?;
    let id = known.iter().find(|known| known.paper.is_same(&it.paper)).map(|known| known.id);
    let known = match id {
        // Nobody else changes it until the commit.
        Some(id) => tx.authority(practice.id, id)?,
        None => None,
    };
    let relied = tx.is_relied_on(practice.id, it.person, id, &it.paper)?;
    let before = known.as_ref().map(Authority::says).unwrap_or_default();
    let moved = |known: &Authority| known.paper.state() != it.paper.state();
    if relied && known.as_ref().is_some_and(moved) {
        // The records of the old state are kept by its rules.
        event.outcome = Outcome::Refused;
        let refusal = AccessRefusal::OtherState;
        return Ok(Some((Err(refusal), event.reason(refusal.code()))));
    }
    let now = match &known {
        // The institution's own is named when the practice is founded.
        None if it.person.is_none() => return Ok(None),
        None if relied => None,
        Some(known) if relied => {
            let narrow = known.paper.narrowed(&it.paper);
            // Where nothing of it is left, it ends until the rest is approved.
            let withdrawn = known.withdrawn.or(narrow.is_none().then_some(at.now));
            let paper = narrow.unwrap_or_else(|| known.paper.clone());
            Some(Authority {
                stops_at: known.stops_at.min(stops_at(&paper)),
                paper,
                withdrawn,
                ..known.clone()
            })
        }
        Some(known) => Some(Authority {
            stops_at: stops_at(&it.paper),
            paper: it.paper.clone(),
            withdrawn: None,
            ..known.clone()
        }),
        None => Some(Authority {
            id: AuthorityId::new(at.now, tx.rng())?,
            practice: practice.id,
            person: it.person,
            paper: it.paper.clone(),
            stops_at: stops_at(&it.paper),
            withdrawn: None,
            warned: None,
        }),
    };
    let waits = match &now {
        None => true,
        Some(now) => now.withdrawn.is_some() || it.paper.is_wider(&now.paper),
    };
    let mut saved = false;
    if let Some(now) = &now {
        saved = known.as_ref().is_none_or(|known| known.says() != now.says());
        if known.is_none() {
            tx.create_authority(now, at.now)?;
        } else if saved {
            tx.save_authority(&Authority { warned: None, ..now.clone() })?;
        }
        if saved {
            if !now.holds(at.now) {
                let ended = now.withdrawn.is_some();
                let cause = if ended { Cause::Withdrawn } else { Cause::Expired };
                take_unsupported(tx, mailer, now, cause, Actor::Person(by), true, at)?;
            }
            say_paper(tx, mailer, now, by, at)?;
            event = event.detail(&changed_paper(&now.paper, &before, &now.says(), &it.reason));
        }
    }
    if !waits {
        let done = if saved {
            Ok(PaperDone::Saved)
        } else {
            event.outcome = Outcome::Refused;
            event = event.reason(AccessRefusal::NoChange.code());
            Err(AccessRefusal::NoChange)
        };
        return Ok(Some((done, event)));
    }
    let wanted = Wanted::Paper {
        person: it.person,
        authority: id,
        paper: it.paper.clone(),
        before: now.as_ref().map(Authority::says).unwrap_or_default(),
    };
    if saved {
        tx.append(&event, at.now)?;
    }
    let asked = put_request(tx, mailer, practice.id, by, &wanted, &it.reason, at)?;
    Ok(asked.map(|(asked, event)| {
        let done = match asked {
            Ok(_) if saved => Ok(PaperDone::SavedAndWaits),
            Ok(_) => Ok(PaperDone::Waits),
            Err(refusal) if saved => Ok(PaperDone::SavedAlone(refusal)),
            Err(refusal) => Err(refusal),
        };
        (done, event)
    }))
}
