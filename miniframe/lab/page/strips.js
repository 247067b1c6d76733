// The model as its flat list of layers: of each its values and, below them, the gradients that came back.

import { h, number, shape, sharp } from "./dom.js";
import { faint, scale, signed } from "./colours.js";

export class Strips {
  constructor(choose) {
    this.choose = choose;
    this.rows = new Map();
    this.chosen = null;
    this.element = h("ol", { class: "lab-layers", "aria-label": "layers, from the input to the loss" });
  }

  setFrame(header, arrays) {
    const names = header.layers.map((layer) => layer.name).join("|") + header.layers.map((layer) => layer.title).join("|");
    if (names !== this.names) { this.names = names; this.build(header.layers); }
    const colours = scale(), finding = header.finding;
    header.layers.forEach((layer, place) => {
      const row = this.rows.get(layer.name);
      row.value.textContent = number(layer.mean_value);
      row.gradient.textContent = number(layer.mean_gradient);
      paint(row.values, arrays[`${place}.value`], colours);
      paint(row.gradients, arrays[`${place}.gradient`], colours);
      const said = finding && (finding.layer === layer.name || finding.layer.startsWith(layer.name + "."));
      row.words.textContent = said ? finding.words : "";
      const units = header.units?.find((unit) => unit.name === layer.name);
      this.units(row, units, units && arrays[`units.${units.number}`], colours);
    });
  }

  build(layers) {
    this.rows.clear();
    this.element.replaceChildren(...layers.map((layer, place) => {
      const row = {
        value: h("output", { "data-testid": `layer-${place}`, "aria-live": "off" }), gradient: h("output", { "data-testid": `layer-${place}-gradient`, "aria-live": "off" }),
        values: h("canvas", { class: "lab-strip", role: "img", "aria-label": `values of ${layer.title}` }),
        gradients: h("canvas", { class: "lab-strip", role: "img", "aria-label": `gradients at ${layer.title}` }),
        words: h("p", { class: "lab-finding" }), units: h("canvas", { class: "lab-units", role: "img", "aria-label": `hidden units of ${layer.title} over the plane` }),
        note: h("span", { class: "lab-note" }),
      };
      const more = layer.of > 64 ? `, the first 64 of ${layer.of} numbers` : "";
      row.button = h("button", { class: "lab-layer-name", "data-testid": `open-${place}`, onclick: () => this.open(layer.name) },
        h("strong", {}, layer.name), ` ${layer.title} `, h("small", {}, `${shape(layer.shape)}${more}`));
      this.rows.set(layer.name, row);
      row.units.hidden = row.note.hidden = true;
      row.item = h("li", { class: layer.name === this.chosen ? "lab-chosen" : null }, row.button,
        h("div", { class: "lab-strips" }, h("span", {}, "value"), row.values, row.value, h("span", {}, "gradient"), row.gradients, row.gradient),
        row.units, row.note, row.words);
      return row.item;
    }));
  }

  get first() { return this.rows.keys().next().value; }

  open(name) { this.mark(name); this.choose(name); }

  mark(name) {
    this.chosen = name;
    for (const [other, row] of this.rows) row.item.className = other === name ? "lab-chosen" : "";
  }

  units(row, about, array, colours) {
    row.units.hidden = !array;
    row.note.hidden = !array || array.shape[0] === about.of;
    if (!array) return;
    row.note.textContent = `${array.shape[0]} of ${about.of} units`;
    const [count, side] = array.shape, size = 30;
    const fit = Math.max(1, Math.floor((row.units.parentElement.clientWidth - 16) / size)), lines = Math.ceil(count / fit);
    row.units.style.height = `${lines * size}px`;
    sharp(row.units, (context) => {
      context.strokeStyle = faint();
      for (let unit = 0; unit < count; unit++) {
        const part = { shape: [side, side], data: array.data.subarray(unit * side * side, (unit + 1) * side * side) };
        const x = (unit % fit) * size, y = Math.floor(unit / fit) * size;
        context.drawImage(signed(part, colours), x, y, size - 3, size - 3);
        context.strokeRect(x + 0.5, y + 0.5, size - 4, size - 4);
      }
    });
  }
}

function paint(canvas, array, colours) {
  const [rows, columns] = array.shape;
  if (!rows || !columns) return;
  sharp(canvas, (context, width, height) => {
    context.imageSmoothingEnabled = false;
    context.drawImage(signed(array, colours), 0, 0, width, height);
  });
}
