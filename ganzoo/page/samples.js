// The inputs of a generator for points of its latent space, and its samples.

// The bytes in a data block of the page: gzip, as base64.
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// A field at these numbers of steps of its free axes.
function resized(field, steps) {
  const multiples = field.free || {};
  const shape = field.shape.map((size, i) => {
    const axis = (field.axes || [])[i];
    return axis in multiples && axis in steps ? multiples[axis] * steps[axis] : size;
  });
  return { ...field, shape };
}

const isNoise = (field) => field.dtype === "float32" && (field.source === "normal" || field.source === "uniform");

// One row of a field at a point {row, t}: a given value, or a draw, on the way to another seed, and moved.
function rowOf(field, request, point, directions) {
  const given = request.given[field.name];
  if (given) return field.dtype === "int64" ? Int32Array.from(given) : Float32Array.from(given);
  let values = drawRow(field, BigInt(request.seed), point.row);
  if (!isNoise(field)) return values;
  if (point.t) values = interpolate(values, drawRow(field, BigInt(request.otherSeed), point.row), point.t, field.source);
  if (!directions || directions.field !== field.name) return values;
  request.moves.forEach((move, k) => {
    if (move) directions.vectors[k].forEach((step, i) => (values[i] += move * step));
  });
  return values;
}

// Tensors by the names of the inputs, one row for each point. A fixed batch is filled with the last row.
function inputsOf(model, request, points) {
  const rows = model.batch ? [...points, ...new Array(model.batch - points.length).fill(points[points.length - 1])] : points;
  const result = {};
  for (const raw of model.inputs) {
    const field = resized(raw, request.steps);
    const size = product(field.shape);
    const data = new (field.dtype === "int64" ? Int32Array : Float32Array)(rows.length * size);
    rows.forEach((point, i) => data.set(rowOf(field, request, point, model.directions), i * size));
    result[field.name] = tensor([rows.length, ...field.shape], data);
  }
  return result;
}

// Samples of an output, one array for each point. Pixels of whole numbers (height, width, channel) become floats
// (channel, height, width) in the range of the field.
function samplesOf(field, output, count) {
  const size = output.data.length / output.dims[0];
  const found = Array.from({ length: count }, (_, i) => output.data.slice(i * size, (i + 1) * size));
  if (found.some((values) => values.some((v) => !Number.isFinite(v)))) throw new Error(`'${field.name}' has values that are not finite`);
  if (field.layout !== "uint8-nhwc") return found;
  const [height, width, channels] = output.dims.slice(1);
  const [low, high] = field.range || [-1, 1];
  return found.map((pixels) => {
    const planes = transpose(tensor([height, width, channels], Float32Array.from(pixels)), [2, 0, 1]).data;
    return planes.map((v) => low + (v / 255) * (high - low));
  });
}
