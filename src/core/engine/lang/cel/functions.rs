//! What expressions may call: CEL's library, our own functions, and the passage of values into CEL and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, LazyLock};

use cel::common::types::{
    CelInt, CelList, CelMap, CelMapKey, CelString, INT_TYPE, LIST_TYPE, MAP_TYPE, STRING_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::objects::Key;
use cel::{Env, ExecutionError, extensions};

use crate::engine::value::{Attributes, Value};

/// Gives the keys of a map in order, and a list as it is: makes comprehensions deterministic.
pub const ITEMS: &str = "@items";

/// Every function an expression may call, for checking names early and for suggestions.
pub const NAMES: [&str; 77] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "type",
    "dyn",
    "has",
    "map",
    "filter",
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "substring",
    "trim",
    "reverse",
    "format",
    "quote",
    "slice",
    "flatten",
    "distinct",
    "sort",
    "sortBy",
    "greatest",
    "least",
    "ceil",
    "floor",
    "round",
    "trunc",
    "isInf",
    "isNaN",
    "isFinite",
    "abs",
    "sign",
    "bitAnd",
    "bitOr",
    "bitXor",
    "bitNot",
    "bitShiftLeft",
    "bitShiftRight",
    "sqrt",
    "of",
    "none",
    "ofNonZeroValue",
    "hasValue",
    "value",
    "orValue",
    "or",
    "optMap",
    "optFlatMap",
    "bind",
    "unwrap",
    "unwrapOpt",
    "file",
    "template",
    "base64",
    "cidr_host",
    "cidr_subnet",
    "transformList",
    "transformMap",
    "first",
    "last",
];

/// The first parts of qualified function names; not references.
pub const NAMESPACES: [&str; 6] = ["lists", "math", "strings", "base64", "optional", "cel"];

/// The environment in which every expression is compiled and evaluated.
pub static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(environment()));

fn environment() -> Env {
    let mut env = Env::stdlib();
    let added = env
        .add_extension(extensions::strings)
        .and_then(|()| env.add_extension(extensions::lists))
        .and_then(|()| env.add_extension(extensions::math))
        .and_then(|()| env.add_overload(ITEMS, "items_list", vec![LIST_TYPE], list_items))
        .and_then(|()| env.add_overload(ITEMS, "items_map", vec![MAP_TYPE], map_items))
        .and_then(|()| env.add_overload("base64", "base64_string", vec![STRING_TYPE], base64))
        .and_then(|()| {
            env.add_overload("cidr_host", "cidr_host", vec![STRING_TYPE, INT_TYPE], host)
        })
        .and_then(|()| {
            let types = vec![STRING_TYPE, INT_TYPE, INT_TYPE];
            env.add_overload("cidr_subnet", "cidr_subnet", types, subnet)
        });
    added.expect("no two functions share a name and types");
    env
}

type FunctionResult<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

#[expect(clippy::unnecessary_wraps, reason = "the signature that cel asks for")]
fn list_items<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> FunctionResult<'b, 'v> {
    Ok(args.remove(0))
}

fn map_items<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> FunctionResult<'b, 'v> {
    let map = args[0].downcast_ref::<CelMap>().ok_or_else(|| failed(ITEMS, "not a map"))?;
    let mut keys: Vec<Key> = map.inner().keys().map(|it| Key::from(it.clone())).collect();
    keys.sort();
    let keys: Vec<Box<dyn Val + 'v>> =
        keys.into_iter().map(|it| boxed_key(CelMapKey::from(it))).collect();
    Ok(CowVal::owned(CelList::from(keys)))
}

fn boxed_key<'v>(key: CelMapKey<'_>) -> Box<dyn Val + 'v> {
    match key {
        CelMapKey::Bool(it) => Box::new(it),
        CelMapKey::Int(it) => Box::new(it),
        CelMapKey::UInt(it) => Box::new(it),
        CelMapKey::String(it) => Box::new(CelString::from(it.into_inner())),
    }
}

fn failed(function: &str, message: &str) -> ExecutionError {
    ExecutionError::FunctionError { function: function.to_owned(), message: message.to_owned() }
}

fn text<'a>(args: &'a [CowVal<'_, '_>], index: usize) -> &'a str {
    args[index].downcast_ref::<CelString>().map_or("", |it| it.inner())
}

fn int(args: &[CowVal<'_, '_>], index: usize) -> i64 {
    args[index].downcast_ref::<CelInt>().map_or(0, |it| *it.inner())
}

#[expect(clippy::unnecessary_wraps, reason = "the signature that cel asks for")]
#[expect(clippy::needless_pass_by_value, reason = "the signature that cel asks for")]
fn base64<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> FunctionResult<'b, 'v> {
    let encoded = data_encoding::BASE64.encode(text(&args, 0).as_bytes());
    Ok(CowVal::owned(CelString::from(encoded)))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that cel asks for")]
fn host<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> FunctionResult<'b, 'v> {
    cidr_host(text(&args, 0), int(&args, 1))
        .map(|it| CowVal::owned(CelString::from(it)))
        .map_err(|it| failed("cidr_host", it))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that cel asks for")]
fn subnet<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> FunctionResult<'b, 'v> {
    cidr_subnet(text(&args, 0), int(&args, 1), int(&args, 2))
        .map(|it| CowVal::owned(CelString::from(it)))
        .map_err(|it| failed("cidr_subnet", it))
}

/// An address block: its first address as a number, the length of its prefix and of its addresses.
struct AddressBlock {
    first: u128,
    prefix: u32,
    width: u32,
}

impl AddressBlock {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "the first argument is not a prefix such as '10.0.0.0/16'";
        let (address, prefix) = text.split_once('/').ok_or(WRONG)?;
        let (bits, width) = match address.parse().map_err(|_| WRONG)? {
            IpAddr::V4(it) => (u128::from(u32::from(it)), 32),
            IpAddr::V6(it) => (u128::from(it), 128),
        };
        let prefix: u32 = prefix.parse().ok().filter(|it| *it <= width).ok_or(WRONG)?;
        let host = width - prefix;
        let first = if host == 128 { 0 } else { (bits >> host) << host };
        Ok(Self { first, prefix, width })
    }

    fn address(&self, number: u128) -> String {
        match u32::try_from(number) {
            Ok(number) if self.width == 32 => Ipv4Addr::from(number).to_string(),
            _ => Ipv6Addr::from(number).to_string(),
        }
    }

    /// The `n`-th of 2^`bits` parts, counted from the end when negative.
    fn pick(bits: u32, n: i64) -> Option<u128> {
        let all = 1_u128.checked_shl(bits).filter(|it| *it > 0);
        let n = if n < 0 {
            all?.checked_sub(u128::from(n.unsigned_abs()))?
        } else {
            u128::from(n.unsigned_abs())
        };
        all.is_none_or(|all| n < all).then_some(n)
    }
}

/// The `n`-th address of a block; from the end when negative.
fn cidr_host(prefix: &str, n: i64) -> Result<String, &'static str> {
    let block = AddressBlock::parse(prefix)?;
    let n = AddressBlock::pick(block.width - block.prefix, n)
        .ok_or("the CIDR block has fewer addresses")?;
    Ok(block.address(block.first + n))
}

/// The `n`-th block that is `bits` longer.
fn cidr_subnet(prefix: &str, bits: i64, n: i64) -> Result<String, &'static str> {
    let block = AddressBlock::parse(prefix)?;
    let left = block.width - block.prefix;
    let bits =
        u32::try_from(bits).ok().filter(|it| *it <= left).ok_or("the CIDR block has fewer bits")?;
    let n = AddressBlock::pick(bits, n).ok_or("the CIDR block has fewer subnets")?;
    let shift = left - bits;
    let first = block.first + n.checked_shl(shift).unwrap_or(0);
    Ok(format!("{}/{}", block.address(first), block.prefix + bits))
}

/// A value as CEL sees it; what is not known (open, or withheld) must not get here, secrets are laid open.
pub fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null | Value::Open | Value::Fingerprint(_) => cel::Value::Null,
        Value::Bool(it) => cel::Value::Bool(*it),
        Value::Int(it) => cel::Value::Int(*it),
        Value::Float(it) => cel::Value::Float(*it),
        Value::Text(it) => cel::Value::String(Arc::new(it.clone())),
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(map) => {
            let map =
                map.iter().map(|(name, it)| (Key::String(Arc::new(name.clone())), to_cel(it)));
            cel::Value::Map(cel::objects::Map { map: Arc::new(map.collect()) })
        }
        Value::Secret(secret) => to_cel(secret.expose()),
    }
}

/// What CEL computed, as a value of ours; or what is wrong with it.
pub fn from_cel(value: &cel::Value) -> Result<Value, &'static str> {
    Ok(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(it) => Value::Bool(*it),
        cel::Value::Int(it) => Value::Int(*it),
        cel::Value::UInt(it) => {
            Value::Int(i64::try_from(*it).map_err(|_| "the number does not fit into 64 bits")?)
        }
        cel::Value::Float(it) if it.is_finite() => Value::Float(*it),
        cel::Value::Float(_) => return Err("the number is not finite"),
        cel::Value::String(it) => Value::Text(it.to_string()),
        cel::Value::List(items) => {
            Value::List(items.iter().map(from_cel).collect::<Result<_, _>>()?)
        }
        cel::Value::Map(map) => {
            let mut found = Attributes::new();
            for (key, it) in map.map.iter() {
                let Key::String(key) = key else { return Err("a map's keys must be text") };
                found.insert(key.to_string(), from_cel(it)?);
            }
            Value::Map(found)
        }
        cel::Value::Opaque(_) => return Err("it may be absent; give a fallback: `.orValue(…)`"),
        _ => return Err("bytes, types and functions cannot be a value here"),
    })
}

#[cfg(test)]
mod tests {
    use super::{cidr_host, cidr_subnet};

    #[test]
    fn cidr_host_and_cidr_subnet_divide_blocks() {
        assert_eq!(cidr_host("10.1.2.0/24", 5).unwrap(), "10.1.2.5");
        assert_eq!(cidr_host("10.1.2.7/24", -1).unwrap(), "10.1.2.255");
        assert_eq!(cidr_host("2001:db8::/64", 1).unwrap(), "2001:db8::1");
        assert_eq!(cidr_subnet("10.0.0.0/8", 8, 3).unwrap(), "10.3.0.0/16");
        assert_eq!(cidr_subnet("2001:db8::/32", 16, 1).unwrap(), "2001:db8:1::/48");
        assert_eq!(cidr_subnet("0.0.0.0/0", 0, 0).unwrap(), "0.0.0.0/0");
        assert!(cidr_host("10.0.0.0/30", 4).is_err());
        assert!(cidr_host("10.0.0.0", 4).is_err());
        assert!(cidr_subnet("10.0.0.0/30", 4, 0).is_err());
        assert!(cidr_host("::/0", i64::MIN).is_err());
    }
}
