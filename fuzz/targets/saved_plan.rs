//! Saved plans: whatever the text is, what is accepted can be shown in every form, and nothing in it acts on a terminal.
//!
//! A digest that does not fit is replaced by the one that does, so that the fuzzer comes past the first check.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lifeboat_core::engine::plan::format::codec::{WireError, decode, encode};
use lifeboat_core::render::plan::html::html;
use lifeboat_core::render::plan::markdown::markdown;
use lifeboat_core::render::plan::text::{TextOptions, text};

/// Line breaks are the layout's own; no other control character, and nothing that turns the direction of the text.
fn acts_on_nothing(shown: &str) -> bool {
    shown.chars().all(|it| it == '\n' || !it.is_control() && !('\u{202a}'..='\u{202e}').contains(&it))
}

fuzz_target!(|input: &str| {
    let read = match decode(input) {
        Err(WireError::Edited { said, found }) => decode(&input.replacen(&said, &found, 1)),
        read => read,
    };
    let Ok((plan, envelope)) = read else { return };
    let again = decode(&encode(&plan, &envelope)).expect("what is written is read");
    assert_eq!(again.0, plan);
    for verbose in [false, true] {
        let shown = text(&plan, &TextOptions { color: false, width: 80, verbose });
        assert!(acts_on_nothing(&shown), "{shown:?}");
    }
    assert!(acts_on_nothing(&markdown(&plan, Some(60_000))));
    assert!(markdown(&plan, Some(60_000)).len() <= 60_000);
    html(&plan);
});
