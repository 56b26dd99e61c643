//! `countersign admin`: what somebody with a shell on the host may do.

mod arguments;
mod founding;

use std::{path::Path, str::FromStr, sync::Arc};

use anyhow::{Context as _, bail};
use countersign_app::{App, LONGEST_REFERENCE, ListedKey, OverRecord, Removed};
use countersign_crypto::{SecretText, VerifyingKey};
use countersign_domain::{
    CredentialId, DeviceClass, KeyboardLine, Label, Line, Manufacturer, Name, Passphrase,
    PracticeId, TextError, TokenKind, TokenModel, access::Setting,
};

pub(crate) use self::arguments::{
    AdminCommand, DeviceKind, ModelKind, ModelsCommand, PracticeKind, YesNo,
};
use self::founding::found;
use crate::{
    certification, fobs, models, print, private_file,
    serve::{HostClock, open_store, options, runtime, system_rng},
    settings::{Settings, is_safe},
};

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
                let made = app.create_prescriber(practice, npi, name, phrase, at).await?;
                format!("Prescriber {}\n", made.done()?)
            }
            AdminCommand::Staff { practice, name, ehr_user } => {
                let name = given::<Name<100>>(&name, "name")?;
                let ehr_user = given::<Line<LONGEST_REFERENCE>>(&ehr_user, "ehr-user")?;
                known_practice(&app, practice).await?;
                let made = app.create_staff(practice, name, ehr_user, at).await?;
                format!("Staff {}\n", made.done()?)
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
                    bail!("--iss must begin with https://, except for a server on this machine");
                }
                let secret = match client_secret_file {
                    None => String::new(),
                    Some(path) => {
                        let text = private_file::read(&path, 4_096)?;
                        std::str::from_utf8(text.expose().trim_ascii())
                            .context("the client secret is not UTF-8 text")?
                            .to_owned()
                    }
                };
                app.register_smart(ehr, iss, client_id, secret, at).await?.done()?;
                let public_url = settings.public_origin()?;
                format!(
                    "Registered. In the EHR, register:\n  launch URL    {public_url}/smart/launch\n  redirect URL  {public_url}/smart/callback\n"
                )
            }
            AdminCommand::EhrUser { ehr, user, npi, staff } => {
                let user = given::<Line<LONGEST_REFERENCE>>(&user, "user")?;
                app.link_ehr_user(ehr, user, npi, staff, at).await?.done()?;
                "Linked.\n".to_owned()
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
                app.revoke_api_key(key, at).await?.done()?;
                "Revoked. Requests with this key are now rejected.\n".to_owned()
            }
            AdminCommand::CloseAccount { npi } => {
                app.close_account(npi, at).await?.done()?;
                "Account closed. Its sessions have ended and its tokens are disabled.\n".to_owned()
            }
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
                let Removed { records, logs } = removed.done()?;
                format!("{records} records and {logs} monthly logs were removed; each removal is in the audit trail.\n")
            }
            AdminCommand::ExpiredRecords { practice, remove: None, .. } => {
                known_practice(&app, practice).await?;
                over_lines(&app.over_records(practice, at).await?)
            }
            AdminCommand::ImportFobs { practice, model, batch, file, manufacturer, by } => {
                known_practice(&app, practice).await?;
                let maker = manufacturer.as_deref().map(str::parse::<Manufacturer>).transpose()?;
                let fobs = fobs::read(&file, maker)
                    .with_context(|| format!("{}: nothing was imported", file.display()))?;
                let batch = given::<Line<40>>(&batch, "batch")?;
                let by = given::<Name<40>>(&by, "by")?;
                let taken = app.import_fobs(practice, model, batch, by, fobs, at).await?;
                let count = taken.done()?;
                format!("{count} hardware tokens were added to stock. Delete the file: it contains their secrets.\n")
            }
            AdminCommand::AttestDevice { credential, manufacturer, class, by } => {
                let id = credential_id(&credential, manufacturer.as_deref())?;
                let by = given::<Name<40>>(&by, "by")?;
                let class = match class {
                    DeviceKind::Phone => DeviceClass::Phone,
                    DeviceKind::Tablet => DeviceClass::Tablet,
                    DeviceKind::Watch => DeviceClass::Watch,
                };
                app.attest_device(id, class, by, at).await?.done()?;
                "Recorded.\n".to_owned()
            }
            AdminCommand::DisableToken { credential, manufacturer } => {
                let id = credential_id(&credential, manufacturer.as_deref())?;
                app.emergency_disable(id, at).await?.done()?;
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
        0 => "No records are past their retention period, or all of them are under a legal hold.\n"
            .to_owned(),
        _ => format!(
            "{lines}{count} records. Save them first, then remove them permanently with --remove {count} --by NAME.\n"
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

/// The name of a practice, if there is one with this ID.
async fn known_practice(app: &App, id: PracticeId) -> anyhow::Result<String> {
    let known = app.practices().await?.into_iter().find(|(known, _)| *known == id);
    known.map(|(_, name)| name).with_context(|| {
        format!("practice {id} not found; list the practices with `countersign admin practices`")
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
        let second = SecretText::new(rpassword::prompt_password("Repeat it: ")?);
        if first.expose() != second.expose() {
            bail!("the passphrases do not match; nothing was changed");
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
    point.with_context(|| format!("{}: not a P-256 public key in PEM", path.display()))
}
