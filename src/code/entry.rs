//! What the index keeps of a file: a lexicon that ranking scans, and an outline that is read when somebody asks.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::definition::{Definition, Glimpse};
use super::extract::{FIELDS, Facts};
use super::source::{Class, Stamp};
use super::words::Term;

/// Bytes of a term.
const TERM: usize = size_of::<Term>();

/// A file of the index. Its words lie packed, in the store's own memory where they come from there, so that opening an index
/// of many files copies nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub stamp: Stamp,
    /// Of its bytes.
    pub hash: u64,
    pub class: Class,
    pub lines: u32,
    /// Words in each field.
    pub lengths: [u32; FIELDS],
    /// How many terms stand in each of the lists of `packed`.
    sizes: [usize; 3],
    /// The terms of its words, of the names that it defines and of those that it uses as they are written, each list sorted;
    /// how often each word stands in each field; an [`Outline`].
    packed: Bytes,
}

/// Definitions, uses and imports of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outline {
    pub definitions: Vec<Definition>,
    /// Lines by name, sorted by the name's term.
    pub references: Vec<(Term, Vec<u32>)>,
    pub imports: Vec<String>,
}

/// Sorted terms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'e>(&'e [[u8; TERM]]);

impl Entry {
    pub fn new(stamp: Stamp, hash: u64, class: Class, facts: Facts) -> Self {
        let mut bag: Vec<(Term, [u8; FIELDS])> = facts.bag.into_iter().collect();
        bag.sort_unstable();
        let mut lengths = [0_u32; FIELDS];
        for (_, counts) in &bag {
            for (length, count) in lengths.iter_mut().zip(counts) {
                *length += u32::from(*count);
            }
        }
        let words: Vec<Term> = bag.iter().map(|(term, _)| *term).collect();
        let mut defined: Vec<Term> = facts.definitions.iter().map(|d| super::words::name_term(&d.name)).collect();
        defined.sort_unstable();
        defined.dedup();
        let used: Vec<Term> = facts.references.iter().map(|(term, _)| *term).collect();
        let mut packed = Vec::new();
        for terms in [&words, &defined, &used] {
            terms.iter().for_each(|term| packed.extend(term.to_le_bytes()));
        }
        bag.iter().for_each(|(_, counts)| packed.extend(counts));
        let Facts { definitions, references, imports, lines, .. } = facts;
        let outline = Outline { definitions, references, imports };
        packed.extend(postcard::to_stdvec(&outline).unwrap_or_default());
        let sizes = [words.len(), defined.len(), used.len()];
        Self { stamp, hash, class, lines, lengths, sizes, packed: packed.into() }
    }

    /// The same content at another time.
    pub fn with_stamp(&self, stamp: Stamp) -> Self {
        Self { stamp, ..self.clone() }
    }

    /// Empty where it cannot be read.
    pub fn outline(&self) -> Outline {
        postcard::from_bytes(self.packed_outline()).unwrap_or_default()
    }

    /// The definitions of the outline alone, which come first in it.
    pub fn definitions(&self) -> Vec<Definition> {
        self.glimpses().into_iter().map(Definition::from).collect()
    }

    /// The same without copying them.
    pub fn glimpses(&self) -> Vec<Glimpse<'_>> {
        postcard::take_from_bytes(self.packed_outline()).map(|(glimpses, _)| glimpses).unwrap_or_default()
    }

    /// How often a term stands in each field.
    pub fn counts(&self, term: Term) -> Option<[u8; FIELDS]> {
        let at = self.words().position(term)?;
        let begin = self.counts_begin() + at * FIELDS;
        self.packed.get(begin..begin + FIELDS)?.try_into().ok()
    }

    pub fn defines(&self, name: Term) -> bool {
        self.defined().position(name).is_some()
    }

    pub fn uses(&self, name: Term) -> bool {
        self.used().position(name).is_some()
    }

    /// The names that it defines.
    pub fn defined(&self) -> Terms<'_> {
        self.terms(self.sizes[0], self.sizes[1])
    }

    /// The names that it uses.
    pub fn used(&self) -> Terms<'_> {
        self.terms(self.sizes[0] + self.sizes[1], self.sizes[2])
    }

    fn words(&self) -> Terms<'_> {
        self.terms(0, self.sizes[0])
    }

    fn terms(&self, begin: usize, count: usize) -> Terms<'_> {
        let bytes = self.packed.get(begin * TERM..(begin + count) * TERM).unwrap_or_default();
        Terms(bytes.as_chunks().0)
    }

    fn counts_begin(&self) -> usize {
        self.sizes.iter().sum::<usize>() * TERM
    }

    fn outline_begin(&self) -> usize {
        self.counts_begin() + self.sizes[0] * FIELDS
    }

    fn packed_outline(&self) -> &[u8] {
        self.packed.get(self.outline_begin()..).unwrap_or_default()
    }

    /// Bytes of it as it is stored.
    pub fn stored_len(&self) -> usize {
        8 + 8 + 8 + 1 + 4 + 4 * (FIELDS + self.sizes.len()) + self.packed.len()
    }

    /// Appends it as it is stored.
    pub fn write(&self, to: &mut Vec<u8>) {
        let Self { stamp, hash, class, lines, lengths, sizes, packed } = self;
        to.extend(stamp.size.to_le_bytes());
        to.extend(stamp.modified.to_le_bytes());
        to.extend(hash.to_le_bytes());
        to.push(*class as u8);
        to.extend(lines.to_le_bytes());
        lengths.iter().for_each(|length| to.extend(length.to_le_bytes()));
        sizes.iter().for_each(|size| to.extend(u32::try_from(*size).unwrap_or(0).to_le_bytes()));
        to.extend(&**packed);
    }

    /// `None` where these are not the bytes of an entry.
    pub fn from_bytes(bytes: &Bytes) -> Option<Self> {
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
        let mut sizes = [0; 3];
        for size in &mut sizes {
            *size = usize::try_from(rest.u32()?).ok()?;
        }
        let packed = bytes.slice_ref(rest.0);
        let entry = Self { stamp, hash, class, lines, lengths, sizes, packed };
        (entry.outline_begin() <= entry.packed.len()).then_some(entry)
    }
}

impl<'e> Terms<'e> {
    pub fn iter(self) -> impl Iterator<Item = Term> + 'e {
        self.0.iter().map(|term| Term::from_le_bytes(*term))
    }

    fn position(self, term: Term) -> Option<usize> {
        self.0.binary_search_by_key(&term, |bytes| Term::from_le_bytes(*bytes)).ok()
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
}
