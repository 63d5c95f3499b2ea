// The thread that computes: gets models and requests, answers with samples. A newer request ends an older one.

const SLICE = 120; // milliseconds: so long the thread computes before it looks for a newer request
let model = null;
let newest = 0;

// A function of input tensors that computes all outputs, with our own interpreter.
async function withInterpreter(record, weights) {
  const graph = loadGraph(record.graph, await unpack(weights));
  return async (inputs) => runGraph(graph, inputs);
}

// The same with onnxruntime-web, whose script and binary are in the page.
async function withOnnxruntime(weights, parts) {
  if (!self.ort) {
    const [script, module, binary] = await Promise.all(parts.map(unpack));
    const address = (bytes) => URL.createObjectURL(new Blob([bytes], { type: "text/javascript" }));
    importScripts(address(script));
    ort.env.logLevel = "error";
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = binary.buffer;
    ort.env.wasm.wasmPaths = { mjs: address(module) };
  }
  const session = await ort.InferenceSession.create(await unpack(weights), { executionProviders: ["wasm"] });
  return async (inputs) => {
    const feeds = {};
    for (const [name, { dims, data }] of Object.entries(inputs)) {
      const whole = data instanceof Int32Array;
      feeds[name] = new ort.Tensor(whole ? "int64" : "float32", whole ? BigInt64Array.from(data, BigInt) : data, dims);
    }
    const results = await session.run(feeds);
    const plain = (data) => (data instanceof BigInt64Array ? Int32Array.from(data, Number) : data);
    return Object.fromEntries(session.outputNames.map((name) => [name, tensor([...results[name].dims], plain(results[name].data))]));
  };
}

async function open({ record, weights, parts }) {
  const run = parts ? await withOnnxruntime(weights, parts) : await withInterpreter(record, weights);
  model = { ...record, run };
}

async function make(request) {
  const { points } = request;
  let [size, done] = [1, 0];
  while (done < points.length) {
    if (request.id !== newest) return;
    const part = points.slice(done, done + Math.min(size, model.batch || size));
    const began = performance.now();
    const results = await model.run(inputsOf(model, request, part));
    const samples = {};
    for (const field of model.outputs) samples[field.name] = samplesOf(field, results[field.name], part.length);
    postMessage({ id: request.id, first: done, samples, total: points.length });
    done += part.length;
    const each = (performance.now() - began) / part.length;
    size = Math.max(1, Math.min(64, Math.floor(SLICE / Math.max(each, 0.01))));
    await new Promise((resolve) => setTimeout(resolve)); // messages arrive here
  }
}

let queue = Promise.resolve();

onmessage = ({ data }) => {
  newest = data.id;
  const task = data.record ? () => open(data).then(() => postMessage({ id: data.id, opened: true })) : () => make(data);
  queue = queue.then(task).catch((error) => postMessage({ id: data.id, error: error.message }));
};
