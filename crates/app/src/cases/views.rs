//! A case as pages show it.

use countersign_domain::{
    CaseId, Date, PersonId, Role, Timestamp,
    access::Setting,
    identity::{Difference, Match},
    proofing::{CaseState, Channel, Evidence, Missing, missing},
};
use countersign_store::{CasePurpose, CaseRow, EvidenceRow, Profile, Tx};

use super::{current_case, evidence::domain_case};
use crate::{
    App, At, Error, Membership,
    activation::{channels, on_the_way},
};

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

impl App {
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
    pub(crate) fn with_names(&self, mut view: CaseView) -> CaseView {
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

    /// The cases of a practice, newest first.
    pub async fn cases(&self, membership: &Membership, at: At) -> Result<Vec<CaseView>, Error> {
        let practice = membership.practice.id;
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
    pub async fn case(
        &self,
        membership: &Membership,
        id: CaseId,
        at: At,
    ) -> Result<CaseView, Error> {
        let practice = membership.practice.id;
        let found = self
            .store
            .read("case", move |tx| {
                let row = tx.case(practice, id)?;
                row.map(|row| case_view(tx, row, at.now)).transpose()
            })
            .await?;
        found.map(|view| self.with_names(view)).ok_or(Error::NotFound)
    }
}

/// The ways on which a code about a case can go: at a first enrolment to what was invited, later only to
/// what was confirmed before.
pub(super) fn ways(case: &CaseRow, profile: &Profile) -> Vec<(Channel, String)> {
    channels(profile, case.purpose != CasePurpose::Enrolment)
}

/// A case with what pages show beside it.
pub(crate) fn case_view(
    tx: &mut Tx<'_>,
    row: CaseRow,
    now: Timestamp,
) -> Result<CaseView, countersign_store::Error> {
    let who = tx.person(row.person)?.ok_or_else(|| Tx::broken("a case of nobody"))?;
    let practice = tx.practice(row.practice)?.ok_or_else(|| Tx::broken("no practice"))?;
    let case = domain_case(tx, &row, now)?;
    let mut missing = match row.state {
        CaseState::Open => missing(&case, Date::at(now, &practice.zone)),
        CaseState::Complete { .. } | CaseState::Closed { .. } => Vec::new(),
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
