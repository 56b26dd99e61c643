use countersign_crypto::Drawn;
use countersign_domain::{
    Event, EventId, EventKind, PersonId, PracticeId, Purpose, Timestamp, TokenId,
};

use crate::{
    Error, TokenRow, Tx,
    columns::{Blob, Int, Opt, Text, columns, join, select},
    statements::{Sql, sql, statements},
    value::{Columns, Declared, P},
};

/// An audit event as it reads back, for a history on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// Whether it went through.
    pub success: bool,
    /// Who: the word for the kind of actor.
    pub actor: String,
    /// Their identifier, where they have a row.
    pub actor_id: Option<[u8; 16]>,
    /// Their name, where they are somebody with an account or a member of staff.
    pub actor_name: Option<String>,
    /// To which token.
    pub token: Option<TokenId>,
    /// What a passcode was given for.
    pub purpose: Option<String>,
    /// Why, as a code.
    pub reason: Option<String>,
    /// More for the reader.
    pub detail: Option<String>,
    /// The code for the help desk.
    pub support: String,
}

/// Random bytes of an event's id (RFC 9562, version 7).
const EVENT_RANDOM_BYTES: usize = 10;

/// The place of an event: its id, and the event of the same token before it.
#[derive(Debug, Clone)]
pub struct Link {
    id: EventId,
    at: Timestamp,
    place: Place,
}

/// How an event is found again.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// By the index.
    Indexed,
    /// Through its token: the one after this, or the first of the chain.
    After(Option<EventId>),
}

impl Link {
    /// Makes the event the newest of a token's.
    #[must_use]
    pub const fn after(mut self, row: &mut TokenRow) -> Self {
        self.place = Place::After(row.last_event.replace(self.id));
        self
    }

    fn previous(&self) -> Option<&[u8]> {
        match &self.place {
            Place::Indexed => None,
            Place::After(None) => Some(&[]),
            Place::After(Some(id)) => Some(id.as_bytes().as_slice()),
        }
    }
}

/// Many events as columns, for [`INSERT_MANY`].
pub(crate) struct EventArrays<'a> {
    ids: Vec<&'a [u8]>,
    at: Vec<i64>,
    kinds: Vec<&'a str>,
    outcomes: Vec<&'a str>,
    actors: Vec<&'a str>,
    actor_ids: Vec<Option<&'a [u8]>>,
    practices: Vec<Option<&'a [u8]>>,
    prescribers: Vec<Option<&'a [u8]>>,
    tokens: Vec<Option<&'a [u8]>>,
    purposes: Vec<Option<&'a str>>,
    reasons: Vec<Option<&'a str>>,
    details: Vec<Option<&'a str>>,
    supports: Vec<&'a str>,
    previous: Vec<Option<&'a [u8]>>,
}

impl<'a> EventArrays<'a> {
    pub(crate) fn of(events: &'a [(Event, Link)]) -> Self {
        fn id<T>(id: Option<&T>, bytes: impl FnOnce(&T) -> &[u8; 16]) -> Option<&[u8]> {
            id.map(bytes).map(<[u8; 16]>::as_slice)
        }
        Self {
            ids: events.iter().map(|(_, l)| l.id.as_bytes().as_slice()).collect(),
            at: events.iter().map(|(_, l)| l.at.micros()).collect(),
            kinds: events.iter().map(|(e, _)| e.kind.code()).collect(),
            outcomes: events.iter().map(|(e, _)| e.outcome.code()).collect(),
            actors: events.iter().map(|(e, _)| e.actor.code()).collect(),
            actor_ids: events
                .iter()
                .map(|(e, _)| e.actor.id_bytes().map(<[u8; 16]>::as_slice))
                .collect(),
            practices: events
                .iter()
                .map(|(e, _)| id(e.practice.as_ref(), PracticeId::as_bytes))
                .collect(),
            prescribers: events
                .iter()
                .map(|(e, _)| id(e.prescriber.as_ref(), PersonId::as_bytes))
                .collect(),
            tokens: events.iter().map(|(e, _)| id(e.token.as_ref(), TokenId::as_bytes)).collect(),
            purposes: events.iter().map(|(e, _)| e.purpose.map(Purpose::code)).collect(),
            reasons: events.iter().map(|(e, _)| e.reason).collect(),
            details: events.iter().map(|(e, _)| e.detail.as_deref()).collect(),
            supports: events.iter().map(|(e, _)| e.support.as_str()).collect(),
            previous: events.iter().map(|(_, l)| l.previous()).collect(),
        }
    }

    pub(crate) fn params(&self) -> [P<'_>; 14] {
        [
            P::Blobs(&self.ids),
            P::Ints(&self.at),
            P::Texts(&self.kinds),
            P::Texts(&self.outcomes),
            P::Texts(&self.actors),
            P::OptBlobs(&self.actor_ids),
            P::OptBlobs(&self.practices),
            P::OptBlobs(&self.prescribers),
            P::OptBlobs(&self.tokens),
            P::OptTexts(&self.purposes),
            P::OptTexts(&self.reasons),
            P::OptTexts(&self.details),
            P::Texts(&self.supports),
            P::OptBlobs(&self.previous),
        ]
    }
}

columns! {
    /// What is read of an audit event.
    EVENT_ROW: EventColumns from "audit_event" "e" by id {
        id: Blob = "e.id",
        at: Int = "e.at",
        kind: Text = "e.kind",
        outcome: Text = "e.outcome",
        actor: Text = "e.actor",
        token: Opt<Blob> = "e.token",
        purpose: Opt<Text> = "e.purpose",
        reason: Opt<Text> = "e.reason",
        detail: Opt<Text> = "e.detail",
        support: Text = "e.support",
        actor_id: Opt<Blob> = "e.actor_id",
        actor_name: Opt<Text> = "COALESCE((SELECT a.name FROM prescriber a WHERE a.id = e.actor_id), (SELECT s.name FROM staff s WHERE s.id = e.actor_id))" of "prescriber",
    }
}

statements! {
    INSERT = sql!(
        "INSERT INTO audit_event (id, at, kind, outcome, actor, actor_id, practice, prescriber, token, "
        "purpose, reason, detail, support, previous) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    );
    /// Many events, as [`EventArrays`] has them.
    pub(crate) INSERT_MANY = Sql::on_postgres(concat!(
        "INSERT INTO audit_event (id, at, kind, outcome, actor, actor_id, practice, prescriber, token, ",
        "purpose, reason, detail, support, previous) SELECT * FROM unnest($1::BYTEA[], $2::BIGINT[], ",
        "$3::TEXT[], $4::TEXT[], $5::TEXT[], $6::BYTEA[], $7::BYTEA[], $8::BYTEA[], $9::BYTEA[], ",
        "$10::TEXT[], $11::TEXT[], $12::TEXT[], $13::TEXT[], $14::BYTEA[])",
    ));
    INDEXED_EVENTS = select!(EventColumns, "WHERE prescriber = $1 AND previous IS NULL ORDER BY at DESC, id DESC LIMIT $2");
    CHAINED_EVENTS = Sql::both(join!(
            "WITH RECURSIVE chain (id, place) AS (",
            "SELECT last_event, CAST(1 AS BIGINT) FROM token WHERE prescriber = $1 AND last_event IS NOT NULL ",
            "UNION ALL SELECT e.previous, c.place + 1 FROM chain c JOIN audit_event e ON e.id = c.id ",
            "WHERE LENGTH(e.previous) = 16 AND c.place < $2) SELECT ",
            EventColumns::LIST,
            " FROM chain c JOIN audit_event e ON e.id = c.id",
        ))
        .reading(EventColumns::DECLARED);
    INDEXED_EVENTS_OF_TOKEN = select!(EventColumns, "WHERE prescriber = $1 AND previous IS NULL AND token = $2 ORDER BY at DESC, id DESC LIMIT $3");
    CHAINED_EVENTS_OF_TOKEN = Sql::both(join!(
            "WITH RECURSIVE chain (id, place) AS (",
            "SELECT last_event, CAST(1 AS BIGINT) FROM token WHERE id = $1 AND last_event IS NOT NULL ",
            "UNION ALL SELECT e.previous, c.place + 1 FROM chain c JOIN audit_event e ON e.id = c.id ",
            "WHERE LENGTH(e.previous) = 16 AND c.place < $2) SELECT ",
            EventColumns::LIST,
            " FROM chain c JOIN audit_event e ON e.id = c.id",
        ))
        .reading(EventColumns::DECLARED);
    ADDED_EVENT = select!(EventColumns, "WHERE prescriber = $1 AND previous IS NULL AND token = $2 AND kind = $3 AND outcome = 'success' ORDER BY at LIMIT 1");
    PING = sql!("SELECT created FROM instance WHERE id = 1");
    NEWEST_EVENT = sql!("SELECT at FROM audit_event ORDER BY id DESC LIMIT 1");
    EVENT_COUNT = sql!("SELECT COUNT(*) AS total FROM audit_event");
}

impl Tx<'_> {
    /// Appends an event. If this fails the whole transaction fails: no record, no change.
    pub fn append(&mut self, event: &Event, now: Timestamp) -> Result<(), Error> {
        let link = Link { id: EventId::new(now, self.rng())?, at: now, place: Place::Indexed };
        self.run(INSERT, &columns(event, &link)).map(drop)
    }

    /// Makes the places of events of these times, with one draw of random bytes.
    pub fn links(&mut self, times: &[Timestamp]) -> Result<Vec<Link>, Error> {
        let mut drawn = Drawn::default();
        drawn.refill(self.rng(), times.len() * EVENT_RANDOM_BYTES)?;
        let link = |at: &Timestamp| -> Result<_, Error> {
            Ok(Link { id: EventId::new(*at, &mut drawn)?, at: *at, place: Place::Indexed })
        };
        times.iter().map(link).collect()
    }
}

/// The columns of [`INSERT`].
fn columns<'e>(event: &'e Event, link: &'e Link) -> [P<'e>; 14] {
    [
        link.id.as_bytes().into(),
        link.at.micros().into(),
        event.kind.code().into(),
        event.outcome.code().into(),
        event.actor.code().into(),
        event.actor.id_bytes().into(),
        event.practice.as_ref().map(|id| id.as_bytes()).into(),
        event.prescriber.as_ref().map(|id| id.as_bytes()).into(),
        event.token.as_ref().map(|id| id.as_bytes()).into(),
        event.purpose.map(Purpose::code).into(),
        event.reason.into(),
        event.detail.as_deref().into(),
        event.support.as_str().into(),
        link.previous().into(),
    ]
}

impl Tx<'_> {
    /// Appends many events in their places, in one statement where the database is away. Who calls it
    /// saves the tokens that were linked.
    pub(crate) fn append_all(&mut self, events: &[(Event, Link)]) -> Result<(), Error> {
        let sets: Vec<_> = events.iter().map(|(event, link)| columns(event, link)).collect();
        self.run_each(INSERT, &sets)
    }

    /// The newest events of a prescriber, at most `most`: what the index finds, and what is reached
    /// through the prescriber's tokens.
    pub fn events_of(&mut self, prescriber: PersonId, most: i64) -> Result<Vec<AuditRow>, Error> {
        let params = [prescriber.as_bytes().into(), most.into()];
        let mut found = self.events(INDEXED_EVENTS, &params)?;
        found.extend(self.events(CHAINED_EVENTS, &params)?);
        found.sort_unstable_by_key(|(id, row)| std::cmp::Reverse((row.at, *id)));
        found.truncate(usize::try_from(most).unwrap_or(0));
        Ok(found.into_iter().map(|(_, row)| row).collect())
    }

    /// The newest events of one token of a prescriber, at most `most`, and the one that added it.
    pub fn events_of_token(
        &mut self,
        prescriber: PersonId,
        token: TokenId,
        most: i64,
    ) -> Result<Vec<AuditRow>, Error> {
        let (owner, token) = (prescriber.as_bytes().into(), token.as_bytes().into());
        let mut found = self.events(INDEXED_EVENTS_OF_TOKEN, &[owner, token, most.into()])?;
        found.extend(self.events(CHAINED_EVENTS_OF_TOKEN, &[token, most.into()])?);
        found.sort_unstable_by_key(|(id, row)| std::cmp::Reverse((row.at, *id)));
        found.truncate(usize::try_from(most).unwrap_or(0));
        let added =
            self.events(ADDED_EVENT, &[owner, token, EventKind::TokenAdded.code().into()])?;
        // Beyond the newest ones it comes last.
        found.extend(
            added
                .into_iter()
                .filter(|(id, _)| !found.iter().any(|(known, _)| known == id))
                .collect::<Vec<_>>(),
        );
        Ok(found.into_iter().map(|(_, row)| row).collect())
    }

    fn events(&mut self, sql: Sql, params: &[P<'_>]) -> Result<Vec<(EventId, AuditRow)>, Error> {
        let mut found = Vec::new();
        self.each(sql, params, &mut |row| {
            let id = row.get_id(EVENT_ROW.id, EventId::from_slice)?;
            found.push((
                id,
                AuditRow {
                    at: row.time(EVENT_ROW.at)?,
                    kind: EventKind::from_code(row.get(EVENT_ROW.kind)?)
                        .ok_or_else(|| row.corrupt(EVENT_ROW.kind))?,
                    success: row.get(EVENT_ROW.outcome)? == "success",
                    actor: row.string(EVENT_ROW.actor)?,
                    token: row.get_opt_id(EVENT_ROW.token, TokenId::from_slice)?,
                    purpose: row.get(EVENT_ROW.purpose)?.map(str::to_owned),
                    reason: row.get(EVENT_ROW.reason)?.map(str::to_owned),
                    detail: row.get(EVENT_ROW.detail)?.map(str::to_owned),
                    support: row.string(EVENT_ROW.support)?,
                    actor_id: row.get(EVENT_ROW.actor_id)?.and_then(|bytes| bytes.try_into().ok()),
                    actor_name: row.get(EVENT_ROW.actor_name)?.map(str::to_owned),
                },
            ));
            Ok(())
        })?;
        Ok(found)
    }

    /// Asks for one small row: whether the database answers and has its schema.
    pub fn ping(&mut self) -> Result<(), Error> {
        self.row(PING, &[]).map(drop)
    }

    /// When the newest event was.
    pub fn newest_event(&mut self) -> Result<Option<Timestamp>, Error> {
        let row = self.row(NEWEST_EVENT, &[])?;
        row.map(|row| Ok(Timestamp::from_micros(row.int(0, "audit_event.at")?))).transpose()
    }

    /// How many events there are, for tests and `doctor`.
    pub fn event_count(&mut self) -> Result<i64, Error> {
        self.row(EVENT_COUNT, &[])?
            .ok_or(Error::corrupt("audit_event.count"))?
            .int(0, "audit_event.count")
    }
}
