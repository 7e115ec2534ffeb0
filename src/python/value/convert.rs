//! Objects that are not JSON's own but have an obvious form in it.
//!
//! Classes of the standard library and of other packages are looked for only in modules that are already imported:
//! an object of a class whose module nobody has imported does not exist.

use super::attachment;
use super::fault::{Fault, Step};
use super::write::{Encoder, Written};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDate, PyDateTime, PyDict, PyFloat, PyInt, PyList, PyString, PyTime, PyTuple, PyType};

/// Writes an object that is of none of JSON's exact types.
#[cold]
pub(super) fn write<'py>(encoder: &mut Encoder<'_, 'py>, value: &Bound<'py, PyAny>) -> Written {
    if let Some(inner) = enum_value(value)? {
        return instead(encoder, value, &inner);
    }
    if let Some(written) = write_subclass(encoder, value) {
        return written;
    }
    if let Some(written) = write_record(encoder, value) {
        return written;
    }
    if let Some(written) = write_scalar(encoder, value) {
        return written;
    }
    if let Some(written) = attachment::write(encoder, value) {
        return written;
    }
    match encoder.default {
        Some(default) => {
            let replacement = default.call1((value,))?;
            instead(encoder, value, &replacement)
        }
        None => Err(Fault::unsupported(value)),
    }
}

/// The value of an enum's member.
pub(super) fn enum_value<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static ENUM: Class = Class::new("enum", "Enum");
    if ENUM.covers(value) { value.getattr("value").map(Some) } else { Ok(None) }
}

/// What stands for an object. It counts as a level, so that a replacement of a replacement comes to an end.
fn instead<'py>(
    encoder: &mut Encoder<'_, 'py>,
    value: &Bound<'py, PyAny>,
    replacement: &Bound<'py, PyAny>,
) -> Written {
    encoder.descend()?;
    encoder.value(replacement).map_err(|fault| fault.within(value, Step::Conversion))?;
    encoder.ascend();
    Ok(())
}

/// Instances of subclasses of JSON's types.
fn write_subclass<'py>(encoder: &mut Encoder<'_, 'py>, value: &Bound<'py, PyAny>) -> Option<Written> {
    if let Ok(text) = value.cast::<PyString>() {
        Some(encoder.string(text))
    } else if let Ok(number) = value.cast::<PyInt>() {
        Some(encoder.int(number))
    } else if let Ok(number) = value.cast::<PyFloat>() {
        encoder.float(number);
        Some(Ok(()))
    } else if let Ok(dict) = value.cast::<PyDict>() {
        Some(write_mapping(encoder, dict))
    } else if let Ok(list) = value.cast::<PyList>() {
        Some(encoder.list(list))
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        Some(encoder.array(None, tuple))
    } else {
        None
    }
}

/// A subclass of dict by its `items()`: an OrderedDict has an order of its own.
fn write_mapping<'py>(encoder: &mut Encoder<'_, 'py>, dict: &Bound<'py, PyDict>) -> Written {
    let items = dict.as_mapping().items()?;
    encoder.descend()?;
    encoder.out.push(b'{');
    for (index, item) in items.iter().enumerate() {
        let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item.extract()?;
        encoder.member(index == 0, &key, &value, dict)?;
    }
    encoder.out.push(b'}');
    encoder.ascend();
    Ok(())
}

/// Dataclasses, pydantic models, msgspec structs.
fn write_record<'py>(encoder: &mut Encoder<'_, 'py>, value: &Bound<'py, PyAny>) -> Option<Written> {
    static MODEL: Class = Class::new("pydantic", "BaseModel");
    static STRUCT: Class = Class::new("msgspec", "Struct");
    if let Ok(true) = value.get_type().hasattr("__dataclass_fields__") {
        return (!value.is_instance_of::<PyType>()).then(|| write_dataclass(encoder, value));
    }
    if MODEL.covers(value) {
        return Some(
            value
                .call_method0("model_dump")
                .map_err(Into::into)
                .and_then(|dump| instead(encoder, value, &dump)),
        );
    }
    STRUCT.covers(value).then(|| write_struct(encoder, value))
}

fn write_dataclass<'py>(encoder: &mut Encoder<'_, 'py>, value: &Bound<'py, PyAny>) -> Written {
    static FIELDS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let fields = FIELDS.import(encoder.py, "dataclasses", "fields")?.call1((value,))?;
    encoder.descend()?;
    encoder.out.push(b'{');
    for (index, field) in fields.cast::<PyTuple>()?.iter().enumerate() {
        let name = field.getattr("name")?;
        let member = value.getattr(name.cast::<PyString>()?)?;
        encoder.member(index == 0, &name, &member, value)?;
    }
    encoder.out.push(b'}');
    encoder.ascend();
    Ok(())
}

/// A msgspec struct, as `msgspec.to_builtins` has it: renamed fields, a tag, or an array.
fn write_struct<'py>(encoder: &mut Encoder<'_, 'py>, value: &Bound<'py, PyAny>) -> Written {
    let kind = value.get_type();
    let names: Bound<'py, PyTuple> = kind.getattr("__struct_fields__")?.cast_into()?;
    let keys: Bound<'py, PyTuple> = kind.getattr("__struct_encode_fields__")?.cast_into()?;
    let config = kind.getattr("__struct_config__")?;
    let unset = value.py().import("msgspec")?.getattr("UNSET")?;
    let is_array: bool = config.getattr("array_like")?.extract()?;
    let tag = config.getattr("tag")?;
    encoder.descend()?;
    encoder.out.push(if is_array { b'[' } else { b'{' });
    let mut first = true;
    if !tag.is_none() {
        if is_array {
            encoder.value(&tag)?;
        } else {
            encoder.member(true, &config.getattr("tag_field")?, &tag, value)?;
        }
        first = false;
    }
    for (name, key) in names.iter().zip(keys.iter()) {
        let member = value.getattr(name.cast::<PyString>()?)?;
        if is_array {
            if !first {
                encoder.out.push(b',');
            }
            let step = || Step::Member(name.to_string());
            encoder.value(&member).map_err(|fault| fault.within(value, step()))?;
        } else if member.is(&unset) {
            continue;
        } else {
            encoder.member(first, &key, &member, value)?;
        }
        first = false;
    }
    encoder.out.push(if is_array { b']' } else { b'}' });
    encoder.ascend();
    Ok(())
}

/// Objects that stand for one value: times, UUIDs, decimals, numpy's scalars.
fn write_scalar<'py>(encoder: &mut Encoder<'_, 'py>, value: &Bound<'py, PyAny>) -> Option<Written> {
    static UUID: Class = Class::new("uuid", "UUID");
    static DECIMAL: Class = Class::new("decimal", "Decimal");
    static SCALAR: Class = Class::new("numpy", "generic");
    let text = if value.is_instance_of::<PyDateTime>()
        || value.is_instance_of::<PyDate>()
        || value.is_instance_of::<PyTime>()
    {
        value.call_method0("isoformat")
    } else if UUID.covers(value) || DECIMAL.covers(value) {
        value.str().map(Bound::into_any)
    } else if SCALAR.covers(value) {
        return write_numpy_scalar(encoder, value);
    } else {
        return None;
    };
    Some(text.map_err(Into::into).and_then(|text| instead(encoder, value, &text)))
}

/// A numpy scalar: a number by its value, a date as text. Raw bytes are left to the buffer's rule.
fn write_numpy_scalar<'py>(encoder: &mut Encoder<'_, 'py>, value: &Bound<'py, PyAny>) -> Option<Written> {
    let kind: PyResult<String> = value.getattr("dtype").and_then(|dtype| dtype.getattr("kind")?.extract());
    let method = match kind.as_deref() {
        Ok("b") => "__bool__",
        Ok("i" | "u") => "__int__",
        Ok("f") => "__float__",
        Ok("M") => "__str__",
        Ok("S" | "V") => return None,
        Ok(_) => return Some(Err(Fault::unsupported(value))),
        Err(_) => return Some(kind.map(|_| ()).map_err(Into::into)),
    };
    Some(value.call_method0(method).map_err(Into::into).and_then(|plain| instead(encoder, value, &plain)))
}

/// A class of a module that may not be imported.
struct Class {
    module: &'static str,
    name: &'static str,
    found: PyOnceLock<Py<PyAny>>,
}

impl Class {
    const fn new(module: &'static str, name: &'static str) -> Self {
        Self { module, name, found: PyOnceLock::new() }
    }

    /// Whether an object is an instance.
    fn covers(&self, value: &Bound<'_, PyAny>) -> bool {
        let py = value.py();
        let class = self.found.get(py).or_else(|| {
            let modules = py.import("sys").ok()?.getattr("modules").ok()?;
            let class = modules.get_item(self.module).ok()?.getattr(self.name).ok()?;
            Some(self.found.get_or_init(py, || class.unbind()))
        });
        class.is_some_and(|class| value.is_instance(class.bind(py)).unwrap_or(false))
    }
}
