//! Lists the page's files, so that a new one in `src/http/page/` needs no code.

use std::fmt::Write;
use std::path::Path;

fn main() -> std::io::Result<()> {
    const FOLDER: &str = "src/http/page";
    println!("cargo::rerun-if-changed={FOLDER}");
    let mut names: Vec<_> = std::fs::read_dir(FOLDER)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_, _>>()?;
    names.sort();
    let mut list = String::from("&[\n");
    for name in names.iter().filter(|name| !name.starts_with('.')) {
        // Where the crate is, is asked when it is compiled: checkouts may share a target folder, and this file with it.
        let path = format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), {:?})", format!("/{FOLDER}/{name}"));
        writeln!(list, "    ({name:?}, include_bytes!({path}) as &[u8]),").expect("a string takes it");
    }
    list += "]\n";
    let out = std::env::var("OUT_DIR").expect("cargo names the folder");
    std::fs::write(Path::new(&out).join("page.rs"), list)
}
