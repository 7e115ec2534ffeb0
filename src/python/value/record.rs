//! Records: dataclasses, pydantic models and msgspec structs, written as objects.

use super::class::Class;
use super::convert::instead;
use super::fault::{Fault, Step};
use super::form::Form;
use super::write::{Encoder, Written};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};

/// Dataclasses, pydantic models, msgspec structs.
pub(super) fn write<'py, F: Form>(
    encoder: &mut Encoder<'_, 'py, F>,
    value: &Bound<'py, PyAny>,
) -> Option<Written> {
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

fn write_dataclass<'py, F: Form>(encoder: &mut Encoder<'_, 'py, F>, value: &Bound<'py, PyAny>) -> Written {
    static FIELDS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let fields = FIELDS.import(encoder.py, "dataclasses", "fields")?.call1((value,))?;
    let fields = fields.cast::<PyTuple>()?;
    encoder.descend()?;
    F::object(encoder.out, fields.len());
    F::mark(encoder.out, b'{');
    for (index, field) in fields.iter().enumerate() {
        let name = field.getattr("name")?;
        let member = attribute(value, &name)?;
        encoder.member(index == 0, &name, &member, value)?;
    }
    F::mark(encoder.out, b'}');
    encoder.ascend();
    Ok(())
}

/// A msgspec struct, as `msgspec.to_builtins` has it: renamed fields, a tag, or an array.
fn write_struct<'py, F: Form>(encoder: &mut Encoder<'_, 'py, F>, value: &Bound<'py, PyAny>) -> Written {
    let config = value.get_type().getattr("__struct_config__")?;
    let is_array: bool = config.getattr("array_like")?.extract()?;
    let members = members_of_struct(value, &config, is_array)?;
    encoder.descend()?;
    if is_array {
        F::array(encoder.out, members.len());
        F::mark(encoder.out, b'[');
    } else {
        F::object(encoder.out, members.len());
        F::mark(encoder.out, b'{');
    }
    for (index, (key, member)) in members.iter().enumerate() {
        if !is_array {
            encoder.member(index == 0, key, member, value)?;
            continue;
        }
        if index > 0 {
            F::mark(encoder.out, b',');
        }
        encoder.value(member).map_err(|fault| fault.within(value, Step::member(key)))?;
    }
    F::mark(encoder.out, if is_array { b']' } else { b'}' });
    encoder.ascend();
    Ok(())
}

type Members<'py> = Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

/// What a struct has to say: the tag, and each field that is set. Those of an array keep their own names.
fn members_of_struct<'py>(
    value: &Bound<'py, PyAny>,
    config: &Bound<'py, PyAny>,
    is_array: bool,
) -> Result<Members<'py>, Fault> {
    let kind = value.get_type();
    let names: Bound<'py, PyTuple> = kind.getattr("__struct_fields__")?.cast_into()?;
    let keys: Bound<'py, PyTuple> = kind.getattr("__struct_encode_fields__")?.cast_into()?;
    let unset = value.py().import("msgspec")?.getattr("UNSET")?;
    let mut members = Members::new();
    let tag = config.getattr("tag")?;
    if !tag.is_none() {
        members.push((config.getattr("tag_field")?, tag));
    }
    for (name, key) in names.iter().zip(keys.iter()) {
        let member = attribute(value, &name)?;
        if is_array {
            members.push((name, member));
        } else if !member.is(&unset) {
            members.push((key, member));
        }
    }
    Ok(members)
}

/// An attribute, which may be a property that raises.
fn attribute<'py>(value: &Bound<'py, PyAny>, name: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Fault> {
    value
        .getattr(name.cast::<PyString>()?)
        .map_err(|error| Fault::from(error).within(value, Step::Member(name.to_string())))
}
