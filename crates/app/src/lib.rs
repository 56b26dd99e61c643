//! The use cases: what a request asks for, decided by the domain, written by the store.
//!
//! No line here knows HTTP. Each use case reads the clock once, runs one transaction (an attempt at
//! a passphrase begins and ends in others, with the slow hash between them) and answers.

mod access;
mod account;
mod activation;
mod admin;
mod archive;
mod attempts;
mod browser;
mod cases;
mod certification;
mod check;
mod command;
mod console;
mod contact;
mod context;
mod decide;
mod enrol;
mod error;
mod fobs;
mod hashing;
mod in_doubt;
mod integration;
mod internal_codes;
mod launch;
mod models;
mod note;
mod notices;
mod options;
pub mod outbound;
mod owner_notices;
mod pairing;
mod passphrase;
pub mod pdf;
mod prescriptions;
mod provision;
mod refused;
mod reset;
mod retention;
mod session;
mod sign_in;
mod smart;
mod to_completion;
mod tokens;
mod transmission;
mod vip;

pub use access::{
    Asked, ChangeRequestView, Execution, Membership, NewPaper, PaperDone, PracticeOverview, Wanted,
    deadline_advice, deadline_label, paper_in_words, still_waits,
};
pub use activation::{Activation, Hindrance};
pub use admin::{AdminRefusal, DemoPerson, ListedKey};
pub use archive::{Entry, Format, MOST_RECORDS, OwnLog, Search, rendered};
pub use attempts::KNOWN_BROWSER_SECONDS;
pub use cases::{CaseDecision, CaseView, ReplyRefusal, Seen};
pub use certification::{
    Certification, MOST_REASON_CHARS, NewNotice, NewReport, NoticeEnd, NoticeRefusal, ReportRefusal,
};
pub use check::{CheckAnswer, CheckRequest};
pub use command::{Answer, NotDone, RefusalCode};
pub use console::{Act, Fleet, Founder, FoundingRefusal, Rules};
pub use contact::{Contact, ContactForm, Way};
pub use context::{App, At, By, Clock};
pub use enrol::{
    Enrolment, Followed, InviteRefusal, Invitee, Link, PersonalData, StepRefusal, TERMS_VERSION,
    new_passphrase,
};
pub use error::Error;
pub use fobs::{ImportRefusal, NewFob};
pub use integration::{
    ACCESS_SECONDS, Caller, Known, NewRequest, RequestRefusal, RequestView, SCOPES, Written, Wrong,
};
pub use internal_codes::InternalCodeRefusal;
pub use launch::LaunchRefusal;
pub use models::{HandOverForm, HandedOver};
pub use note::{Note, NoticeFacts, NoticeText, notice_subject};
pub use options::{Build, Options, Support};
pub use pairing::PAIRING_SECONDS;
pub use passphrase::PassphraseForm;
pub use prescriptions::{
    Chart, Draft, Judgment, OneRx, RxRefusal, Sheet, Signing, SigningForm, SigningHindrance,
    SigningRefusal, SigningSet,
};
pub use provision::ProvisionRefusal;
pub use refused::network;
pub use reset::ForgotForm;
pub use retention::{Keeping, LiftRefusal, OverRecord, RemovalRefusal, Removed};
pub use session::{CookieSession, SessionSecret};
pub use sign_in::{Chosen, LoggedIn, SignInForm};
pub use smart::{LONGEST_REFERENCE, SMART_SECONDS, SmartWay};
pub use tokens::{AddForm, Change, Confirm, DisableForm, Overview, RenameForm};
pub use vip::{Vip, VipOutcome, VipProvisioned};

use account::{Account, needs_step_up};
use activation::subject_of;
use decide::{log, record};
use owner_notices::{tell_owner, tell_wrong_passcodes};
use session::{SECRET_LENGTH, new_session, session_end};
