//! A token is activated for signing by two pieces of information over two channels (21 CFR 1311.105(c)):
//! what the portal showed when it was added, and a code that goes to a telephone or by post. And the
//! link in every notice by which its reader says "this was not me".

mod codes;
mod letters;
mod repudiation;

use countersign_domain::{
    PersonId, Refusal, Timestamp, Token, TokenId,
    command::commands,
    proofing::{ActivationRefusal, Channel},
};
use countersign_store::{Person, Session, Tx};
use thiserror::Error as ThisError;

use super::{
    Answer, App, At, Error,
    command::{Caller, Decision},
    notices::{Mailer, Note, Notice},
};

use codes::try_code;
pub(super) use codes::{About, channels, on_the_way, put_on_the_way, subject_of, take_code, typed};

/// Why a token is not activated now.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum Hindrance {
    /// It is not active, or activated already.
    #[error("This token is not active or is already activated.")]
    NothingToDo,
    /// There is no confirmed way for a code.
    #[error(
        "You have no confirmed phone or mailing address on file, so no code can be sent. Ask your practice."
    )]
    NoChannel,
    /// A code was sent just now.
    #[error("A code was just sent. Wait a minute before you request another.")]
    TooSoon,
    /// No code was sent.
    #[error("Request a code first.")]
    NoCode,
    /// Too many wrong tries.
    #[error("Too many incorrect entries. Request a new code.")]
    TooManyTries,
    /// Not the code.
    #[error("Incorrect code. Check each character. Only the newest code is valid.")]
    WrongCode,
    /// The rule says no.
    #[error(transparent)]
    Rule(#[from] ActivationRefusal),
}

impl Hindrance {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::NothingToDo => Refusal::NoChange.code(),
            Self::NoChannel => "no_channel",
            Self::TooSoon => "code_too_soon",
            Self::NoCode => "code_not_sent",
            Self::TooManyTries => "code_tries",
            Self::WrongCode => "code_wrong",
            Self::Rule(_) => "code_run_out",
        }
    }
}

/// What the page of an activation shows.
#[derive(Debug, Clone)]
pub struct Activation {
    /// The ways on which a code can go: way, and masked where to.
    pub channels: Vec<(Channel, String)>,
    /// The code that is on its way: way, and until when it is good.
    pub sent: Option<(Channel, Timestamp)>,
}

/// The token, if it is theirs and can be activated.
fn to_activate(
    tx: &mut Tx<'_>,
    person: PersonId,
    token: TokenId,
) -> Result<Option<Token>, countersign_store::Error> {
    let found = tx.tokens_of(person)?.into_iter().map(|row| row.token).find(|it| it.id() == token);
    Ok(found.filter(|it| it.is_active() && it.activated().is_none()))
}

impl App {
    /// What the page of an activation shows.
    pub async fn activation(
        &self,
        person: PersonId,
        token: TokenId,
        at: At,
    ) -> Result<Activation, Error> {
        let found = self
            .store
            .read("activation", move |tx| {
                let Some(who) = tx.person(person)? else { return Ok(None) };
                let profile = tx.profile(&who)?.unwrap_or_default();
                let sent = on_the_way(tx, person, token.as_bytes(), at.now)?;
                Ok(Some(Activation { channels: channels(&profile, true), sent }))
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// Sends an activation code for a token, by telephone or as a letter.
    pub async fn send_activation_code(
        &self,
        session: &Session,
        token: TokenId,
        channel: Channel,
        at: At,
    ) -> Result<Answer<(), Hindrance>, Error> {
        self.run(commands::SEND_ACTIVATION_CODE, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            let result = send_code(cx.tx, cx.mailer, &who, token, channel, at)?;
            cx.about_token(result.is_ok().then_some(token));
            cx.detail(channel.code());
            Ok(Decision::of(result))
        })
        .await
    }

    /// Takes the activation code of a token; if it is right, the token signs from now on, as far as
    /// access control lets its owner.
    pub async fn activate_token(
        &self,
        session: &Session,
        token: TokenId,
        code: &str,
        at: At,
    ) -> Result<Answer<(), Hindrance>, Error> {
        let (practice, code) = (session.practice, typed(code));
        self.run(commands::ACTIVATE_TOKEN, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            let result = try_code(cx.tx, who.id, token, &code, at.now)?;
            // An event never names somebody else's token.
            cx.about_token((result != Err(Hindrance::NothingToDo)).then_some(token));
            if let Ok(channel) = &result {
                cx.tx.activate_token(token, who.id, at.now)?;
                cx.detail(&format!("portal and {}", channel.code()));
                let name = cx.tx.token_name(token)?.unwrap_or_default();
                let note = Note::TokenActivated;
                let notice = Notice { note, practice, detail: &name, path: "/portal" };
                cx.mailer.tell(cx.tx, &who, &notice, &[], at.now)?;
            }
            Ok(Decision::of(result.map(drop)))
        })
        .await
    }
}

fn send_code(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    who: &Person,
    token: TokenId,
    channel: Channel,
    at: At,
) -> Result<Result<(), Hindrance>, countersign_store::Error> {
    let Some(token) = to_activate(tx, who.id, token)? else {
        return Ok(Err(Hindrance::NothingToDo));
    };
    let profile = tx.profile(who)?.unwrap_or_default();
    let confirmed = channels(&profile, true);
    let practice = token.practice().unwrap_or(who.practice);
    let about = About { subject: *token.id().as_bytes(), practice, kind: "activation" };
    put_on_the_way(tx, mailer, who, &profile, &confirmed, about, channel, at)
}
