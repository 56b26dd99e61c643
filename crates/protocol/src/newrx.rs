//! A signed prescription as the message that pharmacies read: the shape of a `NewRx` of NCPDP SCRIPT.
//!
//! The standard and its schema can be had by members of NCPDP alone. This module is the one place that
//! knows the shape: it was written from what public guides show of version 2017071, it was not validated
//! against the schema, and no network was tried. Whoever connects one checks it here.
//!
//! Every element comes from the signed record, and from nothing else: what is sent can't differ from what was signed
//! (21 CFR 1311.170(e)).

use askama::Template;
use countersign_domain::{
    PrescriptionId, Schedule,
    prescription::{LONGEST_NOTE, longest},
};
use serde_json::Value;

#[derive(Template)]
#[template(path = "newrx.xml", escape = "html")]
struct NewRx<'a> {
    id: &'a str,
    signed_at: &'a str,
    written: &'a str,
    ncpdp: &'a str,
    pharmacy: &'a str,
    npi: &'a str,
    dea: &'a str,
    name: &'a str,
    practitioner_address: &'a str,
    practice: &'a str,
    supervisor: &'a str,
    supervisor_dea: &'a str,
    patient: &'a str,
    mrn: &'a str,
    born: &'a str,
    address: &'a str,
    drug: String,
    schedule: &'static str,
    quantity: &'a str,
    unit: &'a str,
    days_supply: i64,
    directions: &'a str,
    refills: i64,
    earliest_fill: &'a str,
    last_fill: &'a str,
    note: String,
    key_id: &'a str,
}

/// The code of a schedule in the NCI thesaurus, as SCRIPT uses it.
const fn schedule_code(schedule: Schedule) -> &'static str {
    match schedule {
        Schedule::II | Schedule::IIN => "C48675",
        Schedule::III | Schedule::IIIN => "C48676",
        Schedule::IV => "C48677",
        Schedule::V => "C48679",
    }
}

/// The message of the record of a prescription, which was signed with the key of this ID. What does not fit is refused, never cut (21 CFR 1311.170(e)).
pub fn of_record(
    prescription: PrescriptionId,
    key_id: &str,
    jws: &str,
) -> Result<String, &'static str> {
    let said = crate::record::said(jws).ok_or("the signed record can't be read")?;
    let text = |path: &str| said.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let number = |path: &str| said.pointer(path).and_then(Value::as_i64).unwrap_or_default();
    if text("/id") != prescription.to_string() {
        return Err("the signed record is of another prescription");
    }
    let directions = text("/prescription/directions");
    if directions.chars().count() > longest("directions") {
        return Err("the directions are too long for the pharmacies' network");
    }
    let schedule = text("/prescription/schedule");
    let schedule = Schedule::ALL.into_iter().find(|known| known.code() == schedule);
    let ncpdp = text("/prescription/pharmacy/ncpdp");
    let (Some(schedule), false) = (schedule, ncpdp.is_empty()) else {
        return Err("the record names no pharmacy, or no schedule");
    };
    // The network has no element for a series: the pharmacist reads of it in the note.
    let series = crate::record::series(&said);
    let note = match (text("/prescription/note"), series.as_str()) {
        (note, "") => note.to_owned(),
        ("", series) => format!("Series: {series}."),
        (note, series) => format!("{note} Series: {series}."),
    };
    if note.chars().count() > LONGEST_NOTE {
        return Err("the note is too long for the pharmacies' network");
    }
    let drug = ["drug", "strength", "form"].map(|name| text(&format!("/prescription/{name}")));
    NewRx {
        id: text("/id"),
        signed_at: text("/signed_at"),
        written: text("/written"),
        ncpdp,
        pharmacy: text("/prescription/pharmacy/name"),
        npi: text("/practitioner/npi"),
        dea: text("/practitioner/dea"),
        name: text("/practitioner/name"),
        practitioner_address: text("/practitioner/address"),
        practice: text("/practitioner/practice"),
        supervisor: text("/prescription/supervisor/name"),
        supervisor_dea: text("/prescription/supervisor/dea"),
        patient: text("/prescription/patient/name"),
        mrn: text("/prescription/patient/mrn"),
        born: text("/prescription/patient/birth_date"),
        address: text("/prescription/patient/address"),
        drug: drug.join(" "),
        schedule: schedule_code(schedule),
        quantity: text("/prescription/quantity"),
        unit: text("/prescription/unit"),
        days_supply: number("/prescription/days_supply"),
        directions,
        refills: number("/prescription/refills"),
        earliest_fill: text("/prescription/earliest_fill"),
        last_fill: text("/prescription/last_fill"),
        note,
        key_id,
    }
    .render()
    .map_err(|_| "the message was not made")
}
