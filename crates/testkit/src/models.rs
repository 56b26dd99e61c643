//! Token models that may sign.

use countersign_domain::{FipsCertificate, ModelCode, Timestamp, TokenKind, TokenModel};
use countersign_store::Tx;

/// Whether tokens of a model may sign, past the program and without a record.
pub(crate) fn set_model(
    tx: &mut Tx<'_>,
    code: &str,
    allowed: bool,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    tx.save_token_model(&TokenModel {
        code: code.parse().unwrap(),
        maker: "Countersign".to_owned(),
        name: code.to_owned(),
        kind: TokenKind::OtpSoft,
        fips: FipsCertificate::NONE,
        allowed,
        note: "demo policy".to_owned(),
        changed: now,
        changed_by: "tests".to_owned(),
    })
}

/// Allows the models that tests make tokens of.
pub(crate) fn allow_models(
    tx: &mut Tx<'_>,
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    [ModelCode::AUTHENTICATOR, ModelCode::TERMINAL, ModelCode::VIP_ACCESS]
        .into_iter()
        .try_for_each(|code| set_model(tx, code, true, now))
}
