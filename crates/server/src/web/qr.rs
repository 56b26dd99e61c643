//! QR codes as pictures.

use std::fmt::Write;

use fast_qr::{ECL, QRBuilder};
use thiserror::Error;

/// The text does not fit in a QR code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the text is too long for a QR code")]
pub struct TooLong;

/// Light squares around the code, without which readers don't find it (ISO/IEC 18004, 9.1).
const MARGIN: usize = 4;

/// The text as a QR code in SVG, black on white whatever the page's colors, with its margin.
///
/// It has attributes and no style, so that it can stand in a page under our policy, and neither a
/// size nor a title: both are the page's. What is in the text is not in the markup.
pub fn svg(text: &str) -> Result<String, TooLong> {
    // Level M (15 %): a screen is clean, and fewer squares are larger squares for the camera.
    let code = QRBuilder::new(text).ecl(ECL::M).build().map_err(|_| TooLong)?;
    let mut path = String::new();
    for (y, row) in code.data.chunks(code.size).take(code.size).enumerate() {
        let mut x = 0;
        // One rectangle a run: single squares would show hairlines between them.
        for run in row.chunk_by(|left, right| left.value() == right.value()) {
            let wide = run.len();
            if run.first().is_some_and(|module| module.value()) {
                // Writing to a text can't fail.
                let _ = write!(path, "M{} {}h{wide}v1h-{wide}z", x + MARGIN, y + MARGIN);
            }
            x += wide;
        }
    }
    let side = code.size + 2 * MARGIN;
    Ok(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d="{path}"/></svg>"##
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_margin_and_finders() {
        let picture =
            svg("https://erx.example.org/authenticator/#pair=ABCDEFGHIJKLMNOPQRSTUVWX27").unwrap();
        let side: usize = picture
            .split("viewBox=\"0 0 ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!((side - 2 * MARGIN - 17) % 4, 0, "{side} squares is no size of a QR code");
        // The upper rows of the two finders at the top, and of the one at the bottom.
        let far = side - MARGIN - 7;
        for finder in ["M4 4h7v1".to_owned(), format!("M{far} 4h7v1"), format!("M4 {far}h7v1")] {
            assert!(picture.contains(&finder), "{finder}");
        }
        assert!(!picture.contains("style") && !picture.contains("ABCDEF"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(svg(&"x".repeat(3000)), Err(TooLong));
        assert!(svg("").is_ok());
    }
}
