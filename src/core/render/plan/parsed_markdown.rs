//! The Markdown of any plan, read by a parser that is not ours: no text of a plan leaves its place in it.

use proptest::prelude::{ProptestConfig, TestCaseError, prop_assert, proptest};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use regex::{Captures, Regex};

use crate::engine::plan::model::change::Plan;
use crate::engine::plan::tests::sample::any_plan;
use crate::render::plan::markdown::{MIN_BYTES, markdown};

/// The tags that a comment is made of; none has an attribute.
const TAGS: [&str; 6] = ["details", "summary", "div", "code", "b", "br"];

/// What a comment says outside of code, and how it is built.
#[derive(Default)]
struct Comment {
    headings: Vec<String>,
    prose: String,
    html: String,
    /// What can only have come from a text of the plan.
    stray: Vec<String>,
}

fn read(page: &str) -> Comment {
    let mut comment = Comment::default();
    let (mut heading, mut in_code) = (None, false);
    for event in Parser::new_ext(page, Options::all()) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => heading = Some((level, String::new())),
            Event::End(TagEnd::Heading(_)) => {
                let (level, text) = heading.take().unwrap();
                let level = if level == HeadingLevel::H2 { "##" } else { "###" };
                comment.headings.push(format!("{level} {text}"));
            }
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Text(text) if !in_code => {
                if let Some((_, heading)) = &mut heading {
                    heading.push_str(&text);
                }
                comment.prose.push_str(&text);
            }
            Event::Html(text) | Event::InlineHtml(text) => comment.html.push_str(&text),
            Event::Text(_)
            | Event::Code(_)
            | Event::SoftBreak
            | Event::End(_)
            | Event::Start(
                Tag::Paragraph
                | Tag::BlockQuote(None)
                | Tag::List(None)
                | Tag::Item
                | Tag::Strong
                | Tag::HtmlBlock,
            ) => {}
            other => comment.stray.push(format!("{other:?}")),
        }
    }
    comment
}

/// Tags as they are opened and closed, and the text between them that is in no `code`.
fn tags(html: &str) -> Result<String, String> {
    let (mut open, mut outside) = (Vec::new(), String::new());
    let mut rest = html.split_once("-->").map_or(html, |(_, rest)| rest);
    while let Some((text, behind)) = rest.split_once('<') {
        if !open.contains(&"code") {
            outside.push_str(text);
        }
        let (tag, behind) = behind.split_once('>').ok_or("a tag that does not end")?;
        let name = tag.trim_start_matches('/');
        let known = TAGS.iter().find(|it| **it == name).ok_or(format!("<{tag}>"))?;
        if tag.starts_with('/') {
            if open.pop() != Some(*known) {
                return Err(format!("<{tag}> closes another"));
            }
        } else if *known != "br" {
            open.push(known);
        }
        rest = behind;
    }
    outside.push_str(rest);
    if open.is_empty() { Ok(outside) } else { Err(format!("{open:?} stay open")) }
}

/// Whether somebody is mentioned, or something is linked.
fn links(text: &str) -> bool {
    let reference = |found: &Captures<'_>| {
        let code = found[1].parse().ok().and_then(char::from_u32);
        code.map_or_else(|| found[0].to_owned(), String::from)
    };
    let decoded = Regex::new("&#([0-9]+);").unwrap().replace_all(text, reference);
    let decoded = decoded.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let all: Vec<char> = decoded.chars().collect();
    let is_mention = |it: &[char]| {
        it[1] == '@' && !it[0].is_alphanumeric() && it[2].is_ascii_alphanumeric()
            || "#!%~".contains(it[1]) && it[2].is_ascii_digit()
    };
    all.windows(3).any(is_mention)
}

fn check(plan: &Plan, budget: Option<usize>) -> Result<(), TestCaseError> {
    let page = markdown(plan, budget);
    let comment = read(&page);
    prop_assert!(comment.stray.is_empty(), "{:?}\n{page}", comment.stray);
    let first = comment.headings.first().map_or("", String::as_str);
    let is_first = first.starts_with("## Plan: ")
        || first.starts_with("## No changes")
        || first.starts_with("## Incomplete");
    prop_assert!(is_first, "{first}");
    let titles = comment.headings.iter().skip(1).all(|it| it.starts_with("### "));
    prop_assert!(titles, "{:?}\n{page}", comment.headings);
    let outside = tags(&comment.html);
    prop_assert!(outside.is_ok(), "{outside:?}\n{page}");
    prop_assert!(!links(&comment.prose), "{}", comment.prose);
    prop_assert!(!links(&outside.unwrap_or_default()), "{}", comment.html);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn markdown_keeps_every_text_in_its_place(plan in any_plan(), over in 0..4000_usize) {
        check(&plan, None)?;
        check(&plan, Some(MIN_BYTES + over))?;
    }
}
