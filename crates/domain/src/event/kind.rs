//! The kinds of audit events, with their codes and labels.

/// What happened; one word per kind, the same in route, use case, event and row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// NPI and passphrase were tried.
    PassphraseTried,
    /// The passphrase was changed, or that was refused.
    PassphraseChanged,
    /// A passcode was tried.
    PasscodeTried,
    /// Two codes were given to resynchronize a token.
    TokenResynced,
    /// A token was tested without counting against it.
    TokenTested,
    /// A token was made by the built-in authority.
    TokenProvisioned,
    /// A pairing code for a new token was shown.
    PairingStarted,
    /// A token was added to a prescriber, or that was refused.
    TokenAdded,
    /// A token was disabled, or that was refused.
    TokenDisabled,
    /// A token was enabled, or that was refused.
    TokenEnabled,
    /// A token got another name.
    TokenRenamed,
    /// The seed of a new token was shown for another app.
    SeedHandedOver,
    /// The operator has judged a model of tokens.
    ModelChanged,
    /// A person has seen the device that a token lives on, and said so.
    DeviceAttested,
    /// Two devices seem to use one credential.
    TwinSuspected,
    /// An EHR launched the e-prescribing app, or that was refused.
    EhrLaunched,
    /// A session ended: by signing out, by its time, or by a newer session.
    SessionEnded,
    /// A practice was made.
    PracticeCreated,
    /// A prescriber was made.
    PrescriberCreated,
    /// A member of staff was made.
    StaffCreated,
    /// An EHR was registered.
    EhrRegistered,
    /// A key for an integrating system was made.
    ApiKeyCreated,
    /// A key for an integrating system was revoked.
    ApiKeyRevoked,
    /// An account was closed.
    AccountClosed,
    /// The first people of a practice were named.
    PracticeFounded,
    /// Somebody was invited, or that was refused.
    PersonInvited,
    /// An invitation was sent again with a new link.
    InvitationSentAgain,
    /// An invitation was taken back.
    InvitationRevoked,
    /// Somebody has followed an invitation.
    InvitationAccepted,
    /// The terms were accepted.
    TermsAccepted,
    /// Personal data or addresses were written.
    ProfileSaved,
    /// The first passphrase was chosen, or one after proofing.
    PassphraseChosen,
    /// A case of identity proofing was opened.
    CaseOpened,
    /// Somebody is sent to an identity proofing provider.
    ProofingBegun,
    /// An identity was proofed, or a reply was refused.
    IdentityProofed,
    /// Somebody has decided on a near match.
    NearMatchDecided,
    /// A separate unit has authorized the issue of a credential.
    IssueAuthorized,
    /// A case of identity proofing was completed or given up.
    CaseClosed,
    /// A code went to an address on record.
    CodeSent,
    /// The code sent to an address came back, or a wrong one.
    AddressConfirmed,
    /// A token was activated for signing, or that was refused.
    TokenActivated,
    /// A loss, theft or compromise was reported.
    LossReported,
    /// Somebody has said that a change was not theirs.
    Repudiated,
    /// A change that two people make was entered, or that was refused.
    RequestEntered,
    /// The second person has executed a change, or that was refused.
    RequestExecuted,
    /// The second person has turned a change down.
    RequestRejected,
    /// The person who entered a change has withdrawn it, or that was refused.
    RequestWithdrawn,
    /// A change that nobody had executed was closed, because something newer was decided.
    RequestOvertaken,
    /// NPI and DEA numbers of somebody were shown in full to those who check them.
    IdentifiersShown,
    /// A permission to sign was granted or taken away.
    PermissionChanged,
    /// A role in a practice was given or taken.
    RoleChanged,
    /// A DEA registration or a state licence was entered or withdrawn.
    AuthorityChanged,
    /// The list of accepted proofing providers was changed.
    ProviderChanged,
    /// A policy of a practice was changed.
    PolicyChanged,
    /// A letter with a code was opened for printing.
    LetterPrinted,
    /// A notice could not be delivered and was given up.
    NoticeGivenUp,
    /// Something that was due was noted as done.
    DeadlineDone,
    /// Fobs were put into the stock of a practice.
    FobsImported,
    /// A fob was handed or mailed to somebody.
    FobSent,
    /// A prescription was written or changed.
    PrescriptionWritten,
    /// A practitioner has marked a prescription ready, or that was refused.
    PrescriptionReady,
    /// A prescription was signed, or that was refused.
    PrescriptionSigned,
    /// A prescription was put away unsigned.
    PrescriptionCancelled,
    /// A signed prescription was taken by its pharmacy, or was not.
    PrescriptionSent,
    /// A signed prescription is on its way for longer than a minute.
    PrescriptionSlow,
    /// A prescription that could not be sent goes out once more.
    PrescriptionSentAgain,
    /// A prescription that could not be sent was printed, to be signed by hand.
    PrescriptionPrinted,
    /// A practitioner says that a signed prescription is not theirs.
    PrescriptionDisowned,
    /// Signed records or a log of them left the archive as a file.
    RecordsExported,
    /// Signed records are held: they stay, whatever their age.
    HoldPlaced,
    /// Signed records are held no longer.
    HoldLifted,
    /// The operator has removed a signed record, or a log, that nobody has to keep any more.
    RecordRemoved,
    /// The operator lets a build sign that no release manifest lists.
    UnlistedBuildAllowed,
    /// The operator has entered an audit or certification report.
    ReportEntered,
    /// A practice has acknowledged the report of a build, or that was refused.
    ReportAcknowledged,
    /// A practitioner has said that they read the report, or that was refused.
    ReportReviewed,
    /// The operator has entered a notice that builds no longer meet the requirements.
    NoncomplianceEntered,
    /// The operator has recorded the word that ends such a notice.
    NoncomplianceEnded,
    /// Signing has stopped in a practice because of such a notice.
    SigningStopped,
    /// No such notice is open any more: signing goes on in a practice, with a newer build.
    SigningResumed,
    /// A practice signs with a new key.
    SigningKeyMade,
    /// A request was refused because of where or how it came.
    RequestRefused,
}

impl EventKind {
    /// All kinds, for the documentation and its test.
    pub const ALL: [Self; 82] = [
        Self::PassphraseTried,
        Self::PassphraseChanged,
        Self::PasscodeTried,
        Self::TokenResynced,
        Self::TokenTested,
        Self::TokenProvisioned,
        Self::PairingStarted,
        Self::TokenAdded,
        Self::TokenDisabled,
        Self::TokenEnabled,
        Self::TokenRenamed,
        Self::SeedHandedOver,
        Self::ModelChanged,
        Self::DeviceAttested,
        Self::TwinSuspected,
        Self::EhrLaunched,
        Self::SessionEnded,
        Self::PracticeCreated,
        Self::PrescriberCreated,
        Self::StaffCreated,
        Self::EhrRegistered,
        Self::ApiKeyCreated,
        Self::ApiKeyRevoked,
        Self::AccountClosed,
        Self::PracticeFounded,
        Self::PersonInvited,
        Self::InvitationSentAgain,
        Self::InvitationRevoked,
        Self::InvitationAccepted,
        Self::TermsAccepted,
        Self::ProfileSaved,
        Self::PassphraseChosen,
        Self::CaseOpened,
        Self::ProofingBegun,
        Self::IdentityProofed,
        Self::NearMatchDecided,
        Self::IssueAuthorized,
        Self::CaseClosed,
        Self::CodeSent,
        Self::AddressConfirmed,
        Self::TokenActivated,
        Self::LossReported,
        Self::Repudiated,
        Self::RequestEntered,
        Self::RequestExecuted,
        Self::RequestRejected,
        Self::RequestWithdrawn,
        Self::RequestOvertaken,
        Self::IdentifiersShown,
        Self::PermissionChanged,
        Self::RoleChanged,
        Self::AuthorityChanged,
        Self::ProviderChanged,
        Self::PolicyChanged,
        Self::LetterPrinted,
        Self::NoticeGivenUp,
        Self::DeadlineDone,
        Self::FobsImported,
        Self::FobSent,
        Self::PrescriptionWritten,
        Self::PrescriptionReady,
        Self::PrescriptionSigned,
        Self::PrescriptionCancelled,
        Self::PrescriptionSent,
        Self::PrescriptionSlow,
        Self::PrescriptionSentAgain,
        Self::PrescriptionPrinted,
        Self::PrescriptionDisowned,
        Self::RecordsExported,
        Self::HoldPlaced,
        Self::HoldLifted,
        Self::RecordRemoved,
        Self::UnlistedBuildAllowed,
        Self::ReportEntered,
        Self::ReportAcknowledged,
        Self::ReportReviewed,
        Self::NoncomplianceEntered,
        Self::NoncomplianceEnded,
        Self::SigningStopped,
        Self::SigningResumed,
        Self::SigningKeyMade,
        Self::RequestRefused,
    ];

    /// Stable word for the row.
    pub const fn code(self) -> &'static str {
        match self {
            Self::PassphraseTried => "passphrase_tried",
            Self::PassphraseChanged => "passphrase_changed",
            Self::PasscodeTried => "passcode_tried",
            Self::TokenResynced => "token_resynced",
            Self::TokenTested => "token_tested",
            Self::TokenProvisioned => "token_provisioned",
            Self::PairingStarted => "pairing_started",
            Self::TokenAdded => "token_added",
            Self::TokenDisabled => "token_disabled",
            Self::TokenEnabled => "token_enabled",
            Self::TokenRenamed => "token_renamed",
            Self::SeedHandedOver => "seed_handed_over",
            Self::ModelChanged => "model_changed",
            Self::DeviceAttested => "device_attested",
            Self::TwinSuspected => "twin_suspected",
            Self::EhrLaunched => "ehr_launched",
            Self::SessionEnded => "session_ended",
            Self::PracticeCreated => "practice_created",
            Self::PrescriberCreated => "prescriber_created",
            Self::StaffCreated => "staff_created",
            Self::EhrRegistered => "ehr_registered",
            Self::ApiKeyCreated => "api_key_created",
            Self::ApiKeyRevoked => "api_key_revoked",
            Self::AccountClosed => "account_closed",
            Self::PracticeFounded => "practice_founded",
            Self::PersonInvited => "person_invited",
            Self::InvitationSentAgain => "invitation_sent_again",
            Self::InvitationRevoked => "invitation_revoked",
            Self::InvitationAccepted => "invitation_accepted",
            Self::TermsAccepted => "terms_accepted",
            Self::ProfileSaved => "profile_saved",
            Self::PassphraseChosen => "passphrase_chosen",
            Self::CaseOpened => "case_opened",
            Self::ProofingBegun => "proofing_begun",
            Self::IdentityProofed => "identity_proofed",
            Self::NearMatchDecided => "near_match_decided",
            Self::IssueAuthorized => "issue_authorized",
            Self::CaseClosed => "case_closed",
            Self::CodeSent => "code_sent",
            Self::AddressConfirmed => "address_confirmed",
            Self::TokenActivated => "token_activated",
            Self::LossReported => "loss_reported",
            Self::Repudiated => "repudiated",
            Self::RequestEntered => "request_entered",
            Self::RequestExecuted => "request_executed",
            Self::RequestRejected => "request_rejected",
            Self::RequestWithdrawn => "request_withdrawn",
            Self::RequestOvertaken => "request_overtaken",
            Self::IdentifiersShown => "identifiers_shown",
            Self::PermissionChanged => "permission_changed",
            Self::RoleChanged => "role_changed",
            Self::AuthorityChanged => "authority_changed",
            Self::ProviderChanged => "provider_changed",
            Self::PolicyChanged => "policy_changed",
            Self::LetterPrinted => "letter_printed",
            Self::NoticeGivenUp => "notice_given_up",
            Self::DeadlineDone => "deadline_done",
            Self::FobsImported => "fobs_imported",
            Self::FobSent => "fob_sent",
            Self::PrescriptionWritten => "prescription_written",
            Self::PrescriptionReady => "prescription_ready",
            Self::PrescriptionSigned => "prescription_signed",
            Self::PrescriptionCancelled => "prescription_cancelled",
            Self::PrescriptionSent => "prescription_sent",
            Self::PrescriptionSlow => "prescription_slow",
            Self::PrescriptionSentAgain => "prescription_sent_again",
            Self::PrescriptionPrinted => "prescription_printed",
            Self::PrescriptionDisowned => "prescription_disowned",
            Self::RecordsExported => "records_exported",
            Self::HoldPlaced => "hold_placed",
            Self::HoldLifted => "hold_lifted",
            Self::RecordRemoved => "record_removed",
            Self::UnlistedBuildAllowed => "unlisted_build_allowed",
            Self::ReportEntered => "report_entered",
            Self::ReportAcknowledged => "report_acknowledged",
            Self::ReportReviewed => "report_reviewed",
            Self::NoncomplianceEntered => "noncompliance_entered",
            Self::NoncomplianceEnded => "noncompliance_ended",
            Self::SigningStopped => "signing_stopped",
            Self::SigningResumed => "signing_resumed",
            Self::SigningKeyMade => "signing_key_made",
            Self::RequestRefused => "request_refused",
        }
    }

    /// Words for the history on a page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PassphraseTried => "Passphrase to sign in",
            Self::PassphraseChanged => "Passphrase changed",
            Self::PasscodeTried => "Passcode",
            Self::TokenResynced => "Resync",
            Self::TokenTested => "Test",
            Self::TokenProvisioned => "Set up on a device",
            Self::PairingStarted => "Pairing code shown",
            Self::TokenAdded => "Added",
            Self::TokenDisabled => "Disabled",
            Self::TokenEnabled => "Enabled",
            Self::TokenRenamed => "Renamed",
            Self::SeedHandedOver => "Secret exported to another app",
            Self::ModelChanged => "Token model changed",
            Self::DeviceAttested => "Device seen and confirmed",
            Self::TwinSuspected => "Possible token copy detected",
            Self::EhrLaunched => "Opened from the EHR",
            Self::SessionEnded => "Signed out",
            Self::PracticeCreated => "Practice created",
            Self::PrescriberCreated => "Account created",
            Self::StaffCreated => "Staff account created",
            Self::EhrRegistered => "EHR registered",
            Self::ApiKeyCreated => "API key created",
            Self::ApiKeyRevoked => "API key revoked",
            Self::AccountClosed => "Account closed",
            Self::PracticeFounded => "Practice set up",
            Self::PersonInvited => "Invited",
            Self::InvitationSentAgain => "Invitation resent",
            Self::InvitationRevoked => "Invitation canceled",
            Self::InvitationAccepted => "Invitation accepted",
            Self::TermsAccepted => "Terms accepted",
            Self::ProfileSaved => "Personal information saved",
            Self::PassphraseChosen => "Passphrase chosen",
            Self::CaseOpened => "Identity proofing opened",
            Self::ProofingBegun => "Sent to an identity proofing provider",
            Self::IdentityProofed => "Identity proofing",
            Self::NearMatchDecided => "Name or address mismatch decided",
            Self::IssueAuthorized => "Token authorized",
            Self::CaseClosed => "Identity proofing closed",
            Self::CodeSent => "Code sent",
            Self::AddressConfirmed => "Address confirmed",
            Self::TokenActivated => "Activated for signing",
            Self::LossReported => "Loss reported",
            Self::Repudiated => "\u{201c}This was not me\u{201d}",
            Self::RequestEntered => "Change requested",
            Self::RequestExecuted => "Change approved",
            Self::RequestRejected => "Change rejected",
            Self::RequestWithdrawn => "Change withdrawn",
            Self::RequestOvertaken => "Change superseded",
            Self::IdentifiersShown => "NPI and DEA number shown in full",
            Self::PermissionChanged => "Permission to sign",
            Self::RoleChanged => "Role changed",
            Self::AuthorityChanged => "Registration changed",
            Self::ProviderChanged => "Proofing provider changed",
            Self::PolicyChanged => "Policy changed",
            Self::LetterPrinted => "Letter printed",
            Self::NoticeGivenUp => "Notice not delivered",
            Self::DeadlineDone => "Task done",
            Self::FobsImported => "Hardware tokens added to stock",
            Self::FobSent => "Hardware token sent",
            Self::PrescriptionWritten => "Prescription written",
            Self::PrescriptionReady => "Prescription marked ready to sign",
            Self::PrescriptionSigned => "Prescription signed",
            Self::PrescriptionCancelled => "Prescription canceled",
            Self::PrescriptionSent => "Prescription sent to its pharmacy",
            Self::PrescriptionSlow => "Prescription not sent yet",
            Self::PrescriptionSentAgain => "Prescription sent again",
            Self::PrescriptionPrinted => "Prescription printed",
            Self::PrescriptionDisowned => "Prescription reported as not issued by the prescriber",
            Self::RecordsExported => "Records exported",
            Self::HoldPlaced => "Legal hold placed",
            Self::HoldLifted => "Legal hold lifted",
            Self::RecordRemoved => "Record removed after its retention period",
            Self::UnlistedBuildAllowed => "Uncertified build allowed to sign",
            Self::ReportEntered => "Certification report entered",
            Self::ReportAcknowledged => "Certification report acknowledged",
            Self::ReportReviewed => "Certification report read",
            Self::NoncomplianceEntered => "Notice of noncompliance entered",
            Self::NoncomplianceEnded => "Notice of noncompliance ended",
            Self::SigningStopped => "Signing stopped by a notice of noncompliance",
            Self::SigningResumed => "Signing resumed with a newer build",
            Self::SigningKeyMade => "Signing key created",
            Self::RequestRefused => "Request refused",
        }
    }

    /// The kind with that word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}
