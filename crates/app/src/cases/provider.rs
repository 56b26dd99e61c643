//! Proofing by a provider: the redirect, the reply, and what of it is kept.

use countersign_crypto::{random_array, sha256};
use countersign_domain::{
    CaseId, PersonId, PracticeId, Timestamp,
    command::commands,
    identity::Match,
    proofing::{Assurance, Evidence, Provider},
    shown_line,
};
use countersign_protocol::oidc::{
    self, Client, Discovery, IdClaims, KeySet, OidcError, TokenAnswer,
};
use countersign_store::{CaseRow, EvidenceRow, Profile, ProofingTry, Session, Tx};
use data_encoding::BASE64URL_NOPAD;

use super::{current_case, evidence::domain_case, save_and_complete};
use crate::{
    Answer, App, At, Error, RefusalCode,
    command::{Caller, Decision, person_of},
    notices::Mailer,
    outbound::{Call, Fault},
};

/// How long somebody may be at a provider, in seconds.
const AWAY_SECONDS: i64 = 3_600;

/// Why what a provider answered does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyRefusal {
    /// Nobody was sent there from here, or too long ago.
    #[error("This response does not match identity proofing started here. Start again.")]
    Stale,
    /// The person, or the provider, gave up.
    #[error("The provider did not verify your identity. Try again, or ask your practice.")]
    Declined,
    /// The provider can't be reached.
    #[error("The provider is unavailable. Your information is saved. Try again in a few minutes.")]
    NotReached,
    /// Its answer can't be trusted.
    #[error("The provider's response can't be used ({}). Ask your practice.", .0.code())]
    Answer(OidcError),
    /// It vouches too weakly.
    #[error(
        "The provider's identity check was not strong enough. Choose its full identity check (IAL2)."
    )]
    Weak,
    /// It speaks of somebody else.
    #[error("The provider verified a different person. Verify your own identity.")]
    Other,
}

impl RefusalCode for ReplyRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Stale => "proofing_unknown",
            Self::Declined => "proofing_declined",
            Self::NotReached => "provider_not_reached",
            Self::Answer(error) => error.code(),
            Self::Weak => "proofing_weak",
            Self::Other => "proofing_other_person",
        }
    }
}

impl App {
    /// Where somebody is sent to be proofed. Asks the provider for its description first.
    pub async fn begin_proofing(
        &self,
        session: &Session,
        issuer: &str,
        at: At,
    ) -> Result<Answer<String, ReplyRefusal>, Error> {
        let found = self.options.providers.iter().find(|(_, client)| client.issuer == issuer);
        let Some((_, client)) = found.cloned() else { return Err(Error::NotFound) };
        let discovery = match self.discover(&client).await {
            Ok(discovery) => discovery,
            Err(refusal) => return Ok(Answer::Refused(refusal)),
        };
        let mut secrets = [String::new(), String::new(), String::new()];
        for secret in &mut secrets {
            let bytes: [u8; 32] = random_array((self.rng)().as_mut())?;
            *secret = BASE64URL_NOPAD.encode(&bytes);
        }
        let [state, nonce, verifier] = secrets;
        let redirect = self.redirect_uri();
        let url =
            oidc::authorization_url(&discovery, &client, &redirect, &state, &nonce, &verifier);
        let (this, hash) = (session.id, sha256(state.as_bytes()));
        self.run(commands::BEGIN_PROOFING, Caller::of(session), at, move |cx| {
            let who = cx.who()?;
            let Some(case) = current_case(cx.tx, who.id)? else { return Ok(Decision::NotFound) };
            let listed = cx.tx.providers(case.practice)?;
            if !case.state.is_open() || !listed.iter().any(|(known, _)| *known == client.issuer) {
                return Ok(Decision::NotFound);
            }
            let it = ProofingTry {
                issuer: client.issuer.clone(),
                nonce: nonce.clone(),
                verifier: verifier.clone(),
            };
            let expires = at.now.plus_seconds(AWAY_SECONDS);
            cx.tx.begin_proofing_try(&hash, &case, this, &it, expires)?;
            cx.event.practice = Some(case.practice);
            cx.detail(&client.issuer);
            Ok(Decision::Done(url.clone()))
        })
        .await
    }

    fn redirect_uri(&self) -> String {
        format!("{}/proofing/return", self.options.public_url)
    }

    async fn discover(&self, client: &Client) -> Result<Discovery, ReplyRefusal> {
        let url = Discovery::address(&client.issuer);
        let body = self.ask(Call::get(&url)).await?;
        Discovery::read(&client.issuer, &body).map_err(ReplyRefusal::Answer)
    }

    async fn ask(&self, call: Call<'_>) -> Result<Vec<u8>, ReplyRefusal> {
        self.outbound.call(call).await.map_err(|fault| {
            tracing::warn!(%fault, "a proofing provider did not answer");
            match fault {
                Fault::Refused(_) => ReplyRefusal::Declined,
                Fault::NotSetUp | Fault::NotReached(_) => ReplyRefusal::NotReached,
            }
        })
    }

    /// Takes what a provider's redirect brought back: exchanges the code, checks the ID token, compares
    /// who it speaks of with who was invited.
    pub async fn end_proofing(
        &self,
        session: &Session,
        state: &str,
        code: &str,
        at: At,
    ) -> Result<Answer<(), ReplyRefusal>, Error> {
        let person = person_of(session).ok_or(Error::NotFound)?;
        let (id, hash) = (session.id, sha256(state.as_bytes()));
        let begun = self
            .store
            .write("end_proofing_try", move |tx| tx.end_proofing_try(&hash, id, at.now))
            .await?;
        let demonstration = self.options.demonstration;
        let answer = match &begun {
            None => Err(ReplyRefusal::Stale),
            Some(_) if code.is_empty() => Err(ReplyRefusal::Declined),
            Some((_, _, it)) => self.exchange(it, code, at.now).await,
        };
        // What the provider of a demonstration says counts nowhere else.
        let answer = answer.and_then(|claims| {
            if claims.demonstration && !demonstration {
                Err(ReplyRefusal::Weak)
            } else {
                Ok(claims)
            }
        });
        let (case, practice) = match &begun {
            Some((case, practice, _)) => (Some(*case), *practice),
            None => (None, self.prescriber(person).await?.practice),
        };
        let issuer = begun.map(|(_, _, it)| it.issuer).unwrap_or_default();
        self.run(commands::END_PROOFING, Caller::of(session), at, move |cx| {
            cx.event.practice = Some(practice);
            cx.detail(&issuer);
            let (tx, mailer) = (&mut *cx.tx, cx.mailer);
            let result = match (&answer, case) {
                (Ok(claims), Some(case)) => {
                    take_reply(tx, mailer, practice, case, person, &issuer, claims, at)?
                }
                (Err(refusal), _) => Err(refusal.clone()),
                (Ok(_), None) => Err(ReplyRefusal::Stale),
            };
            Ok(Decision::of(result))
        })
        .await
    }

    async fn exchange(
        &self,
        it: &ProofingTry,
        code: &str,
        now: Timestamp,
    ) -> Result<IdClaims, ReplyRefusal> {
        let found = self.options.providers.iter().find(|(_, client)| client.issuer == it.issuer);
        let Some((_, client)) = found else { return Err(ReplyRefusal::Stale) };
        let discovery = self.discover(client).await?;
        let redirect = self.redirect_uri();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect.as_str()),
            ("code_verifier", it.verifier.as_str()),
        ];
        let basic = Some((client.id.as_str(), client.secret.0.as_str()));
        let url = discovery.token_endpoint.as_str();
        let body = self.ask(Call { url, form: Some(&form), basic, bearer: None }).await?;
        let answer = TokenAnswer::read(&body).map_err(ReplyRefusal::Answer)?;
        let url = discovery.jwks_uri.as_str();
        let keys = self.ask(Call::get(url)).await?;
        let keys = KeySet::read(&keys).map_err(|error| ReplyRefusal::Answer(error.into()))?;
        oidc::verify(&answer.id_token, &keys, client, &it.nonce, now).map_err(ReplyRefusal::Answer)
    }
}

/// Takes what a provider said, if it vouches enough and speaks of this person.
#[expect(clippy::too_many_arguments, reason = "each is a fact of the reply")]
fn take_reply(
    tx: &mut Tx<'_>,
    mailer: &Mailer,
    practice: PracticeId,
    case: CaseId,
    person: PersonId,
    issuer: &str,
    claims: &IdClaims,
    at: At,
) -> Result<Result<(), ReplyRefusal>, countersign_store::Error> {
    let Some(mut row) = tx.case(practice, case)?.filter(|row| row.person == person) else {
        return Ok(Err(ReplyRefusal::Stale));
    };
    let Some(who) = tx.person(person)? else { return Ok(Err(ReplyRefusal::Stale)) };
    let provider = provider(tx, practice, issuer)?;
    let weak = provider.is_none_or(|it| it.assurance(claims.assurance()) < Assurance::Ial2);
    if !row.state.is_open() {
        return Ok(Err(ReplyRefusal::Stale));
    }
    if weak {
        return Ok(Err(ReplyRefusal::Weak));
    }
    let clip = |text: &str| shown_line(text, 200);
    let evidence = EvidenceRow::Provider {
        issuer: issuer.to_owned(),
        subject: clip(&claims.sub),
        assurance: clip(claims.assurance()),
        proofed: Profile {
            given: clip(&claims.given_name),
            middle: clip(&claims.middle_name),
            family: clip(&claims.family_name),
            born: clip(&claims.birthdate),
            address: clip(&claims.address.formatted),
            ..Profile::default()
        },
        npi: clip(&claims.npi),
        at: at.now.micros(),
    };
    let kept = CaseRow { evidence: Some(evidence), near: None, ..row.clone() };
    let seen = domain_case(tx, &kept, at.now)?;
    if matches!(seen.evidence, Some(Evidence::Provider { identity: Match::Other, .. })) {
        // Nothing of another person is kept.
        return Ok(Err(ReplyRefusal::Other));
    }
    row = kept;
    save_and_complete(tx, mailer, &who, &mut row, at)?;
    Ok(Ok(()))
}

pub(super) fn provider(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    issuer: &str,
) -> Result<Option<Provider>, countersign_store::Error> {
    let listed = tx.providers(practice)?.into_iter().find(|(known, _)| known == issuer);
    Ok(listed.map(|(issuer, accepted)| Provider {
        issuer,
        accepted: accepted.split_whitespace().map(str::to_owned).collect(),
    }))
}
