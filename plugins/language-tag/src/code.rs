//! Codes of languages: browsers and translators use those of ISO 639-1 where there is one, the detector those of ISO 639-3.

use whatlang::Lang;

/// Code by detector and code that is told, where they differ.
const SHORT: &[(&str, &str)] = &[
    ("afr", "af"),
    ("aka", "ak"),
    ("amh", "am"),
    ("ara", "ar"),
    ("aze", "az"),
    ("bel", "be"),
    ("ben", "bn"),
    ("bul", "bg"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("cmn", "zh"),
    ("cym", "cy"),
    ("dan", "da"),
    ("deu", "de"),
    ("ell", "el"),
    ("eng", "en"),
    ("epo", "eo"),
    ("est", "et"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("guj", "gu"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hye", "hy"),
    ("ind", "id"),
    ("ita", "it"),
    ("jav", "jv"),
    ("jpn", "ja"),
    ("kan", "kn"),
    ("kat", "ka"),
    ("khm", "km"),
    ("kor", "ko"),
    ("lat", "la"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("mal", "ml"),
    ("mar", "mr"),
    ("mkd", "mk"),
    ("mya", "my"),
    ("nep", "ne"),
    ("nld", "nl"),
    ("nob", "nb"),
    ("ori", "or"),
    ("pan", "pa"),
    ("pes", "fa"),
    ("pol", "pl"),
    ("por", "pt"),
    ("ron", "ro"),
    ("rus", "ru"),
    ("sin", "si"),
    ("slk", "sk"),
    ("slv", "sl"),
    ("sna", "sn"),
    ("spa", "es"),
    ("srp", "sr"),
    ("swe", "sv"),
    ("tam", "ta"),
    ("tel", "te"),
    ("tgl", "tl"),
    ("tha", "th"),
    ("tuk", "tk"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("uzb", "uz"),
    ("vie", "vi"),
    ("yid", "yi"),
    ("zul", "zu"),
];

/// The code that is told of a language.
pub fn of(language: Lang) -> &'static str {
    let long = language.code();
    SHORT.iter().find(|(known, _)| *known == long).map_or(long, |(_, short)| *short)
}

/// The language that a setting's code means, in either form.
pub fn read(code: &str) -> Option<Lang> {
    let code = code.to_ascii_lowercase();
    let long = SHORT.iter().find(|(_, short)| *short == code).map_or(code.as_str(), |(long, _)| *long);
    Lang::from_code(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_of_the_detector_has_a_code_that_is_read_back() {
        for language in Lang::all() {
            assert_eq!(read(of(*language)), Some(*language), "{language}");
            assert_eq!(read(language.code()), Some(*language), "{language}");
        }
        assert!(SHORT.iter().all(|(long, _)| Lang::from_code(*long).is_some()));
    }
}
