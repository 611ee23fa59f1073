//! Foreign text as people see it: on a terminal, in a log, in a message. Names of files, topics and symbols, what a lock
//! or a payload says: their author may have meant to steer the terminal, to forge a line of a log, or to make a text
//! read otherwise than it is.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters of foreign text that are shown at most where a payload is quoted.
const MOST: usize = 80;

/// The text with every control character, line end, bidirectional and invisible character written as `\u{…}`.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_hidden(c) => write!(shown, "\\u{{{:x}}}", u32::from(c)).expect("a string takes it"),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// JSON that says the same, with such characters as JSON escapes them. Line ends between its parts stay.
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    let hidden = |c: char| is_hidden(c) && c != '\n';
    if !json.contains(hidden) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if hidden(c) {
            let units = &mut [0; 2];
            for unit in c.encode_utf16(units) {
                write!(shown, "\\u{unit:04x}").expect("a string takes it");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The text's first 80 characters, escaped, and how long all of it is where there is more.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        None => escaped(text).into_owned(),
        Some((end, _)) => format!("{}… ({} bytes)", escaped(&text[..end]), text.len()),
    }
}

/// Is it invisible, or does it change how what follows is shown?
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_instead() {
        for (text, want) in [
            ("AAPL é ß 株", "AAPL é ß 株"),
            ("a\u{1b}]0;pwned\u{7}\nminutely: done", "a\\u{1b}]0;pwned\\u{7}\\nminutely: done"),
            ("x\u{202e}gpj.exe\u{2066}", "x\\u{202e}gpj.exe\\u{2066}"),
            ("\u{9b}31m\u{200b}\u{feff}\u{e0041}\r\t", "\\u{9b}31m\\u{200b}\\u{feff}\\u{e0041}\\r\\t"),
            ("", ""),
        ] {
            assert_eq!(escaped(text), want);
            assert!(!escaped(text).contains(is_hidden));
        }
        assert!(matches!(escaped("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_says_the_same() {
        for text in ["a\u{202e}b", "\u{9b}31m\u{e0041}\u{1b}", "plain é"] {
            let json = serde_json::to_string_pretty(&[text]).unwrap();
            let escaped = escaped_json(&json);
            assert!(!escaped.contains(|c| is_hidden(c) && c != '\n'), "{escaped}");
            assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), [text]);
        }
    }

    #[test]
    fn a_long_text_is_shortened_and_says_so() {
        assert_eq!(shortened(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(shortened(&"é".repeat(81)), format!("{}… (162 bytes)", "é".repeat(80)));
    }
}
