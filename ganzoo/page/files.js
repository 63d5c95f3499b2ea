// Files that the page writes and reads: WAV, CSV, animated PNG, and arrays of numpy.

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// 16-bit PCM of samples (channel, time) in -1..1.
function wav(values, channels, rate) {
  const time = values.length / channels;
  const view = new DataView(new ArrayBuffer(44 + 2 * values.length));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * values.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate * channels, true);
  view.setUint16(32, 2 * channels, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * values.length, true);
  for (let i = 0; i < time; i++) {
    for (let c = 0; c < channels; c++) {
      const value = Math.max(-1, Math.min(1, values[c * time + i]));
      view.setInt16(44 + 2 * (i * channels + c), Math.round(value * 32767), true);
    }
  }
  return new Blob([view], { type: "audio/wav" });
}

function csv(rows) {
  const cell = (value) => (/[",\n\r]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  return new Blob([rows.map((row) => `${row.map(cell).join(",")}\n`).join("")], { type: "text/csv" });
}

const png = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/png"));

const CHECKS = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  [...type].forEach((letter, i) => (bytes[4 + i] = letter.charCodeAt(0)));
  bytes.set(data, 8);
  let check = 0xffffffff;
  for (let i = 4; i < 8 + data.length; i++) check = CHECKS[(check ^ bytes[i]) & 255] ^ (check >>> 8);
  view.setUint32(8 + data.length, (check ^ 0xffffffff) >>> 0);
  return bytes;
}

function chunksOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const found = [];
  for (let at = 8; at < bytes.length; at += 12 + view.getUint32(at)) {
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    found.push([type, bytes.subarray(at + 8, at + 8 + view.getUint32(at))]);
  }
  return found;
}

const numbers = (...pairs) => {
  const bytes = new Uint8Array(pairs.reduce((sum, [, width]) => sum + width, 0));
  let at = 0;
  for (const [value, width] of pairs) for (let k = width - 1; k >= 0; k--) bytes[at++] = (value / 2 ** (8 * k)) & 255;
  return bytes;
};

// Canvases of one size as an animated PNG (APNG 1.0): lossless, in all colours, shown by every browser.
async function animation(canvases, rate) {
  const { width, height } = canvases[0];
  const parts = [];
  let order = 0;
  for (let i = 0; i < canvases.length; i++) {
    const chunks = chunksOf(new Uint8Array(await (await png(canvases[i])).arrayBuffer()));
    if (!i) {
      parts.push(Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), chunk("IHDR", chunks[0][1]));
      parts.push(chunk("acTL", numbers([canvases.length, 4], [0, 4])));
    }
    const place = [[width, 4], [height, 4], [0, 4], [0, 4]];
    parts.push(chunk("fcTL", numbers([order++, 4], ...place, [100, 2], [Math.round(100 * rate), 2], [0, 1], [0, 1])));
    for (const [type, data] of chunks) {
      if (type === "IDAT" && !i) parts.push(chunk("IDAT", data));
      if (type !== "IDAT" || !i) continue;
      const body = new Uint8Array(4 + data.length);
      body.set(numbers([order++, 4]));
      body.set(data, 4);
      parts.push(chunk("fdAT", body));
    }
  }
  return new Blob([...parts, chunk("IEND", new Uint8Array())], { type: "image/png" });
}

const NPY = { "<f4": Float32Array, "<f8": Float64Array, "<i4": Int32Array, "|u1": Uint8Array };

// {dims, data} of a .npy file; an Error that says why not.
function readNpy(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 12 || view.getUint32(0) !== 0x934e554d) throw new Error("it is not a .npy file");
  const long = view.getUint8(6) > 1;
  const size = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = (long ? 12 : 10) + size;
  const header = new TextDecoder().decode(new Uint8Array(buffer, long ? 12 : 10, size));
  const [, type] = /'descr': '([^']+)'/.exec(header) || [];
  if (!NPY[type]) throw new Error(`its numbers have the type ${type}; float32 is needed`);
  if (/'fortran_order': True/.test(header)) throw new Error("it is in Fortran's order");
  const dims = (/'shape': \(([^)]*)\)/.exec(header) || ["", ""])[1].split(",").filter((n) => n.trim()).map(Number);
  const data = new NPY[type](buffer.slice(start));
  if (data.length !== product(dims)) throw new Error("it is cut off");
  return { dims, data: Float32Array.from(data) };
}
