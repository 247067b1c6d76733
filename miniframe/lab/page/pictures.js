// What a model sees in an image, and what a model of text writes and where it looks.

import { h, number, percent, sharp } from "./dom.js";
import { coloured, grey, scale, signed } from "./colours.js";

function drawn(picture, size, words) {
  const canvas = h("canvas", { class: "lab-picture", role: "img", "aria-label": words });
  canvas.style.width = canvas.style.height = `${size}px`;
  requestAnimationFrame(() => sharp(canvas, (context, width, height) => { context.imageSmoothingEnabled = false; context.drawImage(picture, 0, 0, width, height); }));
  return h("figure", {}, canvas, h("figcaption", {}, words));
}

export function thumbnails(images, focus, choose) {
  const [count, high, wide] = images.shape;
  return h("div", { class: "lab-thumbs", "data-testid": "thumbs" }, ...Array.from({ length: count }, (_, i) => {
    const canvas = coloured(images, i * high * wide * 3, wide, high);
    return h("button", { class: i === focus ? "lab-chosen" : null, "aria-label": `image ${i}`, onclick: () => choose(i) }, canvas);
  }));
}

export function picturePanel({ header, arrays }, classes) {
  const [high, wide] = arrays.image.shape, image = coloured(arrays.image, 0, wide, high);
  const named = (number) => (number === null ? "?" : classes[number] ?? String(number));
  const parts = [drawn(image, 150, "the image")];
  if (arrays.saliency) parts.push(drawn(grey(arrays.saliency, wide, high), 150, "saliency: which pixels matter"));
  if (arrays.cam) parts.push(drawn(grey(arrays.cam, wide, high), 150, "CAM: evidence for the answer"));
  const body = [h("h3", {}, `image ${header.index} and layer ${header.layer}: ${header.title}`),
    header.said === null ? null : h("p", {}, `it says ${named(header.said)} (${percent(header.sure)} sure); the label is ${named(header.label)}`), h("div", { class: "lab-row" }, ...parts)];
  if (arrays.maps) {
    const [count, rows, columns] = arrays.maps.shape, colours = scale();
    const maps = Array.from({ length: count }, (_, k) => drawn(signed({ shape: [rows, columns], data: arrays.maps.data.subarray(k * rows * columns, (k + 1) * rows * columns) }, colours), 84, `channel ${k}`));
    body.push(h("h4", {}, `feature maps, ${count} of ${header.of}; full colour is ${number(header.scale)}`), h("div", { class: "lab-row", "data-testid": "maps" }, ...maps));
  }
  if (header.window && arrays.maps) body.push(sliding(header, arrays, image));
  return h("div", { "data-testid": "picture" }, ...body);
}

// the window that slides over the picture: where it is, what it multiplies, and the number that comes out
function sliding(header, arrays, image) {
  const [, rows, columns] = arrays.maps.shape, [high, wide] = arrays.image.shape, [tall, broad] = header.window.size;
  const canvas = h("canvas", { class: "lab-picture", role: "img", "aria-label": "the window on the picture, and the number in its map" });
  canvas.style.width = "330px"; canvas.style.height = "160px";
  const colours = scale(), map = signed({ shape: [rows, columns], data: arrays.maps.data.subarray(0, rows * columns) }, colours);
  const words = h("output"), slider = h("input", { type: "range", min: "0", max: String(rows * columns - 1), value: "0", "aria-label": "place of the window", oninput: () => draw() });
  let timer = null;
  const play = h("button", { onclick: () => {
    if (timer) { clearInterval(timer); timer = null; play.textContent = "slide"; return; }
    play.textContent = "hold";
    timer = setInterval(() => { if (!canvas.isConnected) { clearInterval(timer); return; } slider.value = String((Number(slider.value) + 1) % (rows * columns)); draw(); }, 60);
  } }, "slide");
  const draw = () => sharp(canvas, (context) => {
    const row = Math.floor(Number(slider.value) / columns), column = Number(slider.value) % columns;
    context.imageSmoothingEnabled = false;
    context.drawImage(image, 0, 0, 160, 160); context.drawImage(map, 170, 0, 160, 160);
    const x = (column * header.window.stride[1] - header.window.padding[1]) * (160 / wide), y = (row * header.window.stride[0] - header.window.padding[0]) * (160 / high);
    context.strokeStyle = "#c24f57"; context.lineWidth = 2;
    context.strokeRect(x, y, broad * (160 / wide), tall * (160 / high));
    context.strokeRect(170 + column * (160 / columns), row * (160 / rows), 160 / columns, 160 / rows);
    words.textContent = `window at row ${row}, column ${column} → ${number(((arrays.maps.data[row * columns + column] - 128) / 127) * header.scale)} in channel 0`;
  });
  requestAnimationFrame(draw);
  return h("section", { "data-testid": "sliding" }, h("h4", {}, `the window of ${tall}x${broad} sliding over the picture`), h("div", { class: "lab-scroll" }, canvas), h("div", { class: "lab-row" }, play, slider, words));
}

export function textPanel({ header, arrays }, send) {
  const prompt = h("input", { type: "text", value: header.prompt.join(""), maxlength: "32", "aria-label": "how the text begins", "data-testid": "prompt" });
  const heads = Object.entries(arrays).flatMap(([name, array]) => {
    const [count, rows, columns] = array.shape, layer = header.heads[Number(name.split(".")[1])];
    return Array.from({ length: count }, (_, k) => drawn(grey({ data: array.data.subarray(k * rows * columns, (k + 1) * rows * columns) }, columns, rows), 150, `${layer}, head ${k}`));
  });
  return h("div", { "data-testid": "text" }, h("h3", {}, "what it goes on to write"),
    h("form", { class: "lab-row", onsubmit: (event) => { event.preventDefault(); send({ do: "write", prompt: prompt.value }); } }, prompt, h("button", {}, "write")),
    h("blockquote", { class: "lab-code" }, header.text), h("h4", {}, "where every head looks: rows ask, columns answer"), h("div", { class: "lab-row" }, ...heads));
}
