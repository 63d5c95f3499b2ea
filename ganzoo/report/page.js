"use strict";
const LEFT = 46, RIGHT = 410, TOP = 10, BOTTOM = 206, WIDTH = 420; // as in charts.py
const text = (x) => Math.abs(x) >= 1000 ? Math.round(x).toLocaleString("en") : String(Number(x.toPrecision(3)));
const nearest = (points, x) => points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);

const unit = document.querySelector("main").dataset.unit;

// The slider moves all samples of the page to the same moment of the training.
const slider = document.querySelector(".slider"), figures = [...document.querySelectorAll(".samples figure")];
const own = (figure) => [...figure.children].filter((frame) => "images" in frame.dataset);
const moments = [...new Set(figures.flatMap(own).map((frame) => +frame.dataset.images))].filter((x) => x >= 0).sort((a, b) => a - b);
if (moments.length > 1) {
  const [button, range, output] = slider.children;
  let timer = 0;
  const show = () => {
    const images = moments[+range.value];
    output.textContent = `after ${text(images)} ${unit}`;
    range.setAttribute("aria-valuetext", output.textContent);
    for (const frames of figures.map(own)) {
      const shown = frames.filter((frame) => +frame.dataset.images <= images).pop() || frames[0];
      for (const frame of frames) frame.hidden = frame !== shown;
    }
  };
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = "Play"; };
  const step = () => { range.value = +range.value + 1; show(); if (range.value === range.max) stop(); };
  range.max = range.value = moments.length - 1;
  range.addEventListener("input", () => { stop(); show(); });
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (range.value === range.max) range.value = 0;
    button.textContent = "Pause";
    timer = setInterval(step, 350);
    show();
  });
  slider.hidden = false;
  show();
}

// The pointer, or the arrow keys, show the values of a chart at one place.
for (const svg of document.querySelectorAll(".chart svg")) {
  const lines = [...svg.querySelectorAll("polyline")].map((line) => [...line.points].map((point) => [point.x, point.y]));
  const [low, high] = svg.dataset.y.split(" ").map(Number), log = "log" in svg.dataset;
  const cursor = svg.querySelector(".cursor"), texts = [...svg.parentElement.querySelectorAll("li:first-child, b")];
  const last = texts.map((item) => item.textContent);
  let place = RIGHT;
  const value = (y) => { // a line ends at the edge where its value is outside of the scale
    const share = Math.min(Math.max((BOTTOM - y) / (BOTTOM - TOP), 0), 1);
    const found = log ? low * Math.pow(high / low, share) : low + share * (high - low);
    return (y < TOP ? "over " : y > BOTTOM ? "under " : "") + text(found);
  };
  const show = (x) => {
    place = nearest(lines.flat(), x)[0];
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, place);
    cursor.setAttribute("visibility", "visible");
    const images = (place - LEFT) / (RIGHT - LEFT) * svg.dataset.x;
    const found = [`near ${text(images)} ${unit}`, ...lines.map((line) => value(nearest(line, place)[1]))];
    texts.forEach((item, row) => { item.textContent = found[row]; });
  };
  const leave = () => {
    cursor.setAttribute("visibility", "hidden");
    texts.forEach((item, row) => { item.textContent = last[row]; });
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    show((event.clientX - box.left) / box.width * WIDTH);
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!way) return;
    event.preventDefault();
    const next = lines.flat().map((point) => point[0]).filter((x) => (x - place) * way > 0.05).sort((a, b) => (a - b) * way);
    show(next.length ? next[0] : place);
  });
}
