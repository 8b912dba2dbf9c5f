//! Which store the state of a stack is kept in: its folder, or what `state:` in its stack file says.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::lang::load::{Loaded, STATE};
use crate::engine::lang::yaml::node::{MapEntry, Node};
use crate::engine::lang::yaml::reader::{BYTES_MAX, parse};
use crate::engine::state::copies::CopyStanding;
use crate::engine::state::stores_record::StoreRole;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Severity, Sources};
use crate::ops::contained;
use crate::ops::load::stack_ref::StackRef;
use crate::render::copies::other_copy;
use crate::store::backend::{Backend, PutCondition, PutOutcome, StoredObject};
use crate::store::error::StoreError;
use crate::store::folder::FolderBackend;
use crate::store::key::{KeyPrefix, StoreKey};
use crate::store::open::{mirrored, open, open_declared};
use crate::store::remote::location::{DeclaredStores, LocationError, StoreLocation};
use crate::store::sealed::backend::{SealedBackend, SealedPlace};
use crate::store::sealed::declared::{ENCRYPT, StateEncryption};

/// A store that nobody can tell which it is: whatever is asked of it, it says why.
#[derive(Debug)]
struct UnknownStore {
    /// The stack file.
    file: PathBuf,
    line: u32,
    why: LocationError,
}

/// Where the state of a stack is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateSite {
    /// In this folder.
    Folder(PathBuf),
    Remote(Box<DeclaredStores>),
    /// Encrypted in one of those.
    Sealed(Box<StateSite>, StateEncryption),
}

/// The stores of two copies of the first state that this process has opened: what became of them is told once, when the command ends.
static OPENED: Mutex<OpenedStores> = Mutex::new(None);

/// The name of the state, and its stores as often as they were opened.
type OpenedStores = Option<(String, Vec<Arc<dyn Backend>>)>;

/// How the copies of the state stand that this process has read first: the one that its command is about. Those of other workspaces,
/// which are read beside it, are told by commands about them.
pub fn standing() -> Option<CopyStanding> {
    let opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    // Looked at last: a command may open it more than once.
    opened.iter().flat_map(|(_, all)| all).rev().find_map(|it| it.standing())
}

/// How the folder is named where the address of a store may stand.
pub const FOLDER: &str = "folder";

impl StateSite {
    /// What a place is called where one can be given.
    pub fn address(&self) -> String {
        match self {
            Self::Folder(_) => FOLDER.into(),
            Self::Remote(stores) => stores.primary.to_string(),
            Self::Sealed(inner, _) => inner.address(),
        }
    }

    /// The same for people, with its other stores, and the form in which the state is kept there.
    pub fn described(&self) -> String {
        match self {
            Self::Folder(_) => FOLDER.into(),
            Self::Remote(stores) => {
                let more = [("mirror", &stores.mirror), ("witness", &stores.witness)];
                let more = more.map(|(word, it)| it.as_ref().map(|it| format!(", {word} {it}")));
                stores.primary.to_string() + &more.map(Option::unwrap_or_default).concat()
            }
            Self::Sealed(inner, _) => format!("{}, encrypted", inner.described()),
        }
    }

    /// The same place with keys, or without.
    #[must_use]
    pub fn in_form(self, encryption: Option<StateEncryption>) -> Self {
        let plain = match self {
            Self::Sealed(inner, _) => *inner,
            plain => plain,
        };
        match encryption {
            Some(it) => Self::Sealed(Box::new(plain), it),
            None => plain,
        }
    }

    /// With which keys it is encrypted.
    pub fn encryption(&self) -> Option<&StateEncryption> {
        match self {
            Self::Sealed(_, encryption) => Some(encryption),
            Self::Folder(_) | Self::Remote(_) => None,
        }
    }

    /// The stores behind a network that it names.
    pub fn stores(&self) -> Option<&DeclaredStores> {
        match self {
            Self::Folder(_) => None,
            Self::Remote(stores) => Some(stores),
            Self::Sealed(inner, _) => inner.stores(),
        }
    }
}

/// The store of this state.
pub fn backend(place: &StackRef, is_sandbox: bool) -> Arc<dyn Backend> {
    match site(place, is_sandbox) {
        Ok(site) => {
            let backend = at(&site, place);
            if backend.has_mirror() {
                let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
                opened.get_or_insert_with(|| (place.name(), Vec::new()));
                if let Some((name, all)) = &mut *opened
                    && *name == place.name()
                {
                    all.push(Arc::clone(&backend));
                }
            }
            backend
        }
        Err((line, why)) => Arc::new(UnknownStore { file: place.file(), line, why }),
    }
}

/// The store of a state at a place that may not be the one that its stack file says.
pub fn at(site: &StateSite, place: &StackRef) -> Arc<dyn Backend> {
    match site {
        StateSite::Folder(folder) => Arc::new(FolderBackend::new(folder)),
        StateSite::Remote(stores) => open_stores(stores, place, None),
        StateSite::Sealed(inner, encryption) => match &**inner {
            StateSite::Remote(stores) => open_stores(stores, place, Some(encryption)),
            folder => Arc::new(sealed(at(folder, place), folder.address(), place, encryption)),
        },
    }
}

/// One store of a state, whatever others there are.
pub fn open_side(
    location: &StoreLocation,
    place: &StackRef,
    encryption: Option<&StateEncryption>,
) -> Arc<dyn Backend> {
    let plain = open(location, &place.name());
    match encryption {
        Some(it) => Arc::new(sealed(plain, location.to_string(), place, it)),
        None => plain,
    }
}

/// The store of a state, or its stores as one, each of them encrypted by itself.
pub fn open_stores(
    stores: &DeclaredStores,
    place: &StackRef,
    encryption: Option<&StateEncryption>,
) -> Arc<dyn Backend> {
    if stores.mirror.is_some() {
        let stack = StackRef { instance: None, ..place.clone() };
        let name = place.name();
        let of = |state: &str| if state == name { place } else { &stack };
        return mirrored(stores, &|it, state| open_side(it, of(state), encryption), &name);
    }
    let plain = open_declared(stores, &place.name());
    match encryption {
        Some(it) => Arc::new(sealed(plain, stores.primary.to_string(), place, it)),
        None => plain,
    }
}

/// The encrypted stores of a state, each by itself; none if the stack does not say that it is encrypted.
pub fn sealed_backends(place: &StackRef, is_sandbox: bool) -> Vec<SealedBackend> {
    let Ok(StateSite::Sealed(inner, encryption)) = site(place, is_sandbox) else {
        return Vec::new();
    };
    match &*inner {
        StateSite::Remote(stores) => [Some(&stores.primary), stores.mirror.as_ref()]
            .into_iter()
            .flatten()
            .map(|it| sealed(open(it, &place.name()), it.to_string(), place, &encryption))
            .collect(),
        folder => vec![sealed(at(folder, place), folder.address(), place, &encryption)],
    }
}

fn sealed(
    inner: Arc<dyn Backend>,
    to: String,
    place: &StackRef,
    encryption: &StateEncryption,
) -> SealedBackend {
    let sealed = SealedPlace { state: place.name(), stack: place.stack.clone(), to };
    SealedBackend::new(inner, sealed, encryption.clone())
}

/// What the stack file says, or the line and why that cannot be.
pub fn site(place: &StackRef, is_sandbox: bool) -> Result<StateSite, (u32, LocationError)> {
    let folder = StateSite::Folder(place.state(is_sandbox));
    // The sandbox's states lie beside its world, whatever the stack's do.
    if is_sandbox {
        return Ok(folder);
    }
    let below = Path::new("stacks").join(&place.stack);
    let read = contained::read(&place.root, &below, Path::new("stack.yaml"), BYTES_MAX as u64);
    // Whoever reads the layers says what is wrong with the file.
    let Ok(bytes) = read else { return Ok(folder) };
    let mut sources = Sources::default();
    let (node, mistakes) = parse("stack.yaml", &bytes, &mut sources);
    let Some(state) = node.as_ref().and_then(state_of) else {
        // A file that nobody can read may say so all the same: then the folder is not the state.
        let broken = mistakes.iter().find(|it| it.severity == Severity::Error);
        return match broken.filter(|_| mentions_state(&bytes)) {
            Some(it) => {
                let remedy = "correct it: it says where the state is kept".into();
                let line = it.labels.first().map_or(1, |it| it.span.line);
                Err((line, LocationError { what: it.summary.clone(), remedy }))
            }
            None => Ok(folder),
        };
    };
    let declared = declared(&state.node).map_err(|why| (state.key.line, why))?;
    let (stores, encryption) = declared;
    let plain = stores.map_or(folder, |it| StateSite::Remote(Box::new(it)));
    Ok(plain.in_form(encryption))
}

/// The store as people read of it, and how its mirror stands as far as that was seen; `None` for the folder, which goes without
/// saying.
pub fn described(
    place: &StackRef,
    is_sandbox: bool,
    standing: Option<&CopyStanding>,
) -> Option<String> {
    let site = site(place, is_sandbox).ok()?;
    let words = match site.stores() {
        Some(stores) => stores_described(stores, standing),
        None => FOLDER.into(),
    };
    match (&site, site.encryption()) {
        (StateSite::Folder(_), None) => None,
        (_, None) => Some(words),
        (_, Some(_)) => Some(format!("{words}, encrypted")),
    }
}

fn stores_described(stores: &DeclaredStores, standing: Option<&CopyStanding>) -> String {
    let told = |role: StoreRole, it: &StoreLocation| {
        let how = match standing {
            Some(standing) if standing.believed != role => format!(": {}", other_copy(standing)),
            Some(_) | None => String::new(),
        };
        format!("{} (fault domain {}){how}", it.name(), it.fault_domain)
    };
    let mirror = stores.mirror.as_ref();
    let mirror = mirror.map(|it| format!(", mirror {}", told(StoreRole::Mirror, it)));
    let is_silent = standing.is_some_and(|it| it.is_witness_silent);
    let silent = if is_silent { ": cannot be reached" } else { "" };
    let witness = stores.witness.as_ref();
    let witness = witness.map(|it| format!(", witness {}{silent}", it.name()));
    let more = [mirror, witness].map(Option::unwrap_or_default).concat();
    told(StoreRole::Primary, &stores.primary) + &more
}

/// The primary store and its mirror, each with what it is lost together with, and whether there is a witness; nothing for a folder.
pub fn declared_at(place: &StackRef, is_sandbox: bool) -> (Vec<(String, String)>, bool) {
    let site = site(place, is_sandbox).ok();
    let Some(stores) = site.as_ref().and_then(StateSite::stores) else {
        return Default::default();
    };
    let copies = [Some(&stores.primary), stores.mirror.as_ref()].into_iter().flatten();
    let copies = copies.map(|it| (it.name(), it.fault_domain.clone())).collect();
    (copies, stores.witness.is_some())
}

/// The fault domains that the declared stores are in: what is lost with them may be declared lost, also where no resource is.
pub fn domains(place: &StackRef) -> Vec<String> {
    let site = site(place, false).ok();
    let Some(stores) = site.as_ref().and_then(StateSite::stores) else { return Vec::new() };
    stores.all().map(|it| it.fault_domain.clone()).collect()
}

/// What is wrong with `state:` in these layers.
pub fn check(loaded: &Loaded) -> Option<Diagnostic> {
    let state = state_of(loaded.layers.first()?)?;
    let LocationError { what, remedy } = declared(&state.node).err()?;
    let mut letters = what.chars();
    let opening = letters.next().map(|it| it.to_uppercase().to_string()).unwrap_or_default();
    let summary = format!("{opening}{}", letters.as_str());
    let wrong = Diagnostic::error(DiagnosticCode::BadStore, summary);
    Some(wrong.at(state.node.span, "where the state is kept").help(remedy))
}

/// Whether a line of the text begins with the key, as it is written by people and by `state migrate`.
fn mentions_state(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.lines().any(|it| {
        let it = it.trim_start_matches(['"', '\'']);
        it.strip_prefix(STATE)
            .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
    })
}

fn state_of(stack: &Node) -> Option<&MapEntry> {
    stack.as_map()?.get(STATE)
}

/// The stores and the keys that are declared; no store: the folder.
fn declared(
    state: &Node,
) -> Result<(Option<DeclaredStores>, Option<StateEncryption>), LocationError> {
    let wrong = |what: String| {
        LocationError {
        what,
        remedy: "write `state: { s3: { bucket: NAME, region: REGION } }`, or leave `state` out to keep it in its folder".into(),
    }
    };
    let serde_json::Value::Object(mut map) = state.value().json() else {
        return Err(wrong(format!("`state` must be a map, and this is {}", state.word())));
    };
    let encryption = map.remove(ENCRYPT).map(|it| StateEncryption::parse(&it)).transpose()?;
    if map.is_empty() && encryption.is_some() {
        return Ok((None, encryption));
    }
    let stores: DeclaredStores = serde_json::from_value(map.into()).map_err(|why| {
        let text = why.to_string();
        match text.split_once("; ") {
            Some((what, remedy)) => LocationError { what: what.into(), remedy: remedy.into() },
            None => wrong(text),
        }
    })?;
    Ok((Some(stores), encryption))
}

impl UnknownStore {
    fn refused<T>(&self) -> Result<T, StoreError> {
        let LocationError { what, remedy } = self.why.clone();
        Err(StoreError::Undeclared { file: self.file.clone(), line: self.line, what, remedy })
    }
}

impl Backend for UnknownStore {
    fn read(&self, _: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        self.refused()
    }

    fn put(&self, _: &StoreKey, _: &[u8], _: PutCondition<'_>) -> Result<PutOutcome, StoreError> {
        self.refused()
    }

    fn list(&self, _: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        self.refused()
    }

    fn delete(&self, _: &StoreKey) -> Result<(), StoreError> {
        self.refused()
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        self.refused()
    }

    fn root(&self) -> &Path {
        &self.file
    }
}

#[cfg(test)]
mod tests {
    use super::{StateSite, backend, check, described, site};
    use crate::engine::lang::load::Loaded;
    use crate::engine::lang::yaml::reader::parse;
    use crate::ops::load::stack_ref::StackRef;
    use crate::store::error::StoreError;
    use crate::store::key::KeyPrefix;

    /// A stack file with this block, and its place.
    fn stack(block: &str) -> (tempfile::TempDir, StackRef) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("stacks/shop");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("stack.yaml"), format!("stack: shop\n{block}")).unwrap();
        let place = StackRef::find("shop", root.path()).unwrap();
        (root, place)
    }

    #[test]
    fn site_is_the_folder_unless_the_stack_says_otherwise() {
        let (_root, place) = stack("");
        assert_eq!(site(&place, false).unwrap(), StateSite::Folder(place.state(false)));
        let (_root, place) = stack("state: { s3: { bucket: shop-state, region: eu-central-1 } }");
        let StateSite::Remote(remote) = site(&place, false).unwrap() else { panic!("a bucket") };
        assert_eq!(remote.primary.name(), "s3://shop-state");
        // The sandbox's states lie beside its world.
        assert_eq!(site(&place, true).unwrap(), StateSite::Folder(place.state(true)));
    }

    #[test]
    fn site_is_encrypted_where_the_stack_says_so() {
        for (block, said) in [
            ("state: { encrypt: { key_env: K } }", "folder, encrypted"),
            (
                "state:\n  dynamodb: { table: shop-state, region: eu-west-1 }\n  encrypt: { key_env: K, old_key_env: OLD }",
                "dynamodb://shop-state?region=eu-west-1, encrypted",
            ),
        ] {
            let (_root, place) = stack(block);
            let found = site(&place, false).unwrap();
            assert_eq!(
                (found.described().as_str(), found.encryption().unwrap().key_env.as_str()),
                (said, "K")
            );
            assert!(described(&place, false, None).unwrap().ends_with(", encrypted"));
            // Nothing of the sandbox is worth a key.
            assert_eq!(site(&place, true).unwrap(), StateSite::Folder(place.state(true)));
        }
    }

    #[test]
    fn check_and_backend_refuse_what_names_no_store() {
        let mut said = Vec::new();
        for block in [
            "state: s3",
            "state: []",
            "state: {}",
            "state: { s4: { bucket: shop-state, region: eu-west-1 } }",
            "state: { s3: { bucket: shop-state } }",
            "state: { s3: { bucket: '${vars.x}', region: eu-west-1 } }",
            "state: { s3: { bucket: shop-state, region: eu-west-1, prefixx: a } }",
            "state: { s3: { bucket: shop-state, region: 7 } }",
            "state: { encrypt: 7 }",
            "state: { encrypt: { key_env: 'a+b=' } }",
            "state: { s3: { bucket: shop-state }, encrypt: { key_env: K } }",
            "state:\n  s3: { bucket: shop-state, region: eu-west-1 }\n  mirror: { dynamodb: { table: shop-state, region: eu-west-1 } }",
            "state:\n  s3: { bucket: shop-state, region: eu-west-1 }\n  mirror: { s3: { bucket: shop-state, region: eu-west-1 } }",
            "state:\n  s3: { bucket: shop-state, region: eu-west-1 }\n  witness: { dynamodb: { table: shop-state, region: us-west-2 } }",
        ] {
            let (_root, place) = stack(block);
            let mut loaded = Loaded::default();
            let text = format!("stack: shop\n{block}");
            loaded.layers.extend(parse("stack.yaml", text.as_bytes(), &mut loaded.sources).0);
            let wrong = check(&loaded).unwrap_or_else(|| panic!("{block}"));
            assert_eq!(wrong.code.as_str(), "bad_store");
            let refused = backend(&place, false).list(&KeyPrefix::ROOT).unwrap_err();
            assert!(matches!(refused, StoreError::Undeclared { line: 2, .. }), "{refused}");
            said.push(format!("{}: {}", wrong.summary, refused.advice()));
        }
        insta::assert_snapshot!(said.join("\n"), @"
`state` must be a map, and this is text: write `state: { s3: { bucket: NAME, region: REGION } }`, or leave `state` out to keep it in its folder
`state` must be a map, and this is a list: write `state: { s3: { bucket: NAME, region: REGION } }`, or leave `state` out to keep it in its folder
A store is one of `s3` and `dynamodb`: write `s3: { bucket: …, region: … }` or `dynamodb: { table: …, region: … }`
`state` has no key `s4`: did you mean `s3`?
It is not said in which region the bucket is: add `region`
`${vars.x}` is no name of a bucket: a bucket's name has 3 to 63 lower-case letters, digits, `-` and `.`
`s3` has no key `prefixx`: did you mean `prefix`?
Invalid type: integer `7`, expected a string: write plain texts: no numbers, no lists, no `${…}`
`encrypt` is no map: write `encrypt: { key_env: NAME }`, with the name of a variable of the environment that holds the key
`key_env` is no name of a variable; what it says is not shown, since it may be a secret: write the name of a variable of the environment that holds the key
It is not said in which region the bucket is: add `region`
The primary store and `mirror` are both in the fault domain aws:eu-west-1, so they are lost together: choose a store in another region for `mirror`
One store is named twice: a copy of a state in the same place is none: name another bucket or table, in another fault domain
There is a `witness` and no `mirror`: a witness decides between two copies: add `mirror`, or leave out `witness`
");
    }
}
