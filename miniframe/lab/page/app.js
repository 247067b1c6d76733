// The page: start(root, channel) builds it in an element and talks over a channel, whatever that is.

import { download, h, number, percent } from "./dom.js";
import { fromBase64, unpack } from "./wire.js";
import { Plane } from "./plane.js";
import { Strips } from "./strips.js";
import { Curves } from "./curves.js";
import { Controls } from "./controls.js";
import { codePanel, layerPanel, museum, productsPanel, proofPanel, samplePanel, weightPanel } from "./closeup.js";
import { Stepper } from "./steps.js";
import { picturePanel, textPanel, thumbnails } from "./pictures.js";

const DEFAULTS = { data: "disk", points: 500, noise: 0, seed: 0, widths: [8, 8], activation: "relu", norm: "none", dropout: 0, optimizer: "adam", lr: 0.01, momentum: 0.9, batch_size: 32, mistakes: [], placed: [], file: "" };

// what the address bar holds: the settings that are not the usual ones
export function linkOf(recipe) {
  const other = Object.entries(recipe).filter(([name, value]) => name in DEFAULTS && JSON.stringify(value) !== JSON.stringify(DEFAULTS[name]));
  return JSON.stringify(Object.fromEntries(other));
}

export function start(root, channel, { address = false } = {}) {
  const send = (command) => channel.send(command);
  let scene = null, asked = null, model = null, linked = !address, last = 0;

  const message = h("p", { class: "lab-message", "data-testid": "message", role: "status" });
  const say = (words, trouble = false) => { message.textContent = words; message.classList.toggle("lab-trouble", trouble); };
  const ask = (command) => { asked = command; send(command); };
  const out = (testid) => h("output", { "data-testid": testid, "aria-live": "off" }, "–"); // nobody wants to hear them 20 times a second
  const shown = { epoch: out("epoch"), batch: out("batch"), loss: out("loss"), train: out("train-error"), test: out("test-error"), testLoss: out("test-loss") };
  const badge = h("button", { class: "lab-badge", "data-testid": "prove", title: "run the gradient check on this very model", onclick: () => { say("checking every gradient …"); ask({ do: "prove" }); } }, "prove");
  const button = (words, testid, command, title) => h("button", { "data-testid": testid, title, onclick: () => ask2(command) }, words);
  const ask2 = (command) => { say(""); send(command); };
  const play = button("▶ play", "play", { do: "play" }, "train until paused"), pause = button("❚❚ pause", "pause", { do: "pause" }, "stop after this epoch or batch");
  const stepThrough = h("button", { "data-testid": "step-layer", title: "forward, loss and backward, layer by layer", onclick: () => ask({ do: "steps" }) }, "one layer");
  const write = h("button", { hidden: true, "data-testid": "write", onclick: () => ask({ do: "write", prompt: "The " }) }, "write");
  const controls = new Controls(ask2, say), curves = new Curves(), strips = new Strips((name) => openLayer(name));
  const plane = new Plane((index) => { send({ do: "focus", index }); ask({ do: "sample", index }); }, (point) => ask2({ do: "set", settings: { data: "points", placed: [...(scene.header.recipe.data === "points" ? scene.header.recipe.placed : []), point] } }));
  const stepper = new Stepper((command) => ask(command), (name) => strips.mark(name));
  const welcome = h("p", { class: "lab-note" }, "Choose a layer, a point of the plane, or one of the buttons above, and look closer here.");
  const panel = h("section", { class: "lab-panel", "aria-label": "closer look", tabindex: "-1" }, welcome);
  const pictures = h("div"), lossMistakes = h("div");
  const buttons = h("div", { class: "lab-row lab-train-buttons" }, play, pause, button("one epoch", "one-epoch", { do: "epoch" }, "train one epoch"), button("one batch", "step", { do: "batch" }, "one step on one batch"), stepThrough, button("↺ again", "again", { do: "again" }, "begin anew with the same settings"));
  const more = h("div", { class: "lab-row" }, badge, write, h("button", { "data-testid": "code", onclick: () => ask({ do: "code" }) }, "copy as Python"), h("button", { "data-testid": "record", onclick: () => { say("putting the run into one file …"); send({ do: "record" }); } }, "save the run"));
  const numbers = h("dl", { class: "lab-numbers" }, ...[["epoch", shown.epoch], ["batch", shown.batch], ["loss", shown.loss], ["errors", shown.train], ["test loss", shown.testLoss], ["test errors", shown.test]].map(([words, output]) => h("div", {}, h("dt", {}, words), h("dd", {}, output))));
  const scrubber = h("div", { class: "lab-row", hidden: true });
  const data = h("section", { class: "lab-data", "aria-label": "data and curves" }, plane.element, pictures, curves.element);
  root.className = "lab";
  root.replaceChildren(
    h("header", { class: "lab-head" }, h("h1", {}, "miniframe lab"), buttons, numbers, more, message, scrubber),
    h("details", { class: "lab-settings", open: true }, h("summary", {}, "settings"), controls.element, lossMistakes),
    h("div", { class: "lab-columns" }, data, h("section", { class: "lab-model", "aria-label": "model" }, strips.element), panel));

  function openLayer(name) {
    if (scene.header.replay) return;
    ask(scene.header.image ? { do: "picture", index: scene.header.focus, layer: name } : { do: "layer", layer: name });
    if (scene.header.image) send({ do: "layer", layer: name });
  }

  // the settings in the address; what cannot be read is no reason to stop
  function inAddress() {
    try { return decodeURIComponent(location.hash.slice(1)); } catch { say("the settings in the address are damaged; the lab goes on without them", true); return ""; }
  }
  const toAddress = (recipe) => history.replaceState(null, "", `${location.pathname}${location.search}#${encodeURIComponent(linkOf(recipe))}`);

  const parts = {};
  // putting parts in their places takes the focus away: whoever works with the keyboard gets it back, also in a new part
  function put(kind, element) {
    const focus = panel.contains(document.activeElement) ? document.activeElement : null;
    const goesWith = { products: "layer", layer: "picture", picture: "layer" }[kind];
    for (const other of Object.keys(parts)) if (other !== goesWith && other !== kind && !(kind === "products" && other === "steps")) delete parts[other];
    if (kind !== "products") delete parts.products;
    parts[kind] = element;
    panel.replaceChildren(...["products", "picture", "layer", "steps", "sample", "weight", "proof", "code", "text"].filter((name) => parts[name]).map((name) => parts[name]));
    if (focus) (focus.isConnected ? focus : [...element.querySelectorAll("[data-testid]")].find((other) => other.dataset.testid === focus.dataset.testid) ?? panel).focus({ preventScroll: true });
  }

  // other children for an element; the focus stays in its place
  function anew(element, children) {
    const found = () => [...element.querySelectorAll("button, select, summary")], at = found().indexOf(document.activeElement);
    element.replaceChildren(...children);
    if (at >= 0) found()[at]?.focus({ preventScroll: true });
  }

  const handlers = {
    scene(seen) {
      scene = seen;
      const { header, arrays } = seen, replay = Boolean(header.replay);
      if (model !== null && model !== header.model + header.shape) { asked = null; for (const kind of Object.keys(parts)) delete parts[kind]; panel.replaceChildren(welcome); strips.chosen = null; }
      model = header.model + header.shape;
      plane.setScene(header, arrays); controls.set(header.recipe, header.own, header.momentum);
      anew(pictures, arrays.images && !replay ? [thumbnails(arrays.images, header.focus, (index) => { send({ do: "focus", index }); ask({ do: "picture", index, layer: strips.chosen ?? strips.first }); })] : []);
      const mistakes = header.own ? [] : header.recipe.mistakes ?? [];
      anew(lossMistakes, replay || !header.loss_exhibits.length || header.own ? [] : [h("details", { open: Boolean(lossMistakes.querySelector("details")?.open) }, h("summary", {}, `the loss, ${header.loss}: a mistake on purpose`), museum("loss", header.loss_exhibits, mistakes, ask2))]);
      write.hidden = header.recipe.data !== "text";
      root.classList.toggle("lab-replay", replay);
      for (const element of [buttons, more, root.querySelector(".lab-settings"), panel, curves.keep]) element.hidden = replay;
      if (replay) document.title = `a run of ${header.model.split("\n")[0]}`;
      if (address) {
        const text = linked ? "" : inAddress();
        linked = true;
        if (text && text !== "{}" && text !== linkOf(header.recipe)) send({ do: "link", text });
        else toAddress(header.recipe);
      }
    },
    frame({ header, arrays }) {
      const { logs } = header;
      shown.epoch.textContent = String(header.epoch); shown.batch.textContent = String(header.batch) + (header.batch ? ` (loss ${number(header.batch_loss)})` : "");
      shown.loss.textContent = number(logs.loss); shown.testLoss.textContent = number(logs.val_loss);
      shown.train.textContent = percent(logs.error_rate); shown.test.textContent = percent(logs.val_error_rate);
      root.dataset.playing = String(header.playing);
      play.disabled = header.playing; pause.disabled = !header.playing;
      badge.textContent = header.proof ? (header.proof.passed ? "✓ proven" : "✗ not proven") : "prove";
      badge.classList.toggle("lab-proven", Boolean(header.proof?.passed)); badge.classList.toggle("lab-disproven", header.proof ? !header.proof.passed : false);
      if (header.curve) curves.add(header.curve, header.from);
      if (scene.header.replay) curves.until = header.epoch - curves.first;
      painted = { header, arrays };
      draw();
      root.dataset.painted = String(header.epoch);
      send({ do: "seen" });
      const now = Date.now();
      if (asked && ["layer", "picture"].includes(asked.do) && parts.layer && header.playing && now - last > 1000) { last = now; send({ ...asked, do: asked.do }); }
    },
    message({ header }) { say(header.words, header.trouble); if (header.trouble) controls.refused(); },
    layer(seen) { const inside = parts.layer?.contains(document.activeElement); if (!inside) put("layer", layerPanel(seen, (command) => ask(command), scene.header.recipe.mistakes ?? [])); },
    steps(seen) { stepper.set(seen); put("steps", stepper.element); },
    products(seen) { put("products", productsPanel(seen)); parts.products.scrollIntoView({ block: "nearest" }); },
    sample(seen) { put("sample", samplePanel(seen)); },
    weight(seen) { put("weight", weightPanel(seen, (command) => (command.do === "focus" ? (send(command), ask({ do: "sample", index: command.index })) : ask(command)))); },
    proof(seen) { put("proof", proofPanel(seen)); say(seen.header.passed ? "proven" : "the check has found a mistake"); },
    code(seen) { put("code", codePanel(seen)); },
    picture(seen) {
      const of = `${seen.header.index}, ${seen.header.layer}`;
      if (parts.picture?.of === of && parts.picture.contains(document.activeElement)) return; // somebody slides the window
      put("picture", Object.assign(picturePanel(seen, scene.header.classes), { of }));
    },
    text(seen) { put("text", textPanel(seen, (command) => ask(command))); },
    record({ header }) { download("run.html", header.html, "text/html"); say("saved as run.html: it opens from disk, without a network"); },
  };

  let painted = null;
  const draw = () => { curves.draw(); strips.setFrame(painted.header, painted.arrays); plane.setFrame(painted.arrays); };
  window.addEventListener("resize", () => { if (painted) draw(); });

  let latest = null, waiting = false;
  const paint = () => { waiting = false; const seen = latest; latest = null; if (seen && scene) handlers.frame(seen); };
  channel.receive((buffer) => {
    const seen = unpack(buffer), { kind } = seen.header;
    if (kind !== "frame") { if (latest) paint(); handlers[kind]?.(seen); return; }
    if (latest) { if (latest.header.curve && seen.header.curve) curves.add(latest.header.curve, latest.header.from); send({ do: "seen" }); }
    latest = seen;
    if (!waiting) { waiting = true; if (document.hidden) setTimeout(paint, 50); else requestAnimationFrame(paint); }
  });
  channel.trouble?.((words) => say(words, true));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (painted) draw(); });
  if (address) window.addEventListener("hashchange", () => { const text = inAddress(); if (text && scene && text !== linkOf(scene.header.recipe)) send({ do: "link", text }); });
  return { scrubber, curves };
}

// a run from a file: the messages were kept, and a slider goes through them
export function startReplay(root, run) {
  let listen = null;
  const page = start(root, { send() {}, receive(listener) { listen = listener; } });
  listen(fromBase64(run.scene));
  page.curves.apart = run.apart; page.curves.first = run.first;
  page.curves.add(run.curve, 0);
  const frames = run.frames, words = h("output");
  const slider = h("input", { type: "range", min: "0", max: String(frames.length - 1), value: String(frames.length - 1), "data-testid": "scrubber", "aria-label": "time", oninput: () => show(Number(slider.value)) });
  const show = (place) => { slider.value = String(place); words.textContent = `epoch ${frames[place][0]} of ${frames[frames.length - 1][0]}`; listen(fromBase64(frames[place][1])); };
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "▶ play"; };
  const play = h("button", { "data-testid": "replay", onclick: () => {
    if (timer) { stop(); return; }
    if (Number(slider.value) === frames.length - 1) show(0);
    play.textContent = "❚❚ pause";
    timer = setInterval(() => { const next = Number(slider.value) + 1; if (next >= frames.length) stop(); else show(next); }, 100);
  } }, "▶ play");
  page.scrubber.hidden = false;
  page.scrubber.replaceChildren(play, slider, words);
  show(frames.length - 1);
}

// a cell of a notebook
export function renderWidget({ model, el }) {
  const root = h("div");
  el.append(root);
  let listen = null;
  const heard = (content, buffers) => { if (content.kind === "lab") { const view = buffers[0]; listen(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)); } };
  model.on("msg:custom", heard);
  start(root, { send: (command) => model.send(command), receive: (listener) => { listen = listener; } });
  model.send({ do: "join" });
  return () => model.off("msg:custom", heard);
}
