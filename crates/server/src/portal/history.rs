//! What happened, in words for the person whom it concerns: what it came to, and who did it.

use countersign_domain::{DisableReason, EventKind, PersonId, access::Cause};
use countersign_store::AuditRow;

/// What happened. A refused attempt never reads like the act itself.
pub(super) fn what(event: &AuditRow) -> String {
    let reason = event.reason.as_deref().unwrap_or("");
    let mut text = if event.success { done(event) } else { refused(event.kind) };
    if let Some(purpose) = event.purpose.as_deref() {
        text.push_str(match purpose {
            "login" => " to sign in",
            "manage_tokens" => " to confirm a change",
            "sign" => " to sign",
            "approve" => " to approve",
            _ => "",
        });
    }
    let words = match event.kind {
        // Said by the text itself.
        EventKind::PermissionChanged => "",
        _ => DisableReason::from_code(reason).map_or(reason_words(reason), DisableReason::label),
    };
    if !words.is_empty() {
        text.push_str(": ");
        text.push_str(words);
    }
    text
}

/// What was done.
fn done(event: &AuditRow) -> String {
    let reason = event.reason.as_deref().unwrap_or("");
    let detail = event.detail.as_deref().unwrap_or("");
    match event.kind {
        EventKind::PermissionChanged => match (reason, Cause::from_code(reason)) {
            ("" | "granted", _) => "Permission to sign granted".to_owned(),
            ("report_mistaken", _) => {
                "Loss report was a mistake. Permission to sign remains suspended".to_owned()
            }
            (_, Some(cause)) => {
                format!("Permission to sign suspended: {}", lower(cause.label()))
            }
            (_, None) => "Permission to sign changed".to_owned(),
        },
        EventKind::AuthorityChanged if detail.contains("internal code") => {
            "Internal code changed".to_owned()
        }
        EventKind::NearMatchDecided if detail.is_empty() => {
            "Name or address mismatch accepted".to_owned()
        }
        EventKind::NearMatchDecided => {
            "Name or address mismatch: found to be a different person".to_owned()
        }
        // The answer of a provider may still be compared by a person.
        EventKind::IdentityProofed if !detail.is_empty() => {
            "Identity proofing provider responded".to_owned()
        }
        EventKind::IdentityProofed => "Identity proofed in person".to_owned(),
        EventKind::CaseClosed if detail.ends_with("complete") => {
            "Identity proofing completed".to_owned()
        }
        EventKind::RoleChanged if reason == "given" => "Role assigned".to_owned(),
        EventKind::RoleChanged if reason == "taken" => "Role removed".to_owned(),
        EventKind::PassphraseTried => "Passphrase accepted".to_owned(),
        EventKind::PasscodeTried => "Passcode accepted".to_owned(),
        kind => kind.label().to_owned(),
    }
}

/// What was tried and refused, or failed.
fn refused(kind: EventKind) -> String {
    match kind {
        EventKind::PassphraseTried => "Passphrase to sign in",
        EventKind::PassphraseChanged => "Passphrase change",
        EventKind::PasscodeTried => "Passcode",
        EventKind::TokenResynced => "Resync",
        EventKind::TokenTested => "Test",
        EventKind::TokenProvisioned => "Setup on a device",
        EventKind::TokenAdded => "Adding a token",
        EventKind::TokenDisabled => "Disabling a token",
        EventKind::TokenEnabled => "Enabling a token",
        EventKind::TokenRenamed => "Renaming a token",
        EventKind::SeedHandedOver => "Exporting a secret to another app",
        EventKind::EhrLaunched => "Opening from the EHR",
        EventKind::PassphraseChosen => "Choosing a new passphrase",
        EventKind::IdentityProofed => "Identity proofing",
        EventKind::NearMatchDecided => "Decision on a name or address mismatch",
        EventKind::IssueAuthorized => "Authorizing a token",
        EventKind::CodeSent => "Sending a code",
        EventKind::AddressConfirmed => "Confirming an address",
        EventKind::TokenActivated => "Activation for signing",
        EventKind::RequestEntered => "Requesting a change",
        EventKind::RequestExecuted => "Approving a change",
        EventKind::RequestRejected => "Rejecting a change",
        EventKind::RoleChanged => "Role change",
        EventKind::AuthorityChanged => "Registration or license change",
        EventKind::ProfileSaved => "Personal information change",
        EventKind::InvitationAccepted => "Accepting an invitation",
        EventKind::PrescriptionWritten => "Writing a prescription",
        EventKind::PrescriptionReady => "Marking a prescription ready",
        EventKind::PrescriptionSigned => "Signing a prescription",
        EventKind::PrescriptionCancelled => "Canceling a prescription",
        EventKind::PrescriptionSent => "Sending a prescription to its pharmacy",
        EventKind::PrescriptionSentAgain => "Sending a prescription again",
        EventKind::PrescriptionPrinted => "Printing a prescription",
        EventKind::HoldLifted => "Lifting a hold",
        EventKind::ReportAcknowledged => "Acknowledging the certification report",
        EventKind::ReportReviewed => "Confirming that the certification report was read",
        other => return format!("Not done: {}", lower(other.label())),
    }
    .to_owned()
}

/// The word before an attempt that came to nothing.
pub(super) const fn outcome(event: &AuditRow) -> Option<&'static str> {
    match (event.success, event.kind) {
        (true, _) => None,
        (false, EventKind::PrescriptionSent | EventKind::NoticeGivenUp) => Some("Failed"),
        (false, _) => Some("Refused"),
    }
}

/// Who did it, as the person whom it concerns is told.
pub(super) fn by(event: &AuditRow, me: PersonId) -> String {
    let name = |otherwise: &str| event.actor_name.clone().unwrap_or_else(|| otherwise.to_owned());
    let logs_in =
        event.kind == EventKind::PasscodeTried && event.purpose.as_deref() == Some("login");
    if logs_in && !event.success {
        // The passphrase was right; who typed it is not known without the second factor.
        return "someone who entered your passphrase".to_owned();
    }
    match event.actor.as_str() {
        "person" | "prescriber" if event.actor_id.as_ref() == Some(me.as_bytes()) => {
            "you".to_owned()
        }
        "person" | "prescriber" => name("another person"),
        "staff" => name("a staff member"),
        "operator" => "the system operator".to_owned(),
        "api_key" => "a connected system".to_owned(),
        "ehr" => "the EHR".to_owned(),
        "system" => "the server".to_owned(),
        _ => "someone not signed in".to_owned(),
    }
}

/// With a small first letter, unless the word is written in capitals.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(next)) if first.is_uppercase() && !next.is_uppercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

fn reason_words(code: &str) -> &'static str {
    match code {
        "passcode_wrong" => "incorrect passcode",
        "passphrase_wrong" => "incorrect passphrase",
        "passphrase_same" => "the same as before",
        "passcode_used" => "passcode already used",
        "passcode_behind" => "older than a passcode already used",
        "passcode_late" => "passcode too old",
        "passcode_of_other_token" => "passcode from another token",
        "passcodes_not_consecutive" => "not two consecutive passcodes",
        "token_blocked" | "all_tokens_blocked" | "passcodes_blocked" | "sign_in_paused" => "paused",
        "expired" => "expired",
        "token_exhausted" => "too many incorrect passcodes",
        "token_not_active" => "token not active",
        "sign_in_refused" => "did not match",
        "step_up_needed" => "not confirmed",
        "last_token" => "last active token",
        "credential_unknown" => "unknown ID",
        "credential_bound_to_another" => "token of another account",
        "credential_already_yours" => "already in your list",
        "token_limit" => "limit reached",
        "choose_token" => "no token chosen",
        "no_usable_token" => "no usable token",
        "too_many_tests" => "too many tests",
        "same_browser" => "in the same browser",
        "self_vouching" => "confirmed by the new token",
        "token_type_mismatch" => "type does not match the ID",
        "model_not_allowed" => "model not allowed for signing",
        "secret_shown_before" => "already shown",
        "too_many_waiting" => "too many pending",
        "confirm_with_old" => "not confirmed by the old token",
        "not_reversible" => "permanently disabled",
        "no_change" => "nothing to change",
        "not_activated" => "token not activated for signing",
        "not_permitted" | "prescription_not_permitted" => "no permission to sign",
        "account_closed" => "account closed",
        "code_wrong" => "incorrect code",
        "code_tries" => "too many incorrect codes",
        "code_run_out" => "code expired",
        "code_not_sent" => "no code was sent",
        "code_too_soon" => "a code was just sent",
        "no_channel" => "no confirmed phone or address",
        "rejected" => "rejected by the pharmacy",
        "not_reached" => "pharmacy not reached",
        "not_sent_within_a_minute" => "not sent within a minute",
        "proofing_declined" => "canceled at the provider",
        "provider_not_reached" => "provider not reached",
        "proofing_weak" => "identity assurance too low",
        "proofing_other_person" => "another person",
        "own_case" => "own identity proofing",
        "same_hand" => "both steps by the same person",
        "own_records" => "own records",
        "own_permission" => "own permission",
        "same_person" => "requested by the same person",
        "not_designated" => "not an access control designee",
        "not_registrant" => "no DEA registration in force",
        "request_changed" | "prescription_changed" => "changed in the meantime",
        "request_not_open" => "already decided",
        "prescription_not_ready" => "not marked ready to sign",
        "prescription_lacking" => "incomplete",
        "prescription_of_another" => "belongs to another prescriber",
        "signing_timed_out" => "more than 2 minutes after it was shown",
        "registration_not_in_force" => "registration or license not in force",
        "schedule_not_registered" => "schedule not covered by the registration",
        "no_gateway" => "no pharmacy connection",
        "build_not_listed" => "this build is not certified",
        "build_noncompliant" => "this version no longer meets the requirements",
        "report_missing" => "no certification report on file",
        "report_expired" => "certification report expired",
        "report_not_acknowledged" => "certification report not acknowledged by the practice",
        "report_not_reviewed" => "certification report not read",
        "clock_not_checked" => "clock not verified or wrong",
        "no_address" => "no address on file",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use countersign_domain::Timestamp;

    fn row(kind: EventKind, success: bool) -> AuditRow {
        AuditRow {
            at: Timestamp::from_seconds(1),
            kind,
            success,
            actor: "person".to_owned(),
            actor_id: None,
            actor_name: None,
            token: None,
            purpose: None,
            reason: None,
            detail: None,
            support: String::new(),
        }
    }

    #[test]
    fn no_refused_attempt_reads_like_the_act() {
        let acts: Vec<String> = EventKind::ALL.iter().map(|kind| what(&row(*kind, true))).collect();
        for (kind, act) in EventKind::ALL.iter().zip(&acts) {
            let attempt = what(&row(*kind, false));
            assert!(!act.is_empty() && !attempt.is_empty(), "{kind:?}");
            // What is a noun in both: the word "Refused" before it tells them apart.
            let noun = matches!(kind, EventKind::TokenResynced | EventKind::TokenTested);
            assert!(noun || !acts.contains(&attempt), "{kind:?}: {attempt}");
            assert!(outcome(&row(*kind, false)).is_some() && outcome(&row(*kind, true)).is_none());
        }
        let wrong = AuditRow {
            reason: Some("code_wrong".to_owned()),
            ..row(EventKind::TokenActivated, false)
        };
        assert_eq!(what(&wrong), "Activation for signing: incorrect code");
        let sent = AuditRow {
            reason: Some("rejected".to_owned()),
            ..row(EventKind::PrescriptionSent, false)
        };
        assert_eq!(outcome(&sent), Some("Failed"));
        assert_eq!(what(&sent), "Sending a prescription to its pharmacy: rejected by the pharmacy");
    }

    #[test]
    fn a_suspension_does_not_read_like_a_grant() {
        let mut texts = Vec::new();
        for reason in Cause::ALL.iter().map(|cause| cause.code()).chain(["granted"]) {
            let changed = AuditRow {
                reason: Some(reason.to_owned()),
                ..row(EventKind::PermissionChanged, true)
            };
            texts.push(what(&changed));
            assert_eq!(
                texts.last().unwrap().contains("suspended"),
                reason != "granted",
                "{texts:?}"
            );
        }
        assert_eq!(texts.last().unwrap(), "Permission to sign granted");
        let mistaken = AuditRow {
            reason: Some("report_mistaken".to_owned()),
            ..row(EventKind::PermissionChanged, true)
        };
        assert!(what(&mistaken).contains("remains suspended"), "{}", what(&mistaken));
        texts.dedup();
        assert_eq!(texts.len(), Cause::ALL.len() + 1);
    }

    #[test]
    fn what_others_did_is_not_said_to_be_done_by_you() {
        let now = Timestamp::from_seconds(1);
        let me = PersonId::new(now, &mut SystemRng).unwrap();
        let other = PersonId::new(now, &mut SystemRng).unwrap();
        let of = |actor: &str, id: Option<PersonId>, name: Option<&str>| AuditRow {
            actor: actor.to_owned(),
            actor_id: id.map(|id| *id.as_bytes()),
            actor_name: name.map(str::to_owned),
            ..row(EventKind::NearMatchDecided, true)
        };
        for (event, who) in [
            (of("person", Some(me), Some("Dr. Ada Moreno")), "you"),
            (of("prescriber", Some(me), None), "you"),
            (of("person", Some(other), Some("Sam Whitfield")), "Sam Whitfield"),
            (of("person", Some(other), None), "another person"),
            (of("person", None, None), "another person"),
            (of("staff", Some(other), Some("Jamie Lee")), "Jamie Lee"),
            (of("staff", Some(other), None), "a staff member"),
            (of("operator", None, None), "the system operator"),
            (of("api_key", Some(other), None), "a connected system"),
            (of("ehr", Some(other), None), "the EHR"),
            (of("system", None, None), "the server"),
            (of("unknown", None, None), "someone not signed in"),
        ] {
            assert_eq!(by(&event, me), who, "{event:?}");
        }
    }
}
