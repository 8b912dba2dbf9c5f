//! Layers of a stack, as anybody may write them: whatever stands there, each mistake has a place inside of its file.
//!
//! The input is a stack file; after a line of `%%%` follows an overlay.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lifeboat_core::engine::lang::load::{FileProblem, Files, Layer, load};
use lifeboat_core::engine::lang::merge::variables::RememberedVariables;
use lifeboat_core::engine::lang::origin::render;
use lifeboat_core::engine::schema::Catalog;

static CATALOG: LazyLock<Catalog> = LazyLock::new(lifeboat_core::kinds::builtin);

struct Folder;

impl Files for Folder {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        match path {
            "files/cloud-init.yaml" => Ok(b"#cloud-config\n# {{ revision }} ${HOME}\n".to_vec()),
            _ => Err(FileProblem::Missing),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let cut = bytes.windows(5).position(|it| it == b"\n%%%\n");
    let (stack, overlay) = match cut {
        Some(at) => (&bytes[..=at], Some(&bytes[at + 5..])),
        None => (bytes, None),
    };
    let layer = |name: &str, file: &str, bytes: &[u8]| Layer {
        name: name.into(),
        file: file.into(),
        bytes: bytes.into(),
    };
    let mut layers = vec![layer("", "stack.yaml", stack)];
    layers.extend(overlay.map(|it| layer("eu", "overlays/eu.yaml", it)));
    let run = || load("woocommerce", &layers, &[], RememberedVariables::none(), &Folder, &CATALOG);
    let loaded = run();
    for mistake in &loaded.diagnostics {
        for label in &mistake.labels {
            let source = loaded.sources.get(label.span).expect("a label is in a file that was read");
            let range = label.span.start as usize..label.span.end as usize;
            assert!(source.text.get(range.clone()).is_some(), "{range:?} is in {:?}", mistake.code);
            loaded.sources.place(label.span);
        }
    }
    if loaded.merged().is_some() {
        render(&loaded, &CATALOG);
    }
    // The same input is the same answer.
    let again = run();
    let codes = |it: &[lifeboat_core::engine::text::diagnostic::Diagnostic]| {
        it.iter().map(|it| (it.code, it.summary.clone())).collect::<Vec<_>>()
    };
    assert_eq!(codes(&loaded.diagnostics), codes(&again.diagnostics));
});
