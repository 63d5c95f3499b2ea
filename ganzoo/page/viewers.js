// How samples are shown and saved: one record for each name that a field may say (`Viewer` in ganzoo/api/media.py).
// show(samples, field) makes an element; `together` draws all samples in one; `width` is that of a cell of the grid.
// `files` are the files that can be saved. canvasOf(sample, field) makes one picture, for animations of walks.

const SVG = "http://www.w3.org/2000/svg";

// An element with attributes and children; texts never become HTML.
function element(tag, attributes = {}, ...children) {
  const made = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made[name] = value;
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const shownNumber = (value) => String(Number(value.toPrecision(4)));

function bounds(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low < high ? [low, high] : [low, low + 1];
}

// Planes of equal size on a canvas: gray, colours, or colours with alpha; of more than four the first three.
function paint(planes, height, width, [low, high], upwards) {
  const canvas = element("canvas", { width, height, role: "img", class: width < 256 ? "small" : "" });
  const image = new ImageData(width, height);
  const scale = 255 / (high - low);
  const colours = planes.length < 3 ? [0, 0, 0] : [0, 1, 2];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (upwards ? height - 1 - y : y) * width + x;
      const to = 4 * (y * width + x);
      colours.forEach((plane, c) => (image.data[to + c] = Math.round((planes[plane][from] - low) * scale)));
      image.data[to + 3] = planes.length === 4 ? Math.round((planes[3][from] - low) * scale) : 255;
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

const rangeOf = (field, values) => field.options.range || field.range || bounds(values);

function pixels(values, field) {
  const [height, width] = field.shape.slice(-2);
  const size = height * width;
  const planes = Array.from({ length: values.length / size }, (_, c) => values.subarray(c * size, (c + 1) * size));
  const canvas = paint(planes, height, width, rangeOf(field, values), field.options.upwards);
  canvas.setAttribute("aria-label", `${field.name}, ${width} by ${height} pixels`);
  return canvas;
}

// Canvases of one size on one sheet, enlarged by a whole factor if they are small.
function sheetOf(canvases) {
  const { width, height } = canvases[0];
  const columns = Math.ceil(Math.sqrt(canvases.length));
  const factor = canvases.length === 1 ? 1 : Math.max(1, Math.ceil(56 / Math.max(width, height)));
  const sheet = element("canvas", { width: columns * width * factor, height: Math.ceil(canvases.length / columns) * height * factor });
  const context = sheet.getContext("2d");
  context.imageSmoothingEnabled = false;
  canvases.forEach((canvas, i) => {
    context.drawImage(canvas, (i % columns) * width * factor, Math.floor(i / columns) * height * factor, width * factor, height * factor);
  });
  return sheet;
}

const pngFile = (canvasOf) => ({
  label: "PNG",
  ending: ".png",
  make: (samples, field) => png(sheetOf(samples.map((values) => canvasOf(values, field)))),
});

// Frame k of (channel, time, height, width), also for slices of depth.
function frame(values, field, k) {
  const [channels, count, height, width] = field.shape;
  const size = height * width;
  const planes = Array.from({ length: channels }, (_, c) => values.subarray((c * count + k) * size, (c * count + k + 1) * size));
  const canvas = paint(planes, height, width, rangeOf(field, values));
  canvas.setAttribute("aria-label", `${field.name}, ${k + 1} of ${count}`);
  return canvas;
}

function showFrames([values], field) {
  const frames = Array.from({ length: field.shape[1] }, (_, k) => frame(values, field, k));
  const shown = element("canvas", { width: frames[0].width, height: frames[0].height, role: "img", class: frames[0].className });
  shown.setAttribute("aria-label", `${field.name}, ${frames.length} frames`);
  const context = shown.getContext("2d");
  let k = 0;
  const draw = () => {
    context.clearRect(0, 0, shown.width, shown.height);
    context.drawImage(frames[k], 0, 0);
  };
  draw();
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const timer = setInterval(() => {
    if (!shown.isConnected && k > 0) return clearInterval(timer);
    if (still.matches) return undefined;
    k = (k + 1) % frames.length;
    return draw();
  }, 1000 / field.options.rate);
  return shown;
}

function showSlices([values], field) {
  const count = field.shape[1];
  const holder = element("div");
  const draw = (k) => holder.replaceChildren(frame(values, field, k));
  const slider = element("input", { type: "range", min: 0, max: count - 1, value: count >> 1, "aria-label": `slice of ${field.name}` });
  slider.oninput = () => draw(Number(slider.value));
  slider.onclick = (event) => event.stopPropagation();
  draw(count >> 1);
  return element("div", {}, holder, slider);
}

function showSound([values], field) {
  const [channels, time] = field.shape;
  const width = 320;
  const svg = element("svg:svg", { viewBox: `0 0 ${width} 80`, role: "img" });
  svg.setAttribute("aria-label", `${field.name}, ${(time / field.options.rate).toFixed(2)} seconds`);
  const step = time / width;
  let path = "";
  for (let x = 0; x < width; x++) {
    const first = Math.floor(x * step);
    const part = values.subarray(first, Math.max(first + 1, Math.floor((x + 1) * step)));
    const [low, high] = [Math.max(-1, Math.min(...part)), Math.min(1, Math.max(...part))];
    path += `M${x} ${40 - 38 * high}V${Math.max(41 - 38 * high, 40 - 38 * low)}`;
  }
  svg.append(element("svg:path", { d: path, class: "line s0" }));
  const player = element("audio", { controls: true, src: URL.createObjectURL(wav(values, channels, field.options.rate)) });
  player.setAttribute("aria-label", field.name);
  return element("div", {}, svg, player);
}

// The shown values of a series: [time step][channel].
function lineValues(values, field) {
  const [time, channels] = field.shape;
  const { names = [], offsets = [], factors = [] } = field.options;
  const width = names.length || channels;
  return Array.from({ length: time }, (_, t) => Array.from({ length: width }, (__, c) => (offsets[c] ?? 0) + (factors[c] ?? 1) * values[t * channels + c]));
}

function showLines([values], field) {
  const rows = lineValues(values, field);
  const names = field.options.names || rows[0].map((_, c) => `channel ${c + 1}`);
  const [low, high] = bounds(rows.flat());
  const [width, height, left] = [360, 160, 46];
  const svg = element("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.setAttribute("aria-label", `${names.join(", ")}: ${rows.length} time steps, ${shownNumber(low)} to ${shownNumber(high)}`);
  const y = (value) => height - 18 - ((value - low) / (high - low)) * (height - 28);
  const x = (t) => left + (t / Math.max(1, rows.length - 1)) * (width - left - 6);
  for (const value of [low, high]) svg.append(element("svg:text", { x: left - 5, y: y(value) + 4, "text-anchor": "end", class: "axis" }, shownNumber(value)));
  svg.append(element("svg:text", { x: left, y: height - 3, class: "axis" }, "0"));
  svg.append(element("svg:text", { x: width - 6, y: height - 3, "text-anchor": "end", class: "axis" }, String(rows.length - 1)));
  names.forEach((_, c) => {
    const points = rows.map((row, t) => `${x(t).toFixed(1)},${y(row[c]).toFixed(1)}`).join(" ");
    svg.append(element("svg:polyline", { points, class: `line s${c % 6}` }));
  });
  const legend = element("div", { class: "legend" }, ...names.map((name, c) => element("span", { class: `s${c % 6}` }, name)));
  return element("div", {}, svg, legend);
}

// A number as the column writes 1234.5.
function writtenNumber(plain, column) {
  const form = /^(\D*)1(\D?)234(\D)5(\D*)$/.exec(column.written || "");
  if (!form) return plain;
  const [, before, thousands, decimal, after] = form;
  const [whole, part] = plain.replace("-", "").split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, () => thousands);
  return (plain.startsWith("-") ? "-" : "") + before + grouped + (part ? decimal + part : "") + after;
}

// Rows of a table as ganzoo/tabular.py decodes them: texts by column, "" for a blank.
function decodeRow(values, columns) {
  const indicatorsOf = (column) => (column.values.length || column.centres.length) + (column.blanks ? 1 : 0);
  const order = [...columns.filter((column) => column.values.length), ...columns.filter((column) => !column.values.length)];
  const cells = new Map();
  let start = 0;
  let value = columns.reduce((sum, column) => sum + indicatorsOf(column), 0);
  for (const column of order) {
    const width = indicatorsOf(column);
    const indicators = values.subarray(start, start + width);
    const which = indicators.indexOf(Math.max(...indicators));
    start += width;
    if (column.values.length) {
      cells.set(column, column.values[which]);
      continue;
    }
    const within = Math.max(-1, Math.min(1, values[value++]));
    if (which === column.centres.length) {
      cells.set(column, "");
      continue;
    }
    const offset = 4 * column.widths[which] * within;
    const [low, high] = column.bounds;
    const number = Math.max(low, Math.min(high, column.centres[which] + offset));
    cells.set(column, writtenNumber((Number(number.toFixed(column.decimals)) + 0).toFixed(column.decimals), column));
  }
  return columns.map((column) => cells.get(column));
}

function tableOf(head, rows, isNumber) {
  const cells = (row) => row.map((cell, c) => element("td", { class: isNumber(c) ? "number" : "" }, String(cell)));
  const table = element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))),
  );
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "table" }, table);
}

function showTable(samples, field) {
  const rows = samples.slice(0, 200).map((values) => decodeRow(values, field.columns));
  return tableOf(field.columns.map((column) => column.name), rows, (c) => !field.columns[c].values.length);
}

// The largest value of a place is its symbol; the first symbol ends a text.
function textOf(values, field) {
  const { symbols, join } = field.options;
  const pieces = [];
  for (let place = 0; place < field.shape[0]; place++) {
    const row = values.subarray(place * symbols.length, (place + 1) * symbols.length);
    const best = row.indexOf(Math.max(...row));
    if (best === 0) break;
    pieces.push(symbols[best]);
  }
  return pieces.join(join).replace(/[\n\r]/g, " ");
}

function showPoints(samples, field) {
  const side = 320;
  const svg = element("svg:svg", { viewBox: `0 0 ${side} ${side}`, role: "img", class: "plot" });
  svg.setAttribute("aria-label", `${samples.length} values of ${field.name}`);
  const xs = samples.map((values) => values[0]);
  const [low, high] = bounds(xs);
  const place = (value, from, to) => 24 + ((value - from) / (to - from)) * (side - 48);
  if (field.shape[0] === 1) {
    const counts = new Array(40).fill(0);
    xs.forEach((x) => counts[Math.min(39, Math.floor(((x - low) / (high - low)) * 40))]++);
    const most = Math.max(...counts);
    counts.forEach((count, i) => {
      const tall = (count / most) * (side - 48);
      svg.append(element("svg:rect", { x: 24 + (i * (side - 48)) / 40, y: side - 24 - tall, width: (side - 48) / 40 - 1, height: tall, class: "dot" }));
    });
  } else {
    const [bottom, top] = bounds(samples.map((values) => values[1]));
    samples.forEach(([x, y]) => svg.append(element("svg:circle", { cx: place(x, low, high), cy: side - place(y, bottom, top), r: 2.2, class: "dot" })));
    svg.append(element("svg:text", { x: 4, y: 14, class: "axis" }, `${shownNumber(bottom)} to ${shownNumber(top)} upwards`));
  }
  svg.append(element("svg:text", { x: side - 4, y: side - 6, "text-anchor": "end", class: "axis" }, `${shownNumber(low)} to ${shownNumber(high)}`));
  return svg;
}

function showValues([values], field) {
  if (values.length === 1) return element("p", { class: "text" }, shownNumber(values[0]));
  const width = field.shape[field.shape.length - 1];
  const rows = Array.from({ length: Math.min(24, values.length / width) }, (_, i) => [...values.subarray(i * width, i * width + Math.min(width, 12))].map(shownNumber));
  return tableOf([], rows, () => true);
}

const valueFile = {
  label: "CSV",
  ending: ".csv",
  make: (samples, field) => csv([Array.from({ length: product(field.shape) }, (_, i) => `${field.name}_${i}`), ...samples.map((values) => [...values])]),
};

const frameFile = (rate) => ({
  label: "animated PNG",
  ending: ".png",
  make: (samples, field) => {
    const moments = Array.from({ length: field.shape[1] }, (_, k) => sheetOf(samples.map((values) => frame(values, field, k))));
    return animation(moments, Math.min(60, rate(field)));
  },
});

const VIEWERS = {
  pixels: { show: ([values], field) => pixels(values, field), canvasOf: pixels, files: [pngFile(pixels)], width: 6, reads: "pixels" },
  frames: { show: showFrames, files: [frameFile((field) => field.options.rate)], width: 6 },
  slices: { show: showSlices, files: [frameFile(() => 8)], width: 8 },
  sound: {
    show: showSound,
    files: [
      {
        label: "WAV",
        ending: ".wav",
        make: (samples, field) => wav(joinTimes(samples, field), field.shape[0], field.options.rate),
      },
    ],
    width: 18,
  },
  lines: {
    show: showLines,
    files: [
      {
        label: "CSV",
        ending: ".csv",
        make: (samples, field) => {
          const names = field.options.names || Array.from({ length: field.shape[1] }, (_, c) => `channel ${c + 1}`);
          return csv([["sample", "step", ...names], ...samples.flatMap((values, i) => lineValues(values, field).map((row, t) => [i, t, ...row]))]);
        },
      },
    ],
    width: 16,
  },
  table: {
    show: showTable,
    together: true,
    files: [
      {
        label: "CSV",
        ending: ".csv",
        make: (samples, field) => csv([field.columns.map((column) => column.name), ...samples.map((values) => decodeRow(values, field.columns))]),
      },
    ],
  },
  symbols: {
    show: ([values], field) => element("p", { class: "text" }, textOf(values, field)),
    files: [
      {
        label: "text",
        ending: ".txt",
        make: (samples, field) => new Blob(samples.map((values) => `${textOf(values, field)}\n`), { type: "text/plain" }),
      },
    ],
    width: 16,
  },
  points: { show: showPoints, together: true, files: [valueFile] },
  values: { show: showValues, files: [valueFile], width: 16 },
};

// Sounds (channel, time) one after the other, as one (channel, time).
function joinTimes(samples, field) {
  const [channels, time] = field.shape;
  const whole = new Float32Array(samples.length * channels * time);
  samples.forEach((values, i) => {
    for (let c = 0; c < channels; c++) whole.set(values.subarray(c * time, (c + 1) * time), (c * samples.length + i) * time);
  });
  return whole;
}

const viewerOf = (field) => VIEWERS[field.viewer] || VIEWERS.values;
