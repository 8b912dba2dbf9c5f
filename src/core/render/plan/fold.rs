//! Equal changes of several addresses are told once, and so is a long value that several attributes have.

use std::collections::{BTreeMap, BTreeSet};

use crate::render::lines::{RenderedLine, Sign};
use crate::render::plan::entry::{RenderedEntry, RenderedSection};
use crate::render::words::count;

/// Fewer equal changes are listed one by one: two addresses are read as fast as a sentence about two.
const FOLDED_MIN: usize = 3;
/// A value of more lines is shown once and referred to after that. A guess: a shorter one is repeated faster than looked up.
const LONG_LINES: usize = 4;

/// Entries that say the same become one, where the first of them stood.
pub fn equal(entries: Vec<RenderedEntry>) -> Vec<RenderedEntry> {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    for it in &entries {
        *numbers.entry(said(it)).or_default() += 1;
    }
    let mut folded: Vec<RenderedEntry> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for it in entries {
        let said = said(&it);
        if numbers[&said] < FOLDED_MIN {
            folded.push(it);
        } else if let Some(at) = places.get(&said) {
            folded[*at].also.push((it.address, it.kind));
        } else {
            places.insert(said, folded.len());
            folded.push(it);
        }
    }
    folded
}

/// All of an entry but whose it is and where that is written.
fn said(entry: &RenderedEntry) -> String {
    let lines: Vec<String> =
        entry.lines.iter().map(|it| format!("{:?} {} {}", it.sign, it.depth, it.text)).collect();
    let concerns: Vec<String> = entry.concerns.iter().map(|(_, it)| it.clone()).collect();
    [&[entry.symbol.to_owned(), entry.reason.clone()], &concerns[..], &lines[..]]
        .concat()
        .join("\n")
}

/// The addresses of an entry, and the kinds that they are of.
pub fn whose(entry: &RenderedEntry) -> (String, String) {
    if entry.also.is_empty() {
        return (entry.address.clone(), entry.kind.clone());
    }
    let also = entry.also.iter();
    let all: Vec<&str> =
        [entry.address.as_str()].into_iter().chain(also.clone().map(|it| it.0.as_str())).collect();
    let kinds: BTreeSet<&str> =
        [entry.kind.as_str()].into_iter().chain(also.map(|it| it.1.as_str())).collect();
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let number = count(all.len(), "resource");
    // Of what is made or deleted, all attributes are meant: naming them says nothing.
    let what = match entry.attributes.as_slice() {
        names if entry.symbol == "~" && !names.is_empty() => {
            format!("{} of {number}", names.join(", "))
        }
        _ => number,
    };
    (format!("{what}: {}", all.join(", ")), kinds.join(", "))
}

/// A long value that was told already is told by its first line.
pub fn repeated(sections: &mut [RenderedSection]) {
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for entry in sections.iter_mut().flat_map(|it| &mut it.entries) {
        let mut kept: Vec<RenderedLine> = Vec::new();
        for block in blocks(std::mem::take(&mut entry.lines)) {
            if block.len() <= LONG_LINES {
                kept.extend(block);
                continue;
            }
            let text: Vec<String> =
                block.iter().map(|it| format!("{:?} {} {}", it.sign, it.depth, it.text)).collect();
            if let Some(first) = told.get(&text.join("\n")) {
                kept.extend(block.into_iter().next());
                let text = format!("(line by line at `{first}`)");
                kept.push(RenderedLine { sign: Sign::Aside, depth: 1, text, comment: None });
            } else {
                told.insert(text.join("\n"), entry.address.clone());
                kept.extend(block);
            }
        }
        entry.lines = kept;
    }
}

/// The lines of each attribute.
fn blocks(lines: Vec<RenderedLine>) -> Vec<Vec<RenderedLine>> {
    let mut blocks: Vec<Vec<RenderedLine>> = Vec::new();
    for it in lines {
        match blocks.last_mut() {
            Some(last) if it.depth > 0 => last.push(it),
            _ => blocks.push(vec![it]),
        }
    }
    blocks
}
