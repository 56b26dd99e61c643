//! `countersign admin`: what somebody with a shell on the host may do.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use countersign_app::{
    App, At, Closing, Founder, Invitee, LONGEST_REFERENCE, ListedKey, OverRecord, Removed, SCOPES,
};
use countersign_crypto::{SecretText, VerifyingKey};
use countersign_domain::{
    ApiKeyId, CredentialId, Date, DeaNumber, DeviceClass, EhrId, EmailAddress, FipsCertificate,
    KeyboardLine, Label, LastDayError, Line, Manufacturer, ModelCode, Name, Npi, Passphrase,
    PhoneNumber, PracticeId, Role, Schedules, SignInName, StaffId, TextError, TimeZone, TokenKind,
    TokenModel, UsState, access::Setting, check_line, one_script,
};
use countersign_store::{Invited, Paper, Profile};
use serde::Deserialize;

use crate::{
    certification::{self, AddNotice, AddReport, EndNotice},
    fobs, models, print, private_file,
    serve::{HostClock, open_store, options, runtime, system_rng},
    settings::{Settings, is_safe},
};

/// What `countersign admin` does.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Create a practice
    Practice {
        /// Its name
        #[arg(long)]
        name: String,
    },
    /// List the practices
    Practices,
    /// Name the first two people of a practice, with both of them present; once (docs/operations.md)
    Found {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// How identities are proofed there; this can't be changed later
        #[arg(long)]
        setting: PracticeKind,
        /// Time zone of its deadlines
        #[arg(long, default_value = "America/New_York")]
        time_zone: TimeZone,
        /// File with the two people, as docs/operations.md describes it
        #[arg(long)]
        file: PathBuf,
    },
    /// Create a prescriber; the passphrase is typed by the prescriber, or read from a file
    Prescriber {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// National Provider Identifier
        #[arg(long)]
        npi: Npi,
        /// Full name
        #[arg(long)]
        name: String,
        /// File with the passphrase on its first line, mode 0600
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
    },
    /// Create a member of staff
    Staff {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Full name
        #[arg(long)]
        name: String,
        /// User name in the EHR
        #[arg(long)]
        ehr_user: String,
    },
    /// Register an EHR that opens e-Prescribing from its charts (docs/ehr.md)
    Ehr {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Name
        #[arg(long)]
        name: String,
        /// The public key of its signed launches: P-256, PEM; not needed with SMART
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
    },
    /// Say how this installation is known to an EHR that launches with SMART on FHIR
    EhrSmart {
        /// ID of the EHR
        ehr: EhrId,
        /// Address of its FHIR server
        #[arg(long, value_name = "URL")]
        iss: String,
        /// Our client ID there
        #[arg(long)]
        client_id: String,
        /// File of mode 0600 with our client secret there; none for a public client
        #[arg(long, value_name = "FILE")]
        client_secret_file: Option<PathBuf>,
    },
    /// Connect a user of an EHR with a prescriber or a member of staff
    EhrUser {
        /// ID of the EHR
        ehr: EhrId,
        /// The user as a launch names it: with SMART the reference, such as `Practitioner/123`
        #[arg(long)]
        user: String,
        /// NPI of the prescriber
        #[arg(long, required_unless_present = "staff")]
        npi: Option<Npi>,
        /// ID of the member of staff
        #[arg(long, conflicts_with = "npi")]
        staff: Option<StaffId>,
    },
    /// Create a key for an integrating system; it is printed once
    ApiKey {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// What it is for
        #[arg(long)]
        name: String,
    },
    /// Register a system of a practice by its public key, for the API (docs/api.md); its ID is printed
    ApiClient {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// What it is
        #[arg(long)]
        name: String,
        /// Its public key: P-256, PEM
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// What it may do; several times for several
        #[arg(long, required = true, value_parser = SCOPES)]
        scope: Vec<String>,
    },
    /// List the keys of a practice
    ApiKeys {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
    },
    /// Revoke a key at once and for good
    RevokeApiKey {
        /// ID of the key, as `api-keys` lists it
        key: ApiKeyId,
    },
    /// Close an account for good: sessions end, tokens are disabled, nobody signs in to it any more
    CloseAccount {
        /// National Provider Identifier
        npi: Npi,
    },
    /// List the models of tokens and whether they may sign, or judge one
    Models {
        #[command(subcommand)]
        command: Option<ModelsCommand>,
    },
    /// Enter the audit or certification report of builds (docs/operations.md); each practice acknowledges it
    AddReport(AddReport),
    /// List the reports, and the notices of non-compliance
    Reports,
    /// Enter a notice that this version no longer meets the requirements: signing stops in every practice at once,
    /// until a newer build runs that a release manifest lists (21 CFR 1311.102(g)-(i), 1311.302)
    Noncompliance(AddNotice),
    /// End a notice of non-compliance with a newer build that no release manifest lists, on the word of whoever gave
    /// the notice that the program is compliant again (21 CFR 1311.102(h), (i))
    EndNoncompliance(EndNotice),
    /// Let a practice sign prescriptions with a new key from now on; older signatures stay verifiable
    RotateSigningKey {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
    },
    /// List signed prescriptions that nobody has to keep any more and nothing holds, or remove them
    ExpiredRecords {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Remove them for good, with the monthly logs of their time: how many the list had
        #[arg(long, requires = "by", value_name = "COUNT")]
        remove: Option<usize>,
        /// Who removes them: your name
        #[arg(long)]
        by: Option<String>,
    },
    /// Put a delivery of fobs into the stock of a practice: all of it or nothing (docs/operations.md)
    ImportFobs {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Model of the fobs, which must be allowed
        #[arg(long)]
        model: ModelCode,
        /// What names the delivery, such as its date and number
        #[arg(long)]
        batch: String,
        /// File with the fobs, as docs/operations.md describes it
        #[arg(long)]
        file: PathBuf,
        /// Manufacturer, for serial numbers of digits alone
        #[arg(long)]
        manufacturer: Option<String>,
        /// Who had them in hand: your name
        #[arg(long)]
        by: String,
    },
    /// Record that you have seen the device which a token lives on (21 CFR 1311.115(a)(3))
    AttestDevice {
        /// Credential ID or serial number
        credential: String,
        /// Manufacturer, for IDs of digits alone
        #[arg(long)]
        manufacturer: Option<String>,
        /// What it is
        #[arg(long)]
        class: DeviceKind,
        /// Who has seen it: your name
        #[arg(long)]
        by: String,
    },
    /// Disable a token at once and for good
    DisableToken {
        /// Credential ID or serial number
        credential: String,
        /// Manufacturer, for IDs of digits alone
        #[arg(long)]
        manufacturer: Option<String>,
    },
}

/// What `countersign admin models` does beside listing.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Say what a model is and whether its tokens may be added and may sign (21 CFR 1311.115(b))
    Set {
        /// Short name, such as countersign-authenticator
        #[arg(long)]
        code: ModelCode,
        /// Who makes it
        #[arg(long)]
        maker: String,
        /// What it is called
        #[arg(long)]
        name: String,
        /// An app, or a fob or card
        #[arg(long)]
        kind: ModelKind,
        /// Number of its FIPS 140 certificate, or none
        #[arg(long)]
        fips: FipsCertificate,
        /// Whether its tokens may be added and may sign
        #[arg(long)]
        allow_signing: YesNo,
        /// Why; it is shown to prescribers
        #[arg(long)]
        note: String,
        /// Who decides: your name
        #[arg(long)]
        by: String,
    },
}

/// How a practice proofs identities.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PracticeKind {
    /// Practitioners with DEA registrations of their own; an outside provider proofs (21 CFR 1311.105)
    Practitioners,
    /// An institution with its own DEA registration, which proofs in person (21 CFR 1311.110)
    Institution,
}

/// What a person can have seen.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DeviceKind {
    /// A phone
    Phone,
    /// A tablet
    Tablet,
    /// A watch
    Watch,
}

/// What kind of device a model is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ModelKind {
    /// An app
    Soft,
    /// A fob or card
    Hard,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum YesNo {
    /// Allowed
    Yes,
    /// Not allowed
    No,
}

pub(crate) fn run(config: Option<&Path>, command: AdminCommand) -> anyhow::Result<()> {
    let settings = Settings::load(config)?;
    runtime()?.block_on(async {
        let store = open_store(&settings, false, false).await?;
        let app = App::new(store, Arc::new(HostClock), system_rng, options(&settings, false)?);
        let at = app.at()?;
        let said = match command {
            AdminCommand::Practice { name } => {
                let name = given::<Label<100>>(&name, "name")?;
                let id = app.create_practice(name, at).await?;
                format!("Practice {id}\n")
            }
            AdminCommand::Practices => {
                app.practices().await?.iter().map(|(id, name)| format!("{id}  {name}\n")).collect()
            }
            AdminCommand::Found { practice, setting, time_zone, file } => {
                let setting = match setting {
                    PracticeKind::Practitioners => Setting::Practitioners,
                    PracticeKind::Institution => Setting::Institution,
                };
                found(&app, practice, setting, time_zone, &file, at).await?
            }
            AdminCommand::Prescriber { practice, npi, name, passphrase_file } => {
                let name = given::<Name<100>>(&name, "name")?;
                let practice_name = known_practice(&app, practice).await?;
                let own = [name.as_str(), &npi.as_text(), &practice_name];
                let phrase = read_passphrase(passphrase_file.as_deref(), &own)?;
                match app.create_prescriber(practice, npi, name, phrase, at).await? {
                    Some(id) => format!("Prescriber {id}\n"),
                    None => bail!("this NPI has an account already"),
                }
            }
            AdminCommand::Staff { practice, name, ehr_user } => {
                let name = given::<Name<100>>(&name, "name")?;
                let ehr_user = given::<Line<LONGEST_REFERENCE>>(&ehr_user, "ehr-user")?;
                known_practice(&app, practice).await?;
                match app.create_staff(practice, name, ehr_user, at).await? {
                    Some(id) => format!("Staff {id}\n"),
                    None => bail!("this EHR user name has an account in the practice already"),
                }
            }
            AdminCommand::Ehr { practice, name, public_key } => {
                let name = given::<Label<100>>(&name, "name")?;
                known_practice(&app, practice).await?;
                let point = public_key.map(|path| public_point(&path)).transpose()?;
                let point = point.unwrap_or_default();
                format!("EHR {}\n", app.register_ehr(practice, name, point, Vec::new(), at).await?)
            }
            AdminCommand::EhrSmart { ehr, iss, client_id, client_secret_file } => {
                let iss = given::<KeyboardLine<LONGEST_REFERENCE>>(&iss, "iss")?;
                let client_id = given::<KeyboardLine<200>>(&client_id, "client-id")?;
                if !is_safe(&iss) {
                    bail!("--iss must begin with https://, except on this machine alone");
                }
                let secret = match client_secret_file {
                    None => String::new(),
                    Some(path) => {
                        let text = private_file::read(&path, 4_096)?;
                        std::str::from_utf8(text.expose().trim_ascii())
                            .context("the client secret is no text")?
                            .to_owned()
                    }
                };
                if !app.register_smart(ehr, iss, client_id, secret, at).await? {
                    bail!("no EHR {ehr} is registered here, or another one has this address");
                }
                let public_url = settings.public_origin()?;
                format!(
                    "Known. Register there:\n  launch URL    {public_url}/smart/launch\n  redirect URL  {public_url}/smart/callback\n"
                )
            }
            AdminCommand::EhrUser { ehr, user, npi, staff } => {
                let user = given::<Line<LONGEST_REFERENCE>>(&user, "user")?;
                if app.link_ehr_user(ehr, user, npi, staff, at).await? {
                    "Connected.\n".to_owned()
                } else {
                    bail!("no such EHR, prescriber or member of staff is here, or the user is connected already");
                }
            }
            AdminCommand::ApiKey { practice, name } => {
                let name = given::<Label<100>>(&name, "name")?;
                known_practice(&app, practice).await?;
                format!("{}\n", app.create_api_key(practice, name, at).await?)
            }
            AdminCommand::ApiClient { practice, name, public_key, scope } => {
                let name = given::<Label<100>>(&name, "name")?;
                known_practice(&app, practice).await?;
                let (point, scopes) = (public_point(&public_key)?, scope.join(" "));
                let id = app.create_api_client(practice, name, point, scopes, at).await?;
                format!("API client {id}\n")
            }
            AdminCommand::ApiKeys { practice } => {
                known_practice(&app, practice).await?;
                app.api_keys(practice).await?.iter().map(key_line).collect()
            }
            AdminCommand::RevokeApiKey { key } => {
                if !app.revoke_api_key(key, at).await? {
                    bail!(
                        "no key {key} works here: `countersign admin api-keys --practice ID` lists them"
                    );
                }
                "Revoked. Requests with this key are refused from now on.\n".to_owned()
            }
            AdminCommand::CloseAccount { npi } => match app.close_account(npi, at).await? {
                Closing::Done => {
                    "Closed. Its sessions have ended and its tokens are disabled.\n".to_owned()
                }
                Closing::Before => bail!("this account was closed before"),
                Closing::Unknown => bail!("nobody has this NPI here"),
            },
            AdminCommand::Models { command: None } => models::table(&app.models().await?),
            AdminCommand::Models { command: Some(command) } => {
                let model = judged(command, at.now);
                model.check()?;
                let said = models::judged(&model);
                app.set_model(model, at).await?;
                said
            }
            AdminCommand::AddReport(it) => certification::add_report(&app, it, at).await?,
            AdminCommand::Reports => certification::reports(&app).await?,
            AdminCommand::Noncompliance(it) => certification::add_notice(&app, it, at).await?,
            AdminCommand::EndNoncompliance(it) => certification::end_notice(&app, it, at).await?,
            AdminCommand::RotateSigningKey { practice } => {
                known_practice(&app, practice).await?;
                format!("Signing key {}\n", app.rotate_signing_key(practice, at).await?)
            }
            AdminCommand::ExpiredRecords { practice, remove: Some(count), by } => {
                known_practice(&app, practice).await?;
                let by = given::<Name<40>>(by.as_deref().unwrap_or_default(), "by")?;
                let removed = app.remove_over(practice, count, by, at).await?;
                let Removed { records, logs } = removed.map_err(anyhow::Error::from)?;
                format!("{records} records and {logs} monthly logs were removed; each is on record.\n")
            }
            AdminCommand::ExpiredRecords { practice, remove: None, .. } => {
                known_practice(&app, practice).await?;
                over_lines(&app.over_records(practice, at).await?)
            }
            AdminCommand::ImportFobs { practice, model, batch, file, manufacturer, by } => {
                known_practice(&app, practice).await?;
                let maker = manufacturer.as_deref().map(str::parse::<Manufacturer>).transpose()?;
                let fobs = fobs::read(&file, maker)
                    .with_context(|| format!("{}: nothing was taken", file.display()))?;
                let batch = given::<Line<40>>(&batch, "batch")?;
                let by = given::<Name<40>>(&by, "by")?;
                let taken = app.import_fobs(practice, model, batch, by, fobs, at).await?;
                let count = taken.map_err(anyhow::Error::from)?;
                format!("{count} fobs are in stock. Remove the file: it holds their secrets.\n")
            }
            AdminCommand::AttestDevice { credential, manufacturer, class, by } => {
                let id = credential_id(&credential, manufacturer.as_deref())?;
                let by = given::<Name<40>>(&by, "by")?;
                let class = match class {
                    DeviceKind::Phone => DeviceClass::Phone,
                    DeviceKind::Tablet => DeviceClass::Tablet,
                    DeviceKind::Watch => DeviceClass::Watch,
                };
                if !app.attest_device(id, class, by, at).await? {
                    bail!("no token with this ID is known here");
                }
                "Recorded.\n".to_owned()
            }
            AdminCommand::DisableToken { credential, manufacturer } => {
                let id = credential_id(&credential, manufacturer.as_deref())?;
                if !app.emergency_disable(id, at).await? {
                    bail!("no token with this ID is known here");
                }
                "Disabled. Its passcodes no longer work.\n".to_owned()
            }
        };
        print(&said)
    })
}

fn credential_id(typed: &str, manufacturer: Option<&str>) -> anyhow::Result<CredentialId> {
    let maker = manufacturer.map(str::parse::<Manufacturer>).transpose()?;
    Ok(CredentialId::parse(typed, maker)?)
}

fn judged(command: ModelsCommand, now: countersign_domain::Timestamp) -> TokenModel {
    let ModelsCommand::Set { code, maker, name, kind, fips, allow_signing, note, by } = command;
    TokenModel {
        code,
        maker: maker.trim().to_owned(),
        name: name.trim().to_owned(),
        kind: match kind {
            ModelKind::Soft => TokenKind::OtpSoft,
            ModelKind::Hard => TokenKind::OtpHard,
        },
        fips,
        allowed: allow_signing == YesNo::Yes,
        note: note.trim().to_owned(),
        changed: now,
        changed_by: by.trim().to_owned(),
    }
}

/// `0196f000-0000-7000-8000-000000000000  EHR`, and since when it is revoked.
fn key_line(key: &ListedKey) -> String {
    let revoked =
        key.revoked.map_or_else(String::new, |at| format!("  (revoked {})", at.minute_text()));
    format!("{}  {}{revoked}\n", key.id, key.name)
}

/// A line for each, and how many they are.
fn over_lines(over: &[OverRecord]) -> String {
    let lines: String = over
        .iter()
        .map(|it| format!("{}  signed {}, kept until {}\n", it.id, it.signed, it.until))
        .collect();
    let count = over.len();
    match count {
        0 => "No record is so old that nobody has to keep it, or all that are so old are held.\n"
            .to_owned(),
        _ => format!(
            "{lines}{count} records. With --remove {count} --by NAME they go for good: save them first.\n"
        ),
    }
}

/// A text of the command line as its type has it; else why it is not taken, after the name of its option.
pub(crate) fn given<T: FromStr<Err = TextError> + Into<String>>(
    text: &str,
    option: &str,
) -> anyhow::Result<String> {
    let read: T = text.parse().with_context(|| format!("--{option}"))?;
    Ok(read.into())
}

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
    last.parse::<Date>().context("last day")?;
    Ok(())
}

impl FounderFile {
    fn read(self) -> anyhow::Result<Founder> {
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
                expires.parse::<Date>().context("licence: last day")?;
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
                "dea is [number, state, schedules, last day], licence is [state, number, last day]; one of them can't be read"
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

async fn found(
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
            let paper = paper.context("it can't be read").with_context(about)?;
            last_day(&paper, today).with_context(about)?;
            Some(paper)
        }
    };
    let known = &app.options().providers;
    for (issuer, accepted) in &it.providers {
        if !known.iter().any(|(_, client)| client.issuer == *issuer) {
            bail!("providers: {issuer} is in none of proofing.provider_files");
        }
        if accepted.trim().is_empty() {
            bail!("providers: {issuer}: say which values stand for IAL2");
        }
        check_line(accepted, 200).with_context(|| format!("providers: {issuer}"))?;
    }
    let done = app
        .found_practice(practice, setting, zone, institution, it.providers, founders, at)
        .await?;
    let links = done.map_err(anyhow::Error::from)?;
    let lines: String = links
        .into_iter()
        .map(|(who, link)| {
            let line = if link.is_empty() { "has an account already" } else { &link };
            format!("{who}  {line}\n")
        })
        .collect();
    Ok(format!(
        "Founded. Each of the two now opens their own link, once:\n{lines}\
         From now on the practice's own people change its roles.\n"
    ))
}

/// The name of a practice, if there is one with this ID.
async fn known_practice(app: &App, id: PracticeId) -> anyhow::Result<String> {
    let known = app.practices().await?.into_iter().find(|(known, _)| *known == id);
    known.map(|(_, name)| name).with_context(|| {
        format!("there is no practice {id}: `countersign admin practices` lists them")
    })
}

fn read_passphrase(file: Option<&Path>, own: &[&str]) -> anyhow::Result<Passphrase> {
    let typed = if let Some(path) = file {
        let bytes = private_file::read(path, 1_024)?;
        let text =
            std::str::from_utf8(bytes.expose()).context("the passphrase file is not text")?;
        SecretText::new(text.lines().next().unwrap_or("").to_owned())
    } else {
        let first =
            SecretText::new(rpassword::prompt_password("Passphrase (typed by the prescriber): ")?);
        let second = SecretText::new(rpassword::prompt_password("Once more: ")?);
        if first.expose() != second.expose() {
            bail!("the two are not the same; nothing was changed");
        }
        first
    };
    Ok(Passphrase::choose(&typed, own)?)
}

/// The point of a P-256 public key, as OpenSSL writes it (`SubjectPublicKeyInfo`, RFC 5480, in PEM).
fn public_point(path: &Path) -> anyhow::Result<Vec<u8>> {
    /// All that stands before the point of a P-256 key.
    const HEAD: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let point = data_encoding::BASE64
        .decode(body.trim().as_bytes())
        .ok()
        .and_then(|bytes| bytes.strip_prefix(&HEAD).map(<[u8]>::to_vec))
        .filter(|point| VerifyingKey::from_point(point).is_ok());
    point.with_context(|| format!("{}: no P-256 public key in PEM", path.display()))
}
