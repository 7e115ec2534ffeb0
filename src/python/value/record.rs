//! Records: dataclasses, pydantic models and msgspec structs, written as objects.

use super::class::Class;
use super::convert::instead;
use super::fault::{Fault, Step};
use super::write::{Encoder, Written};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};

/// Dataclasses, pydantic models, msgspec structs.
pub(super) fn write<'py>(encoder: &mut Encoder<'_, 'py>, value: &Bound<'py, PyAny>) -> Option<Written> {
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
        let member = attribute(value, &name)?;
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
        let member = attribute(value, &name)?;
        if is_array {
            if !first {
                encoder.out.push(b',');
            }
            encoder.value(&member).map_err(|fault| fault.within(value, Step::Member(name.to_string())))?;
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

/// An attribute, which may be a property that raises.
fn attribute<'py>(value: &Bound<'py, PyAny>, name: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Fault> {
    value
        .getattr(name.cast::<PyString>()?)
        .map_err(|error| Fault::from(error).within(value, Step::Member(name.to_string())))
}
