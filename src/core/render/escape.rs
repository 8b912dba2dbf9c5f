//! Text that stays text inside of HTML and Markdown; what comes in is clean already.

/// Inside of an element or an attribute of HTML.
pub fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            it => safe.push(it),
        }
    }
    safe
}

/// Inside of `<code>`, where nobody is mentioned and nothing is linked.
pub fn code(text: &str) -> String {
    format!("<code>{}</code>", html(text))
}

/// Inside of HTML inside of Markdown: nobody is mentioned, no issue is linked.
pub fn quiet(text: &str) -> String {
    mute(text, |it, safe| safe.push_str(&html(it.encode_utf8(&mut [0; 4]))))
}

/// Inside of a paragraph of Markdown, in which nothing is to be formatted.
pub fn prose(text: &str) -> String {
    mute(text, |it, safe| match it {
        '&' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '!' | '|' | '~' | '^' | '\\' | '$'
        | '#' => {
            safe.push_str(&format!("&#{};", u32::from(it)));
        }
        it => safe.push(it),
    })
}

/// A space without width, as a reference: an invisible character of our own would be shown as one that somebody smuggled in.
const NOTHING: &str = "&#8203;";

/// Escapes each character. A space without width keeps `@name`, `#1`, `GH-1` and what else GitHub and GitLab know from being
/// links, and a reference to a character keeps `https://` and `www.` from being one.
fn mute(text: &str, escape: impl Fn(char, &mut String)) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(it) = rest.next() {
        let inside = |other: char| before.is_alphanumeric() && other.is_alphanumeric();
        match (it, rest.peek()) {
            // Within a word it formats nothing.
            ('_', Some(next)) if inside(*next) => safe.push('_'),
            (':', Some('/')) => safe.push_str("&#58;"),
            ('.', _) if safe.ends_with("www") => safe.push_str("&#46;"),
            _ => escape(it, &mut safe),
        }
        let links = match it {
            '@' => !before.is_alphanumeric(),
            '#' | '!' | '%' | '$' | '~' | '&' => rest.peek().is_some_and(char::is_ascii_digit),
            '-' => matches!(before, 'h' | 'H'),
            _ => false,
        };
        if links {
            safe.push_str(NOTHING);
        }
        before = it;
    }
    safe
}

/// A span of code in a paragraph of Markdown, behind more backticks than it holds.
pub fn span(text: &str) -> String {
    if text.is_empty() || text.contains('<') {
        return format!("<code>{}</code>", prose(text));
    }
    let fence = fence(text, 1);
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A sentence in which what stands between backticks is code, as it is meant.
pub fn said(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // One without its other half is a character like any other.
    if parts.len().is_multiple_of(2) {
        return prose(text);
    }
    let part = |(at, it): (usize, &&str)| match at % 2 {
        1 if !it.is_empty() => span(it),
        _ => prose(it),
    };
    parts.iter().enumerate().map(part).collect()
}

/// At least so many backticks, and more than any run of them inside.
pub fn fence(text: &str, least: usize) -> String {
    let longest = text.split(|it| it != '`').map(str::len).max().unwrap_or(0);
    "`".repeat((longest + 1).max(least))
}

#[cfg(test)]
mod tests {
    use super::{fence, html, prose, quiet, span};

    #[test]
    fn html_prose_and_quiet_let_nothing_become_markup() {
        assert_eq!(html("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
        assert_eq!(prose("*a* <b> [x](y)"), "&#42;a&#42; &#60;b&#62; &#91;x&#93;(y)");
        assert_eq!(prose("scale_up _x_"), "scale_up &#95;x&#95;");
        assert_eq!(quiet("shop@drill"), "shop@drill");
        assert_eq!(quiet("ask @team #1"), "ask @&#8203;team #&#8203;1");
        assert_eq!(quiet("see !7 and 5 % of www.a.b"), "see !&#8203;7 and 5 % of www&#46;a.b");
        assert_eq!(prose("https://a.b: ok"), "https&#58;//a.b: ok");
    }

    #[test]
    fn span_and_fence_are_not_ended_by_backticks_inside() {
        assert_eq!(span("a``b"), "```a``b```");
        assert_eq!(span("`"), "`` ` ``");
        assert_eq!(fence("x\n````\ny", 3), "`````");
    }
}
