//! Signed records as files: CSV, JSON and PDF.

use countersign_domain::Timestamp;
use countersign_protocol::record;
use serde_json::json;

use super::Entry;
use crate::pdf;

/// In which form records leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A table (RFC 4180).
    Csv,
    /// A JSON object a line, with the signed record whole: what another installation can verify.
    JsonLines,
    /// Pages to print.
    Pdf,
}

/// The records as a file; the title stands on pages alone.
pub fn rendered(entries: &[Entry], format: Format, title: &str) -> Vec<u8> {
    match format {
        Format::Csv => csv(entries).into_bytes(),
        Format::Pdf => {
            let words = |it: &Entry| {
                record::paragraphs(&it.said, it.it.state.label(), it.it.disowned.is_some())
            };
            pdf::document(title, &entries.iter().flat_map(words).collect::<Vec<_>>())
        }
        Format::JsonLines => entries
            .iter()
            .map(|entry| {
                let record = &entry.it.record;
                let line = json!({
                    "id": record.prescription.to_string(),
                    "signed_at": entry.text("/signed_at"),
                    "state": entry.it.state.code(),
                    "disowned": entry.it.disowned.map(Timestamp::minute_text),
                    "key_id": record.key_id,
                    "signed_record": record.jws,
                });
                format!("{line}\n")
            })
            .collect::<String>()
            .into_bytes(),
    }
}

pub(super) fn csv(entries: &[Entry]) -> String {
    const HEAD: &str = "signed_at,patient,birth_date,mrn,drug,strength,form,schedule,quantity,unit,refills,earliest_fill,directions,pharmacy,practitioner,npi,dea,state,disowned,id,key_id,days_supply,last_fill,series,supervisor\r\n";
    let mut text = HEAD.to_owned();
    for entry in entries {
        let signed = &entry.it.record;
        let refills = entry.number("/prescription/refills").to_string();
        let (id, disowned) = (
            signed.prescription.to_string(),
            entry.it.disowned.map(Timestamp::minute_text).unwrap_or_default(),
        );
        let of = |path: &str| entry.text(path);
        let days = match entry.number("/prescription/days_supply") {
            0 => String::new(),
            days => days.to_string(),
        };
        let series = record::series(&entry.said);
        let cells = [
            of("/signed_at"),
            of("/prescription/patient/name"),
            of("/prescription/patient/birth_date"),
            of("/prescription/patient/mrn"),
            of("/prescription/drug"),
            of("/prescription/strength"),
            of("/prescription/form"),
            of("/prescription/schedule"),
            of("/prescription/quantity"),
            of("/prescription/unit"),
            &refills,
            of("/prescription/earliest_fill"),
            of("/prescription/directions"),
            of("/prescription/pharmacy/name"),
            of("/practitioner/name"),
            of("/practitioner/npi"),
            of("/practitioner/dea"),
            entry.it.state.code(),
            &disowned,
            &id,
            &signed.key_id,
            &days,
            of("/prescription/last_fill"),
            &series,
            of("/prescription/supervisor/name"),
        ];
        let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A cell of a table, quoted; what a spreadsheet would take for a formula is marked as text.
pub(super) fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let mark = if formula { "'" } else { "" };
    format!("\"{mark}{}\"", text.replace('"', "\"\""))
}
