// The curves: loss and errors, in training and on the test data, and those of a run that was kept to compare.

import { h, number, sharp } from "./dom.js";
import { faint, ink } from "./colours.js";

const PAIRS = [["loss", "loss"], ["error_rate", "errors"]];

export class Curves {
  constructor() {
    this.values = {}; this.kept = null; this.until = Infinity;
    this.apart = 1; // epochs from one number to the next
    this.first = 0; // epochs before the first number
    this.keep = h("button", { "data-testid": "keep", onclick: () => { this.kept = structuredClone(this.values); this.draw(); } }, "keep to compare");
    this.panels = PAIRS.map(([name, words]) => {
      const canvas = h("canvas", { class: "lab-curve", role: "img", "data-testid": `curve-${name}` });
      return { name, words, canvas, box: h("figure", {}, h("figcaption", {}, words, ": ", h("span", { class: "lab-train" }, "— training "), h("span", { class: "lab-test" }, "- - test")), canvas) };
    });
    this.element = h("div", {}, ...this.panels.map((panel) => panel.box), this.keep);
  }

  add(curve, from) {
    for (const [name, values] of Object.entries(curve)) {
      const known = (this.values[name] ??= []);
      known.length = Math.min(known.length, from);
      for (const value of values) known.push(value); // in place: after an hour of training they are many
    }
    if (from === 0) for (const name of Object.keys(this.values)) if (!(name in curve)) delete this.values[name];
  }

  draw() {
    for (const { name, words, canvas, box } of this.panels) {
      const all = [[this.kept?.[name], faint(), []], [this.kept?.[`val_${name}`], faint(), [5, 4]], [this.values[name], "#3a9a6b", []], [this.values[`val_${name}`], "#8a5bb0", [5, 4]]]
        .filter(([values]) => values?.length);
      box.hidden = name !== "loss" && !this.values[name];
      let top = 0, bottom = 0, length = 1;
      for (const [values] of all) {
        length = Math.max(length, values.length * this.apart);
        for (const value of values) if (value !== null) { top = Math.max(top, value); bottom = Math.min(bottom, value); }
      }
      if (top === bottom) top = 1;
      canvas.setAttribute("aria-label", `${words} over ${length} epochs`);
      sharp(canvas, (context, width, height) => {
        const left = 44, foot = 16, wide = width - left - 6, high = height - foot - 8;
        const y = (value) => 8 + (high * (top - value)) / (top - bottom);
        context.font = "11px system-ui, sans-serif"; context.fillStyle = ink(); context.strokeStyle = faint();
        context.strokeRect(left, 8, wide, high);
        context.textAlign = "right"; context.fillText(number(top), left - 4, 14); context.fillText(number(bottom), left - 4, 8 + high);
        context.fillText(this.first ? `epochs ${this.first + 1} to ${this.first + length}` : length === 1 ? "1 epoch" : `${length} epochs`, width - 6, height - 3);
        context.save(); context.beginPath(); context.rect(left, 8, wide, high); context.clip();
        for (const [values, colour, dash] of all) {
          const last = Math.max(0, Math.min(values.length, Math.floor(this.until / this.apart))), step = Math.max(1, Math.floor(last / (2 * wide)));
          context.strokeStyle = colour; context.lineWidth = 1.6; context.setLineDash(dash); context.beginPath();
          for (let i = 0; i < last; i += step) {
            if (values[i] === null) continue;
            context.lineTo(left + (wide * ((i + 1) * this.apart - 0.5)) / length, y(values[i]));
          }
          context.stroke();
          if (last === 1) { context.fillStyle = colour; context.fillRect(left + wide / 2 - 2, y(values[0]) - 2, 4, 4); }
        }
        context.restore();
      });
    }
  }
}
