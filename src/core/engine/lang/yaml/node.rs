//! The tree of nodes that a file is: every key and value with its span.

use crate::engine::fast_map::FastMap;
use crate::engine::text::diagnostic::Span;
use crate::engine::value::{Attributes, Value};

/// A map of nodes in the order of the file.
pub type Map = FastMap<Box<str>, MapEntry>;

/// One entry of a map: the span of its key, and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct MapEntry {
    pub key: Span,
    pub node: Node,
}

/// One value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub data: Data,
    pub span: Span,
    pub style: Style,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    List(Vec<Node>),
    Map(Box<Map>),
}

/// How a scalar is written; decides where an offset in its text lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
    /// A list or a map.
    Collection,
}

impl Node {
    pub fn as_map(&self) -> Option<&Map> {
        match &self.data {
            Data::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    /// The word for messages.
    pub fn word(&self) -> &'static str {
        match &self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "true or false",
            Data::Int(_) => "an integer",
            Data::Float(_) => "a number",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// The value without its places.
    pub fn value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(it) => Value::Bool(*it),
            Data::Int(it) => Value::Int(*it),
            Data::Float(it) => Value::Float(*it),
            Data::Text(it) => Value::Text(String::from(&**it)),
            Data::List(items) => Value::List(items.iter().map(Self::value).collect()),
            Data::Map(map) => Value::Map(
                map.iter()
                    .map(|(name, it)| (String::from(&**name), it.node.value()))
                    .collect::<Attributes>(),
            ),
        }
    }
}
