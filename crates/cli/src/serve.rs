//! `serve`, `migrate` and `doctor`: the real clock, randomness and keys are wired here.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use countersign_app::{App, Build, Clock, Options, Support, Vip, outbound::Outbound};
use countersign_crypto::{KeyProvider, LocalMasterKey, Rng, SystemRng, fips_status};
use countersign_domain::{
    Date, KeyboardLine, Label, TimeZone, Timestamp,
    certification::{BuildId, RunningBuild},
    controlled::Table,
};
use countersign_protocol::oidc::{Client, Secret};
use countersign_server::{
    ClientAddresses, Limits, ListenOptions, Listening, listen_with, notice_text, router,
};
use countersign_store::{Database, SCHEMA_VERSION, Store};
use serde::Deserialize;
use tokio::{runtime::Runtime, sync::watch};

use crate::{
    doctor::{self, Finding},
    key_file,
    outside::Outside,
    print, private_file, release,
    settings::{DatabaseKind, Listen, LogFormat, Settings, is_safe},
    soft_token::now,
    vip_keys,
};

/// Marks a folder that the demonstration made, and holds what it must remember.
pub(crate) const DEMO_MARKER: &str = "demo-state.json";

/// The clock of this host.
pub(crate) struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// The generator of the FIPS module.
pub(crate) fn system_rng() -> Box<dyn Rng> {
    Box::new(SystemRng)
}

pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads for the server")
}

pub(crate) fn database(settings: &Settings) -> Database {
    match settings.database.kind {
        DatabaseKind::Sqlite => Database::Sqlite { path: settings.database.path.clone() },
        DatabaseKind::Postgres => Database::Postgres {
            url: settings.database.url.expose().to_owned(),
            connections: usize::try_from(settings.database.connections).unwrap_or(1),
        },
    }
}

/// The master key; made only where there is no data yet that another key may have sealed.
async fn master_key(settings: &Settings, make: bool) -> anyhow::Result<Arc<dyn KeyProvider>> {
    let path = &settings.keys.master_key_file;
    let key = match key_file::read(path) {
        Err(key_file::KeyFileError::Missing(_)) if make && is_empty(settings).await? => {
            key_file::read_or_create(path, &mut SystemRng)?
        }
        other => other?,
    };
    Ok(Arc::new(key))
}

/// Whether the database holds nothing at all.
async fn is_empty(settings: &Settings) -> anyhow::Result<bool> {
    if settings.database.kind == DatabaseKind::Sqlite {
        return Ok(!settings.database.path.exists());
    }
    // Nothing is sealed or opened by this key; it only stands in to ask for the schema.
    let stand_in = LocalMasterKey::from_bytes(&LocalMasterKey::generate(&mut SystemRng)?)?;
    let store = Store::open_bare(&database(settings), Arc::new(stand_in), system_rng)?;
    Ok(store.schema_state().await?.version() == 0)
}

/// Opens the store as the settings say; makes folder and key on a first start.
pub(crate) async fn open_store(
    settings: &Settings,
    migrate: bool,
    demonstration: bool,
) -> anyhow::Result<Store> {
    fips_status()?;
    if let Some(folder) = settings.database.path.parent()
        && !demonstration
        && settings.database.kind == DatabaseKind::Sqlite
        && folder.join(DEMO_MARKER).exists()
    {
        bail!(
            "{} holds the demonstration, whose keys and passphrase lie open beside it: set database.path to another folder",
            folder.display()
        );
    }
    if settings.database.kind == DatabaseKind::Sqlite
        && let Some(folder) = settings.database.path.parent().filter(|f| !f.as_os_str().is_empty())
    {
        private_file::create_folder(folder)?;
    }
    let key = master_key(settings, migrate).await?;
    if migrate && settings.database.kind == DatabaseKind::Sqlite && !settings.database.path.exists()
    {
        // An empty file is an empty database; made here, only its owner can open it, and what
        // SQLite lays beside it takes the same mode.
        private_file::create(&settings.database.path, b"")?;
    }
    let place = match settings.database.kind {
        DatabaseKind::Sqlite => settings.database.path.display().to_string(),
        DatabaseKind::Postgres => "PostgreSQL (database.url)".to_owned(),
    };
    Store::open(&database(settings), key, system_rng, migrate, now())
        .await
        .with_context(|| format!("database {place}"))
}

pub(crate) fn options(settings: &Settings, demonstration: bool) -> anyhow::Result<Options> {
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (build, build_id) = release::build(&settings.signing)?;
    Ok(Options {
        public_url: settings.public_origin()?,
        policy: settings.policy()?,
        iterations: settings.policy.passphrase_iterations,
        manufacturers: settings.manufacturers()?,
        symantec_prefix: settings.manufacturers.symantec_prefix.clone(),
        support: Support {
            name: settings.practice.support_name.clone(),
            phone: filled(&settings.practice.support_phone),
            email: filled(&settings.practice.support_email),
        },
        demonstration,
        vip: vip(settings)?,
        providers: providers(settings)?,
        time_server: !settings.signing.time_server.is_empty(),
        build,
        version: release::version()?,
        build_id,
        drugs: Arc::new(drugs(&settings.signing.drug_table_file)?),
        states: Arc::new(settings.state_rules()?),
        gateway: !settings.transmission.gateway_url.is_empty(),
        pharmacies: settings.pharmacies()?,
        retention: settings.retention()?,
        notice_text,
    })
}

/// The table of drugs.
fn drugs(path: &str) -> anyhow::Result<Table> {
    if path.is_empty() {
        return Ok(Table::built_in());
    }
    let about = || format!("signing.drug_table_file: {path}");
    let text = std::fs::read_to_string(path).with_context(about)?;
    text.parse::<Table>().with_context(about)
}

/// How often the clock is measured, and how long one measurement may take.
const MEASURE_EVERY: Duration = Duration::from_mins(10);
const MEASURE_MOST: Duration = Duration::from_secs(5);

/// Measures this host's clock against the time server, again and again.
async fn watch_clock(app: Arc<App>, server: String) {
    if server.is_empty() {
        return;
    }
    loop {
        let pause = match measured(&server).await {
            Ok(offset) => {
                app.clock_was_measured(offset);
                if offset.abs() > 60 {
                    tracing::error!(offset, "the clock of this host is wrong");
                }
                MEASURE_EVERY
            }
            Err(error) => {
                tracing::warn!(%error, "the time server did not answer");
                Duration::from_mins(1)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// By how many seconds a time server is ahead of this host (SNTP, RFC 4330).
async fn measured(server: &str) -> Result<i64, rsntp::SynchronizationError> {
    let mut client = rsntp::AsyncSntpClient::new();
    client.set_timeout(MEASURE_MOST);
    let offset = client.synchronize(server).await?.clock_offset().as_secs_f64();
    #[expect(clippy::cast_possible_truncation, reason = "seconds between two clocks of today")]
    Ok(offset.round() as i64)
}

/// How we are known to a proofing provider, as its file says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderFile {
    name: String,
    issuer: String,
    client_id: String,
    client_secret: String,
    #[serde(default)]
    acr_values: String,
}

/// The proofing providers that are set up here.
fn providers(settings: &Settings) -> anyhow::Result<Vec<(String, Client)>> {
    let read = |path: &String| -> anyhow::Result<(String, Client)> {
        let bytes = private_file::read(Path::new(path), 16_384)?;
        // The place of the fault alone: what serde says of it may quote the secret.
        let it: ProviderFile = serde_json::from_slice(bytes.expose()).map_err(|error| {
            anyhow::anyhow!(
                "{path}: line {}: no JSON with the texts name, issuer, client_id, client_secret and acr_values alone",
                error.line()
            )
        })?;
        if !is_safe(&it.issuer) {
            bail!("{path}: issuer must begin with https://, except on this machine alone");
        }
        let name: Label<60> = it.name.parse().with_context(|| format!("{path}: name"))?;
        for (field, text) in [("issuer", &it.issuer), ("client_id", &it.client_id)] {
            text.parse::<KeyboardLine<500>>().with_context(|| format!("{path}: {field}"))?;
        }
        let client = Client {
            issuer: it.issuer,
            id: it.client_id,
            secret: Secret(it.client_secret),
            acr_values: it.acr_values,
        };
        Ok((name.into(), client))
    };
    let files = settings.proofing.provider_files.iter();
    files.map(|path| read(path).context("proofing.provider_files")).collect()
}

/// The VIP Access protocol, where it is switched on; its keys must be there.
fn vip(settings: &Settings) -> anyhow::Result<Option<Arc<Vip>>> {
    let vip = &settings.vip;
    if !vip.enabled {
        return Ok(None);
    }
    Ok(Some(Arc::new(Vip {
        path: vip.path.clone(),
        keys: vip_keys::read(&vip.hmac_key_file, &vip.token_key_file)?,
        clock_tolerance_seconds: vip.clock_tolerance_seconds,
    })))
}

pub(crate) fn start_log(settings: &Settings) {
    let level = settings.log.level.code();
    let text = std::env::var("COUNTERSIGN_LOG").unwrap_or_else(|_| {
        format!("warn,countersign={level},countersign_app={level},countersign_server={level},countersign_store={level}")
    });
    let filter = tracing_subscriber::EnvFilter::new(text);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    // A second start in one process only happens in tests.
    let _ = match settings.log.format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_ansi(false).try_init(),
    };
}

/// `countersign serve`
pub(crate) fn run(config: Option<&Path>, check_only: bool) -> anyhow::Result<()> {
    let settings = Settings::load(config)?;
    if check_only {
        options(&settings, false)?;
        Outside::new(&settings)?;
        check_socket(&settings)?;
        return print("The configuration is good.\n");
    }
    start_log(&settings);
    runtime()?.block_on(async {
        // The address first: where it is taken, nothing is made.
        let listening = bind(&settings.server.listen, "server.listen").await?;
        let outbound: Arc<dyn Outbound> = Arc::new(Outside::new(&settings)?);
        let store = open_store(&settings, true, false).await?;
        let app = App::new(store, Arc::new(HostClock), system_rng, options(&settings, false)?);
        let app = Arc::new(app.reaching(Arc::clone(&outbound)));
        if app.options().build == Build::Allowed {
            app.note_unlisted_build().await?;
        }
        app.watch_certification().await?;
        // Before the word that all is ready: who stops it right then finds it listening.
        let stop = stop_signal()?;
        tracing::info!(
            listen = settings.server.listen,
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
        serve_app(app, &settings, outbound, listening, settings.client_addresses()?, stop).await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Binds an address that stands in `setting`.
pub(crate) async fn bind(address: &str, setting: &str) -> anyhow::Result<Listening> {
    match Listening::bind(address).await {
        Ok(listening) => Ok(listening),
        Err(error) => bail!("{}", why_not_bound(address, setting, &error)),
    }
}

/// Refuses a socket path at which a start could not listen, in the words of a start. An empty file is made beside it
/// and removed: mode bits tell nothing about a read-only disk or another owner.
fn check_socket(settings: &Settings) -> anyhow::Result<()> {
    const SETTING: &str = "server.listen";
    let Listen::Unix(path) = settings.listen()? else { return Ok(()) };
    if path.is_dir() {
        bail!("{} is a folder: choose another path in {SETTING}", path.display());
    }
    let probed: std::io::Result<()> = match path.parent() {
        _ if path.is_file() => Err(std::io::ErrorKind::AddrInUse.into()),
        Some(folder) => doctor::probe(folder),
        None => Ok(()),
    };
    match probed {
        Ok(()) => Ok(()),
        Err(error) => bail!("{}", why_not_bound(&settings.server.listen, SETTING, &error)),
    }
}

/// Why an address can't be listened on, and what to do.
fn why_not_bound(address: &str, setting: &str, error: &std::io::Error) -> String {
    use std::io::ErrorKind as E;
    let path = address.strip_prefix("unix:").map(Path::new);
    let folder = path.and_then(Path::parent).map(Path::display);
    match (error.kind(), path, folder) {
        (E::AddrInUse, Some(path), _) if path.is_file() => {
            format!("{} is a file: remove it, or choose another path in {setting}", path.display())
        }
        (E::AddrInUse, ..) => {
            format!(
                "{address} is in use: stop what listens there, or choose another address in {setting}"
            )
        }
        (E::NotFound, _, Some(folder)) => {
            format!(
                "{address}: {folder} does not exist: make it, or choose another path in {setting}"
            )
        }
        (E::PermissionDenied, _, Some(folder)) => {
            format!(
                "{address}: this account may not write to {folder}: let it, or choose another path in {setting}"
            )
        }
        (E::PermissionDenied, ..) => {
            format!(
                "{address}: this account may not listen there: choose a port from 1024 on in {setting}"
            )
        }
        (E::AddrNotAvailable, ..) => {
            format!("{address}: this machine has no such address: choose another in {setting}")
        }
        _ => format!("cannot listen on {address} ({error}): choose another address in {setting}"),
    }
}

/// How often the outbox is looked at.
const DELIVER_EVERY: Duration = Duration::from_secs(2);

/// Serves one application until `stop`, tidying up once a minute.
pub(crate) async fn serve_app(
    app: Arc<App>,
    settings: &Settings,
    outbound: Arc<dyn Outbound>,
    listening: Listening,
    addresses: ClientAddresses,
    stop: watch::Receiver<bool>,
) {
    let most = Duration::from_secs(u64::try_from(settings.limits.request_seconds).unwrap_or(30));
    let limits = Arc::new(Limits::of(settings.rates()).behind(addresses.clone()));
    let tidy = tokio::spawn({
        let (app, limits) = (Arc::clone(&app), Arc::clone(&limits));
        async move {
            loop {
                tokio::time::sleep(Duration::from_mins(1)).await;
                limits.shrink(now());
                if let Err(error) = app.purge().await {
                    tracing::warn!(%error, "tidying up failed");
                }
                if let Err(error) = app.watch_certification().await {
                    tracing::warn!(%error, "looking at notices of non-compliance failed");
                }
                if let Err(error) = app.watch().await {
                    tracing::warn!(%error, "looking at registrations failed");
                }
            }
        }
    });
    let gateway = Arc::clone(&outbound);
    let deliver = tokio::spawn({
        let app = Arc::clone(&app);
        async move {
            loop {
                match app.deliver(outbound.as_ref()).await {
                    // There may be more.
                    Ok(sent) if sent > 0 => {}
                    Ok(_) => tokio::time::sleep(DELIVER_EVERY).await,
                    Err(error) => {
                        tracing::warn!(%error, "sending notices failed");
                        tokio::time::sleep(Duration::from_mins(1)).await;
                    }
                }
            }
        }
    });
    let transmit = tokio::spawn({
        let app = Arc::clone(&app);
        async move {
            loop {
                match app.transmit(&gateway).await {
                    // There may be more.
                    Ok(tried) if tried > 0 => {}
                    Ok(_) => app.something_signed().await,
                    Err(error) => {
                        tracing::warn!(%error, "sending prescriptions failed");
                        tokio::time::sleep(DELIVER_EVERY).await;
                    }
                }
            }
        }
    });
    let clock = tokio::spawn(watch_clock(Arc::clone(&app), settings.signing.time_server.clone()));
    let options = ListenOptions { addresses, ..ListenOptions::default() };
    listen_with(listening, router(app, limits, most), options, stop).await;
    clock.abort();
    tidy.abort();
    deliver.abort();
    transmit.abort();
}

/// Becomes true on SIGTERM or SIGINT.
pub(crate) fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (send, receive) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).context("no signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no signals")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = send.send(true);
    });
    Ok(receive)
}

/// `countersign migrate`
pub(crate) fn migrate(config: Option<&Path>) -> anyhow::Result<()> {
    let settings = Settings::load(config)?;
    runtime()?.block_on(async {
        open_store(&settings, true, false).await?;
        print(&format!("The database has schema {SCHEMA_VERSION}.\n"))
    })
}

/// `countersign doctor`
pub(crate) fn doctor(config: Option<&Path>) -> anyhow::Result<u8> {
    let settings = Settings::load(config)?;
    let mut findings = doctor::host_findings(&settings, now());
    if let Ok(key) = key_file::read(&settings.keys.master_key_file) {
        findings.extend(runtime()?.block_on(store_findings(&settings, Arc::new(key))));
    }
    print(&doctor::render(&findings))?;
    Ok(doctor::exit_code(&findings))
}

async fn store_findings(settings: &Settings, key: Arc<dyn KeyProvider>) -> Vec<Finding> {
    let store = match Store::open_bare(&database(settings), key, system_rng) {
        Ok(store) => store,
        Err(error) => return vec![doctor::database_finding(Err(error))],
    };
    let state = match store.schema_state().await {
        Ok(state) => state,
        Err(error) => return vec![doctor::database_finding(Err(error))],
    };
    let kind = match settings.database.kind {
        DatabaseKind::Sqlite => "SQLite answers",
        DatabaseKind::Postgres => "PostgreSQL answers",
    };
    let mut findings =
        vec![doctor::database_finding::<countersign_store::Error>(Ok(kind.to_owned()))];
    let version = Some(state.version()).filter(|version| *version > 0);
    findings.push(doctor::schema_finding(version, SCHEMA_VERSION));
    if version == Some(SCHEMA_VERSION) {
        findings.push(match store.read("models", |tx| tx.token_models()).await {
            Ok(models) => doctor::models_finding(models.iter().filter(|m| m.allowed).count()),
            Err(error) => doctor::database_finding(Err(error)),
        });
        findings.extend(certification_findings(&store, settings).await);
    }
    match store.clock_offset(now()).await {
        Ok(Some(micros)) => findings.push(doctor::clock_finding(micros / 1_000)),
        Ok(None) => {}
        Err(error) => findings.push(doctor::database_finding(Err(error))),
    }
    findings
}

/// Whether the report of a listed build is on file and in force, and the notices of non-compliance, which stop a build
/// whether it is listed or not.
async fn certification_findings(store: &Store, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (listed, id) = match release::build(&settings.signing) {
        Ok((Build::Listed { report }, id)) => (Some(report), Some(id)),
        Ok((Build::Allowed | Build::Unlisted, id)) => (None, Some(id)),
        Err(error) => {
            findings.push(doctor::manifest_finding(&error));
            (None, None)
        }
    };
    let Ok(version) = release::version() else { return findings };
    let id = id.unwrap_or_else(|| BuildId::unlisted(version));
    let running = RunningBuild { version, id, listed };
    let asked = running.clone();
    let found = store
        .read("certification", move |tx| {
            let report = tx.report_of(&asked.id, asked.listed.as_deref())?;
            Ok((report, tx.noncompliance()?))
        })
        .await;
    let today = Date::at(now(), &TimeZone::UTC);
    match found {
        Ok((report, notices)) => {
            if running.listed.is_some() {
                findings.push(doctor::certification_finding(report.map(|it| it.facts), today));
            }
            findings.extend(doctor::notices_finding(&notices, &running));
        }
        Err(error) => findings.push(doctor::database_finding(Err(error))),
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server of SNTP whose clock is ahead by so many seconds.
    async fn time_server(ahead: i64, stratum: u8) -> String {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let mut asked = [0; 48];
            let (_, from) = socket.recv_from(&mut asked).await.unwrap();
            // Seconds since 1900 (RFC 4330, section 3).
            let seconds = u32::try_from(now().seconds() + ahead + 2_208_988_800).unwrap();
            let mut answer = [0; 48];
            // No leap second, version 4, server.
            answer[0] = 0b00_100_100;
            answer[1] = stratum;
            answer[24..32].copy_from_slice(&asked[40..48]);
            for at in [16, 32, 40] {
                answer[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
            }
            socket.send_to(&answer, from).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn a_time_server_is_asked_and_believed_only_when_it_has_the_time() {
        assert!(measured(&time_server(0, 1).await).await.unwrap().abs() <= 1);
        let ahead = measured(&time_server(400, 2).await).await.unwrap();
        assert!((399..=401).contains(&ahead), "{ahead}");
        // A kiss of death (stratum 0) says no time.
        assert!(measured(&time_server(0, 0).await).await.is_err());
    }
}
