//! The rules of Countersign as pure code: no I/O, clock and randomness handed in.
//!
//! A value of a type from this crate has passed its check; a decision made here says what changes,
//! what is recorded and what the person may be told. Nothing here knows a database, a socket or
//! the time of day.

pub mod access;
mod calendar;
pub mod canonical;
pub mod certification;
pub mod command;
mod contact;
pub mod controlled;
mod credential;
mod device;
pub mod enrolment;
mod event;
mod failures;
pub mod identity;
mod ids;
pub mod marks;
mod model;
mod npi;
pub mod ocra;
pub mod otp;
mod passphrase;
mod policy;
pub mod prescription;
pub mod proofing;
mod refusal;
mod registration;
pub mod retention;
mod role;
pub mod signing;
pub mod state_rules;
mod text;
mod time;
mod token;
mod unauthenticated;

pub use calendar::{
    Date, DateError, TimeZone, TimeZoneError, month_in_words, one_business_day_after,
};
pub use contact::{
    EmailAddress, EmailAddressError, PhoneNumber, PhoneNumberError, SignInName, SignInNameError,
};
pub use credential::{
    CredentialFormat, CredentialId, CredentialIdError, FORMATS, Manufacturer, TokenKind,
    infer_format,
};
pub use device::{Device, DeviceClass, DeviceEvidence, ModelCode, ModelCodeError};
pub use event::{Actor, Event, EventKind, Outcome, Purpose, SupportCode};
pub use failures::{
    AttemptCounter, AttemptStart, Blocked, FailureLimits, Failures, PasscodeFailures,
    WRONG_PASSCODES_PER_DAY,
};
pub use ids::{
    ApiKeyId, AuthorityId, CaseId, DeadlineId, EhrId, EventId, HoldId, IdError, InvitationId,
    MessageId, NoticeId, PairingId, PersonId, PracticeId, PrescriptionId, ReportId, RequestId,
    SessionRowId, SigningRequestId, StaffId, TokenId,
};
pub use model::{FipsCertificate, ModelError, SigningModels, TokenModel};
pub use npi::{Npi, NpiError, luhn_check_digit, luhn_holds};
pub use passphrase::{
    Passphrase, PassphraseError, PassphraseHash, PassphraseHashError, SALT_BYTES,
};
pub use policy::{Policy, PolicyError, SameBrowser};
pub use refusal::Refusal;
pub use registration::{
    DeaNumber, DeaNumberError, DeaRegistration, Holder, InternalCode, InternalCodeError,
    LastDayError, NoAuthority, Registered, RegistrantKind, Schedule, Schedules, SchedulesError,
    Standing, StateLicence, UsState, UsStateError, WARN_DAYS, latest_licence_day,
    latest_registration_day, read_dea, written_dea,
};
pub use role::Role;
pub use text::{
    KeyboardLine, Label, Line, Name, TextError, check_line, is_unseen, mixes_scripts, normalized,
    one_line, one_script, retyped, shown_line, unambiguous,
};
pub use time::Timestamp;
pub use token::{
    AddCheck, DisableReason, NewToken, PasscodeCheck, ProvisionedToken, Token, TokenName,
    TokenNameError, TokenParts, TokenPartsError, TokenState, add_token, check_any, check_passcode,
    check_resync, disable_token, enable_token, explain_wrong_passcode, replace_token, same_browser,
    test_token,
};
pub use unauthenticated::{check_unauthenticated, sync_unauthenticated};
