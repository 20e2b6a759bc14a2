//! The frame of the tools that only look: each is a manifest, a summary of the call, and a function.

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;

use super::{Args, Context, Manifest, Observation, Plan, Tool, ToolError, args, blocking};
use crate::permission::{Class, Permission};
use crate::workspace::Patch;

/// A tool that changes nothing, with arguments of type `A`.
pub(super) struct Look<A> {
    pub manifest: Manifest,
    /// What is looked at, for the user.
    pub summary: fn(&A) -> String,
    /// Waits for the disk, on a thread that may.
    pub look: fn(&A, &Context) -> Result<Observation, ToolError>,
}

impl<A: DeserializeOwned + Send + 'static> Tool for Look<A> {
    fn spec(&self) -> &Manifest {
        &self.manifest
    }

    fn plan(&self, args: &Args, _cx: &Context) -> Result<Plan, ToolError> {
        let arguments: A = args::parse(&self.manifest, args)?;
        Ok(Permission { class: Class::Read, summary: (self.summary)(&arguments), diff: None }.into())
    }

    fn run<'a>(
        &'a self,
        args: &'a Args,
        _patch: Option<Patch>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Observation, ToolError>> {
        Box::pin(async move {
            let arguments: A = args::parse(&self.manifest, args)?;
            let (look, cx) = (self.look, cx.clone());
            blocking(move || look(&arguments, &cx)).await
        })
    }
}
