//! The texts of notices, from the files in `templates/notices`.

use std::fmt;

use askama::Template;
use countersign_app::{Note, NoticeFacts};

macro_rules! texts {
    ($($Kind:ident in $path:literal;)+) => {
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
        pub fn notice_text(note: Note, facts: &NoticeFacts<'_>) -> Result<String, fmt::Error> {
            let NoticeFacts { practice, detail, link, not_me, demonstration } = *facts;
            match note {
                $(Note::$Kind => text::$Kind { practice, detail, link, not_me, demonstration }.render().map_err(|_| fmt::Error),)+
            }
        }
    };
}

texts! {
    TokenAdded in "notices/token_added.txt";
    TokenDisabled in "notices/token_disabled.txt";
    TokenEnabled in "notices/token_enabled.txt";
    TokenActivated in "notices/token_activated.txt";
    PassphraseChanged in "notices/passphrase_changed.txt";
    LossReported in "notices/loss_reported.txt";
    LossForDesignated in "notices/loss_for_designated.txt";
    RequestWaiting in "notices/request_waiting.txt";
    PermissionGranted in "notices/permission_granted.txt";
    PermissionRevoked in "notices/permission_revoked.txt";
    PaperChanged in "notices/paper_changed.txt";
    ZoneChanged in "notices/zone_changed.txt";
    ExpiresSoon in "notices/expires_soon.txt";
    Expired in "notices/expired.txt";
    Invitation in "notices/invitation.txt";
    ProveAgain in "notices/prove_again.txt";
    ProveAgainTold in "notices/prove_again_told.txt";
    CaseOpened in "notices/case_opened.txt";
    RecoveryBegun in "notices/recovery_begun.txt";
    CaseComplete in "notices/case_complete.txt";
    AddressesChanged in "notices/addresses_changed.txt";
    TriesFailed in "notices/tries_failed.txt";
    Reminder in "notices/reminder.txt";
    RxSlow in "notices/prescription_slow.txt";
    RxFailed in "notices/prescription_failed.txt";
    RxDisowned in "notices/prescription_disowned.txt";
    MonthlyLog in "notices/monthly_log.txt";
    LogUnseen in "notices/log_unseen.txt";
    HoldChanged in "notices/hold_changed.txt";
    RecordsRemoved in "notices/records_removed.txt";
    ReportEntered in "notices/report_entered.txt";
    SigningStopped in "notices/signing_stopped.txt";
    SigningResumed in "notices/signing_resumed.txt";
    CodeText in "notices/code_text.txt";
    CodeLetter in "notices/code_letter.txt";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notice_renders_and_ends_with_who_sends_it() {
        for note in Note::ALL {
            let facts = NoticeFacts {
                practice: "Lakeside",
                detail: "x",
                link: "us/x",
                not_me: Some("us/n"),
                demonstration: true,
            };
            let text = notice_text(*note, &facts).unwrap();
            assert!(text.contains("us/n") && text.contains("demonstration"), "{note:?}");
            assert!(text.contains("Lakeside, via Countersign"), "{note:?}");
            assert!(!note.subject().contains('\n') && !note.code().is_empty());
            let plain = NoticeFacts { link: "y", not_me: None, demonstration: false, ..facts };
            let plain = notice_text(*note, &plain).unwrap();
            assert!(!plain.contains("not you") && !plain.contains("{{"), "{note:?}: {plain}");
        }
    }
}
