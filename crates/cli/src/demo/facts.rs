//! What is told of a running demonstration: a file for programs and the welcome on the terminal.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use countersign_provision::vip::VipKeys;
use countersign_standins::ehr::FIRST_PATIENT;
use serde::Serialize;

use super::{API_KEY, FACTS, InvitedOne, State, people::TOKEN};
use crate::{private_file, soft_token::quoted};

#[derive(Serialize)]
struct OtherFacts<'a> {
    name: &'a str,
    role: &'a str,
    sign_in: &'a str,
    passphrase: &'a str,
    token_command: String,
}

#[derive(Serialize)]
pub(super) struct Facts<'a> {
    chart_url: String,
    eprescribe_url: String,
    portal_url: String,
    npi: &'a str,
    passphrase: &'a str,
    token_command: String,
    mailbox_url: String,
    others: Vec<OtherFacts<'a>>,
    invited: &'a [InvitedOne],
    provider_url: String,
    pharmacy_url: String,
    api_client_id: &'a str,
    api_key_file: String,
    vip_provisioning_url: String,
    vip_check_url: String,
    vip_sync_url: String,
    vip_hmac_key: String,
    vip_token_key: String,
}

pub(super) fn facts<'a>(
    data: &Path,
    port: u16,
    state: &'a State,
    vip_path: &str,
    vip_keys: &VipKeys,
) -> anyhow::Result<Facts<'a>> {
    let ehr_port = port + 1;
    let program = std::env::current_exe().context("the path of this program")?;
    let vip = format!("http://127.0.0.1:{port}{vip_path}");
    let token_command = |token: &str| {
        format!(
            "{} token code --plain --dir {} --pin-file {} {}",
            quoted(&program.display().to_string()),
            quoted(&data.join("tokens").display().to_string()),
            quoted(&data.join("token.pin").display().to_string()),
            quoted(token),
        )
    };
    Ok(Facts {
        chart_url: format!("http://127.0.0.1:{ehr_port}/patients/{FIRST_PATIENT}"),
        eprescribe_url: format!("http://127.0.0.1:{port}/e-prescribing"),
        portal_url: format!("http://127.0.0.1:{port}/portal"),
        npi: &state.npi,
        passphrase: &state.passphrase,
        token_command: token_command(TOKEN),
        mailbox_url: format!("http://127.0.0.1:{ehr_port}/mailbox"),
        others: state
            .others
            .iter()
            .map(|it| OtherFacts {
                name: &it.name,
                role: &it.role,
                sign_in: &it.sign_in,
                passphrase: &it.passphrase,
                token_command: token_command(&it.token),
            })
            .collect(),
        invited: &state.invited,
        provider_url: format!("http://127.0.0.1:{}", port + 2),
        pharmacy_url: format!("http://127.0.0.1:{}", port + 3),
        api_client_id: &state.api_client_id,
        api_key_file: data.join(API_KEY).display().to_string(),
        vip_provisioning_url: format!("{vip}/prov"),
        vip_check_url: format!("{vip}/otpCheck"),
        vip_sync_url: format!("{vip}/otpSync"),
        vip_hmac_key: vip_keys.hmac_hex().expose().to_owned(),
        vip_token_key: vip_keys.token_hex().expose().to_owned(),
    })
}

pub(super) fn write_facts(data: &Path, facts: &Facts<'_>) -> anyhow::Result<()> {
    let path = data.join(FACTS);
    if let Err(error) = fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        bail!("{}: {error}", path.display());
    }
    private_file::create(&path, &serde_json::to_vec_pretty(facts)?)?;
    Ok(())
}

pub(super) fn welcome(facts: &Facts<'_>, data: &Path) -> String {
    format!(
        "\nCountersign demonstration (fictional people and patients)\n\n\
         1. Open a chart:      {}\n   and choose the e-Prescribing tab, then the menu > Utilities > Token Management.\n\
         2. NPI:               {}\n   Passphrase:        {}\n\
         3. Passcode from the first token, {TOKEN}:\n   {}\n\n\
         Token Management without an EHR: {}\n\
         Messages and notices: {}\n\
         Pharmacy: {}\n\
         Other users (sign-in ID, passphrase, token) and two invited prescribers\n\
         (link, date of birth) are in demo.json.\n\
         Also saved in: {}\n\
         Press Ctrl-C to stop. The data is kept for the next start.\n\n",
        facts.chart_url,
        facts.npi,
        facts.passphrase,
        facts.token_command,
        facts.portal_url,
        facts.mailbox_url,
        facts.pharmacy_url,
        data.join(FACTS).display(),
    )
}
