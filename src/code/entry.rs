//! What the index keeps of a file: a lexicon that ranking scans, and an outline that is read when somebody asks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::extract::{FIELDS, Facts};
use super::source::{Class, Stamp};
use super::words::Term;

/// A file of the index.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub stamp: Stamp,
    /// Of its bytes.
    pub hash: u64,
    pub lexicon: Lexicon,
    /// An [`Outline`], packed.
    outline: Box<[u8]>,
}

/// The words of a file; its terms are sorted, so that one is found without a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lexicon {
    pub class: Class,
    pub lines: u32,
    /// Words in each field.
    pub lengths: [u32; FIELDS],
    pub terms: Vec<Term>,
    pub counts: Vec<[u8; FIELDS]>,
    /// Names that it defines, as they are written.
    pub defined: Vec<Term>,
    /// Names that it uses, as they are written.
    pub used: Vec<Term>,
}

/// Definitions, uses and imports of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outline {
    pub definitions: Vec<Definition>,
    /// Lines by name, sorted by the name's term.
    pub references: Vec<(Term, Vec<u32>)>,
    pub imports: Vec<String>,
}

impl Entry {
    pub fn new(stamp: Stamp, hash: u64, class: Class, facts: Facts) -> Arc<Self> {
        let mut bag: Vec<(Term, [u8; FIELDS])> = facts.bag.into_iter().collect();
        bag.sort_unstable();
        let mut lengths = [0_u32; FIELDS];
        for (_, counts) in &bag {
            for (length, count) in lengths.iter_mut().zip(counts) {
                *length += u32::from(*count);
            }
        }
        let mut defined: Vec<Term> = facts.definitions.iter().map(|d| super::words::name_term(&d.name)).collect();
        defined.sort_unstable();
        defined.dedup();
        let lexicon = Lexicon {
            class,
            lines: facts.lines,
            lengths,
            used: facts.references.iter().map(|(term, _)| *term).collect(),
            defined,
            counts: bag.iter().map(|(_, counts)| *counts).collect(),
            terms: bag.into_iter().map(|(term, _)| term).collect(),
        };
        let Facts { definitions, references, imports, .. } = facts;
        let outline = postcard::to_stdvec(&Outline { definitions, references, imports }).unwrap_or_default();
        Arc::new(Self { stamp, hash, lexicon, outline: outline.into() })
    }

    /// The same content at another time.
    pub fn with_stamp(&self, stamp: Stamp) -> Arc<Self> {
        Arc::new(Self { stamp, ..self.clone() })
    }

    /// Empty where it cannot be read.
    pub fn outline(&self) -> Outline {
        postcard::from_bytes(&self.outline).unwrap_or_default()
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { stamp, hash, lexicon, outline } = self;
        let mut bytes = Vec::new();
        bytes.extend(stamp.size.to_le_bytes());
        bytes.extend(stamp.modified.to_le_bytes());
        bytes.extend(hash.to_le_bytes());
        bytes.push(lexicon.class as u8);
        bytes.extend(lexicon.lines.to_le_bytes());
        lexicon.lengths.iter().for_each(|length| bytes.extend(length.to_le_bytes()));
        for terms in [&lexicon.terms, &lexicon.defined, &lexicon.used] {
            bytes.extend(u32::try_from(terms.len()).unwrap_or(0).to_le_bytes());
            terms.iter().for_each(|term| bytes.extend(term.to_le_bytes()));
        }
        lexicon.counts.iter().for_each(|counts| bytes.extend(counts));
        bytes.extend(&**outline);
        bytes
    }

    /// `None` where these are not the bytes of an entry.
    pub fn from_bytes(bytes: &[u8]) -> Option<Arc<Self>> {
        let mut rest = Rest(bytes);
        let stamp = Stamp { size: rest.u64()?, modified: rest.u64()?.cast_signed() };
        let hash = rest.u64()?;
        let class = match rest.take(1)? {
            [0] => Class::Written,
            [1] => Class::Generated,
            [2] => Class::Opaque,
            _ => return None,
        };
        let lines = rest.u32()?;
        let mut lengths = [0; FIELDS];
        for length in &mut lengths {
            *length = rest.u32()?;
        }
        let (terms, defined, used) = (rest.terms()?, rest.terms()?, rest.terms()?);
        let (counts, _) = rest.take(terms.len().checked_mul(FIELDS)?)?.as_chunks::<FIELDS>();
        let lexicon = Lexicon { class, lines, lengths, terms, counts: counts.to_vec(), defined, used };
        Some(Arc::new(Self { stamp, hash, lexicon, outline: rest.0.into() }))
    }
}

impl Lexicon {
    /// How often a term stands in each field.
    pub fn counts(&self, term: Term) -> Option<[u8; FIELDS]> {
        self.counts.get(self.terms.binary_search(&term).ok()?).copied()
    }

    pub fn defines(&self, name: Term) -> bool {
        self.defined.binary_search(&name).is_ok()
    }

    pub fn uses(&self, name: Term) -> bool {
        self.used.binary_search(&name).is_ok()
    }
}

impl Outline {
    /// The lines where a name is used.
    pub fn uses(&self, name: Term) -> &[u32] {
        let found = self.references.binary_search_by_key(&name, |(term, _)| *term);
        found.map_or(&[], |at| &self.references[at].1)
    }

    /// The innermost definition around a line.
    pub fn enclosing(&self, line: u32) -> Option<&Definition> {
        self.definitions.iter().filter(|d| d.start <= line && line <= d.end).min_by_key(|d| d.end - d.start)
    }
}

/// Bytes still to be read.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn terms(&mut self) -> Option<Vec<Term>> {
        let count = usize::try_from(self.u32()?).ok()?;
        let (words, _) = self.take(count.checked_mul(4)?)?.as_chunks::<4>();
        Some(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }
}
