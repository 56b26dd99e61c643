use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    Backend, Error, Shared, Store, Tx, decided, postgres,
    queue::Queue,
    sqlite::{Finish, SqliteSession, WriteJob},
};

/// Most requests in one transaction.
const GROUP_MOST: usize = 128;
/// So many are taken at once where they are there: fewer are not worth a commit of their own.
const GROUP_LEAST: usize = 32;

/// Decides a group of requests in one transaction.
pub(crate) type Run<Q, A> = fn(&mut Tx<'_>, &[Q]) -> Result<Vec<A>, Error>;

type Answered<A> = Vec<(oneshot::Sender<Result<A, Error>>, Result<A, Error>)>;

/// See [`Store::lane`].
pub struct Lane<Q, A> {
    /// Kept open for as long as there is a lane.
    _store: Store,
    name: &'static str,
    line: Arc<Line<Q, A>>,
}

/// What waits in a lane, and how it is worked off.
pub(crate) struct Line<Q, A> {
    waiting: Queue<Waiting<Q, A>>,
    decide: Run<Q, A>,
    shared: Shared,
    /// The writer of `SQLite`, which a lane asks for a turn.
    writer: Option<Arc<Queue<WriteJob>>>,
    /// A turn has been asked for and has not begun.
    called: AtomicBool,
    /// Where answers are handed out: waking many requests costs a database thread more than it costs
    /// the threads that run them anyway.
    runtime: Option<Handle>,
}

struct Waiting<Q, A> {
    request: Q,
    reply: oneshot::Sender<Result<A, Error>>,
}

impl<Q: Send + 'static, A: Send + 'static> Lane<Q, A> {
    pub(crate) fn open(store: Store, name: &'static str, run: Run<Q, A>) -> Self {
        let line = Arc::new(Line {
            waiting: Queue::new(),
            decide: run,
            shared: store.0.shared.clone(),
            writer: match &store.0.backend {
                Backend::Sqlite(pool) => Some(pool.writer()),
                Backend::Postgres(_) => None,
            },
            called: AtomicBool::new(false),
            runtime: Handle::try_current().ok(),
        });
        if let Backend::Postgres(pool) = &store.0.backend {
            for _ in 0..postgres::LANE_THREADS {
                pool.lane(Arc::clone(&line));
            }
        }
        Self { _store: store, name, line }
    }

    /// Hands a request in and waits until its answer is durable, for as long as the caller does: who
    /// gives up first must take what the request consumed for consumed.
    pub async fn submit(&self, request: Q) -> Result<A, Error> {
        let (reply, receive) = oneshot::channel();
        self.line.waiting.push(Waiting { request, reply }).map_err(|_| {
            Error::Unavailable("too many requests wait, or the store is closed".into())
        })?;
        self.line.call()?;
        receive.await.unwrap_or_else(|_| {
            let name = self.name;
            Err(Error::OutcomeUnknown(format!("the database thread ended in {name}")))
        })
    }
}

impl<Q: Send + 'static, A: Send + 'static> Line<Q, A> {
    /// Asks the writer of `SQLite` for a turn, unless one is coming.
    fn call(self: &Arc<Self>) -> Result<(), Error> {
        let Some(writer) = &self.writer else { return Ok(()) };
        if self.called.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let line = Arc::clone(self);
        writer.push(Box::new(move |session| line.turn(session))).map_err(|_| {
            self.called.store(false, Ordering::SeqCst);
            // Nobody comes for those who wait; they are told that nobody knows.
            drop(self.waiting.take_half(usize::MAX, usize::MAX));
            Error::Unavailable("too many requests wait, or the store is closed".into())
        })
    }

    /// One turn in a transaction of the writer: half of what waits. While that is committed, the
    /// other half's requests are read and its answers are written, so that no core is idle.
    fn turn(self: Arc<Self>, session: &SqliteSession) -> Finish {
        // The flag falls before the look into the queue, so that nothing is left lying there.
        self.called.store(false, Ordering::SeqCst);
        let (waiting, left) = self.waiting.take_half(GROUP_LEAST, GROUP_MOST);
        if waiting.is_empty() {
            return Box::new(drop);
        }
        let (requests, replies): (Vec<Q>, Vec<_>) =
            waiting.into_iter().map(|w| (w.request, w.reply)).unzip();
        let decide = |requests: &[Q]| {
            session.undoable(|| {
                decided(&mut Tx::sqlite(session, &self.shared), &mut |tx| self.run(tx, requests))
            })
        };
        let answers: Vec<Result<A, Error>> = match decide(&requests) {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            // One request must not fail the others: each is decided by itself.
            Err(_) => requests
                .iter()
                .map(|request| only(decide(std::slice::from_ref(request))?))
                .collect(),
        };
        if left > 0 {
            // A failure has been told to those who wait.
            let _ = self.call();
        }
        Box::new(move |commit| {
            let answers = answers.into_iter().map(|answer| match &commit {
                Ok(()) => answer,
                Err(error) => answer.and(Err(error.again())),
            });
            self.hand_out(replies.into_iter().zip(answers).collect());
        })
    }

    /// One turn on a connection of its own: waits for requests, and for the commit. `false` when the
    /// lane is closed.
    pub(crate) fn turn_alone(&self, session: &mut postgres::PgSession) -> bool {
        let waiting = self.waiting.take(GROUP_MOST);
        if waiting.is_empty() {
            return false;
        }
        let (requests, replies): (Vec<Q>, Vec<_>) =
            waiting.into_iter().map(|w| (w.request, w.reply)).unzip();
        let mut answers = session
            .transaction(&self.shared, &mut |tx: &mut Tx<'_>| self.run(tx, &requests))
            .map(Vec::into_iter);
        let mut answer = |request: &Q| match &mut answers {
            Ok(answers) => answers.next().ok_or_else(missing),
            Err(Error::OutcomeUnknown(why)) => Err(Error::OutcomeUnknown(why.clone())),
            Err(Error::Unavailable(why)) => Err(Error::Unavailable(why.clone())),
            // One request must not fail the others: each gets a transaction of its own.
            Err(_) => session.transaction(&self.shared, &mut |tx: &mut Tx<'_>| {
                only(self.run(tx, std::slice::from_ref(request))?)
            }),
        };
        let answered = replies.into_iter().zip(requests.iter().map(&mut answer)).collect();
        self.hand_out(answered);
        true
    }

    /// Decides a group. An answer too few is found before anything is kept.
    fn run(&self, tx: &mut Tx<'_>, requests: &[Q]) -> Result<Vec<A>, Error> {
        let answers = (self.decide)(tx, requests)?;
        if answers.len() == requests.len() { Ok(answers) } else { Err(missing()) }
    }

    /// Nobody works this lane off any more: whoever waits, and whoever comes, is told so.
    pub(crate) fn close(&self) {
        self.waiting.close();
        drop(self.waiting.take_half(usize::MAX, usize::MAX));
    }

    fn hand_out(&self, answered: Answered<A>) {
        // A receiver that is gone belongs to a client that left. The commit stands all the same.
        let all = move || answered.into_iter().for_each(|(reply, answer)| drop(reply.send(answer)));
        match &self.runtime {
            Some(runtime) => drop(runtime.spawn(async move { all() })),
            None => all(),
        }
    }
}

fn only<A>(mut answers: Vec<A>) -> Result<A, Error> {
    answers.pop().ok_or_else(missing)
}

fn missing() -> Error {
    Error::Driver("an answer is missing".into())
}

impl<Q, A> Drop for Lane<Q, A> {
    fn drop(&mut self) {
        self.line.waiting.close();
    }
}
