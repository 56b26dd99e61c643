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
    /// Set up the first two people of a practice, with both present; only once (docs/operations.md)
    Found {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// How identities are verified there; can't be changed later
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
    /// Create a staff member
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
        /// Public key of its signed launches: P-256, PEM; not needed with SMART
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
    },
    /// Set the client registration of this installation at an EHR that launches with SMART on FHIR
    EhrSmart {
        /// ID of the EHR
        ehr: EhrId,
        /// Address of its FHIR server
        #[arg(long, value_name = "URL")]
        iss: String,
        /// Our client ID there
        #[arg(long)]
        client_id: String,
        /// File of mode 0600 with our client secret there; omit it for a public client
        #[arg(long, value_name = "FILE")]
        client_secret_file: Option<PathBuf>,
    },
    /// Link an EHR user to a prescriber or staff member
    EhrUser {
        /// ID of the EHR
        ehr: EhrId,
        /// The user as the launch names it; with SMART, the FHIR reference, such as `Practitioner/123`
        #[arg(long)]
        user: String,
        /// NPI of the prescriber
        #[arg(long, required_unless_present = "staff")]
        npi: Option<Npi>,
        /// ID of the staff member
        #[arg(long, conflicts_with = "npi")]
        staff: Option<StaffId>,
    },
    /// Create an API key for another system; it is printed once
    ApiKey {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Purpose of the key
        #[arg(long)]
        name: String,
    },
    /// Register an API client of a practice by its public key (docs/api.md); prints its ID
    ApiClient {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Name of the client
        #[arg(long)]
        name: String,
        /// Its public key: P-256, PEM
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// A scope it may use; can be given several times
        #[arg(long, required = true, value_parser = SCOPES)]
        scope: Vec<String>,
    },
    /// List the API keys of a practice
    ApiKeys {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
    },
    /// Revoke an API key immediately and permanently
    RevokeApiKey {
        /// ID of the key, as `api-keys` lists it
        key: ApiKeyId,
    },
    /// Close an account permanently: its sessions end, its tokens are disabled, and no one can sign in to it
    CloseAccount {
        /// National Provider Identifier
        npi: Npi,
    },
    /// List the token models and whether they may sign, or set one
    Models {
        #[command(subcommand)]
        command: Option<ModelsCommand>,
    },
    /// Enter the audit or certification report for builds (docs/operations.md); each practice must acknowledge it
    AddReport(AddReport),
    /// List the reports and the notices of noncompliance
    Reports,
    /// Enter a notice that this version no longer meets the requirements: signing stops in every practice immediately,
    /// until a newer build runs that a release manifest lists (21 CFR 1311.102(g)-(i), 1311.302)
    Noncompliance(AddNotice),
    /// End a notice of noncompliance with a newer build that no release manifest lists, when the source of the
    /// notice states that the software is compliant again (21 CFR 1311.102(h), (i))
    EndNoncompliance(EndNotice),
    /// Switch a practice to a new signing key; older signatures stay verifiable
    RotateSigningKey {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
    },
    /// List or remove signed prescriptions that are past their retention period and not under a legal hold
    ExpiredRecords {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Remove them permanently, with the monthly logs of their time; give the number of records listed
        #[arg(long, requires = "by", value_name = "COUNT")]
        remove: Option<usize>,
        /// Your name, as the person who removes them
        #[arg(long)]
        by: Option<String>,
    },
    /// Add a delivery of hardware tokens to the stock of a practice, all or nothing (docs/operations.md)
    ImportFobs {
        /// ID of the practice
        #[arg(long)]
        practice: PracticeId,
        /// Model of the hardware tokens, which must be allowed
        #[arg(long)]
        model: ModelCode,
        /// Name of the delivery, such as its date and number
        #[arg(long)]
        batch: String,
        /// File with the hardware tokens, as docs/operations.md describes it
        #[arg(long)]
        file: PathBuf,
        /// Manufacturer, for serial numbers with digits only
        #[arg(long)]
        manufacturer: Option<String>,
        /// Your name, as the person who received them
        #[arg(long)]
        by: String,
    },
    /// Record that you have seen the device a token is on (21 CFR 1311.115(a)(3))
    AttestDevice {
        /// Credential ID or serial number
        credential: String,
        /// Manufacturer, for IDs with digits only
        #[arg(long)]
        manufacturer: Option<String>,
        /// Type of device
        #[arg(long)]
        class: DeviceKind,
        /// Your name, as the person who saw it
        #[arg(long)]
        by: String,
    },
    /// Disable a token immediately and permanently
    DisableToken {
        /// Credential ID or serial number
        credential: String,
        /// Manufacturer, for IDs with digits only
        #[arg(long)]
        manufacturer: Option<String>,
    },
}

/// What `countersign admin models` does beside listing.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Describe a model, and allow or block its tokens for signing (21 CFR 1311.115(b))
    Set {
        /// Short name, such as countersign-authenticator
        #[arg(long)]
        code: ModelCode,
        /// Manufacturer
        #[arg(long)]
        maker: String,
        /// Product name
        #[arg(long)]
        name: String,
        /// An app, or a hardware token or card
        #[arg(long)]
        kind: ModelKind,
        /// Number of its FIPS 140 certificate, or none
        #[arg(long)]
        fips: FipsCertificate,
        /// Whether its tokens may be added and may sign
        #[arg(long)]
        allow_signing: YesNo,
        /// Reason, shown to prescribers
        #[arg(long)]
        note: String,
        /// Your name, as the person who decides
        #[arg(long)]
        by: String,
    },
}

/// How a practice proofs identities.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PracticeKind {
    /// Practitioners with their own DEA registrations; an outside provider verifies identities (21 CFR 1311.105)
    Practitioners,
    /// An institution with its own DEA registration, which verifies identities in person (21 CFR 1311.110)
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
    /// A hardware token or card
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
