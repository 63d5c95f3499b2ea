// The page: controls of a generator, requests to the worker, samples.

const bundles = JSON.parse(document.getElementById("bundles").textContent);
const byId = (id) => document.getElementById(id);
const COUNTS = [4, 16, 36, 64];
const COUNTS_TOGETHER = [100, 500, 2000];
const FRAMES = 40; // of a walk, there and back
const RATE = 20; // frames of a walk a second

let worker = null;
let model = null;
let state = null;
let shown = { stage: null, all: [] }; // samples on the page, by the name of the output
let job = { id: 0 };

// --- the worker ----------------------------------------------------------------------------------------------

async function startWorker() {
  const text = await unpack(byId("worker").textContent);
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  worker = new Worker(address);
  worker.onmessage = ({ data }) => {
    if (data.id !== job.id) return;
    if (data.error) {
      say(`This did not work: ${data.error}.`, true);
      job.fail(new Error(data.error));
    } else if (data.opened) job.done();
    else receive(data);
  };
}

// Sends a message; resolves when all its answers are there. A newer one takes its place.
function send(message, got = () => {}) {
  const id = job.id + 1;
  return new Promise((done, fail) => {
    job = { id, got, done, fail, left: message.points ? message.points.length : 0 };
    worker.postMessage({ ...message, id });
  });
}

function receive({ first, samples, total }) {
  const count = Object.values(samples)[0].length;
  job.left -= count;
  job.got(samples, first);
  const bar = byId("progress");
  bar.hidden = job.left === 0;
  bar.value = 1 - job.left / total;
  if (job.left === 0) job.done();
}

function say(text, isError = false) {
  byId("status").textContent = text;
  byId("status").className = isError ? "error" : "";
}

// --- what is asked for ---------------------------------------------------------------------------------------

function requestFor(points) {
  const seed = (id) => {
    const field = byId(id);
    if (!field) return "0";
    const text = field.value.trim();
    if (/^\d+$/.test(text) && BigInt(text) < 2n ** 64n) return text;
    field.value = "0"; // the field shows the seed of the sample
    return "0";
  };
  return {
    points,
    seed: seed("seed"),
    otherSeed: seed("other-seed"),
    moves: state.moves,
    steps: state.steps,
    given: Object.fromEntries(Object.entries(state.given).filter(([, values]) => values)),
  };
}

const rowNow = () => (state.random ? Math.max(0, Math.floor(Number(byId("row").value)) || 0) : 0);
const timeNow = () => (byId("walk").hidden ? 0 : Number(byId("position").value));
const outputs = () => model.outputs.map((field) => resized(field, state.steps));
const mainOutput = () => outputs().find((field) => field.viewer !== "values") || outputs()[0];
const countNow = () => (state.random ? Number(byId("count").value) : 0);

function missing() {
  return model.inputs.find((field) => field.needed && !state.given[field.name]);
}

// Computes the one sample, then those of the grid if `everything` has changed.
async function refresh(everything = true) {
  if (missing()) {
    byId("all").hidden = true;
    return say(`Choose a file for the input '${missing().name}'.`);
  }
  const together = viewerOf(mainOutput()).together;
  const points = together ? [] : [{ row: rowNow(), t: timeNow() }];
  const grid = everything || together ? Array.from({ length: countNow() }, (_, row) => ({ row, t: together ? timeNow() : 0 })) : [];
  const all = [...points, ...(grid.length || !together ? grid : [{ row: 0, t: 0 }])];
  const began = performance.now();
  if (grid.length) shown.all = [];
  await send(requestFor(all), (samples, first) => {
    const count = samples[mainOutput().name].length;
    for (let i = 0; i < count; i++) {
      const one = Object.fromEntries(Object.entries(samples).map(([name, list]) => [name, list[i]]));
      const at = first + i - points.length;
      if (at < 0) showStage(one);
      else showCell(one, at);
    }
  }).catch(() => {});
  if (job.left) return undefined;
  if (together) showTogether();
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  document.documentElement.dataset.ready = String(job.id);
  const count = grid.length || 1;
  const large = grid.length && points.length ? ", and the large one," : "";
  return say(`${count} ${count === 1 ? "sample" : "samples"}${large} in ${seconds} s.`);
}

// --- what is shown -------------------------------------------------------------------------------------------

function releaseSounds(holder) {
  for (const player of holder.querySelectorAll("audio")) URL.revokeObjectURL(player.src);
}

function showStage(sample) {
  shown.stage = sample;
  const stage = byId("stage");
  releaseSounds(stage);
  const figures = outputs().map((field) => element("figure", {}, viewerOf(field).show([sample[field.name]], field), element("figcaption", {}, field.name)));
  stage.replaceChildren(...figures);
}

function showCell(sample, at) {
  shown.all[at] = sample;
  const field = mainOutput();
  if (viewerOf(field).together) return;
  const grid = byId("grid");
  const content = viewerOf(field).show([sample[field.name]], field);
  const inner = content.querySelector("audio, input");
  const choose = () => {
    byId("row").value = at;
    refresh(false);
    markCell();
  };
  const cell = inner
    ? element("div", { class: "cell" }, content, element("button", { type: "button", onclick: choose, "aria-label": `show sample ${at} above` }, `Show ${at} above`))
    : element("button", { type: "button", class: "cell", onclick: choose, "aria-label": `sample ${at}` }, content);
  if (at === 0) {
    releaseSounds(grid);
    for (const old of [...grid.children].slice(countNow())) old.remove();
  }
  if (grid.children[at]) grid.children[at].replaceWith(cell);
  else grid.append(cell);
  markCell();
}

function markCell() {
  [...byId("grid").children].forEach((cell, i) => {
    if (cell.tagName === "BUTTON") cell.setAttribute("aria-pressed", String(i === rowNow()));
  });
}

function showTogether() {
  const field = mainOutput();
  byId("grid").replaceChildren(viewerOf(field).show(shown.all.map((one) => one[field.name]), field));
}

function fileButtons(holder, fields, samplesNow, prefix) {
  const buttons = fields.flatMap((field) =>
    viewerOf(field).files.map((file) => {
      const name = fields.length > 1 ? `${field.name}, ${file.label}` : file.label;
      const onclick = async () => {
        const samples = samplesNow().map((one) => one[field.name]);
        if (samples.length) save(await file.make(samples, field), `${prefix}${fields.length > 1 ? `-${field.name}` : ""}${file.ending}`);
      };
      return element("button", { type: "button", onclick }, `Save ${name}`);
    }),
  );
  holder.replaceChildren(...buttons);
}

// --- controls ------------------------------------------------------------------------------------------------

function labelled(text, control, className) {
  return element("label", { class: className }, text, control);
}

function numberInput(id, value, more, change) {
  const input = element("input", { type: "number", id, value, ...more });
  input.oninput = change;
  return input;
}

function buildControls() {
  const what = byId("what");
  what.replaceChildren(element("legend", {}, "What"));
  byId("files-in").replaceChildren(element("legend", {}, "Input"));
  if (state.random) {
    what.append(labelled("Seed", numberInput("seed", 0, { min: 0, step: 1 }, () => refresh())));
    const row = labelled("Sample", numberInput("row", 0, { min: 0, step: 1 }, () => (refresh(false), markCell())));
    row.hidden = viewerOf(mainOutput()).together;
    what.append(row);
  }
  if (model.others.length > 1) {
    const pick = element("select", {}, ...model.others.map((other, i) => element("option", { value: i, selected: other.name === model.name }, other.name)));
    pick.onchange = () => openModel(model.bundle, Number(pick.value));
    what.append(labelled("Generator", pick));
  }
  for (const field of model.inputs) {
    const control = controlOf(field);
    if (control) (field.needed && field.size > 16 ? byId("files-in") : what).append(control);
  }
  for (const [axis, multiple] of Object.entries(freeAxes())) {
    const change = (event) => {
      const steps = Math.round(Number(event.target.value) / multiple.step);
      if (steps < 1 || steps > 4096) return;
      state.steps[axis] = steps;
      refresh();
    };
    const more = { min: multiple.step, step: multiple.step };
    if (!missingFiles()) what.append(labelled(axis, numberInput(`axis-${axis}`, multiple.size, more, change)));
  }
  what.hidden = what.children.length < 2;
  byId("files-in").hidden = byId("files-in").children.length < 2;
  buildMoves();
  byId("walk").hidden = !model.inputs.some(isNoise);
  byId("position").value = 0;
  const canAnimate = Boolean(viewerOf(mainOutput()).canvasOf);
  byId("walk-files").replaceChildren(...(canAnimate ? [element("button", { type: "button", onclick: saveWalk }, "Save animated PNG")] : []));
}

const missingFiles = () => model.inputs.some((field) => field.needed && field.size > 16);

function freeAxes() {
  const found = {};
  for (const field of [...model.outputs, ...model.inputs]) {
    (field.axes || []).forEach((axis, i) => {
      const step = (field.free || {})[axis];
      if (step && !found[axis]) found[axis] = { step, size: field.shape[i] };
    });
  }
  return found;
}

function controlOf(field) {
  if (field.dtype === "int64" && field.size === 1 && field.classes.length) {
    const options = ["random", ...field.classes].map((name, i) => element("option", { value: i - 1 }, name));
    const select = element("select", { id: `in-${field.name}` }, ...options);
    select.onchange = () => {
      state.given[field.name] = Number(select.value) < 0 ? null : [Number(select.value)];
      refresh();
    };
    return labelled(field.name, select);
  }
  if (field.source === "constant" && field.size === 1) {
    const [low, high] = field.range || [Math.min(0, field.default), Math.max(1, 1.5 * field.default)];
    return slider(field.name, { min: low, max: high, step: (high - low) / 100, value: field.default, id: `in-${field.name}` }, (value) => {
      state.given[field.name] = [value];
      refresh();
    });
  }
  if (field.needed && field.size <= 16) {
    state.given[field.name] = new Array(field.size).fill(0);
    const inputs = state.given[field.name].map((_, i) =>
      numberInput(`in-${field.name}-${i}`, 0, { step: "any", "aria-label": `${field.name} ${i + 1}` }, (event) => {
        state.given[field.name][i] = Number(event.target.value) || 0;
        refresh();
      }),
    );
    return element("div", { role: "group", "aria-label": field.name }, field.name, ...inputs);
  }
  return field.needed ? dropZone(field) : null;
}

function slider(text, attributes, change) {
  const input = element("input", { type: "range", ...attributes });
  const value = element("output", {}, shownNumber(Number(attributes.value)));
  input.oninput = () => {
    value.textContent = shownNumber(Number(input.value));
    change(Number(input.value));
  };
  return labelled(text, element("span", {}, input), "slider").appendChild(value).parentElement;
}

function buildMoves() {
  const { directions } = model;
  byId("moves").hidden = !directions || viewerOf(mainOutput()).together;
  if (!directions) return;
  const change = (k) => (value) => {
    state.moves[k] = value;
    clearTimeout(state.later);
    refresh(false);
    state.later = setTimeout(refresh, 600); // the grid follows when the slider rests
  };
  byId("sliders").replaceChildren(...directions.vectors.map((_, k) => slider(`Direction ${k + 1}`, { min: -4, max: 4, step: 0.1, value: 0 }, change(k))));
}

// A place for a file: a picture for pixels, else an array of numpy.
function dropZone(field) {
  const picture = viewerOf(field).reads === "pixels" && field.shape.length === 3;
  const shownInput = element("div");
  const input = element("input", { type: "file", id: `file-${field.name}`, accept: picture ? "image/*" : ".npy" });
  const take = async (file) => {
    if (!file) return;
    try {
      const values = picture ? await readPicture(file, field) : readArray(await file.arrayBuffer(), field);
      state.given[field.name] = values;
      const sized = resized(field, state.steps);
      shownInput.replaceChildren(viewerOf(field).show([values], sized));
      byId("all").hidden = !state.random;
      await refresh();
    } catch (error) {
      say(`${file.name} cannot be used: ${error.message}.`, true);
    }
  };
  input.onchange = () => take(input.files[0]);
  const what = picture ? `A picture for '${field.name}': choose a file, or drop one here` : `An array (.npy) of shape ${field.shape.join(" x ")} for '${field.name}'`;
  const zone = element("div", { class: "drop" }, labelled(what, input), shownInput);
  zone.ondragover = (event) => (event.preventDefault(), zone.classList.add("over"));
  zone.ondragleave = () => zone.classList.remove("over");
  zone.ondrop = (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take(event.dataTransfer.files[0]);
  };
  return zone;
}

// A picture, cut to the shape of the field around its middle and scaled, in the range of the field.
async function readPicture(file, field) {
  const image = await createImageBitmap(file);
  const [channels, height, width] = resized(field, state.steps).shape;
  const scale = Math.max(width / image.width, height / image.height);
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  if (channels < 4) {
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(image, (width - image.width * scale) / 2, (height - image.height * scale) / 2, image.width * scale, image.height * scale);
  const { data } = context.getImageData(0, 0, width, height);
  const [low, high] = field.range || [-1, 1];
  const values = new Float32Array(channels * height * width);
  for (let i = 0; i < height * width; i++) {
    const gray = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
    for (let c = 0; c < channels; c++) values[c * height * width + i] = low + ((channels < 3 ? gray : data[4 * i + c]) / 255) * (high - low);
  }
  return values;
}

function readArray(buffer, field) {
  const { dims, data } = readNpy(buffer);
  const { shape } = field;
  const inner = dims.length === shape.length + 1 && dims[0] === 1 ? dims.slice(1) : dims;
  if (inner.length !== shape.length) throw new Error(`its shape is ${dims.join(" x ")}, not ${shape.join(" x ")}`);
  inner.forEach((size, i) => {
    const step = (field.free || {})[(field.axes || [])[i]];
    if (step ? size % step : size !== shape[i]) throw new Error(`its shape is ${dims.join(" x ")}, not ${shape.join(" x ")}`);
    if (step) state.steps[field.axes[i]] = size / step;
  });
  return data;
}

// --- walks ---------------------------------------------------------------------------------------------------

function togglePlay() {
  state.playing = !state.playing;
  byId("play").setAttribute("aria-pressed", String(state.playing));
  byId("play").textContent = state.playing ? "Stop" : "Play";
  if (state.playing) step(state, 1);
}

async function step(mine, way) {
  if (mine !== state || !state.playing) return;
  const t = timeNow() + way / (FRAMES / 2);
  byId("position").value = t;
  const began = performance.now();
  await refresh(false);
  const rest = Math.max(0, 1000 / RATE - (performance.now() - began));
  setTimeout(() => step(mine, t >= 1 ? -1 : t <= 0 ? 1 : way), rest);
}

async function saveWalk() {
  const half = FRAMES / 2;
  const points = Array.from({ length: half + 1 }, (_, k) => ({ row: rowNow(), t: k / half }));
  const field = mainOutput();
  const canvases = [];
  say("Computing the walk.");
  await send(requestFor(points), (samples) => samples[field.name].forEach((values) => canvases.push(viewerOf(field).canvasOf(values, field))));
  const backwards = canvases.slice(1, -1).reverse();
  save(await animation([...canvases, ...backwards], RATE), `${model.title}-walk.png`);
  say(`Saved a walk of ${canvases.length + backwards.length} frames.`);
}

// --- bundles -------------------------------------------------------------------------------------------------

async function openModel(bundle, which = 0) {
  const record = bundle.generators[which];
  const inputs = record.inputs.map((field) => ({
    ...field,
    size: product(field.shape),
    needed: field.source === "data" && !field.classes.length,
  }));
  model = { ...record, inputs, bundle, title: bundle.title, others: bundle.generators };
  const random = inputs.some((field) => !field.needed && field.source !== "constant");
  state = { given: {}, moves: new Array(record.directions ? record.directions.vectors.length : 0).fill(0), steps: {}, random, playing: false };
  shown = { stage: null, all: [] };
  for (const id of ["stage", "grid"]) byId(id).replaceChildren();
  const { about } = record;
  byId("title").textContent = bundle.title;
  const facts = [about.recipe && `recipe ${about.recipe}`, about.data && `trained on ${about.data}`, about.images && `${about.images.toLocaleString("en")} samples seen`];
  const engine = record.engine === "ort" ? "onnxruntime-web" : "the page's own interpreter";
  byId("about").textContent = [...facts, about.author && `by ${about.author}`, about.license && `licence ${about.license}`, `computed by ${engine}`].filter(Boolean).join(" \u00b7 ");
  const viewer = viewerOf(mainOutput());
  const counts = viewer.together ? COUNTS_TOGETHER : COUNTS;
  byId("count").replaceChildren(...counts.map((n, i) => element("option", { value: n, selected: i === (viewer.together ? 0 : 1) }, String(n))));
  byId("grid").className = viewer.together ? "" : "cells";
  byId("grid").style.setProperty("--cell", `min(100%, ${viewer.width}rem)`);
  byId("all").hidden = !random;
  document.querySelector(".one").hidden = Boolean(viewer.together);
  buildControls();
  fileButtons(byId("stage-files"), outputs(), () => (shown.stage ? [shown.stage] : []), bundle.title);
  fileButtons(byId("all-files"), [mainOutput()], () => shown.all.filter(Boolean), `${bundle.title}-samples`);
  markCard();
  say("Opening the network.");
  const parts = record.engine === "ort" ? [0, 1, 2].map((k) => byId(`ort-${k}`).textContent) : null;
  try {
    await send({ record: { ...record, inputs: record.inputs }, weights: byId(record.weights).textContent, parts });
  } catch {
    return;
  }
  await refresh();
}

// A tile without a picture: the first columns of a table, else what is made.
function inWords(field) {
  const names = (field.columns || []).map((column) => column.name);
  return names.length ? `a table: ${names.slice(0, 6).join(", ")}${names.length > 6 ? " ..." : ""}` : field.name;
}

function buildGallery() {
  if (bundles.length < 2) return;
  const cards = bundles.map((bundle) => {
    const picture = bundle.picture ? element("img", { src: bundle.picture, alt: "" }) : element("span", { class: "blank" }, inWords(bundle.generators[0].outputs[0]));
    return element("button", { type: "button", onclick: () => openModel(bundle) }, picture, bundle.title);
  });
  byId("gallery").replaceChildren(...cards);
  byId("gallery").hidden = false;
}

function markCard() {
  [...byId("gallery").children].forEach((card, i) => card.setAttribute("aria-current", String(bundles[i] === model.bundle)));
}

byId("controls").onsubmit = (event) => event.preventDefault();
byId("count").onchange = () => refresh();
byId("other-seed").oninput = () => refresh(false);
byId("position").oninput = () => refresh(false);
byId("play").onclick = togglePlay;
byId("still").onclick = () => {
  state.moves.fill(0);
  buildMoves();
  refresh();
};
buildGallery();
startWorker().then(() => openModel(bundles[0]));
