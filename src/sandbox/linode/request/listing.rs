//! Lists: the `X-Filter` header, ordering and pages.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::linode::request::call::{CallResult, LinodeCall, LinodeError};

/// The fields that this list can be filtered and ordered by; `details.*` stands for a whole subtree.
pub type Filterable = &'static [&'static str];

/// One page of the rows that pass the filter.
pub fn page(call: &LinodeCall<'_>, mut rows: Vec<Value>, filterable: Filterable) -> CallResult {
    let (number, size) = window(call)?;
    if let Some(sees) = &call.sees {
        rows.retain(|row| row["id"].as_u64().is_some_and(|it| sees.contains(&it)));
    }
    if !call.unlisted.is_empty() {
        rows.retain(|row| row["id"].as_u64().is_none_or(|it| !call.unlisted.contains(&it)));
    }
    if let Some(text) = call.request.header("x-filter").filter(|text| !text.trim().is_empty()) {
        let filter: Value = serde_json::from_str(text)
            .map_err(|_| LinodeError::field("X-Filter", "X-Filter is not valid JSON"))?;
        let filter = filter
            .as_object()
            .ok_or_else(|| LinodeError::field("X-Filter", "X-Filter must be an object"))?;
        check(filter, filterable)?;
        rows.retain(|row| passes(filter, row));
        order(filter, &mut rows);
    }
    let results = rows.len();
    let pages = results.div_ceil(size).max(1);
    let data: Vec<Value> = rows.into_iter().skip((number - 1) * size).take(size).collect();
    Ok(json!({ "data": data, "page": number, "pages": pages, "results": results }))
}

fn window(call: &LinodeCall<'_>) -> Result<(usize, usize), LinodeError> {
    let number = |name: &str, or: usize| match call.request.parameter(name) {
        None => Some(or),
        Some(text) => text.parse::<usize>().ok(),
    };
    let page = number("page", 1).filter(|page| *page >= 1);
    let size = number("page_size", 100).filter(|size| (25..=500).contains(size));
    let mut errors = Vec::new();
    if page.is_none() {
        errors.push((Some("page".to_owned()), "Must be 1 or greater".to_owned()));
    }
    if size.is_none() {
        errors.push((Some("page_size".to_owned()), "Must be 25-500".to_owned()));
    }
    match (page, size) {
        (Some(page), Some(size)) => Ok((page, size)),
        _ => Err(LinodeError { status: 400, errors }),
    }
}

/// Refuses a filter for its fields before looking at any row, so that an empty list refuses it too.
fn check(filter: &Map<String, Value>, filterable: Filterable) -> Result<(), LinodeError> {
    let known = |field: &str| {
        filterable.iter().any(|it| {
            *it == field || it.strip_suffix('*').is_some_and(|prefix| field.starts_with(prefix))
        })
    };
    let cannot =
        |field: &str| Err(LinodeError::field("X-Filter", &format!("Cannot filter on {field}")));
    for (key, value) in filter {
        match key.as_str() {
            "+and" | "+or" => {
                for part in value.as_array().into_iter().flatten() {
                    let part = part.as_object().ok_or_else(|| {
                        LinodeError::field("X-Filter", &format!("{key} takes a list of filters"))
                    })?;
                    check(part, filterable)?;
                }
            }
            "+order_by" => {
                let field = value.as_str().unwrap_or_default();
                if !known(field) {
                    return cannot(field);
                }
            }
            "+order" => {
                if !matches!(value.as_str(), Some("asc" | "desc")) {
                    return Err(LinodeError::field("X-Filter", "+order must be asc or desc"));
                }
            }
            field if known(field) => {}
            field => return cannot(field),
        }
    }
    Ok(())
}

fn passes(filter: &Map<String, Value>, row: &Value) -> bool {
    let part = |it: &Value| it.as_object().is_some_and(|it| passes(it, row));
    filter.iter().all(|(key, wanted)| match key.as_str() {
        "+and" => wanted.as_array().is_some_and(|parts| parts.iter().all(part)),
        "+or" => wanted.as_array().is_some_and(|parts| parts.iter().any(part)),
        "+order_by" | "+order" => true,
        field => matches(at(row, field), wanted),
    })
}

/// The value at a dotted path.
fn at<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(row, |value, step| &value[step])
}

fn matches(value: &Value, wanted: &Value) -> bool {
    // A list matches when one of its members does.
    if let Some(items) = value.as_array() {
        return items.iter().any(|item| matches(item, wanted));
    }
    let Some(operators) = wanted.as_object() else { return equal(value, wanted) };
    operators.iter().all(|(operator, operand)| {
        let ordering = compare(value, operand);
        match operator.as_str() {
            "+eq" => equal(value, operand),
            "+neq" => !equal(value, operand),
            "+gt" => ordering == Some(Ordering::Greater),
            "+gte" => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
            "+lt" => ordering == Some(Ordering::Less),
            "+lte" => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            "+contains" => match (value.as_str(), operand.as_str()) {
                (Some(text), Some(part)) => text.to_lowercase().contains(&part.to_lowercase()),
                _ => false,
            },
            _ => false,
        }
    })
}

fn equal(value: &Value, wanted: &Value) -> bool {
    match (value.as_str(), wanted.as_str()) {
        (Some(value), Some(wanted)) => value.eq_ignore_ascii_case(wanted),
        _ => value == wanted,
    }
}

/// Numbers as numbers, everything else as text; times compare rightly as text.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.partial_cmp(&right),
        _ => Some(left.as_str()?.cmp(right.as_str()?)),
    }
}

fn order(filter: &Map<String, Value>, rows: &mut [Value]) {
    let Some(field) = filter.get("+order_by").and_then(Value::as_str) else { return };
    rows.sort_by(|left, right| {
        compare(at(left, field), at(right, field)).unwrap_or(Ordering::Equal)
    });
    if filter.get("+order").and_then(Value::as_str) == Some("desc") {
        rows.reverse();
    }
}
