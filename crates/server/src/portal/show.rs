//! Domain values as display data.

use countersign_app::Overview;
use countersign_domain::{
    Blocked, Date, DeviceClass, DisableReason, EventKind, FORMATS, Manufacturer, ModelCode, Policy,
    Refusal, SameBrowser, Timestamp, Token, TokenKind, TokenModel, TokenState,
};
use countersign_store::AuditRow;

use super::history;
use crate::views::{
    Choice, EventRow, IdFormat, Lock, LockSubject, MaskedId, ModelFacts, Notice, NoticeKind,
    PrefixRule, Reason, TokenChoice, TokenField, TokenLabel, TokenRow, TokenStatus, When, span,
};

/// How long the pages speak of a suspicion: long enough for somebody who prescribes once a month.
const TWIN_SECONDS: i64 = 40 * 86_400;

/// A date that a form or a record writes as `2026-11-27`, as a page shows it: `Nov 27, 2026`.
pub(super) fn date(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), Date::text)
}

pub(super) const fn when(at: Timestamp) -> When {
    When(at)
}

pub(super) fn label(token: &Token) -> TokenLabel {
    let id = token.credential().as_str();
    let (head, rest) = id.split_at_checked(4).unwrap_or((id, ""));
    let tail = rest.get(rest.len().saturating_sub(4)..).unwrap_or("");
    TokenLabel { name: token.name().as_str().to_owned(), credential: MaskedId::new(head, tail) }
}

fn blocked_until(token: &Token, now: Timestamp) -> Option<Timestamp> {
    token.failures().blocked_until.filter(|until| now < *until)
}

/// Why a token that logs in does not sign; nothing where it may.
pub(super) fn log_in_only(token: &Token, overview: &Overview) -> Option<&'static str> {
    if !prescribes(overview) {
        // Nobody expects a token of theirs to sign.
        None
    } else if !model(&overview.models, token).allowed {
        Some("sign-in only: model not allowed for signing")
    } else if overview.refused_models.contains(token.model()) {
        Some("sign-in only: your practice does not allow its model for signing")
    } else if token.activated().is_none() {
        Some(NOT_ACTIVATED)
    } else {
        None
    }
}

const NOT_ACTIVATED: &str = "sign-in only: not activated for signing";

/// Whether an activation is all that keeps an active token from signing.
pub(super) fn waits_for_activation(token: &Token, overview: &Overview) -> bool {
    token.is_active() && log_in_only(token, overview) == Some(NOT_ACTIVATED)
}

pub(super) fn row(token: &Token, overview: &Overview, now: Timestamp) -> TokenRow {
    let blocked = blocked_until(token, now);
    let (status, detail, disabled) = match token.state() {
        TokenState::Active { .. } | TokenState::Unassociated { .. } => {
            if let Some(until) = blocked {
                let left = u64::try_from(now.seconds_until(until)).unwrap_or(0);
                (TokenStatus::Locked, Some(format!("{} left", span(left))), None)
            } else {
                let only = log_in_only(token, overview).filter(|_| token.is_active());
                (TokenStatus::Active, only.map(str::to_owned), None)
            }
        }
        TokenState::Disabled { reason, since } => {
            let status =
                if reason.is_reversible() { TokenStatus::Disabled } else { TokenStatus::Ended };
            (status, Some(reason.label().to_owned()), Some(when(since)))
        }
    };
    TokenRow {
        id: token.id().to_string(),
        label: label(token),
        manufacturer: token.credential().manufacturer().label().to_owned(),
        kind: token.credential().kind().label().to_owned(),
        status,
        status_detail: detail,
        added: when(token.added().unwrap_or(token.created())),
        last_used: token.last_used().map(when),
        disabled,
        to_activate: token.is_active() && token.activated().is_none(),
    }
}

/// A drop-down of the tokens that may sign.
pub(super) fn signing_choices(overview: &Overview, value: &str, now: Timestamp) -> TokenField {
    let signs = |token: &&Token| log_in_only(token, overview).is_none();
    let signing: Vec<Token> = overview.tokens.iter().filter(signs).cloned().collect();
    choices(&signing, value, now)
}

/// A drop-down of the active tokens.
pub(super) fn choices(tokens: &[Token], value: &str, now: Timestamp) -> TokenField {
    let active: Vec<&Token> = tokens.iter().filter(|token| token.is_active()).collect();
    TokenField {
        fixed: None,
        options: active.iter().map(|token| choice(token, now)).collect(),
        any: true,
        value: value.to_owned(),
        error: None,
    }
}

pub(super) fn choice(token: &Token, now: Timestamp) -> TokenChoice {
    TokenChoice {
        id: token.id().to_string(),
        label: label(token),
        note: blocked_until(token, now).map(|_| "locked".to_owned()),
    }
}

pub(super) fn lock(
    refusal: &Refusal,
    tokens: &[Token],
    chosen: &str,
    now: Timestamp,
) -> Option<Lock> {
    let Blocked { until, .. } = refusal.blocked()?;
    let subject = match refusal {
        Refusal::TokenBlocked(_) => {
            let name = tokens.iter().find(|token| token.id().to_string() == chosen);
            let others = tokens.iter().any(|token| {
                token.is_active()
                    && token.id().to_string() != chosen
                    && blocked_until(token, now).is_none()
            });
            LockSubject::Token {
                name: name.map_or_else(String::new, |token| token.name().as_str().to_owned()),
                others_usable: others,
            }
        }
        Refusal::AllTokensBlocked(_) => LockSubject::AllTokens,
        _ => LockSubject::Account,
    };
    let seconds = u64::try_from(now.seconds_until(until)).unwrap_or(0);
    Some(Lock { subject, until, seconds })
}

pub(super) fn events(overview: &Overview, only: Option<&Token>, most: usize) -> Vec<EventRow> {
    overview
        .events
        .iter()
        .filter(|event| only.is_none_or(|token| event.token == Some(token.id())))
        .take(most)
        .map(|event| event_row(event, overview, only.is_none()))
        .collect()
}

/// Who added a token, as its event among the token's own says.
pub(super) fn added_by(overview: &Overview, token: &Token) -> String {
    let added = overview.events.iter().find(|event| {
        event.success && event.token == Some(token.id()) && event.kind == EventKind::TokenAdded
    });
    added.map_or_else(|| "unknown".to_owned(), |event| history::by(event, overview.prescriber.id))
}

/// What a token lives on, as far as it is known.
pub(super) fn device(token: &Token) -> String {
    let device = token.device();
    match device.class {
        DeviceClass::Unknown => device.class.label().to_owned(),
        class => format!("{}, {}", class.label(), device.evidence.label()),
    }
}

/// The active tokens of which two devices were suspected lately.
pub(super) fn twins(overview: &Overview, now: Timestamp) -> Vec<TokenChoice> {
    let since = now.plus_seconds(-TWIN_SECONDS);
    let suspected = |token: &Token| {
        overview.events.iter().any(|event| {
            event.kind == EventKind::TwinSuspected
                && event.token == Some(token.id())
                && event.at > since
        })
    };
    let tokens = overview.tokens.iter().filter(|token| token.is_active() && suspected(token));
    tokens.map(|token| choice(token, now)).collect()
}

fn event_row(event: &AuditRow, overview: &Overview, name_token: bool) -> EventRow {
    let token = event
        .token
        .filter(|_| name_token)
        .and_then(|id| overview.tokens.iter().find(|token| token.id() == id))
        .map(|token| token.name().as_str().to_owned());
    EventRow {
        when: when(event.at),
        what: history::what(event),
        token,
        by: Some(history::by(event, overview.prescriber.id)),
        outcome: history::outcome(event),
    }
}

/// What to say to a person whose active token is in the browser that asks.
pub(super) fn same_browser(
    tokens: &[Token],
    mark: Option<&[u8; 32]>,
    policy: &Policy,
) -> Option<Notice> {
    let token = tokens.iter().find(|token| token.is_active() && token.is_in_browser(mark))?;
    let name = token.name().as_str();
    Some(match policy.same_browser {
        SameBrowser::Deny => Notice::new(
            NoticeKind::Info,
            format!(
                "Your token \u{201c}{name}\u{201d} is in this browser, so you can't use it here. Use a token on another device."
            ),
        ),
        SameBrowser::Warn => Notice::new(
            NoticeKind::Warning,
            format!(
                "Your token \u{201c}{name}\u{201d} is in the browser you are using. Use a token on another device. This was recorded."
            ),
        ),
    })
}

/// What is said of a token that was disabled for a while or for good.
pub(super) const DISABLED: &str = "Token disabled. Its passcodes no longer work.";

/// Whether somebody prescribes: a loss of theirs suspends their permission to sign.
pub(super) fn prescribes(overview: &Overview) -> bool {
    overview.prescriber.sign_in.npi().is_some()
}

/// What is said of a token that was lost, stolen or compromised (21 CFR 1311.125(d)): all signing has stopped.
pub(super) fn lost_text(overview: &Overview) -> String {
    if prescribes(overview) {
        format!(
            "{DISABLED} Your permission to sign is suspended for all your tokens until two people at your practice approve it again."
        )
    } else {
        DISABLED.to_owned()
    }
}

pub(super) fn reasons(only_loss: bool, overview: &Overview) -> Vec<Reason> {
    let stops = if prescribes(overview) {
        " Your permission to sign is suspended for all your tokens until two people at your practice approve it again."
    } else {
        ""
    };

    DisableReason::CHOICES
        .into_iter()
        .filter(|reason| !only_loss || reason.is_loss())
        .map(|reason| Reason {
            value: reason.code().to_owned(),
            label: reason.label().to_owned(),
            help: Some(match reason {
                DisableReason::TemporarilyUnavailable => {
                    "Left at home, or being repaired.".to_owned()
                }
                DisableReason::Lost => format!("You don't know where it is.{stops}"),
                DisableReason::Stolen => format!("Someone took it.{stops}"),
                DisableReason::Compromised => {
                    format!("Someone else may have seen its passcodes or used it.{stops}")
                }
                DisableReason::Damaged => "It is broken or shows no passcodes.".to_owned(),
                _ => "You use another token instead.".to_owned(),
            }),
            reversible: reason.is_reversible(),
        })
        .collect()
}

pub(super) fn formats(on: &[Manufacturer]) -> Vec<IdFormat> {
    on.iter()
        .map(|maker| IdFormat {
            manufacturer: maker.label().to_owned(),
            text: maker.format_hint().to_owned(),
        })
        .collect()
}

pub(super) fn prefixes(on: &[Manufacturer]) -> Vec<PrefixRule> {
    FORMATS
        .iter()
        .filter(|format| !format.prefix.is_empty() && on.contains(&format.manufacturer))
        .map(|format| PrefixRule {
            prefix: format.prefix.to_owned(),
            manufacturer: format.manufacturer.code().to_owned(),
            token_type: format.kind.code().to_owned(),
        })
        .collect()
}

pub(super) fn makers(on: &[Manufacturer]) -> Vec<Choice> {
    on.iter().map(|maker| Choice::new(maker.code(), maker.label())).collect()
}

/// The makers of whose models at least one is allowed.
pub(super) fn offered(on: &[Manufacturer], models: &[TokenModel]) -> Vec<Manufacturer> {
    let allowed = |maker: &&Manufacturer| {
        models.iter().any(|model| model.allowed && model.manufacturer() == Some(**maker))
    };
    on.iter().filter(allowed).copied().collect()
}

/// What the operator notes about the models that can be added, or that none can.
pub(super) fn models_note(offered: &[Manufacturer], models: &[TokenModel]) -> Option<String> {
    if offered.is_empty() {
        return Some(
            "No token model is allowed for signing here yet. Contact your practice's support."
                .to_owned(),
        );
    }
    let demo = models.iter().any(|model| model.allowed && model.note == "demo policy");
    demo.then(|| "Allowed models: demo policy.".to_owned())
}

/// A token's model, as the operator has judged it.
pub(super) fn model(models: &[TokenModel], token: &Token) -> ModelFacts {
    let Some(model) = models.iter().find(|model| model.code == *token.model()) else {
        let name = match token.model().as_str() {
            ModelCode::UNKNOWN => "Unknown".to_owned(),
            code => code.to_owned(),
        };
        return ModelFacts { name, fips: "none".to_owned(), allowed: false, note: String::new() };
    };
    ModelFacts {
        name: format!("{} {}", model.maker, model.name),
        fips: model.fips.to_string(),
        allowed: model.allowed,
        note: model.note.clone(),
    }
}

pub(super) fn kinds() -> Vec<Choice> {
    [TokenKind::OtpSoft, TokenKind::OtpHard]
        .into_iter()
        .map(|kind| Choice::new(kind.code(), kind.label()))
        .collect()
}

/// A time set by the policy, in words for a sentence.
pub(super) fn minutes(seconds: i64) -> String {
    match (seconds / 60, seconds % 60) {
        (1, 0) => "1 minute".to_owned(),
        (minutes, 0) => format!("{minutes} minutes"),
        _ => format!("{seconds} seconds"),
    }
}

/// How far a token's clock is off, in words.
pub(super) fn clock(token: &Token) -> Option<String> {
    let seconds = token.drift().current() * i64::from(token.params().period());
    match seconds {
        0 => None,
        1.. => Some(format!("About {seconds} seconds fast (corrected).")),
        _ => Some(format!("About {} seconds slow (corrected).", -seconds)),
    }
}
