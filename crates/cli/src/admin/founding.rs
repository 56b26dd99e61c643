//! `countersign admin found`: the first two people of a practice, from a file.

use std::path::Path;

use anyhow::{Context as _, bail};
use countersign_app::{App, At, Founder, Invitee};
use countersign_domain::{
    Date, DeaNumber, EmailAddress, KeyboardLine, LastDayError, Name, Npi, PhoneNumber, PracticeId,
    Role, Schedules, SignInName, TimeZone, UsState, access::Setting, check_line, one_script,
};
use countersign_store::{Invited, Paper, Profile};
use serde::Deserialize;

use crate::private_file;

/// The first two people of a practice, as their file names them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FoundingFile {
    people: [FounderFile; 2],
    #[serde(default)]
    institution_dea: Option<[String; 4]>,
    /// Proofing providers that count: issuer, and the values that stand for IAL2 with spaces between.
    #[serde(default)]
    providers: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FounderFile {
    given: String,
    family: String,
    email: String,
    #[serde(default)]
    phone: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    npi: String,
    #[serde(default)]
    dea: Option<[String; 4]>,
    #[serde(default)]
    licence: Option<[String; 3]>,
}

/// Checks each part of a registration as a file has it: what can't be read would else be none.
fn check_registration([number, state, schedules, last]: &[String; 4]) -> anyhow::Result<()> {
    number.parse::<DeaNumber>().context("number")?;
    state.parse::<UsState>().context("state")?;
    schedules.parse::<Schedules>().context("schedules")?;
    last.parse::<Date>().context("expiration date")?;
    Ok(())
}

impl FounderFile {
    pub(super) fn read(self) -> anyhow::Result<Founder> {
        let email: EmailAddress = self.email.parse().context("email")?;
        let phone = match self.phone.as_str() {
            "" => String::new(),
            text => text.parse::<PhoneNumber>().context("phone")?.as_str().to_owned(),
        };
        let sign_in = match self.npi.as_str() {
            "" => SignInName::Email(email.clone()),
            text => SignInName::Npi(text.parse::<Npi>().context("npi")?),
        };
        let given: Name<60> = self.given.parse().context("given")?;
        let family: Name<60> = self.family.parse().context("family")?;
        one_script(&format!("{given} {family}")).context("given and family")?;
        let address = self.address.trim();
        check_line(address, 200).context("address")?;
        let licence = match self.licence {
            None => None,
            Some([state, number, expires]) => {
                let number: KeyboardLine<40> = number.parse().context("licence: number")?;
                state.parse::<UsState>().context("licence: state")?;
                expires.parse::<Date>().context("licence: expiration date")?;
                Some([state, number.into(), expires])
            }
        };
        if let Some(registration) = &self.dea {
            check_registration(registration).context("dea")?;
        }
        let roles = if self.npi.is_empty() { None } else { Some(Role::Prescriber) };
        let asked = usize::from(self.dea.is_some()) + usize::from(licence.is_some());
        let invited = Invited {
            profile: Profile {
                given: given.into(),
                family: family.into(),
                address: address.to_owned(),
                phone,
                emails: vec![email.as_str().to_owned()],
                ..Profile::default()
            },
            roles: [Some(Role::Administrator), roles]
                .into_iter()
                .flatten()
                .map(|role| role.code().to_owned())
                .collect(),
            registrations: self.dea.into_iter().collect(),
            licences: licence.into_iter().collect(),
            ..Invited::default()
        };
        // All of it was read above; what the store can't read would be none.
        if invited.papers().len() != asked {
            bail!(
                "dea is [number, state, schedules, expiration date], licence is [state, number, expiration date]; one of them is not valid"
            );
        }
        Ok(Founder { invitee: Invitee { sign_in, invited } })
    }
}

/// Refuses a last day that can't be right.
fn last_day(paper: &Paper, today: Date) -> anyhow::Result<()> {
    let checked = match paper {
        Paper::Dea(it) => LastDayError::of_registration(it.expires, today),
        Paper::Licence(it) => LastDayError::of_licence(it.expires, today),
    };
    checked.with_context(|| paper.label())
}

pub(super) async fn found(
    app: &App,
    practice: PracticeId,
    setting: Setting,
    zone: TimeZone,
    file: &Path,
    at: At,
) -> anyhow::Result<String> {
    let bytes = private_file::read(file, 16_384)?;
    let it: FoundingFile =
        serde_json::from_slice(bytes.expose()).with_context(|| file.display().to_string())?;
    let [one, two] = it.people;
    let founders = [
        one.read().with_context(|| format!("{}: first person", file.display()))?,
        two.read().with_context(|| format!("{}: second person", file.display()))?,
    ];
    let today = Date::at(at.now, &zone);
    for paper in founders.iter().flat_map(|it| it.invitee.invited.papers()) {
        last_day(&paper, today).with_context(|| file.display().to_string())?;
    }
    let institution = match it.institution_dea {
        None => None,
        Some(parts) => {
            let about = || format!("{}: institution_dea", file.display());
            check_registration(&parts).with_context(about)?;
            let invited = Invited { registrations: vec![parts], ..Invited::default() };
            let paper = invited.papers().into_iter().next();
            let paper = paper.context("it is not valid").with_context(about)?;
            last_day(&paper, today).with_context(about)?;
            Some(paper)
        }
    };
    let known = &app.options().providers;
    for (issuer, accepted) in &it.providers {
        if !known.iter().any(|(_, client)| client.issuer == *issuer) {
            bail!("providers: {issuer} is not in any of proofing.provider_files");
        }
        if accepted.trim().is_empty() {
            bail!("providers: {issuer}: give the values that mean IAL2");
        }
        check_line(accepted, 200).with_context(|| format!("providers: {issuer}"))?;
    }
    let done = app
        .found_practice(practice, setting, zone, institution, it.providers, founders, at)
        .await?;
    let links = done.done()?;
    let lines: String = links
        .into_iter()
        .map(|(who, link)| {
            let line = if link.is_empty() { "already has an account" } else { &link };
            format!("{who}  {line}\n")
        })
        .collect();
    Ok(format!(
        "Practice set up. Each of the two now opens their own link, which works once:\n{lines}\
         From now on, the practice manages its own roles.\n"
    ))
}
