//! Everything about ranking that is a number, with its reason.

use super::extract::FIELDS;

/// The parameters of ranking. Scores by words are scaled so that the best file has 1; all others are in proportion to that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Weights {
    /// What a word counts in the path, in a defined name, in a used name, in prose, in a string: a path and a definition are
    /// chosen to say what a thing is, the others come along.
    pub fields: [f32; FIELDS],
    /// How much long fields are discounted: less than for prose (0.75), since long files of code are not wordy but do more; a
    /// path not at all.
    pub b: [f32; FIELDS],
    /// How soon a word that comes again stops to count; above the usual 1.2 to 2, since fields add up to several times a count.
    pub k1: f32,
    /// A word of the request is the file's name.
    pub stem: f32,
    /// A name of the request, written as code is, is defined in the file; shared by all that define it.
    pub symbol: f32,
    /// The first line of the request names the file by its path: before all that is not named, whatever the file is.
    pub place: f32,
    /// What flows in over the graph: enough to lift a neighbour, not enough to put it before what was asked for.
    pub graph: f32,
    /// A commit with all of these words changed the file, and nothing else.
    pub told: f32,
    /// The file changed each time that the best one did.
    pub together: f32,
    /// All of the request stands together in one part of the file.
    pub chunk: f32,
    /// What is left of a test's score where the request does not speak of tests, and of all other files' where it is about
    /// them: tests repeat the words of what they test. The same goes for examples, benchmarks and what stands among documents,
    /// unless the request names their folder.
    pub tests: f32,
    /// What is left for what is no program: texts repeat the words of the code that they are about.
    pub prose: f32,
    /// What is left for what a program wrote, or nobody can read.
    pub generated: f32,
    /// What each e-fold of the file's lines adds: changes fall where the code is.
    pub size: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            fields: [4.0, 3.0, 1.0, 1.0, 1.0],
            b: [0.0, 0.3, 0.3, 0.3, 0.3],
            k1: 6.0,
            stem: 0.4,
            symbol: 0.5,
            place: 2.0,
            graph: 0.3,
            told: 0.5,
            together: 0.3,
            chunk: 0.5,
            tests: 0.4,
            prose: 0.2,
            generated: 0.3,
            size: 0.05,
        }
    }
}
