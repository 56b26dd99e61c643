//! The list of token models as text.

use countersign_domain::{TokenKind, TokenModel};

const HEADS: [&str; 9] =
    ["code", "maker", "model", "type", "FIPS certificate", "signing", "note", "since", "by"];

fn cells(model: &TokenModel) -> [String; 9] {
    [
        model.code.to_string(),
        model.maker.clone(),
        model.name.clone(),
        match model.kind {
            TokenKind::OtpSoft => "soft",
            TokenKind::OtpHard => "hard",
        }
        .to_owned(),
        model.fips.to_string(),
        if model.allowed { "yes" } else { "no" }.to_owned(),
        model.note.clone(),
        model.changed.minute_text(),
        model.changed_by.clone(),
    ]
}

/// A line for each model under a line of headings, in columns.
pub(crate) fn table(models: &[TokenModel]) -> String {
    if models.is_empty() {
        return "No model is set yet, so none is allowed: see `countersign admin models set --help`\n"
            .to_owned();
    }
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(models.iter().map(cells));
    let mut widths = [0; 9];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 9]| {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// What was written of one model.
pub(crate) fn judged(model: &TokenModel) -> String {
    let certificate = if model.fips.is_some() {
        format!("FIPS certificate {}", model.fips)
    } else {
        "no FIPS certificate".to_owned()
    };
    let allowed = if model.allowed {
        "Its tokens can be added and can sign."
    } else {
        "Its tokens can't be added, and existing ones can't sign."
    };
    let mut said =
        format!("{} ({} {}), {certificate}. {allowed}\n", model.code, model.maker, model.name);
    if model.allowed && !model.fips.is_some() {
        said.push_str(
            "21 CFR 1311.115(b) requires FIPS 140-2 level 1 for a token that signs: keep your reason for allowing it on file.\n",
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_domain::{FipsCertificate, ModelCode, Timestamp};

    #[test]
    fn columns_line_up() {
        let model = TokenModel {
            code: ModelCode::known(ModelCode::TERMINAL),
            maker: "Countersign".to_owned(),
            name: "terminal token".to_owned(),
            kind: TokenKind::OtpSoft,
            fips: FipsCertificate::NONE,
            allowed: false,
            note: String::new(),
            changed: Timestamp::from_seconds(1_780_000_000),
            changed_by: "Ruth".to_owned(),
        };
        let other = TokenModel {
            code: "fob".parse().unwrap(),
            fips: "4816".parse().unwrap(),
            allowed: true,
            ..model.clone()
        };
        let text = table(&[other.clone(), model]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        let at = lines[0].find("by").unwrap();
        assert!(lines.iter().skip(1).all(|line| line.get(at..) == Some("Ruth")), "{text}");
        assert!(judged(&other).ends_with("sign.\n"));
        assert!(table(&[]).contains("models set"));
    }
}
