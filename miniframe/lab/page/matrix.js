// A matrix of numbers as a picture: point at a number to read it, click it or press Enter to ask for more.

import { h, number, shape, sharp } from "./dom.js";
import { floats, ink } from "./colours.js";

// the place in an array of any shape that a place in its matrix of rows stands for
export function unravel([row, column], sizes) {
  if (sizes.length < 2) return sizes.length ? [column] : [];
  const rest = [];
  for (const size of sizes.slice(1).reverse()) { rest.unshift(column % size); column = Math.floor(column / size); }
  return [row, ...rest];
}

export function matrix(array, { words, shape: sizes, more = "", ask, testid }) {
  const [rows, columns] = array.shape;
  if (!rows || !columns) return h("p", { class: "lab-note" }, `${words}: none`);
  const cell = Math.max(3, Math.min(18, Math.floor(300 / columns)));
  const read = h("output", { class: "lab-read" });
  let at = [0, 0];
  const canvas = h("canvas", {
    class: "lab-matrix", tabindex: "0", role: "img", "data-testid": testid, "aria-label": `${words}, ${rows} by ${columns}`,
    onmousemove: (event) => point(event), onclick: (event) => { point(event); ask?.(at, array.data[at[0] * columns + at[1]]); }, onkeydown: (event) => key(event), onfocus: () => show(),
  });
  canvas.style.width = `${columns * cell}px`; canvas.style.height = `${rows * Math.max(3, Math.min(cell, 14))}px`;
  const draw = () => sharp(canvas, (context, width, height) => {
    context.imageSmoothingEnabled = false;
    context.drawImage(floats(array), 0, 0, width, height);
    context.strokeStyle = ink(); context.lineWidth = 1.5;
    context.strokeRect((at[1] * width) / columns, (at[0] * height) / rows, width / columns, height / rows);
  });
  const show = () => { read.textContent = `[${unravel(at, sizes).join(", ")}] = ${number(array.data[at[0] * columns + at[1]])}`; draw(); };
  const point = (event) => {
    const box = canvas.getBoundingClientRect(), clamp = (value, most) => Math.max(0, Math.min(most - 1, Math.floor(value)));
    at = [clamp(((event.clientY - box.top) / box.height) * rows, rows), clamp(((event.clientX - box.left) / box.width) * columns, columns)];
    show();
  };
  const key = (event) => {
    const [dr, dc] = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key] ?? [0, 0];
    if (dr || dc) { at = [Math.max(0, Math.min(rows - 1, at[0] + dr)), Math.max(0, Math.min(columns - 1, at[1] + dc))]; show(); event.preventDefault(); }
    if (event.key === "Enter") ask?.(at, array.data[at[0] * columns + at[1]]);
  };
  requestAnimationFrame(show);
  return h("figure", { class: "lab-figure" }, h("figcaption", {}, words, " ", h("small", {}, shape(sizes) + more)), h("div", { class: "lab-scroll" }, canvas), read);
}
