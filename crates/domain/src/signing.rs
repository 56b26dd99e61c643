//! Who may sign a prescription: one judgment of all facts, which gives every reason at once.

mod hindrance;
#[cfg(test)]
mod tests;

pub use hindrance::SigningHindrance;

use crate::{InternalCode, Registered, Schedule, Standing, Timestamp, Token, UsState};

/// What of this installation decides over signing (21 CFR 1311.100(d)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, named where it is read"
)]
pub struct Installation {
    /// There is a way to the pharmacies.
    pub gateway: bool,
    /// A release manifest lists the build, or the operator lets it sign, or it is a demonstration.
    pub build: bool,
    /// A notice says that the build no longer meets the requirements (21 CFR 1311.102(g)-(i)).
    pub noncompliant: bool,
    /// The clock was compared with a trusted one and is right (21 CFR 1311.120(b)(8)).
    pub clock: bool,
}

impl Installation {
    /// Nothing of the installation is in the way.
    pub const CLEAR: Self = Self { gateway: true, build: true, noncompliant: false, clock: true };
}

/// The audit or certification report of the running build (21 CFR 1311.300).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFacts {
    /// None is entered, and none is needed.
    NotNeeded,
    /// The release manifest names one, and it is not entered.
    Missing,
    /// It is entered.
    Entered {
        /// It holds today where the practice is.
        holds: bool,
        /// Somebody has acknowledged it for the practice and this build.
        acknowledged: bool,
        /// The practitioner has said that they read it (21 CFR 1311.102(d)).
        reviewed: bool,
    },
}

/// The DEA number on a prescription, as it stands for its practitioner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFacts<'a> {
    /// None is chosen: that is said where it is chosen.
    None,
    /// It is neither the practitioner's nor the institution's.
    Unknown,
    /// It is one of theirs.
    Known {
        /// The registration, and the internal code where it is the institution's.
        registered: &'a Registered,
        /// The practitioner's licenses: state, and how each stands.
        licenses: &'a [(UsState, Standing)],
        /// The schedule of the drug; none where it is not known.
        schedule: Option<Schedule>,
        /// The internal code that stands on the prescription.
        code: Option<&'a InternalCode>,
        /// The permission to sign under it is given.
        permitted: bool,
    },
}

/// The token of which a passcode would sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenFacts {
    /// Its model may sign, here and at all (21 CFR 1311.115(b)).
    pub model: bool,
    /// It is activated (21 CFR 1311.105(c)).
    pub activated: bool,
    /// What access control says of it in the practice where it would sign has not ended. True where another
    /// practice gave it out: there the permission alone decides.
    pub permitted: bool,
}

impl TokenFacts {
    /// The facts of a token; `model` says whether its model may sign, `here` whether it is a token of the
    /// practice where it would sign.
    pub fn of(token: &Token, model: bool, here: bool, now: Timestamp) -> Self {
        let in_time = token.sign_until().is_some_and(|until| now < until);
        Self { model, activated: token.activated().is_some(), permitted: in_time || !here }
    }
}

/// All that decides whether somebody may sign a prescription now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningFacts<'a> {
    /// Of the installation.
    pub installation: Installation,
    /// Of the report on the build.
    pub report: ReportFacts,
    /// The practitioner's address is known: it stands on the prescription.
    pub address: bool,
    /// Of registrations, licenses, internal code and permission.
    pub number: NumberFacts<'a>,
    /// Of the token; none before one is chosen.
    pub token: Option<TokenFacts>,
}

impl SigningFacts<'_> {
    /// Nothing is in the way. For a judgment of some of the facts.
    pub const CLEAR: Self = Self {
        installation: Installation::CLEAR,
        report: ReportFacts::NotNeeded,
        address: true,
        number: NumberFacts::None,
        token: None,
    };
}

/// All that keeps somebody from signing, in the order of [`SigningFacts`]: first what concerns everybody, last
/// what concerns one token.
pub fn hindrances(facts: &SigningFacts<'_>) -> Vec<SigningHindrance> {
    use SigningHindrance as Why;
    let installation = &facts.installation;
    let mut found = Vec::new();
    let mut add = |hindered: bool, why| found.extend(hindered.then_some(why));
    add(!installation.gateway, Why::NoGateway);
    add(!installation.build, Why::Build);
    add(installation.noncompliant, Why::Noncompliant);
    add(!installation.clock, Why::Clock);
    match facts.report {
        ReportFacts::NotNeeded => {}
        ReportFacts::Missing => add(true, Why::NoReport),
        ReportFacts::Entered { holds, acknowledged, reviewed } => {
            add(!holds, Why::ReportExpired);
            add(!acknowledged, Why::ReportNotAcknowledged);
            add(!reviewed, Why::ReportNotReviewed);
        }
    }
    add(!facts.address, Why::NoAddress);
    match facts.number {
        NumberFacts::None => {}
        NumberFacts::Unknown => add(true, Why::NotPermitted),
        NumberFacts::Known { registered, licenses, schedule, code, permitted } => {
            let lacking = registered.lacking(licenses, schedule);
            let no_code = lacking.contains(&crate::NoAuthority::InternalCode);
            for why in lacking {
                add(true, why.into());
            }
            // A code that is gone is said once.
            add(!no_code && code != registered.code(), Why::InternalCodeChanged);
            add(!permitted, Why::NotPermitted);
        }
    }
    if let Some(token) = facts.token {
        add(!token.model, Why::TokenModel);
        add(!token.activated, Why::TokenNotActivated);
        add(!token.permitted, Why::TokenNotPermitted);
    }
    found
}
