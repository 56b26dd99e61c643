use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use axum::{Router, body::Body};
use countersign_app::{
    App, Build, Clock, Options, Support,
    outbound::{Call, Fault, Outbound, Outgoing, Parcel, Sending},
};
use countersign_crypto::{HmacAlgorithm, HmacKey, LocalMasterKey, SecretBytes, SigningKey, sha256};
use countersign_domain::{
    CredentialId, DeaNumber, Device, EhrId, Failures, FipsCertificate, Manufacturer, ModelCode,
    Npi, PassphraseHash, PersonId, Policy, PracticeId, Role, SessionRowId, Timestamp, Token,
    TokenId, TokenKind, TokenModel, TokenState,
    certification::{BuildId, Version},
    controlled::Table,
    luhn_check_digit,
    otp::{Drift, OtpParams, TokenSeed},
    retention::Retention,
};
use countersign_protocol::{
    launch::{LaunchClaims, LaunchPatient, sign_launch},
    oidc::{self, Client, Secret},
    webhook_signature::signature,
};
use countersign_server::{Limits, notice_text, router};
use countersign_standins::{
    ehr::{self, Ehr, EhrUser, Smart, SmartClient},
    pharmacy::{self, Pharmacy},
    proofer::{self, ASSURANCE, MadeUp, Proofer},
};
use countersign_store::{Database, Identity, Message, Profile, Session, Stage, Store, Tx};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use http::Request;
use tower::ServiceExt as _;

use crate::{
    Api, Backend, Browser, FrozenClock, Phone, Reply, SeededRng, TestDatabase, browser::ORIGIN,
    seeded_rng,
};

/// The passphrase of everyone here.
pub const PASSPHRASE: &str = "violet kettle under seven moons";
/// What is kept of it, worked out once by another implementation (Python's hashlib): a test of
/// `hash_is_that_of_the_passphrase` below holds it to ours.
const HASH: &str = "$pbkdf2-sha512$i=210000$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8$El4iisxIq0KZ55M22AbXxDjC/jsmTtMLysDm1zVK8WFhSIdtqiUyotNjz5jtvgLqom0wQpqrLwBl5AjaoIYkbw";
/// Longer than any request here takes.
const PATIENCE: Duration = Duration::from_secs(30);
const MASTER_KEY: [u8; 32] = [7; 32];

/// The NPI with this number, counted upward from 1000000000, with its check digit.
pub fn npi(number: u32) -> Npi {
    let digits = format!("1{number:08}");
    let all = [8, 0, 8, 4, 0].into_iter().chain(digits.bytes().map(|byte| byte - b'0'));
    let check = luhn_check_digit(all.collect::<Vec<u8>>().into_iter());
    format!("{digits}{check}").parse().unwrap()
}

/// The DEA number with this number, with its check digit.
pub fn dea(number: u32) -> DeaNumber {
    let digits = format!("{number:06}");
    let at = |place: usize| u32::from(digits.as_bytes()[place] - b'0');
    let check = (at(0) + at(2) + at(4) + 2 * (at(1) + at(3) + at(5))) % 10;
    format!("BM{digits}{check}").parse().unwrap()
}

/// A prescriber with one active token in hand. The passphrase is [`PASSPHRASE`].
#[derive(Debug, Clone)]
pub struct Person {
    /// Identifier.
    pub id: PersonId,
    /// National Provider Identifier.
    pub npi: Npi,
    /// The token.
    pub phone: Phone,
    /// Identifier of the token.
    pub token: TokenId,
}

/// A practice with a prescriber, a nurse and an EHR; nobody is signed in. Time stands still.
pub struct TestApp {
    /// The clock.
    pub clock: Arc<FrozenClock>,
    /// The application.
    pub app: Arc<App>,
    /// Its store.
    pub store: Store,
    /// Its database.
    pub database: TestDatabase,
    /// The practice.
    pub practice: PracticeId,
    /// The prescriber, `amoreno` in the EHR.
    pub person: Person,
    /// The EHR.
    pub ehr: EhrId,
    /// What it signs with.
    pub ehr_key: SigningKey,
    /// The proofing provider, for the browser that goes there.
    pub provider: Router,
    /// The made-up pharmacy, for the browser that goes there.
    pub pharmacy: Router,
    /// The stand-in EHR, which launches with SMART, for the browser that goes there.
    pub charts: Router,
    /// How the gateway to it answers.
    pub mood: Arc<Mutex<GatewayMood>>,
    /// What was handed to the gateway, as it was posted.
    pub parcels: Arc<Mutex<Vec<String>>>,
    outbound: Arc<dyn Outbound>,
    router: Router,
    limits: Arc<Limits>,
    options: Options,
    people: u32,
}

/// The version of the program that tests run, as far as certification goes.
const VERSION: Version = Version::new(0, 1, 0);

fn options() -> Options {
    Options {
        public_url: ORIGIN.to_owned(),
        policy: Policy::STANDARD,
        iterations: 210_000,
        manufacturers: vec![Manufacturer::Countersign, Manufacturer::Symantec],
        symantec_prefix: "SYMC".to_owned(),
        support: Support {
            name: "Lakeside Clinic support desk".to_owned(),
            phone: Some("+1 555 0100".to_owned()),
            email: Some("support@lakeside.example".to_owned()),
        },
        demonstration: true,
        vip: None,
        time_server: false,
        build: Build::Unlisted,
        version: VERSION,
        build_id: BuildId::unlisted(VERSION),
        drugs: Arc::new(Table::built_in()),
        states: Arc::default(),
        gateway: true,
        pharmacies: vec!["9999991 Corner Pharmacy, 3 Oak Street".parse().unwrap()],
        retention: Retention::default(),
        notice_text,
        providers: vec![(
            "Test provider".to_owned(),
            Client {
                issuer: ISSUER.to_owned(),
                id: "countersign".to_owned(),
                secret: Secret("test secret".to_owned()),
                acr_values: ASSURANCE.to_owned(),
            },
        )],
    }
}

/// The proofing provider of the tests.
pub const ISSUER: &str = "http://127.0.0.1:9";

/// Its people: the fixture's prescriber as the tests invite her, the same with another middle name and
/// address, and somebody else.
fn proofer(clock: &Arc<FrozenClock>) -> Proofer {
    let clock = Arc::clone(clock);
    let grace = MadeUp {
        subject: "same".to_owned(),
        given: "Grace".to_owned(),
        family: "Lindholm".to_owned(),
        born: "1979-02-03".to_owned(),
        npi: npi(9_000).as_text(),
        ..MadeUp::default()
    };
    let near = MadeUp { subject: "near".to_owned(), middle: "Birgit".to_owned(), ..grace.clone() };
    let other = MadeUp {
        subject: "other".to_owned(),
        given: "Henry".to_owned(),
        family: "Stone".to_owned(),
        born: "1960-01-01".to_owned(),
        npi: npi(9_001).as_text(),
        ..MadeUp::default()
    };
    Proofer {
        issuer: ISSUER.to_owned(),
        client: ("countersign".to_owned(), "test secret".to_owned()),
        redirect_uri: format!("{ORIGIN}/proofing/return"),
        signing_key: SigningKey::generate().unwrap().0,
        people: vec![grace, near, other],
        clock: Arc::new(move || clock.now()),
    }
}

/// How the gateway of the tests answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GatewayMood {
    /// As the made-up pharmacy does.
    #[default]
    Up,
    /// It is not there.
    Down,
    /// It takes what comes, and its answer is lost.
    Mute,
    /// It rejects what comes, for this reason.
    Rejecting(&'static str),
}

/// Asks the provider of the tests, and hands over to its pharmacy, in this very process.
struct InProcess {
    provider: Router,
    pharmacy: Router,
    ehr: Arc<OnceLock<Router>>,
    mood: Arc<Mutex<GatewayMood>>,
    parcels: Arc<Mutex<Vec<String>>>,
    clock: Arc<FrozenClock>,
}

/// The origin of the stand-in EHR of the tests.
pub const EHR_ORIGIN: &str = "http://127.0.0.1:8";
/// Has what must be escaped before it is sent (RFC 6749, 2.3.1).
const EHR_SECRET: &str = "a secret: 100% theirs";

fn stand_in_ehr(ehr_id: EhrId, clock: &Arc<FrozenClock>) -> Router {
    let clock = Arc::clone(clock);
    let user = |user: &str, name: &str, role: &str| EhrUser {
        user: user.to_owned(),
        name: name.to_owned(),
        role: role.to_owned(),
    };
    let client = |id: &str, secret: &str, redirect_uri: Option<String>| SmartClient {
        id: id.to_owned(),
        secret: secret.to_owned(),
        redirect_uri,
    };
    ehr::router(Ehr {
        users: vec![
            user("amoreno", "Dr. Ada Moreno", "Prescriber"),
            user("jlee", "Jamie Lee", "Nurse"),
            user("nobody", "Nora Body", "Student"),
        ],
        signing_key: Arc::new(SigningKey::generate().unwrap().0),
        ehr_id,
        audience: ORIGIN.to_owned(),
        clock: Arc::new(move || clock.now()),
        launch_seconds: 60,
        smart: Some(Smart::new(
            EHR_ORIGIN.to_owned(),
            vec![
                client("countersign", EHR_SECRET, Some(format!("{ORIGIN}/smart/callback"))),
                client("try-out", "", None),
            ],
        )),
        mailbox: Arc::new(Vec::new),
    })
}

fn gateway_key() -> HmacKey {
    HmacKey::new(HmacAlgorithm::Sha256, &[9; 32])
}

/// The pharmacy of the tests, which fetches the published keys of the server that is tested.
fn pharmacy_of(clock: &Arc<FrozenClock>, keys: &Arc<OnceLock<Router>>) -> Router {
    let (clock, keys) = (Arc::clone(clock), Arc::clone(keys));
    let keys = move || -> pharmacy::Keys {
        let router = keys.get().unwrap().clone();
        Box::pin(async move {
            Some(Browser::new(router).get("/.well-known/jwks.json").await.body.into_bytes())
        })
    };
    let pharmacy = Pharmacy {
        gateway_key: Arc::new(gateway_key()),
        keys: Arc::new(keys),
        clock: Arc::new(move || clock.now()),
    };
    pharmacy::router(pharmacy, true).unwrap()
}

async fn answer_of(router: Router, request: Request<Body>) -> Result<Vec<u8>, Fault> {
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    if status.is_success() {
        Ok(body.to_vec())
    } else {
        Err(Fault::Refused(format!("status {status}")))
    }
}

impl Outbound for InProcess {
    fn email<'a>(&'a self, _: Outgoing<'a>) -> Sending<'a, ()> {
        Box::pin(async { Err(Fault::NotSetUp) })
    }

    fn phone<'a>(&'a self, _: Outgoing<'a>) -> Sending<'a, ()> {
        Box::pin(async { Err(Fault::NotSetUp) })
    }

    fn call<'a>(&'a self, call: Call<'a>) -> Sending<'a, Vec<u8>> {
        let ehr = call.url.strip_prefix(EHR_ORIGIN).map(str::to_owned);
        let router = match &ehr {
            Some(_) => self.ehr.get().unwrap().clone(),
            None => self.provider.clone(),
        };
        let provider = call.url.strip_prefix(ISSUER).unwrap_or("/elsewhere");
        let path = ehr.unwrap_or_else(|| provider.to_owned());
        let mut request = Request::builder().uri(path);
        if let Some((name, secret)) = call.basic {
            let both = format!("{}:{}", oidc::escaped(name), oidc::escaped(secret));
            let both = BASE64.encode(both.as_bytes());
            request = request.header("authorization", format!("Basic {both}"));
        }
        if let Some(token) = call.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = match call.form {
            Some(form) => {
                let pairs: Vec<String> = form
                    .iter()
                    .map(|(name, value)| format!("{name}={}", oidc::escaped(value)))
                    .collect();
                request
                    .method("POST")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(Body::from(pairs.join("&")))
            }
            None => request.body(Body::empty()),
        };
        Box::pin(answer_of(router, request.unwrap()))
    }

    fn parcel<'a>(&'a self, parcel: Parcel<'a>) -> Sending<'a, Vec<u8>> {
        let mood = *self.mood.lock().unwrap();
        self.parcels.lock().unwrap().push(parcel.body.to_owned());
        let seconds = self.clock.now().seconds();
        let request = Request::post("/prescriptions")
            .header("content-type", "application/json")
            .header("idempotency-key", parcel.key)
            .header("countersign-signature", signature(&gateway_key(), seconds, parcel.body))
            .body(Body::from(parcel.body.to_owned()))
            .unwrap();
        let router = self.pharmacy.clone();
        Box::pin(async move {
            match mood {
                GatewayMood::Down => Err(Fault::NotReached("the gateway is down".to_owned())),
                GatewayMood::Mute => {
                    answer_of(router, request).await?;
                    Err(Fault::NotReached("no answer in time".to_owned()))
                }
                GatewayMood::Rejecting(reason) => {
                    let answer = serde_json::json!({ "status": "rejected", "reason": reason });
                    Ok(answer.to_string().into_bytes())
                }
                GatewayMood::Up => answer_of(router, request).await,
            }
        })
    }
}

async fn open(database: &TestDatabase, now: Timestamp) -> Store {
    open_store(&database.database(), now).await
}

/// Opens a store under the key that [`write_key_file`] writes, its schema brought up to date.
pub async fn open_store(database: &Database, now: Timestamp) -> Store {
    let key = LocalMasterKey::from_bytes(&SecretBytes::new(MASTER_KEY.to_vec())).unwrap();
    Store::open(database, Arc::new(key), seeded_rng, true, now).await.unwrap()
}

/// Writes the master key of all tests as the binary reads it.
pub fn write_key_file(path: &Path) {
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(HEXLOWER.encode(&MASTER_KEY).as_bytes()).unwrap();
}

impl TestApp {
    /// With the standard policy and generous limits per address.
    pub async fn on(backend: Backend) -> Self {
        Self::with(backend, Limits::new(100_000, 100_000), |_| {}).await
    }

    /// With other limits per address, and options as `change` leaves them.
    pub async fn with(backend: Backend, limits: Limits, change: impl FnOnce(&mut Options)) -> Self {
        let clock = Arc::new(FrozenClock::default());
        let database = TestDatabase::create(backend).await;
        let mut options = options();
        change(&mut options);
        let store = open(&database, clock.now()).await;
        let now = clock.now();
        store.write("test_models", move |tx| allow_models(tx, now)).await.unwrap();
        let clock_of_app: Arc<dyn Clock> = clock.clone();
        let provider = proofer::router(proofer(&clock), true).unwrap();
        let app = App::new(store.clone(), clock_of_app, seeded_rng, options.clone());
        let published = Arc::new(OnceLock::new());
        let pharmacy = pharmacy_of(&clock, &published);
        let mood = Arc::new(Mutex::default());
        let parcels = Arc::new(Mutex::default());
        let charts = Arc::new(OnceLock::new());
        let outbound: Arc<dyn Outbound> = Arc::new(InProcess {
            provider: provider.clone(),
            pharmacy: pharmacy.clone(),
            ehr: Arc::clone(&charts),
            mood: Arc::clone(&mood),
            parcels: Arc::clone(&parcels),
            clock: Arc::clone(&clock),
        });
        let app = Arc::new(app.reaching(Arc::clone(&outbound)));
        let limits = Arc::new(limits);
        let at = app.at().unwrap();
        let practice = app.create_practice("Lakeside Clinic".to_owned(), at).await.unwrap();
        let person = make_person(&app, &store, practice, 0, "Dr. Ada Moreno").await;
        let nurse = app
            .create_staff(practice, "Jamie Lee".to_owned(), "jlee".to_owned(), at)
            .await
            .unwrap()
            .unwrap();
        let (ehr_key, _) = SigningKey::generate().unwrap();
        let users = vec![
            ("amoreno".to_owned(), Identity::Prescriber(person.id)),
            ("jlee".to_owned(), Identity::Staff(nurse)),
            ("Practitioner/amoreno".to_owned(), Identity::Prescriber(person.id)),
            ("Practitioner/jlee".to_owned(), Identity::Staff(nurse)),
        ];
        let point = ehr_key.verifying_key().point().to_vec();
        let ehr = app
            .register_ehr(practice, "Lakeside Clinic EHR".to_owned(), point, users, at)
            .await
            .unwrap();
        let router = router(Arc::clone(&app), Arc::clone(&limits), PATIENCE);
        published.set(router.clone()).unwrap();
        charts.set(stand_in_ehr(ehr, &clock)).unwrap();
        let (iss, secret) = (format!("{EHR_ORIGIN}/fhir"), EHR_SECRET.to_owned());
        assert!(app.register_smart(ehr, iss, "countersign".to_owned(), secret, at).await.unwrap());
        let charts = charts.get().unwrap().clone();
        Self {
            clock,
            app,
            store,
            database,
            practice,
            person,
            ehr,
            ehr_key,
            provider,
            pharmacy,
            charts,
            mood,
            parcels,
            outbound,
            router,
            limits,
            options,
            people: 1,
        }
    }

    /// Ends this server and starts another on the same data: what only memory held is gone.
    pub async fn restart(&mut self) {
        self.store = open(&self.database, self.now()).await;
        let clock: Arc<dyn Clock> = self.clock.clone();
        let app = App::new(self.store.clone(), clock, seeded_rng, self.options.clone());
        self.app = Arc::new(app.reaching(Arc::clone(&self.outbound)));
        self.router = router(Arc::clone(&self.app), Arc::clone(&self.limits), PATIENCE);
    }

    /// The same, with other options.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut Options)) {
        change(&mut self.options);
        self.restart().await;
    }

    /// Another server beside this one, on the same data and clock.
    pub async fn second_server(&self) -> Router {
        let store = open(&self.database, self.now()).await;
        let clock: Arc<dyn Clock> = self.clock.clone();
        let app = Arc::new(App::new(store, clock, seeded_rng, self.options.clone()));
        router(app, Arc::clone(&self.limits), PATIENCE)
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The routes of this server.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// A browser that has never been here.
    pub fn browser(&self) -> Browser {
        Browser::new(self.router())
    }

    /// What the prescriber's token shows now.
    pub fn code(&self) -> String {
        self.person.phone.code(self.now())
    }

    /// A browser whose session has come so far, without the forms and the slow hash before it.
    pub async fn browser_at(&self, stage: Stage) -> Browser {
        let bytes: [u8; 32] = countersign_crypto::random_array(&mut SeededRng).unwrap();
        let secret = BASE64URL_NOPAD.encode(&bytes);
        let hash = sha256(secret.as_bytes());
        let (practice, now) = (self.practice, self.now());
        let expires = now.plus_seconds(self.options.policy.session_absolute_seconds);
        self.store
            .write("test_session", move |tx| {
                let session = Session {
                    id: SessionRowId::new(now, tx.rng())?,
                    practice,
                    stage,
                    launched_as: None,
                    patient: None,
                    created: now,
                    seen: now,
                    expires,
                };
                tx.create_session(&session, &hash)
            })
            .await
            .unwrap();
        let mut browser = self.browser();
        browser.set_session(&secret);
        browser
    }

    /// A browser in which the prescriber has proved the passphrase.
    pub async fn at_passcode(&self) -> Browser {
        self.browser_at(Stage::Passphrase { prescriber: self.person.id }).await
    }

    /// A browser in which the prescriber has proved both factors just now.
    pub async fn signed_in(&self) -> Browser {
        let stage = Stage::Full { prescriber: self.person.id, passcode_at: self.now() };
        self.browser_at(stage).await
    }

    /// The same for another prescriber.
    pub async fn signed_in_as(&self, person: &Person) -> Browser {
        let stage = Stage::Full { prescriber: person.id, passcode_at: self.now() };
        self.browser_at(stage).await
    }

    /// Another prescriber of the practice, with a token.
    pub async fn another_person(&mut self) -> Person {
        let number = self.people;
        self.people += 1;
        make_person(&self.app, &self.store, self.practice, number, "Dr. Ben Okafor").await
    }

    /// Gives somebody roles in the practice, past the two people that it takes.
    pub async fn give_roles(&self, person: &Person, roles: &'static [Role]) {
        let (id, practice, now) = (person.id, self.practice, self.now());
        self.store
            .write("test_roles", move |tx| {
                for role in roles {
                    tx.give_role(id, practice, *role, "", now)?;
                }
                Ok(())
            })
            .await
            .unwrap();
    }

    /// Gives somebody an e-mail address, and a telephone of their own that is confirmed: the prescriber of the
    /// fixture 402 555 0100, the next one 0101.
    pub async fn give_addresses(&self, person: &Person, email: &'static str) {
        let (id, now) = (person.id, self.now());
        let number: u32 = person.npi.as_text()[5..9].parse().unwrap();
        let phone = format!("+1402555{:04}", (100 + number) % 10_000);
        self.store
            .write("test_addresses", move |tx| {
                let person = tx.person(id)?.unwrap();
                let profile = Profile {
                    emails: vec![email.to_owned()],
                    phone: phone.clone(),
                    phone_confirmed: Some(now.micros()),
                    address: "12 Elm Street".to_owned(),
                    address_confirmed: Some(now.micros()),
                    ..Profile::default()
                };
                tx.save_profile(&person, &profile, now)
            })
            .await
            .unwrap();
    }

    /// Sends a form of somebody's console with a fresh passcode. The clock goes on by one step before, so that no
    /// passcode is used twice.
    pub async fn confirm(
        &self,
        by: &mut Browser,
        person: &Person,
        path: &str,
        fields: &[(&str, &str)],
    ) -> crate::Page {
        self.clock.advance(30);
        let code = person.phone.code(self.now());
        let mut fields = fields.to_vec();
        fields.extend([("stepup_token", "any"), ("stepup_passcode", code.as_str())]);
        by.post(path, &fields).await
    }

    /// What waits in the outbox of the practice, newest first.
    pub async fn messages(&self) -> Vec<Message> {
        let practice = self.practice;
        let found = self.store.read("test_messages", move |tx| tx.messages_of(practice, 200)).await;
        found.unwrap()
    }

    /// One more active token of a prescriber, made past the portal.
    pub async fn another_token(&self, person: &Person, name: &str) -> (TokenId, Phone) {
        let at = self.app.at().unwrap();
        let name = name.parse().unwrap();
        let made = self.app.install_demo_token(self.practice, person.id, name, at).await.unwrap();
        let phone = Phone::new(made.0, made.1, made.2);
        (self.token_id(&phone.credential).await, phone)
    }

    /// Sends what waits for the gateway, once; how many were tried.
    pub async fn transmit(&self) -> usize {
        self.app.transmit(&self.outbound).await.unwrap()
    }

    /// A key of an integrating system of the practice.
    pub async fn api(&self) -> Api {
        let at = self.app.at().unwrap();
        let key = self.app.create_api_key(self.practice, "tests".to_owned(), at).await.unwrap();
        Api::new(self.router(), Some(key))
    }

    /// A token that belongs to nobody yet, as the provisioning endpoint gives it out.
    pub async fn provision(&self) -> Phone {
        Api::new(self.router(), None).provision(None).await
    }

    /// Asks for a new token as the app in a browser does.
    pub async fn provision_in(&self, browser: &mut Browser) -> Reply {
        browser.post_json("/provision/v1/credentials", &crate::browser::provision_body()).await
    }

    /// The token with this ID, as the store has it.
    pub async fn token(&self, credential: &CredentialId) -> Token {
        let wanted = credential.clone();
        let found = self.store.write("test_token", move |tx| tx.token_by_credential(&wanted)).await;
        found.unwrap().expect("the token is there").token
    }

    /// Allows a model for signing, or forbids it.
    pub async fn set_model(&self, code: &'static str, allowed: bool) {
        let now = self.now();
        let set = self.store.write("test_model", move |tx| set_model(tx, code, allowed, now));
        set.await.unwrap();
    }

    /// Notes that both pieces of a token's activation came, past the pages that ask for them.
    pub async fn activate(&self, credential: &CredentialId) {
        let token = self.token(credential).await;
        let (id, owner, now) = (token.id, token.prescriber.unwrap(), self.now());
        let done = self.store.write("test_activate", move |tx| tx.activate_token(id, owner, now));
        done.await.unwrap();
    }

    /// Its identifier.
    pub async fn token_id(&self, credential: &CredentialId) -> TokenId {
        self.token(credential).await.id
    }

    /// The wrong passcodes in a row counted for the prescriber.
    pub async fn owner_failures(&self) -> Failures {
        let id = self.person.id;
        let person = self.store.read("test_owner", move |tx| tx.person(id)).await.unwrap();
        person.unwrap().failures.in_a_row
    }

    /// How many audit events there are.
    pub async fn event_count(&self) -> i64 {
        self.store.read("test_events", |tx| tx.event_count()).await.unwrap()
    }

    /// Events as `kind outcome reason`, those of one instant in the order of the alphabet.
    pub async fn events(&self) -> Vec<String> {
        self.database
            .texts("SELECT kind, outcome, reason FROM audit_event ORDER BY at, kind, outcome")
            .await
    }

    /// A launch for a user of the EHR, as the EHR signs it; `change` may spoil it before.
    pub fn launch(&self, user: &str, change: impl FnOnce(&mut LaunchClaims)) -> String {
        let now = self.now().seconds();
        let mut claims = LaunchClaims {
            iss: self.ehr,
            aud: ORIGIN.to_owned(),
            sub: user.to_owned(),
            patient: LaunchPatient {
                id: "p-1001".to_owned(),
                name: "Rosa Lindqvist".to_owned(),
                birth_date: "1961-04-12".to_owned(),
                mrn: "MRN-1001".to_owned(),
            },
            iat: now,
            exp: now + 60,
            nbf: None,
            jti: LaunchClaims::random_jti(&mut SeededRng).unwrap(),
        };
        change(&mut claims);
        sign_launch(&self.ehr_key, &claims).unwrap()
    }

    /// A browser that came from the EHR as this user.
    pub async fn launched(&self, user: &str) -> Browser {
        let mut browser = self.browser();
        let token = self.launch(user, |_| {});
        let page = browser.get(&format!("/launch?token={token}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        browser
    }
}

async fn make_person(
    app: &App,
    store: &Store,
    practice: PracticeId,
    number: u32,
    name: &str,
) -> Person {
    let at = app.at().unwrap();
    let (npi, name) = (npi(number), name.to_owned());
    let hash = PassphraseHash::from_row(HASH).unwrap();
    let id = store
        .write("test_person", move |tx| {
            let id = PersonId::new(at.now, tx.rng())?;
            assert!(tx.create_prescriber(id, practice, npi, &name, &hash, at.now)?);
            Ok(id)
        })
        .await
        .unwrap();
    let made =
        app.install_demo_token(practice, id, "First phone".parse().unwrap(), at).await.unwrap();
    let phone = Phone::new(made.0, made.1, made.2);
    app.install_demo_permission(practice, id, dea(number), at).await.unwrap();
    let wanted = phone.credential.clone();
    let row = store.write("test_token", move |tx| tx.token_by_credential(&wanted)).await;
    Person { id, npi, token: row.unwrap().unwrap().token.id, phone }
}

/// Whether tokens of a model may sign, past the program and without a record.
fn set_model(
    tx: &mut Tx<'_>,
    code: &str,
    allowed: bool,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    tx.save_token_model(&TokenModel {
        code: code.parse().unwrap(),
        maker: "Countersign".to_owned(),
        name: code.to_owned(),
        kind: TokenKind::OtpSoft,
        fips: FipsCertificate::NONE,
        allowed,
        note: "demo policy".to_owned(),
        changed: now,
        changed_by: "tests".to_owned(),
    })
}

/// Allows the models that tests make tokens of.
fn allow_models(tx: &mut Tx<'_>, now: Timestamp) -> Result<(), countersign_store::Error> {
    [ModelCode::AUTHENTICATOR, ModelCode::TERMINAL, ModelCode::VIP_ACCESS]
        .into_iter()
        .try_for_each(|code| set_model(tx, code, true, now))
}

/// A practice with many prescribers of one token each, made past the server: for floods.
pub async fn fill(store: &Store, tokens: u32, key: &str, now: Timestamp) -> Vec<Phone> {
    let hash = PassphraseHash::from_row(HASH).unwrap();
    let key_hash = sha256(key.as_bytes());
    store
        .write("test_fill", move |tx| {
            let practice = PracticeId::new(now, tx.rng())?;
            tx.create_practice(practice, "Flood", now)?;
            allow_models(tx, now)?;
            let key = countersign_store::ApiKey {
                id: countersign_domain::ApiKeyId::new(now, tx.rng())?,
                practice,
            };
            tx.create_api_key(&key, "flood", &key_hash, now)?;
            let mut phones = Vec::new();
            for number in 0..tokens {
                let prescriber = PersonId::new(now, tx.rng())?;
                tx.create_prescriber(
                    prescriber,
                    practice,
                    npi(50_000 + number),
                    "Dr. Flood",
                    &hash,
                    now,
                )?;
                let token = Token {
                    id: TokenId::new(now, tx.rng())?,
                    practice: Some(practice),
                    prescriber: Some(prescriber),
                    credential: CredentialId::random(TokenKind::OtpSoft, tx.rng())?,
                    name: "flood".parse().unwrap(),
                    params: OtpParams::OWN,
                    seed: TokenSeed::generate(OtpParams::OWN.algorithm(), tx.rng())?,
                    state: TokenState::Active { since: now },
                    last_step: None,
                    drift: Drift::default(),
                    failures: Failures::NONE,
                    created: now,
                    added: Some(now),
                    last_used: None,
                    device: Device::default(),
                    model: ModelCode::known(ModelCode::AUTHENTICATOR),
                    seed_left: None,
                    activated: Some(now),
                    sign_until: Some(now.plus_seconds(365 * 86_400)),
                };
                assert!(tx.create_token(&token)?, "an ID came twice");
                phones.push(Phone::new(token.credential, token.seed, token.params));
            }
            Ok(phones)
        })
        .await
        .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SecretText;
    use countersign_domain::Passphrase;

    #[test]
    fn hash_is_that_of_the_passphrase() {
        let hash = PassphraseHash::from_row(HASH).unwrap();
        let phrase = Passphrase::parse(&SecretText::new(PASSPHRASE.to_owned())).unwrap();
        assert!(hash.verify(&phrase));
    }
}
