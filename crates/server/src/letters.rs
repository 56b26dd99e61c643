//! The texts of notices, from the files in `templates/notices`.

use std::fmt;

use askama::Template;

macro_rules! notices {
    ($($(#[doc = $doc:literal])+ $Kind:ident: $word:literal in $path:literal = $subject:literal;)+) => {
        /// What a message tells.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Note {
            $($(#[doc = $doc])+ $Kind,)+
        }

        impl Note {
            const ALL: &'static [Self] = &[$(Self::$Kind,)+];

            /// Stable word.
            pub(crate) const fn code(self) -> &'static str {
                match self {
                    $(Self::$Kind => $word,)+
                }
            }

            /// The subject of an e-mail.
            pub(crate) const fn subject(self) -> &'static str {
                match self {
                    $(Self::$Kind => $subject,)+
                }
            }
        }

        mod text {
            $(
                #[derive(askama::Template)]
                #[template(path = $path, escape = "none")]
                #[allow(dead_code, reason = "not every template shows everything")]
                pub(super) struct $Kind<'a> {
                    pub(super) practice: &'a str,
                    pub(super) detail: &'a str,
                    pub(super) link: &'a str,
                    pub(super) not_me: Option<&'a str>,
                    pub(super) demonstration: bool,
                }
            )+
        }

        /// The text of a notice.
        pub(crate) fn render(
            note: Note,
            practice: &str,
            detail: &str,
            link: &str,
            not_me: Option<&str>,
            demonstration: bool,
        ) -> Result<String, fmt::Error> {
            match note {
                $(Note::$Kind => text::$Kind { practice, detail, link, not_me, demonstration }.render().map_err(|_| fmt::Error),)+
            }
        }
    };
}

notices! {
    /// A token was added.
    TokenAdded: "token_added" in "notices/token_added.txt" = "A token was added";
    /// A token was disabled.
    TokenDisabled: "token_disabled" in "notices/token_disabled.txt" = "A token was disabled";
    /// A token was enabled.
    TokenEnabled: "token_enabled" in "notices/token_enabled.txt" = "A token was enabled";
    /// A token was activated for signing.
    TokenActivated: "token_activated" in "notices/token_activated.txt" = "A token was activated for signing";
    /// Your passphrase was changed.
    PassphraseChanged: "passphrase_changed" in "notices/passphrase_changed.txt" = "Your passphrase was changed";
    /// A loss was reported.
    LossReported: "loss_reported" in "notices/loss_reported.txt" = "A loss was reported";
    /// A loss at the practice.
    LossForDesignated: "loss_for_designated" in "notices/loss_for_designated.txt" = "A loss at {{ practice }}";
    /// A change waits for a second person.
    RequestWaiting: "request_waiting" in "notices/request_waiting.txt" = "A change waits for a second person";
    /// You may sign.
    PermissionGranted: "permission_granted" in "notices/permission_granted.txt" = "You may sign";
    /// Your permission to sign was taken away.
    PermissionRevoked: "permission_revoked" in "notices/permission_revoked.txt" = "Your permission to sign was taken away";
    /// A registration or licence was changed.
    PaperChanged: "paper_changed" in "notices/paper_changed.txt" = "A registration or licence was changed";
    /// The time zone of the practice was changed.
    ZoneChanged: "zone_changed" in "notices/zone_changed.txt" = "The time zone of {{ practice }} was changed";
    /// A registration ends soon.
    ExpiresSoon: "expires_soon" in "notices/expires_soon.txt" = "A registration ends soon";
    /// A registration has ended.
    Expired: "expired" in "notices/expired.txt" = "A registration has ended";
    /// An invitation.
    Invitation: "invitation" in "notices/invitation.txt" = "{{ practice }} invites you";
    /// Prove your identity again.
    ProveAgain: "prove_again" in "notices/prove_again.txt" = "Prove your identity again";
    /// A link to prove your identity went out.
    ProveAgainTold: "prove_again_told" in "notices/prove_again_told.txt" = "A link to prove your identity was sent";
    /// A proofing waits.
    CaseOpened: "case_opened" in "notices/case_opened.txt" = "An identity proofing waits";
    /// Somebody recovers your account.
    RecoveryBegun: "recovery_begun" in "notices/recovery_begun.txt" = "A new token is asked for on your account";
    /// Your proofing is complete.
    CaseComplete: "case_complete" in "notices/case_complete.txt" = "Your identity proofing is complete";
    /// Your addresses were changed.
    AddressesChanged: "addresses_changed" in "notices/addresses_changed.txt" = "Your addresses were changed";
    /// Wrong tries paused a token.
    TriesFailed: "tries_failed" in "notices/tries_failed.txt" = "Several wrong codes on your account";
    /// Something is due soon.
    Reminder: "reminder" in "notices/reminder.txt" = "Something is due soon";
    /// A prescription is not sent yet.
    RxSlow: "prescription_slow" in "notices/prescription_slow.txt" = "A prescription is not sent yet";
    /// A prescription was not sent.
    RxFailed: "prescription_failed" in "notices/prescription_failed.txt" = "A prescription was not sent";
    /// A signed prescription is disowned.
    RxDisowned: "prescription_disowned" in "notices/prescription_disowned.txt" = "A signed prescription is said not to be the practitioner's";
    /// The log of a month is there.
    MonthlyLog: "monthly_log" in "notices/monthly_log.txt" = "Your log of signed prescriptions";
    /// A log was not looked at.
    LogUnseen: "log_unseen" in "notices/log_unseen.txt" = "A monthly log was not looked at";
    /// Records are held, or no longer.
    HoldChanged: "hold_changed" in "notices/hold_changed.txt" = "A legal hold at {{ practice }}";
    /// Records were removed after their time.
    RecordsRemoved: "records_removed" in "notices/records_removed.txt" = "Signed records of {{ practice }} were removed";
    /// A report is to be acknowledged.
    ReportEntered: "report_entered" in "notices/report_entered.txt" = "Acknowledge the certification report";
    /// Signing has stopped.
    SigningStopped: "signing_stopped" in "notices/signing_stopped.txt" = "Stop signing: the program no longer meets the requirements";
    /// Signing goes on.
    SigningResumed: "signing_resumed" in "notices/signing_resumed.txt" = "The program meets the requirements again";
    /// Your code.
    CodeText: "code_text" in "notices/code_text.txt" = "Your code";
    /// Your code.
    CodeLetter: "code_letter" in "notices/code_letter.txt" = "Your code";
}

/// The subject of a kind of notice, for a list of them.
pub(crate) fn subject_of(code: &str) -> String {
    let note = Note::ALL.iter().find(|note| note.code() == code);
    note.map_or(code, |note| note.subject()).replace("{{ practice }}", "the practice")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notice_renders_and_ends_with_who_sends_it() {
        for note in Note::ALL {
            let text = render(*note, "Lakeside", "x", "us/x", Some("us/n"), true).unwrap();
            assert!(text.contains("us/n") && text.contains("demonstration"), "{note:?}");
            assert!(text.contains("Lakeside, by Countersign"), "{note:?}");
            assert!(!note.subject().contains('\n') && !note.code().is_empty());
            let plain = render(*note, "Lakeside", "x", "y", None, false).unwrap();
            assert!(!plain.contains("not me:") && !plain.contains("{{"), "{note:?}: {plain}");
        }
    }
}
