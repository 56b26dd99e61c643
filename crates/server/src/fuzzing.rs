//! What the fuzz target does with its input; a test does the same with the corpus.

use countersign_domain::{
    Date, DeaNumber, Timestamp, check_line,
    prescription::{Quantity, longest},
    read_dea,
};
use countersign_protocol::launch::LaunchPatient;

use crate::api::read_request;

/// One target: the bytes are the input.
pub type Target = fn(&[u8]);

/// All targets by the name of their corpus.
pub const TARGETS: [(&str, Target); 1] = [("signing_request", signing_request)];

/// 2026-11-01 00:00 UTC.
const NOW: Timestamp = Timestamp::from_seconds(1_793_491_200);

/// A request that stands has a patient as a launch may have one, and its fields are read without a fault; one that does
/// not is told why.
pub fn signing_request(data: &[u8]) {
    let Some(read) = read_request(data, NOW) else { return };
    let request = match read {
        Ok(request) => request,
        Err(errors) => return assert!(!errors.is_empty(), "refused without a reason"),
    };
    let it = request.patient;
    assert!(check_line(&it.address, longest("address")).is_ok(), "an address that is not shown");
    let patient = LaunchPatient { id: it.id, name: it.name, birth_date: it.born, mrn: it.mrn };
    assert!(patient.wrong_field(NOW).is_none(), "a patient that a launch would refuse");
    for it in request.prescriptions {
        if let Ok(quantity) = it.quantity.parse::<Quantity>() {
            let again = quantity.as_str().parse::<Quantity>();
            assert!(again == Ok(quantity), "a quantity changed");
        }
        if let Ok((number, _)) = read_dea(&it.dea) {
            let again = number.as_text().parse::<DeaNumber>();
            assert!(again == Ok(number), "a DEA number changed");
        }
        if let Ok(day) = it.earliest_fill.parse::<Date>() {
            assert!(day.to_string() == it.earliest_fill, "a day changed");
        }
    }
}
