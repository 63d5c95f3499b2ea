// The operators of exported generators, by their names in ONNX (operator set 18): functions of the operands, a
// list with undefined for those that are left out, and of the attributes. They return one tensor or a list.

function map(f) {
  return ([x], at) => {
    const data = new x.data.constructor(x.data.length);
    for (let i = 0; i < data.length; i++) data[i] = f(x.data[i], at);
    return tensor(x.dims, data);
  };
}

const pairs = (f, type) => (operands) => operands.reduce((a, b) => combine(f, a, b, type));
const compare = (f) => pairs((a, b) => (f(a, b) ? 1 : 0), Uint8Array);
const sigmoid = (v) => 1 / (1 + Math.exp(-v));

// Abramowitz and Stegun 7.1.26 errs by 1.5e-7, about a last bit of a float32.
function erf(v) {
  const t = 1 / (1 + 0.3275911 * Math.abs(v));
  const tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(v) * (1 - tail * Math.exp(-v * v));
}

function roundToEven(v) {
  const low = Math.floor(v);
  const rest = v - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

function gelu(v, at) {
  if (at.approximate === "tanh") return 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
  return 0.5 * v * (1 + erf(v / Math.SQRT2));
}

// `begin` is where the sum starts, `step` adds a value, `end` makes the result from the sum and the count.
function reduce(begin, step, end = (sum) => sum) {
  return ([x, listed], at) => {
    const given = at.axes || (listed && listed.data.length ? [...listed.data] : null);
    if (!given && at.noop_with_empty_axes) return x;
    const rank = x.dims.length;
    const axes = given ? given.map((axis) => axisOf(axis, rank)) : x.dims.map((_, i) => i);
    const whole = x.dims.map((size, i) => (axes.includes(i) ? 1 : size));
    const strides = stridesOf(whole).map((stride, i) => (axes.includes(i) ? 0 : stride));
    const sums = new Float64Array(product(whole)).fill(begin);
    const row = rank ? x.dims[rank - 1] : 1;
    const stride = rank ? strides[rank - 1] : 0;
    eachRow(x.dims, [strides], (position, [offset]) => {
      for (let i = 0; i < row; i++) sums[offset + i * stride] = step(sums[offset + i * stride], x.data[position + i]);
    });
    const count = x.data.length / sums.length;
    const dims = at.keepdims === 0 ? whole.filter((_, i) => !axes.includes(i)) : whole;
    return tensor(dims, x.data.constructor.from(sums, (sum) => end(sum, count)));
  };
}

// Calls visit(start, stride, size) for each line of `x` along an axis.
function eachLine(x, axis, visit) {
  const at = axisOf(axis, x.dims.length);
  const inner = product(x.dims.slice(at + 1));
  const size = x.dims[at];
  for (let i = 0; i < x.data.length; i += size * inner) for (let k = 0; k < inner; k++) visit(i + k, inner, size);
}

function softmax([x], at, finish = (value, sum) => Math.exp(value) / sum) {
  const data = new Float32Array(x.data.length);
  eachLine(x, at.axis ?? -1, (start, stride, size) => {
    let largest = -Infinity;
    for (let i = 0; i < size; i++) largest = Math.max(largest, x.data[start + i * stride]);
    let sum = 0;
    for (let i = 0; i < size; i++) sum += Math.exp(x.data[start + i * stride] - largest);
    for (let i = 0; i < size; i++) data[start + i * stride] = finish(x.data[start + i * stride] - largest, sum);
  });
  return tensor(x.dims, data);
}

function argBest(better) {
  return ([x], at) => {
    const axis = axisOf(at.axis ?? 0, x.dims.length);
    const found = [];
    eachLine(x, axis, (start, stride, size) => {
      let best = 0;
      for (let i = 1; i < size; i++) {
        const [value, leader] = [x.data[start + i * stride], x.data[start + best * stride]];
        if (better(value, leader) || (at.select_last_index && value === leader)) best = i;
      }
      found.push(best);
    });
    const dims = x.dims.map((size, i) => (i === axis ? 1 : size));
    return integers(found, at.keepdims === 0 ? dims.filter((_, i) => i !== axis) : dims);
  };
}

function cumulate([x, axis], at) {
  const data = new x.data.constructor(x.data.length);
  eachLine(x, axis.data[0], (start, stride, size) => {
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const k = start + (at.reverse ? size - 1 - i : i) * stride;
      data[k] = at.exclusive ? sum : sum + x.data[k];
      sum += x.data[k];
    }
  });
  return tensor(x.dims, data);
}

// Normalises blocks of `size` values to mean 0 and variance 1; finish(value, index) scales and shifts.
function normalise(x, size, epsilon, finish) {
  const data = new Float32Array(x.data.length);
  for (let start = 0; start < data.length; start += size) {
    let [sum, squares] = [0, 0];
    for (let i = start; i < start + size; i++) sum += x.data[i];
    const mean = sum / size;
    for (let i = start; i < start + size; i++) squares += (x.data[i] - mean) ** 2;
    const scale = 1 / Math.sqrt(squares / size + epsilon);
    for (let i = start; i < start + size; i++) data[i] = finish((x.data[i] - mean) * scale, i);
  }
  return tensor(x.dims, data);
}

function batchNormalise([x, scale, bias, mean, variance], at) {
  const data = new Float32Array(x.data.length);
  const places = product(x.dims.slice(2));
  for (let start = 0; start < data.length; start += places) {
    const channel = (start / places) % x.dims[1];
    const factor = scale.data[channel] / Math.sqrt(variance.data[channel] + (at.epsilon ?? 1e-5));
    const shift = bias.data[channel] - mean.data[channel] * factor;
    for (let i = start; i < start + places; i++) data[i] = x.data[i] * factor + shift;
  }
  return tensor(x.dims, data);
}

function gemm([a, b, c], at) {
  const [m, k] = at.transA ? [a.dims[1], a.dims[0]] : a.dims;
  const n = at.transB ? b.dims[0] : b.dims[1];
  const data = new Float32Array(m * n);
  const left = at.transA && at.transB ? transpose(a, [1, 0]) : a;
  if (at.transB) multiplyTransposedInto(data, left.data, b.data, m, k, n);
  else multiplyInto(data, a.data, b.data, m, k, n, at.transA ? 1 : k, at.transA ? m : 1);
  const [alpha, beta] = [at.alpha ?? 1, at.beta ?? 1];
  const result = tensor([m, n], alpha === 1 ? data : data.map((v) => v * alpha));
  return c ? combine((v, w) => v + beta * w, result, c) : result;
}

function gather([x, index], at) {
  const axis = axisOf(at.axis ?? 0, x.dims.length);
  const inner = product(x.dims.slice(axis + 1));
  const outer = product(x.dims.slice(0, axis));
  const size = x.dims[axis];
  const data = new x.data.constructor(outer * index.data.length * inner);
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const raw of index.data) {
      const from = (o * size + (raw < 0 ? raw + size : raw)) * inner;
      data.set(x.data.subarray(from, from + inner), to);
      to += inner;
    }
  }
  return tensor([...x.dims.slice(0, axis), ...index.dims, ...x.dims.slice(axis + 1)], data);
}

function gatherElements([x, index], at) {
  const axis = axisOf(at.axis ?? 0, x.dims.length);
  const strides = stridesOf(x.dims);
  const steps = strides.map((stride, i) => (i === axis ? 0 : stride));
  const row = index.dims[index.dims.length - 1];
  const data = new x.data.constructor(index.data.length);
  eachRow(index.dims, [steps], (position, [offset]) => {
    for (let i = 0; i < row; i++) {
      const raw = index.data[position + i];
      data[position + i] = x.data[offset + i * steps[steps.length - 1] + (raw < 0 ? raw + x.dims[axis] : raw) * strides[axis]];
    }
  });
  return tensor(index.dims, data);
}

// Each row of the last axis of `index` names a place in the first axes of x, after the shared `batch_dims`.
function gatherND([x, index], at) {
  const shared = at.batch_dims ?? 0;
  const depth = index.dims[index.dims.length - 1];
  const strides = stridesOf(x.dims);
  const inner = product(x.dims.slice(shared + depth));
  const count = index.data.length / depth;
  const each = count / product(x.dims.slice(0, shared));
  const whole = product(x.dims.slice(shared));
  const data = new x.data.constructor(count * inner);
  for (let i = 0; i < count; i++) {
    let from = Math.floor(i / each) * whole;
    for (let k = 0; k < depth; k++) {
      const raw = index.data[i * depth + k];
      from += (raw < 0 ? raw + x.dims[shared + k] : raw) * strides[shared + k];
    }
    data.set(x.data.subarray(from, from + inner), i * inner);
  }
  return tensor([...index.dims.slice(0, -1), ...x.dims.slice(shared + depth)], data);
}

function split([x, listed], at, count) {
  const axis = axisOf(at.axis ?? 0, x.dims.length);
  const parts = at.num_outputs || count;
  const width = Math.ceil(x.dims[axis] / parts);
  let start = 0;
  return Array.from({ length: parts }, (_, i) => {
    const stop = Math.min(x.dims[axis], start + (listed ? listed.data[i] : width));
    const part = slice(x, [start], [stop], [axis]);
    start = stop;
    return part;
  });
}

function reshape([x, shape], at) {
  const dims = [...shape.data].map((size, i) => (size === 0 && !at.allowzero ? x.dims[i] : size));
  const open = dims.indexOf(-1);
  if (open >= 0) dims[open] = x.data.length / dims.reduce((total, size) => (size < 0 ? total : total * size), 1);
  if (product(dims) !== x.data.length) throw new Error(`${x.dims} cannot become ${dims}`);
  return tensor(dims, x.data);
}

function unsqueeze([x, axes]) {
  const rank = x.dims.length + axes.data.length;
  const added = [...axes.data].map((axis) => axisOf(axis, rank));
  const rest = [...x.dims];
  return tensor(Array.from({ length: rank }, (_, i) => (added.includes(i) ? 1 : rest.shift())), x.data);
}

function squeeze([x, axes]) {
  const gone = axes ? [...axes.data].map((axis) => axisOf(axis, x.dims.length)) : null;
  return tensor(x.dims.filter((size, i) => (gone ? !gone.includes(i) : size !== 1)), x.data);
}

function expand([x, shape]) {
  const [dims, [strides]] = broadcastDims([x, tensor([...shape.data])]);
  return view(x, dims, strides);
}

function where([condition, a, b]) {
  const [dims, [, first, second]] = broadcastDims([condition, a, b]);
  const [whole, left, right] = [expand([condition, integers(dims)]), view(a, dims, first), view(b, dims, second)];
  return tensor(dims, left.data.map((value, i) => (whole.data[i] ? value : right.data[i])));
}

// From one layout of depth and space to the other, by a transposition in six dimensions.
function depthToSpace([x], at) {
  const [n, c, h, w] = x.dims;
  const b = at.blocksize;
  const deep = c / (b * b);
  const parts = at.mode === "CRD" ? [n, deep, b, b, h, w] : [n, b, b, deep, h, w];
  const order = at.mode === "CRD" ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  return tensor([n, deep, h * b, w * b], transpose(tensor(parts, x.data), order).data);
}

function spaceToDepth([x], at) {
  const [n, c, h, w] = x.dims;
  const b = at.blocksize;
  const parts = tensor([n, c, h / b, b, w / b, b], x.data);
  return tensor([n, c * b * b, h / b, w / b], transpose(parts, [0, 3, 5, 1, 2, 4]).data);
}

const CAST_TO = { 1: Float32Array, 2: Uint8Array, 6: Int32Array, 7: Int32Array, 9: Uint8Array, 10: Float32Array, 11: Float32Array };

function cast([x], at) {
  const type = CAST_TO[at.to];
  if (!type) throw new Error(`Cast to the type ${at.to} of ONNX is not known`);
  if (x.data instanceof type && at.to !== 9) return x;
  return tensor(x.dims, at.to === 9 ? Uint8Array.from(x.data, (v) => (v ? 1 : 0)) : type.from(x.data));
}

// One scale for all values, or one for each index of an axis.
function dequantise([x, scale, zero], at) {
  const axis = axisOf(at.axis ?? 1, x.dims.length);
  const inner = product(x.dims.slice(axis + 1));
  const data = new Float32Array(x.data.length);
  for (let i = 0; i < data.length; i++) {
    const k = scale.data.length === 1 ? 0 : Math.floor(i / inner) % x.dims[axis];
    data[i] = (x.data[i] - (zero ? zero.data[k] : 0)) * scale.data[k];
  }
  return tensor(x.dims, data);
}

function clip([x, low, high]) {
  const least = low && low.data.length ? low.data[0] : -Infinity;
  const most = high && high.data.length ? high.data[0] : Infinity;
  return tensor(x.dims, x.data.map((v) => (v < least ? least : v > most ? most : v)));
}

function range([start, limit, delta]) {
  const count = Math.max(0, Math.ceil((limit.data[0] - start.data[0]) / delta.data[0]));
  return tensor([count], start.data.constructor.from({ length: count }, (_, i) => start.data[0] + i * delta.data[0]));
}

function constantOfShape([shape], at) {
  const [type, value] = at.value ? [at.value.data.constructor, at.value.data[0]] : [Float32Array, 0];
  return tensor([...shape.data], new type(product([...shape.data])).fill(value));
}

function tile([x, repeats]) {
  return [...repeats.data].reduce((whole, count, axis) => (count === 1 ? whole : concatenate(new Array(count).fill(whole), axis)), x);
}

// A recurrent layer, X (time, batch, input): step(state, gates of x, direction) gives the next state.
function recurrent([x, w, r, b], at, gates, starts, step) {
  const [time, batch, inputs] = x.dims;
  const [directions, , hidden] = r.dims;
  const wide = gates * hidden;
  const out = new Float32Array(time * directions * batch * hidden);
  const last = starts.map(() => new Float32Array(directions * batch * hidden));
  for (let d = 0; d < directions; d++) {
    const backwards = at.direction === "reverse" || d === 1;
    const weights = w.data.subarray(d * wide * inputs, (d + 1) * wide * inputs);
    const again = r.data.subarray(d * wide * hidden, (d + 1) * wide * hidden);
    const biases = b ? b.data.subarray(d * 2 * wide, (d + 1) * 2 * wide) : new Float32Array(2 * wide);
    const place = [d * batch * hidden, (d + 1) * batch * hidden];
    let states = starts.map((start) => (start ? start.data.slice(...place) : new Float32Array(batch * hidden)));
    for (let k = 0; k < time; k++) {
      const moment = backwards ? time - 1 - k : k;
      const fromInput = new Float32Array(batch * wide);
      const now = x.data.subarray(moment * batch * inputs, (moment + 1) * batch * inputs);
      multiplyTransposedInto(fromInput, now, weights, batch, inputs, wide);
      states = step(states, fromInput, again, biases, batch, hidden);
      out.set(states[0], (moment * directions + d) * batch * hidden);
    }
    states.forEach((state, i) => last[i].set(state, place[0]));
  }
  const dims = [directions, batch, hidden];
  return [tensor([time, ...dims], out), ...last.map((state) => tensor(dims, state))];
}

function lstmStep([h, c], fromInput, again, biases, batch, hidden) {
  const wide = 4 * hidden;
  const sums = fromInput;
  multiplyTransposedInto(sums, h, again, batch, hidden, wide);
  const [nextH, nextC] = [new Float32Array(h.length), new Float32Array(c.length)];
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < hidden; i++) {
      const gate = (k) => sums[n * wide + k * hidden + i] + biases[k * hidden + i] + biases[wide + k * hidden + i];
      const cell = sigmoid(gate(2)) * c[n * hidden + i] + sigmoid(gate(0)) * Math.tanh(gate(3));
      nextC[n * hidden + i] = cell;
      nextH[n * hidden + i] = sigmoid(gate(1)) * Math.tanh(cell);
    }
  }
  return [nextH, nextC];
}

function gruStep(afterReset) {
  return ([h], fromInput, again, biases, batch, hidden) => {
    const wide = 3 * hidden;
    const fromState = new Float32Array(batch * wide);
    multiplyTransposedInto(fromState, h, again, batch, hidden, wide);
    const next = new Float32Array(h.length);
    const gate = (n, k, i) => fromInput[n * wide + k * hidden + i] + biases[k * hidden + i];
    const state = (n, k, i) => fromState[n * wide + k * hidden + i] + biases[wide + k * hidden + i];
    const resets = h.map((_, at) => {
      const [n, i] = [Math.floor(at / hidden), at % hidden];
      return sigmoid(gate(n, 1, i) + state(n, 1, i));
    });
    const before = new Float32Array(batch * hidden);
    if (!afterReset) multiplyTransposedInto(before, h.map((v, i) => v * resets[i]), again.subarray(2 * hidden * hidden), batch, hidden, hidden);
    for (let n = 0; n < batch; n++) {
      for (let i = 0; i < hidden; i++) {
        const at = n * hidden + i;
        const update = sigmoid(gate(n, 0, i) + state(n, 0, i));
        const recalled = afterReset ? resets[at] * state(n, 2, i) : before[at] + biases[wide + 2 * hidden + i];
        next[at] = (1 - update) * Math.tanh(gate(n, 2, i) + recalled) + update * h[at];
      }
    }
    return [next];
  };
}

const OPERATORS = {
  Abs: map(Math.abs),
  Add: pairs((a, b) => a + b),
  And: compare((a, b) => a && b),
  ArgMax: argBest((a, b) => a > b),
  ArgMin: argBest((a, b) => a < b),
  AveragePool: ([x], at) => pool(x, at, false),
  BatchNormalization: batchNormalise,
  Cast: cast,
  Ceil: map(Math.ceil),
  Clip: clip,
  Concat: (parts, at) => concatenate(parts, at.axis),
  Constant: (_, at) => at.value || tensor([], Float32Array.of(at.value_float)),
  ConstantOfShape: constantOfShape,
  Conv: convolve,
  ConvTranspose: convolveTransposed,
  Cos: map(Math.cos),
  CumSum: cumulate,
  DepthToSpace: depthToSpace,
  DequantizeLinear: dequantise,
  Div: (operands) => pairs(operands[0].data instanceof Float32Array ? (a, b) => a / b : (a, b) => Math.trunc(a / b))(operands),
  Dropout: ([x]) => x,
  Elu: map((v, at) => (v < 0 ? (at.alpha ?? 1) * Math.expm1(v) : v)),
  Equal: compare((a, b) => a === b),
  Erf: map(erf),
  Exp: map(Math.exp),
  Expand: expand,
  Flatten: ([x], at) => reshape([x, integers([product(x.dims.slice(0, at.axis ?? 1)), -1])], {}),
  Floor: map(Math.floor),
  GRU: (x, at) => recurrent(x, at, 3, [x[5]], gruStep(at.linear_before_reset)),
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  Gelu: map(gelu),
  Gemm: gemm,
  GlobalAveragePool: ([x]) => reduce(0, (a, b) => a + b, (sum, n) => sum / n)([x], { axes: x.dims.map((_, i) => i).slice(2) }),
  Greater: compare((a, b) => a > b),
  GreaterOrEqual: compare((a, b) => a >= b),
  HardSigmoid: map((v, at) => Math.min(1, Math.max(0, (at.alpha ?? 0.2) * v + (at.beta ?? 0.5)))),
  Identity: ([x]) => x,
  InstanceNormalization: ([x, scale, bias], at) => {
    const places = product(x.dims.slice(2));
    const channel = (i) => Math.floor(i / places) % x.dims[1];
    return normalise(x, places, at.epsilon ?? 1e-5, (v, i) => v * scale.data[channel(i)] + bias.data[channel(i)]);
  },
  LSTM: (x, at) => recurrent(x, at, 4, [x[5], x[6]], lstmStep),
  LayerNormalization: ([x, scale, bias], at) => {
    const size = product(x.dims.slice(axisOf(at.axis ?? -1, x.dims.length)));
    return normalise(x, size, at.epsilon ?? 1e-5, (v, i) => v * scale.data[i % size] + (bias ? bias.data[i % size] : 0));
  },
  LeakyRelu: map((v, at) => (v < 0 ? (at.alpha ?? 0.01) * v : v)),
  Less: compare((a, b) => a < b),
  LessOrEqual: compare((a, b) => a <= b),
  Log: map(Math.log),
  LogSoftmax: ([x], at) => softmax([x], at, (value, sum) => value - Math.log(sum)),
  MatMul: ([a, b]) => matmul(a, b),
  Max: pairs(Math.max),
  MaxPool: ([x], at) => pool(x, at, true),
  Min: pairs(Math.min),
  Mod: pairs((a, b) => a - Math.floor(a / b) * b),
  Mul: pairs((a, b) => a * b),
  Neg: map((v) => -v),
  Not: map((v) => (v ? 0 : 1)),
  Or: compare((a, b) => a || b),
  PRelu: pairs((v, slope) => (v < 0 ? slope * v : v)),
  Pad: pad,
  Pow: pairs(Math.pow),
  Range: range,
  Reciprocal: map((v) => 1 / v),
  ReduceL2: reduce(0, (a, b) => a + b * b, Math.sqrt),
  ReduceMax: reduce(-Infinity, Math.max),
  ReduceMean: reduce(0, (a, b) => a + b, (sum, n) => sum / n),
  ReduceMin: reduce(Infinity, Math.min),
  ReduceProd: reduce(1, (a, b) => a * b),
  ReduceSum: reduce(0, (a, b) => a + b),
  ReduceSumSquare: reduce(0, (a, b) => a + b * b),
  Relu: map((v) => (v > 0 ? v : 0)),
  Reshape: reshape,
  Resize: resize,
  Round: map(roundToEven),
  Shape: ([x], at) => integers(x.dims.slice(at.start ?? 0, at.end ?? x.dims.length)),
  Sigmoid: map(sigmoid),
  Sign: map(Math.sign),
  Sin: map(Math.sin),
  Slice: ([x, starts, ends, axes, steps]) => slice(x, [...starts.data], [...ends.data], axes && [...axes.data], steps && [...steps.data]),
  Softmax: ([x], at) => softmax([x], at),
  Softplus: map((v) => (v > 20 ? v : Math.log1p(Math.exp(v)))),
  Softsign: map((v) => v / (1 + Math.abs(v))),
  SpaceToDepth: spaceToDepth,
  Split: split,
  Sqrt: map(Math.sqrt),
  Squeeze: squeeze,
  Sub: pairs((a, b) => a - b),
  Sum: pairs((a, b) => a + b),
  Tanh: map(Math.tanh),
  Tile: tile,
  Transpose: ([x], at) => transpose(x, at.perm || x.dims.map((_, i) => i).reverse()),
  Unsqueeze: unsqueeze,
  Where: where,
};
