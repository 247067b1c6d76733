// Looking closely: a layer, the products behind a number, a sample's own gradient, the loss along a weight, the proof.

import { code, h, number, percent, sharp } from "./dom.js";
import { faint, ink } from "./colours.js";
import { matrix, unravel } from "./matrix.js";

export function layerPanel({ header, arrays }, send, mistakes) {
  const products = (of, sizes) => (at) => send({ do: "products", layer: header.name, of, index: unravel(at, sizes) });
  const inputs = header.shapes.input[0] ?? [];
  return h("div", { "data-testid": "layer" },
    h("h3", {}, `layer ${header.name}: ${header.title}`), code(header.formula),
    header.dead === null ? null : h("p", {}, `${percent(header.dead)} of its units are dead: 0 for all samples looked at`),
    h("p", { class: "lab-note" }, "click a number of a gradient for the products that it sums, or a weight to move it"),
    ...header.parameters.map((parameter, place) => h("div", { class: "lab-figures" },
      matrix(arrays[`parameter.${place}`], { words: parameter.of, shape: parameter.shape, more: `, norm ${number(parameter.norm)}`, testid: `parameter-${place}`,
        ask: (at) => send({ do: "weight", name: parameter.name, index: unravel(at, parameter.shape) }) }),
      matrix(arrays[`parameter.${place}.gradient`], { words: `gradient of ${parameter.of}`, shape: parameter.shape, more: `, norm ${number(parameter.gradient_norm)}`, testid: `parameter-${place}-gradient`,
        ask: products(parameter.of, parameter.shape) }))),
    h("div", { class: "lab-figures" }, matrix(arrays.input, { words: "input", shape: inputs }),
    matrix(arrays.value, { words: "value", shape: header.shapes.value }),
    matrix(arrays.gradient, { words: "gradient in", shape: header.shapes.value }),
    matrix(arrays.passed, { words: "gradient passed on", shape: inputs, ask: products("input", inputs) })),
    museum(header.name.split("#")[0], header.exhibits, mistakes, send),
    h("details", {}, h("summary", {}, "forward and backward, as they run"), code(header.forward), code(header.backward)));
}

export function museum(layer, exhibits, mistakes, send) {
  if (!exhibits.length) return null;
  const now = mistakes.find(([name]) => name === layer)?.[1] ?? "";
  const words = h("div");
  const tell = (name) => {
    const card = exhibits.find((exhibit) => exhibit.name === name);
    words.replaceChildren(...(card ? [h("p", {}, h("strong", {}, "what it does: "), card.words), h("p", {}, h("strong", {}, "what one sees: "), card.symptom), h("p", {}, h("strong", {}, "what catches it: "), card.check, ". Press Prove.")] : []));
  };
  const choice = h("select", { "data-testid": layer === "loss" ? "mistake-loss" : "mistake", onchange: () => {
    const others = mistakes.filter(([name]) => name !== layer);
    send({ do: "set", settings: { mistakes: choice.value ? [...others, [layer, choice.value]] : others } });
    tell(choice.value);
  } }, h("option", { value: "" }, "none: the right one"), ...exhibits.map((exhibit) => h("option", { value: exhibit.name }, exhibit.name)));
  choice.value = now;
  tell(now);
  return h("section", { class: "lab-museum" }, h("h4", {}, "a mistake on purpose"), h("label", {}, "plug in for this layer: ", choice), words);
}

export function productsPanel({ header }) {
  const rows = header.products.map((row) => h("tr", {}, h("td", {}, `${row.first} · ${row.second}`), h("td", {}, `${number(row.a)} · ${number(row.b)}`), h("td", {}, number(row.product))));
  const off = !header.more && Math.abs(header.rest) > 1e-3 * Math.abs(header.total);
  const more = header.more ? `${header.more} more` : off ? "not explained by these products: this backward is another one" : "rounding";
  const rest = header.more || Math.abs(header.rest) > 1e-6 * Math.abs(header.total) ? h("tr", {}, h("td", {}, more), h("td", {}, ""), h("td", {}, number(header.rest))) : null;
  return h("div", { "data-testid": "products" },
    h("h3", {}, `the gradient of ${header.of}[${header.index.join(", ")}] of layer ${header.name}`), code(header.formula),
    h("p", {}, "It is the sum of these products, the largest first:"),
    h("div", { class: "lab-scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "product"), h("th", {}, "numbers"), h("th", {}, "="))),
      h("tbody", {}, ...rows, rest), h("tfoot", {}, h("tr", {}, h("td", {}, "sum"), h("td", {}), h("td", { "data-testid": "products-total" }, number(header.total)))))));
}

export function samplePanel({ header }) {
  const line = (name, row) => h("tr", {}, h("td", {}, name), h("td", {}, number(row.norm)), h("td", {}, number(row.batch)), h("td", {}, row.degrees === null ? "–" : `${number(row.degrees)}°`));
  return h("div", { "data-testid": "sample" }, h("h3", {}, `sample ${header.index} and its own gradient`),
    h("p", {}, `beside the mean gradient of ${header.of} samples. Below 90° it pulls the same way as the others, above 90° against them.`),
    h("div", { class: "lab-scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ...["parameter", "its norm", "batch's norm", "angle"].map((word) => h("th", {}, word)))),
      h("tbody", {}, ...header.layers.map((row) => line(row.name, row))), h("tfoot", {}, line("all together", header.together)))));
}

export function weightPanel({ header, arrays }, send) {
  const places = arrays.places.data, losses = arrays.losses.data, low = places[0], high = places[places.length - 1];
  const canvas = h("canvas", { class: "lab-curve", role: "img", "aria-label": `the loss along ${header.name}` });
  const slider = h("input", { type: "range", min: String(low), max: String(high), step: String((high - low) / 400), value: String(header.at), "aria-label": "move the weight", "data-testid": "drag",
    oninput: () => { value.textContent = number(Number(slider.value)); draw(); }, onchange: () => send({ do: "set_weight", name: header.name, index: header.index, value: Number(slider.value) }) });
  const value = h("output", {}, number(header.at));
  const finite = [...losses].filter(Number.isFinite), top = Math.max(...finite), bottom = Math.min(...finite), span = top - bottom || 1;
  const draw = () => sharp(canvas, (context, width, height) => {
    const x = (place) => ((place - low) / (high - low)) * width, y = (loss) => 8 + (height - 16) * (1 - (loss - bottom) / span);
    const line = (colour, points, dash = []) => { context.strokeStyle = colour; context.setLineDash(dash); context.lineWidth = 1.8; context.beginPath(); for (const [a, b] of points) context.lineTo(x(a), y(b)); context.stroke(); };
    line("#3a9a6b", [...places].map((place, i) => [place, losses[i]]));
    const reach = (high - low) / 5;
    const straight = (slope) => [[header.at - reach, header.loss - slope * reach], [header.at + reach, header.loss + slope * reach]];
    line("#c24f57", straight(header.gradient)); line(ink(), straight(header.difference), [5, 5]);
    context.setLineDash([]); context.fillStyle = ink(); context.beginPath(); context.arc(x(header.at), y(header.loss), 5, 0, 7); context.fill();
    context.strokeStyle = faint(); context.beginPath(); context.moveTo(x(Number(slider.value)), 0); context.lineTo(x(Number(slider.value)), height); context.stroke();
  });
  requestAnimationFrame(draw);
  return h("div", { "data-testid": "weight" }, h("h3", {}, `the loss along ${header.name}[${header.index.join(", ")}]`), canvas,
    slider, h("p", {}, "weight ", value),
    h("p", {}, h("span", { class: "lab-red" }, "— our gradient "), h("output", { "data-testid": "tangent" }, number(header.gradient)), "   - - finite difference ", h("output", { "data-testid": "secant" }, number(header.difference))),
    h("p", { class: "lab-note" }, `loss over ${header.of} samples, in evaluation mode; let go of the slider to move the weight for good`),
    h("h4", {}, "samples that pull hardest at it"),
    h("ul", { class: "lab-pulls" }, ...header.pulls.map((pull) => h("li", {}, h("button", { onclick: () => send({ do: "focus", index: pull.index }) }, `sample ${pull.index}`), ` ${number(pull.pull)}`))));
}

export function proofPanel({ header }) {
  return h("div", { "data-testid": "proof" }, h("h3", {}, header.passed ? "proven" : "not proven"),
    h("p", {}, header.passed ? `All ${header.rows} gradients of this very model agree with finite differences in float64; the largest error is ${number(header.error)}.` : "Backward and the finite differences do not agree. What is wrong, and where:"), h("div", { class: "lab-words" }, code(header.words)));
}

export function codePanel({ header }) {
  const text = h("textarea", { class: "lab-copy", readonly: true, rows: "22", spellcheck: "false", "data-testid": "python", "aria-label": "the script that does the same" });
  text.value = header.text;
  const done = h("span", { role: "status" });
  const copy = async () => {
    text.select();
    try { await navigator.clipboard.writeText(header.text); } catch { document.execCommand("copy"); }
    done.textContent = " copied";
  };
  return h("div", {}, h("h3", {}, "the script that does the same"), h("p", {}, h("button", { onclick: copy }, "copy"), done), text);
}
