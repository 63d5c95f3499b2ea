"""C++ and Rust for the model card: the graph with OpenVINO and with tract.

As the JavaScript: one run, and the shapes of the outputs. Fields of data are zeros, with a comment; nothing
for fields with shares, whose numbers are in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod

from ganzoo.exporting.form import Form
from ganzoo.exporting.snippet_js import batch_of
from ganzoo.fields import Field

__all__ = ["cpp", "rust"]

_CPP = """\
// pip install openvino brings headers and libraries. CMakeLists.txt:
//   cmake_minimum_required(VERSION 3.13)
//   project(sample CXX)
//   find_package(OpenVINO REQUIRED)
//   add_executable(sample sample.cpp)
//   target_link_libraries(sample openvino::runtime)
// cmake . -DOpenVINO_DIR=$(python -c "from openvino.utils import get_cmake_path as f; print(f())")
#include <algorithm>
#include <iostream>
#include <openvino/openvino.hpp>
#include <random>

template <typename T, typename F>
void give(ov::InferRequest& request, const char* name, ov::Shape shape, F value) {
  ov::Tensor tensor(ov::element::from<T>(), shape);
  std::generate_n(tensor.data<T>(), tensor.get_size(), value);
  request.set_tensor(name, tensor);
}

int main() {
  ov::Core core;
  auto request = core.compile_model("FILE", "CPU").create_infer_request();
  std::mt19937 bits(std::random_device{}());
INPUTS
  request.infer();
OUTPUTS
}
"""

_RUST = """\
// cargo add tract
use tract::prelude::*;

FUNCTIONSfn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = tract::onnx()?.load("FILE")?.into_model()?.into_runnable()?;
STATE    let inputs = vec![
INPUTS
    ];
    let outputs = model.run(inputs)?;
OUTPUTS
    Ok(())
}
"""

_STATE = "    let mut state = 88172645463325252; // a seed, not 0\n"

_UNIFORM = """\
fn uniform(state: &mut u64) -> f32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 40) as f32 / (1 << 24) as f32
}

"""

_NORMAL = """\
fn normal(state: &mut u64) -> f32 {
    (-2.0 * (1.0 - uniform(state)).ln()).sqrt() * (std::f32::consts::TAU * uniform(state)).cos()
}

"""

_CPP_VALUES = {
    "class": "[&] { return bits() % COUNT; }",
    "normal": "[&, normal = std::normal_distribution<float>()]() mutable { return normal(bits); }",
    "uniform": "[&, uniform = std::uniform_real_distribution<float>(-1, 1)]() mutable "
    "{ return uniform(bits); }",
    "constant": "[] { return NUMBERf; }",
    "data": "[] { return 0.0f; }",
}

_RUST_VALUES = {
    "class": "(COUNT.0 * uniform(&mut state)) as i64",
    "normal": "normal(&mut state)",
    "uniform": "2.0 * uniform(&mut state) - 1.0",
    "constant": "NUMBER",
    "data": "0.0",
}


def cpp(name: str, inputs: Sequence[Field], outputs: Sequence[Field], form: Form) -> str:
    """`sample.cpp`, a program; empty where it cannot draw."""
    given = [_given(field, batch_of(inputs, form)) for field in inputs]
    said = [
        f'  std::cout << {json.dumps(field.name)} << " " '
        f"<< request.get_tensor({json.dumps(field.name)}).get_shape() << std::endl;"
        for field in outputs
    ]
    return _filled(_CPP, name, inputs, given, said)


def rust(name: str, inputs: Sequence[Field], outputs: Sequence[Field], form: Form) -> str:
    """`src/main.rs`, a program; empty where it cannot draw."""
    given = [f"        {_tensor(field, batch_of(inputs, form))}" for field in inputs]
    said = [
        f'    println!("{{}} {{:?}}", {json.dumps(field.name)}, outputs[{at}].shape()?);'
        for at, field in enumerate(outputs)
    ]
    values = "".join(given)
    draws = "(&mut state)" in values
    functions = (_UNIFORM if draws else "") + (_NORMAL if "normal(&mut state)" in values else "")
    text = _RUST.replace("FUNCTIONS", functions).replace("STATE", _STATE if draws else "")
    return _filled(text, name, inputs, given, said)


def _filled(text: str, name: str, inputs: Sequence[Field], given: Sequence[str], said: Sequence[str]) -> str:
    if any(field.shares for field in inputs):
        return ""
    return (
        text.replace("FILE", f"{name}.onnx")
        .replace("INPUTS", "\n".join(given))
        .replace("OUTPUTS", "\n".join(said))
    )


def _given(field: Field, count: int) -> str:
    """A line of C++ that gives `count` samples of an input."""
    kind = "int64_t" if field.dtype == "int64" else "float"
    shape = ", ".join(map(str, (count, *field.shape)))
    value, note = _value(field, _CPP_VALUES), _note(field)
    return (
        f"  give<{kind}>(request, {json.dumps(field.name)}, {{{shape}}}, {value});{note and '  // ' + note}"
    )


def _tensor(field: Field, count: int) -> str:
    """An expression of Rust for `count` samples of an input."""
    kind = "i64" if field.dtype == "int64" else "f32"
    shape = (count, *field.shape)
    values = f"(0..{prod(shape)}).map(|_| {_value(field, _RUST_VALUES)}).collect::<Vec<{kind}>>()"
    note = _note(field)
    return f"Tensor::from_slice(&{list(shape)}, &{values})?, // {field.name}{note and ': ' + note}"


def _value(field: Field, values: Mapping[str, str]) -> str:
    """An expression for a number of a field, from those by the field's source, or `class`."""
    return (
        values["class" if field.dtype == "int64" else field.source]
        .replace("COUNT", str(max(len(field.classes), 1)))
        .replace("NUMBER", repr(float(field.default)))
    )


def _note(field: Field) -> str:
    if field.dtype == "int64" or field.source != "data":
        return ""
    low, high = field.range or (-1.0, 1.0)
    return f"your values, {low:g} to {high:g}"
