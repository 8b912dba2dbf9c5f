//! What `validate` found, as one JSON document.

use serde_json::json;

use crate::engine::plan::model::change::Note;

/// What is renamed or removed raises it, what is added does not.
const VERSION: u32 = 1;

/// The stack that was looked at; `resources`: how many it declares, `None` where it has mistakes.
pub struct Validation<'a> {
    pub stack: &'a str,
    pub overlays: &'a [String],
    pub resources: Option<usize>,
    /// Mistakes and warnings.
    pub problems: &'a [Note],
}

/// The document, without its last line break.
pub fn json(it: &Validation<'_>) -> String {
    let problem = |it: &Note| {
        json!({
            "severity": it.severity.word(),
            "code": it.code,
            "text": it.text,
            "places": it.places,
            "help": it.help,
        })
    };
    let document = json!({
        "format": "lifeboat validate",
        "version": VERSION,
        "stack": it.stack,
        "overlays": it.overlays,
        "valid": it.resources.is_some(),
        "resources": it.resources,
        "problems": it.problems.iter().map(problem).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&document).expect("plain data serialises")
}

#[cfg(test)]
mod tests {
    use super::{Validation, json};
    use crate::engine::plan::model::change::Note;
    use crate::engine::text::diagnostic::Severity;

    #[test]
    fn json_says_whether_it_is_valid_and_what_is_wrong_where() {
        let mistake = Note {
            code: "unknown_key".into(),
            severity: Severity::Error,
            text: "unknown key `regoin`".into(),
            places: vec!["stacks/shop/stack.yaml:3:5".into()],
            help: Some("did you mean `region`?".into()),
        };
        let overlays = ["eu".to_owned()];
        let problems = [mistake];
        let wrong =
            Validation { stack: "shop", overlays: &overlays, resources: None, problems: &problems };
        insta::assert_snapshot!(json(&wrong), @r#"
        {
          "format": "lifeboat validate",
          "version": 1,
          "stack": "shop",
          "overlays": [
            "eu"
          ],
          "valid": false,
          "resources": null,
          "problems": [
            {
              "severity": "error",
              "code": "unknown_key",
              "text": "unknown key `regoin`",
              "places": [
                "stacks/shop/stack.yaml:3:5"
              ],
              "help": "did you mean `region`?"
            }
          ]
        }
        "#);
        let right = json(&Validation { resources: Some(4), problems: &[], ..wrong });
        assert!(right.contains("\"valid\": true") && right.contains("\"resources\": 4"), "{right}");
    }
}
