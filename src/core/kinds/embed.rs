//! Build script: embeds every `kinds/*/*/kind.yaml`, so that a new kind is a folder and no other line.

#![expect(clippy::disallowed_methods, reason = "a build script reads files and the environment")]
#![expect(clippy::print_stdout, reason = "a build script talks to cargo on stdout")]
#![expect(clippy::unnecessary_debug_formatting, reason = "the path becomes a Rust string literal")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let root = Path::new("kinds");
    println!("cargo::rerun-if-changed=kinds");
    let mut files: Vec<PathBuf> = folders(root).iter().flat_map(|it| folders(it)).collect();
    files.retain(|folder| folder.join("kind.yaml").is_file());
    files.sort();
    let mut text = String::from("&[\n");
    let base = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it for build scripts");
    for folder in files {
        for name in ["kind.yaml", "example.yaml", "life.yaml"] {
            println!("cargo::rerun-if-changed={}", folder.join(name).display());
        }
        let at =
            |name: &str| format!("include_str!({:?})", Path::new(&base).join(&folder).join(name));
        writeln!(
            text,
            "    ({:?}, {}, {}, {}),",
            folder.display().to_string(),
            at("kind.yaml"),
            at("example.yaml"),
            at("life.yaml")
        )
        .expect("writing to a string");
    }
    text.push_str("]\n");
    let out = std::env::var("OUT_DIR").expect("cargo sets it for build scripts");
    std::fs::write(Path::new(&out).join("kinds.rs"), text).expect("OUT_DIR can be written");
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(of).expect("the kinds folder is readable");
    entries.filter_map(|it| it.ok().map(|it| it.path())).filter(|it| it.is_dir()).collect()
}
