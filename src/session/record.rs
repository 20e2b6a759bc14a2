//! What the tools did in a turn. Reports are made from this, never from the model's word.

use crate::dialect::Call;
use crate::workspace::RelPath;

/// Calls and changes of one turn.
#[derive(Debug, Default)]
pub struct Record {
    calls: Vec<(Call, String)>,
    /// The files of each change, in order.
    changes: Vec<Vec<RelPath>>,
    /// Files whose text the model has before it.
    seen: Vec<RelPath>,
    /// The files that the last call edited; empty where it edited none.
    last: Vec<RelPath>,
    pub checked: Option<bool>,
}

/// How often a call has had this very result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    First,
    /// To be pointed out.
    Second,
    /// Ends the turn.
    Third,
}

impl Record {
    /// Notes a call and its result.
    pub fn call(&mut self, call: &Call, output: &str) -> Repeat {
        let same = |(c, o): &&(Call, String)| c.name == call.name && c.arguments == call.arguments && o == output;
        let before = self.calls.iter().filter(same).count();
        self.calls.push((call.clone(), output.to_owned()));
        match before {
            0 => Repeat::First,
            1 => Repeat::Second,
            _ => Repeat::Third,
        }
    }

    /// Notes an edit: what was called before may well give something else now.
    pub fn edited(&mut self, files: &[RelPath]) {
        self.calls.clear();
        self.changed(files);
        self.last = files.to_vec();
    }

    /// Notes a change of `files`.
    pub fn changed(&mut self, files: &[RelPath]) {
        self.changes.push(files.to_vec());
        self.last.clear();
    }

    /// Notes a call that changed no file.
    pub fn changed_nothing(&mut self) {
        self.last.clear();
    }

    /// Notes that only the first `count` changes stand.
    pub fn took_back(&mut self, count: usize) {
        self.changes.truncate(count);
    }

    /// Notes a file whose text the model was shown.
    pub fn saw(&mut self, file: RelPath) {
        if !self.seen.contains(&file) {
            self.seen.push(file);
        }
    }

    /// The files that the last call edited, if it did.
    pub fn last_edit(&self) -> Option<Vec<RelPath>> {
        (!self.last.is_empty()).then(|| self.last.clone())
    }

    /// How many changes stand.
    pub fn changes(&self) -> usize {
        self.changes.len()
    }

    /// The files that changed, in the order of their first change.
    pub fn files(&self) -> Vec<&RelPath> {
        let mut files: Vec<&RelPath> = Vec::new();
        for file in self.changes.iter().flatten() {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }

    pub fn seen(&self) -> &[RelPath] {
        &self.seen
    }

    /// One sentence on what was done.
    pub fn report(&self) -> String {
        let changed = match &*self.files() {
            [] => "no file was changed".to_owned(),
            [one] => format!("1 file was changed: {one}"),
            many => format!(
                "{} files were changed: {}",
                many.len(),
                many.iter().map(|file| file.as_str()).collect::<Vec<_>>().join(", ")
            ),
        };
        match self.checked {
            Some(true) => format!("{changed}; the check passes"),
            Some(false) => format!("{changed}; the check still fails"),
            None => changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_with_the_same_result_is_noticed() {
        let mut record = Record::default();
        let call = |name: &str| Call { id: String::new(), name: name.into(), arguments: Default::default() };
        assert_eq!(record.call(&call("read"), "a"), Repeat::First);
        assert_eq!(record.call(&call("read"), "b"), Repeat::First);
        assert_eq!(record.call(&call("list"), "a"), Repeat::First);
        assert_eq!(record.call(&call("read"), "a"), Repeat::Second);
        assert_eq!(record.call(&call("read"), "a"), Repeat::Third);
    }

    #[test]
    fn the_report_says_what_happened_and_nothing_else() {
        let mut record = Record::default();
        assert_eq!(record.report(), "no file was changed");
        record.checked = Some(false);
        assert_eq!(record.report(), "no file was changed; the check still fails");
    }
}
