// Forward, loss and backward, one layer at a time.

import { code, h, number } from "./dom.js";
import { matrix, unravel } from "./matrix.js";

export class Stepper {
  constructor(send, mark) {
    this.send = send; this.mark = mark; this.at = 0; this.seen = null;
    this.body = h("div", { "aria-live": "polite" });
    this.back = h("button", { onclick: () => this.go(this.at - 1) }, "◀ back");
    this.next = h("button", { "data-testid": "next-layer", onclick: () => this.go(this.at + 1) }, "next layer ▶");
    this.place = h("output", { "data-testid": "step-place" });
    this.element = h("div", { "data-testid": "steps" }, h("div", { class: "lab-row" }, this.back, this.next, this.place), this.body);
  }

  set(message) { this.seen = message; this.go(0); }

  go(place) {
    const { header, arrays } = this.seen, count = header.steps.length;
    this.at = Math.max(0, Math.min(count - 1, place));
    const step = header.steps[this.at], direction = { forward: "forward →", loss: "loss", backward: "← backward" }[step.direction];
    this.back.disabled = this.at === 0; this.next.disabled = this.at === count - 1;
    this.place.textContent = `${this.at + 1} of ${count}`;
    this.mark(step.name);
    const ask = (name) => {
      const of = name === "gradient out" ? "input" : name.startsWith("d") ? name.slice(1) : null;
      return step.direction === "backward" && step.name !== "loss" && of ? (at) => this.send({ do: "products", layer: step.name, of, index: unravel(at, step.shapes[name]) }) : undefined;
    };
    const figures = Object.entries(step.shapes).map(([name, sizes]) => matrix(arrays[`${this.at}.${name}`], { words: name, shape: sizes, ask: ask(name), testid: `step-${name.replace(" ", "-")}` }));
    this.body.replaceChildren(h("div", {},
      h("h3", {}, `${direction} ${step.name === "loss" ? "" : `layer ${step.name}: `}${step.title}`),
      step.direction === "loss" ? h("p", {}, "the loss of these samples is ", h("output", {}, number(header.value))) : null,
      step.direction === "backward" ? code(step.formula) : null,
      h("div", { class: "lab-figures" }, ...figures),
      h("h4", {}, "the source that runs here"), code(step.code)));
  }
}
