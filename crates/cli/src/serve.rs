//! `serve`, `migrate` and `doctor`: the real clock, randomness and keys are wired here.

mod background;
mod findings;
mod socket;
#[cfg(test)]
mod tests;
mod time_check;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use countersign_app::{App, Build, Clock, Options, Support, Vip, outbound::Outbound};
use countersign_crypto::{KeyProvider, LocalMasterKey, Rng, SystemRng, fips_status};
use countersign_domain::{KeyboardLine, Label, Timestamp, controlled::Table};
use countersign_protocol::oidc::{Client, Secret};
use countersign_server::{
    ClientAddresses, Limits, ListenOptions, Listening, listen_with, notice_text, router,
};
use countersign_store::{Database, SCHEMA_VERSION, Store};
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub(crate) use self::socket::bind;
use self::{background::Background, findings::store_findings, socket::check_socket};
use crate::{
    doctor, key_file,
    outside::Outside,
    print, private_file, release,
    settings::{DatabaseKind, LogFormat, Settings, is_safe},
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
            "{} contains the demonstration, whose keys and passphrase are not protected: set database.path to another folder",
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
                "{path}: line {}: not JSON with exactly the strings name, issuer, client_id, client_secret and acr_values",
                error.line()
            )
        })?;
        if !is_safe(&it.issuer) {
            bail!("{path}: issuer must begin with https://, except for a server on this machine");
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
        return print("The configuration is valid.\n");
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

/// Serves one application until `stop` is canceled, with all that it does by itself meanwhile.
pub(crate) async fn serve_app(
    app: Arc<App>,
    settings: &Settings,
    outbound: Arc<dyn Outbound>,
    listening: Listening,
    addresses: ClientAddresses,
    stop: CancellationToken,
) {
    let most = Duration::from_secs(u64::try_from(settings.limits.request_seconds).unwrap_or(30));
    let limits = Arc::new(Limits::of(settings.rates()).behind(addresses.clone()));
    let time_server = settings.signing.time_server.clone();
    let background = Background::start(&app, Arc::clone(&limits), outbound, time_server);
    let options = ListenOptions { addresses, ..ListenOptions::default() };
    listen_with(listening, router(app, limits, most), options, stop).await;
    background.end().await;
}

/// Is canceled on SIGTERM or SIGINT.
pub(crate) fn stop_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let told = stop.clone();
    let mut terminate = signal(SignalKind::terminate()).context("no signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no signals")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    Ok(stop)
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
