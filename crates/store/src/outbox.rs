//! Messages that wait to be sent, links that say "this was not me", and what is due.

use countersign_domain::{
    DeadlineId, MessageId, PersonId, PracticeId, Timestamp, proofing::Channel,
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{sql, statements},
    value::{Columns, Declared, Row},
};

/// What a message says, and to whom; sealed in its row, and gone once it is done.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageBody {
    /// E-mail address, telephone number or postal address.
    pub to: String,
    /// The subject of an e-mail, the heading of a letter.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

impl std::fmt::Debug for MessageBody {
    /// May hold a code: never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MessageBody")
    }
}

/// A message as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Our identifier; the receiver of a webhook knows a second delivery by it.
    pub id: MessageId,
    /// In which practice.
    pub practice: PracticeId,
    /// To whom, where it is somebody with an account.
    pub person: Option<PersonId>,
    /// What it is, as a word.
    pub kind: String,
    /// On which way.
    pub channel: Channel,
    /// What it says; none once it is done.
    pub body: Option<MessageBody>,
    /// When it was written.
    pub created: Timestamp,
    /// When it is tried next.
    pub next_try: Timestamp,
    /// How often it was tried.
    pub tries: i64,
    /// When it was done with.
    pub done: Option<Timestamp>,
    /// How it ended, or why the last try failed.
    pub outcome: String,
}

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// Our identifier.
    pub id: DeadlineId,
    /// In which practice.
    pub practice: PracticeId,
    /// About whom.
    pub person: Option<PersonId>,
    /// What, as a word.
    pub kind: String,
    /// When it was discovered.
    pub discovered: Timestamp,
    /// By when.
    pub due: Timestamp,
    /// Who did it, and when.
    pub done: Option<(Option<PersonId>, Timestamp)>,
    /// What was noted.
    pub note: String,
}

columns! {
    /// What is read of a message.
    MESSAGE_ROW: MessageColumns from "message" by id {
        id: Blob,
        practice: Blob,
        person: Opt<Blob>,
        kind: Text,
        channel: Text,
        sealed: Opt<Blob>,
        created: Int,
        next_try: Int,
        tries: Int,
        done: Opt<Int>,
        outcome: Text,
    }
}

/// A deadline that comes near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearing {
    /// Of which practice.
    pub practice: PracticeId,
    /// About whom.
    pub person: Option<PersonId>,
    /// What it is about.
    pub kind: String,
    /// When it is over.
    pub due: Timestamp,
}

columns! {
    /// What is read of a deadline.
    DEADLINE: DeadlineColumns from "deadline" by id {
        id: Blob,
        practice: Blob,
        person: Opt<Blob>,
        kind: Text,
        discovered: Int,
        due: Int,
        done: Opt<Int>,
        done_by: Opt<Blob>,
        note: Text,
    }
}

statements! {
    CREATE_MESSAGE = sql!(
        "INSERT INTO message (id, practice, person, kind, channel, sealed, created, next_try, tries, outcome) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, '')"
    );
    MESSAGES_DUE = select!(
        MessageColumns,
        "WHERE done IS NULL AND next_try <= $1 AND channel <> 'post' ORDER BY next_try, id LIMIT $2"
    );
    TAKE_MESSAGE = sql!(
        "UPDATE message SET next_try = $3, tries = tries + 1 WHERE id = $1 AND next_try = $2 AND done IS NULL"
    );
    MESSAGE_TRIED = sql!(
        "UPDATE message SET outcome = $2, done = $3, next_try = $4, "
        "sealed = CASE WHEN CAST($3 AS BIGINT) IS NULL THEN sealed ELSE NULL END WHERE id = $1"
    );
    MESSAGES_OF = select!(
        MessageColumns,"WHERE practice = $1 ORDER BY created DESC, id DESC LIMIT $2");
    MESSAGE = select!(
        MessageColumns,"WHERE id = $1 AND practice = $2");
    CREATE_REPUDIATION = sql!("INSERT INTO repudiation (link_hash, person, practice, expires) VALUES ($1, $2, $3, $4)");
    REPUDIATION = sql!(
        "SELECT person, practice FROM repudiation WHERE link_hash = $1 AND used IS NULL AND expires > $2"
    );
    USE_REPUDIATION = sql!("UPDATE repudiation SET used = $2 WHERE link_hash = $1 AND used IS NULL");
    CREATE_DEADLINE = sql!(
        "INSERT INTO deadline (id, practice, person, kind, discovered, due, note) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    );
    DEADLINES = select!(DeadlineColumns, "WHERE practice = $1 ORDER BY CASE WHEN done IS NULL THEN 0 ELSE 1 END, due, id LIMIT $2");
    DEADLINES_NEARING = sql!(
        "UPDATE deadline SET reminded = $2 WHERE done IS NULL AND reminded IS NULL AND due < $1 "
        "RETURNING practice, person, kind, due"
    );
    DEADLINE_DONE = sql!(
        "UPDATE deadline SET done = $3, done_by = $4, note = CASE WHEN note = '' THEN $5 ELSE note || '. Done: ' || $5 END WHERE id = $1 AND practice = $2 AND done IS NULL"
    );
}

impl Tx<'_> {
    /// Puts a message into the outbox.
    pub fn create_message(&mut self, it: &Message) -> Result<(), Error> {
        let sealed = match &it.body {
            Some(body) => {
                Some(self.seal_json(it.practice, "message.sealed", it.id.as_bytes(), body)?)
            }
            None => None,
        };
        self.run(
            CREATE_MESSAGE,
            &[
                it.id.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.person.as_ref().map(|id| id.as_bytes()).into(),
                it.kind.as_str().into(),
                it.channel.code().into(),
                sealed.as_deref().into(),
                it.created.micros().into(),
                it.next_try.micros().into(),
            ],
        )
        .map(drop)
    }

    fn message_row(&mut self, row: &Row) -> Result<Message, Error> {
        let id = row.get_id(MESSAGE_ROW.id, MessageId::from_slice)?;
        let practice = row.get_id(MESSAGE_ROW.practice, PracticeId::from_slice)?;
        let body = match row.get(MESSAGE_ROW.sealed)? {
            Some(sealed) => {
                Some(self.open_json(practice, MESSAGE_ROW.sealed.label, id.as_bytes(), sealed)?)
            }
            None => None,
        };
        Ok(Message {
            id,
            practice,
            person: row.get_opt_id(MESSAGE_ROW.person, PersonId::from_slice)?,
            kind: row.string(MESSAGE_ROW.kind)?,
            channel: Channel::from_code(row.get(MESSAGE_ROW.channel)?)
                .ok_or_else(|| row.corrupt(MESSAGE_ROW.channel))?,
            body,
            created: row.time(MESSAGE_ROW.created)?,
            next_try: row.time(MESSAGE_ROW.next_try)?,
            tries: row.get(MESSAGE_ROW.tries)?,
            done: row.opt_time(MESSAGE_ROW.done)?,
            outcome: row.string(MESSAGE_ROW.outcome)?,
        })
    }

    /// Takes messages that are to be sent now: nobody else takes them before `again`. Letters wait for
    /// a printer and are not among them.
    pub fn take_messages(
        &mut self,
        now: Timestamp,
        again: Timestamp,
        most: i64,
    ) -> Result<Vec<Message>, Error> {
        let rows = self.rows(MESSAGES_DUE, &[now.micros().into(), most.into()])?;
        let mut taken = Vec::new();
        for row in &rows {
            let message = self.message_row(row)?;
            let mine = self.run(
                TAKE_MESSAGE,
                &[
                    message.id.as_bytes().into(),
                    message.next_try.micros().into(),
                    again.micros().into(),
                ],
            )?;
            if mine == 1 {
                taken.push(Message { tries: message.tries + 1, next_try: again, ..message });
            }
        }
        Ok(taken)
    }

    /// Notes how a try ended. A message that is done is kept without what it said.
    pub fn message_tried(
        &mut self,
        id: MessageId,
        outcome: &str,
        done: Option<Timestamp>,
        next_try: Timestamp,
    ) -> Result<(), Error> {
        self.run_one(
            MESSAGE_TRIED,
            &[
                id.as_bytes().into(),
                outcome.into(),
                done.map(Timestamp::micros).into(),
                next_try.micros().into(),
            ],
        )
    }

    /// The newest messages of a practice.
    pub fn messages_of(&mut self, practice: PracticeId, most: i64) -> Result<Vec<Message>, Error> {
        let rows = self.rows(MESSAGES_OF, &[practice.as_bytes().into(), most.into()])?;
        rows.iter().map(|row| self.message_row(row)).collect()
    }

    /// One message of a practice.
    pub fn message(
        &mut self,
        practice: PracticeId,
        id: MessageId,
    ) -> Result<Option<Message>, Error> {
        let row = self.row(MESSAGE, &[id.as_bytes().into(), practice.as_bytes().into()])?;
        row.map(|row| self.message_row(&row)).transpose()
    }

    /// Makes a link that says "this was not me".
    pub fn create_repudiation(
        &mut self,
        link: &[u8; 32],
        person: PersonId,
        practice: PracticeId,
        expires: Timestamp,
    ) -> Result<(), Error> {
        self.run(
            CREATE_REPUDIATION,
            &[
                link.into(),
                person.as_bytes().into(),
                practice.as_bytes().into(),
                expires.micros().into(),
            ],
        )
        .map(drop)
    }

    /// Whose link it is, while it works.
    pub fn repudiation(
        &mut self,
        link: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(PersonId, PracticeId)>, Error> {
        self.row(REPUDIATION, &[link.into(), now.micros().into()])?
            .map(|row| {
                Ok((
                    row.id(0, "repudiation.person", PersonId::from_slice)?,
                    row.id(1, "repudiation.practice", PracticeId::from_slice)?,
                ))
            })
            .transpose()
    }

    /// Uses such a link: once.
    pub fn use_repudiation(&mut self, link: &[u8; 32], now: Timestamp) -> Result<(), Error> {
        self.run_one(USE_REPUDIATION, &[link.into(), now.micros().into()])
    }

    /// Starts a deadline.
    pub fn create_deadline(&mut self, it: &Deadline) -> Result<(), Error> {
        self.run(
            CREATE_DEADLINE,
            &[
                it.id.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.person.as_ref().map(|id| id.as_bytes()).into(),
                it.kind.as_str().into(),
                it.discovered.micros().into(),
                it.due.micros().into(),
                it.note.as_str().into(),
            ],
        )
        .map(drop)
    }

    /// What is due in a practice, and what was done: the open ones first.
    pub fn deadlines(&mut self, practice: PracticeId, most: i64) -> Result<Vec<Deadline>, Error> {
        self.rows(DEADLINES, &[practice.as_bytes().into(), most.into()])?
            .iter()
            .map(|row| {
                let done = row.opt_time(DEADLINE.done)?;
                let by = row.get_opt_id(DEADLINE.done_by, PersonId::from_slice)?;
                Ok(Deadline {
                    id: row.get_id(DEADLINE.id, DeadlineId::from_slice)?,
                    practice: row.get_id(DEADLINE.practice, PracticeId::from_slice)?,
                    person: row.get_opt_id(DEADLINE.person, PersonId::from_slice)?,
                    kind: row.string(DEADLINE.kind)?,
                    discovered: row.time(DEADLINE.discovered)?,
                    due: row.time(DEADLINE.due)?,
                    done: done.map(|at| (by, at)),
                    note: row.string(DEADLINE.note)?,
                })
            })
            .collect()
    }

    /// What is due before a time, still open and not yet spoken of, in all practices; it counts as spoken of
    /// from now on.
    pub fn deadlines_nearing(
        &mut self,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Nearing>, Error> {
        self.rows(DEADLINES_NEARING, &[before.micros().into(), now.micros().into()])?
            .iter()
            .map(|row| {
                Ok(Nearing {
                    practice: row.id(0, "deadline.practice", PracticeId::from_slice)?,
                    person: row.opt_id(1, "deadline.person", PersonId::from_slice)?,
                    kind: row.text(2, "deadline.kind")?.to_owned(),
                    due: Timestamp::from_micros(row.int(3, "deadline.due")?),
                })
            })
            .collect()
    }

    /// Notes that something due was done. `false` when it was before, or is not of this practice.
    pub fn deadline_done(
        &mut self,
        practice: PracticeId,
        id: DeadlineId,
        by: Option<PersonId>,
        note: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let done = self.run(
            DEADLINE_DONE,
            &[
                id.as_bytes().into(),
                practice.as_bytes().into(),
                now.micros().into(),
                by.as_ref().map(|id| id.as_bytes()).into(),
                note.into(),
            ],
        )?;
        Ok(done == 1)
    }
}
