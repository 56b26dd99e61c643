use countersign_domain::{ModelCode, SigningModels, TokenModel};

use crate::{
    Error, Tx,
    columns::{Int, Text, columns, select},
    statements::{Sql, sql, statements},
    value::{Declared, RawRow},
};

fn model(row: &RawRow<'_>) -> Result<TokenModel, Error> {
    Ok(TokenModel {
        code: code(row)?,
        maker: row.string(MODEL_ROW.maker)?,
        name: row.string(MODEL_ROW.name)?,
        kind: row.parsed(MODEL_ROW.kind)?,
        fips: row.parsed(MODEL_ROW.fips_certificate)?,
        allowed: row.flag(MODEL_ROW.allowed)?,
        note: row.string(MODEL_ROW.note)?,
        changed: row.time(MODEL_ROW.changed)?,
        changed_by: row.string(MODEL_ROW.changed_by)?,
    })
}

fn code(row: &RawRow<'_>) -> Result<ModelCode, Error> {
    row.parsed(MODEL_ROW.code)
}

columns! {
    /// What is read of a token model.
    MODEL_ROW: ModelColumns from "token_model" {
        code: Text,
        maker: Text,
        name: Text,
        kind: Text,
        fips_certificate: Text,
        allowed: Int,
        note: Text,
        changed: Int,
        changed_by: Text,
    }
}

statements! {
    TOKEN_MODELS = select!(ModelColumns, "ORDER BY code");
    TOKEN_MODEL = select!(ModelColumns, locking "WHERE code = $1");
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
