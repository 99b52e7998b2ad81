//! Every bad hub.toml of `tests/bad` gets the message that stands beside it.

use crate::load_file;
use std::path::Path;

/// Everything that is said about the file: when it is loaded, and if it can be, when a hub wants to serve with it.
fn said(file: &Path) -> String {
    let (said, base) = match load_file(file, &[], &[]) {
        Err(errors) => (errors.render(false), None),
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().cloned().chain(loaded.check_serving().0).collect();
            (confab_config::Diagnostics(warnings).render(false), Some(loaded.base_dir))
        }
    };
    let said = said.replace(&file.display().to_string(), "hub.toml");
    match base {
        Some(base) => said.replace(&format!("{}/", base.display()), "/folder/"),
        None => said,
    }
}

#[test]
fn every_bad_file_gets_its_message() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(files.len() >= 20, "{files:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../bad");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for file in files {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            insta::assert_snapshot!(name, said(&file));
        }
    });
}

#[test]
fn no_message_shows_a_secret() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    for (file, secret) in [("secrets-twice", "hunter2"), ("secrets-twice", "battery"), ("service-urls", "hunter2")] {
        let message = said(&folder.join(file).with_extension("toml"));
        assert!(message.contains("error") && !message.contains(secret), "{message}");
    }
}

#[test]
fn colours_are_written_only_when_asked_for() {
    let errors = crate::load("listne = 1").unwrap_err();
    assert!(errors.render(true).contains("\u{1b}["));
    assert!(!errors.render(false).contains('\u{1b}'));
}

#[test]
fn a_finding_has_its_line_and_column_for_programs_too() {
    let errors = crate::load("\n[limits]\nfraem = 1").unwrap_err().to_json();
    assert_eq!(errors[0]["place"]["line"], 3);
    assert_eq!(errors[0]["place"]["column"], 1);
    assert_eq!(errors[0]["setting"], "limits.fraem");
    assert_eq!(errors[0]["help"][0], "did you mean `frame`?");
}

#[test]
fn a_file_that_is_not_there_says_how_to_make_one() {
    let errors = load_file(Path::new("/no/such/hub.toml"), &[], &[]).unwrap_err().to_string();
    assert!(errors.contains("could not read /no/such/hub.toml"), "{errors}");
    assert!(errors.contains("`confab config default > /no/such/hub.toml`"), "{errors}");
}
