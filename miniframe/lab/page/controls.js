// Everything that can be set: the data, the model, how it learns. A change is sent when it is made.

import { h } from "./dom.js";

const FIELDS = [
  ["data", "data", ["disk", "moons", "spirals", "xor", "points", "csv", "shapes", "mnist", "text"]],
  ["points", "points", "number"], ["noise", "noise", "number"], ["seed", "seed", "number"],
  ["widths", "hidden layers", "text"], ["activation", "activation", ["relu", "tanh", "sigmoid", "gelu", "leaky relu"]],
  ["norm", "normalization", ["none", "batch", "layer"]], ["dropout", "dropout", "number"],
  ["optimizer", "optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "adam, uncounted", "sgd, piling up"]],
  ["lr", "learning rate", "number"], ["momentum", "momentum", "number"], ["batch_size", "batch size", "number"],
];
const OWN = ["lr", "momentum", "batch_size", "seed"];
const UNUSED = { points: ["points", "noise"], csv: ["points", "noise"], mnist: ["noise"], text: ["noise", "activation", "norm"] };
const LARGEST = 5e6; // characters of a table: what the lab takes
const IDS = { lr: "learning-rate", batch_size: "batch-size" };

export class Controls {
  constructor(send, say) {
    this.send = send; this.say = say; this.inputs = {};
    this.file = h("input", { type: "file", accept: ".csv,text/csv", hidden: true, "data-testid": "csv", onchange: () => this.chosen(), oncancel: () => this.refused() });
    this.another = h("button", { type: "button", hidden: true, "data-testid": "another-table", onclick: () => this.choose() }, "choose another table");
    const rows = FIELDS.map(([name, words, kind]) => {
      const input = Array.isArray(kind)
        ? h("select", { onchange: () => this.changed(name) }, ...kind.map((choice) => h("option", { value: choice }, choice)))
        : h("input", { type: "text", inputmode: kind === "number" ? "decimal" : "text", onchange: () => this.changed(name), autocomplete: "off", spellcheck: "false" });
      input.setAttribute("data-testid", IDS[name] ?? name);
      this.inputs[name] = input;
      return (input.row = h("label", {}, h("span", {}, words), input));
    });
    this.element = h("form", { class: "lab-controls", "aria-label": "settings", onsubmit: (event) => event.preventDefault() }, ...rows, this.another, this.file);
  }

  set(recipe, own, momentum) {
    this.recipe = recipe;
    this.another.hidden = own || recipe.data !== "csv";
    for (const [name, input] of Object.entries(this.inputs)) {
      input.row.hidden = own ? !OWN.includes(name) : Boolean(UNUSED[recipe.data]?.includes(name));
      const value = recipe[name];
      if (value !== undefined && document.activeElement !== input) input.value = Array.isArray(value) ? value.join(", ") : String(value);
    }
    this.inputs.momentum.row.hidden = !momentum;
  }

  changed(name) {
    const value = this.inputs[name].value;
    if (name === "data" && value === "csv") { this.choose(); return; }
    this.send({ do: "set", settings: { [name]: value } });
  }

  choose() { this.file.value = ""; this.file.click(); }

  refused() { if (this.recipe) for (const [name, input] of Object.entries(this.inputs)) { const value = this.recipe[name]; if (value !== undefined) input.value = Array.isArray(value) ? value.join(", ") : String(value); } }

  async chosen() {
    const [file] = this.file.files;
    if (!file) return;
    const text = file.size > 4 * LARGEST ? "" : await file.text();
    if (file.size > 4 * LARGEST || text.length > LARGEST) { this.refused(); this.say(`${file.name} is too large for the lab: ${LARGEST.toLocaleString("en")} characters are the most`, true); return; }
    this.send({ do: "table", name: file.name, text });
  }
}
