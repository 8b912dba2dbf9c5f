//! A code host in memory, which breaks where a test says so.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use async_trait::async_trait;

use crate::cloud::error::ProviderError;
use crate::code_host::host::{CodeHost, HostComment, HostIssue, HostPull, HostUser, ListPage};
use crate::engine::retry::ErrorClass;

/// Comments on one page.
const PAGE: usize = 3;

/// How one call breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Denied,
    /// What it is about was deleted a moment ago.
    Gone,
    /// It was done, and nobody heard so.
    LostReply,
    /// It never came.
    LostCall,
}

#[derive(Default)]
struct Kept {
    comments: Vec<HostComment>,
    issues: Vec<(HostIssue, bool)>,
    next: u64,
    broken: VecDeque<(&'static str, Broken)>,
    /// What somebody else makes right before a call.
    meanwhile: Option<(&'static str, HostUser, String)>,
}

/// The host, asked by one user.
pub(super) struct MemoryHost {
    me: String,
    is_told: AtomicBool,
    kept: Mutex<Kept>,
}

/// A user whose number follows from the name.
pub(super) fn user(login: &str) -> HostUser {
    let id = login.bytes().fold(7, |sum, it| sum * 31 + u64::from(it)) % 100_000 + 2;
    HostUser { id: Some(id), login: login.into() }
}

impl MemoryHost {
    pub(super) fn new(me: &str) -> Self {
        Self { me: me.into(), is_told: AtomicBool::new(true), kept: Mutex::default() }
    }

    /// Does not say whose token it is.
    pub(super) fn hides_itself(&self) {
        self.is_told.store(false, Relaxed);
    }

    pub(super) fn says(&self, login: &str, body: &str) {
        self.kept.lock().unwrap().says(user(login), body);
    }

    pub(super) fn opens(&self, login: &str, body: &str) {
        self.kept.lock().unwrap().opens(user(login), body);
    }

    /// The next call of this name breaks.
    pub(super) fn breaks(&self, call: &'static str, how: Broken) {
        self.kept.lock().unwrap().broken.push_back((call, how));
    }

    /// Somebody makes this right before the next call of this name.
    pub(super) fn meanwhile(&self, call: &'static str, login: &str, body: &str) {
        self.kept.lock().unwrap().meanwhile = Some((call, user(login), body.into()));
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        self.kept.lock().unwrap().comments.iter().map(|it| it.body.clone()).collect()
    }

    pub(super) fn delete_all(&self) {
        self.kept.lock().unwrap().comments.clear();
    }

    /// Whether it is open, and its text.
    pub(super) fn issue(&self, number: u64) -> (bool, String) {
        let kept = self.kept.lock().unwrap();
        let found = kept.issues.iter().find(|it| it.0.number == number).unwrap();
        (found.1, found.0.body.clone())
    }

    /// Does it, or breaks on the way.
    fn does<T>(
        &self,
        call: &'static str,
        it: impl FnOnce(&mut Kept) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let mut kept = self.kept.lock().unwrap();
        if let Some((_, who, body)) = kept.meanwhile.take_if(|it| it.0 == call) {
            match call {
                "create_issue" => kept.opens(who, &body),
                _ => kept.says(who, &body),
            };
        }
        let at = kept.broken.iter().position(|it| it.0 == call);
        let fails = |class| Err(ProviderError::new(class, call, "it broke"));
        match at.and_then(|at| kept.broken.remove(at)).map(|it| it.1) {
            None => it(&mut kept),
            Some(Broken::Denied) => fails(ErrorClass::Denied),
            Some(Broken::Gone) => {
                kept.comments.clear();
                fails(ErrorClass::Missing)
            }
            Some(Broken::LostCall) => fails(ErrorClass::UnknownOutcome),
            Some(Broken::LostReply) => {
                it(&mut kept)?;
                fails(ErrorClass::UnknownOutcome)
            }
        }
    }
}

impl Kept {
    fn says(&mut self, author: HostUser, body: &str) -> HostComment {
        self.next += 1;
        let made = HostComment { id: self.next, author, body: body.into() };
        self.comments.push(made.clone());
        made
    }

    fn opens(&mut self, author: HostUser, body: &str) -> HostComment {
        let number = self.issues.len() as u64 + 1;
        let issue = HostIssue { number, author, title: String::new(), body: body.into() };
        let made = HostComment { id: number, author: issue.author.clone(), body: body.into() };
        self.issues.push((issue, true));
        made
    }
}

fn missing() -> ProviderError {
    ProviderError::new(ErrorClass::Missing, "memory", "it is not there")
}

#[async_trait]
impl CodeHost for MemoryHost {
    async fn me(&self) -> Result<Option<HostUser>, ProviderError> {
        let is_told = self.is_told.load(Relaxed);
        self.does("me", |_| Ok(is_told.then(|| user(&self.me))))
    }

    fn job_logins(&self) -> &'static [&'static str] {
        &["job[bot]"]
    }

    async fn pull(&self, number: u64) -> Result<HostPull, ProviderError> {
        Ok(HostPull { number, head: "aaaaaaa".into(), is_open: true })
    }

    async fn pull_of_commit(&self, _: &str) -> Result<Option<u64>, ProviderError> {
        Ok(None)
    }

    async fn comments(&self, _: u64, page: u32) -> Result<ListPage<HostComment>, ProviderError> {
        self.does("comments", |kept| {
            let first = (page as usize - 1) * PAGE;
            let items: Vec<_> = kept.comments.iter().skip(first).take(PAGE).cloned().collect();
            let next = (first + PAGE < kept.comments.len()).then_some(page + 1);
            Ok(ListPage { items, next })
        })
    }

    async fn create_comment(&self, _: u64, body: &str) -> Result<HostComment, ProviderError> {
        self.does("create", |kept| Ok(kept.says(user(&self.me), body)))
    }

    async fn update_comment(&self, _: u64, id: u64, body: &str) -> Result<(), ProviderError> {
        self.does("update", |kept| {
            let found = kept.comments.iter_mut().find(|it| it.id == id).ok_or_else(missing)?;
            body.clone_into(&mut found.body);
            Ok(())
        })
    }

    async fn delete_comment(&self, _: u64, id: u64) -> Result<(), ProviderError> {
        self.does("delete", |kept| {
            kept.comments.retain(|it| it.id != id);
            Ok(())
        })
    }

    async fn issues(&self, by: &HostUser, _: u32) -> Result<ListPage<HostIssue>, ProviderError> {
        self.does("issues", |kept| {
            let of_them = kept.issues.iter().filter(|it| it.1 && it.0.author.login == by.login);
            Ok(ListPage { items: of_them.map(|it| it.0.clone()).collect(), next: None })
        })
    }

    async fn create_issue(&self, title: &str, body: &str) -> Result<HostIssue, ProviderError> {
        self.does("create_issue", |kept| {
            kept.opens(user(&self.me), body);
            let made = &mut kept.issues.last_mut().expect("it was just opened").0;
            made.title = title.into();
            Ok(made.clone())
        })
    }

    async fn update_issue(&self, number: u64, body: &str) -> Result<(), ProviderError> {
        self.does("update_issue", |kept| {
            let found = kept.issues.iter_mut().find(|it| it.0.number == number);
            body.clone_into(&mut found.ok_or_else(missing)?.0.body);
            Ok(())
        })
    }

    async fn comment_on_issue(&self, _: u64, body: &str) -> Result<(), ProviderError> {
        self.does("comment_on_issue", |kept| {
            kept.says(user(&self.me), body);
            Ok(())
        })
    }

    async fn close_issue(&self, number: u64) -> Result<(), ProviderError> {
        self.does("close_issue", |kept| {
            let found = kept.issues.iter_mut().find(|it| it.0.number == number);
            found.ok_or_else(missing)?.1 = false;
            Ok(())
        })
    }
}
