//! Text of others as plain text: on one line, and nothing in it acts on a terminal, hides, or turns the line around.

use std::borrow::Cow;

/// So many of something, in a word that only grows an `s`: `1 step`, `2 steps`.
pub fn counted(count: impl TryInto<u64>, word: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {word}{end}")
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Whether a character moves the cursor, turns the direction of writing or shows nothing.
pub fn is_invisible(it: char) -> bool {
    it.is_control()
        || matches!(it,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Text on one line in which nothing can act on a terminal, hide, or turn the line around.
pub fn escape_control(text: &str) -> String {
    escaped(text, |_| false).into_owned()
}

/// The same over several lines, for texts of ours: line ends and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |it| matches!(it, '\n' | '\t'))
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let acts = |it: char| is_invisible(it) && !stays(it);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            it if !acts(it) => clean.push(it),
            '\n' => clean.push_str("\\n"),
            '\r' => clean.push_str("\\r"),
            '\t' => clean.push_str("\\t"),
            it => clean.push_str(&format!("\\u{{{:x}}}", u32::from(it))),
        }
    }
    Cow::Owned(clean)
}

/// A text of ours with colors of ours: only what sets a color or a weight is left to act.
pub fn colored(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return lines(text);
    }
    let mut told = String::with_capacity(text.len());
    let mut parts = text.split('\u{1b}');
    told.push_str(&lines(parts.next().unwrap_or_default()));
    for part in parts {
        let style = part.strip_prefix('[').and_then(|it| it.split_once('m'));
        match style.filter(|(codes, _)| codes.bytes().all(|it| it.is_ascii_digit() || it == b';')) {
            Some((codes, rest)) => told.push_str(&format!("\u{1b}[{codes}m{}", lines(rest))),
            None => told.push_str(&format!("\\u{{1b}}{}", lines(part))),
        }
    }
    Cow::Owned(told)
}

/// JSON in which no character can act on a terminal or hide: such stand as `\u…` inside of strings.
pub fn json(json: &str) -> String {
    if json.chars().all(|it| it.is_ascii_graphic() || it == ' ' || it == '\n') {
        return json.to_owned();
    }
    let mut escaped = String::with_capacity(json.len());
    for it in json.chars() {
        if is_invisible(it) && it != '\n' {
            let mut units = [0; 2];
            escaped.extend(it.encode_utf16(&mut units).iter().map(|it| format!("\\u{it:04x}")));
        } else {
            escaped.push(it);
        }
    }
    escaped
}

/// What [`escape_control`] made, as it was. `None`: it made no such text.
pub fn uncleaned(text: &str) -> Option<String> {
    let mut found = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        found.push_str(before);
        let (it, taken) = match after.chars().next()? {
            'n' => ('\n', 1),
            'r' => ('\r', 1),
            't' => ('\t', 1),
            it @ ('\\' | '"') => (it, 1),
            'u' => {
                let (digits, _) = after.strip_prefix("u{")?.split_once('}')?;
                (char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, digits.len() + 3)
            }
            _ => return None,
        };
        found.push(it);
        rest = &after[taken..];
    }
    found.push_str(rest);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::{colored, escape_control, lines, uncleaned};

    #[test]
    fn escape_control_leaves_nothing_that_acts_on_a_terminal() {
        let nasty = "a\u{1b}]8;;http://x\u{7}b\r\nc\u{202e}d\u{9b}31me";
        assert_eq!(
            escape_control(nasty),
            "a\\u{1b}]8;;http://x\\u{7}b\\r\\nc\\u{202e}d\\u{9b}31me"
        );
        assert_eq!(lines("a\n\tb\r"), "a\n\tb\\r");
        assert_eq!(uncleaned(&escape_control("a\u{1b}\n\u{202e}")).unwrap(), "a\u{1b}\n\u{202e}");
        for wrong in ["\\", "\\q", "\\u{", "\\u{}", "\\u{110000}", "\\u1b"] {
            assert_eq!(uncleaned(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn colored_keeps_our_colors_and_nothing_else() {
        let told = colored("\u{1b}[31;1mred\u{1b}[0m \u{1b}[2J\u{1b}]0;t\u{7} \u{1b}");
        assert_eq!(told, "\u{1b}[31;1mred\u{1b}[0m \\u{1b}[2J\\u{1b}]0;t\\u{7} \\u{1b}");
    }
}
