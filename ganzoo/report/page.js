"use strict";
const LEFT = 46, RIGHT = 410, TOP = 10, BOTTOM = 206, WIDTH = 420; // as in charts.py
const text = (value) => (Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)))).replace("-", "\u2212");

// The slider moves all samples of the page to the same moment of the training.
const slider = document.querySelector(".slider");
const frames = [...document.querySelectorAll(".frames > [data-images]")];
const moments = [...new Set(frames.map((frame) => +frame.dataset.images))].sort((a, b) => a - b);
if (slider && moments.length > 1) {
  const [button, range, output] = slider.children;
  let timer = 0;
  const show = () => {
    const images = moments[+range.value];
    output.textContent = `after ${text(images)} images`;
    range.setAttribute("aria-valuetext", output.textContent);
    for (const list of document.querySelectorAll(".frames")) {
      const own = [...list.children].filter((frame) => "images" in frame.dataset);
      const shown = own.filter((frame) => +frame.dataset.images <= images).pop() || own[0];
      for (const frame of own) frame.hidden = frame !== shown;
    }
  };
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = "Play"; };
  range.max = moments.length - 1;
  range.value = moments.length - 1;
  range.addEventListener("input", () => { stop(); show(); });
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (range.value === range.max) range.value = 0;
    button.textContent = "Pause";
    show();
    timer = setInterval(() => { range.value = +range.value + 1; show(); if (range.value === range.max) stop(); }, 350);
  });
  slider.hidden = false;
  show();
}

// The pointer, or the arrow keys, show the values of a chart at one place.
for (const svg of document.querySelectorAll(".chart svg")) {
  const [x0, x1] = svg.dataset.x.split(" ").map(Number), [y0, y1] = svg.dataset.y.split(" ").map(Number);
  const lines = [...svg.querySelectorAll("polyline")].map((line) => [...line.points].map((point) => [point.x, point.y]));
  const cursor = svg.querySelector(".cursor"), figure = svg.closest("figure");
  const at = figure.querySelector(".at"), values = [...figure.querySelectorAll("b")];
  const last = [at.textContent, values.map((value) => value.textContent)];
  let place = RIGHT;
  const value = (y) => {
    const share = (BOTTOM - y) / (BOTTOM - TOP);
    return "log" in svg.dataset ? Math.exp(Math.log(y0) + share * (Math.log(y1) - Math.log(y0))) : y0 + share * (y1 - y0);
  };
  const show = (x) => {
    const nearest = lines.map((line) => line.reduce((best, point) => Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best));
    place = nearest.reduce((best, point) => Math.abs(point[0] - x) < Math.abs(best - x) ? point[0] : best, nearest[0][0]);
    cursor.setAttribute("x1", place);
    cursor.setAttribute("x2", place);
    cursor.setAttribute("visibility", "visible");
    at.textContent = `near ${text(x0 + (place - LEFT) / (RIGHT - LEFT) * (x1 - x0))} images`;
    values.forEach((item, row) => { 
      const y = nearest[row][1]; // lines end at the edge where a value is outside of the scale
      item.textContent = (y < TOP ? "over " : y > BOTTOM ? "under " : "") + text(value(Math.min(Math.max(y, TOP), BOTTOM)));
    });
  };
  const leave = () => {
    cursor.setAttribute("visibility", "hidden");
    at.textContent = last[0];
    values.forEach((item, row) => { item.textContent = last[1][row]; });
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
    const next = lines.flat().map((point) => point[0]).filter((x) => (x - place) * way > 0.05).sort((a, b) => (a - b) * way)[0];
    show(next === undefined ? place : next);
  });
}
