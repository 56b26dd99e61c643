//! A practitioner with the registrations, licenses and codes that decide what they may sign.

use countersign_domain::{
    AuthorityId, Date, DeaNumber, Holder, NoAuthority, PersonId, PracticeId, Registered, Role,
    Standing, Timestamp, UsState,
    certification::RunningBuild,
    prescription::{Content, Lack, Rules, series_lacking},
    signing::{Installation, NumberFacts, SigningFacts, SigningHindrance, hindrances},
};
use countersign_store::{Paper, Tx};

use super::{
    judgment::{Ground, Judgment},
    today,
};
use crate::certification;

/// Somebody who prescribes in a practice, with all that decides whether they may, as it stands now.
#[derive(Clone)]
pub(crate) struct Practitioner {
    id: PersonId,
    name: String,
    pub(super) address: String,
    practice: PracticeId,
    /// Today where the practice is.
    pub(crate) today: Date,
    /// Their registrations, the institution's first: a number that is the institution's is used as such.
    registrations: Vec<(AuthorityId, Registered)>,
    licenses: Vec<(UsState, Standing)>,
}

impl Practitioner {
    pub(crate) fn of(
        tx: &mut Tx<'_>,
        id: PersonId,
        practice: PracticeId,
        now: Timestamp,
    ) -> Result<Option<Self>, countersign_store::Error> {
        let Some(person) = tx.person(id)? else { return Ok(None) };
        let address = tx.profile(&person)?.map(|profile| profile.address).unwrap_or_default();
        let code = tx.internal_code(practice, id)?;
        let mut papers = tx.authorities(practice, None)?;
        papers.extend(tx.authorities(practice, Some(id))?);
        let mut registrations: Vec<(AuthorityId, Registered)> = Vec::new();
        let mut licenses = Vec::new();
        for it in papers {
            let standing = it.standing(now);
            let holder = match it.person {
                Some(_) => Holder::Practitioner,
                None => Holder::Institution(code.clone()),
            };
            match it.paper {
                // The institution's number is nobody's own, whoever entered it as such.
                Paper::Dea(registration)
                    if registrations
                        .iter()
                        .any(|(_, it)| it.registration.number == registration.number) => {}
                Paper::Dea(registration) => {
                    registrations.push((it.id, Registered { registration, standing, holder }));
                }
                Paper::Licence(license) if holder == Holder::Practitioner => {
                    licenses.push((license.state, standing));
                }
                Paper::Licence(_) => {}
            }
        }
        let today = today(tx, practice, now)?;
        let name = person.name;
        Ok(Some(Self { id, name, address, practice, today, registrations, licenses }))
    }

    fn registration(&self, number: Option<DeaNumber>) -> Option<&(AuthorityId, Registered)> {
        self.registrations.iter().find(|(_, it)| Some(it.registration.number) == number)
    }

    /// The state in which a number is registered.
    pub(crate) fn state(&self, number: Option<DeaNumber>) -> Option<UsState> {
        self.registration(number).map(|(_, it)| it.registration.state)
    }

    /// The registrations under which they may prescribe now.
    pub(crate) fn numbers(&self) -> Vec<Registered> {
        let all = self.registrations.iter().map(|(_, it)| it);
        all.filter(|it| it.in_force(&self.licenses).is_ok()).cloned().collect()
    }

    /// Whether a registration and a license of its state are in force; it need not be one that they may use.
    pub(crate) fn is_in_force(&self, id: AuthorityId) -> bool {
        let found = self.registrations.iter().find(|(known, _)| *known == id);
        found.is_some_and(|(_, it)| {
            matches!(it.in_force(&self.licenses), Ok(()) | Err(NoAuthority::InternalCode))
        })
    }

    /// The rules for a prescription under this number.
    pub(crate) fn rules<'a>(&self, ground: &'a Ground, number: Option<DeaNumber>) -> Rules<'a> {
        Rules {
            today: self.today,
            drugs: &ground.drugs,
            states: &ground.states,
            state: self.state(number),
        }
    }

    /// Writes the internal code that goes with the number.
    pub(crate) fn complete(&self, content: &mut Content) {
        let code = self.registration(content.dea).and_then(|(_, it)| it.code());
        content.internal_code = code.cloned();
    }

    /// What registrations, licenses and access control say of one (21 CFR 1311.100(b), 1311.125).
    fn number_facts<'a>(
        &'a self,
        tx: &mut Tx<'_>,
        content: &'a Content,
    ) -> Result<NumberFacts<'a>, countersign_store::Error> {
        // A missing number is said where it is chosen.
        let Some(number) = content.dea else { return Ok(NumberFacts::None) };
        let Some((id, registered)) = self.registration(Some(number)) else {
            return Ok(NumberFacts::Unknown);
        };
        Ok(NumberFacts::Known {
            registered,
            licenses: &self.licenses,
            schedule: content.schedule,
            code: content.internal_code.as_ref(),
            permitted: tx.permission(self.id, self.practice, *id)?.allows(),
        })
    }

    /// All that keeps one from being sent again: what let it be signed must hold still.
    pub(super) fn resend_hindrances(
        &self,
        tx: &mut Tx<'_>,
        running: &RunningBuild,
        content: &Content,
        now: Timestamp,
    ) -> Result<Vec<SigningHindrance>, countersign_store::Error> {
        let (noncompliant, report) =
            certification::facts(tx, running, self.id, self.practice, now)?;
        let number = self.number_facts(tx, content)?;
        let installation = Installation { noncompliant, ..Installation::CLEAR };
        let facts = SigningFacts { installation, report, number, ..SigningFacts::CLEAR };
        Ok(hindrances(&facts))
    }

    /// Whether a supervisor must be named: in a state that wants one, where whoever prescribes under this number may be a
    /// mid-level practitioner (21 CFR 1311.135(c)).
    fn needs_supervisor(&self, ground: &Ground, number: Option<DeaNumber>) -> bool {
        let Some((_, used)) = self.registration(number) else { return false };
        let all = self.registrations.iter().map(|(_, it)| it);
        let own = all.filter(|it| it.holder == Holder::Practitioner);
        let own: Vec<DeaNumber> = own.map(|it| it.registration.number).collect();
        ground.states.wants_supervisor(Some(used.registration.state)) && used.may_be_mid_level(&own)
    }

    /// Judges a prescription: before it is marked ready, and again before it is signed (21 CFR 1311.100(d)). `series` is
    /// all of its series, itself among them.
    pub(crate) fn judge(
        &self,
        tx: &mut Tx<'_>,
        ground: &Ground,
        content: &Content,
        series: &[&Content],
    ) -> Result<Judgment, countersign_store::Error> {
        let mut lacks = content.lacking(&self.rules(ground, content.dea));
        lacks.extend(series_lacking(series));
        let name = content.supervisor.as_ref().map_or("", |it| it.name.trim());
        if !name.is_empty() && name.eq_ignore_ascii_case(self.name.trim()) {
            let text = "Enter another person. You can't be your own supervisor.".into();
            lacks.push(Lack { field: "supervisor", text });
        }
        // Under a number of their own its first letter was looked at above.
        if content.supervisor.is_none()
            && self.needs_supervisor(ground, content.dea)
            && !lacks.iter().any(|it| it.field == "supervisor")
        {
            let state = self.state(content.dea).map(|state| state.as_text()).unwrap_or_default();
            let text = format!(
                "{state} requires the supervisor of a mid-level practitioner. Under an institution's DEA number, this applies unless your own DEA number shows that you are not one."
            );
            lacks.push(Lack { field: "supervisor", text: text.into() });
        }
        let (stopped, report) =
            certification::facts(tx, &ground.running, self.id, self.practice, ground.now)?;
        let noncompliant = ground.installation.noncompliant || stopped;
        let hindrances = hindrances(&SigningFacts {
            installation: Installation { noncompliant, ..ground.installation },
            report,
            address: !self.address.is_empty(),
            number: self.number_facts(tx, content)?,
            token: None,
        });
        Ok(Judgment { lacks, hindrances })
    }
}

pub(crate) fn prescribers(
    tx: &mut Tx<'_>,
    practice: PracticeId,
) -> Result<Vec<(PersonId, String)>, countersign_store::Error> {
    let mut found = Vec::new();
    for member in tx.roles_in(practice)? {
        if member.role != Role::Prescriber || member.ended.is_some() {
            continue;
        }
        if let Some(person) = tx.person(member.person)?.filter(|person| !person.closed) {
            found.push((person.id, person.name));
        }
    }
    Ok(found)
}
