//! A signed prescription as the message that pharmacies read: the shape of a `NewRx` of NCPDP SCRIPT.
//!
//! The standard and its schema can be had by members of NCPDP alone. This module is the one place that
//! knows the shape: it was written from what public guides show of version 2017071, it was not validated
//! against the schema, and no network was tried. Whoever connects one checks it here.

use askama::Template;
use countersign_domain::{
    Schedule,
    prescription::{Quantity, longest},
};
use countersign_store::{PrescriptionRow, SignedRecord};
use serde_json::Value;

#[derive(Template)]
#[template(path = "newrx.xml", escape = "html")]
struct NewRx<'a> {
    id: String,
    signed_at: &'a str,
    written: &'a str,
    ncpdp: &'a str,
    pharmacy: &'a str,
    npi: &'a str,
    dea: &'a str,
    name: &'a str,
    practitioner_address: &'a str,
    practice: &'a str,
    patient: &'a str,
    mrn: &'a str,
    born: &'a str,
    address: &'a str,
    drug: String,
    schedule: &'static str,
    quantity: &'a str,
    unit: &'a str,
    directions: &'a str,
    refills: u8,
    earliest_fill: String,
    note: &'a str,
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

/// The message of a record. What does not fit is refused, never cut (21 CFR 1311.170(e)).
pub(crate) fn of_record(
    row: &PrescriptionRow,
    signed: &SignedRecord,
) -> Result<String, &'static str> {
    let said = crate::record::said(&signed.jws).ok_or("the signed record can't be read")?;
    let text = |path: &str| said.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let content = &row.it.content;
    if content.directions.chars().count() > longest("directions") {
        return Err("the directions are too long for the pharmacies' network");
    }
    let (Some(pharmacy), Some(schedule)) = (&content.pharmacy, content.schedule) else {
        return Err("the record names no pharmacy, or no schedule");
    };
    NewRx {
        id: row.id.to_string(),
        signed_at: text("/signed_at"),
        written: text("/written"),
        ncpdp: &pharmacy.ncpdp,
        pharmacy: &pharmacy.name,
        npi: text("/practitioner/npi"),
        dea: text("/practitioner/dea"),
        name: text("/practitioner/name"),
        practitioner_address: text("/practitioner/address"),
        practice: text("/practitioner/practice"),
        patient: &content.patient.name,
        mrn: &content.patient.mrn,
        born: &content.patient.born,
        address: &content.patient.address,
        drug: [content.drug.as_str(), &content.strength, &content.form].join(" "),
        schedule: schedule_code(schedule),
        quantity: content.quantity.as_ref().map_or("", Quantity::as_str),
        unit: &content.unit,
        directions: &content.directions,
        refills: content.refills,
        earliest_fill: content.earliest_fill.map(|day| day.to_string()).unwrap_or_default(),
        note: &content.note,
        key_id: &signed.key_id,
    }
    .render()
    .map_err(|_| "the message was not made")
}
