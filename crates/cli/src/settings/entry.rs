//! One setting as the documents show it: its key, variable, bounds and words, and the checks of a single value.

use config::{Value, ValueKind};

use super::PREFIX;

/// One setting as the documents show it.
pub(super) struct Entry {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) doc: Vec<&'static str>,
    pub(super) default: serde_json::Value,
    pub(super) bounds: Option<(i64, i64)>,
}

impl Entry {
    pub(super) fn key(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}__{}", self.section, self.name).to_ascii_uppercase()
    }

    /// The words that a setting takes, where it takes only some.
    pub(super) fn words(&self) -> &'static [&'static str] {
        match (self.section, self.name) {
            ("database", "kind") => &["sqlite", "postgres"],
            ("policy", "same_browser") => &["deny", "warn"],
            ("server", "client_address") => &["x-forwarded-for", "forwarded", "proxy-protocol"],
            ("log", "format") => &["text", "json"],
            ("log", "level") => &["error", "warn", "info", "debug", "trace"],
            _ => &[],
        }
    }

    fn unknown_word(&self, word: &str) -> Option<String> {
        let words = self.words();
        let unknown = !words.is_empty() && !words.contains(&word);
        unknown.then(|| format!("{} must be one of {}, not {word:?}", self.key(), words.join(", ")))
    }

    pub(super) fn out_of_bounds(&self, value: i64) -> Option<String> {
        let (low, high) = self.bounds?;
        let outside = value < low || value > high;
        outside.then(|| format!("{} must be from {low} to {high}, not {value}", self.key()))
    }

    /// Looks at a value of the file before it is converted: conversions round, cut and guess.
    pub(super) fn fault_of(&self, value: &Value) -> Option<String> {
        let key = self.key();
        match (&self.default, &value.kind) {
            (serde_json::Value::Number(_), ValueKind::I64(number)) => self.out_of_bounds(*number),
            (serde_json::Value::Number(_), _) => {
                Some(format!("{key} must be a whole number, such as {}", self.default))
            }
            (serde_json::Value::Array(_), ValueKind::Array(items)) => {
                items.iter().any(|item| !matches!(item.kind, ValueKind::String(_))).then(|| {
                    format!("{key} must be a list of strings in quotes, such as {}", self.default)
                })
            }
            (serde_json::Value::Array(_), _) => {
                Some(format!("{key} must be a list of strings in quotes, such as {}", self.default))
            }
            (serde_json::Value::Bool(_), ValueKind::Boolean(_)) => None,
            (serde_json::Value::Bool(_), _) => Some(format!("{key} must be true or false")),
            (_, ValueKind::String(word)) => self.unknown_word(word),
            _ => Some(format!("{key} must be a string in quotes")),
        }
    }

    /// The value of a variable; a list is separated by commas.
    pub(super) fn value_of(&self, text: &str) -> Result<Value, String> {
        match &self.default {
            serde_json::Value::Number(_) => match text.trim().parse::<i64>() {
                Ok(number) => match self.out_of_bounds(number) {
                    Some(fault) => Err(fault),
                    None => Ok(Value::from(number)),
                },
                Err(_) => Err(format!("must be a whole number, such as {}", self.default)),
            },
            serde_json::Value::Array(_) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(Value::from(items.map(str::to_owned).collect::<Vec<_>>()))
            }
            serde_json::Value::Bool(_) => match text.trim() {
                "true" => Ok(Value::from(true)),
                "false" => Ok(Value::from(false)),
                _ => Err("must be true or false".to_owned()),
            },
            _ => self.unknown_word(text).map_or_else(|| Ok(Value::from(text)), Err),
        }
    }
}
