//! Why an object cannot be sent, and where in the arguments it is.
//!
//! A fault is made where it is found, without a path, and collects its path on the way out: writing what can be
//! written costs nothing for it.

use crate::proto::limits::MAX_JSON_DEPTH;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::{CastError, CastIntoError};
use std::fmt::Write as _;

/// Steps of a path that an error message shows.
const SHOWN_STEPS: usize = 12;

/// What is wrong with an object.
#[derive(Debug)]
pub(super) enum Cause {
    /// No rule says how this type is sent; the type's name.
    Unsupported(String),
    /// A dict key of a type that JSON has no form for; the type's name.
    Key(String),
    /// Nested deeper than the limit, or within itself.
    TooDeep,
    /// Python code raised.
    Raised(PyErr),
}

/// A step from an object to one within it.
#[derive(Debug)]
pub(super) enum Step {
    /// To an element.
    Index(usize),
    /// To a member or an attribute.
    Member(String),
    /// To what stands for the object: an enum's value, what `default` returned.
    Conversion,
}

impl Step {
    /// To the member with this key.
    #[cold]
    pub(super) fn member(key: &Bound<'_, PyAny>) -> Self {
        let name = key.str().map_or_else(|_| String::from("?"), |name| name.to_string_lossy().into_owned());
        Self::Member(name)
    }
}

/// An object that cannot be sent. One word, since it is returned for every value.
#[derive(Debug)]
pub(super) struct Fault(Box<Trace>);

#[derive(Debug)]
struct Trace {
    cause: Cause,
    /// From the inside out: the address of each object, and the step from it.
    trail: Vec<(usize, Step)>,
}

impl Fault {
    /// A fault of the object at hand.
    #[cold]
    pub(super) fn new(cause: Cause) -> Self {
        Self(Box::new(Trace { cause, trail: Vec::new() }))
    }

    /// A type that no rule covers.
    #[cold]
    pub(super) fn unsupported(value: &Bound<'_, PyAny>) -> Self {
        Self::new(Cause::Unsupported(type_name(value)))
    }

    /// The same fault, seen from the object around.
    #[cold]
    pub(super) fn within(mut self, object: &Bound<'_, PyAny>, step: Step) -> Self {
        self.0.trail.push((object.as_ptr().addr(), step));
        self
    }

    /// The exception to raise; `root` is what the path begins with.
    #[cold]
    pub(super) fn into_error(self, py: Python<'_>, root: &str) -> PyErr {
        let path = self.path(root, 0);
        match self.0.cause {
            Cause::Unsupported(type_name) => {
                PyTypeError::new_err(format!("{path}: {type_name} is not serializable"))
            }
            Cause::Key(type_name) => PyTypeError::new_err(format!(
                "{path}: keys must be str, int, float, bool or None, not {type_name}"
            )),
            Cause::TooDeep => PyValueError::new_err(match self.cycle() {
                Some((outer, inner)) => {
                    format!("{}: circular reference to {}", self.path(root, inner), self.path(root, outer))
                }
                None => format!("{path}: nested deeper than {MAX_JSON_DEPTH} levels"),
            }),
            Cause::Raised(error) => {
                // The note helps a reader; the exception is the same without it.
                let _ = error.add_note(py, format!("while encoding {path}"));
                error
            }
        }
    }

    /// The path from `root`, without the innermost `less` steps.
    fn path(&self, root: &str, less: usize) -> String {
        let mut path = String::from(root);
        let steps = self.0.trail.get(less..).unwrap_or_default();
        for (index, (_, step)) in steps.iter().rev().enumerate() {
            if index == SHOWN_STEPS {
                path.push('…');
                break;
            }
            match step {
                Step::Index(index) => {
                    let _ = write!(path, "[{index}]");
                }
                Step::Member(name) if is_plain(name) => {
                    let _ = write!(path, ".{name}");
                }
                Step::Member(name) => {
                    let _ = write!(path, "[{name:?}]");
                }
                Step::Conversion => {}
            }
        }
        path
    }

    /// The outermost object that is within itself: how many steps from the inside it is, and how many its first
    /// return is. All objects of the trail are alive at once, so equal addresses are one object.
    fn cycle(&self) -> Option<(usize, usize)> {
        let addresses: Vec<usize> = self.0.trail.iter().map(|(address, _)| *address).collect();
        addresses.iter().enumerate().rev().find_map(|(outer, address)| {
            let inner = addresses.get(..outer)?.iter().rposition(|other| other == address)?;
            Some((outer + 1, inner + 1))
        })
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Fault::new(Cause::Raised(error))
    }
}

impl From<CastError<'_, '_>> for Fault {
    fn from(error: CastError<'_, '_>) -> Self {
        PyErr::from(error).into()
    }
}

impl From<CastIntoError<'_>> for Fault {
    fn from(error: CastIntoError<'_>) -> Self {
        PyErr::from(error).into()
    }
}

/// How messages name a type: `set`, `decimal.Decimal`.
pub(super) fn type_name(value: &Bound<'_, PyAny>) -> String {
    match value.get_type().fully_qualified_name() {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => String::from("object"),
    }
}

fn is_plain(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_alphabetic() || first == '_');
    starts_well && name.chars().all(|character| character.is_alphanumeric() || character == '_')
}
