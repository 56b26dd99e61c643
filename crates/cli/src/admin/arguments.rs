//! The commands of `countersign admin` and their arguments.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use countersign_app::SCOPES;
use countersign_domain::{
    ApiKeyId, EhrId, FipsCertificate, ModelCode, Npi, PracticeId, StaffId, TimeZone,
};

use crate::certification::{AddNotice, AddReport, EndNotice};

/// What `countersign admin` does.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Create a practice
    Practice {
        /// Its name
        #[arg(long)]
        name: String,
    },
    /// List the practices
    Practices,
    /// Name the first two people of a practice, with both of them present; once (docs/operations.md)
    Found {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// How identities are proofed there; this can't be changed later
        #[arg(long)]
        setting: PracticeKind,
        /// Time zone of its deadlines
        #[arg(long, default_value = "America/New_York")]
        time_zone: TimeZone,
        /// File with the two people, as docs/operations.md describes it
        #[arg(long)]
        file: PathBuf,
    },
    /// Create a prescriber; the passphrase is typed by the prescriber, or read from a file
    Prescriber {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// National Provider Identifier
        #[arg(long)]
        npi: Npi,
        /// Full name
        #[arg(long)]
        name: String,
        /// File with the passphrase on its first line, mode 0600
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
    },
    /// Create a member of staff
    Staff {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Full name
        #[arg(long)]
        name: String,
        /// User name in the EHR
        #[arg(long)]
        ehr_user: String,
    },
    /// Register an EHR that opens e-Prescribing from its charts (docs/ehr.md)
    Ehr {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Name
        #[arg(long)]
        name: String,
        /// The public key of its signed launches: P-256, PEM; not needed with SMART
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
    },
    /// Say how this installation is known to an EHR that launches with SMART on FHIR
    EhrSmart {
        /// ID of the EHR
        ehr: EhrId,
        /// Address of its FHIR server
        #[arg(long, value_name = "URL")]
        iss: String,
        /// Our client ID there
        #[arg(long)]
        client_id: String,
        /// File of mode 0600 with our client secret there; none for a public client
        #[arg(long, value_name = "FILE")]
        client_secret_file: Option<PathBuf>,
    },
    /// Connect a user of an EHR with a prescriber or a member of staff
    EhrUser {
        /// ID of the EHR
        ehr: EhrId,
        /// The user as a launch names it: with SMART the reference, such as `Practitioner/123`
        #[arg(long)]
        user: String,
        /// NPI of the prescriber
        #[arg(long, required_unless_present = "staff")]
        npi: Option<Npi>,
        /// ID of the member of staff
        #[arg(long, conflicts_with = "npi")]
        staff: Option<StaffId>,
    },
    /// Create a key for an integrating system; it is printed once
    ApiKey {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// What it is for
        #[arg(long)]
        name: String,
    },
    /// Register a system of a practice by its public key, for the API (docs/api.md); its ID is printed
    ApiClient {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// What it is
        #[arg(long)]
        name: String,
        /// Its public key: P-256, PEM
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// What it may do; several times for several
        #[arg(long, required = true, value_parser = SCOPES)]
        scope: Vec<String>,
    },
    /// List the keys of a practice
    ApiKeys {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
    },
    /// Revoke a key at once and for good
    RevokeApiKey {
        /// ID of the key, as `api-keys` lists it
        key: ApiKeyId,
    },
    /// Close an account for good: sessions end, tokens are disabled, nobody signs in to it any more
    CloseAccount {
        /// National Provider Identifier
        npi: Npi,
    },
    /// List the models of tokens and whether they may sign, or judge one
    Models {
        #[command(subcommand)]
        command: Option<ModelsCommand>,
    },
    /// Enter the audit or certification report of builds (docs/operations.md); each practice acknowledges it
    AddReport(AddReport),
    /// List the reports, and the notices of non-compliance
    Reports,
    /// Enter a notice that this version no longer meets the requirements: signing stops in every practice at once,
    /// until a newer build runs that a release manifest lists (21 CFR 1311.102(g)-(i), 1311.302)
    Noncompliance(AddNotice),
    /// End a notice of non-compliance with a newer build that no release manifest lists, on the word of whoever gave
    /// the notice that the program is compliant again (21 CFR 1311.102(h), (i))
    EndNoncompliance(EndNotice),
    /// Let a practice sign prescriptions with a new key from now on; older signatures stay verifiable
    RotateSigningKey {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
    },
    /// List signed prescriptions that nobody has to keep any more and nothing holds, or remove them
    ExpiredRecords {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Remove them for good, with the monthly logs of their time: how many the list had
        #[arg(long, requires = "by", value_name = "COUNT")]
        remove: Option<usize>,
        /// Who removes them: your name
        #[arg(long)]
        by: Option<String>,
    },
    /// Put a delivery of fobs into the stock of a practice: all of it or nothing (docs/operations.md)
    ImportFobs {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Model of the fobs, which must be allowed
        #[arg(long)]
        model: ModelCode,
        /// What names the delivery, such as its date and number
        #[arg(long)]
        batch: String,
        /// File with the fobs, as docs/operations.md describes it
        #[arg(long)]
        file: PathBuf,
        /// Manufacturer, for serial numbers of digits alone
        #[arg(long)]
        manufacturer: Option<String>,
        /// Who had them in hand: your name
        #[arg(long)]
        by: String,
    },
    /// Record that you have seen the device which a token lives on (21 CFR 1311.115(a)(3))
    AttestDevice {
        /// Credential ID or serial number
        credential: String,
        /// Manufacturer, for IDs of digits alone
        #[arg(long)]
        manufacturer: Option<String>,
        /// What it is
        #[arg(long)]
        class: DeviceKind,
        /// Who has seen it: your name
        #[arg(long)]
        by: String,
    },
    /// Disable a token at once and for good
    DisableToken {
        /// Credential ID or serial number
        credential: String,
        /// Manufacturer, for IDs of digits alone
        #[arg(long)]
        manufacturer: Option<String>,
    },
}

/// What `countersign admin models` does beside listing.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Say what a model is and whether its tokens may be added and may sign (21 CFR 1311.115(b))
    Set {
        /// Short name, such as countersign-authenticator
        #[arg(long)]
        code: ModelCode,
        /// Who makes it
        #[arg(long)]
        maker: String,
        /// What it is called
        #[arg(long)]
        name: String,
        /// An app, or a fob or card
        #[arg(long)]
        kind: ModelKind,
        /// Number of its FIPS 140 certificate, or none
        #[arg(long)]
        fips: FipsCertificate,
        /// Whether its tokens may be added and may sign
        #[arg(long)]
        allow_signing: YesNo,
        /// Why; it is shown to prescribers
        #[arg(long)]
        note: String,
        /// Who decides: your name
        #[arg(long)]
        by: String,
    },
}

/// How a practice proofs identities.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PracticeKind {
    /// Practitioners with DEA registrations of their own; an outside provider proofs (21 CFR 1311.105)
    Practitioners,
    /// An institution with its own DEA registration, which proofs in person (21 CFR 1311.110)
    Institution,
}

/// What a person can have seen.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DeviceKind {
    /// A phone
    Phone,
    /// A tablet
    Tablet,
    /// A watch
    Watch,
}

/// What kind of device a model is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ModelKind {
    /// An app
    Soft,
    /// A fob or card
    Hard,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum YesNo {
    /// Allowed
    Yes,
    /// Not allowed
    No,
}
