//! One prescription with its signed record, and the keys that sign records.

use countersign_crypto::SigningKey;
use countersign_domain::{
    CredentialId, DeviceClass, PracticeId, PrescriptionId, Timestamp, Token, canonical::Json,
    command::commands, ocra::Binding, prescription::SIGNING_STATEMENT,
};
use countersign_protocol::record;
use countersign_store::{PrescriptionRow, PublicKey, SignedRecord, Transmission, Tx};

use super::{
    chart::{Chart, of_chart},
    judgment::{Judgment, judge_row},
    practitioner::Practitioner,
    signing_set::SigningSet,
};
use crate::{
    App, At, Error,
    command::{Caller, Decision},
};

/// One prescription, and what became of it.
#[derive(Clone)]
pub struct OneRx {
    /// The prescription.
    pub row: PrescriptionRow,
    /// Its signed record.
    pub signed: Option<SignedRecord>,
    /// Its way to the pharmacy.
    pub way: Option<Transmission>,
    /// When its practitioner said that it is not theirs.
    pub disowned: Option<Timestamp>,
    /// What keeps its practitioner from marking it ready; nothing where that was not asked, or it is signed.
    pub judgment: Judgment,
}

impl OneRx {
    pub(crate) fn of(
        tx: &mut Tx<'_>,
        row: PrescriptionRow,
    ) -> Result<Self, countersign_store::Error> {
        let signed = tx.signed_record(row.practice, row.id)?;
        let way = tx.transmission(row.id)?;
        let disowned = tx.disowned(row.id)?;
        Ok(Self { row, signed, way, disowned, judgment: Judgment::default() })
    }
}

impl App {
    /// One prescription of the chart.
    pub async fn prescription(
        &self,
        chart: &Chart,
        id: PrescriptionId,
        at: At,
    ) -> Result<OneRx, Error> {
        let (chart, ground) = (chart.clone(), self.ground(at.now));
        let found = self
            .store
            .read("prescription", move |tx| {
                let Some(mut row) = of_chart(tx, &chart, id)? else { return Ok(None) };
                let mut judgment = Judgment::default();
                let (by, practice) = (row.it.prescriber, row.practice);
                if row.it.state.is_open()
                    && let Some(it) = Practitioner::of(tx, by, practice, at.now)?
                {
                    it.complete(&mut row.it.content);
                    judgment = judge_row(tx, &it, &ground, &mut row)?;
                }
                Ok(Some(OneRx { judgment, ..OneRx::of(tx, row)? }))
            })
            .await?;
        found.ok_or(Error::NotFound)
    }

    /// The keys that ever signed, for whoever verifies.
    pub async fn public_keys(&self) -> Result<Vec<PublicKey>, Error> {
        Ok(self.store.read("public_keys", |tx| tx.public_keys()).await?)
    }

    /// Lets a practice sign with a new key from now on.
    pub async fn rotate_signing_key(&self, practice: PracticeId, at: At) -> Result<String, Error> {
        self.run(commands::ROTATE_SIGNING_KEY, Caller::Operator, at, move |cx| {
            cx.event.practice = Some(practice);
            let (key_id, _) = cx.tx.new_signing_key(practice, at.now)?;
            cx.detail(&key_id);
            Ok(Decision::Done(key_id))
        })
        .await?
        .certain()
    }
}

/// Signs one, puts its record into the archive and writes its state.
pub(super) fn sign_one(
    tx: &mut Tx<'_>,
    set: &SigningSet,
    mut row: PrescriptionRow,
    by: (&Token, Binding),
    (key_id, key): &(String, SigningKey),
    now: Timestamp,
) -> Result<(), countersign_store::Error> {
    let person = set.person.id;
    let rules = set.practitioner.rules(&set.ground, row.it.content.dea);
    row.it.sign(person, &rules, now).map_err(|_| Tx::broken("what was ready is not"))?;
    row.changed = now;
    let payload = signed_json(set, &row, by, now);
    let kind = "countersign-prescription+jws";
    let jws = record::sign(key, key_id, kind, &payload)
        .ok_or_else(|| Tx::broken("a record that can't be signed"))?;
    tx.archive(&SignedRecord {
        prescription: row.id,
        practice: row.practice,
        prescriber: person,
        signed: now,
        key_id: key_id.clone(),
        jws,
    })?;
    tx.save_prescription(&row)?;
    // In the same transaction: what is signed is on its way, whatever happens to this process next.
    tx.transmit(row.practice, row.id, now)
}

/// The full record (21 CFR 1311.120(b)(15)): what was prescribed, by whom, when, and how they proved it.
fn signed_json(
    set: &SigningSet,
    row: &PrescriptionRow,
    (token, binding): (&Token, Binding),
    now: Timestamp,
) -> Json {
    let npi = set.npi();
    let (year, month, day, hour, minute, second) = now.civil();
    let signed_at = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    let content = &row.it.content;
    let state = set.practitioner.state(content.dea);
    let state = state.map(|state| state.as_text()).unwrap_or_default();
    let dea = content.written_dea();
    let credential: &CredentialId = token.credential();
    let class: DeviceClass = token.device().class;
    Json::object([
        ("format", Json::from(record::RECORD_FORMAT)),
        ("id", Json::from(row.id.to_string())),
        ("written", Json::from(set.today.to_string())),
        ("signed_at", Json::from(signed_at)),
        ("statement", Json::from(SIGNING_STATEMENT)),
        (
            "practitioner",
            Json::object([
                ("name", Json::from(set.person.name.as_str())),
                ("npi", Json::from(npi)),
                ("dea", Json::from(dea)),
                ("dea_state", Json::from(state)),
                ("address", Json::from(set.address.as_str())),
                ("practice", Json::from(set.practice.as_str())),
            ]),
        ),
        ("prescription", content.json()),
        (
            "authentication",
            Json::object([
                ("factors", Json::List(vec![Json::from("passphrase"), Json::from("passcode")])),
                ("token", Json::from(credential.masked())),
                ("model", Json::from(token.model().to_string())),
                ("device", Json::from(class.code())),
                ("binding", Json::from(binding.code())),
                ("step", Json::Int(token.last_step().map_or(-1, |step| step.number()))),
            ]),
        ),
        ("software", Json::from(concat!("countersign ", env!("CARGO_PKG_VERSION")))),
    ])
}
