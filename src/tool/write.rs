//! `write`: the whole content of a file.

use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::{Args, Context, Manifest, Observation, Plan, Tool, ToolError, args, change, paths};
use crate::workspace::{Edit, Patch, RelPath};

/// The tool.
pub(super) struct Write(Manifest);

#[derive(Debug, Clone, Deserialize)]
struct Arguments {
    path: String,
    content: String,
}

impl Write {
    pub fn new() -> Self {
        Self(super::embedded(include_str!("../../tools/write.toml")))
    }
}

impl Tool for Write {
    fn spec(&self) -> &Manifest {
        &self.0
    }

    fn plan(&self, args: &Args, cx: &Context) -> Result<Plan, ToolError> {
        let (path, edit) = mean(args::parse(&self.0, args)?, cx)?;
        change::plan(&self.0.name, &path, &edit, cx)
    }

    fn run<'a>(
        &'a self,
        args: &'a Args,
        patch: Option<Patch>,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<Observation, ToolError>> {
        Box::pin(async move {
            let arguments = args::parse(&self.0, args)?;
            change::run(&self.0.name, "Wrote", patch, cx, move |cx| mean(arguments, cx)).await
        })
    }
}

fn mean(arguments: Arguments, cx: &Context) -> Result<(RelPath, Edit), ToolError> {
    let Arguments { path, content } = arguments;
    let path = paths::resolve(&path, cx)?;
    Ok((path.clone(), Edit::Write { path, content }))
}
