//! Codes that were sent to a telephone or a postal address.

use countersign_domain::{PersonId, PracticeId, Timestamp, proofing::Channel};

use crate::{
    Error, Tx,
    statements::{locking, sql, statements},
    value::Columns,
};

/// A code on its way to somebody.
#[derive(Clone)]
pub struct SentCode {
    /// What it is about: a case or a token.
    pub subject: [u8; 16],
    /// To whom.
    pub person: PersonId,
    /// In which practice.
    pub practice: PracticeId,
    /// `address` or `activation`.
    pub kind: String,
    /// The code.
    pub code: String,
    /// On which way.
    pub channel: Channel,
    /// When it was sent.
    pub sent: Timestamp,
    /// Wrong tries.
    pub tries: i64,
    /// When it came back.
    pub used: Option<Timestamp>,
}

statements! {
    SEND_CODE = sql!(
        "INSERT INTO sent_code (subject, person, practice, kind, code_sealed, channel, sent, tries) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (subject) DO UPDATE SET "
        "person = excluded.person, practice = excluded.practice, kind = excluded.kind, "
        "code_sealed = excluded.code_sealed, channel = excluded.channel, sent = excluded.sent, "
        "tries = 0, used = NULL"
    );
    SENT_CODE = locking!(
        "SELECT practice, kind, code_sealed, channel, sent, tries, used FROM sent_code "
        "WHERE subject = $1 AND person = $2"
    );
    SAVE_SENT_CODE = sql!("UPDATE sent_code SET tries = $2, used = $3 WHERE subject = $1");
}

impl Tx<'_> {
    /// Puts a code on its way, in place of an earlier one about the same.
    pub fn send_code(&mut self, it: &SentCode) -> Result<(), Error> {
        let sealed = self.seal_json(it.practice, "sent_code.sealed", &it.subject, &it.code)?;
        self.run_one(
            SEND_CODE,
            &[
                (&it.subject).into(),
                it.person.as_bytes().into(),
                it.practice.as_bytes().into(),
                it.kind.as_str().into(),
                sealed.as_slice().into(),
                it.channel.code().into(),
                it.sent.micros().into(),
            ],
        )
    }

    /// The code about a case or token of somebody; nobody else may try it until the commit.
    pub fn sent_code(
        &mut self,
        subject: &[u8; 16],
        person: PersonId,
    ) -> Result<Option<SentCode>, Error> {
        let row = self.row(SENT_CODE, &[subject.into(), person.as_bytes().into()])?;
        let Some(row) = row else { return Ok(None) };
        let practice = row.id(0, "sent_code.practice", PracticeId::from_slice)?;
        let column = "sent_code.channel";
        Ok(Some(SentCode {
            subject: *subject,
            person,
            practice,
            kind: row.text(1, "sent_code.kind")?.to_owned(),
            code: self.open_json(
                practice,
                "sent_code.sealed",
                subject,
                row.blob(2, "sent_code.code_sealed")?,
            )?,
            channel: Channel::from_code(row.text(3, column)?).ok_or(Error::corrupt(column))?,
            sent: Timestamp::from_micros(row.int(4, "sent_code.sent")?),
            tries: row.int(5, "sent_code.tries")?,
            used: row.opt_int(6, "sent_code.used")?.map(Timestamp::from_micros),
        }))
    }

    /// Writes the tries of a code, and that it came back.
    pub fn save_sent_code(&mut self, it: &SentCode) -> Result<(), Error> {
        self.run_one(
            SAVE_SENT_CODE,
            &[(&it.subject).into(), it.tries.into(), it.used.map(Timestamp::micros).into()],
        )
    }
}
