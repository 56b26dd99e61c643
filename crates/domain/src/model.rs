use std::{collections::HashSet, fmt, str::FromStr};

use thiserror::Error;

use crate::{
    DeviceClass, Manufacturer, ModelCode, Purpose, Refusal, TextError, Timestamp, Token, TokenKind,
    check_line,
    signing::{SigningFacts, TokenFacts, hindrances},
};

/// What is wrong with what an operator says of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ModelError {
    /// A text that is empty, too long, or holds a character that can't be shown.
    #[error("{field}: {why}")]
    Text {
        /// Which text it is, such as "the maker".
        field: &'static str,
        /// Why the text is refused.
        why: TextError,
    },
    /// Neither a certificate nor "none".
    #[error(
        "a FIPS certificate is its number at the CMVP, such as 4816, or \"none\" where there is none"
    )]
    Certificate,
}

/// The FIPS 140 certificate of a model: its number, or none (21 CFR 1311.115(b)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FipsCertificate(Option<String>);

impl FipsCertificate {
    /// The model has no certificate.
    pub const NONE: Self = Self(None);

    /// The number, or "none".
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("none")
    }

    /// Whether there is one.
    pub const fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

impl FromStr for FipsCertificate {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self, ModelError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::NONE);
        }
        let number = text.strip_prefix('#').unwrap_or(text);
        if (1..=6).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(Some(number.to_owned())))
        } else {
            Err(ModelError::Certificate)
        }
    }
}

impl fmt::Display for FipsCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A model of tokens as the operator has judged it. One that has no entry may not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenModel {
    /// Code of the model, the key of its row.
    pub code: ModelCode,
    /// Name of the manufacturer: 1 to 40 characters.
    pub maker: String,
    /// Name of the model: 1 to 60 characters.
    pub name: String,
    /// Whether it is a soft token or a hardware token.
    pub kind: TokenKind,
    /// The certificate of its cryptographic module.
    pub fips: FipsCertificate,
    /// Whether its passcodes may sign, and so whether it may be added.
    pub allowed: bool,
    /// Why, in the operator's words; may be empty.
    pub note: String,
    /// Time of the last change of this entry.
    pub changed: Timestamp,
    /// Name of the operator who said so: 1 to 40 characters.
    pub changed_by: String,
}

impl TokenModel {
    /// Whose credential IDs tokens of this model have, as far as it is known.
    pub fn manufacturer(&self) -> Option<Manufacturer> {
        self.code.manufacturer().or_else(|| {
            let maker = self.maker.trim();
            Manufacturer::ALL.into_iter().find(|known| {
                maker.eq_ignore_ascii_case(known.code())
                    || maker.eq_ignore_ascii_case(known.label())
            })
        })
    }

    /// Checks the texts, which stand on pages and in the list of the command line.
    pub fn check(&self) -> Result<(), ModelError> {
        let texts = [
            ("the maker", &self.maker, true, 40),
            ("the name of the model", &self.name, true, 60),
            ("the note", &self.note, false, 120),
            ("your name", &self.changed_by, true, 40),
        ];
        for (field, text, needed, most) in texts {
            if needed && text.trim().is_empty() {
                return Err(ModelError::Text { field, why: TextError::Empty });
            }
            check_line(text, most).map_err(|why| ModelError::Text { field, why })?;
        }
        Ok(())
    }

    /// What this entry says and `before` did not, for the record. Whether the model may sign and its
    /// certificate always come first, so that a long note is what gets cut.
    pub fn change_from(&self, before: Option<&Self>) -> String {
        let yes = |allowed: bool| if allowed { "yes" } else { "no" };
        let mut changes = Vec::new();
        let mut add = |what: &str, was: Option<&str>, is: &str| match was {
            Some(was) if was == is => {}
            Some(was) => changes.push(format!("{what} {was} -> {is}")),
            None => changes.push(format!("{what} {is}")),
        };
        add("signing", before.map(|b| yes(b.allowed)), yes(self.allowed));
        add("fips", before.map(|b| b.fips.as_str()), self.fips.as_str());
        add("type", before.map(|b| b.kind.code()), self.kind.code());
        add("maker", before.map(|b| b.maker.as_str()), &self.maker);
        add("name", before.map(|b| b.name.as_str()), &self.name);
        add("note", before.map(|b| b.note.as_str()), &self.note);
        if changes.is_empty() {
            changes.push("looked at again, nothing changed".to_owned());
        }
        format!("{} by {}: {}", self.code, self.changed_by, changes.join("; ").trim_end())
    }
}

/// The models whose passcodes may sign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SigningModels(HashSet<ModelCode>);

impl SigningModels {
    /// Whether one is among them.
    pub fn allow(&self, model: &ModelCode) -> bool {
        self.0.contains(model)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a passcode that would sign and comes from a token of another model, from one that is
    /// not activated, or whose owner has no permission in force. Asked after the passcode was looked at:
    /// it is spent, and time does not tell them apart.
    pub fn check(&self, token: &Token, purpose: Purpose, now: Timestamp) -> Result<(), Refusal> {
        if purpose != Purpose::Sign {
            return Ok(());
        }
        let facts = TokenFacts::of(token, self.allow(token.model()), true, now);
        let found = hindrances(&SigningFacts { token: Some(facts), ..SigningFacts::CLEAR });
        found.first().and_then(|why| why.refusal()).map_or(Ok(()), Err)
    }
}

impl FromIterator<ModelCode> for SigningModels {
    fn from_iter<I: IntoIterator<Item = ModelCode>>(codes: I) -> Self {
        Self(codes.into_iter().collect())
    }
}

impl ModelCode {
    /// The model of a token of our own that lives on a device of this class.
    pub const fn for_device(class: DeviceClass) -> Self {
        match class {
            DeviceClass::Terminal => Self::known(Self::TERMINAL),
            DeviceClass::Phone
            | DeviceClass::Tablet
            | DeviceClass::Watch
            | DeviceClass::Unknown => Self::known(Self::AUTHENTICATOR),
        }
    }

    /// Whose credential IDs its tokens have, where that is fixed.
    pub fn manufacturer(&self) -> Option<Manufacturer> {
        match self.as_str() {
            Self::AUTHENTICATOR | Self::TERMINAL | Self::OTHER => Some(Manufacturer::Countersign),
            Self::VIP_ACCESS => Some(Manufacturer::Symantec),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> TokenModel {
        TokenModel {
            code: ModelCode::known(ModelCode::TERMINAL),
            maker: "Countersign".to_owned(),
            name: "Terminal token".to_owned(),
            kind: TokenKind::OtpSoft,
            fips: FipsCertificate::NONE,
            allowed: false,
            note: String::new(),
            changed: Timestamp::from_seconds(0),
            changed_by: "Ruth".to_owned(),
        }
    }

    #[test]
    fn certificates() {
        for (text, good) in
            [("none", "none"), (" None ", "none"), ("4816", "4816"), ("#4816", "4816")]
        {
            assert_eq!(text.parse::<FipsCertificate>().unwrap().as_str(), good);
        }
        for text in ["", "yes", "#", "48 16", "1234567"] {
            assert_eq!(text.parse::<FipsCertificate>(), Err(ModelError::Certificate), "{text}");
        }
        assert!(!FipsCertificate::NONE.is_some());
    }

    #[test]
    fn texts_are_short_and_on_one_line() {
        model().check().unwrap();
        for change in [
            |m: &mut TokenModel| {
                m.maker.clear();
                ("the maker", TextError::Empty)
            },
            |m: &mut TokenModel| {
                m.name = "x".repeat(61);
                ("the name of the model", TextError::TooLong { most: 60, found: 61 })
            },
            |m: &mut TokenModel| {
                m.note = "a\nb".to_owned();
                ("the note", TextError::LineBreak)
            },
            |m: &mut TokenModel| {
                m.changed_by = "R\u{202e}".to_owned();
                ("your name", TextError::Unseen('\u{202e}'))
            },
        ] {
            let mut model = model();
            let (field, why) = change(&mut model);
            assert_eq!(model.check(), Err(ModelError::Text { field, why }), "{model:?}");
        }
    }

    #[test]
    fn a_change_says_what_was_before() {
        let before = model();
        assert_eq!(
            before.change_from(None),
            "countersign-terminal by Ruth: signing no; fips none; type otp_soft; maker Countersign; \
             name Terminal token; note"
        );
        let mut after = before.clone();
        after.allowed = true;
        after.note = "asked legal".to_owned();
        assert_eq!(
            after.change_from(Some(&before)),
            "countersign-terminal by Ruth: signing no -> yes; note  -> asked legal"
        );
        assert!(before.change_from(Some(&before)).contains("nothing changed"));
    }

    #[test]
    fn the_model_of_a_device() {
        for class in DeviceClass::ALL {
            let terminal = ModelCode::for_device(class).as_str() == ModelCode::TERMINAL;
            assert_eq!(terminal, class == DeviceClass::Terminal);
        }
        let mut fob = model();
        assert_eq!(fob.manufacturer(), Some(Manufacturer::Countersign));
        fob.code = "fob-7".parse().unwrap();
        fob.maker = "onespan".to_owned();
        assert_eq!(fob.manufacturer(), Some(Manufacturer::OneSpan));
        fob.maker = "Acme".to_owned();
        assert_eq!(fob.manufacturer(), None);
    }
}
