// Operators that look at windows of a signal of one, two or three dimensions: convolutions, pools, resizing,
// padding. Fewer dimensions than three are leading dimensions of size 1.

const INTERPOLATIONS = { nearest: 1, linear: 2, cubic: 4 }; // neighbours of a point

function windowsOf(at, size, kernel) {
  const rank = kernel.length;
  const strides = at.strides || new Array(rank).fill(1);
  const dilations = at.dilations || new Array(rank).fill(1);
  let pads = at.pads || new Array(2 * rank).fill(0);
  if (at.auto_pad === "SAME_UPPER" || at.auto_pad === "SAME_LOWER") {
    const whole = size.map((n, i) => Math.max(0, (Math.ceil(n / strides[i]) - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - n));
    const less = whole.map((n) => Math.floor(n / 2));
    const more = whole.map((n, i) => n - less[i]);
    pads = at.auto_pad === "SAME_UPPER" ? [...less, ...more] : [...more, ...less];
  }
  const first = (values, filler) => [...new Array(3 - rank).fill(filler), ...values];
  return {
    size: first(size, 1),
    kernel: first(kernel, 1),
    strides: first(strides, 1),
    dilations: first(dilations, 1),
    before: first(pads.slice(0, rank), 0),
    after: first(pads.slice(rank), 0),
  };
}

function outputSize(w, ceiling) {
  return w.size.map((n, i) => {
    const free = n + w.before[i] + w.after[i] - (w.kernel[i] - 1) * w.dilations[i] - 1;
    return (ceiling ? Math.ceil : Math.floor)(free / w.strides[i]) + 1;
  });
}

// Calls visit(column, source, count, step) for the runs of a window's element k along the last axis:
// `out[column + i]` belongs to `signal[source + i * step]` for i < count.
function eachRun(w, out, k, visit) {
  const [, kh, kw] = w.kernel;
  const shift = [Math.floor(k / (kh * kw)), Math.floor(k / kw) % kh, k % kw].map((at, i) => at * w.dilations[i] - w.before[i]);
  const [, height, width] = w.size;
  const step = w.strides[2];
  const first = Math.max(0, Math.ceil(-shift[2] / step));
  const last = Math.min(out[2] - 1, Math.floor((width - 1 - shift[2]) / step));
  if (last < first) return;
  for (let z = 0; z < out[0]; z++) {
    const depth = z * w.strides[0] + shift[0];
    if (depth < 0 || depth >= w.size[0]) continue;
    for (let y = 0; y < out[1]; y++) {
      const row = y * w.strides[1] + shift[1];
      if (row < 0 || row >= height) continue;
      visit((z * out[1] + y) * out[2] + first, (depth * height + row) * width + first * step + shift[2], last - first + 1, step);
    }
  }
}

function addBias(data, bias, outputs, places) {
  if (!bias) return;
  for (let i = 0; i < data.length; i++) data[i] += bias.data[Math.floor(i / places) % outputs];
}

// A convolution as a matrix product with the windows as columns.
function convolve([x, weight, bias], at) {
  const groups = at.group || 1;
  const w = windowsOf(at, x.dims.slice(2), weight.dims.slice(2));
  const out = outputSize(w);
  const [places, signal, taps] = [product(out), product(w.size), product(w.kernel)];
  const [batch, channels] = x.dims;
  const outputs = weight.dims[0];
  const [inGroup, outGroup] = [channels / groups, outputs / groups];
  const data = new Float32Array(batch * outputs * places);
  const plain = taps === 1 && places === signal && [...w.strides, ...w.before.map((n) => n + 1)].every((n) => n === 1);
  const columns = plain ? null : new Float32Array(inGroup * taps * places);
  for (let n = 0; n < batch; n++) {
    for (let g = 0; g < groups; g++) {
      const start = (n * channels + g * inGroup) * signal;
      if (!plain) {
        columns.fill(0);
        for (let k = 0; k < inGroup * taps; k++) {
          const from = start + Math.floor(k / taps) * signal;
          eachRun(w, out, k % taps, (column, source, count, step) => {
            const [to, origin] = [k * places + column, from + source];
            for (let i = 0; i < count; i++) columns[to + i] = x.data[origin + i * step];
          });
        }
      }
      const starts = [(n * outputs + g * outGroup) * places, g * outGroup * inGroup * taps, plain ? start : 0];
      multiplyInto(data, weight.data, plain ? x.data : columns, outGroup, inGroup * taps, places, inGroup * taps, 1, starts);
    }
  }
  addBias(data, bias, outputs, places);
  return tensor([batch, outputs, ...out.slice(5 - weight.dims.length)], data);
}

// The gradient of a convolution: a matrix product, whose rows are added to the windows.
function convolveTransposed([x, weight, bias], at) {
  const groups = at.group || 1;
  const kernel = weight.dims.slice(2);
  const rank = kernel.length;
  const sides = x.dims.slice(2);
  const extra = at.output_padding || new Array(rank).fill(0);
  const [strides, dilations, pads] = [at.strides || new Array(rank).fill(1), at.dilations || new Array(rank).fill(1), [...(at.pads || new Array(2 * rank).fill(0))]];
  const size = sides.map((n, i) => {
    const whole = (n - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 + extra[i];
    if (!at.output_shape) return whole - pads[i] - pads[rank + i];
    const cut = whole - at.output_shape[at.output_shape.length - rank + i];
    pads[i] = Math.floor(cut / 2);
    return whole - cut;
  });
  const w = windowsOf({ ...at, pads, auto_pad: "" }, size, kernel);
  const places = [...new Array(3 - rank).fill(1), ...sides];
  const [signal, columns, taps] = [product(size), product(sides), product(kernel)];
  const [batch, channels] = x.dims;
  const [inGroup, outGroup] = [channels / groups, weight.dims[1]];
  const outputs = outGroup * groups;
  const data = new Float32Array(batch * outputs * signal);
  const products = new Float32Array(outGroup * taps * columns);
  for (let n = 0; n < batch; n++) {
    for (let g = 0; g < groups; g++) {
      products.fill(0);
      const starts = [0, g * inGroup * outGroup * taps, (n * channels + g * inGroup) * columns];
      multiplyInto(products, weight.data, x.data, outGroup * taps, inGroup, columns, 1, outGroup * taps, starts);
      for (let k = 0; k < outGroup * taps; k++) {
        const to = (n * outputs + g * outGroup + Math.floor(k / taps)) * signal;
        eachRun(w, places, k % taps, (column, target, count, step) => {
          for (let i = 0; i < count; i++) data[to + target + i * step] += products[k * columns + column + i];
        });
      }
    }
  }
  addBias(data, bias, outputs, signal);
  return tensor([batch, outputs, ...size], data);
}

function pool(x, at, greatest) {
  const w = windowsOf(at, x.dims.slice(2), at.kernel_shape);
  const out = outputSize(w, at.ceil_mode);
  const [places, signal, taps] = [product(out), product(w.size), product(w.kernel)];
  const planes = x.dims[0] * x.dims[1];
  const data = new Float32Array(planes * places).fill(greatest ? -Infinity : 0);
  const counts = new Float32Array(places).fill(at.count_include_pad ? taps : 0);
  for (let k = 0; k < taps; k++) {
    eachRun(w, out, k, (column, source, count, step) => {
      if (!at.count_include_pad) for (let i = 0; i < count; i++) counts[column + i]++;
      for (let plane = 0; plane < planes; plane++) {
        const [to, from] = [plane * places + column, plane * signal + source];
        if (greatest) for (let i = 0; i < count; i++) data[to + i] = Math.max(data[to + i], x.data[from + i * step]);
        else for (let i = 0; i < count; i++) data[to + i] += x.data[from + i * step];
      }
    });
  }
  if (!greatest) for (let i = 0; i < data.length; i++) data[i] /= counts[i % places];
  return tensor([...x.dims.slice(0, 2), ...out.slice(5 - x.dims.length)], data);
}

// The neighbours of each point of a resized axis, with their weights.
function neighbours(size, target, scale, at) {
  const width = INTERPOLATIONS[at.mode || "nearest"];
  const shrink = at.antialias && scale < 1 ? 1 / scale : 1;
  const reach = Math.ceil((width / 2) * shrink);
  const how = at.coordinate_transformation_mode || "half_pixel";
  const rounding = at.nearest_mode || "round_prefer_floor";
  const places = {
    asymmetric: (i) => i / scale,
    align_corners: (i) => (target > 1 ? (i * (size - 1)) / (target - 1) : 0),
    pytorch_half_pixel: (i) => (target > 1 ? (i + 0.5) / scale - 0.5 : 0),
    half_pixel: (i) => (i + 0.5) / scale - 0.5,
  };
  const round = {
    floor: Math.floor,
    ceil: Math.ceil,
    round_prefer_ceil: (v) => Math.floor(v + 0.5),
    round_prefer_floor: (v) => Math.ceil(v - 0.5),
  };
  if (!places[how] || !width) throw new Error(`Resize does not know ${how}, ${at.mode}`);
  const inside = (i) => Math.min(size - 1, Math.max(0, i));
  return Array.from({ length: target }, (_, i) => {
    const centre = places[how](i);
    if (width === 1) return [[inside(round[rounding](centre)), 1]];
    const first = Math.floor(centre) - reach + 1;
    const taps = Array.from({ length: 2 * reach }, (__, k) => [first + k, kernelAt((first + k - centre) / shrink, width, at)]);
    const kept = at.exclude_outside || at.antialias ? taps.filter(([k]) => k >= 0 && k < size) : taps;
    const sum = kept.reduce((total, [, weight]) => total + weight, 0);
    return kept.map(([k, weight]) => [inside(k), weight / sum]).filter(([, weight]) => weight);
  });
}

function kernelAt(distance, width, at) {
  const x = Math.abs(distance);
  if (width === 2) return Math.max(0, 1 - x);
  const a = at.cubic_coeff_a ?? -0.75; // Keys 1981
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

function resize([x, , scales, sizes], at) {
  const axes = at.axes ? at.axes.map((axis) => axisOf(axis, x.dims.length)) : x.dims.map((_, i) => i);
  let result = x;
  axes.forEach((axis, i) => {
    const size = x.dims[axis];
    const target = sizes && sizes.data.length ? sizes.data[i] : Math.floor(size * scales.data[i]);
    const scale = sizes && sizes.data.length ? target / size : scales.data[i];
    if (target === size && scale === 1) return;
    result = along(result, axis, neighbours(size, target, scale, at));
  });
  return result;
}

// Replaces each point of an axis by a weighted sum of points: table[i] lists [point, weight].
function along(x, axis, table) {
  const dims = [...x.dims];
  dims[axis] = table.length;
  const inner = product(dims.slice(axis + 1));
  const outer = product(dims.slice(0, axis));
  const data = new x.data.constructor(product(dims));
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < table.length; i++) {
      const to = (o * table.length + i) * inner;
      for (const [point, weight] of table[i]) {
        const from = (o * x.dims[axis] + point) * inner;
        for (let k = 0; k < inner; k++) data[to + k] += weight * x.data[from + k];
      }
    }
  }
  return tensor(dims, data);
}

function pad([x, pads, value, axes], at) {
  const rank = x.dims.length;
  const list = axes ? [...axes.data].map((axis) => axisOf(axis, rank)) : x.dims.map((_, i) => i);
  const filler = value && value.data.length ? value.data[0] : 0;
  let result = x;
  list.forEach((axis, i) => {
    const [before, after] = [pads.data[i], pads.data[list.length + i]];
    if (!before && !after) return;
    const size = x.dims[axis];
    const point = {
      constant: (k) => k,
      edge: (k) => Math.min(size - 1, Math.max(0, k)),
      reflect: (k) => (k < 0 ? -k : k >= size ? 2 * (size - 1) - k : k),
      wrap: (k) => (k + size) % size,
    }[at.mode || "constant"];
    const table = Array.from({ length: size + before + after }, (_, k) => point(k - before)).map((k) => (k >= 0 && k < size ? [[k, 1]] : []));
    result = along(result, axis, table);
    if (filler) fillOutside(result, axis, table, filler);
  });
  return result;
}

function fillOutside(x, axis, table, filler) {
  const inner = product(x.dims.slice(axis + 1));
  for (let i = 0; i < x.data.length; i += inner) {
    if (!table[(i / inner) % table.length].length) x.data.fill(filler, i, i + inner);
  }
}
