use countersign_domain::{Event, EventId, EventKind, PrescriberId, Timestamp, TokenId};

use crate::{
    Error, Tx,
    tx::{Sql, sql},
    value::P,
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

impl Tx<'_> {
    /// Appends an event. If this fails the whole transaction fails: no record, no change.
    pub fn append(&mut self, event: &Event, now: Timestamp) -> Result<(), Error> {
        let id = EventId::new(now, self.rng())?;
        let support = event.support.to_string();
        let params: [P<'_>; 13] = [
            id.as_bytes().into(),
            now.micros().into(),
            event.kind.code().into(),
            event.outcome.code().into(),
            event.actor.code().into(),
            event.actor.id_bytes().into(),
            event.practice.as_ref().map(|id| id.as_bytes()).into(),
            event.prescriber.as_ref().map(|id| id.as_bytes()).into(),
            event.token.as_ref().map(|id| id.as_bytes()).into(),
            event.purpose.map(countersign_domain::Purpose::code).into(),
            event.reason.into(),
            event.detail.as_deref().into(),
            support.as_str().into(),
        ];
        self.run(
            sql!("INSERT INTO audit_event (id, at, kind, outcome, actor, actor_id, practice, prescriber, token, "
                "purpose, reason, detail, support) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"),
            &params,
        )
        .map(drop)
    }

    /// Appends many events, in one statement where the database is away.
    pub fn append_all(&mut self, events: &[Event], now: Timestamp) -> Result<(), Error> {
        if !self.is_postgres() || events.len() < 2 {
            return events.iter().try_for_each(|event| self.append(event, now));
        }
        let ids = events
            .iter()
            .map(|_| EventId::new(now, self.rng()).map_err(Error::from))
            .collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
        let at = vec![now.micros(); events.len()];
        let kinds: Vec<&str> = events.iter().map(|e| e.kind.code()).collect();
        let outcomes: Vec<&str> = events.iter().map(|e| e.outcome.code()).collect();
        let actors: Vec<&str> = events.iter().map(|e| e.actor.code()).collect();
        let actor_ids: Vec<Option<&[u8]>> =
            events.iter().map(|e| e.actor.id_bytes().map(<[u8; 16]>::as_slice)).collect();
        let practices: Vec<Option<&[u8]>> =
            events.iter().map(|e| e.practice.as_ref().map(|id| id.as_bytes().as_slice())).collect();
        let prescribers: Vec<Option<&[u8]>> = events
            .iter()
            .map(|e| e.prescriber.as_ref().map(|id| id.as_bytes().as_slice()))
            .collect();
        let tokens: Vec<Option<&[u8]>> =
            events.iter().map(|e| e.token.as_ref().map(|id| id.as_bytes().as_slice())).collect();
        let purposes: Vec<Option<&str>> =
            events.iter().map(|e| e.purpose.map(countersign_domain::Purpose::code)).collect();
        let reasons: Vec<Option<&str>> = events.iter().map(|e| e.reason).collect();
        let details: Vec<Option<&str>> = events.iter().map(|e| e.detail.as_deref()).collect();
        let supports: Vec<String> = events.iter().map(|e| e.support.to_string()).collect();
        let supports: Vec<&str> = supports.iter().map(String::as_str).collect();
        let params = [
            P::Blobs(&ids),
            P::Ints(&at),
            P::Texts(&kinds),
            P::Texts(&outcomes),
            P::Texts(&actors),
            P::OptBlobs(&actor_ids),
            P::OptBlobs(&practices),
            P::OptBlobs(&prescribers),
            P::OptBlobs(&tokens),
            P::OptTexts(&purposes),
            P::OptTexts(&reasons),
            P::OptTexts(&details),
            P::Texts(&supports),
        ];
        let many = Sql {
            sqlite: "",
            postgres: "INSERT INTO audit_event (id, at, kind, outcome, actor, actor_id, practice, prescriber, token, \
                purpose, reason, detail, support) SELECT * FROM unnest($1::BYTEA[], $2::BIGINT[], $3::TEXT[], \
                $4::TEXT[], $5::TEXT[], $6::BYTEA[], $7::BYTEA[], $8::BYTEA[], $9::BYTEA[], $10::TEXT[], \
                $11::TEXT[], $12::TEXT[], $13::TEXT[])",
        };
        self.run(many, &params).map(drop)
    }

    /// The newest events of a prescriber, at most `most`.
    pub fn events_of(
        &mut self,
        prescriber: PrescriberId,
        most: i64,
    ) -> Result<Vec<AuditRow>, Error> {
        self.rows(
            sql!("SELECT at, kind, outcome, actor, token, purpose, reason, detail, support FROM audit_event "
                "WHERE prescriber = $1 ORDER BY at DESC, id DESC LIMIT $2"),
            &[prescriber.as_bytes().into(), most.into()],
        )?
        .iter()
        .map(|row| {
            Ok(AuditRow {
                at: Timestamp::from_micros(row.int(0, "audit_event.at")?),
                kind: EventKind::from_code(row.text(1, "audit_event.kind")?)
                    .ok_or(Error::Corrupt { column: "audit_event.kind" })?,
                success: row.text(2, "audit_event.outcome")? == "success",
                actor: row.text(3, "audit_event.actor")?.to_owned(),
                token: row.opt_id(4, "audit_event.token", TokenId::from_slice)?,
                purpose: row.opt_text(5, "audit_event.purpose")?.map(str::to_owned),
                reason: row.opt_text(6, "audit_event.reason")?.map(str::to_owned),
                detail: row.opt_text(7, "audit_event.detail")?.map(str::to_owned),
                support: row.text(8, "audit_event.support")?.to_owned(),
            })
        })
        .collect()
    }

    /// Asks for one small row: whether the database answers and has its schema.
    pub fn ping(&mut self) -> Result<(), Error> {
        self.row(sql!("SELECT created FROM instance WHERE id = 1"), &[]).map(drop)
    }

    /// How many events there are, for tests and `doctor`.
    pub fn event_count(&mut self) -> Result<i64, Error> {
        self.row(sql!("SELECT COUNT(*) FROM audit_event"), &[])?
            .ok_or(Error::Corrupt { column: "audit_event" })?
            .int(0, "audit_event")
    }
}
