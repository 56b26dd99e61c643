//! The document of the API, made from the bodies and the list of operations.

use std::sync::LazyLock;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    prescribers::PrescriberBody,
    receipts::ReceiptBody,
    requests::{NewRequestBody, ProblemBody},
    signatures::{RequestBody, SignatureBody},
    token::{TokenForm, TokenReply},
};

/// One operation of the document.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    scope: Option<&'static str>,
    /// Content type and schema of the body.
    body: Option<(&'static str, &'static str)>,
    /// Good status, and the schema of its answer.
    good: (&'static str, &'static str),
    /// What else it may answer.
    bad: &'static [&'static str],
}

const JSON: &str = "application/json";

const OPERATIONS: [Operation; 6] = [
    Operation {
        path: "/api/v1/token",
        method: "post",
        id: "getToken",
        summary: "Get an access token with a private-key JWT",
        scope: None,
        body: Some(("application/x-www-form-urlencoded", "TokenForm")),
        good: ("200", "TokenReply"),
        bad: &["400", "401", "429"],
    },
    Operation {
        path: "/api/v1/prescribers/{npi}",
        method: "get",
        id: "getPrescriber",
        summary: "Read a prescriber of the practice, with tokens and registrations",
        scope: Some("prescribers.read"),
        body: None,
        good: ("200", "PrescriberBody"),
        bad: &["401", "403", "404"],
    },
    Operation {
        path: "/api/v1/signing-requests",
        method: "post",
        id: "createSigningRequest",
        summary: "Create a request to sign prescriptions together. Idempotent by its key for one day",
        scope: Some("signing"),
        body: Some((JSON, "NewRequestBody")),
        good: ("201", "RequestBody"),
        bad: &["400", "401", "403", "409", "413", "415", "422"],
    },
    Operation {
        path: "/api/v1/signing-requests/{id}",
        method: "get",
        id: "getSigningRequest",
        summary: "Read a signing request: what to show, a new digest, and the outcome",
        scope: Some("signing"),
        body: None,
        good: ("200", "RequestBody"),
        bad: &["401", "403", "404"],
    },
    Operation {
        path: "/api/v1/signing-requests/{id}/signature",
        method: "post",
        id: "sign",
        summary: "Sign all of its prescriptions, with passphrase and passcode",
        scope: Some("signing"),
        body: Some((JSON, "SignatureBody")),
        good: ("200", "RequestBody"),
        bad: &["400", "401", "403", "404", "409", "413", "415", "422"],
    },
    Operation {
        path: "/api/v1/prescriptions/{id}",
        method: "get",
        id: "getPrescription",
        summary: "Read the status of a prescription, and its signed record",
        scope: Some("receipts.read"),
        body: None,
        good: ("200", "ReceiptBody"),
        bad: &["401", "403", "404"],
    },
];

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

impl Operation {
    fn document(&self) -> Value {
        let mut parameters = Vec::new();
        for name in ["npi", "id"] {
            if self.path.contains(&format!("{{{name}}}")) {
                let schema = json!({ "type": "string" });
                parameters.push(
                    json!({ "name": name, "in": "path", "required": true, "schema": schema }),
                );
            }
        }
        if self.id == "createSigningRequest" {
            let schema = json!({ "type": "string", "minLength": 1, "maxLength": 128 });
            parameters.push(json!({ "name": "Idempotency-Key", "in": "header", "required": true, "schema": schema }));
        }
        let answer = |text: &str, kind: &str, schema: &str| json!({ "description": text, "content": { kind: { "schema": reference(schema) } } });
        let mut responses = Map::new();
        responses.insert(self.good.0.to_owned(), answer("Success.", JSON, self.good.1));
        for status in self.bad.iter().chain(&["500", "503", "504"]) {
            let text = "A problem document (RFC 9457); its `code` identifies the problem.";
            let response = if self.scope.is_some() || status.starts_with('5') {
                answer(text, "application/problem+json", "ProblemBody")
            } else {
                json!({ "description": "An OAuth error (RFC 6749, 5.2)." })
            };
            responses.insert((*status).to_owned(), response);
        }
        let mut it = Map::new();
        it.insert("operationId".to_owned(), json!(self.id));
        it.insert("summary".to_owned(), json!(self.summary));
        if !parameters.is_empty() {
            it.insert("parameters".to_owned(), json!(parameters));
        }
        if let Some((kind, schema)) = self.body {
            let content = json!({ kind: { "schema": reference(schema) } });
            it.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
        if let Some(scope) = self.scope {
            it.insert("security".to_owned(), json!([{ "oauth": [scope] }]));
        }
        it.insert("responses".to_owned(), Value::Object(responses));
        Value::Object(it)
    }
}

/// Made once: it never changes while the program runs.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi);

/// The document: `OpenAPI` 3.1.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = SchemaGenerator::new(settings);
    generator.subschema_for::<TokenForm>();
    generator.subschema_for::<TokenReply>();
    generator.subschema_for::<PrescriberBody>();
    generator.subschema_for::<NewRequestBody>();
    generator.subschema_for::<RequestBody>();
    generator.subschema_for::<SignatureBody>();
    generator.subschema_for::<ReceiptBody>();
    generator.subschema_for::<ProblemBody>();
    let schemas: Map<String, Value> = generator.take_definitions(true);
    let mut paths: Map<String, Value> = Map::new();
    for operation in &OPERATIONS {
        let entry = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = entry.as_object_mut() {
            methods.insert(operation.method.to_owned(), operation.document());
        }
    }
    let scopes = json!({
        "prescribers.read": "Read prescribers, their tokens and registrations",
        "signing": "Create signing requests, and sign them with what the prescriber entered",
        "receipts.read": "Read the status of prescriptions, and their signed records",
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "For EHRs with their own user interface. Every response is limited to the caller's practice.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "oauth": {
                "type": "oauth2",
                "description": "Client credentials with a private-key JWT (RFC 7523).",
                "flows": { "clientCredentials": { "tokenUrl": "/api/v1/token", "scopes": scopes } },
            } },
        },
    })
}
