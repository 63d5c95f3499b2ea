// Runs a graph: {nodes: [{op, in, out, at}], weights, inputs, outputs}, as ganzoo/page/graph.py writes it.

const STORED = {
  float32: [4, Float32Array],
  float16: [2, Uint16Array],
  int64: [8, BigInt64Array],
  int32: [4, Int32Array],
  int8: [1, Int8Array],
  uint8: [1, Uint8Array],
  bool: [1, Uint8Array],
};

function halfToFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : (2 ** -14 * fraction) / 1024);
}

// The ends of slices may be the largest int64: they stop at the largest int32.
const toInt = (value) => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Number(value)));

// A tensor from its {dims, type, at}: the values begin at byte `at`.
function stored({ dims, type, at }, bytes) {
  const [width, make] = STORED[type];
  const start = bytes.byteOffset + at;
  const raw = new make(bytes.buffer.slice(start, start + product(dims) * width));
  if (type === "float16") return tensor(dims, Float32Array.from(raw, halfToFloat));
  if (type === "int64") return tensor(dims, Int32Array.from(raw, toInt));
  return tensor(dims, type === "int8" ? Int32Array.from(raw) : raw);
}

// A graph that `runGraph` takes. What does not depend on inputs is computed here, once.
function loadGraph(graph, bytes) {
  const known = new Map(graph.weights.map((weight) => [weight.name, stored(weight, bytes)]));
  const nodes = [];
  for (const node of graph.nodes) {
    const at = { ...node.at };
    if (at.value) at.value = stored(at.value, bytes);
    const ready = { ...node, at };
    if (node.in.every((name) => !name || known.has(name))) apply(ready, known);
    else nodes.push(ready);
  }
  const lastUse = new Map();
  nodes.forEach((node, i) => node.in.forEach((name) => lastUse.set(name, i)));
  graph.outputs.forEach((name) => lastUse.set(name, nodes.length));
  const spent = nodes.map((node, i) => [...new Set([...node.in, ...node.out])].filter((name) => (lastUse.get(name) ?? i) === i));
  return { nodes, known, spent, outputs: graph.outputs };
}

function apply(node, values) {
  const operands = node.in.map((name) => (name ? values.get(name) : undefined));
  const result = OPERATORS[node.op](operands, node.at, node.out.length);
  const results = Array.isArray(result) ? result : [result];
  node.out.forEach((name, i) => name && values.set(name, results[i]));
}

// The outputs, by name, for tensors by the names of inputs.
function runGraph(graph, inputs) {
  const values = new Map(graph.known);
  for (const [name, value] of Object.entries(inputs)) values.set(name, value);
  graph.nodes.forEach((node, i) => {
    try {
      apply(node, values);
    } catch (error) {
      throw new Error(`${node.op} (${node.out[0]}): ${error.message}`);
    }
    for (const name of graph.spent[i]) values.delete(name);
  });
  return Object.fromEntries(graph.outputs.map((name) => [name, values.get(name)]));
}
