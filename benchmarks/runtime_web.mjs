// Runs one case of `benchmarks/runtimes.py` in onnxruntime-web (wasm, one thread) in node.
//     node runtime_web.mjs MODEL.onnx CASE.json: {"inputs": {name: [type, shape, file]}, "outputs": {name: file}}
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";

const [model, description] = process.argv.slice(2);
const ort = createRequire(`${process.cwd()}/`)("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";
try {
  const { inputs, outputs } = JSON.parse(await readFile(description, "utf8"));
  const session = await ort.InferenceSession.create(new Uint8Array(await readFile(model)));
  const given = {};
  for (const [name, [type, shape, file]] of Object.entries(inputs)) {
    const { buffer, byteOffset, byteLength } = await readFile(file);
    const bytes = buffer.slice(byteOffset, byteOffset + byteLength);
    const values = type === "int64" ? new BigInt64Array(bytes) : new Float32Array(bytes);
    given[name] = new ort.Tensor(type, values, shape);
  }
  const found = await session.run(given);
  for (const [name, file] of Object.entries(outputs)) {
    await writeFile(file, Buffer.from(Float32Array.from(found[name].data).buffer));
  }
} catch (error) {
  console.error(`${error.name ?? "Error"}: ${error.message ?? error}`.split("\n")[0]);
  process.exit(1);
}
