//! Files that expressions read, and templates: text with `{{ CEL }}` in it, so that a shell's `${VAR}` stays itself.

use std::sync::{Arc, OnceLock};

use crate::engine::lang::cel::code::{Code, Slice};
use crate::engine::lang::cel::compile::compile_rule;
use crate::engine::lang::cel::evaluate::evaluate;
use crate::engine::lang::cel::lookup::{LookupError, NameLookup, PathStep, cut, follow, word};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::value::{Attributes, Value};

/// The most expressions of one file, counted with the plain text between them. A guess, far above what people write.
const PIECES_MAX: usize = 4_000;

/// One file that was read, and what it is as a template.
#[derive(Debug)]
pub struct FileText {
    pub path: String,
    pub text: Arc<str>,
    template: OnceLock<Result<Vec<TemplatePiece>, LookupError>>,
}

#[derive(Debug)]
enum TemplatePiece {
    Text(String),
    Code { code: Code, text: String, line: usize },
}

impl FileText {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.into(), template: OnceLock::new() }
    }

    /// The text with every `{{ … }}` computed from the map.
    pub fn fill(&self, map: &Attributes) -> Result<String, LookupError> {
        let pieces = match self.template.get_or_init(|| self.parse()) {
            Ok(pieces) => pieces,
            Err(lost) => return Err(lost.clone()),
        };
        let mut filled = String::with_capacity(self.text.len());
        for piece in pieces {
            match piece {
                TemplatePiece::Text(text) => filled.push_str(text),
                TemplatePiece::Code { code, text, line } => {
                    let value = evaluate(code, text, &TemplateNames(map)).map_err(|it| {
                        let lost = self.lost(*line, &it.message);
                        match it.help {
                            Some(help) => lost.help(help),
                            None => lost,
                        }
                    })?;
                    let shown = show(&value).ok_or_else(|| {
                        self.lost(
                            *line,
                            &format!("`{{{{ {} }}}}` is {}", text.trim(), word(&value)),
                        )
                        .help("only text, numbers, and booleans can be converted to text")
                    })?;
                    filled.push_str(&shown);
                }
            }
        }
        Ok(filled)
    }

    fn lost(&self, line: usize, message: &str) -> LookupError {
        LookupError::new(DiagnosticCode::BadTemplate, format!("in {}:{line}: {message}", self.path))
    }

    fn parse(&self) -> Result<Vec<TemplatePiece>, LookupError> {
        let mut pieces = Vec::new();
        let mut rest: &str = &self.text;
        let mut line = 1;
        while let Some(start) = rest.find("{{") {
            let (before, after) = rest.split_at(start);
            line += before.matches('\n').count();
            let after = &after[2..];
            let end = after.find("}}").ok_or_else(|| {
                self.lost(line, "`{{` is not closed").help("end the expression with `}}`")
            })?;
            let text = &after[..end];
            if pieces.len() > PIECES_MAX {
                let wrong = format!("more than {} expressions", PIECES_MAX / 2);
                return Err(self.lost(line, &wrong).help("use several files"));
            }
            // A template's names are its map's keys, `list` and `type` among them.
            let code = compile_rule(text).map_err(|it| self.lost(line, &it.message))?;
            pieces.push(TemplatePiece::Text(before.to_owned()));
            pieces.push(TemplatePiece::Code { code, text: text.to_owned(), line });
            line += text.matches('\n').count();
            rest = &after[end + 2..];
        }
        pieces.push(TemplatePiece::Text(rest.to_owned()));
        Ok(pieces)
    }
}

/// A scalar as the text it becomes inside other text. `None`: it has none.
pub fn show(value: &Value) -> Option<String> {
    match value {
        Value::Text(it) => Some(it.clone()),
        Value::Bool(it) => Some(it.to_string()),
        Value::Int(it) => Some(it.to_string()),
        Value::Float(it) => Some(it.to_string()),
        Value::Secret(secret) => show(secret.expose()),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Open | Value::Fingerprint(_) => None,
    }
}

/// A world of plain names.
pub struct TemplateNames<'a>(pub &'a Attributes);

impl NameLookup for TemplateNames<'_> {
    fn look(
        &self,
        root: &str,
        steps: &[PathStep<'_>],
        slice: &Slice,
    ) -> Result<Value, LookupError> {
        let Some(value) = self.0.get(root) else {
            let lost = LookupError::new(
                DiagnosticCode::UnknownReference,
                format!("`{root}` does not exist"),
            );
            // The keys of a map that is secret as a whole are not told.
            let known = self.0.iter().filter(|(_, it)| !matches!(it, Value::Secret(_)));
            return Err(
                match crate::engine::text::diagnostic::nearest(
                    root,
                    known.map(|(it, _)| it.as_str()),
                ) {
                    Some(near) => lost.help(format!("did you mean `{near}`?")),
                    None => lost.help("a template sees only the keys of its map"),
                },
            );
        };
        follow(value, steps).map(|it| cut(it, slice))
    }

    fn file(&self, _: &str) -> Result<Arc<str>, LookupError> {
        Err(LookupError::new(DiagnosticCode::BadTemplate, "`file` cannot be called here"))
    }

    fn template(&self, _: &str, _: &Attributes) -> Result<String, LookupError> {
        Err(LookupError::new(DiagnosticCode::BadTemplate, "`template` cannot be called here"))
    }
}

#[cfg(test)]
mod tests {
    use super::FileText;
    use crate::engine::value::Value;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let map = Value::from_json(&serde_json::json!({ "name": "shop", "n": 2, "list": [1] }));
        let filled = FileText::new("files/t", text).fill(map.as_map().unwrap());
        let said =
            filled.unwrap_or_else(|it| format!("{} ({})", it.message, it.help.unwrap_or_default()));
        assert_eq!(said, expected);
    }

    #[test]
    fn fill_shows_no_secret_when_it_fails() {
        let hidden = |it: Value| Value::Secret(crate::engine::value::Secret::new(it));
        let mut map = Value::from_json(&serde_json::json!({ "m": { "hunter3": 1 }, "l": [1] }));
        let Value::Map(names) = &mut map else { unreachable!() };
        names.insert("p".into(), hidden("hunter2".into()));
        names.insert("n".into(), hidden(4711.into()));
        for text in [
            "{{ m[p] }}",
            "{{ l[n] }}",
            "{{ m[p + ''] }}",
            "{{ p.x }}",
            "{{ nn }}",
            "{{ [p].map(k, m[k]) }}",
        ] {
            let lost = FileText::new("t", text).fill(names).unwrap_err();
            let said = format!("{} {:?}", lost.message, lost.help);
            assert!(!said.contains("hunter") && !said.contains("4711"), "{text}: {said}");
        }
        assert_eq!(FileText::new("t", "{{ p + '!' }}{{ n }}").fill(names).unwrap(), "hunter2!4711");
    }

    #[test]
    fn fill_replaces_expressions_and_leaves_shell_variables() {
        check("a ${HOME} {{ name }}{{n + 1}}\n", "a ${HOME} shop3\n");
        check("\n\n{{ nmae }}", "in files/t:3: `nmae` does not exist (did you mean `name`?)");
        check("{{ name", "in files/t:1: `{{` is not closed (end the expression with `}}`)");
        check(
            "{{ list }}",
            "in files/t:1: `{{ list }}` is a list (only text, numbers, and booleans can be converted to text)",
        );
        check("{{ n + }}", "in files/t:1: the expression is incomplete ()");
    }
}
