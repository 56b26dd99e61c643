//! `countersign admin`: what somebody with a shell on the host may do.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use countersign_crypto::SecretText;
use countersign_domain::{
    ApiKeyId, CredentialId, DeviceClass, FipsCertificate, Manufacturer, ModelCode, Npi, Passphrase,
    PracticeId, TokenKind, TokenModel,
};
use countersign_server::app::{App, Closing, ListedKey};

use crate::{
    models, print, private_file,
    serve::{HostClock, open_store, options, runtime, system_rng},
    settings::Settings,
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
    /// Create a key for an integrating system; it is printed once
    ApiKey {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// What it is for
        #[arg(long)]
        name: String,
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
                let id = app.create_practice(name, at).await?;
                format!("Practice {id}\n")
            }
            AdminCommand::Practices => {
                app.practices().await?.iter().map(|(id, name)| format!("{id}  {name}\n")).collect()
            }
            AdminCommand::Prescriber { practice, npi, name, passphrase_file } => {
                let practice_name = known_practice(&app, practice).await?;
                let own = [name.as_str(), &npi.as_text(), &practice_name];
                let phrase = read_passphrase(passphrase_file.as_deref(), &own)?;
                match app.create_prescriber(practice, npi, name, phrase, at).await? {
                    Some(id) => format!("Prescriber {id}\n"),
                    None => bail!("this NPI has an account already"),
                }
            }
            AdminCommand::Staff { practice, name, ehr_user } => {
                known_practice(&app, practice).await?;
                match app.create_staff(practice, name, ehr_user, at).await? {
                    Some(id) => format!("Staff {id}\n"),
                    None => bail!("this EHR user name has an account in the practice already"),
                }
            }
            AdminCommand::ApiKey { practice, name } => {
                known_practice(&app, practice).await?;
                format!("{}\n", app.create_api_key(practice, name, at).await?)
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
            AdminCommand::AttestDevice { credential, manufacturer, class, by } => {
                let id = credential_id(&credential, manufacturer.as_deref())?;
                let by = by.trim().to_owned();
                if by.is_empty() || by.chars().count() > 40 || by.chars().any(char::is_control) {
                    bail!("your name must be 1 to 40 characters on one line");
                }
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
