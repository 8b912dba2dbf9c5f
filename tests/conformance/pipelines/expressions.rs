//! GitHub's expressions as far as the workflows use them: contexts, comparisons, `&&`, `||`, `!`, and the status functions.

use serde_json::Value;

/// What an expression may read.
pub(crate) struct Contexts {
    pub(crate) values: Value,
    /// How the steps so far went.
    pub(crate) has_failed: bool,
}

impl Contexts {
    /// The text with each `${{ … }}` evaluated.
    pub(crate) fn filled(&self, text: &str) -> String {
        let mut rest = text;
        let mut filled = String::new();
        while let Some((before, behind)) = rest.split_once("${{") {
            let (expression, after) = behind.split_once("}}").expect("an expression has an end");
            filled.push_str(before);
            filled.push_str(&shown(&self.value(expression)));
            rest = after;
        }
        filled + rest
    }

    /// Whether a condition holds. One without a status function holds only while nothing has failed.
    pub(crate) fn holds(&self, condition: &str) -> bool {
        let asks_status = ["always()", "failure()", "success()", "cancelled()"];
        let is_asked = asks_status.iter().any(|it| condition.contains(it));
        let bare = condition.trim().trim_start_matches("${{").trim_end_matches("}}");
        (is_asked || !self.has_failed) && is_true(&self.value(bare))
    }

    fn value(&self, expression: &str) -> Value {
        let mut parser = Parser { contexts: self, words: words(expression), at: 0 };
        let value = parser.any();
        assert_eq!(parser.at, parser.words.len(), "more than an expression: {expression}");
        value
    }
}

/// How GitHub writes a value into a text.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(it) => *it,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// GitHub compares texts without regard to case, and nothing with an empty text as equal.
fn equals(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(_) | Value::Null, Value::String(_) | Value::Null) => {
            shown(a).eq_ignore_ascii_case(&shown(b))
        }
        _ => a == b,
    }
}

fn words(expression: &str) -> Vec<String> {
    let token = regex::Regex::new(r"\s*('(?:[^']|'')*'|==|!=|&&|\|\||!|\(|\)|[\w.-]+)").unwrap();
    let mut words = Vec::new();
    let mut end = 0;
    for found in token.captures_iter(expression) {
        let whole = found.get(0).unwrap();
        assert_eq!(whole.start(), end, "not understood: {expression}");
        end = whole.end();
        words.push(found[1].to_owned());
    }
    assert!(expression.get(end..).unwrap().trim().is_empty(), "not understood: {expression}");
    words
}

struct Parser<'a> {
    contexts: &'a Contexts,
    words: Vec<String>,
    at: usize,
}

impl Parser<'_> {
    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.words.get(self.at).is_some_and(|it| it == word);
        self.at += usize::from(is_next);
        is_next
    }

    /// The value that decides, as in GitHub: `a || b` is `a` where that is true.
    fn any(&mut self) -> Value {
        let mut value = self.all();
        while self.takes("||") {
            let next = self.all();
            value = if is_true(&value) { value } else { next };
        }
        value
    }

    fn all(&mut self) -> Value {
        let mut value = self.compared();
        while self.takes("&&") {
            let next = self.compared();
            value = if is_true(&value) { next } else { value };
        }
        value
    }

    fn compared(&mut self) -> Value {
        let value = self.single();
        if self.takes("==") {
            let other = self.single();
            return Value::Bool(equals(&value, &other));
        }
        if self.takes("!=") {
            let other = self.single();
            return Value::Bool(!equals(&value, &other));
        }
        value
    }

    fn single(&mut self) -> Value {
        if self.takes("!") {
            let value = self.single();
            return Value::Bool(!is_true(&value));
        }
        if self.takes("(") {
            let value = self.any();
            assert!(self.takes(")"), "a bracket is open");
            return value;
        }
        let word = self.words.get(self.at).expect("an expression goes on").clone();
        self.at += 1;
        if self.takes("(") {
            assert!(self.takes(")"), "{word} with arguments");
            return Value::Bool(self.status(&word));
        }
        if let Some(text) = word.strip_prefix('\'').and_then(|it| it.strip_suffix('\'')) {
            return Value::String(text.replace("''", "'"));
        }
        match word.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => self.looked_up(&word),
        }
    }

    fn status(&self, function: &str) -> bool {
        match function {
            "always" => true,
            "success" => !self.contexts.has_failed,
            "failure" => self.contexts.has_failed,
            // Nobody cancels a job here: a runner dies, and evaluates nothing any more.
            "cancelled" => false,
            other => panic!("there is no function {other}"),
        }
    }

    /// A context has to be there; what is missing in it is null, as in GitHub.
    fn looked_up(&self, path: &str) -> Value {
        let mut names = path.split('.');
        let context = names.next().unwrap();
        let context = self.contexts.values.get(context);
        let mut value = context.unwrap_or_else(|| panic!("there is no context of {path}"));
        for name in names {
            value = value.get(name).unwrap_or(&Value::Null);
        }
        value.clone()
    }
}

#[test]
fn contexts_evaluate_as_github_does() {
    let values = serde_json::json!({
        "github": { "event_name": "push", "event": { "number": 5 } },
        "vars": { "role": "arn" }, "secrets": {}, "steps": { "a": { "outcome": "failure" } },
        "inputs": { "planned": false },
    });
    let ok = Contexts { values: values.clone(), has_failed: false };
    for (condition, holds) in [
        ("github.event_name == 'PUSH'", true),
        ("github.event_name != 'push'", false),
        ("vars.role != '' && vars.other == ''", true),
        ("vars.role != '' && vars.other != ''", false),
        ("!(vars.other || github.event_name == 'pull_request')", true),
        ("${{ vars.other || vars.role }}", true),
        ("failure()", false),
        ("always() && (steps.a.outcome == 'failure' || steps.b.outcome == 'x')", true),
    ] {
        assert_eq!(ok.holds(condition), holds, "{condition}");
    }
    let failed = Contexts { values, has_failed: true };
    assert!(!failed.holds("vars.role != ''") && failed.holds("always()"));
    assert!(failed.holds("failure()") && !failed.holds("success()"));
    assert_eq!(
        ok.filled("a ${{ github.event.number }}-${{ secrets.x }}-${{ inputs.planned }}"),
        "a 5--false"
    );
}
