//! What can keep a prescription from being signed.

use crate::{NoAuthority, Refusal, Standing, prescription::StateRefusal};

/// Why one of them can't be marked ready or signed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningHindrance {
    /// Something is missing, or was right on another day only.
    #[error("Some information is missing. Open it and check the marked fields.")]
    Lacking,
    /// The registration has ended.
    #[error("The DEA registration has expired.")]
    RegistrationExpired,
    /// The registration was terminated, revoked or suspended.
    #[error("The DEA registration was withdrawn.")]
    RegistrationWithdrawn,
    /// No license of the registration's state.
    #[error("No license is on file for the state this DEA number is registered in.")]
    NoLicense,
    /// The license of the registration's state has ended.
    #[error("The license for the state this DEA number is registered in has expired.")]
    LicenseExpired,
    /// The license of the registration's state was suspended or revoked.
    #[error("The license for the state this DEA number is registered in was withdrawn.")]
    LicenseWithdrawn,
    /// The institution's number without a code (21 CFR 1301.22(c)).
    #[error(
        "You need an internal code to use the institution's DEA number. Ask an access control designee."
    )]
    NoInternalCode,
    /// The code is another one by now.
    #[error(
        "The internal code after the DEA number has changed. Save the prescription, then mark it ready to sign again."
    )]
    InternalCodeChanged,
    /// The registration does not cover the schedule.
    #[error("The DEA registration does not cover this schedule.")]
    Schedule,
    /// Access control says no.
    #[error("You do not have permission to sign under this DEA number.")]
    NotPermitted,
    /// Another one of its series is not signed with it.
    #[error(
        "All prescriptions in a series are signed together (21 CFR 1306.12). Mark the others ready to sign too, or cancel them."
    )]
    SeriesIncomplete,
    /// Nothing could be sent.
    #[error("No pharmacy connection is set up, so you can't sign. Contact support.")]
    NoGateway,
    /// Nobody certified this build (21 CFR 1311.300; question A18).
    #[error("This software build is not certified, so you can't sign. Contact support.")]
    Build,
    /// This build no longer meets the requirements (21 CFR 1311.102(g)-(i)).
    #[error(
        "This software version no longer meets the requirements (21 CFR 1311.102(g)), so you can't sign until a newer, certified version is installed."
    )]
    Noncompliant,
    /// The report that the release manifest names is not there (21 CFR 1311.300).
    #[error(
        "The audit or certification report for this software is not on file, so you can't sign. Contact support."
    )]
    NoReport,
    /// The report holds no longer.
    #[error(
        "The audit or certification report for this software has expired, so you can't sign. Contact support."
    )]
    ReportExpired,
    /// Nobody has acknowledged the report for the practice.
    #[error(
        "Your practice has not acknowledged the audit or certification report for this version. An access control designee must do so in Practice administration, under Certification."
    )]
    ReportNotAcknowledged,
    /// The practitioner has not said that they read the report (21 CFR 1311.102(d)).
    #[error(
        "First read the audit or certification report: Token Management, Overview, Certification."
    )]
    ReportNotReviewed,
    /// The clock may be wrong (21 CFR 1311.120(b)(8)).
    #[error(
        "The server's clock could not be verified or is off by more than 5 minutes, so you can't sign. Contact support."
    )]
    Clock,
    /// The practitioner's address is not known.
    #[error(
        "Your address is required on prescriptions and is not on file. Add it in Token Management, under Addresses."
    )]
    NoAddress,
    /// The model of the token may not sign, here or at all.
    #[error("{}", Refusal::ModelNotAllowed)]
    TokenModel,
    /// The token is not activated.
    #[error("{}", Refusal::NotActivated)]
    TokenNotActivated,
    /// The token signs no more in its practice: permission or hardware token have ended.
    #[error("{}", Refusal::NotPermitted)]
    TokenNotPermitted,
}

impl From<NoAuthority> for SigningHindrance {
    fn from(why: NoAuthority) -> Self {
        match why {
            NoAuthority::Registration(Standing::Withdrawn) => Self::RegistrationWithdrawn,
            NoAuthority::Registration(_) => Self::RegistrationExpired,
            NoAuthority::License(None) => Self::NoLicense,
            NoAuthority::License(Some(Standing::Withdrawn)) => Self::LicenseWithdrawn,
            NoAuthority::License(Some(_)) => Self::LicenseExpired,
            NoAuthority::InternalCode => Self::NoInternalCode,
            NoAuthority::Schedule => Self::Schedule,
        }
    }
}

impl SigningHindrance {
    /// What is said of a passcode of a token that may not sign; none where it is not about the token.
    pub const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::TokenModel => Some(Refusal::ModelNotAllowed),
            Self::TokenNotActivated => Some(Refusal::NotActivated),
            Self::TokenNotPermitted => Some(Refusal::NotPermitted),
            _ => None,
        }
    }

    /// Stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Lacking => StateRefusal::Lacking.code(),
            Self::RegistrationExpired | Self::RegistrationWithdrawn => "registration_not_in_force",
            Self::NoLicense | Self::LicenseExpired | Self::LicenseWithdrawn => {
                "license_not_in_force"
            }
            Self::NoInternalCode => "internal_code_missing",
            Self::InternalCodeChanged => "internal_code_changed",
            Self::Schedule => "schedule_not_registered",
            Self::NotPermitted | Self::TokenNotPermitted => "not_permitted",
            Self::SeriesIncomplete => "series_incomplete",
            Self::NoGateway => "no_gateway",
            Self::Build => "build_not_listed",
            Self::Noncompliant => "build_noncompliant",
            Self::NoReport => "report_missing",
            Self::ReportExpired => "report_expired",
            Self::ReportNotAcknowledged => "report_not_acknowledged",
            Self::ReportNotReviewed => "report_not_reviewed",
            Self::Clock => "clock_not_checked",
            Self::NoAddress => "no_address",
            Self::TokenModel => "model_not_allowed",
            Self::TokenNotActivated => "not_activated",
        }
    }

    /// Which field of a request it is about; `prescriber`, `practice` and `installation` are none of a prescription.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Lacking => "prescriptions",
            Self::RegistrationExpired
            | Self::RegistrationWithdrawn
            | Self::NoLicense
            | Self::LicenseExpired
            | Self::LicenseWithdrawn
            | Self::NoInternalCode
            | Self::InternalCodeChanged
            | Self::NotPermitted => "dea",
            Self::Schedule => "schedule",
            Self::SeriesIncomplete => "series",
            Self::NoAddress | Self::ReportNotReviewed => "prescriber",
            Self::ReportNotAcknowledged => "practice",
            Self::NoGateway
            | Self::Build
            | Self::Noncompliant
            | Self::NoReport
            | Self::ReportExpired
            | Self::Clock => "installation",
            Self::TokenModel | Self::TokenNotActivated | Self::TokenNotPermitted => "token",
        }
    }
}
