// One visual language: blue is below zero, orange above; classes have the colours of the package's pictures.

export const CLASSES = ["#2f6db5", "#e07b28", "#3a9a6b", "#8a5bb0", "#c24f57", "#6b7580", "#b59a2c", "#3fa7bf", "#d27fb0", "#444444"];
const NEGATIVE = [47, 109, 181], POSITIVE = [224, 123, 40];

export function dark() {
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

function paper() {
  return dark() ? [28, 32, 38] : [255, 255, 255];
}

export function ink() {
  return dark() ? "#e6e9ee" : "#22272e";
}

export function faint() {
  return dark() ? "#4a525d" : "#c9ced6";
}

function mixed(a, b, share) {
  return a.map((value, i) => Math.round(value + (b[i] - value) * share));
}

// 256 colours for the bytes of a strip: 128 is zero
export function scale() {
  const zero = paper();
  return Array.from({ length: 256 }, (_, byte) => {
    const share = Math.min(1, Math.abs(byte - 128) / 127);
    return mixed(zero, byte < 128 ? NEGATIVE : POSITIVE, Math.sqrt(share));
  });
}

export function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

// a small offscreen picture: colour(i) gives [r, g, b] of pixel i
export function pixels(width, height, colour) {
  const canvas = document.createElement("canvas");
  canvas.width = width; canvas.height = height;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b] = colour(i);
    image.data[4 * i] = r; image.data[4 * i + 1] = g; image.data[4 * i + 2] = b; image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

export function signed(array, colours = scale()) {
  const [rows, columns] = array.shape;
  return pixels(columns, rows, (i) => colours[array.data[i]]);
}

// floats as a picture, each on its own scale
export function floats(array) {
  let largest = 0;
  for (const value of array.data) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  const colours = scale(), [rows, columns] = array.shape;
  return pixels(columns, rows, (i) => {
    const value = Number.isFinite(array.data[i]) ? array.data[i] : 0;
    return colours[Math.round(128 + (127 * value) / (largest || 1))];
  });
}

export function regions(classes, sure, count) {
  const back = paper(), colours = CLASSES.map(rgb), side = classes.shape[0] ** 0.5;
  return pixels(side, side, (i) => {
    const certain = Math.max(0, (sure.data[i] / 255 - 1 / count) / (1 - 1 / count));
    return mixed(back, colours[classes.data[i] % colours.length], 0.12 + 0.45 * certain);
  });
}

export function grey(array, width, height) {
  return pixels(width, height, (i) => [array.data[i], array.data[i], array.data[i]]);
}

export function coloured(array, offset, width, height) {
  return pixels(width, height, (i) => [0, 1, 2].map((c) => array.data[offset + 3 * i + c]));
}
