//! What each request leaves in the audit trail: who sent it by its session, and the records that it added. For SQLite
//! alone, since it reads the file beside the server.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use countersign_crypto::sha256;
use data_encoding::HEXLOWER;
use rusqlite::Connection;

/// An audit record. IDs are in hexadecimal, small letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The code of its kind, such as `token_added`.
    pub kind: String,
    /// Whether it tells of something that was done; else of something refused.
    pub success: bool,
    /// Who did it: a person, a member of staff or an API key; `None` for the server itself and for who is not known.
    pub actor: Option<String>,
    /// The practice in which it was done.
    pub practice: Option<String>,
    /// The person whom it is about.
    pub person: Option<String>,
}

/// A request that was answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Its method.
    pub method: String,
    /// The address as the router has it, such as `/portal/tokens/{id}/name`; empty where no route fits.
    pub route: String,
    /// The status of the answer.
    pub status: u16,
    /// The practice of its session, before the request; `None` without a session.
    pub practice: Option<String>,
    /// Who has signed in to its session or was launched into it, before the request: a person or a member of staff.
    pub person: Option<String>,
    /// The records that were added while it was answered, in no order.
    pub records: Vec<Record>,
}

/// The requests to a server, in the order in which they were answered.
#[derive(Debug, Clone)]
pub struct Trail {
    file: PathBuf,
    answered: Arc<Mutex<Vec<Answered>>>,
}

impl Trail {
    pub(crate) fn of(file: PathBuf) -> Self {
        Self { file, answered: Arc::default() }
    }

    /// The same routes, with each request followed.
    pub(crate) fn follow(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), follow))
    }

    /// All that was answered until now.
    pub fn answered(&self) -> Vec<Answered> {
        self.answered.lock().unwrap().clone()
    }

    fn open(&self) -> Connection {
        let connection = Connection::open(&self.file).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        connection
    }

    fn records(&self) -> Vec<(String, Record)> {
        const ALL: &str = "SELECT lower(hex(id)), kind, outcome, lower(hex(actor_id)), lower(hex(practice)), \
            lower(hex(prescriber)) FROM audit_event";
        let connection = self.open();
        let mut statement = connection.prepare(ALL).unwrap();
        let rows = statement.query_map([], |row| {
            // hex() of NULL is an empty text.
            let id =
                |at| row.get::<_, String>(at).map(|text| Some(text).filter(|it| !it.is_empty()));
            Ok((
                row.get(0)?,
                Record {
                    kind: row.get(1)?,
                    success: row.get::<_, String>(2)? == "success",
                    actor: id(3)?,
                    practice: id(4)?,
                    person: id(5)?,
                },
            ))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Practice and person of the session with this secret, or the member of staff who was launched into it.
    fn session(&self, secret: &str) -> (Option<String>, Option<String>) {
        let sql = format!(
            "SELECT lower(hex(practice)), lower(hex(COALESCE(prescriber, launch_prescriber, launch_staff))) \
             FROM session WHERE secret_hash = x'{}'",
            HEXLOWER.encode(&sha256(secret.as_bytes()))
        );
        let found = self.open().query_row(&sql, [], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?))
        });
        let (practice, person) = found.unwrap_or_default();
        let some = |id: Option<String>| id.filter(|it| !it.is_empty());
        (some(practice), some(person))
    }
}

async fn follow(State(trail): State<Trail>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(String::new, |path| path.as_str().to_owned());
    let method = request.method().to_string();
    let cookies = request.headers().get_all(http::header::COOKIE).iter();
    let secret = cookies
        .flat_map(|header| header.to_str().unwrap().split("; "))
        .find_map(|pair| pair.strip_prefix(crate::browser::COOKIE)?.strip_prefix('='))
        .map(str::to_owned);
    let (practice, person) = secret.map_or((None, None), |secret| trail.session(&secret));
    let before: BTreeSet<String> = trail.records().into_iter().map(|(id, _)| id).collect();
    let response = next.run(request).await;
    let added = trail.records().into_iter().filter(|(id, _)| !before.contains(id));
    let records = added.map(|(_, record)| record).collect();
    let status = response.status().as_u16();
    trail.answered.lock().unwrap().push(Answered {
        method,
        route,
        status,
        practice,
        person,
        records,
    });
    response
}
