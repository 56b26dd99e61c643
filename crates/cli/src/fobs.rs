//! A delivery of hardware tokens: the file that `countersign admin import-fobs` reads.

use std::path::Path;

use countersign_app::NewFob;
use countersign_domain::Manufacturer;
use countersign_provision::fobs;

use crate::private_file;

/// Reads a delivery. A fault names its line and column and never what stands there: the file holds secrets.
pub(crate) fn read(path: &Path, maker: Option<Manufacturer>) -> anyhow::Result<Vec<NewFob>> {
    let bytes = private_file::read(path, fobs::MAX_BYTES)?;
    Ok(fobs::read(bytes.expose(), maker)?)
}
