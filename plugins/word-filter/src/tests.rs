//! What the filter promises: which ways of writing are found, which are not, and what becomes of the rest of a message.

use super::*;
use confab_plugin_sdk::testing::{self, Trial, golden};
use serde_json::{Value, json};

#[test]
fn the_files_beside_the_code_say_the_truth() {
    golden::check::<WordFilter>(env!("CARGO_MANIFEST_DIR"));
}

#[test]
fn the_filters_in_other_languages_and_this_one_say_the_same() {
    let wrong = golden::cases::<WordFilter>(include_str!("../shared.golden.toml"));
    assert_eq!(wrong, Vec::<String>::new());
}

fn masking(settings: Value) -> Trial<WordFilter> {
    testing::plugin(settings)
}

/// Holds a filter to pairs of what is said and what is heard.
fn hears(settings: Value, pairs: &[(&str, &str)]) {
    let filter = masking(settings);
    for (said, heard) in pairs {
        assert_eq!(filter.text_after(said).as_deref(), Some(*heard), "{said}");
    }
}

#[test]
fn a_word_is_masked_and_nothing_else() {
    hears(
        json!({ "words": ["spam", "naïve"] }),
        &[
            ("buy SPAM now", "buy **** now"),
            ("Spam, spam and spam!", "****, **** and ****!"),
            ("spamming antispam spam2 spam_", "spamming antispam spam2 ****_"),
            ("so nai\u{308}ve", "so *****"),
            ("so NAÏVE or naive", "so ***** or *****"),
            ("", ""),
        ],
    );
}

#[test]
fn a_word_is_found_however_its_letters_are_drawn() {
    let ways = [
        "ｓｐａｍ",
        "s\u{200b}p\u{ad}a\u{2060}m",
        "s\u{336}p\u{336}a\u{336}m\u{336}",
        "ѕрам",
        "ЅРАМ",
        "ѕраm",
        "𝓼𝓹𝓪𝓶",
        "𝕊ℙ𝔸𝕄",
        "ⓢⓟⓐⓜ",
        "śpåṁ",
        "s\u{e0041}pam",
        "\u{202a}spam",
        "sρam",
        "ꜱᴘᴀᴍ",
    ];
    let filter = masking(json!({ "words": ["spam"] }));
    for way in ways {
        let heard = filter.text_after(&format!("a {way} b")).unwrap_or_default();
        assert!(heard.contains("****") && !heard.contains(way), "{way}: {heard}");
    }
}

#[test]
fn letters_that_many_typefaces_draw_alike_are_found_where_they_do_not_belong() {
    hears(
        json!({ "words": ["slut", "idiot", "loot"] }),
        &[("sIut lDlOT 1diot lo0t", "**** ***** ***** ****"), ("100 loo Ioot lOOt", "100 loo Ioot ****")],
    );
}

#[test]
fn a_word_of_another_script_is_found_among_latin_letters() {
    hears(
        json!({ "words": ["дурак", "нет"] }),
        &[("ДУРАК, дypaк, ДУРAK", "*****, *****, *****"), ("het HET", "het ***")],
    );
}

#[test]
fn marks_that_a_script_cannot_do_without_are_letters() {
    hears(json!({ "words": ["किताब", "ดี"] }), &[("किताब कतब ดี ดู", "***** कतब ** ดู")]);
}

#[test]
fn digits_and_signs_are_read_as_letters_if_asked() {
    let pairs = [("5p4m $pam sp@m!", "**** **** ****!"), ("455 4$$ a55", "455 4$$ ***"), ("a$$, b1tch", "***, *****")];
    hears(json!({ "words": ["spam", "ass", "bitch"], "leetspeak": true }), &pairs);
    hears(json!({ "words": ["spam"] }), &[("5p4m $pam", "5p4m $pam")]);
}

#[test]
fn drawn_out_letters_are_read_as_the_words_if_asked() {
    let settings = json!({ "words": ["spam", "boob"], "repeats": true });
    hears(
        settings,
        &[("sssspaaaaamm", "sssspaaaaamm"), ("spaaaam SPAMMMM booooob", "******* ******* *******"), ("spaam", "spaam")],
    );
    let long = format!("sp{}m", "а".repeat(5000));
    assert_eq!(masking(json!({ "words": ["spam"], "repeats": true })).text_after(&long), Some("*".repeat(5003)));
    hears(json!({ "words": ["god"], "repeats": true }), &[("good goood", "good *****")]);
    hears(json!({ "words": ["spam"] }), &[("spaaaam", "spaaaam")]);
}

#[test]
fn a_word_that_is_taken_apart_is_put_together_if_asked() {
    let pairs = [
        ("s.p.a.m s p a m s-p_a.m", "******* * * * * *******"),
        ("sp.am", "*****"),
        ("his pam, s pam", "his pam, s pam"),
        ("x s p a m", "x * * * *"),
        ("s. p. a. m.", "** ** ** *."),
    ];
    hears(json!({ "words": ["spam"], "split": true }), &pairs);
    hears(json!({ "words": ["spam"] }), &[("s.p.a.m", "s.p.a.m")]);
}

#[test]
fn phrases_are_found_over_any_gap_between_their_words() {
    hears(
        json!({ "words": ["buy now"] }),
        &[("BUY  now, buy-nów", "***  ***, *******"), ("buynow buy it now", "buynow buy it now")],
    );
}

#[test]
fn a_star_stands_for_more_letters_and_they_are_masked_too() {
    let pairs = [("a scammer scam", "a ******* ****"), ("prescam", "prescam"), ("antispams", "*********")];
    hears(json!({ "words": ["scam*", "*spam*"] }), &pairs);
}

#[test]
fn welcome_words_are_left_alone_whatever_is_found_in_them() {
    let settings = json!({ "words": ["*cunt*", "dick"], "allow": ["Scunthorpe", "Moby Dick"] });
    hears(settings, &[("Scunthorpe scunt", "Scunthorpe *****"), ("moby dick, dick", "moby dick, ****")]);
}

#[test]
fn a_clean_message_is_accepted_and_not_rewritten() {
    let filter = masking(json!({ "words": ["spam"], "leetspeak": true, "repeats": true, "split": true }));
    for clean in ["hello", "", "…", "\u{301}", "1 + 1 = 2!", "s p a", "spa", "日本語", "👩‍👩‍👧 \u{200b}"]
    {
        assert_eq!(filter.judge(clean), Verdict::accept(), "{clean}");
    }
}

#[test]
fn masking_keeps_the_rest_of_the_body_byte_for_byte() {
    let mut event = testing::event("spam");
    event.body = r#"{ "n": 1.00, "text": "sp\u0061m", "extra": {"text": "spam"} }"#.into();
    let expected = r#"{ "n": 1.00, "text": "****", "extra": {"text": "spam"} }"#;
    assert_eq!(masking(json!({ "words": ["spam"] })).judge_event(&event), Verdict::replace(expected));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let error = |settings| testing::configure::<WordFilter>(&settings).unwrap_err();
    assert!(error(json!({ "words": ["..."] })).contains("never be found"));
    assert!(error(json!({ "words": [], "code": 200 })).contains("400 to 1999"));
    assert!(error(json!({ "words": [], "acton": "mask" })).contains("acton"));
    assert!(error(json!({ "mask": "**" })).contains("mask"));
}

#[test]
fn a_text_made_to_cost_time_costs_little_of_it() {
    let words: Vec<String> = (0..200).map(|n| format!("{}z{n}", "il".repeat(10 + n % 30))).collect();
    let filter = masking(json!({ "words": words, "leetspeak": true, "repeats": true, "split": true }));
    let text = "I.l|1!".repeat(300);
    assert_eq!(filter.judge(&text), Verdict::accept());
}
