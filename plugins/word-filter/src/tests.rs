//! What the filter promises: which ways of writing are found, which are not, and what becomes of the rest of a message.

use super::*;
use confab_plugin_sdk::Decision;
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
    event.body = r#"{ "n": 1.00, "text": "sp\u0061m", "spam": {"text": "a h\u0061m", "list": ["spam!"]} }"#.into();
    let expected = r#"{ "n": 1.00, "text": "****", "spam": {"text": "a h\u0061m", "list": ["****!"]} }"#;
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

/// All ways to read, and words of each kind.
fn thorough() -> Value {
    let words = ["spam", "scam*", "*cunt*", "buy now", "дурак", "illicit"];
    json!({ "words": words, "leetspeak": true, "repeats": true, "split": true })
}

/// The same again and again, as long as a body may be.
fn filled(with: &str) -> String {
    with.repeat(32_000 / with.len())
}

#[test]
fn what_people_write_is_read_to_its_end_however_long() {
    let texts = [
        "Six pigs, a clam and seven small boats came by; nobody called, but I still slept well in the tall illuminated hall. ",
        "Съешь ещё этих мягких французских булок, да выпей чаю; скоро приедут друзья из Москвы, и мы споём. ",
        "我能吞下玻璃而不伤身体。天地玄黄，宇宙洪荒，日月盈昃，辰宿列张。寒来暑往，秋收冬藏。 ",
        "いろはにほへと ちりぬるを わかよたれそ つねならむ スパムではない カタカナの文。 ",
        "다람쥐 헌 쳇바퀴에 타고파. 키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. ",
        "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ومغلف بجلد أزرق. ",
        "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले विष्णुवतार भगवान श्रीराम। ",
        "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία, και πάλι σας λέω όχι. ",
        "| a | 1 | !!! ..... --- 4 + 3 = 7 $5 @ada https://example.com/a?b=1&c=2 { \"a\": [1, 2] } ",
    ];
    let filter = masking(thorough());
    for text in texts {
        assert_eq!(filter.judge(&filled(text)), Verdict::accept(), "{text}");
    }
    let all: String = texts.concat();
    assert_eq!(filter.judge(&filled(&all)), Verdict::accept());
}

#[test]
fn a_text_made_to_cost_time_is_refused_and_costs_little_of_it() {
    let words: Vec<String> = (0..200).map(|n| format!("{}z{n}", "il".repeat(10 + n % 30))).collect();
    let ambiguous = json!({ "words": words, "leetspeak": true, "repeats": true, "split": true });
    let many_marks = format!("sp{}", "\u{200b}".repeat(50));
    let poison: [(Value, &str); 9] = [
        (ambiguous, "I.l|1!"),
        (thorough(), "ѕ "),
        (thorough(), "ѕ."),
        (thorough(), "sс"),
        (thorough(), "ﷺ"),
        (thorough(), "𝓼𝓹𝓪 "),
        (thorough(), &many_marks),
        (json!({ "words": ["spam"] }), "ѕ "),
        (json!({ "words": ["spam"] }), "𝓼𝓹𝓪 "),
    ];
    for (settings, text) in poison {
        // It ends, and is either read to its end or refused: nobody passes the filter by tiring it.
        let verdict = masking(settings.clone()).judge(&format!("{} spam", filled(text)));
        assert_ne!(verdict, Verdict::accept(), "{text}");
    }
    // What one message may cost is shared by all strings of it.
    let said = |strings: usize| {
        let mut event = testing::event("");
        event.body = json!(vec!["𝓼𝓹𝓪 ".repeat(200); strings]).to_string();
        event.text = None;
        masking(thorough()).judge_event(&event)
    };
    assert_eq!(said(1), Verdict::accept());
    assert!(matches!(said(20).decision, Decision::Reject(_)));
}

#[test]
fn a_word_is_found_in_a_body_of_any_shape() {
    let rejecting = masking(json!({ "words": ["spam"], "action": "reject" }));
    for body in [r#""spam""#, r#"["spam"]"#, r#"{"message":"spam"}"#, r#"{"text":"hi","a":[{"b":"sp\u0061m"}]}"#] {
        let mut event = testing::event("hi");
        event.body = body.into();
        event.text = body.contains("\"text\"").then(|| "hi".into());
        assert!(matches!(rejecting.judge_event(&event).decision, Decision::Reject(_)), "{body}");
    }
}

#[test]
fn a_reaction_is_refused_and_never_masked_and_taking_it_back_is_free() {
    for action in ["mask", "reject", "hold"] {
        let filter = masking(json!({ "words": ["spam"], "action": action }));
        let mut event = testing::event("");
        event.body = json!({ "reaction": "spam" }).to_string();
        event.text = None;
        event.kind = Kind::React;
        assert!(matches!(filter.judge_event(&event).decision, Decision::Reject(_)), "{action}");
        event.kind = Kind::Unreact;
        assert_eq!(filter.judge_event(&event), Verdict::accept(), "{action}");
    }
}
