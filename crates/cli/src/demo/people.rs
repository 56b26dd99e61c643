//! The made-up people and practices of the demonstration.

/// The NPI that 45 CFR's own examples use.
pub(super) const NPI: &str = "1234567893";
pub(super) const NAME: &str = "Dr. Ada Moreno";
pub(super) const PRACTICE: &str = "Lakeside Clinic";
pub(super) const TOKEN: &str = "Demo phone";
pub(super) const DEA: &str = "BM1234563";

pub(super) const HOSPITAL: &str = "Lakeside Hospital";
pub(super) const HOSPITAL_DEA: &str = "AH5006134";

/// One of the others of the practice.
pub(super) struct OtherPerson {
    pub(super) name: &'static str,
    /// What they log in with.
    pub(super) sign_in: &'static str,
    /// What they are, for whoever tries the demonstration.
    pub(super) role: &'static str,
    pub(super) dea: Option<&'static str>,
    /// Name of their token.
    pub(super) token: &'static str,
    /// A telephone of their own: people who share one are one person to access control.
    pub(super) phone: &'static str,
}

/// The others of the practice.
pub(super) const OTHERS: [OtherPerson; 3] = [
    OtherPerson {
        name: "Ruth Okafor",
        sign_in: "ruth@lakeside.example",
        role: "administrator, requests permissions; credential issuer in the hospital",
        dea: None,
        token: "Ruth's phone",
        phone: "+1 402 555 0102",
    },
    OtherPerson {
        name: "Dr. Ben Castillo",
        sign_in: "1000000004",
        role: "second prescriber, approves permissions",
        dea: Some("BC1234563"),
        token: "Ben's phone",
        phone: "+1 402 555 0103",
    },
    OtherPerson {
        name: "Sam Whitfield",
        sign_in: "sam@lakeside.example",
        role: "identity proofing in the hospital; reviews name or address mismatches in the clinic",
        dea: None,
        token: "Sam's phone",
        phone: "+1 402 555 0104",
    },
];

/// Those who are invited and not enrolled: given name, family name, NPI, date of birth at the provider,
/// telephone.
pub(super) const GRACE: (&str, &str, &str, &str, &str) =
    ("Grace", "Lindholm", "1000001002", "1979-02-03", "+14025550111");
pub(super) const OMAR: (&str, &str, &str, &str, &str) =
    ("Omar", "Haddad", "1000002000", "1983-09-21", "+14025550112");
