//! What the fuzz targets do with their input; the tests do the same with the corpus.

use std::{collections::BTreeSet, str};

use countersign_domain::{CredentialId, Manufacturer};

use crate::{
    fobs,
    native::{Answer, PairingCode, ProvisionRequest},
    otpauth::{OtpAuth, URI_MAX_BYTES},
    vip::{
        CheckForm, Fault, SharedSecretRequest, SyncForm, VipKeys,
        client::{ClientError, Received},
    },
};

/// One target: the bytes are the input.
pub type Target = fn(&[u8]);

/// All targets by the name of their corpus.
pub const TARGETS: [(&str, Target); 9] = [
    ("vip_request", vip_request),
    ("vip_forms", vip_forms),
    ("vip_answer", vip_answer),
    ("native_request", native_request),
    ("native_answer", native_answer),
    ("pairing_code", pairing_code),
    ("otpauth_uri", otpauth_uri),
    ("credential_id", credential_id),
    ("hardware_tokens", hardware_tokens),
];

/// The keys of the seeds in the corpus; made for it and used nowhere else.
pub fn keys() -> Option<VipKeys> {
    VipKeys::from_hex(&"5a".repeat(32), &"a5".repeat(16)).ok()
}

/// A request is refused in the protocol's own form, or stands.
pub fn vip_request(data: &[u8]) {
    let Some(keys) = keys() else { return };
    let refusal = match SharedSecretRequest::parse(data).map(|request| request.authenticate(&keys))
    {
        Ok(Ok(request)) => request.refuse(Fault::Unavailable),
        Ok(Err(refusal)) | Err(refusal) => refusal,
    };
    let read = Received::from_xml(refusal.to_xml().as_bytes(), &keys).err();
    let told = ClientError::Refused {
        reason_code: refusal.fault().reason_code().to_owned(),
        message: refusal.fault().to_string(),
    };
    assert!(read == Some(told), "a client cannot read the refusal");
}

/// No body is both forms.
pub fn vip_forms(data: &[u8]) {
    let both = CheckForm::parse(data).is_ok() && SyncForm::parse(data).is_ok();
    assert!(!both, "one body is both forms");
}

/// The client's side of the protocol.
pub fn vip_answer(data: &[u8]) {
    let Some(keys) = keys() else { return };
    let _ = Received::from_xml(data, &keys);
}

/// What was read is read again from what is written.
pub fn native_request(data: &[u8]) {
    let Ok(request) = ProvisionRequest::from_json(data) else { return };
    let again = ProvisionRequest::from_json(request.to_json().expose().as_bytes());
    let same = again.is_ok_and(|again| {
        again.device_key == request.device_key
            && again.algorithm == request.algorithm
            && again.family == request.family
            && again.device_class == request.device_class
            && again.device_evidence == request.device_evidence
            && again.pairing_code.map(|code| code.digest())
                == request.pairing_code.map(|code| code.digest())
    });
    assert!(same, "a request changed on its way");
}

/// What was read is read again from what is written.
pub fn native_answer(data: &[u8]) {
    let Ok(answer) = Answer::from_json(data) else { return };
    assert!(Answer::from_json(answer.to_json().as_bytes()) == Ok(answer), "an answer changed");
}

/// Every spelling of a code is that code.
pub fn pairing_code(data: &[u8]) {
    let Ok(Ok(code)) = str::from_utf8(data).map(str::parse::<PairingCode>) else { return };
    for text in [code.text(), code.grouped_text()] {
        let again = text.expose().parse::<PairingCode>();
        assert!(again.is_ok_and(|again| again.ct_eq(&code)), "a code changed");
    }
}

/// What is read is within the bounds of its types.
pub fn otpauth_uri(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(read) = OtpAuth::parse(text) {
        assert!(text.len() <= URI_MAX_BYTES && !read.account.is_empty(), "a URI out of bounds");
    }
}

/// What is typed becomes an ID that stays the same when it is typed again.
pub fn credential_id(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let makers = Manufacturer::ALL.into_iter().map(Some);
    for maker in makers.chain([None]) {
        if let Ok(id) = CredentialId::parse(text, maker) {
            let again = CredentialId::parse(id.as_str(), Some(id.manufacturer()));
            assert!(again.as_ref() == Ok(&id), "an ID changed");
        }
    }
}

/// A delivery is taken as a whole, or its fault names a place and nothing that stands there.
pub fn hardware_tokens(data: &[u8]) {
    for maker in Manufacturer::ALL.into_iter().map(Some).chain([None]) {
        match fobs::read(data, maker) {
            Ok(all) => {
                let serials: BTreeSet<&str> = all.iter().map(|it| it.credential.as_str()).collect();
                assert!(!all.is_empty() && serials.len() == all.len(), "a token twice, or none");
            }
            Err(error) => {
                let lines = data.split(|byte| *byte == b'\n').count();
                let line = error.line.and_then(|line| usize::try_from(line).ok());
                assert!(
                    line.is_none_or(|line| (1..=lines).contains(&line)),
                    "a line that is not there"
                );
            }
        }
    }
}
