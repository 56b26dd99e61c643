//! `countersign demo`: everything in one folder, with made-up people, on loopback.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Args;
use countersign_app::{
    App, At, DemoPerson, Invitee, SCOPES,
    outbound::{Call, Outbound as _},
};
use countersign_crypto::{
    HmacAlgorithm, HmacKey, SecretBytes, SecretText, SigningKey, SystemRng, random_array,
};
use countersign_domain::{
    DeaNumber, EhrId, FipsCertificate, ModelCode, Passphrase, PersonId, PracticeId, Role,
    TokenKind, TokenModel, access::Setting,
};
use countersign_protocol::oidc::{Client, Secret};
use countersign_provision::vip::VipKeys;
use countersign_server::listen;
use countersign_standins::{
    ehr::{self, Ehr, EhrUser, FIRST_PATIENT, Smart, SmartClient},
    pharmacy::{self, Pharmacy},
    proofer::{self, ASSURANCE, MadeUp, Proofer},
};
use countersign_store::{Identity, Invited, Profile};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::{
    drawer::Drawer,
    outside::Gateway,
    print, private_file,
    serve::{
        DEMO_MARKER, HostClock, bind, open_store, options, runtime, serve_app, start_log,
        stop_signal, system_rng,
    },
    settings::Settings,
    soft_token::{self, now, quoted},
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
/// The NPI that 45 CFR's own examples use.
const NPI: &str = "1234567893";
const NAME: &str = "Dr. Ada Moreno";
const PRACTICE: &str = "Lakeside Clinic";
const TOKEN: &str = "Demo phone";
const DEA: &str = "BM1234563";

const HOSPITAL: &str = "Lakeside Hospital";
const HOSPITAL_DEA: &str = "AH5006134";

/// One of the others of the practice.
struct OtherPerson {
    name: &'static str,
    /// What they log in with.
    sign_in: &'static str,
    /// What they are, for whoever tries the demonstration.
    role: &'static str,
    dea: Option<&'static str>,
    /// Name of their token.
    token: &'static str,
    /// A telephone of their own: people who share one are one person to access control.
    phone: &'static str,
}

/// The others of the practice.
const OTHERS: [OtherPerson; 3] = [
    OtherPerson {
        name: "Ruth Okafor",
        sign_in: "ruth@lakeside.example",
        role: "administrator, enters grants; authorizes tokens in the hospital",
        dea: None,
        token: "Ruth's phone",
        phone: "+1 402 555 0102",
    },
    OtherPerson {
        name: "Dr. Ben Castillo",
        sign_in: "1000000004",
        role: "second prescriber, executes grants",
        dea: Some("BC1234563"),
        token: "Ben's phone",
        phone: "+1 402 555 0103",
    },
    OtherPerson {
        name: "Sam Whitfield",
        sign_in: "sam@lakeside.example",
        role: "proofs identities in the hospital, looks at near matches in the clinic",
        dea: None,
        token: "Sam's phone",
        phone: "+1 402 555 0104",
    },
];

/// Those who are invited and not enrolled: given name, family name, NPI, date of birth at the provider,
/// telephone.
const GRACE: (&str, &str, &str, &str, &str) =
    ("Grace", "Lindholm", "1000001002", "1979-02-03", "+14025550111");
const OMAR: (&str, &str, &str, &str, &str) =
    ("Omar", "Haddad", "1000002000", "1983-09-21", "+14025550112");

/// `countersign demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Folder for everything
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Port of e-prescribing app and portal; the stand-in EHR, the made-up proofing provider and the
    /// made-up pharmacy take the next three
    #[arg(long, default_value_t = 8700, value_parser = clap::value_parser!(u16).range(1024..=65532))]
    port: u16,
    /// Remove what an earlier demonstration left in the folder, then start afresh
    #[arg(long)]
    reset: bool,
    /// Remove what an earlier demonstration left in the folder, and end
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

#[derive(Serialize)]
struct OtherFacts<'a> {
    name: &'a str,
    role: &'a str,
    sign_in: &'a str,
    passphrase: &'a str,
    token_command: String,
}

#[derive(Serialize)]
struct Facts<'a> {
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
                "{} holds a database and no demonstration: choose another folder",
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

const PROVIDER: &str = "Demo ID (made up)";

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
        note: "written otherwise: a person looks at it",
        ..grace.clone()
    };
    let other = MadeUp {
        subject: "henry".to_owned(),
        given: "Henry".to_owned(),
        family: "Stone".to_owned(),
        born: "1960-01-01".to_owned(),
        note: "somebody else: refused",
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
    serde_json::from_slice(bytes.expose())
        .with_context(|| format!("{} is damaged: make demo-reset starts afresh", marker.display()))
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
    if !app.register_smart(ehr, iss, client_id, client_secret, app.at()?).await? {
        bail!("the stand-in EHR is not registered: make demo-reset starts afresh");
    }
    Ok(())
}

/// Allows the soft tokens that can be had here, where nobody has judged any model. An operator of a
/// real installation decides for each; none has a certificate.
async fn allow_models(app: &App) -> anyhow::Result<()> {
    if !app.models().await?.is_empty() {
        return Ok(());
    }
    for (code, maker, name) in [
        (ModelCode::AUTHENTICATOR, "Countersign", "Authenticator"),
        (ModelCode::TERMINAL, "Countersign", "terminal token"),
        (ModelCode::VIP_ACCESS, "Symantec", "VIP Access"),
    ] {
        let at = app.at()?;
        let model = TokenModel {
            code: ModelCode::known(code),
            maker: maker.to_owned(),
            name: name.to_owned(),
            kind: TokenKind::OtpSoft,
            fips: FipsCertificate::NONE,
            allowed: true,
            note: "demo policy".to_owned(),
            changed: at.now,
            changed_by: "demo".to_owned(),
        };
        app.set_model(model, at).await?;
    }
    Ok(())
}

/// Makes practice, people, EHR and first token. The marker comes last: without it nothing counts.
async fn first_start(data: &Path, app: &App, issuer: &str) -> anyhow::Result<State> {
    let at = app.at()?;
    let passphrase = invent_passphrase()?;
    let practice = app.create_practice(PRACTICE.to_owned(), at).await?;
    let person = made_up(NPI, NAME, &passphrase, vec![Role::Prescriber], "+1 402 555 0101")?;
    let prescriber = app.install_demo_person(practice, person, at).await?.context(
        "the database holds the demonstration's prescriber already: make demo-reset starts afresh",
    )?;
    let nurse =
        app.create_staff(practice, "Jamie Lee".to_owned(), "jlee".to_owned(), at).await?.context(
            "the database holds the demonstration's nurse already: make demo-reset starts afresh",
        )?;
    let (key, document) = SigningKey::generate()?;
    private_file::create(&data.join("ehr.key"), HEXLOWER.encode(document.expose()).as_bytes())?;
    let users = vec![
        ("amoreno".to_owned(), Identity::Prescriber(prescriber)),
        ("jlee".to_owned(), Identity::Staff(nurse)),
        ("Practitioner/amoreno".to_owned(), Identity::Prescriber(prescriber)),
        ("Practitioner/jlee".to_owned(), Identity::Staff(nurse)),
    ];
    let point = key.verifying_key().point().to_vec();
    let ehr =
        app.register_ehr(practice, "Lakeside Clinic EHR".to_owned(), point, users, at).await?;
    let (api_key, api_document) = SigningKey::generate()?;
    private_file::create(&data.join(API_KEY), pem(&api_document).as_bytes())?;
    let api_point = api_key.verifying_key().point().to_vec();
    let api_name = "EHR with its own screens".to_owned();
    let made = app.create_api_client(practice, api_name, api_point, SCOPES.join(" "), at).await?;
    let api_client_id = made.to_string();
    let secret: [u8; 32] = random_array(&mut SystemRng)?;
    let smart_secret = HEXLOWER.encode(&secret);
    let made = app.install_demo_token(practice, prescriber, TOKEN.parse()?, at).await?;
    let pin: [u8; 8] = random_array(&mut SystemRng)?;
    let pin = HEXLOWER.encode(&pin);
    private_file::create(&data.join("token.pin"), pin.as_bytes())?;
    let tokens = data.join("tokens");
    soft_token::keep_for_demo(&tokens, TOKEN, made, &pin)?;
    app.install_demo_permission(practice, prescriber, DEA.parse()?, at).await?;
    let mut others = Vec::new();
    let mut people = Vec::new();
    for other in &OTHERS {
        let (id, other) = make_other(app, practice, other, &tokens, &pin, at).await?;
        people.push(id);
        others.push(other);
    }
    let hospital = app.create_practice(HOSPITAL.to_owned(), at).await?;
    let provider = Some((issuer.to_owned(), ASSURANCE.to_owned()));
    let [ruth, ben, sam] = people[..] else { bail!("the demonstration's people are not three") };
    let unit = |text: &str| text.to_owned();
    let roles = vec![(sam, Role::Proofing, unit("Front office"))];
    let setting = Setting::Practitioners;
    app.install_demo_rules(practice, setting, roles, provider, None, at).await?;
    let roles = vec![
        (ruth, Role::Administrator, unit("")),
        (ruth, Role::Designated, unit("")),
        (ruth, Role::Issuing, unit("Security office")),
        (ben, Role::Designated, unit("")),
        (sam, Role::Proofing, unit("Credentialing office")),
    ];
    let own = Some(HOSPITAL_DEA.parse()?);
    app.install_demo_rules(hospital, Setting::Institution, roles, None, own, at).await?;
    let mut invited = Vec::new();
    for (person, place, name, dea) in
        [(GRACE, practice, PRACTICE, Some("BL4005129")), (OMAR, hospital, HOSPITAL, None)]
    {
        let (given, family, npi, born, _) = person;
        let link = app.install_demo_invitation(place, invitee(person, dea)?, at).await?;
        invited.push(InvitedOne {
            name: format!("{given} {family}"),
            practice: name.to_owned(),
            npi: npi.to_owned(),
            born: born.to_owned(),
            link,
        });
    }
    let npi = NPI.to_owned();
    let state = State {
        npi,
        passphrase,
        ehr_id: ehr.to_string(),
        smart_secret,
        api_client_id,
        others,
        invited,
    };
    private_file::create(&data.join(DEMO_MARKER), &serde_json::to_vec_pretty(&state)?)?;
    Ok(state)
}

/// Somebody whom the demonstration invites. An institution's own registration serves where there is none.
fn invitee(
    (given, family, npi, _, phone): (&str, &str, &str, &str, &str),
    dea: Option<&str>,
) -> anyhow::Result<Invitee> {
    let expires = "2030-12-31".to_owned();
    let email = format!("{}@lakeside.example", given.to_lowercase());
    let registration = |number: &str| {
        [number.to_owned(), "NE".to_owned(), "2 2N 3 3N 4 5".to_owned(), expires.clone()]
    };
    Ok(Invitee {
        sign_in: npi.parse()?,
        invited: Invited {
            profile: Profile {
                given: given.to_owned(),
                family: family.to_owned(),
                phone: phone.to_owned(),
                emails: vec![email],
                ..Profile::default()
            },
            roles: vec![Role::Prescriber.code().to_owned()],
            registrations: dea.map(registration).into_iter().collect(),
            licences: vec![["NE".to_owned(), format!("NE-{}", &npi[4..]), expires.clone()]],
            ..Invited::default()
        },
    })
}

fn made_up(
    sign_in: &str,
    name: &str,
    passphrase: &str,
    roles: Vec<Role>,
    phone: &str,
) -> anyhow::Result<DemoPerson> {
    let phrase = SecretText::new(passphrase.to_owned());
    let first = name.split(' ').rev().nth(1).unwrap_or(name).to_lowercase();
    let email = if sign_in.contains('@') {
        sign_in.to_owned()
    } else {
        format!("{first}@lakeside.example")
    };
    Ok(DemoPerson {
        sign_in: sign_in.parse()?,
        name: name.to_owned(),
        passphrase: Passphrase::choose(&phrase, &[name, sign_in, PRACTICE])?,
        roles,
        profile: Profile {
            given: first,
            family: name.rsplit(' ').next().unwrap_or(name).to_owned(),
            address: "12 Elm Street, Lincoln NE 68501".to_owned(),
            phone: phone.replace(' ', ""),
            emails: vec![email],
            phone_confirmed: Some(now().micros()),
            address_confirmed: Some(now().micros()),
            ..Profile::default()
        },
    })
}

async fn make_other(
    app: &App,
    practice: PracticeId,
    &OtherPerson { name, sign_in, role, dea, token, phone }: &OtherPerson,
    tokens: &Path,
    pin: &str,
    at: At,
) -> anyhow::Result<(PersonId, Other)> {
    let passphrase = invent_passphrase()?;
    let roles = match (dea, name) {
        (Some(_), _) => vec![Role::Prescriber, Role::Designated],
        (None, "Ruth Okafor") => vec![Role::Administrator, Role::Designated],
        (None, _) => Vec::new(),
    };
    let person = made_up(sign_in, name, &passphrase, roles, phone)?;
    let id = app.install_demo_person(practice, person, at).await?.context(
        "the database holds the demonstration's people already: make demo-reset starts afresh",
    )?;
    let made = app.install_demo_token(practice, id, token.parse()?, at).await?;
    soft_token::keep_for_demo(tokens, token, made, pin)?;
    if let Some(dea) = dea {
        app.install_demo_permission(practice, id, dea.parse::<DeaNumber>()?, at).await?;
    }
    let other = Other {
        name: name.to_owned(),
        role: role.to_owned(),
        sign_in: sign_in.to_owned(),
        passphrase,
        token: token.to_owned(),
    };
    Ok((id, other))
}

/// Five words of a list of 64 and two digits: easy to type, new in each folder, a demonstration's.
fn invent_passphrase() -> anyhow::Result<String> {
    const WORDS: [&str; 64] = [
        "anchor", "basil", "copper", "dragon", "ember", "falcon", "garden", "harbor", "island",
        "jigsaw", "kettle", "lantern", "marble", "nectar", "orchid", "pepper", "quartz", "ribbon",
        "saddle", "teapot", "umbrella", "velvet", "walnut", "yellow", "zipper", "amber", "bridge",
        "candle", "domino", "engine", "feather", "glacier", "hammer", "indigo", "jacket", "kitten",
        "ladder", "magnet", "needle", "oyster", "paddle", "quiver", "rocket", "silver", "tunnel",
        "upward", "violin", "window", "yonder", "zephyr", "acorn", "button", "cactus", "desert",
        "eleven", "fossil", "goblet", "hollow", "ivory", "jungle", "kernel", "lizard", "meadow",
        "napkin",
    ];
    let bytes: [u8; 6] = random_array(&mut SystemRng)?;
    let words: Vec<&str> =
        bytes.iter().take(5).filter_map(|b| WORDS.get(usize::from(b & 63)).copied()).collect();
    Ok(format!("{} {:02}", words.join(" "), bytes.last().copied().unwrap_or(0) % 100))
}

fn facts<'a>(
    data: &Path,
    port: u16,
    state: &'a State,
    vip_path: &str,
    vip_keys: &VipKeys,
) -> anyhow::Result<Facts<'a>> {
    let ehr_port = port + 1;
    let program = std::env::current_exe().context("where this program lies")?;
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

fn write_facts(data: &Path, facts: &Facts<'_>) -> anyhow::Result<()> {
    let path = data.join(FACTS);
    if let Err(error) = fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        bail!("{}: {error}", path.display());
    }
    private_file::create(&path, &serde_json::to_vec_pretty(facts)?)?;
    Ok(())
}

fn welcome(facts: &Facts<'_>, data: &Path) -> String {
    format!(
        "\nCountersign demonstration (made-up people and patients)\n\n\
         1. Open a chart:      {}\n   and choose the e-Prescribing tab, then the menu > Utilities > Token Management.\n\
         2. NPI:               {}\n   Passphrase:        {}\n\
         3. A passcode of the first token, {TOKEN}:\n   {}\n\n\
         Token Management without an EHR: {}\n\
         Messages and notices: {}\n\
         The pharmacy: {}\n\
         Others of the practice (log-in, passphrase, token) and two invited prescribers\n\
         (link, date of birth) stand in demo.json.\n\
         The same facts: {}\n\
         Stop with Ctrl-C; the next start keeps the data.\n\n",
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

/// Removes what a demonstration made, and only that.
fn reset(data: &Path) -> anyhow::Result<()> {
    if !data.exists() {
        return print("Nothing to reset.\n");
    }
    let made_here = data.join(DEMO_MARKER).exists() || data.join(BEGUN).exists();
    let empty = fs::read_dir(data).with_context(|| data.display().to_string())?.next().is_none();
    if !made_here && !empty {
        bail!("{} is no folder of the demonstration; nothing was removed", data.display());
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
    print("The demonstration's data is removed.\n")
}
