// The plane: what the model says where, the data on it, the errors ringed.

import { h, sharp } from "./dom.js";
import { CLASSES, faint, ink, regions } from "./colours.js";

export class Plane {
  constructor(pick, place) {
    this.pick = pick; this.place = place;
    this.scene = null; this.frame = null; this.cursor = null;
    this.canvas = h("canvas", {
      class: "lab-plane", "data-testid": "regions", tabindex: "0", role: "img",
      onclick: (event) => this.clicked(event),
      onkeydown: (event) => this.key(event),
    });
    this.test = h("input", { type: "checkbox", onchange: () => this.draw() });
    this.tool = h("select", { "aria-label": "what a click on the plane does" }, h("option", { value: "" }, "look at a point"));
    this.note = h("p", { class: "lab-note" });
    this.element = h("div", {}, this.canvas,
      h("div", { class: "lab-row" }, h("label", {}, "a click: ", this.tool), h("label", {}, this.test, " test data")), this.note);
  }

  setScene(header, arrays) {
    if (String(header.plane) !== String(this.scene?.header.plane)) this.cursor = null;
    this.scene = { header, arrays };
    this.element.hidden = !header.plane;
    const tools = [["", "look at a point"]];
    if (!header.own && !header.replay) for (let k = 0; k < Math.max(2, Math.min(header.classes.length, 5)); k++) tools.push([String(k), `add a point of class ${k}`]);
    const chosen = this.tool.value;
    this.tool.replaceChildren(...tools.map(([value, words]) => h("option", { value }, words)));
    this.tool.value = tools.some(([value]) => value === chosen) ? chosen : "";
    this.tool.parentElement.hidden = Boolean(header.replay);
  }

  setFrame(arrays) { this.frame = arrays; this.draw(); }

  // plane to canvas and back
  toCanvas(x, y, width, height) {
    const [left, bottom, right, top] = this.scene.header.plane;
    return [((x - left) / (right - left)) * width, ((top - y) / (top - bottom)) * height];
  }

  toPlane(px, py, width, height) {
    const [left, bottom, right, top] = this.scene.header.plane;
    return [left + (px / width) * (right - left), top - (py / height) * (top - bottom)];
  }

  clicked(event) {
    const box = this.canvas.getBoundingClientRect();
    this.act(event.clientX - box.left, event.clientY - box.top, box.width, box.height);
  }

  act(px, py, width, height) {
    if (!this.scene?.header.plane) return;
    if (this.tool.value) {
      const [x, y] = this.toPlane(px, py, width, height);
      this.place([Number(x.toPrecision(6)), Number(y.toPrecision(6)), Number(this.tool.value)]);
      return;
    }
    const points = this.scene.arrays["train.points"].data;
    let nearest = -1, least = Infinity;
    for (let i = 0; i < points.length / 2; i++) {
      const [x, y] = this.toCanvas(points[2 * i], points[2 * i + 1], width, height);
      const distance = (x - px) ** 2 + (y - py) ** 2;
      if (distance < least) { least = distance; nearest = i; }
    }
    if (nearest >= 0) this.pick(nearest);
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    if (moves[event.key]) {
      const [x, y] = this.cursor ?? [width / 2, height / 2], [dx, dy] = moves[event.key];
      this.cursor = [Math.max(0, Math.min(width, x + 8 * dx)), Math.max(0, Math.min(height, y + 8 * dy))];
      event.preventDefault(); this.draw();
    } else if (event.key === "Enter" && this.cursor) this.act(...this.cursor, width, height);
  }

  draw() {
    if (!this.scene?.header.plane || !this.frame) return;
    const { header, arrays } = this.scene, frame = this.frame;
    const wrong = (name) => (frame[`${name}.wrong`]?.data ?? []).reduce((a, b) => a + b, 0);
    this.canvas.setAttribute("aria-label", `decision regions with ${header.rows} training points, of the drawn ones ${wrong("train")} wrong`);
    sharp(this.canvas, (context, width, height) => {
      context.imageSmoothingEnabled = true;
      if (frame.regions) context.drawImage(regions(frame.regions, frame.sure, Math.max(2, header.classes.length)), 0, 0, width, height);
      for (const name of this.test.checked ? ["test", "train"] : ["train"]) this.points(context, width, height, name);
      context.strokeStyle = ink();
      const focus = arrays["train.points"]?.data;
      if (focus && header.focus * 2 < focus.length) {
        const [x, y] = this.toCanvas(focus[2 * header.focus], focus[2 * header.focus + 1], width, height);
        context.lineWidth = 2; context.strokeRect(x - 8, y - 8, 16, 16);
      }
      if (this.cursor && document.activeElement === this.canvas) {
        const [x, y] = this.cursor;
        context.lineWidth = 1;
        context.beginPath(); context.moveTo(x - 9, y); context.lineTo(x + 9, y); context.moveTo(x, y - 9); context.lineTo(x, y + 9); context.stroke();
      }
    });
    const shown = arrays["train.labels"].data.length;
    this.note.textContent = shown < header.rows ? `the first ${shown} of ${header.rows} points are drawn; rings mark errors, the square the point in focus` : "rings mark errors, the square the point in focus";
  }

  points(context, width, height, name) {
    const { arrays } = this.scene, places = arrays[`${name}.points`].data, labels = arrays[`${name}.labels`].data;
    const wrong = this.frame[`${name}.wrong`]?.data ?? [];
    const size = labels.length > 600 ? 2 : 3;
    for (let i = 0; i < labels.length; i++) {
      const [x, y] = this.toCanvas(places[2 * i], places[2 * i + 1], width, height);
      context.fillStyle = CLASSES[labels[i] % CLASSES.length];
      context.strokeStyle = faint();
      context.beginPath();
      if (name === "test") context.rect(x - size, y - size, 2 * size, 2 * size);
      else mark(context, x, y, size, labels[i]);
      context.fill();
      if (wrong[i]) { context.strokeStyle = ink(); context.lineWidth = 1.3; context.beginPath(); context.arc(x, y, size + 3.5, 0, 7); context.stroke(); }
    }
  }
}

// a marker beside the colour: classes stay apart without it
function mark(context, x, y, size, label) {
  if (label % 3 === 0) context.arc(x, y, size, 0, 7);
  else if (label % 3 === 1) { context.moveTo(x, y - size * 1.4); context.lineTo(x + size * 1.3, y + size); context.lineTo(x - size * 1.3, y + size); context.closePath(); }
  else { context.moveTo(x, y - size * 1.4); context.lineTo(x + size * 1.4, y); context.lineTo(x, y + size * 1.4); context.lineTo(x - size * 1.4, y); context.closePath(); }
}
