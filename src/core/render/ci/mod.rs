//! What a pipeline tells people: the comment in a pull request, the issue about drift, annotations, and counts for a widget.

pub mod mark;
pub mod findings;
pub mod comment;
pub mod issue;
pub mod annotations;
pub mod widget;
