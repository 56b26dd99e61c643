//! The table of commands.

use super::{Command, Guard as G, Guard::Roles as R, StepUp};
use crate::{EventKind, Role};

/// Those who look after a practice.
const LOOKS: G = R(&[Role::Administrator, Role::Designated]);
/// Those who set logical access control (21 CFR 1311.125(b)).
const SETS: G = R(&[Role::Designated]);

macro_rules! commands {
    ($($name:ident, $code:literal, $what:literal, $event:ident, $may:expr, $step_up:ident;)*) => {
        $(
            #[doc = $what]
            ///
            /// A line of the table of commands.
            pub const $name: Command = Command {
                name: $code,
                what: $what,
                event: EventKind::$event,
                may: $may,
                step_up: StepUp::$step_up,
            };
        )*

        /// Every command, by who runs it.
        pub const COMMANDS: &[Command] = &[$($name),*];
    };
}

commands! {
    // Practice administration.
    ENTER_REQUEST, "enter_request", "Request a change that two people make", RequestEntered, SETS, WhenStale;
    TAKE_PERMISSION, "take_permission", "Revoke a permission to sign", RequestEntered, SETS, WhenStale;
    EXECUTE_REQUEST, "execute_request", "Approve a change that another person requested (also the passphrase)", RequestExecuted, SETS, Always;
    REJECT_REQUEST, "reject_request", "Reject a change that another person requested", RequestRejected, SETS, Always;
    WITHDRAW_REQUEST, "withdraw_request", "Withdraw a change you requested", RequestWithdrawn, SETS, WhenStale;
    ENTER_PAPER, "enter_paper", "Enter or change a registration or license", AuthorityChanged, LOOKS, Always;
    NARROW_PAPER, "narrow_paper", "Reduce, shorten or end a registration or license", AuthorityChanged, LOOKS, Always;
    SET_PRESCRIBER, "set_prescriber", "Assign or remove the Prescriber role", RoleChanged, LOOKS, Always;
    INVITE, "invite", "Invite a user", PersonInvited, LOOKS, WhenStale;
    RESEND_INVITATION, "resend_invitation", "Resend an invitation", InvitationSentAgain, LOOKS, WhenStale;
    REVOKE_INVITATION, "revoke_invitation", "Cancel an invitation", InvitationRevoked, LOOKS, Always;
    PROVE_AGAIN, "prove_again", "Send a user a link to verify their identity again", PersonInvited, LOOKS, Always;
    PROOF_IN_PERSON, "proof_in_person", "Verify an identity in person", IdentityProofed, R(&[Role::Proofing]), Always;
    DECIDE_NEAR, "decide_near", "Decide on a name or address mismatch", NearMatchDecided, R(&[Role::Proofing]), Always;
    AUTHORIZE_ISSUE, "authorize_issue", "Authorize a token", IssueAuthorized, R(&[Role::Issuing]), Always;
    SET_TIME_ZONE, "set_time_zone", "Change the time zone", PolicyChanged, LOOKS, Always;
    REFUSE_MODEL, "refuse_model", "Block a token model, or allow it again", PolicyChanged, SETS, Always;
    DISABLE_LOST_TOKEN, "disable_lost_token", "Disable a user's lost, stolen or compromised token", TokenDisabled, LOOKS, Never;
    DISABLE_TOKEN_OF, "disable_token_of", "Disable a user's token for another reason", TokenDisabled, LOOKS, WhenStale;
    SEND_FOB, "send_fob", "Record that a hardware token was given or mailed to a user", FobSent, LOOKS, WhenStale;
    CLOSE_DEADLINE, "close_deadline", "Mark a task as done", DeadlineDone, SETS, Always;
    PRINT_LETTER, "print_letter", "Open a letter with an activation code", LetterPrinted, R(&[Role::Administrator, Role::Issuing]), Always;
    EXPORT_RECORDS, "export_records", "Export signed records", RecordsExported, LOOKS, WhenStale;
    PLACE_HOLD, "place_hold", "Place a legal hold", HoldPlaced, LOOKS, Always;
    LIFT_HOLD, "lift_hold", "Lift a legal hold", HoldLifted, LOOKS, Always;
    SET_INTERNAL_CODE, "set_internal_code", "Assign or remove an internal code for the institution's DEA number", AuthorityChanged, LOOKS, Always;
    ACKNOWLEDGE_REPORT, "acknowledge_report", "Acknowledge the audit or certification report for the practice", ReportAcknowledged, SETS, Always;
    NOTE_IDENTIFIERS_SHOWN, "note_identifiers_shown", "Show NPI and DEA numbers in full", IdentifiersShown, R(&[Role::Administrator, Role::Designated, Role::Proofing, Role::Issuing]), Never;
    // Signing in.
    SIGN_IN, "sign_in", "Sign in with a passphrase", PassphraseTried, G::Anybody, OwnFactors;
    PROVE_PASSCODE, "prove_passcode", "Complete the sign-in with a passcode", PasscodeTried, G::Passphrase, OwnFactors;
    SIGN_OUT, "sign_out", "Sign out", SessionEnded, G::Session, Never;
    EXPIRE_SESSIONS, "expire_sessions", "End sessions whose time is over", SessionEnded, G::System, Never;
    CHANGE_PASSPHRASE, "change_passphrase", "Change the passphrase", PassphraseChanged, G::Full, Always;
    BEGIN_RESET, "begin_reset", "Ask for a new passphrase with codes of two tokens", PassphraseChosen, G::Anybody, OwnFactors;
    END_RESET, "end_reset", "Choose a new passphrase with a code that was sent", PassphraseChosen, G::Resetting, OwnFactors;
    // Tokens.
    PROVISION_TOKEN, "provision_token", "Give a token its credential", TokenProvisioned, G::Anybody, Never;
    START_PAIRING, "start_pairing", "Show a pairing code", PairingStarted, G::Proofing, Never;
    ADD_TOKEN, "add_token", "Add a token", TokenAdded, G::Full, WhenStale;
    REPLACE_TOKEN, "replace_token", "Add a token in place of another one", TokenAdded, G::Full, Always;
    ADD_FIRST_TOKEN, "add_first_token", "Add a first token after identity proofing", TokenAdded, G::Proofing, OwnFactors;
    RENAME_TOKEN, "rename_token", "Rename a token", TokenRenamed, G::Full, WhenStale;
    TEST_TOKEN, "test_token", "Test a token", TokenTested, G::Full, OwnFactors;
    RESYNC_TOKEN, "resync_token", "Bring a token back in step", TokenResynced, G::Passphrase, OwnFactors;
    ENABLE_TOKEN, "enable_token", "Enable a token again", TokenEnabled, G::Passphrase, OwnFactors;
    DISABLE_TOKEN, "disable_token", "Disable a token of one's own", TokenDisabled, G::Full, WhenStale;
    REPORT_TOKEN_LOST, "report_token_lost", "Report a token of one's own lost, stolen or compromised", TokenDisabled, G::Passphrase, Never;
    EXPORT_SEED, "export_seed", "Show the secret of a token for another app", SeedHandedOver, G::Full, WhenStale;
    SEND_ACTIVATION_CODE, "send_activation_code", "Send an activation code", CodeSent, G::Full, Never;
    ACTIVATE_TOKEN, "activate_token", "Activate a token for signing", TokenActivated, G::Full, OwnFactors;
    REPUDIATE, "repudiate", "Stop all tokens: this was not me", Repudiated, G::Link, Never;
    CHECK_PASSCODE, "check_passcode", "Check a passcode", PasscodeTried, G::Api, OwnFactors;
    CHECK_UNAUTHENTICATED, "check_unauthenticated", "Check a token for a client without a key", TokenTested, G::Anybody, OwnFactors;
    RESYNC_UNAUTHENTICATED, "resync_unauthenticated", "Bring a token back in step for a client without a key", TokenResynced, G::Anybody, OwnFactors;
    // Addresses.
    CHANGE_ADDRESSES, "change_addresses", "Change one's addresses", ProfileSaved, G::Full, Always;
    SEND_ADDRESS_CODE, "send_address_code", "Send a code to an address", CodeSent, G::Full, Never;
    CONFIRM_ADDRESS, "confirm_address", "Confirm an address by a code", AddressConfirmed, G::Full, OwnFactors;
    // Enrollment and identity proofing.
    FOLLOW_INVITATION, "follow_invitation", "Follow an invitation", InvitationAccepted, G::Link, Never;
    JOIN_PRACTICE, "join_practice", "Join another practice by an invitation", InvitationAccepted, G::Full, Never;
    ASK_INVITATION_AGAIN, "ask_invitation_again", "Ask for a new link of an invitation", InvitationSentAgain, G::Link, Never;
    ACCEPT_TERMS, "accept_terms", "Accept the terms", TermsAccepted, G::Enrolling, Never;
    SAVE_PERSONAL_DATA, "save_personal_data", "Save personal data", ProfileSaved, G::Enrolling, Never;
    CHOOSE_PASSPHRASE, "choose_passphrase", "Choose a passphrase", PassphraseChosen, G::Enrolling, Never;
    BEGIN_RECOVERY, "begin_recovery", "Begin to verify one's identity again", CaseOpened, G::Passphrase, Never;
    SEND_CASE_CODE, "send_case_code", "Send a code to an address on record", CodeSent, G::Proofing, Never;
    TAKE_CASE_CODE, "take_case_code", "Take a code that went to an address on record", AddressConfirmed, G::Proofing, OwnFactors;
    BEGIN_PROOFING, "begin_proofing", "Go to an identity proofing provider", ProofingBegun, G::Proofing, Never;
    END_PROOFING, "end_proofing", "Take the answer of an identity proofing provider", IdentityProofed, G::Proofing, OwnFactors;
    // Prescriptions.
    OPEN_LAUNCH, "open_launch", "Open the chart of a patient from an EHR", EhrLaunched, G::Ehr, Never;
    END_BEFORE_LAUNCH, "end_before_launch", "End what is open in a browser in which a launch begins", SessionEnded, G::Anybody, Never;
    SAVE_DRAFT, "save_draft", "Write a prescription", PrescriptionWritten, G::Chart, Never;
    MARK_READY, "mark_ready", "Mark a prescription ready to sign", PrescriptionReady, G::Chart, Never;
    CANCEL_PRESCRIPTION, "cancel_prescription", "Cancel a prescription", PrescriptionCancelled, G::Chart, Never;
    SEND_PRESCRIPTION_AGAIN, "send_prescription_again", "Send a prescription again that could not be sent", PrescriptionSentAgain, G::Chart, Never;
    PRINT_PRESCRIPTION, "print_prescription", "Print a prescription that could not be sent", PrescriptionPrinted, G::Chart, Never;
    SIGN_PRESCRIPTIONS, "sign_prescriptions", "Sign prescriptions", PrescriptionSigned, G::Chart, OwnFactors;
    REQUEST_SIGNING, "request_signing", "Hand over prescriptions to be signed", PrescriptionReady, G::Api, Never;
    SIGN_REQUEST, "sign_request", "Sign prescriptions that a system handed over", PrescriptionSigned, G::Api, OwnFactors;
    DISOWN_RECORD, "disown_record", "Report a signed record as not issued by oneself", PrescriptionDisowned, G::Full, Never;
    EXPORT_OWN_RECORDS, "export_own_records", "Export one's own signed records", RecordsExported, G::Full, Never;
    REVIEW_REPORT, "review_report", "Note that one has read the audit or certification report", ReportReviewed, G::Full, WhenStale;
    // Operator.
    CREATE_PRACTICE, "create_practice", "Create a practice", PracticeCreated, G::Operator, Never;
    FOUND_PRACTICE, "found_practice", "Name the first two people of a practice", PracticeFounded, G::Operator, Never;
    CREATE_PRESCRIBER, "create_prescriber", "Create an account", PrescriberCreated, G::Operator, Never;
    CREATE_STAFF, "create_staff", "Create a staff account", StaffCreated, G::Operator, Never;
    REGISTER_EHR, "register_ehr", "Register an EHR", EhrRegistered, G::Operator, Never;
    REGISTER_SMART, "register_smart", "Write how the server is known to an EHR with SMART on FHIR", EhrRegistered, G::Operator, Never;
    LINK_EHR_USER, "link_ehr_user", "Link a user of an EHR with an account", EhrRegistered, G::Operator, Never;
    CREATE_API_KEY, "create_api_key", "Create an API key or client", ApiKeyCreated, G::Operator, Never;
    REVOKE_API_KEY, "revoke_api_key", "Revoke an API key or client", ApiKeyRevoked, G::Operator, Never;
    CLOSE_ACCOUNT, "close_account", "Close an account", AccountClosed, G::Operator, Never;
    EMERGENCY_DISABLE, "emergency_disable", "Stop a token in an emergency", TokenDisabled, G::Operator, Never;
    ATTEST_DEVICE, "attest_device", "Note that a person has seen the device of a token", DeviceAttested, G::Operator, Never;
    SET_MODEL, "set_model", "Judge a token model", ModelChanged, G::Operator, Never;
    IMPORT_FOBS, "import_fobs", "Import hardware tokens", FobsImported, G::Operator, Never;
    ENTER_REPORT, "enter_report", "Enter an audit or certification report", ReportEntered, G::Operator, Never;
    ENTER_NONCOMPLIANCE, "enter_noncompliance", "Enter a notice of noncompliance", NoncomplianceEntered, G::Operator, Never;
    END_NONCOMPLIANCE, "end_noncompliance", "End a notice of noncompliance", NoncomplianceEnded, G::Operator, Never;
    ROTATE_SIGNING_KEY, "rotate_signing_key", "Make a new key for signed records", SigningKeyMade, G::Operator, Never;
    REMOVE_EXPIRED_RECORDS, "remove_expired_records", "Remove signed records that nobody has to keep", RecordRemoved, G::Operator, Never;
    // The server.
    TRANSMIT, "transmit", "Hand a signed prescription to its gateway", PrescriptionSent, G::System, Never;
    RETIRE_TOKENS, "retire_tokens", "Disable hardware tokens past their end of life", TokenDisabled, G::System, Never;
    REVOKE_LAPSED, "revoke_lapsed", "Take permissions away that rest on what has expired", PermissionChanged, G::System, Never;
    GIVE_UP_NOTICE, "give_up_notice", "Stop sending a notice that can't be delivered", NoticeGivenUp, G::System, Never;
    NOTE_UNLISTED_BUILD, "note_unlisted_build", "Note that a build runs which no manifest lists", UnlistedBuildAllowed, G::System, Never;
    WATCH_CERTIFICATION, "watch_certification", "Stop or resume signing as notices of noncompliance say", NoncomplianceEnded, G::System, Never;
    NOTE_REFUSAL, "note_refusal", "Note that a request was refused", RequestRefused, G::System, Never;
}
