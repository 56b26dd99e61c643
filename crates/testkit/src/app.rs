//! The application of a test: a made-up practice, and what a test does with it.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use axum::Router;
use countersign_app::{App, Clock, Options, outbound::Outbound};
use countersign_crypto::{SigningKey, sha256};
use countersign_domain::{
    CredentialId, EhrId, Failures, PracticeId, Role, SessionRowId, Timestamp, Token, TokenId,
};
use countersign_protocol::launch::{LaunchClaims, LaunchPatient, sign_launch};
use countersign_server::{Limits, router};
use countersign_standins::proofer;
use countersign_store::{Identity, Message, Profile, Session, Stage, Store};
use data_encoding::BASE64URL_NOPAD;

use crate::{
    Api, Backend, Browser, EHR_ORIGIN, FrozenClock, GatewayMood, Person, Phone, Reply, SeededRng,
    TestDatabase, Trail,
    browser::ORIGIN,
    models::{allow_models, set_model},
    options::options,
    outbound::InProcess,
    people::make_person,
    seeded_rng,
    standins::{EHR_SECRET, pharmacy_of, proofer, stand_in_ehr},
    store::open,
};

/// Longer than any request here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A practice with a prescriber, a nurse and an EHR; nobody is signed in. Time stands still.
pub struct TestApp {
    /// The clock of the application; it moves only when a test moves it.
    pub clock: Arc<FrozenClock>,
    /// The application under test.
    pub app: Arc<App>,
    /// The store that the application uses.
    pub store: Store,
    /// The database of the store; it is removed with this value.
    pub database: TestDatabase,
    /// The practice of the prescriber.
    pub practice: PracticeId,
    /// The prescriber, `amoreno` in the EHR.
    pub person: Person,
    /// The registered EHR of the practice.
    pub ehr: EhrId,
    /// The private key with which the EHR signs launches.
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
    trail: Option<Trail>,
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
            .done()
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
        let known = app.register_smart(ehr, iss, "countersign".to_owned(), secret, at).await;
        known.unwrap().done().unwrap();
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
            trail: None,
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

    /// The time of the frozen clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The routes of this server.
    pub fn router(&self) -> Router {
        let router = self.router.clone();
        match &self.trail {
            Some(trail) => trail.follow(router),
            None => router,
        }
    }

    /// Follows what each request leaves in the audit trail from here on, also after a restart. On SQLite.
    pub fn follow(&mut self) -> Trail {
        let trail = Trail::of(self.database.file().expect("SQLite"));
        self.trail.insert(trail).clone()
    }

    /// A browser that has never been here.
    pub fn browser(&self) -> Browser {
        Browser::new(self.router())
    }

    /// The passcode of the prescriber's token at the frozen time.
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
        let (id, owner, now) = (token.id(), token.prescriber().unwrap(), self.now());
        let done = self.store.write("test_activate", move |tx| tx.activate_token(id, owner, now));
        done.await.unwrap();
    }

    /// Identifier of the token with this credential ID; panics if there is none.
    pub async fn token_id(&self, credential: &CredentialId) -> TokenId {
        self.token(credential).await.id()
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
