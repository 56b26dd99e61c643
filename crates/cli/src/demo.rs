//! `countersign demo`: everything in one folder, with made-up people, on loopback.

mod facts;
mod first_start;
mod people;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Args;
use countersign_app::{
    App,
    outbound::{Call, Outbound as _},
};
use countersign_crypto::{
    HmacAlgorithm, HmacKey, SecretBytes, SigningKey, SystemRng, random_array,
};
use countersign_domain::EhrId;
use countersign_protocol::oidc::{Client, Secret};
use countersign_server::listen;
use countersign_standins::{
    ehr::{self, Ehr, EhrUser, Smart, SmartClient},
    pharmacy::{self, Pharmacy},
    proofer::{self, ASSURANCE, MadeUp, Proofer},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use self::{
    facts::{facts, welcome, write_facts},
    first_start::{allow_models, first_start},
    people::{GRACE, NAME, NPI},
};
use crate::{
    drawer::Drawer,
    outside::Gateway,
    print, private_file,
    serve::{
        DEMO_MARKER, HostClock, bind, open_store, options, runtime, serve_app, start_log,
        stop_signal, system_rng,
    },
    settings::Settings,
    soft_token::now,
    vip_keys,
};

/// Lies in the folder from the first moment on, so that an interrupted start can be told.
const BEGUN: &str = "demo-begun";
/// What a newcomer needs, for programs.
const FACTS: &str = "demo.json";
/// The key of a system that uses the API.
const API_KEY: &str = "api-client.pem";
/// The keys of the VIP Access protocol, made for this folder.
const VIP_HMAC_KEY: &str = "vip-hmac.key";
const VIP_TOKEN_KEY: &str = "vip-token.key";

/// `countersign demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Folder for all data
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Port of the e-prescribing app and portal; the demonstration EHR, identity proofing provider and
    /// pharmacy use the next three
    #[arg(long, default_value_t = 8700, value_parser = clap::value_parser!(u16).range(1024..=65532))]
    port: u16,
    /// Remove the data of an earlier demonstration in the folder, then start over
    #[arg(long)]
    reset: bool,
    /// Remove the data of an earlier demonstration in the folder, then exit
    #[arg(long)]
    reset_only: bool,
}

/// What the demonstration remembers between starts. The signing key of its EHR lies beside it.
#[derive(Serialize, Deserialize)]
struct State {
    npi: String,
    passphrase: String,
    ehr_id: String,
    smart_secret: String,
    api_client_id: String,
    others: Vec<Other>,
    invited: Vec<InvitedOne>,
}

/// Somebody who is invited and not enrolled.
#[derive(Serialize, Deserialize)]
struct InvitedOne {
    name: String,
    practice: String,
    npi: String,
    born: String,
    link: String,
}

/// Somebody else of the practice.
#[derive(Serialize, Deserialize)]
struct Other {
    name: String,
    role: String,
    sign_in: String,
    passphrase: String,
    token: String,
}

pub(crate) fn run(arguments: &DemoArguments) -> anyhow::Result<()> {
    if arguments.reset_only {
        return reset(&arguments.data);
    }
    private_file::create_folder(&arguments.data)?;
    let data =
        arguments.data.canonicalize().with_context(|| arguments.data.display().to_string())?;
    let settings = settings(&data, arguments.port)?;
    start_log(&settings);
    runtime()?.block_on(start(&data, arguments.port, &settings, arguments.reset))
}

fn settings(data: &Path, port: u16) -> anyhow::Result<Settings> {
    let mut settings = Settings::default();
    settings.server.listen = format!("127.0.0.1:{port}");
    settings.server.public_url = format!("http://127.0.0.1:{port}");
    settings.database.path = data.join("countersign.db");
    settings.keys.master_key_file = data.join("master.key");
    "Lakeside Clinic support desk".clone_into(&mut settings.practice.support_name);
    "+1 555 0100".clone_into(&mut settings.practice.support_phone);
    "support@lakeside.example".clone_into(&mut settings.practice.support_email);
    settings.manufacturers.enabled = vec!["countersign".to_owned(), "symantec".to_owned()];
    settings.limits.provisioning_per_minute = 60;
    settings.vip.enabled = true;
    settings.vip.hmac_key_file = data.join(VIP_HMAC_KEY);
    settings.vip.token_key_file = data.join(VIP_TOKEN_KEY);
    // All its clients are on this machine, and have one address.
    settings.vip.checks_per_minute = 600;
    settings.transmission.pharmacies = vec![
        "9999991 Corner Pharmacy, 3 Oak Street, Lincoln NE 68502".to_owned(),
        "9999992 Lakeside Hospital Pharmacy, 1 Shore Road, Lincoln NE 68501".to_owned(),
    ];
    settings.check()?;
    Ok(settings)
}

async fn start(data: &Path, port: u16, settings: &Settings, afresh: bool) -> anyhow::Result<()> {
    let ehr_port = port + 1;
    // All ports first: a demonstration that can't listen leaves no half-made data.
    let listening = bind(&settings.server.listen, "--port").await?;
    let ehr_listening = bind(&format!("127.0.0.1:{ehr_port}"), "--port").await?;
    let provider_port = port + 2;
    let provider_listening = bind(&format!("127.0.0.1:{provider_port}"), "--port").await?;
    let pharmacy_port = port + 3;
    let pharmacy_listening = bind(&format!("127.0.0.1:{pharmacy_port}"), "--port").await?;
    let marker = data.join(DEMO_MARKER);
    // A first start that was interrupted is begun anew.
    if afresh || (data.join(BEGUN).exists() && !marker.exists()) {
        reset(data)?;
        private_file::create_folder(data)?;
    }
    if !marker.exists() {
        if settings.database.path.exists() {
            bail!(
                "{} contains a database that is not a demonstration: choose another folder",
                data.display()
            );
        }
        private_file::create(&data.join(BEGUN), b"")?;
    }
    let store = open_store(settings, true, true).await?;
    let vip_keys = vip_keys::read_or_create(
        &settings.vip.hmac_key_file,
        &settings.vip.token_key_file,
        &mut SystemRng,
    )?;
    let gateway_key: [u8; 32] = random_array(&mut SystemRng)?;
    let gateway = Gateway {
        url: format!("http://127.0.0.1:{pharmacy_port}/prescriptions"),
        key: Arc::new(HmacKey::new(HmacAlgorithm::Sha256, &gateway_key)),
    };
    let drawer = Drawer::new(gateway.clone())?;
    let pharmacy = pharmacy(settings, &gateway, &drawer)?;
    let provider = provider(settings, provider_port)?;
    let mut options = options(settings, true)?;
    options.gateway = true;
    options.providers = vec![(PROVIDER.to_owned(), client_of(&provider))];
    let app = App::new(store, Arc::new(HostClock), system_rng, options);
    let app = Arc::new(app.reaching(Arc::new(drawer.clone())));
    let state = if marker.exists() {
        read_state(&marker)?
    } else {
        first_start(data, &app, &provider.issuer).await?
    };
    allow_models(&app).await?;
    app.install_demo_report(app.at()?).await?;
    app.watch_certification().await?;
    know_smart(&app, &state, ehr_port).await?;
    let key_bytes = private_file::read(&data.join("ehr.key"), 4_096)?;
    let key = SigningKey::from_pkcs8(&SecretBytes::new(
        HEXLOWER.decode(key_bytes.expose().trim_ascii())?,
    ))?;
    let smart = Smart::new(
        format!("http://127.0.0.1:{ehr_port}"),
        vec![
            SmartClient {
                id: SMART_CLIENT.to_owned(),
                secret: state.smart_secret.clone(),
                redirect_uri: Some(format!("{}/smart/callback", settings.public_origin()?)),
            },
            SmartClient { id: "try-out".to_owned(), secret: String::new(), redirect_uri: None },
        ],
    );
    let ehr = Ehr {
        users: vec![
            EhrUser { user: "amoreno".into(), name: NAME.into(), role: "Prescriber".into() },
            EhrUser { user: "jlee".into(), name: "Jamie Lee".into(), role: "Nurse".into() },
        ],
        signing_key: Arc::new(key),
        ehr_id: state.ehr_id.parse::<EhrId>()?,
        audience: settings.public_origin()?,
        clock: Arc::new(now),
        launch_seconds: settings.policy.launch_seconds,
        smart: Some(smart),
        mailbox: Arc::new({
            let drawer = drawer.clone();
            move || drawer.all()
        }),
    };
    let facts = facts(data, port, &state, &settings.vip.path, &vip_keys)?;
    let provider = proofer::router(provider, true).context("the provider runs nowhere else")?;
    let pharmacy = pharmacy::router(pharmacy, true).context("the pharmacy runs nowhere else")?;
    write_facts(data, &facts)?;
    let addresses = settings.client_addresses()?;
    // Before the word that all is ready: who stops it right then finds it listening.
    let stop = stop_signal()?;
    print(&welcome(&facts, data))?;
    tokio::join!(
        serve_app(app, settings, Arc::new(drawer), listening, addresses, stop.clone()),
        listen(ehr_listening, ehr::router(ehr), stop.clone()),
        listen(provider_listening, provider, stop.clone()),
        listen(pharmacy_listening, pharmacy, stop),
    );
    Ok(())
}

/// The pharmacy of the demonstration, which knows the published keys and nothing else of ours.
fn pharmacy(settings: &Settings, gateway: &Gateway, drawer: &Drawer) -> anyhow::Result<Pharmacy> {
    let keys_url: Arc<str> = format!("{}/.well-known/jwks.json", settings.public_origin()?).into();
    let drawer = drawer.clone();
    let keys = move || -> pharmacy::Keys {
        let (drawer, url) = (drawer.clone(), Arc::clone(&keys_url));
        Box::pin(async move { drawer.call(Call::get(&url)).await.ok() })
    };
    Ok(Pharmacy {
        gateway_key: Arc::clone(&gateway.key),
        keys: Arc::new(keys),
        clock: Arc::new(now),
    })
}

/// A private key as OpenSSL and most libraries read it (PKCS #8 in PEM, RFC 7468).
fn pem(document: &SecretBytes) -> String {
    let body = data_encoding::BASE64.encode(document.expose());
    let lines: Vec<String> =
        body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// Our client ID at the stand-in EHR.
const SMART_CLIENT: &str = "countersign";

const PROVIDER: &str = "Demo ID (fictional)";

/// The proofing provider of the demonstration. Its key and its client's secret are new at each start.
fn provider(settings: &Settings, port: u16) -> anyhow::Result<Proofer> {
    let secret: [u8; 32] = random_array(&mut SystemRng)?;
    let (given, family, npi, born, _) = GRACE;
    let grace = MadeUp {
        subject: "grace".to_owned(),
        given: given.to_owned(),
        family: family.to_owned(),
        born: born.to_owned(),
        npi: npi.to_owned(),
        note: "as she is invited",
        ..MadeUp::default()
    };
    let near = MadeUp {
        subject: "grace-married".to_owned(),
        middle: "Birgit".to_owned(),
        family: "Lindholm Berg".to_owned(),
        note: "address differs: the practice reviews it",
        ..grace.clone()
    };
    let other = MadeUp {
        subject: "henry".to_owned(),
        given: "Henry".to_owned(),
        family: "Stone".to_owned(),
        born: "1960-01-01".to_owned(),
        note: "a different person: rejected",
        ..MadeUp::default()
    };
    let ada = MadeUp {
        subject: "ada".to_owned(),
        given: "Ada".to_owned(),
        family: "Moreno".to_owned(),
        npi: NPI.to_owned(),
        note: "for a new token after a loss",
        ..MadeUp::default()
    };
    Ok(Proofer {
        issuer: format!("http://127.0.0.1:{port}"),
        client: ("countersign-demo".to_owned(), HEXLOWER.encode(&secret)),
        redirect_uri: format!("{}/proofing/return", settings.public_origin()?),
        signing_key: SigningKey::generate()?.0,
        people: vec![grace, near, other, ada],
        clock: Arc::new(now),
    })
}

fn client_of(provider: &Proofer) -> Client {
    let (id, secret) = provider.client.clone();
    Client {
        issuer: provider.issuer.clone(),
        id,
        secret: Secret(secret),
        acr_values: ASSURANCE.to_owned(),
    }
}

fn read_state(marker: &Path) -> anyhow::Result<State> {
    let bytes = private_file::read(marker, 65_536)?;
    serde_json::from_slice(bytes.expose()).with_context(|| {
        format!("{} is damaged: run make demo-reset to start over", marker.display())
    })
}

/// Tells the app how it is known to the stand-in EHR, whose address goes with the port.
async fn know_smart(app: &App, state: &State, ehr_port: u16) -> anyhow::Result<()> {
    let iss = format!("http://127.0.0.1:{ehr_port}/fhir");
    if app.smart_ehr(&iss).await?.is_some() {
        return Ok(());
    }
    let ehr = state.ehr_id.parse::<EhrId>()?;
    let client_id = SMART_CLIENT.to_owned();
    let client_secret = state.smart_secret.clone();
    let known = app.register_smart(ehr, iss, client_id, client_secret, app.at()?).await?;
    known
        .done()
        .context("the demonstration EHR is not registered: run make demo-reset to start over")
}

/// Removes what a demonstration made, and only that.
fn reset(data: &Path) -> anyhow::Result<()> {
    if !data.exists() {
        return print("Nothing to reset.\n");
    }
    let made_here = data.join(DEMO_MARKER).exists() || data.join(BEGUN).exists();
    let empty = fs::read_dir(data).with_context(|| data.display().to_string())?.next().is_none();
    if !made_here && !empty {
        bail!("{} is not a demonstration folder; nothing was removed", data.display());
    }
    let mut names = vec![
        "countersign.db".to_owned(),
        "countersign.db-wal".to_owned(),
        "countersign.db-shm".to_owned(),
        "master.key".to_owned(),
        "ehr.key".to_owned(),
        API_KEY.to_owned(),
        "token.pin".to_owned(),
        VIP_HMAC_KEY.to_owned(),
        VIP_TOKEN_KEY.to_owned(),
        FACTS.to_owned(),
        DEMO_MARKER.to_owned(),
        BEGUN.to_owned(),
    ];
    if let Ok(entries) = fs::read_dir(data.join("tokens")) {
        for entry in entries {
            names.push(format!("tokens/{}", entry?.file_name().to_string_lossy()));
        }
    }
    for name in names {
        let path = data.join(&name);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            bail!("{}: {error}", path.display());
        }
    }
    // The folders go only if nothing else lies in them.
    let _ = fs::remove_dir(data.join("tokens"));
    let _ = fs::remove_dir(data);
    print("The demonstration's data was removed.\n")
}
