//! QR codes (ISO/IEC 18004) as pictures.

use std::fmt::Write;

use fast_qr::{ECL, QRBuilder};

/// Light modules around the symbol, as the standard wants.
const QUIET: usize = 4;

/// A QR code of `text` as an SVG picture, dark on white; `None` where the text is too long for one.
pub(crate) fn svg(text: &str) -> Option<String> {
    let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
    let side = code.size + 2 * QUIET;
    let mut dark = String::new();
    for row in 0..code.size {
        for column in 0..code.size {
            if code.data.get(row * code.size + column).is_some_and(|module| module.value()) {
                // Writing to a string does not fail.
                let _ = write!(dark, "M{},{}h1v1h-1z", column + QUIET, row + QUIET);
            }
        }
    }
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><rect width="{side}" height="{side}" fill="#fff"/><path d="{dark}" fill="#000"/></svg>"##
    ))
}
