use countersign_domain::{FipsCertificate, ModelCode, SigningModels, Timestamp, TokenModel};

use crate::{
    Error, Tx,
    statements::{Sql, locking, sql, statements},
    value::{Columns, RawRow},
};

fn model(row: &RawRow<'_>) -> Result<TokenModel, Error> {
    let corrupt = |column| move |_| Error::Corrupt { column };
    Ok(TokenModel {
        code: code(row)?,
        maker: row.text(1, "token_model.maker")?.to_owned(),
        name: row.text(2, "token_model.name")?.to_owned(),
        kind: row
            .text(3, "token_model.kind")?
            .parse()
            .map_err(|_| Error::Corrupt { column: "token_model.kind" })?,
        fips: row
            .text(4, "token_model.fips_certificate")?
            .parse::<FipsCertificate>()
            .map_err(corrupt("token_model.fips_certificate"))?,
        allowed: row.int(5, "token_model.allowed")? != 0,
        note: row.text(6, "token_model.note")?.to_owned(),
        changed: Timestamp::from_micros(row.int(7, "token_model.changed")?),
        changed_by: row.text(8, "token_model.changed_by")?.to_owned(),
    })
}

fn code(row: &RawRow<'_>) -> Result<ModelCode, Error> {
    let column = "token_model.code";
    row.text(0, column)?.parse().map_err(|_| Error::Corrupt { column })
}

macro_rules! model_query {
    ($kind:ident, $tail:literal) => {
        $kind!("SELECT code, maker, name, kind, fips_certificate, allowed, note, changed, changed_by "
            "FROM token_model " $tail)
    };
}

statements! {
    TOKEN_MODELS = model_query!(sql, "ORDER BY code");
    TOKEN_MODEL = model_query!(locking, "WHERE code = $1");
    SIGNING_MODELS = sql!("SELECT code FROM token_model WHERE allowed <> 0");
    SAVE_TOKEN_MODEL = sql!(
        "INSERT INTO token_model (code, maker, name, kind, fips_certificate, allowed, note, changed, "
        "changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (code) DO UPDATE SET "
        "maker = excluded.maker, name = excluded.name, kind = excluded.kind, "
        "fips_certificate = excluded.fips_certificate, allowed = excluded.allowed, "
        "note = excluded.note, changed = excluded.changed, changed_by = excluded.changed_by"
    );
}

impl Tx<'_> {
    fn models_by(&mut self, sql: Sql, code: Option<&ModelCode>) -> Result<Vec<TokenModel>, Error> {
        let mut found = Vec::new();
        let params: Vec<_> = code.iter().map(|code| code.as_str().into()).collect();
        self.each(sql, &params, &mut |row| {
            found.push(model(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The models that the operator has judged, by code.
    pub fn token_models(&mut self) -> Result<Vec<TokenModel>, Error> {
        self.models_by(TOKEN_MODELS, None)
    }

    /// The model with this code; nobody else may change it until the commit.
    pub fn token_model(&mut self, code: &ModelCode) -> Result<Option<TokenModel>, Error> {
        Ok(self.models_by(TOKEN_MODEL, Some(code))?.pop())
    }

    /// The models whose passcodes may sign: a handful of rows, read once for a group of checks.
    pub fn signing_models(&mut self) -> Result<SigningModels, Error> {
        let mut codes = Vec::new();
        self.each(SIGNING_MODELS, &[], &mut |row| {
            codes.push(code(row)?);
            Ok(())
        })?;
        Ok(codes.into_iter().collect())
    }

    /// Writes what the operator says of a model, in place of what was said before.
    pub fn save_token_model(&mut self, model: &TokenModel) -> Result<(), Error> {
        self.run_one(
            SAVE_TOKEN_MODEL,
            &[
                model.code.as_str().into(),
                model.maker.as_str().into(),
                model.name.as_str().into(),
                model.kind.code().into(),
                model.fips.as_str().into(),
                i64::from(model.allowed).into(),
                model.note.as_str().into(),
                model.changed.micros().into(),
                model.changed_by.as_str().into(),
            ],
        )
    }
}
