//! What fuzzing began with and what it found, through every decoder.

use crate::fuzzed::TARGETS;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_file_of_the_corpus_is_read_or_refused_by_every_decoder() {
    let mut files = 0;
    for (target, _) in TARGETS {
        let folder = fuzz().join("corpus").join(target);
        for name in names(&folder) {
            let bytes = std::fs::read(folder.join(&name)).unwrap();
            files += 1;
            for (decoder, decode) in TARGETS {
                let done = std::panic::catch_unwind(|| decode(&bytes));
                assert!(done.is_ok(), "{target}/{name} is too much for {decoder}");
            }
        }
    }
    assert!(files >= 3 * TARGETS.len(), "the corpus has only {files} files");
}

#[test]
fn every_decoder_is_a_target_of_the_fuzzer_and_has_seeds() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("corpus")), targets);
    let programs: BTreeSet<String> = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), programs);
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is no program of fuzz/");
    }
}
