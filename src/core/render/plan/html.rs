//! A plan as one page of HTML that needs nothing else: no script, no request, light or dark.

use crate::engine::plan::format::codec::plan_digest;
use crate::render::escape;
use crate::render::lines::{LineLimits, RenderedLine, Sign};
use crate::render::plan::concerns::RenderedConcern;
use crate::render::plan::entry::{RenderedEntry, RenderedSection};
use crate::render::plan::fold::whose;
use crate::render::plan::outline::{Detail, Notice, Outline, ShownPlan, outline};
use crate::render::words::rank;

const STYLE: &str = "
:root { color-scheme: light dark; --fg: #1f2328; --bg: #fff; --dim: #59636e; --line: #d1d9e0; --soft: #f6f8fa;
  --add: #1a7f37; --remove: #d1242f; --change: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --fg: #f0f6fc; --bg: #0d1117; --dim: #9198a1; --line: #3d444d;
  --soft: #151b23; --add: #3fb950; --remove: #f85149; --change: #d29922; } }
body { color: var(--fg); background: var(--bg); font: 15px/1.5 system-ui, sans-serif; max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
p { margin: .3rem 0; } code, pre { font: 13px/1.5 ui-monospace, monospace; }
.summary { font-weight: 600; } .dim, .aside { color: var(--dim); }
.notice { border-left: 3px solid var(--remove); background: var(--soft); padding: .4rem .8rem; margin: .6rem 0; }
.notice.warning { border-color: var(--change); }
.verdict { color: var(--remove); font-weight: 600; }
.entry { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; overflow: hidden; }
.entry > summary, .entry > div { padding: .35rem .7rem; background: var(--soft); overflow-wrap: anywhere; }
.entry > summary { cursor: pointer; }
.entry > div { padding-left: 1.75rem; } strong code { font-weight: 700; }
pre { margin: 0; padding: .4rem .7rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.danger { color: var(--remove); font-weight: 700; } .look { color: var(--change); font-weight: 700; }
.concerns { margin: .3rem 0; padding-left: 1.2rem; } .entry.risky { border: 2px solid var(--remove); }
.symbol { display: inline-block; min-width: 2rem; font-weight: 700; }
.add { color: var(--add); } .remove { color: var(--remove); } .change { color: var(--change); }
";

pub fn html<'a>(shown: impl Into<ShownPlan<'a>>) -> String {
    let shown = shown.into();
    let plan = shown.plan;
    let limits = LineLimits { value: 4000, lines: 2000 };
    let outline = outline(shown, Detail { limits, all: true });
    let header = escape::html(&outline.header);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{header}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    page.push_str(&body(&outline));
    page.push_str(&format!(
        "<p class=\"dim\">{} · plan <code>{}</code></p>\n</body>\n</html>\n",
        escape::html(&outline.steps),
        plan_digest(plan),
    ));
    page
}

fn body(outline: &Outline) -> String {
    let mut body = format!(
        "<h1>{}</h1>\n<p class=\"summary\">{}</p>\n",
        escape::html(&outline.header),
        escape::html(&outline.summary),
    );
    if let Some(heading) = &outline.heading {
        let class = if heading.is_danger { "danger" } else { "look" };
        let text = escape::html(&heading.text);
        body.push_str(&format!("<p class=\"{class}\">{}: {text}</p>\n", heading.word()));
    }
    let says: Vec<String> =
        outline.concerns.iter().filter(|it| !it.says.is_empty()).map(concern).collect();
    if !says.is_empty() {
        body.push_str(&format!("<ul class=\"concerns\">\n{}</ul>\n", says.concat()));
    }
    if let Some(forecast) = &outline.forecast {
        body.push_str(&format!("<p>{}</p>\n", escape::html(forecast)));
    }
    if let Some(cost) = &outline.cost {
        body.push_str(&format!("<p>{}</p>\n", escape::html(cost)));
    }
    if let Some(verdict) = &outline.verdict {
        body.push_str(&format!("<p class=\"verdict\">{}</p>\n", escape::html(verdict)));
    }
    for it in &outline.notices {
        body.push_str(&notice(it));
    }
    for it in &outline.sections {
        body.push_str(&section(it));
    }
    body
}

fn concern(it: &RenderedConcern) -> String {
    let class = if it.rank.is_danger() { "danger" } else { "look" };
    let (word, subjects, says) =
        (rank(it.rank), escape::code(&it.subjects), escape::html(&it.says));
    format!("<li><span class=\"{class}\">{word}</span> {subjects}: {says}</li>\n")
}

fn notice(notice: &Notice) -> String {
    let mut text = format!(
        "<div class=\"notice {}\"><p><strong>{}</strong> {}: {}",
        notice.word.to_lowercase(),
        notice.word,
        escape::code(&notice.code),
        escape::html(&notice.text),
    );
    for place in &notice.places {
        text.push_str(&format!(" <span class=\"dim\">{}</span>", escape::code(place)));
    }
    text.push_str("</p>");
    if let Some(help) = &notice.help {
        text.push_str(&format!("<p>help: {}</p>", escape::html(help)));
    }
    text + "</div>\n"
}

fn section(section: &RenderedSection) -> String {
    let mut text = format!("<h2>{}</h2>\n", section.title);
    for it in &section.entries {
        text.push_str(&entry(it));
    }
    if !section.lines.is_empty() {
        text.push_str(&format!("<div class=\"entry\">{}</div>\n", lines(&section.lines)));
    }
    text
}

fn entry(entry: &RenderedEntry) -> String {
    let class = match entry.symbol {
        "+" => "add",
        "-" | "-/+" | "+/-" => "remove",
        "~" => "change",
        _ => "aside",
    };
    let (addresses, kinds) = whose(entry);
    let mut head = format!(
        "<span class=\"symbol {class}\">{}</span> <strong>{}</strong> {}",
        escape::html(entry.symbol),
        escape::code(&addresses),
        escape::html(&kinds),
    );
    if !entry.reason.is_empty() {
        head.push_str(&format!(": {}", escape::html(&entry.reason)));
    }
    if let Some(place) = &entry.place {
        head.push_str(&format!(" <span class=\"dim\">{}</span>", escape::code(place)));
    }
    for (it, says) in &entry.concerns {
        let (class, word) = (if it.is_danger() { "danger" } else { "look" }, rank(*it));
        let says = escape::html(says);
        head.push_str(&format!("<br><span class=\"{class}\">{word}: {says}</span>"));
    }
    let risky = if entry.is_risky() { " risky" } else { "" };
    if entry.lines.is_empty() {
        return format!("<div class=\"entry{risky}\"><div>{head}</div></div>\n");
    }
    let lines = lines(&entry.lines);
    format!("<details class=\"entry{risky}\" open><summary>{head}</summary>{lines}</details>\n")
}

fn lines(lines: &[RenderedLine]) -> String {
    let mut text = String::from("<pre>");
    for line in lines {
        let class = match line.sign {
            Sign::Add => "add",
            Sign::Remove => "remove",
            Sign::Change => "change",
            Sign::Aside => "aside",
            Sign::Same => "same",
        };
        let body = format!("{}{} {}", "  ".repeat(line.depth), line.sign.symbol(), line.text);
        text.push_str(&format!("<span class=\"{class}\">{}</span>", escape::html(&body)));
        if let Some(comment) = &line.comment {
            text.push_str(&format!("  <span class=\"dim\"># {}</span>", escape::html(comment)));
        }
        text.push('\n');
    }
    text + "</pre>"
}
