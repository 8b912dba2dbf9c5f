//! `functions`: what an expression may name and call.

use crate::cli::exit::Exit;
use crate::cli::out;

/// What stands for a value, and where.
const NAMES: [(&str, &str); 7] = [
    ("vars.NAME", "a variable of the stack"),
    (
        "NAME, NAME.ATTRIBUTE",
        "another resource or one of its attributes; with count or for_each: NAME[0], NAME[\"key\"]",
    ),
    ("each.index", "the index of this instance of a resource with `count`: 0, 1, 2 …"),
    (
        "each.key",
        "under `for_each`: the text, the map's key, or the index or key of the other resource",
    ),
    (
        "each.value",
        "under `for_each`: the text, the map's value, or the other resource itself, as in each.value.label",
    ),
    ("self.ATTRIBUTE", "in `ready` and `gate`: the resource itself"),
    ("stack.name", "the name of the stack"),
];

/// By topic: how it is called, and what it gives.
const FUNCTIONS: [(&str, &[(&str, &str)]); 7] = [
    (
        "Files, addresses, encodings",
        &[
            ("file(PATH)", "the contents of a file in the stack's folder"),
            (
                "template(PATH, MAP)",
                "the same, with each {{ EXPRESSION }} evaluated; the keys of the map are its variables",
            ),
            ("base64(TEXT)", "the text in base64"),
            (
                "cidr_host(PREFIX, N)",
                "address N of a network: cidr_host('10.0.0.0/24', 5) is '10.0.0.5'",
            ),
            (
                "cidr_subnet(PREFIX, BITS, N)",
                "subnet N of a network, with a prefix longer by BITS: cidr_subnet('10.0.0.0/16', 8, 2) is '10.0.2.0/24'",
            ),
        ],
    ),
    (
        "Any value",
        &[
            ("size(X)", "the number of characters, items, or keys"),
            ("has(X.NAME)", "whether a map has the key"),
            ("type(X), dyn(X)", "the type of X; X with its static type erased"),
            (
                "string(X), int(X), uint(X), double(X), bool(X), bytes(X)",
                "the value converted to another type",
            ),
        ],
    ),
    (
        "Texts",
        &[
            ("T.contains(S), T.startsWith(S), T.endsWith(S), T.matches(REGEX)", "true or false"),
            (
                "T.charAt(N), T.indexOf(S), T.lastIndexOf(S), T.substring(FROM, TO)",
                "a substring, or its position",
            ),
            (
                "T.replace(OLD, NEW), T.trim(), T.reverse(), T.lowerAscii(), T.upperAscii()",
                "another text",
            ),
            ("T.split(S), LIST.join(S)", "a list of parts, and back"),
            (
                "T.format(LIST), strings.quote(T)",
                "a text with %s and %d filled in; a text in quotes",
            ),
        ],
    ),
    (
        "Lists and maps",
        &[
            (
                "L.map(x, E), L.filter(x, E), L.all(x, E), L.exists(x, E), L.exists_one(x, E)",
                "for each item of a list or each key of a map; existsOne is the same as exists_one",
            ),
            ("L.transformList(i, x, E), M.transformMap(k, v, E)", "with the index or key"),
            (
                "L.first(), L.last(), L.slice(FROM, TO), L.flatten(), L.distinct(), L.reverse()",
                "parts, or another list",
            ),
            ("L.sort(), L.sortBy(x, E)", "sorted"),
        ],
    ),
    (
        "Numbers",
        &[
            (
                "math.greatest(…), math.least(…), math.abs(N), math.sign(N), math.sqrt(N)",
                "arithmetic on numbers",
            ),
            ("math.ceil(N), math.floor(N), math.round(N), math.trunc(N)", "rounded to an integer"),
            ("math.isInf(N), math.isNaN(N), math.isFinite(N)", "true or false"),
            (
                "math.bitAnd(A, B), math.bitOr(A, B), math.bitXor(A, B), math.bitNot(A), math.bitShiftLeft(A, N), math.bitShiftRight(A, N)",
                "bitwise operations",
            ),
        ],
    ),
    (
        "Optional values",
        &[
            (
                "optional.of(X), optional.none(), optional.ofNonZeroValue(X)",
                "a value that may be absent",
            ),
            (
                "O.hasValue(), O.value(), O.orValue(X), O.or(O), O.optMap(x, E), O.optFlatMap(x, E), O.unwrapOpt(), optional.unwrap(L)",
                "whether the value is present, the value itself, or a fallback",
            ),
        ],
    ),
    ("Local names", &[("cel.bind(x, VALUE, E)", "E, in which x is the value")]),
];

/// The column where the explanations begin: the longest call that still leaves room for a sentence in 80 columns.
const WIDTH: usize = 26;

pub fn functions() -> Exit {
    out::data(&page());
    Exit::Done
}

fn page() -> String {
    let mut page = String::from(
        "Expressions are written in CEL (cel.dev) inside ${…} and support + - * / % == != < <= > >= in && || ! ?: [ ] and\n\
         the following names and functions. Quote them in YAML: '${…}'.\n\nNames\n",
    );
    for it in &NAMES {
        line(&mut page, it);
    }
    for (topic, functions) in FUNCTIONS {
        page.push_str(&format!("\n{topic}\n"));
        for it in functions {
            line(&mut page, it);
        }
    }
    page
}

fn line(page: &mut String, (how, what): &(&str, &str)) {
    if how.chars().count() > WIDTH {
        page.push_str(&format!("  {how}\n  {:WIDTH$}  {what}\n", ""));
    } else {
        page.push_str(&format!("  {how:WIDTH$}  {what}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::engine::lang::cel::functions::NAMES;

    #[test]
    fn page_tells_every_function_that_is_known() {
        let page = page();
        let words: Vec<&str> =
            page.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').collect();
        let untold: Vec<&str> = NAMES.into_iter().filter(|it| !words.contains(it)).collect();
        assert_eq!(untold, Vec::<&str>::new());
        assert!(page.contains("each.index"));
    }
}
