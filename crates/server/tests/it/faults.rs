//! What goes wrong around the server: nothing half-made, an answer that says so, no panic.

use std::{net::SocketAddr, sync::Arc};

use countersign_app::{App, Clock};
use countersign_domain::Timestamp;
use countersign_server::{Limits, router};
use countersign_store::{Database, Store};
use countersign_testkit::{Api, Backend, Browser, PASSPHRASE, TestApp, WRONG_CODE, both, wanted};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::add;

both! {
    /// Where the record can't be written the change does not happen, and the page says so.
    async fn no_record_no_change(app: TestApp) {
        let mut browser = app.signed_in().await;
        let phone = app.provision().await;
        let api = app.api().await;
        let id = app.person.token;
        app.database.execute("ALTER TABLE audit_event RENAME TO audit_event_gone").await;

        let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
        assert_eq!(page.status, 500, "{}", page.words());
        assert!(page.support_code().is_some(), "{}", page.words());
        assert!(!page.body.contains("audit_event"), "nothing of the fault is told");
        let path = |what: &str| format!("/portal/tokens/{id}/{what}");
        let off = [("reason", "temporarily_unavailable"), ("confirmation", "DISABLE")];
        assert_eq!(browser.post(&path("disable"), &off).await.status, 500);
        assert_eq!(browser.post(&path("name"), &[("name", "Other")]).await.status, 500);
        let code = app.code();
        assert_eq!(browser.post(&path("test"), &[("passcode", &code)]).await.status, 500);
        let page = app.at_passcode().await.passcode("any", &code).await;
        assert_eq!((page.status, page.session()), (500, None));
        let page = app.at_passcode().await.passcode("any", WRONG_CODE).await;
        assert_eq!(page.status, 500);
        let page = app.browser().pass(&app.person.npi.as_text(), PASSPHRASE).await;
        assert_eq!((page.status, page.session()), (500, None));
        let launch = app.launch("amoreno", |_| {});
        let page = app.browser().get(&format!("/launch?token={launch}")).await;
        assert_eq!((page.status, page.session()), (500, Some("")));
        let credential = app.person.phone.credential.to_string();
        api.check(&credential, &code).await.is_problem(500, "internal");
        api.ask_provision(None).await.is_problem(500, "internal");
        assert_eq!(browser.post("/sign-out", &[]).await.status, 500);

        app.database.execute("ALTER TABLE audit_event_gone RENAME TO audit_event").await;
        let token = app.token(&app.person.phone.credential).await;
        assert!(token.is_active() && token.last_step().is_none() && token.failures().count == 0);
        assert_eq!(token.name().as_str(), "First phone");
        assert_eq!(app.owner_failures().await.count, 0);
        assert!(app.token(&phone.credential).await.prescriber().is_none());
        browser.get("/portal/tokens").await.says(200, "1 of 5 active");
        let page = app.browser().get(&format!("/launch?token={launch}")).await;
        assert_eq!(page.status, 200, "a launch that failed is not used up");
        assert!(api.check(&credential, &code).await.verified());
    }

    /// A damaged seed is a fault of ours, told to nobody else, and harms no other token.
    async fn a_damaged_row(mut app: TestApp) {
        let other = app.another_person().await;
        let api = app.api().await;
        let sql = format!(
            "UPDATE token SET seed_sealed = secret_hash FROM session WHERE token.credential = '{}'",
            app.person.phone.credential
        );
        app.at_passcode().await;
        app.database.execute(&sql).await;
        let reply = api.check(app.person.phone.credential.as_str(), WRONG_CODE).await;
        reply.is_problem(500, "internal");
        let page = app.at_passcode().await.passcode("any", WRONG_CODE).await;
        assert_eq!(page.status, 500);
        assert!(!page.words().contains("seed"), "{}", page.words());
        let code = other.phone.code(app.now());
        assert!(api.check(other.phone.credential.as_str(), &code).await.verified());
    }
}

/// A clock that has broken down: whatever reads it panics.
struct Broken;

impl Clock for Broken {
    fn now(&self) -> Timestamp {
        panic!("the clock of this test is broken")
    }
}

/// A panic in a handler is a page or a problem, not a connection that ends.
#[tokio::test]
async fn a_panic_reaches_no_client() {
    let app = TestApp::on(Backend::Sqlite).await;
    let options = app.app.options().clone();
    let rng = countersign_testkit::seeded_rng;
    let server = App::new(app.store.clone(), Arc::new(Broken), rng, options);
    let limits = Arc::new(Limits::new(1_000, 1_000));
    let router = router(Arc::new(server), limits, std::time::Duration::from_secs(30));
    for path in ["/portal/login", "/portal/tokens", "/no/such/page"] {
        let page = Browser::new(router.clone()).get(path).await;
        page.says(500, "Something went wrong on our end");
        page.says(500, "Support code");
        assert!(page.support_code().is_some(), "{}", page.body);
        page.says(500, "Lakeside Clinic support desk");
        assert!(!page.body.contains("broken"), "{}", page.words());
        assert_eq!(page.header("x-content-type-options"), "nosniff");
    }
    let api = Api::new(router, Some("cs_any".to_owned()));
    let reply = api.check("CNST00000000", WRONG_CODE).await;
    assert_eq!(reply.status, 500);
    assert!(!reply.body.contains("broken"), "{}", reply.body);
}

/// Another process holds the file: nothing is changed, and the answer is "not available".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_held_by_another_process() {
    let app = TestApp::on(Backend::Sqlite).await;
    let mut browser = app.at_passcode().await;
    let holder = app.database.sqlite();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let code = app.code();
    let page = browser.passcode("any", &code).await;
    page.says(503, "Nothing was changed");
    assert!(page.support_code().is_some());
    holder.execute_batch("ROLLBACK").unwrap();
    browser.passcode("any", &code).await.leads_to("/portal/dashboard");
}

/// A way to a database that can be cut.
struct Cable {
    address: SocketAddr,
    listener: JoinHandle<()>,
}

impl Cable {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = tokio::spawn(async move {
            // Dropped with this task: to cut the cable ends every connection.
            let mut open = tokio::task::JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                open.spawn(async move {
                    let mut far = TcpStream::connect(target).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self { address, listener }
    }

    async fn cut(self) {
        self.listener.abort();
        let _ = self.listener.await;
    }
}

/// The database is away: 503 with a support code, and health and readiness say which it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgres_is_away() {
    if !wanted(Backend::Postgres) {
        return;
    }
    let app = TestApp::on(Backend::Postgres).await;
    let api = app.api().await;
    let url = app.database.url().unwrap().to_owned();
    let (before, rest) = url.split_once('@').unwrap();
    let (host, name) = rest.split_once('/').unwrap();
    let target: SocketAddr = host.parse().expect("the test cluster listens on an address");
    let cable = Cable::to(target).await;
    let there =
        Database::Postgres { url: format!("{before}@{}/{name}", cable.address), connections: 2 };
    let key = countersign_crypto::LocalMasterKey::from_bytes(
        &countersign_crypto::SecretBytes::new(vec![7; 32]),
    )
    .unwrap();
    let rng = countersign_testkit::seeded_rng;
    let store = Store::open(&there, Arc::new(key), rng, false, app.now()).await.unwrap();
    let server = App::new(store, app.clock.clone(), rng, app.app.options().clone());
    let router = router(
        Arc::new(server),
        Arc::new(Limits::new(1_000, 1_000)),
        std::time::Duration::from_secs(30),
    );
    let mut browser = app.at_passcode().await;
    browser.use_server(router.clone());
    let here = Api::new(router.clone(), api.key.clone());
    assert_eq!(browser.get("/portal/login/passcode").await.status, 200);
    assert_eq!(browser.get("/readyz").await.status, 200);

    cable.cut().await;
    let code = app.code();
    let page = browser.passcode("any", &code).await;
    assert!(matches!(page.status, 503 | 504), "{}", page.words());
    assert!(page.support_code().is_some(), "{}", page.words());
    let page = browser.get("/portal/tokens").await;
    page.says(503, "not available");
    assert!(page.support_code().is_some());
    let page = Browser::new(router.clone()).pass(&app.person.npi.as_text(), PASSPHRASE).await;
    page.says(503, "not available");
    let reply = here.check(app.person.phone.credential.as_str(), &code).await;
    reply.is_problem(503, "unavailable");
    here.ask_provision(None).await.is_problem(503, "unavailable");
    assert_eq!(browser.get("/readyz").await.status, 503);
    assert_eq!(browser.get("/healthz").await.status, 200);
    // The page's own files come all the same, or nobody could read it.
    assert_eq!(browser.get("/static/portal.css").await.status, 200);
    assert!(app.token(&app.person.phone.credential).await.last_step().is_none());
}
