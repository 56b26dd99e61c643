//! The kinds of notices: a word for the row, a subject for the e-mail. Their texts are handed in
//! ([`NoticeText`]).

use std::fmt;

macro_rules! notices {
    ($($(#[doc = $doc:literal])+ $Kind:ident: $word:literal = $subject:literal;)+) => {
        /// What a message tells.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Note {
            $($(#[doc = $doc])+ $Kind,)+
        }

        impl Note {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$Kind,)+];

            /// Stable word.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$Kind => $word,)+
                }
            }

            /// The subject of an e-mail.
            pub const fn subject(self) -> &'static str {
                match self {
                    $(Self::$Kind => $subject,)+
                }
            }
        }
    };
}

notices! {
    /// A token was added.
    TokenAdded: "token_added" = "A token was added";
    /// A token was disabled.
    TokenDisabled: "token_disabled" = "A token was disabled";
    /// A token was enabled.
    TokenEnabled: "token_enabled" = "A token was enabled";
    /// A token was activated for signing.
    TokenActivated: "token_activated" = "A token was activated for signing";
    /// Your passphrase was changed.
    PassphraseChanged: "passphrase_changed" = "Your passphrase was changed";
    /// A loss was reported.
    LossReported: "loss_reported" = "A token was reported lost, stolen or compromised";
    /// A loss at the practice.
    LossForDesignated: "loss_for_designated" = "Token loss reported at {{ practice }}";
    /// A change waits for a second person.
    RequestWaiting: "request_waiting" = "A change is waiting for approval";
    /// You may sign.
    PermissionGranted: "permission_granted" = "Permission to sign granted";
    /// Your permission to sign was taken away.
    PermissionRevoked: "permission_revoked" = "Your permission to sign was revoked";
    /// A registration or licence was changed.
    PaperChanged: "paper_changed" = "A registration or license was changed";
    /// The time zone of the practice was changed.
    ZoneChanged: "zone_changed" = "The time zone of {{ practice }} was changed";
    /// A registration ends soon.
    ExpiresSoon: "expires_soon" = "A registration or license expires soon";
    /// A registration has ended.
    Expired: "expired" = "A registration or license has expired";
    /// An invitation.
    Invitation: "invitation" = "{{ practice }} invites you";
    /// Prove your identity again.
    ProveAgain: "prove_again" = "Verify your identity again";
    /// A link to prove your identity went out.
    ProveAgainTold: "prove_again_told" = "A link to verify your identity was sent";
    /// A proofing waits.
    CaseOpened: "case_opened" = "Identity proofing is waiting for you";
    /// Somebody recovers your account.
    RecoveryBegun: "recovery_begun" = "A new token was requested for your account";
    /// Your proofing is complete.
    CaseComplete: "case_complete" = "Your identity proofing is complete";
    /// Your addresses were changed.
    AddressesChanged: "addresses_changed" = "Your contact information was changed";
    /// Wrong tries paused a token.
    TriesFailed: "tries_failed" = "Several incorrect passcodes on your account";
    /// Something is due soon.
    Reminder: "reminder" = "A task is due soon";
    /// A prescription is not sent yet.
    RxSlow: "prescription_slow" = "A prescription has not been delivered yet";
    /// A prescription was not sent.
    RxFailed: "prescription_failed" = "A prescription was not delivered";
    /// A signed prescription is disowned.
    RxDisowned: "prescription_disowned" = "A signed prescription was reported as not issued by the prescriber";
    /// The log of a month is there.
    MonthlyLog: "monthly_log" = "Your log of signed prescriptions";
    /// A log was not looked at.
    LogUnseen: "log_unseen" = "A monthly log has not been reviewed";
    /// Records are held, or no longer.
    HoldChanged: "hold_changed" = "Legal hold changed at {{ practice }}";
    /// Records were removed after their time.
    RecordsRemoved: "records_removed" = "Signed records were removed at {{ practice }}";
    /// A report is to be acknowledged.
    ReportEntered: "report_entered" = "Acknowledge the certification report";
    /// Signing has stopped.
    SigningStopped: "signing_stopped" = "Stop signing: the software no longer meets the requirements";
    /// Signing goes on.
    SigningResumed: "signing_resumed" = "Signing has resumed";
    /// Your code.
    CodeText: "code_text" = "Your code";
    /// Your code.
    CodeLetter: "code_letter" = "Your code";
}

/// What the text of a notice is made of.
#[derive(Debug, Clone, Copy)]
pub struct NoticeFacts<'a> {
    /// Name of the practice: one line.
    pub practice: &'a str,
    /// What it tells, in one line.
    pub detail: &'a str,
    /// Where it leads.
    pub link: &'a str,
    /// The link that says "this was not me", where it has one.
    pub not_me: Option<&'a str>,
    /// All people are made up.
    pub demonstration: bool,
}

/// Makes the text of a notice.
pub type NoticeText = fn(Note, &NoticeFacts<'_>) -> Result<String, fmt::Error>;

/// The subject of a kind of notice, for a list of them.
pub fn notice_subject(code: &str) -> String {
    let note = Note::ALL.iter().find(|note| note.code() == code);
    note.map_or(code, |note| note.subject()).replace("{{ practice }}", "the practice")
}
