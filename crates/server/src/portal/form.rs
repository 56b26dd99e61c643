//! The fields of forms and addresses, and how they are read.

use std::convert::Infallible;

use axum::{
    Form,
    extract::{FromRequest, FromRequestParts, Request},
    response::{IntoResponse, Response},
};
use countersign_crypto::SecretText;
use countersign_domain::{check_line, retyped};
use http::request::Parts;

use super::layers::bare;
use crate::{
    Shared,
    views::{Choice, ChoiceField, TextField},
};

/// The fields of a form. The first of each name counts.
pub(crate) struct Fields(pub(super) Vec<(String, String)>);

impl Fields {
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// What was typed, for the form that is shown again beside what is wrong: at most so many characters, and U+FFFD
    /// for each that can't be seen.
    pub(super) fn again(&self, name: &str, most: usize) -> String {
        retyped(&self.text(name).trim().chars().take(most).collect::<String>())
    }

    pub(super) fn secret(&self, name: &str) -> SecretText {
        SecretText::new(self.text(name).to_owned())
    }
}

impl FromRequest<Shared> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, Response> {
        match Form::<Vec<(String, String)>>::from_request(request, state).await {
            Ok(Form(fields)) => Ok(Self(fields)),
            Err(rejection) => Err(bare(rejection.into_response().status())),
        }
    }
}

/// What the address says after the question mark.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let parsed =
            axum::extract::Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        Ok(Self(parsed.map(|query| query.0).unwrap_or_default()))
    }
}

/// A field of one line, as typed. What keeps it from being taken stands beside it, and nothing is cut.
pub(super) fn typed(fields: &Fields, name: &str, most: usize) -> TextField {
    let text = fields.text(name).trim();
    let error = check_line(text, most).err().map(|error| error.to_string());
    TextField { value: retyped(text), error }
}

/// A field with room for several lines, whose text is one: a space stands for each line break.
pub(super) fn typed_lines(fields: &Fields, name: &str, most: usize) -> TextField {
    let lines: Vec<&str> = fields.text(name).split(['\r', '\n']).map(str::trim).collect();
    let text: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let text = text.join(" ");
    let error = check_line(&text, most).err().map(|error| error.to_string());
    TextField { value: retyped(&text), error }
}

/// Reads a field; what is wrong with it stands beside it.
pub(super) fn read<T: std::str::FromStr<Err: ToString>>(field: &mut TextField) -> Option<T> {
    if field.error.is_some() {
        return None;
    }
    match field.value.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            field.error = Some(T::Err::to_string(&error));
            None
        }
    }
}

/// Reads a field that may be empty.
pub(super) fn optional<T: std::str::FromStr<Err: ToString>>(field: &mut TextField) -> Option<T> {
    if field.value.is_empty() { None } else { read(field) }
}

const NO_REASON: &str = "Enter a short reason.";

/// A reason as typed; an empty one is none.
pub(super) fn reason(fields: &Fields, name: &str) -> TextField {
    let mut field = typed(fields, name, 200);
    if field.value.is_empty() {
        field.error = Some(NO_REASON.to_owned());
    }
    field
}

pub(super) fn choice(options: Vec<Choice>, value: &str) -> ChoiceField {
    let first = options.first().map(|first| first.value.clone()).unwrap_or_default();
    let value = if options.iter().any(|it| it.value == value) { value.to_owned() } else { first };
    ChoiceField { value, options, error: None }
}
