//! Hardware tokens in the stock of a practice: imported, sent to somebody, in use, at their end of life.

use countersign_domain::{
    CredentialId, Manufacturer, ModelCode, PersonId, PracticeId, Timestamp, TokenId,
};

use crate::{
    Error, Tx,
    statements::{sql, statements},
    value::{Columns, Row},
};

/// A fob as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fob {
    /// The token.
    pub token: TokenId,
    /// Its serial number.
    pub credential: CredentialId,
    /// Its model.
    pub model: ModelCode,
    /// `unassociated`, `active` or `disabled`.
    pub state: String,
    /// Whose it is, once it was added.
    pub owner: Option<PersonId>,
    /// With which delivery it came.
    pub batch: String,
    /// Until when its maker lets it be used.
    pub ends: Timestamp,
    /// When it was put into stock.
    pub imported: Timestamp,
    /// To whom it was sent, how, and when.
    pub sent: Option<(PersonId, String, Timestamp)>,
}

fn fob(row: &Row) -> Result<Fob, Error> {
    let maker: Manufacturer = row
        .text(2, "token.manufacturer")?
        .parse()
        .map_err(|_| Error::corrupt("token.manufacturer"))?;
    let column = "token.credential";
    let credential = CredentialId::parse(row.text(1, column)?, Some(maker))
        .map_err(|_| Error::corrupt(column))?;
    let sent_to = row.opt_id(8, "fob.sent_to", PersonId::from_slice)?;
    let sent_at = row.opt_int(10, "fob.sent")?.map(Timestamp::from_micros);
    let how = row.opt_text(9, "fob.sent_how")?.unwrap_or_default().to_owned();
    Ok(Fob {
        token: row.id(0, "fob.token", TokenId::from_slice)?,
        credential,
        model: row.text(3, "token.model")?.parse().map_err(|_| Error::corrupt("token.model"))?,
        state: row.text(4, "token.state")?.to_owned(),
        owner: row.opt_id(11, "token.prescriber", PersonId::from_slice)?,
        batch: row.text(5, "fob.batch")?.to_owned(),
        ends: Timestamp::from_micros(row.int(6, "fob.ends")?),
        imported: Timestamp::from_micros(row.int(7, "fob.imported")?),
        sent: sent_to.zip(sent_at).map(|(to, at)| (to, how, at)),
    })
}

statements! {
    CREATE_FOB = sql!("INSERT INTO fob (token, practice, batch, ends, imported) VALUES ($1, $2, $3, $4, $5)");
    FOBS = sql!(
        "SELECT f.token, t.credential, t.manufacturer, t.model, t.state, f.batch, f.ends, f.imported, "
        "f.sent_to, f.sent_how, f.sent, t.prescriber FROM fob f JOIN token t ON t.id = f.token "
        "WHERE f.practice = $1 ORDER BY f.ends, t.credential LIMIT $2"
    );
    STOCK_OF = sql!("SELECT practice FROM fob WHERE token = $1");
    SEND_FOB = sql!(
        "UPDATE fob SET sent_to = $3, sent_how = $4, sent = $5 WHERE token = $1 AND practice = $2 "
        "AND token IN (SELECT id FROM token WHERE prescriber IS NULL)"
    );
    WORN_OUT = sql!(
        "SELECT t.id, t.prescriber FROM fob f JOIN token t ON t.id = f.token "
        "WHERE f.ends <= $1 AND t.state = 'active' AND t.prescriber IS NOT NULL LIMIT 100"
    );
}

impl Tx<'_> {
    /// Puts a token that is there into the stock of a practice.
    pub fn create_fob(
        &mut self,
        token: TokenId,
        practice: PracticeId,
        batch: &str,
        ends: Timestamp,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run(
            CREATE_FOB,
            &[
                token.as_bytes().into(),
                practice.as_bytes().into(),
                batch.into(),
                ends.micros().into(),
                now.micros().into(),
            ],
        )
        .map(drop)
    }

    /// The fobs of a practice, by the end of their life.
    pub fn fobs(&mut self, practice: PracticeId, most: i64) -> Result<Vec<Fob>, Error> {
        self.rows(FOBS, &[practice.as_bytes().into(), most.into()])?.iter().map(fob).collect()
    }

    /// In whose stock a token is, where it is in one.
    pub fn stock_of(&mut self, token: TokenId) -> Result<Option<PracticeId>, Error> {
        self.row(STOCK_OF, &[token.as_bytes().into()])?
            .map(|row| row.id(0, "fob.practice", PracticeId::from_slice))
            .transpose()
    }

    /// Notes to whom a fob was sent. `false` where it is in use, or not of this practice.
    pub fn send_fob(
        &mut self,
        practice: PracticeId,
        token: TokenId,
        to: PersonId,
        how: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let sent = self.run(
            SEND_FOB,
            &[
                token.as_bytes().into(),
                practice.as_bytes().into(),
                to.as_bytes().into(),
                how.into(),
                now.micros().into(),
            ],
        )?;
        Ok(sent == 1)
    }

    /// Fobs that somebody uses beyond the end of their life: token and owner.
    pub fn worn_out(&mut self, now: Timestamp) -> Result<Vec<(TokenId, PersonId)>, Error> {
        self.rows(WORN_OUT, &[now.micros().into()])?
            .iter()
            .map(|row| {
                Ok((
                    row.id(0, "token.id", TokenId::from_slice)?,
                    row.id(1, "token.prescriber", PersonId::from_slice)?,
                ))
            })
            .collect()
    }
}
