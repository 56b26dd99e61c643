//! Lists the files of the Countersign Authenticator, so that they are compiled in whatever their
//! hashed names are.
#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

use std::{env, fmt::Write as _, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
    let folder = variable("CARGO_MANIFEST_DIR")?.join("static/authenticator");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths = fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    // A list in the same order, wherever it is made.
    paths.sort();
    let mut table = String::from("&[\n");
    for path in paths {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_name().and_then(|name| name.to_str());
        let (Some(name), Some(path)) = (name, path.to_str()) else {
            return Err(io::ErrorKind::InvalidFilename.into());
        };
        // Writing to a text can't fail.
        let _ = writeln!(table, "    ({name:?}, include_bytes!({path:?})),");
    }
    table.push_str("]\n");
    fs::write(variable("OUT_DIR")?.join("authenticator.rs"), table)
}
